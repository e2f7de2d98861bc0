//! Numbering rows and their state.

use std::collections::HashSet;

use store::{Error, NewRow, Period, StateUpdate, Store};

use crate::engine::{Database, row};

on_both_engines!(
    rows_are_appended_in_order,
    a_row_that_is_asked_for_again_stays_alone,
    a_row_without_duration_is_refused,
    what_an_update_leaves_out_stays,
    the_highest_number_never_shrinks,
    more_states_than_fit_one_transaction_are_saved,
    numbering_survives_a_restart,
    two_writers_never_share_a_row_or_lose_the_highest,
    writers_of_many_streams_do_not_block_each_other,
);

fn highest(stream: &str, highest: i64) -> StateUpdate {
    StateUpdate {
        stream: stream.to_owned(),
        highest: Some(highest),
        ..StateUpdate::default()
    }
}

async fn rows_are_appended_in_order(db: Database) {
    let store = db.open().await;
    assert_eq!(store.numbering("news").await.unwrap(), None);
    let first = store.append_row("news", &row(0)).await.unwrap();
    let irregular = NewRow {
        regular: false,
        ..row(900)
    };
    let second = store.append_row("news", &irregular).await.unwrap();
    let other = store.append_row("other", &row(5)).await.unwrap();

    assert_eq!((first.seq, second.seq, other.seq), (0, 1, 0));
    assert_eq!(
        (second.n0, second.t0_ns, second.regular),
        (900, 1_800_000_000_000, false)
    );
    assert_eq!(store.rows("news").await.unwrap(), [first, second]);
    let state = store.numbering("news").await.unwrap().unwrap();
    assert_eq!(state.row, second);
    assert_eq!(
        (state.run_ahead, state.discontinuity, state.highest),
        (0, 0, 0)
    );
}

/// What a connection that broke seemed to lose may be there.
async fn a_row_that_is_asked_for_again_stays_alone(db: Database) {
    let store = db.open().await;
    let first = store.append_row("news", &row(0)).await.unwrap();
    assert_eq!(store.append_row("news", &row(0)).await.unwrap(), first);
    let second = store.append_row("news", &row(1)).await.unwrap();
    let third = store.append_row("news", &row(0)).await.unwrap();
    assert_eq!(store.rows("news").await.unwrap(), [first, second, third]);
}

async fn a_row_without_duration_is_refused(db: Database) {
    let store = db.open().await;
    let refused = store
        .append_row("news", &NewRow { d_ns: 0, ..row(0) })
        .await;
    assert!(matches!(refused, Err(Error::Database(_))));
    assert!(store.rows("news").await.unwrap().is_empty());
}

async fn what_an_update_leaves_out_stays(db: Database) {
    let store = db.open().await;
    let period = Period {
        start_ns: Some(1_795_228_844_310_000_000),
        number: Some(897_614_422),
        fingerprint: Some(-5),
    };
    let full = StateUpdate {
        stream: "news".to_owned(),
        run_ahead: Some(3),
        discontinuity: Some(7),
        highest: Some(100),
        period,
    };
    // Before the first row: the state may be saved earlier than the row it belongs to.
    store.save_states(&[full], 1).await.unwrap();
    assert_eq!(store.numbering("news").await.unwrap(), None);
    store.append_row("news", &row(0)).await.unwrap();

    let ahead = StateUpdate {
        stream: "news".to_owned(),
        run_ahead: Some(0),
        ..StateUpdate::default()
    };
    store.save_states(&[ahead], 2).await.unwrap();
    let state = store.numbering("news").await.unwrap().unwrap();
    assert_eq!(
        (state.run_ahead, state.discontinuity, state.highest),
        (0, 7, 100)
    );
    assert_eq!(state.period, period);
}

async fn the_highest_number_never_shrinks(db: Database) {
    let store = db.open().await;
    store.append_row("news", &row(0)).await.unwrap();
    store.save_states(&[], 0).await.unwrap();
    let mut most = 0;
    for number in [5, 3, 9, 9, 0, -1, 10, 2] {
        store
            .save_states(&[highest("news", number)], 1)
            .await
            .unwrap();
        most = most.max(number);
        assert_eq!(
            store.numbering("news").await.unwrap().unwrap().highest,
            most
        );
    }
}

async fn numbering_survives_a_restart(db: Database) {
    let store = db.open().await;
    store.append_row("news", &row(0)).await.unwrap();
    store.append_row("news", &row(7)).await.unwrap();
    store.save_states(&[highest("news", 42)], 1).await.unwrap();
    let (before, rows) = (
        store.numbering("news").await.unwrap(),
        store.rows("news").await.unwrap(),
    );
    store.close().await;

    let store = db.open().await;
    assert_eq!(store.numbering("news").await.unwrap(), before);
    assert_eq!(store.rows("news").await.unwrap(), rows);
    assert_eq!(before.unwrap().highest, 42);
}

async fn two_writers_never_share_a_row_or_lose_the_highest(db: Database) {
    let stores = [db.open().await, db.open().await];
    let [one, two] = stores;
    let tasks = [append_many(one, 0), append_many(two, 1000)].map(tokio::spawn);
    let mut seen = HashSet::new();
    for task in tasks {
        seen.extend(task.await.unwrap());
    }
    let store = db.open().await;
    let rows = store.rows("news").await.unwrap();
    assert!(rows.iter().map(|row| row.seq).eq(0..100));
    assert_eq!(seen, (0..100).collect());
    assert_eq!(store.numbering("news").await.unwrap().unwrap().highest, 99);
}

async fn append_many(store: Store, from: i64) -> Vec<i64> {
    let mut seen = Vec::new();
    for n in from..from + 50 {
        let appended = store.append_row("news", &row(n)).await.unwrap();
        let batch = [highest("news", appended.seq), highest("other", n)];
        store.save_states(&batch, n).await.unwrap();
        seen.push(appended.seq);
    }
    seen
}

async fn more_states_than_fit_one_transaction_are_saved(db: Database) {
    let store = db.open().await;
    let name = |n: i64| format!("s{n}");
    let updates: Vec<_> = (0..1201).map(|n| highest(&name(n), n)).collect();
    store.save_states(&updates, 1).await.unwrap();
    for n in [0, 499, 500, 1200] {
        store.append_row(&name(n), &row(0)).await.unwrap();
        let state = store.numbering(&name(n)).await.unwrap().unwrap();
        assert_eq!(state.highest, n);
    }
}

/// The same rows the other way round would be a deadlock.
async fn writers_of_many_streams_do_not_block_each_other(db: Database) {
    let forth: Vec<_> = (0..50).map(|n| highest(&format!("s{n}"), 1)).collect();
    let back: Vec<_> = forth.iter().rev().cloned().collect();
    let (one, two) = (db.open().await, db.open().await);
    let tasks = [(one, forth), (two, back)].map(|(store, updates)| {
        tokio::spawn(async move {
            for round in 0..20 {
                store.save_states(&updates, round).await.unwrap();
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
}
