//! Opening, reopening, and what is left after a kill.

use std::path::Path;

use store::{Error, StateUpdate, Store};

use crate::{database, memory, row, url};

#[tokio::test]
async fn other_databases_are_refused_without_showing_the_url() {
    for url in ["postgres://weir:secret@db/weir", "/tmp/weir.db", ""] {
        let error = Store::open(url).await.unwrap_err();
        assert!(matches!(error, Error::Scheme { .. }), "{url}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_an_error() {
    let opened = Store::open("sqlite:/nowhere/at/all/weir.db").await;
    assert!(matches!(opened, Err(Error::Database(_))));
}

#[tokio::test]
async fn databases_in_memory_are_apart() {
    let (one, two) = (memory().await, memory().await);
    one.create("news", "{}", 1).await.unwrap();
    assert!(two.all().await.unwrap().is_empty());
}

#[tokio::test]
async fn ping_answers_until_closed() {
    let store = memory().await;
    let clone = store.clone();
    clone.ping().await.unwrap();
    store.close().await;
    assert!(matches!(clone.ping().await, Err(Error::Database(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_may_be_opened_by_many_at_once() {
    let (_dir, url) = database();
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { Store::open(&url).await.map(drop) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
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
    let (dir, first) = database();
    let store = Store::open(&first).await.unwrap();
    let stream = store.create("news", "{}", 1).await.unwrap();
    store.append_row("news", &row(3)).await.unwrap();
    let update = StateUpdate {
        stream: "news".to_owned(),
        discontinuity: Some(2),
        highest: Some(77),
        ..StateUpdate::default()
    };
    store.save_states(&[update], 2).await.unwrap();

    let copy = tempfile::tempdir().unwrap();
    copy_files(dir.path(), copy.path());
    assert!(copy.path().join("weir.db-wal").exists());
    let revived = Store::open(&url(&copy)).await.unwrap();
    assert_eq!(revived.all().await.unwrap(), [stream]);
    let state = revived.numbering("news").await.unwrap();
    assert_eq!(state, store.numbering("news").await.unwrap());
    assert_eq!(state.unwrap().highest, 77);
    revived.append_row("news", &row(78)).await.unwrap();
}
