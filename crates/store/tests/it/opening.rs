//! Opening and reopening.

use store::{Error, Store};

use crate::engine::Database;

on_both_engines!(
    ping_answers_until_closed,
    a_new_database_may_be_opened_by_many_at_once,
    a_newer_schema_is_refused,
);

#[tokio::test]
async fn other_databases_are_refused_without_showing_the_url() {
    for url in ["mysql://weir:s3cret@db/weir", "/tmp/s3cret.db", ""] {
        let error = Store::open(url).await.unwrap_err();
        assert!(matches!(error, Error::Scheme), "{url}");
        assert!(!format!("{error} {error:?}").contains("s3cret"));
        assert!(Store::check_url(url).is_err());
    }
}

async fn ping_answers_until_closed(db: Database) {
    let store = db.open().await;
    let clone = store.clone();
    clone.ping().await.unwrap();
    store.close().await;
    assert!(clone.ping().await.unwrap_err().is_away());
}

async fn a_new_database_may_be_opened_by_many_at_once(db: Database) {
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let url = db.url.clone();
            tokio::spawn(async move { Store::open(&url).await.map(drop) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

async fn a_newer_schema_is_refused(db: Database) {
    db.open().await.close().await;
    db.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            VALUES (9999, 'later', true, '', 0)",
    )
    .await;
    let opened = Store::open(&db.url).await;
    assert!(matches!(opened, Err(Error::Migration(_))));
}
