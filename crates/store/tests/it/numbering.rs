//! Numbering rows and their state.

use std::collections::HashSet;

use store::{Error, NewRow, StateUpdate, Store};

use crate::{database, memory, row};

fn highest(stream: &str, highest: i64) -> StateUpdate {
    StateUpdate {
        stream: stream.to_owned(),
        highest: Some(highest),
        ..StateUpdate::default()
    }
}

#[tokio::test]
async fn rows_are_appended_in_order() {
    let store = memory().await;
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

#[tokio::test]
async fn a_row_without_duration_is_refused() {
    let store = memory().await;
    let refused = store
        .append_row("news", &NewRow { d_ns: 0, ..row(0) })
        .await;
    assert!(matches!(refused, Err(Error::Database(_))));
    assert!(store.rows("news").await.unwrap().is_empty());
}

#[tokio::test]
async fn what_an_update_leaves_out_stays() {
    let store = memory().await;
    let full = StateUpdate {
        stream: "news".to_owned(),
        run_ahead: Some(3),
        discontinuity: Some(7),
        highest: Some(100),
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
}

#[tokio::test]
async fn the_highest_number_never_shrinks() {
    let store = memory().await;
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

#[tokio::test]
async fn numbering_survives_a_restart() {
    let (_dir, url) = database();
    let store = Store::open(&url).await.unwrap();
    store.append_row("news", &row(0)).await.unwrap();
    store.append_row("news", &row(7)).await.unwrap();
    store.save_states(&[highest("news", 42)], 1).await.unwrap();
    let (before, rows) = (
        store.numbering("news").await.unwrap(),
        store.rows("news").await.unwrap(),
    );
    store.close().await;

    let store = Store::open(&url).await.unwrap();
    assert_eq!(store.numbering("news").await.unwrap(), before);
    assert_eq!(store.rows("news").await.unwrap(), rows);
    assert_eq!(before.unwrap().highest, 42);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_never_share_a_row_or_lose_the_highest() {
    let (_dir, url) = database();
    let stores = [
        Store::open(&url).await.unwrap(),
        Store::open(&url).await.unwrap(),
    ];
    let tasks = stores.map(|store| tokio::spawn(append_many(store)));
    let mut seen = HashSet::new();
    for task in tasks {
        seen.extend(task.await.unwrap());
    }
    let store = Store::open(&url).await.unwrap();
    let rows = store.rows("news").await.unwrap();
    assert!(rows.iter().map(|row| row.seq).eq(0..100));
    assert_eq!(seen, (0..100).collect());
    assert_eq!(store.numbering("news").await.unwrap().unwrap().highest, 99);
}

async fn append_many(store: Store) -> Vec<i64> {
    let mut seen = Vec::new();
    for n in 0..50 {
        let appended = store.append_row("news", &row(n)).await.unwrap();
        let batch = [highest("news", appended.seq), highest("other", n)];
        store.save_states(&batch, n).await.unwrap();
        seen.push(appended.seq);
    }
    seen
}
