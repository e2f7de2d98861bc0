//! The journal: numbers, lost answers, questions.

use std::collections::HashMap;

use store::{EventQuery, NewEvent, Store};

use crate::engine::{Database, event, ids, journal};

on_both_engines!(
    events_are_numbered_and_read_as_written,
    the_same_token_gives_the_same_events,
    more_than_one_statement_holds_are_appended,
    two_writers_leave_no_gap_and_no_disorder,
    a_refused_batch_takes_no_numbers,
    questions_are_answered_exactly,
    the_last_number_survives_a_restart,
    an_instance_is_called_the_same_for_ever,
);

async fn events_are_numbered_and_read_as_written(db: Database) {
    let store = db.open().await;
    assert_eq!(store.last_event().await.unwrap(), 0);
    assert_eq!(store.oldest_event().await.unwrap(), None);
    let news = event("news", 5, &[]);
    let batch = [news.clone(), event("", 6, &[]), event("news", 4, &[])];
    let given = store.append_events(1, 0, &batch).await.unwrap();
    assert_eq!(given, [(1, 1), (2, 1), (3, 2)]);
    let given = store
        .append_events(2, 3, std::slice::from_ref(&news))
        .await
        .unwrap();
    assert_eq!(given, [(4, 3)]);
    let none = store.append_events(3, 4, &[]).await.unwrap();
    assert!(none.is_empty());

    let all = journal(&store).await;
    assert_eq!(ids(&all), [1, 2, 3, 4]);
    let first = &all[0];
    assert_eq!((&first.stream, &first.kind), (&news.stream, &news.kind));
    assert_eq!((first.time_ms, &first.data), (5, &news.data));
    assert_eq!((&*all[1].stream, all[3].seq), ("", 3));
    assert_eq!(store.last_event().await.unwrap(), 4);
    assert_eq!(store.oldest_event().await.unwrap(), Some(1));
}

async fn the_same_token_gives_the_same_events(db: Database) {
    let store = db.open().await;
    let before = [event("news", 0, &[])];
    store.append_events(7, 0, &before).await.unwrap();
    let batch = [event("news", 1, &["h"]), event("other", 2, &["h"])];
    let first = store.append_events(8, 1, &batch).await.unwrap();
    let between = [event("news", 3, &[])];
    store.append_events(9, 3, &between).await.unwrap();

    let again = store.append_events(8, 1, &batch).await.unwrap();
    assert_eq!((&again, first), (&vec![(2, 2), (3, 1)], again.clone()));
    assert_eq!(ids(&journal(&store).await), [1, 2, 3, 4]);
    assert_eq!(store.pending("h", 0, 9).await.unwrap().len(), 2);
    assert_eq!(store.last_event().await.unwrap(), 4);
    // A token that comes back for other events, later.
    let later = store.append_events(8, 4, &batch).await.unwrap();
    assert_eq!(later, [(5, 4), (6, 2)]);
}

/// On both sides of a statement's size, of streams, events and deliveries.
async fn more_than_one_statement_holds_are_appended(db: Database) {
    let store = db.open().await;
    let mut seqs = HashMap::new();
    let mut last = 0;
    for (token, count) in (0..).zip([1, 49, 50, 51, 99, 100, 101, 120]) {
        let events: Vec<_> = (0..count)
            .map(|n| event(&format!("s{}", n % 70), n, &["a", "b", "a"]))
            .collect();
        let given = store.append_events(token, last, &events).await.unwrap();
        assert!(given.iter().map(|(id, _)| *id).eq(last + 1..=last + count));
        for (event, (_, seq)) in events.iter().zip(&given) {
            let expected = seqs.entry(event.stream.clone()).or_insert(0);
            *expected += 1;
            assert_eq!(seq, expected);
        }
        last += count;
    }
    let all = journal(&store).await;
    assert!(all.iter().map(|event| event.id).eq(1..=last));
    for hook in ["a", "b"] {
        let pending = store.pending(hook, 0, u32::MAX).await.unwrap();
        assert!(pending.iter().map(|pending| &pending.event).eq(&all));
    }
}

async fn two_writers_leave_no_gap_and_no_disorder(db: Database) {
    let tasks = [
        (db.open().await, 1_000),
        (db.open().await, 2_000),
        (db.open().await, 3_000),
    ];
    let tasks = tasks.map(|(store, from)| tokio::spawn(append_many(store, from)));
    let reader = tokio::spawn(follow(db.open().await, 3 * 40 * 3));
    for task in tasks {
        task.await.unwrap();
    }
    let followed = reader.await.unwrap();
    assert!(followed.into_iter().eq(1..=360));
    let store = db.open().await;
    let all = journal(&store).await;
    for stream in ["shared", "1000", "2000", "3000"] {
        let seqs = all.iter().filter(|event| event.stream == stream);
        let count = if stream == "shared" { 120 } else { 80 };
        assert!(seqs.map(|event| event.seq).eq(1..=count), "{stream}");
    }
}

