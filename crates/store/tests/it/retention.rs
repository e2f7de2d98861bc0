//! What is forgotten, and what never is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use store::{Kind, StateUpdate, Store};

use crate::engine::{Database, event, ids, journal, row};

on_both_engines!(
    old_events_go_oldest_first,
    all_but_the_newest_go,
    what_a_hook_has_yet_to_hear_of_stays,
    deliveries_of_hooks_that_are_gone_go,
    numbers_begin_anew_only_where_nothing_is_left,
    numbers_stay_right_while_events_go,
    numbering_of_names_that_are_gone_goes,
);

/// Events 1 to `count` of a stream, at their number.
async fn fill(store: &Store, stream: &str, count: i64, hooks: &[&str]) {
    let events: Vec<_> = (1..=count).map(|n| event(stream, n, hooks)).collect();
    store.append_events(1, 0, &events).await.unwrap();
}

async fn left(store: &Store) -> Vec<i64> {
    ids(&journal(store).await)
}

async fn old_events_go_oldest_first(db: Database) {
    let store = db.open().await;
    fill(&store, "news", 9, &[]).await;
    assert_eq!(store.prune_events(1, 99, 9).await.unwrap(), 0);
    assert_eq!(store.prune_events(6, 99, 2).await.unwrap(), 2);
    assert_eq!(left(&store).await, [3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(store.prune_events(6, 99, 99).await.unwrap(), 3);
    assert_eq!(left(&store).await, [6, 7, 8, 9]);
    assert_eq!(store.oldest_event().await.unwrap(), Some(6));
    assert_eq!(store.prune_events(99, 99, 99).await.unwrap(), 4);
    assert_eq!(store.oldest_event().await.unwrap(), None);
    assert_eq!(store.last_event().await.unwrap(), 9);
}

async fn all_but_the_newest_go(db: Database) {
    let store = db.open().await;
    fill(&store, "news", 9, &[]).await;
    assert_eq!(store.prune_events(0, 9, 99).await.unwrap(), 0);
    assert_eq!(store.prune_events(0, 4, 3).await.unwrap(), 3);
    assert_eq!(left(&store).await, [4, 5, 6, 7, 8, 9]);
    assert_eq!(store.prune_events(0, 4, 99).await.unwrap(), 2);
    assert_eq!(left(&store).await, [6, 7, 8, 9]);
    // Both at once: too many, and too old.
    assert_eq!(store.prune_events(8, 3, 2).await.unwrap(), 2);
    assert_eq!(left(&store).await, [8, 9]);
}

async fn what_a_hook_has_yet_to_hear_of_stays(db: Database) {
    let store = db.open().await;
    for hook in ["a", "b"] {
        store.create(Kind::Hook, hook, "{}", 1).await.unwrap();
    }
    fill(&store, "news", 5, &["a", "b"]).await;
    store.delivered("a", &[1, 2, 3, 5]).await.unwrap();
    store.delivered("b", &[1, 2, 4, 5]).await.unwrap();
    store.buried("b", &[3], 1, "no").await.unwrap();
    // Pending is 4, dead is 3.
    assert_eq!(store.prune_events(99, 0, 2).await.unwrap(), 2);
    assert_eq!(store.prune_events(99, 0, 99).await.unwrap(), 1);
    assert_eq!(left(&store).await, [3, 4]);
    assert_eq!(store.pending("a", 0, 9).await.unwrap()[0].event.seq, 4);

    store.discard("b", None).await.unwrap();
    assert_eq!(store.prune_events(99, 9, 99).await.unwrap(), 1);
    store.delete(Kind::Hook, "a", None).await.unwrap();
    assert_eq!(store.prune_events(0, 0, 99).await.unwrap(), 1);
    assert!(left(&store).await.is_empty());
}

async fn deliveries_of_hooks_that_are_gone_go(db: Database) {
    let store = db.open().await;
    for hook in ["b", "d"] {
        store.create(Kind::Hook, hook, "{}", 1).await.unwrap();
    }
    fill(&store, "news", 3, &["a", "b", "c", "d", "e"]).await;
    store.buried("c", &[2], 1, "no").await.unwrap();
    store.prune_events(0, 99, 1).await.unwrap();
    let orphans = |backlog: Vec<store::Backlog>| {
        let gone = backlog
            .into_iter()
            .filter(|b| !["b", "d"].contains(&&*b.hook));
        gone.map(|b| b.pending + b.dead).sum::<i64>()
    };
    // Of each one, and of one that has a dead one too.
    assert_eq!(orphans(store.backlog().await.unwrap()), 5);
    store.prune_events(0, 99, 99).await.unwrap();
    let backlog = store.backlog().await.unwrap();
    let seen = backlog.iter().map(|b| (&*b.hook, b.pending));
    assert!(seen.eq([("b", 3), ("d", 3)]));
    assert_eq!(left(&store).await, [1, 2, 3]);
}

async fn next_seq(store: &Store, stream: &str) -> i64 {
    let last = store.last_event().await.unwrap();
    let next = [event(stream, 100, &[])];
    store.append_events(last, last, &next).await.unwrap()[0].1
}

async fn numbers_begin_anew_only_where_nothing_is_left(db: Database) {
    let store = db.open().await;
    store.create(Kind::Stream, "kept", "{}", 1).await.unwrap();
    let streams = ["kept", "gone", "", "part"];
    let mut events: Vec<_> = streams.iter().map(|stream| event(stream, 1, &[])).collect();
    events.push(event("part", 50, &[]));
    store.append_events(1, 0, &events).await.unwrap();
    assert_eq!(store.prune_events(50, 99, 99).await.unwrap(), 4);
    for (stream, seq) in [("kept", 2), ("gone", 1), ("", 2), ("part", 3)] {
        assert_eq!(next_seq(&store, stream).await, seq, "{stream}");
    }
    assert_eq!(store.last_event().await.unwrap(), 9);
}

/// A counter that went while its stream was written to would give a number twice.
async fn numbers_stay_right_while_events_go(db: Database) {
    let (writer, store) = (db.open().await, db.open().await);
    let enough = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write_until(writer, enough.clone()));
    let mut pruned = 0;
    while pruned < 30 && !writing.is_finished() {
        pruned += store.prune_events(99, 0, 9999).await.unwrap().min(1);
        let seqs: Vec<_> = journal(&store).await.iter().map(|e| e.seq).collect();
        assert!(seqs.windows(2).all(|two| two[1] == two[0] + 1), "{seqs:?}");
    }
    enough.store(true, Relaxed);
    let written = writing.await.unwrap();
    assert_eq!(store.last_event().await.unwrap(), written);
}

async fn write_until(store: Store, enough: Arc<AtomicBool>) -> i64 {
    let mut last = 0;
    while !enough.load(Relaxed) {
        let events = [event("news", 1, &[]), event("news", 1, &[])];
        let given = store.append_events(last, last, &events).await.unwrap();
        assert_eq!((given[0].0, given[1].0), (last + 1, last + 2));
        assert_eq!(given[1].1, given[0].1 + 1);
        last += 2;
    }
    last
}

async fn numbering_of_names_that_are_gone_goes(db: Database) {
    let store = db.open().await;
    store.create(Kind::Stream, "kept", "{}", 1).await.unwrap();
    let names = ["kept", "old", "older", "new", "unsaved"];
    for name in names {
        store.append_row(name, &row(0)).await.unwrap();
        store.append_row(name, &row(7)).await.unwrap();
    }
    for (name, at) in [("kept", 10), ("old", 49), ("older", 10), ("new", 50)] {
        let stream = name.to_owned();
        let highest = Some(5);
        let state = StateUpdate {
            stream,
            highest,
            ..StateUpdate::default()
        };
        store.save_states(&[state], at).await.unwrap();
    }
    assert_eq!(store.prune_numbering(50, 1).await.unwrap(), 1);
    assert_eq!(store.prune_numbering(50, 9).await.unwrap(), 1);
    assert_eq!(store.prune_numbering(50, 9).await.unwrap(), 0);
    for (name, rows) in names.into_iter().zip([2, 0, 0, 2, 2]) {
        assert_eq!(store.rows(name).await.unwrap().len(), rows, "{name}");
    }
    // The state went too: a row that comes back has none.
    store.append_row("old", &row(0)).await.unwrap();
    let state = store.numbering("old").await.unwrap().unwrap();
    assert_eq!((state.highest, state.row.seq), (0, 0));
}
