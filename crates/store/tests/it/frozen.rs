//! A PostgreSQL that is stopped, away or refuses: clear errors in seconds, and all goes on after it.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use store::{Error, Kind, Store};
use testkit::actors::Postgres;
use tokio::time::{Instant, timeout};

use crate::engine::{Database, row};

const SECONDS: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_database_is_an_error_and_a_thawed_one_works_again() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.database().unwrap();
    let store = Store::open(&url).await.unwrap();
    store.create(Kind::Stream, "news", "{}", 1).await.unwrap();

    postgres.freeze().unwrap();
    // More than the pool has connections: none of them is lost to it.
    let asking: Vec<_> = (0..20)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                match n % 2 {
                    0 => store.ping().await,
                    _ => store.append_row("news", &row(n)).await.map(drop),
                }
            })
        })
        .collect();
    let opening = tokio::spawn(async move { Store::open(&url).await });
    for asked in asking {
        let answer = timeout(SECONDS, asked).await.unwrap().unwrap();
        let error = answer.unwrap_err();
        assert!(error.is_away(), "{error}");
        assert_eq!(error.to_string(), "the database does not answer");
    }
    let opened = timeout(SECONDS, opening).await.unwrap().unwrap();
    assert!(matches!(opened, Err(Error::Timeout)));

    postgres.thaw().unwrap();
    let began = Instant::now();
    while store.ping().await.is_err() {
        assert!(began.elapsed() < SECONDS);
    }
    store.append_row("other", &row(0)).await.unwrap();
    assert_eq!(
        store
            .get(Kind::Stream, "news")
            .await
            .unwrap()
            .unwrap()
            .version,
        1
    );
}

/// The connection is in the middle of a statement, which waits for somebody else's lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_not_answered_ends() {
    let db = Database::postgres();
    let store = db.open().await;
    store.create(Kind::Stream, "news", "0", 1).await.unwrap();
    let mut other = PgConnection::connect(&db.url).await.unwrap();
    let mut holder = other.begin().await.unwrap();
    let lock = sqlx::query("SELECT version FROM streams FOR UPDATE");
    lock.execute(&mut *holder).await.unwrap();

    let update = timeout(SECONDS, store.update(Kind::Stream, "news", "1", None, 2));
    let error = update.await.unwrap().unwrap_err();
    assert!(error.is_away(), "{error}");
    holder.rollback().await.unwrap();
    let updated = store
        .update(Kind::Stream, "news", "1", Some(1), 2)
        .await
        .unwrap();
    assert_eq!(updated.version, 2);
}

#[tokio::test]
async fn who_is_not_let_in_is_told_without_the_password() {
    let db = Database::postgres();
    let wrong = db.url.replace("s3cret", "wr0ng");
    let error = Store::open(&wrong).await.unwrap_err();
    assert!(
        error.to_string().contains("authentication failed"),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("wr0ng"));

    let (server, _) = db.url.rsplit_once('/').unwrap();
    let error = Store::open(&format!("{server}/nope")).await.unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_an_error_at_once() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let url = format!("postgres://weir:s3cret@127.0.0.1:{port}/weir");
    let error = Store::open(&url).await.unwrap_err();
    assert!(
        error.is_away() && error.to_string().contains("refused"),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}
