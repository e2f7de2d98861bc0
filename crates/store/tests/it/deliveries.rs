//! What hooks have yet to hear of.

use store::{Backlog, Delivery, Kind, Store};

use crate::engine::{Database, event};

on_both_engines!(
    pending_deliveries_are_paged_in_order,
    what_failed_stays_and_is_counted,
    what_was_buried_can_be_revived,
    only_dead_ones_are_discarded,
    a_queue_that_is_too_long_loses_its_oldest,
    the_dead_lose_their_oldest,
    thousands_at_once_are_delivered,
    the_backlog_tells_each_hook,
    a_hook_is_deleted_while_it_is_served,
);

/// Events 1 to `count` of the streams `s0` and `s1` in turn, at ten times their number.
async fn fill(store: &Store, count: i64, hooks: &[&str]) {
    let events: Vec<_> = (1..=count)
        .map(|n| event(&format!("s{}", n % 2), n * 10, hooks))
        .collect();
    store.append_events(1, 0, &events).await.unwrap();
}

fn ids(deliveries: &[Delivery]) -> Vec<i64> {
    deliveries
        .iter()
        .map(|delivery| delivery.event.id)
        .collect()
}

async fn pending(store: &Store, hook: &str) -> Vec<i64> {
    ids(&store.pending(hook, 0, 9999).await.unwrap())
}

async fn dead(store: &Store, hook: &str) -> Vec<i64> {
    ids(&store.dead(hook, 0, 9999).await.unwrap())
}

async fn pending_deliveries_are_paged_in_order(db: Database) {
    let store = db.open().await;
    fill(&store, 6, &["h", "other"]).await;
    store.buried("h", &[3], 1, "410").await.unwrap();
    let page = store.pending("h", 1, 3).await.unwrap();
    assert_eq!(ids(&page), [2, 4, 5]);
    assert_eq!((page[0].event.time_ms, &*page[0].event.stream), (20, "s0"));
    assert_eq!((page[0].attempts, page[0].first_ms), (0, None));
    let of = store.pending_of("h", "s1", 0, 9).await.unwrap();
    assert_eq!(ids(&of), [1, 5]);
    let of = store.pending_of("h", "s1", 1, 9).await.unwrap();
    assert_eq!(ids(&of), [5]);
    let of = store.pending_of("h", "s0", 0, 2).await.unwrap();
    assert_eq!(ids(&of), [2, 4]);
    assert_eq!(pending(&store, "other").await, [1, 2, 3, 4, 5, 6]);
    assert!(pending(&store, "nobody").await.is_empty());
}

async fn what_failed_stays_and_is_counted(db: Database) {
    let store = db.open().await;
    fill(&store, 3, &["h", "other"]).await;
    assert_eq!(store.failed("h", &[1, 3], 100, "no").await.unwrap(), 2);
    let error = "50\0x";
    assert_eq!(store.failed("h", &[3, 99], 200, error).await.unwrap(), 1);
    let all = store.pending("h", 0, 9).await.unwrap();
    let seen = all
        .iter()
        .map(|d| (d.attempts, d.first_ms, d.error.as_deref()));
    let expected = [
        (1, Some(100), Some("no")),
        (0, None, None),
        (2, Some(100), Some("50x")),
    ];
    assert!(seen.eq(expected));
    let others = store.pending("other", 0, 9).await.unwrap();
    assert!(others.iter().all(|other| other.attempts == 0));
    assert_eq!(store.delivered("h", &[3, 2]).await.unwrap(), 2);
    assert_eq!(pending(&store, "h").await, [1]);
    assert_eq!(pending(&store, "other").await, [1, 2, 3]);
}

async fn what_was_buried_can_be_revived(db: Database) {
    let store = db.open().await;
    fill(&store, 4, &["h", "other"]).await;
    store.failed("h", &[1], 100, "no").await.unwrap();
    store.buried("h", &[1, 2, 4], 200, "never").await.unwrap();
    // Dead already: neither tried nor buried again.
    store.buried("h", &[1], 300, "later").await.unwrap();
    store.failed("h", &[1], 300, "later").await.unwrap();
    let buried = store.dead("h", 0, 9).await.unwrap();
    let seen = buried
        .iter()
        .map(|d| (d.event.id, d.attempts, d.first_ms, d.dead_ms));
    let dead_ms = Some(200);
    let expected = [
        (1, 2, Some(100), dead_ms),
        (2, 1, Some(200), dead_ms),
        (4, 1, Some(200), dead_ms),
    ];
    assert!(seen.eq(expected));
    assert_eq!(buried[0].error.as_deref(), Some("never"));
    assert_eq!(ids(&store.dead("h", 1, 1).await.unwrap()), [2]);

    store.buried("other", &[2], 200, "never").await.unwrap();
    assert_eq!(store.revive("h", Some(&[2, 3, 9])).await.unwrap(), 1);
    assert_eq!(pending(&store, "h").await, [2, 3]);
    let revived = store.pending("h", 0, 1).await.unwrap().remove(0);
    assert_eq!(
        (revived.attempts, revived.first_ms, revived.dead_ms),
        (0, None, None)
    );
    assert_eq!(store.revive("h", Some(&[])).await.unwrap(), 0);
    assert_eq!(store.revive("h", None).await.unwrap(), 2);
    assert_eq!(pending(&store, "h").await, [1, 2, 3, 4]);
    assert_eq!(dead(&store, "other").await, [2]);
}

