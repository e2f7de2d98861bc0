//! What is sent when, by examples. Whatever happens: see `model.rs`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use webhook::{Batch, Config, Item, Lanes, Room, Settled, Verdict};

const AGAIN: Verdict = Verdict::Again { after: None };

pub(crate) fn item(id: i64, lane: &str) -> Item {
    Item {
        id,
        lane: Arc::from(lane),
        attempts: 0,
        first: None,
        payload: Bytes::from_static(b"{}"),
    }
}

fn config() -> Config {
    Config {
        max_batch: 1,
        batch_bytes: 1000,
        max_wait_ms: 0,
        concurrency: 4,
        retry_for_ms: 3_600_000,
        room: Room {
            items: 100,
            bytes: 10_000,
        },
        lane_room: Room {
            items: 10,
            bytes: 1000,
        },
    }
}

fn holding(config: Config, items: &[(i64, &str)]) -> Lanes {
    let mut lanes = Lanes::new(config);
    for (id, lane) in items {
        assert!(lanes.offer(item(*id, lane)));
    }
    lanes
}

fn ids(batch: &Batch) -> Vec<i64> {
    batch.items.iter().map(|item| item.id).collect()
}

/// Sends and settles until nothing is due.
fn deliver(lanes: &mut Lanes, now_ms: i64, verdict: Verdict) -> Vec<Vec<i64>> {
    let mut sent = Vec::new();
    while let Some(batch) = lanes.next(now_ms) {
        sent.push(ids(&batch));
        lanes.settle(batch.id, verdict, now_ms, 1.0);
    }
    sent
}

#[test]
fn a_lane_has_one_request_under_way() {
    let mut lanes = holding(config(), &[(1, "a"), (2, "a"), (3, "b")]);
    let first = lanes.next(0).unwrap();
    let second = lanes.next(0).unwrap();
    assert_eq!((ids(&first), ids(&second)), (vec![1], vec![3]));
    assert!(lanes.next(0).is_none() && lanes.deadline(0).is_none());
    let taken = Settled {
        taken: vec![1],
        ..Settled::default()
    };
    assert_eq!(lanes.settle(first.id, Verdict::Taken, 0, 0.0), taken);
    assert_eq!(lanes.deadline(0), Some(0));
    assert_eq!(ids(&lanes.next(0).unwrap()), [2]);
    // Settled already.
    assert_eq!(
        lanes.settle(first.id, Verdict::Taken, 0, 0.0),
        Settled::default()
    );
}

#[test]
fn a_batch_is_of_several_lanes_in_the_order_of_ids() {
    let batching = Config {
        max_batch: 4,
        ..config()
    };
    let items = [(1, "b"), (2, "a"), (3, "b"), (4, "b"), (5, "a"), (6, "c")];
    let mut lanes = holding(batching, &items);
    assert_eq!(
        deliver(&mut lanes, 0, Verdict::Taken),
        [vec![1, 2, 3, 4], vec![5, 6]]
    );
    assert_eq!((lanes.held(), lanes.deadline(0)), (Room::default(), None));
}

#[test]
fn a_batch_is_bounded_in_bytes() {
    let batching = Config {
        max_batch: 9,
        batch_bytes: 5,
        ..config()
    };
    let mut lanes = holding(batching, &[(1, "a"), (2, "a"), (3, "b")]);
    let large = Item {
        payload: Bytes::from_static(b"larger than any"),
        ..item(4, "c")
    };
    assert!(lanes.offer(large));
    assert_eq!(
        deliver(&mut lanes, 0, Verdict::Taken),
        [vec![1, 2], vec![3], vec![4]]
    );
}

#[test]
fn a_batch_that_is_not_full_waits_for_more() {
    let waiting = Config {
        max_batch: 3,
        max_wait_ms: 100,
        ..config()
    };
    let mut lanes = holding(waiting, &[(1, "a")]);
    assert_eq!(lanes.deadline(1000), Some(1000));
    assert!(lanes.next(1000).is_none());
    assert_eq!(lanes.deadline(1010), Some(1100));
    lanes.offer(item(2, "a"));
    assert!(lanes.next(1099).is_none());
    assert_eq!(ids(&lanes.next(1100).unwrap()), [1, 2]);
    for id in 3..=6 {
        lanes.offer(item(id, "b"));
    }
    assert_eq!(lanes.deadline(1100), Some(1100));
    assert_eq!(ids(&lanes.next(1100).unwrap()), [3, 4, 5]);
}

