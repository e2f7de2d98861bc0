//! Create, read, update, delete, versions and paging.

use store::{Error, Kind, Store};

use crate::engine::{Database, row};

on_both_engines!(
    a_stream_is_created_read_updated_and_deleted,
    a_taken_name_is_refused_and_left_alone,
    a_stale_version_changes_nothing,
    a_missing_stream_is_not_found,
    a_name_with_nul_is_not_found,
    pages_follow_each_other_by_name,
    names_sort_by_their_bytes,
    a_prefix_is_taken_literally,
    a_deleted_name_keeps_its_numbering,
    of_two_writers_one_wins_each_version,
    of_two_that_delete_one_version_one_wins,
);

async fn a_stream_is_created_read_updated_and_deleted(db: Database) {
    let store = db.open().await;
    let made = store
        .create(Kind::Stream, "news", "{\"a\":1}", 10)
        .await
        .unwrap();
    assert_eq!(
        (made.version, made.created_ms, made.updated_ms),
        (1, 10, 10)
    );
    assert_eq!(
        store.get(Kind::Stream, "news").await.unwrap(),
        Some(made.clone())
    );

    let changed = store
        .update(Kind::Stream, "news", "{}", Some(1), 20)
        .await
        .unwrap();
    assert_eq!(
        (changed.version, changed.created_ms, changed.updated_ms),
        (2, 10, 20)
    );
    assert_eq!(changed.config, "{}");
    assert_eq!(store.all(Kind::Stream).await.unwrap(), [changed]);

    store.delete(Kind::Stream, "news", None).await.unwrap();
    assert_eq!(store.get(Kind::Stream, "news").await.unwrap(), None);
}

async fn a_taken_name_is_refused_and_left_alone(db: Database) {
    let store = db.open().await;
    let first = store.create(Kind::Stream, "news", "1", 1).await.unwrap();
    assert!(matches!(
        store.create(Kind::Stream, "news", "2", 2).await,
        Err(Error::Exists)
    ));
    assert_eq!(store.get(Kind::Stream, "news").await.unwrap(), Some(first));
    store.create(Kind::Stream, "News", "3", 3).await.unwrap();
}

async fn a_stale_version_changes_nothing(db: Database) {
    let store = db.open().await;
    store.create(Kind::Stream, "news", "1", 1).await.unwrap();
    let second = store
        .update(Kind::Stream, "news", "2", None, 2)
        .await
        .unwrap();
    let update = store.update(Kind::Stream, "news", "3", Some(1), 3).await;
    assert!(matches!(update, Err(Error::Stale { current: 2 })));
    let delete = store.delete(Kind::Stream, "news", Some(1)).await;
    assert!(matches!(delete, Err(Error::Stale { current: 2 })));
    assert_eq!(store.get(Kind::Stream, "news").await.unwrap(), Some(second));
    store.delete(Kind::Stream, "news", Some(2)).await.unwrap();
}

async fn a_missing_stream_is_not_found(db: Database) {
    let store = db.open().await;
    assert!(matches!(
        store.update(Kind::Stream, "x", "1", None, 1).await,
        Err(Error::NotFound)
    ));
    assert!(matches!(
        store.update(Kind::Stream, "x", "1", Some(1), 1).await,
        Err(Error::NotFound)
    ));
    assert!(matches!(
        store.delete(Kind::Stream, "x", Some(1)).await,
        Err(Error::NotFound)
    ));
}

/// PostgreSQL has no text with NUL: it would be a failure of the database.
async fn a_name_with_nul_is_not_found(db: Database) {
    let store = db.open().await;
    store.create(Kind::Stream, "ab", "{}", 1).await.unwrap();
    assert_eq!(store.get(Kind::Stream, "a\0b").await.unwrap(), None);
    let update = store.update(Kind::Stream, "a\0b", "{}", None, 1).await;
    assert!(matches!(update, Err(Error::NotFound)));
    let delete = store.delete(Kind::Stream, "a\0b", None).await;
    assert!(matches!(delete, Err(Error::NotFound)));
    assert_eq!(page(&store, Some("a\0z"), "", 9).await, ["ab"]);
    assert!(page(&store, None, "a\0", 9).await.is_empty());
}

async fn page(store: &Store, after: Option<&str>, prefix: &str, limit: u32) -> Vec<String> {
    let records = store
        .list(Kind::Stream, after, prefix, limit)
        .await
        .unwrap();
    records.into_iter().map(|record| record.name).collect()
}