async fn only_dead_ones_are_discarded(db: Database) {
    let store = db.open().await;
    fill(&store, 5, &["h", "other"]).await;
    for hook in ["h", "other"] {
        store.buried(hook, &[1, 2, 3], 1, "no").await.unwrap();
    }
    assert_eq!(store.discard("h", Some(&[2, 4])).await.unwrap(), 1);
    assert_eq!(dead(&store, "h").await, [1, 3]);
    assert_eq!(store.discard("h", None).await.unwrap(), 2);
    assert_eq!(pending(&store, "h").await, [4, 5]);
    assert_eq!(dead(&store, "other").await, [1, 2, 3]);
}

async fn a_queue_that_is_too_long_loses_its_oldest(db: Database) {
    let store = db.open().await;
    fill(&store, 6, &["h", "other"]).await;
    store.buried("h", &[1, 3], 1, "no").await.unwrap();
    assert_eq!(store.shed("h", 0).await.unwrap().len(), 0);
    assert_eq!(store.shed("h", -1).await.unwrap().len(), 0);
    assert_eq!(store.shed("h", 2).await.unwrap().len(), 2);
    assert_eq!(pending(&store, "h").await, [5, 6]);
    assert_eq!(dead(&store, "h").await, [1, 3]);
    assert_eq!(store.shed("h", 99).await.unwrap().len(), 2);
    assert_eq!(pending(&store, "other").await.len(), 6);
}

async fn the_dead_lose_their_oldest(db: Database) {
    let store = db.open().await;
    fill(&store, 6, &["h", "other"]).await;
    for hook in ["h", "other"] {
        store.buried(hook, &[1, 3, 4, 6], 1, "no").await.unwrap();
    }
    assert_eq!(store.shed_dead("h", 4).await.unwrap(), 0);
    assert_eq!(store.shed_dead("h", 2).await.unwrap(), 2);
    assert_eq!(dead(&store, "h").await, [4, 6]);
    assert_eq!(store.shed_dead("h", 0).await.unwrap(), 2);
    assert_eq!(pending(&store, "h").await, [2, 5]);
    assert_eq!(dead(&store, "other").await, [1, 3, 4, 6]);
}

async fn thousands_at_once_are_delivered(db: Database) {
    let store = db.open().await;
    fill(&store, 3001, &["h"]).await;
    // Those that are named twice are one.
    let all: Vec<_> = (1..=3000).rev().chain([3000, 1]).collect();
    assert_eq!(store.failed("h", &all, 1, "no").await.unwrap(), 3000);
    let page = store.pending("h", 0, 9999).await.unwrap();
    assert_eq!(page.iter().filter(|d| d.attempts == 1).count(), 3000);
    assert_eq!(store.buried("h", &all, 2, "no").await.unwrap(), 3000);
    assert_eq!(store.revive("h", Some(&all)).await.unwrap(), 3000);
    assert_eq!(store.delivered("h", &all).await.unwrap(), 3000);
    assert_eq!(pending(&store, "h").await, [3001]);
}

async fn the_backlog_tells_each_hook(db: Database) {
    let store = db.open().await;
    assert!(store.backlog().await.unwrap().is_empty());
    fill(&store, 4, &["b", "a"]).await;
    store.buried("b", &[1], 1, "no").await.unwrap();
    store.buried("a", &[1, 2, 3], 1, "no").await.unwrap();
    store.delivered("a", &[4]).await.unwrap();
    let expected = [("a", 0, 3, None), ("b", 3, 1, Some(20))];
    let expected = expected.map(|(hook, pending, dead, oldest_ms)| Backlog {
        hook: hook.to_owned(),
        pending,
        dead,
        oldest_ms,
    });
    assert_eq!(store.backlog().await.unwrap(), expected);
}

/// Who locks the same rows the other way round would end in a deadlock.
async fn a_hook_is_deleted_while_it_is_served(db: Database) {
    let (store, other) = (db.open().await, db.open().await);
    for round in 0..5 {
        store.create(Kind::Hook, "h", "{}", 1).await.unwrap();
        let events: Vec<_> = (0..500).map(|n| event("news", n, &["h"])).collect();
        let given = store
            .append_events(round, round * 500, &events)
            .await
            .unwrap();
        let ids: Vec<_> = given.iter().map(|(id, _)| *id).rev().collect();
        let serving = other.clone();
        let serving = tokio::spawn(async move {
            for part in ids.chunks(100) {
                serving.failed("h", part, 1, "no").await.unwrap();
                serving.delivered("h", &part[50..]).await.unwrap();
            }
        });
        store.delete(Kind::Hook, "h", None).await.unwrap();
        serving.await.unwrap();
        assert!(store.backlog().await.unwrap().is_empty());
    }
}
