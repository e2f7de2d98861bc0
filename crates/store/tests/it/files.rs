//! What only a file or a memory of our own has: SQLite.

use std::path::Path;

use store::{Error, Kind, StateUpdate, Store};

use crate::engine::{Database, row};

async fn memory() -> Store {
    Store::open("sqlite::memory:").await.unwrap()
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_an_error() {
    let opened = Store::open("sqlite:/nowhere/at/all/weir.db").await;
    assert!(matches!(opened, Err(Error::Database(_))));
}

#[tokio::test]
async fn databases_in_memory_are_apart() {
    let (one, two) = (memory().await, memory().await);
    one.create(Kind::Stream, "news", "{}", 1).await.unwrap();
    assert!(two.all(Kind::Stream).await.unwrap().is_empty());
}

/// Copies what a killed process would have left: the files as they are, nothing checkpointed.
fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn all_that_was_written_is_there_after_a_kill() {
    let (first, copy) = (Database::sqlite(), Database::sqlite());
    let store = first.open().await;
    let stream = store.create(Kind::Stream, "news", "{}", 1).await.unwrap();
    store.append_row("news", &row(3)).await.unwrap();
    let update = StateUpdate {
        stream: "news".to_owned(),
        discontinuity: Some(2),
        highest: Some(77),
        ..StateUpdate::default()
    };
    store.save_states(&[update], 2).await.unwrap();

    copy_files(first.dir(), copy.dir());
    assert!(copy.dir().join("weir.db-wal").exists());
    let revived = copy.open().await;
    assert_eq!(revived.all(Kind::Stream).await.unwrap(), [stream]);
    let state = revived.numbering("news").await.unwrap();
    assert_eq!(state, store.numbering("news").await.unwrap());
    assert_eq!(state.unwrap().highest, 77);
    revived.append_row("news", &row(78)).await.unwrap();
}