async fn pages_follow_each_other_by_name(db: Database) {
    let store = db.open().await;
    for name in ["live/c", "vod/a", "live/a", "live/b", "a"] {
        store.create(Kind::Stream, name, "{}", 1).await.unwrap();
    }
    assert_eq!(page(&store, None, "live/", 2).await, ["live/a", "live/b"]);
    assert_eq!(page(&store, Some("live/b"), "live/", 2).await, ["live/c"]);
    assert!(page(&store, Some("live/c"), "live/", 2).await.is_empty());
    assert_eq!(page(&store, Some("live/c"), "", 9).await, ["vod/a"]);
    assert_eq!(page(&store, None, "", 9).await.len(), 5);
}

/// Whatever the database's own order is: here PostgreSQL's puts `a` before `B`.
async fn names_sort_by_their_bytes(db: Database) {
    let store = db.open().await;
    let mut names = ["b", "B", "a", "A", "a-", "a_", "aB", "é", "0", "a/b"];
    for name in names {
        store.create(Kind::Stream, name, "{}", 1).await.unwrap();
    }
    names.sort_unstable();
    assert_eq!(page(&store, None, "", 99).await, names);
    let all = store.all(Kind::Stream).await.unwrap();
    assert!(all.iter().map(|record| &record.name).eq(names));
    for (at, name) in names.iter().enumerate() {
        assert_eq!(page(&store, Some(name), "", 99).await, names[at + 1..]);
    }
}

async fn a_prefix_is_taken_literally(db: Database) {
    let store = db.open().await;
    for name in ["a_b", "axb", "a%b", "A_b", "a\\b", "ä_b", "a_"] {
        store.create(Kind::Stream, name, "{}", 1).await.unwrap();
    }
    assert_eq!(page(&store, None, "a_", 9).await, ["a_", "a_b"]);
    assert_eq!(page(&store, None, "a%", 9).await, ["a%b"]);
    assert_eq!(page(&store, None, "a\\", 9).await, ["a\\b"]);
    assert_eq!(page(&store, None, "ä", 9).await, ["ä_b"]);
    assert!(page(&store, None, "%", 9).await.is_empty());
}

async fn a_deleted_name_keeps_its_numbering(db: Database) {
    let store = db.open().await;
    store.create(Kind::Stream, "news", "{}", 1).await.unwrap();
    let appended = store.append_row("news", &row(0)).await.unwrap();
    store.delete(Kind::Stream, "news", None).await.unwrap();
    store.create(Kind::Stream, "news", "{}", 2).await.unwrap();
    assert_eq!(store.rows("news").await.unwrap(), [appended]);
}

async fn of_two_writers_one_wins_each_version(db: Database) {
    let stores = [db.open().await, db.open().await];
    stores[0]
        .create(Kind::Stream, "news", "0", 0)
        .await
        .unwrap();
    let tasks = stores.map(|store| tokio::spawn(count_up(store, 50)));
    let mut won = 0;
    for task in tasks {
        won += task.await.unwrap();
    }
    let store = db.open().await;
    let record = store.get(Kind::Stream, "news").await.unwrap().unwrap();
    assert_eq!((won, record.version), (100, 101));
    assert_eq!(record.config, "100");
}

/// Adds one to the number in `config` as often as asked, again after every lost race.
async fn count_up(store: Store, times: u32) -> u32 {
    let mut won = 0;
    while won < times {
        let record = store.get(Kind::Stream, "news").await.unwrap().unwrap();
        let next = (record.config.parse::<u32>().unwrap() + 1).to_string();
        match store
            .update(Kind::Stream, "news", &next, Some(record.version), 1)
            .await
        {
            Ok(_) => won += 1,
            Err(Error::Stale { current }) => assert!(current > record.version),
            Err(error) => panic!("{error}"),
        }
    }
    won
}

async fn of_two_that_delete_one_version_one_wins(db: Database) {
    let stores = [db.open().await, db.open().await];
    for round in 0..20 {
        stores[0]
            .create(Kind::Stream, "news", "{}", round)
            .await
            .unwrap();
        let tasks = stores.clone().map(|store| {
            tokio::spawn(async move { store.delete(Kind::Stream, "news", Some(1)).await })
        });
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(()) => won += 1,
                Err(Error::NotFound) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won, 1);
    }
}
