//! A PostgreSQL that is stopped, away or refuses: clear errors in seconds, and all goes on after it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use store::{Error, Kind, NewEvent, Store};
use testkit::actors::Postgres;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, timeout};

use crate::engine::{Database, event, journal, row};

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

fn batch(token: i64) -> [NewEvent; 2] {
    let stream = token.to_string();
    [event(&stream, 1, &["h"]), event(&stream, 2, &["h"])]
}

/// Each event of the tokens is there once, and so is its delivery.
async fn assert_once(store: &Store, tokens: i64) {
    let all = journal(store).await;
    assert!(all.iter().map(|event| event.id).eq(1..=2 * tokens));
    let seen: HashSet<_> = all.iter().map(|event| (&event.stream, event.seq)).collect();
    assert_eq!(seen.len(), all.len());
    let pending = store.pending("h", 0, u32::MAX).await.unwrap();
    assert!(pending.iter().map(|pending| &pending.event).eq(&all));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_frozen_database_are_appended_once() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.database().unwrap();
    let store = Store::open(&url).await.unwrap();
    // Some are in the middle of it, wherever that is.
    let mut asking: Vec<_> = (0..40)
        .map(|token| {
            let store = store.clone();
            tokio::spawn(async move { store.append_events(token, 0, &batch(token)).await })
        })
        .collect();
    (&mut asking[3]).await.unwrap().unwrap();
    postgres.freeze().unwrap();
    let mut lost = Vec::new();
    for (token, asked) in (0..).zip(asking).filter(|(token, _)| *token != 3) {
        let answer = timeout(SECONDS, asked).await.unwrap().unwrap();
        if answer.is_err_and(|error| error.is_away()) {
            lost.push(token);
        }
    }
    let late = store.append_events(40, 0, &batch(40)).await.unwrap_err();
    assert!(late.is_away(), "{late}");
    lost.push(40);

    postgres.thaw().unwrap();
    for token in lost {
        let began = Instant::now();
        while store.append_events(token, 0, &batch(token)).await.is_err() {
            assert!(began.elapsed() < SECONDS);
        }
    }
    assert_once(&store, 41).await;
}

/// What stands between: once it has passed on a commit while told so, no answer comes back.
async fn relay(client: UnixStream, server: PathBuf, deaf: Arc<AtomicBool>) {
    let server = UnixStream::connect(server).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let lost = Arc::new(AtomicBool::new(false));
    let losing = lost.clone();
    let answers = tokio::spawn(async move {
        let mut bytes = [0; 65536];
        while let Ok(n @ 1..) = from_server.read(&mut bytes).await {
            if !losing.load(SeqCst) && to_client.write_all(&bytes[..n]).await.is_err() {
                break;
            }
        }
    });
    let mut bytes = [0; 65536];
    while let Ok(n @ 1..) = from_client.read(&mut bytes).await {
        if bytes[..n].windows(7).any(|word| word == b"COMMIT\0") && deaf.load(SeqCst) {
            lost.store(true, SeqCst);
        }
        to_server.write_all(&bytes[..n]).await.unwrap();
    }
    drop(to_server);
    answers.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_found_again() {
    let db = Database::postgres();
    let direct = db.open().await;
    direct.append_events(0, 0, &batch(0)).await.unwrap();
    let (start, name) = db.url.rsplit_once('/').unwrap();
    let (login, host) = start.rsplit_once('@').unwrap();
    let socket = Path::new(&host.replace("%2F", "/")).join(".s.PGSQL.5432");
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
    let deaf = Arc::new(AtomicBool::new(false));
    let told = deaf.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(relay(client, socket.clone(), told.clone()));
        }
    });
    let host = dir.path().display().to_string().replace('/', "%2F");
    let store = Store::open(&format!("{login}@{host}/{name}"))
        .await
        .unwrap();

    deaf.store(true, SeqCst);
    let lost = store.append_events(1, 2, &batch(1)).await.unwrap_err();
    assert!(lost.is_away(), "{lost}");
    assert_eq!(direct.last_event().await.unwrap(), 4);
    direct.append_events(2, 4, &batch(2)).await.unwrap();

    deaf.store(false, SeqCst);
    let found = store.append_events(1, 2, &batch(1)).await.unwrap();
    assert_eq!(found, [(3, 1), (4, 2)]);
    assert_once(&direct, 3).await;
}