async fn append_many(store: Store, from: i64) {
    let mut known = 0;
    for n in from..from + 40 {
        let own = from.to_string();
        let batch = [
            event(&own, n, &[]),
            event("shared", n, &[]),
            event(&own, n, &[]),
        ];
        let given = store.append_events(n, known, &batch).await.unwrap();
        assert_eq!((given[1].0, given[2].0), (given[0].0 + 1, given[0].0 + 2));
        assert!(given[0].0 > known);
        known = given[2].0;
    }
}

/// Reads on from the last it saw: what became visible out of order would be missed.
async fn follow(store: Store, until: i64) -> Vec<i64> {
    let mut seen: Vec<i64> = Vec::new();
    while seen.last().is_none_or(|&last| last < until) {
        let query = EventQuery {
            after: seen.last().copied(),
            limit: 5,
            ..EventQuery::default()
        };
        seen.extend(ids(&store.events(&query).await.unwrap()));
    }
    seen
}

async fn a_refused_batch_takes_no_numbers(db: Database) {
    let store = db.open().await;
    // The journal's own counter is nobody's stream.
    let refused = [event("news", 1, &["h"]), event("*", 1, &[])];
    let refused = store.append_events(1, 0, &refused).await.unwrap_err();
    assert!(!refused.is_away(), "{refused}");
    assert_eq!(store.last_event().await.unwrap(), 0);
    let news = [event("news", 1, &[])];
    let given = store.append_events(1, 0, &news).await.unwrap();
    assert_eq!(given, [(1, 1)]);
    assert!(store.backlog().await.unwrap().is_empty());
}

async fn ask(store: &Store, change: impl FnOnce(&mut EventQuery)) -> Vec<i64> {
    let mut query = EventQuery {
        limit: 99,
        ..EventQuery::default()
    };
    change(&mut query);
    ids(&store.events(&query).await.unwrap())
}

async fn questions_are_answered_exactly(db: Database) {
    let store = db.open().await;
    // Times need not follow the numbers.
    let events = [10, 30, 20, 40, 50].map(|at| at.to_owned());
    let streams = ["a", "", "a", "A", "a"];
    let events: Vec<NewEvent> = events
        .iter()
        .zip(streams)
        .map(|(at, s)| event(s, *at, &[]))
        .collect();
    store.append_events(1, 0, &events).await.unwrap();

    assert_eq!(ask(&store, |_| ()).await, [1, 2, 3, 4, 5]);
    assert_eq!(ask(&store, |q| q.limit = 2).await, [1, 2]);
    assert!(ask(&store, |q| q.limit = 0).await.is_empty());
    assert_eq!(ask(&store, |q| q.after = Some(3)).await, [4, 5]);
    assert_eq!(ask(&store, |q| q.before = Some(3)).await, [1, 2]);
    assert_eq!(ask(&store, |q| q.since_ms = Some(30)).await, [2, 4, 5]);
    assert_eq!(ask(&store, |q| q.until_ms = Some(30)).await, [1, 3]);
    assert_eq!(
        ask(&store, |q| q.newest_first = true).await,
        [5, 4, 3, 2, 1]
    );
    for (stream, expected) in [("a", &[1, 3, 5][..]), ("A", &[4]), ("", &[2]), ("a\0", &[])] {
        assert_eq!(
            ask(&store, |q| q.stream = Some(stream.into())).await,
            expected
        );
    }
    let page = ask(&store, |q| {
        (q.newest_first, q.limit) = (true, 1);
        (q.after, q.before) = (Some(1), Some(5));
        (q.since_ms, q.until_ms) = (Some(10), Some(50));
        q.stream = Some("a".to_owned());
    });
    assert_eq!(page.await, [3]);
}

async fn the_last_number_survives_a_restart(db: Database) {
    let store = db.open().await;
    let batch = [event("news", 1, &[]), event("news", 2, &[])];
    store.append_events(1, 0, &batch).await.unwrap();
    store.close().await;

    let store = db.open().await;
    assert_eq!(store.last_event().await.unwrap(), 2);
    let given = store.append_events(2, 2, &batch).await.unwrap();
    assert_eq!(given, [(3, 3), (4, 4)]);
}

async fn an_instance_is_called_the_same_for_ever(db: Database) {
    let stores = [db.open().await, db.open().await, db.open().await];
    let tasks = stores.map(|store| tokio::spawn(async move { store.instance().await }));
    let mut names = Vec::new();
    for task in tasks {
        names.push(task.await.unwrap().unwrap());
    }
    let store = db.open().await;
    names.push(store.instance().await.unwrap());
    let first = names[0].clone();
    assert!(names.iter().all(|name| *name == first));
    assert!(first.len() == 32 && first.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')));
    let other = Store::open("sqlite::memory:").await.unwrap();
    assert_ne!(other.instance().await.unwrap(), first);
}