#[test]
fn pauses_double_up_to_five_minutes() {
    let mut lanes = holding(
        Config {
            retry_for_ms: i64::MAX,
            ..config()
        },
        &[(1, "a")],
    );
    let mut now = 0;
    let mut pauses = Vec::new();
    for attempt in 1..=11 {
        let batch = lanes.next(now).unwrap();
        assert_eq!(
            (batch.items[0].attempts, batch.items[0].first),
            (attempt, Some(0))
        );
        assert_eq!(lanes.settle(batch.id, AGAIN, now, 1.0).again, [1]);
        let due = lanes.deadline(now).unwrap();
        assert!(lanes.next(due - 1).is_none());
        pauses.push((due - now) / 1000);
        now = due;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    let batch = lanes.next(now).unwrap();
    lanes.settle(batch.id, AGAIN, now, 0.0);
    assert_eq!(lanes.deadline(now), Some(now + 150_000));
}

#[test]
fn the_receiver_says_how_long_at_least() {
    let mut lanes = holding(config(), &[(1, "a"), (2, "b")]);
    let after = Some(Duration::from_secs(60));
    let batch = lanes.next(0).unwrap();
    lanes.settle(batch.id, Verdict::Again { after }, 0, 0.5);
    assert_eq!(deliver(&mut lanes, 0, Verdict::Taken), [[2]]);
    assert_eq!(lanes.deadline(0), Some(60_000));
    // A clock that was set back ends pauses.
    assert_eq!(lanes.deadline(-4_000_000), Some(-4_000_000));
}

#[test]
fn what_is_tried_for_too_long_is_given_up() {
    let mut lanes = Lanes::new(Config {
        max_batch: 3,
        retry_for_ms: 10_000,
        ..config()
    });
    for (id, first) in [(1, Some(0)), (2, Some(9000)), (3, Some(0))] {
        lanes.offer(Item {
            first,
            ..item(id, "a")
        });
    }
    let batch = lanes.next(11_000).unwrap();
    let settled = lanes.settle(batch.id, AGAIN, 11_000, 0.0);
    // The third one would end before the second.
    assert_eq!((settled.dead, settled.again), (vec![1], vec![2, 3]));
}

#[test]
fn of_a_refused_batch_only_the_refused_one_dies() {
    let batching = Config {
        max_batch: 9,
        ..config()
    };
    let mut lanes = holding(batching, &[(1, "a"), (2, "b"), (3, "a")]);
    let batch = lanes.next(0).unwrap();
    assert_eq!(ids(&batch), [1, 2, 3]);
    lanes.offer(item(4, "a"));
    lanes.offer(item(5, "a"));
    let settled = lanes.settle(batch.id, Verdict::Never, 0, 0.0);
    assert_eq!((settled.dead, settled.again), (vec![], vec![1, 2, 3]));
    let one = lanes.next(0).unwrap();
    let two = lanes.next(0).unwrap();
    assert_eq!((ids(&one), ids(&two)), (vec![1], vec![2]));
    assert_eq!(lanes.settle(one.id, Verdict::Never, 0, 0.0).dead, [1]);
    assert_eq!(lanes.settle(two.id, Verdict::Taken, 0, 0.0).taken, [2]);
    assert_eq!(
        deliver(&mut lanes, 0, Verdict::Taken),
        [vec![3], vec![4, 5]]
    );
}

#[test]
fn a_lane_that_failed_holds_up_no_other() {
    let batching = Config {
        max_batch: 4,
        ..config()
    };
    let mut lanes = holding(batching, &[(1, "a"), (2, "a"), (3, "a"), (4, "b")]);
    assert_eq!(deliver(&mut lanes, 0, AGAIN), [[1, 2, 3, 4]]);
    lanes.offer(item(5, "c"));
    // Half as many at first, and nobody else.
    let first = lanes.next(1000).unwrap();
    let second = lanes.next(1000).unwrap();
    let third = lanes.next(1000).unwrap();
    assert_eq!(
        (ids(&first), ids(&second), ids(&third)),
        (vec![1, 2], vec![4], vec![5])
    );
    lanes.settle(first.id, AGAIN, 1000, 1.0);
    assert_eq!(ids(&lanes.next(3000).unwrap()), [1]);
}

#[test]
fn a_failing_receiver_is_asked_by_one_request_at_a_time() {
    let names: Vec<_> = (1..=8).map(|id| format!("lane {id}")).collect();
    let items: Vec<_> = (1..).zip(names.iter().map(String::as_str)).collect();
    let mut lanes = holding(
        Config {
            concurrency: 6,
            ..config()
        },
        &items,
    );
    let sent: Vec<_> = (0..6).map(|_| lanes.next(0).unwrap()).collect();
    for (at, batch) in sent.iter().enumerate() {
        lanes.settle(batch.id, AGAIN, 0, 1.0);
        assert_eq!(lanes.is_failing(), at >= 4);
    }
    // Those that did not fail come first; the pause is everybody's.
    let mut probes = Vec::new();
    let mut now = 0;
    for _ in 0..4 {
        let due = lanes.deadline(now).unwrap();
        assert!(lanes.next(due - 1).is_none());
        let probe = lanes.next(due).unwrap();
        assert!(lanes.next(due).is_none() && lanes.deadline(due).is_none());
        lanes.settle(probe.id, AGAIN, due, 1.0);
        probes.push((due - now, ids(&probe)[0]));
        now = due;
    }
    assert_eq!(probes, [(1000, 7), (2000, 8), (4000, 1), (8000, 2)]);
    let now = lanes.deadline(now).unwrap();
    let probe = lanes.next(now).unwrap();
    lanes.settle(probe.id, Verdict::Taken, now, 1.0);
    assert!(!lanes.is_failing());
    assert_eq!(lanes.next(now).map(|batch| ids(&batch)), Some(vec![1]));
    assert!(lanes.next(now).is_some());
}

#[test]
fn another_receiver_is_asked_at_once() {
    let mut lanes = holding(
        Config {
            concurrency: 1,
            ..config()
        },
        &[(1, "a"), (2, "b")],
    );
    let mut now = 0;
    while !lanes.is_failing() {
        now = lanes.deadline(now).unwrap();
        let batch = lanes.next(now).unwrap();
        lanes.settle(batch.id, AGAIN, now, 1.0);
    }
    now = lanes.deadline(now).unwrap();
    let old = lanes.next(now).unwrap();
    lanes.replaced();
    assert!(!lanes.is_failing());
    // What the old one says is not held against the new one.
    let settled = lanes.settle(old.id, Verdict::Never, now, 1.0);
    assert_eq!((settled.dead, settled.again), (vec![], ids(&old)));
    assert_eq!(deliver(&mut lanes, now, Verdict::Taken), [[1], [2]]);
}

#[test]
fn what_was_discarded_is_forgotten() {
    let mut lanes = holding(config(), &[(1, "a"), (2, "a"), (3, "a"), (4, "b")]);
    let batch = lanes.next(0).unwrap();
    lanes.forget(&[1, 3, 4, 99]);
    assert_eq!(lanes.held(), Room { items: 1, bytes: 2 });
    // It is under way nevertheless.
    assert!(lanes.next(0).is_none());
    assert_eq!(
        lanes.settle(batch.id, Verdict::Taken, 0, 0.0),
        Settled::default()
    );
    assert_eq!(deliver(&mut lanes, 0, Verdict::Taken), [[2]]);
}

#[test]
fn a_lane_stays_busy_with_what_was_discarded() {
    let mut lanes = holding(config(), &[(1, "a")]);
    let batch = lanes.next(0).unwrap();
    lanes.forget(&[1]);
    lanes.offer(item(2, "a"));
    assert!(lanes.next(0).is_none());
    lanes.settle(batch.id, Verdict::Taken, 0, 0.0);
    assert_eq!(deliver(&mut lanes, 0, Verdict::Taken), [[2]]);
}

#[test]
fn a_full_lane_is_read_on_when_it_is_half_empty() {
    let small = Config {
        lane_room: Room {
            items: 4,
            bytes: 1000,
        },
        ..config()
    };
    let mut lanes = holding(small, &[(1, "a"), (2, "a"), (3, "a"), (4, "a")]);
    // A copy of what is held is nothing new.
    assert!(lanes.offer(item(4, "a")) && lanes.held().items == 4);
    assert!(!lanes.offer(item(6, "a")) && lanes.offer(item(7, "b")));
    assert_eq!(lanes.starved(), None);
    for id in [1, 2] {
        let batch = lanes.next(0).unwrap();
        assert_eq!(ids(&batch), [id]);
        lanes.settle(batch.id, Verdict::Taken, 0, 0.0);
    }
    let starved = lanes.starved().unwrap();
    assert_eq!((&*starved.lane, starved.after, starved.items), ("a", 4, 2));
    assert_eq!(lanes.starved(), None);
    // One more comes while the store is read: the read may have missed it.
    assert!(!lanes.offer(item(8, "a")));
    lanes.refill("a", vec![item(6, "a")], false);
    assert_eq!(deliver(&mut lanes, 0, Verdict::Taken), [[3], [4], [6], [7]]);
    assert_eq!(lanes.starved().unwrap().after, 6);
    lanes.refill("a", vec![item(8, "a")], false);
    assert_eq!(lanes.starved(), None);
    assert!(lanes.offer(item(9, "a")));
}

#[test]
fn a_backlog_is_read_from_the_lane_that_is_behind_the_most() {
    let mut lanes = Lanes::new(config());
    lanes.behind(Arc::from("b"), 17);
    lanes.behind(Arc::from("a"), 20);
    assert!(!lanes.offer(item(30, "a")));
    assert_eq!(lanes.starved().unwrap().lane.as_ref(), "b");
    assert_eq!(lanes.starved().unwrap().lane.as_ref(), "a");
    lanes.refill("a", vec![item(30, "a")], false);
    // The read failed.
    lanes.refill("b", vec![], true);
    assert_eq!(lanes.starved().unwrap().after, 17);
}

#[test]
fn nobody_asks_for_what_has_no_room() {
    let small = Config {
        room: Room { items: 9, bytes: 4 },
        ..config()
    };
    let mut lanes = holding(small, &[(1, "a"), (2, "b")]);
    assert!(!lanes.offer(item(3, "c")));
    assert_eq!(
        (lanes.starved(), lanes.room()),
        (None, Room { items: 7, bytes: 0 })
    );
    assert_eq!(deliver(&mut lanes, 0, Verdict::Taken).len(), 2);
    assert_eq!(lanes.starved().unwrap().after, 2);
}
