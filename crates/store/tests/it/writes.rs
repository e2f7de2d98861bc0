//! Many changes at once: all or none. Kinds are apart.

use store::{Error, Kind, Store, Write};

use crate::engine::{Database, event};

on_both_engines!(
    kinds_are_apart,
    writes_are_told_in_their_order,
    a_failure_in_the_middle_leaves_nothing,
    a_thousand_writes_are_one,
    writers_of_many_do_not_block_each_other,
    a_deleted_hook_takes_its_deliveries_along,
);

const KINDS: [Kind; 3] = [Kind::Stream, Kind::Template, Kind::Hook];

const fn create(kind: Kind, name: &str) -> Write<'_> {
    let config = "{}";
    Write::Create { kind, name, config }
}

const fn update(name: &str, version: Option<i64>) -> Write<'_> {
    Write::Update {
        kind: Kind::Stream,
        name,
        config: "new",
        version,
    }
}

const fn delete(name: &str, version: Option<i64>) -> Write<'_> {
    Write::Delete {
        kind: Kind::Stream,
        name,
        version,
    }
}

async fn names(store: &Store, kind: Kind) -> Vec<String> {
    let all = store.all(kind).await.unwrap().into_iter();
    all.map(|record| record.name).collect()
}

async fn kinds_are_apart(db: Database) {
    let store = db.open().await;
    for (n, kind) in (10..).zip(KINDS) {
        let made = store.create(kind, "news", "{}", n).await.unwrap();
        let changed = store.update(kind, "news", "1", Some(1), n).await.unwrap();
        assert_eq!((made.created_ms, changed.version), (n, 2));
        assert_eq!(store.get(kind, "news").await.unwrap(), Some(changed));
    }
    store.delete(Kind::Template, "news", Some(2)).await.unwrap();
    for (kind, left) in KINDS.into_iter().zip([1, 0, 1]) {
        assert_eq!(store.all(kind).await.unwrap().len(), left);
        let page = store.list(kind, None, "n", 9).await.unwrap();
        assert_eq!(page.len(), left);
    }
    let gone = store.update(Kind::Template, "news", "2", None, 1).await;
    assert!(matches!(gone, Err(Error::NotFound)));
}

async fn writes_are_told_in_their_order(db: Database) {
    let store = db.open().await;
    store.create(Kind::Stream, "z", "{}", 1).await.unwrap();
    let writes = [
        update("z", Some(1)),
        create(Kind::Hook, "a"),
        delete("z", Some(2)),
        create(Kind::Stream, "b"),
        create(Kind::Stream, "z"),
    ];
    let written = store.write(&writes, 7).await.unwrap();
    let seen = written.iter().map(|record| {
        let record = record.as_ref()?;
        Some((record.name.as_str(), record.version, record.created_ms))
    });
    let expected = [
        Some(("z", 2, 1)),
        Some(("a", 1, 7)),
        None,
        Some(("b", 1, 7)),
        Some(("z", 1, 7)),
    ];
    assert!(seen.eq(expected));
    assert_eq!(names(&store, Kind::Stream).await, ["b", "z"]);
    assert_eq!(names(&store, Kind::Hook).await, ["a"]);
    assert!(store.write(&[], 1).await.unwrap().is_empty());
}

async fn a_failure_in_the_middle_leaves_nothing(db: Database) {
    let store = db.open().await;
    store.create(Kind::Stream, "m", "{}", 1).await.unwrap();
    let before = store.all(Kind::Stream).await.unwrap();
    for (failing, expected) in [
        (create(Kind::Stream, "m"), Error::Exists),
        (update("m", Some(1)), Error::Stale { current: 2 }),
        (update("n", None), Error::NotFound),
        (delete("m", Some(1)), Error::Stale { current: 2 }),
        (delete("n", Some(1)), Error::NotFound),
        (delete("n\0", None), Error::NotFound),
    ] {
        let writes = [
            create(Kind::Template, "t"),
            create(Kind::Stream, "a"),
            update("m", Some(1)),
            failing,
            create(Kind::Stream, "z"),
            create(Kind::Hook, "h"),
        ];
        let error = store.write(&writes, 2).await.unwrap_err();
        assert_eq!(error.to_string(), expected.to_string());
        assert_eq!(store.all(Kind::Stream).await.unwrap(), before);
        assert!(names(&store, Kind::Template).await.is_empty());
        assert!(names(&store, Kind::Hook).await.is_empty());
    }
}

async fn a_thousand_writes_are_one(db: Database) {
    let store = db.open().await;
    let names: Vec<_> = (0..1000).map(|n| format!("s{n}")).collect();
    let creates: Vec<_> = names.iter().map(|n| create(Kind::Stream, n)).collect();
    let made = store.write(&creates, 1).await.unwrap();
    assert!(made.iter().flatten().map(|record| &record.name).eq(&names));
    let deletes: Vec<_> = names.iter().map(|n| delete(n, Some(1))).collect();
    assert_eq!(store.write(&deletes, 2).await.unwrap(), vec![None; 1000]);
    assert!(store.all(Kind::Stream).await.unwrap().is_empty());
}

/// The same names the other way round would be a deadlock.
async fn writers_of_many_do_not_block_each_other(db: Database) {
    let store = db.open().await;
    let names: Vec<_> = (0..50).map(|n| format!("s{n}")).collect();
    let creates: Vec<_> = names.iter().map(|n| create(Kind::Stream, n)).collect();
    store.write(&creates, 1).await.unwrap();
    let other = db.open().await;
    let back = names.iter().rev().cloned().collect();
    let tasks = [(store.clone(), names), (other, back)].map(|(store, names)| {
        tokio::spawn(async move {
            let updates: Vec<_> = names.iter().map(|n: &String| update(n, None)).collect();
            for round in 0..20 {
                store.write(&updates, round).await.unwrap();
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    let all = store.all(Kind::Stream).await.unwrap();
    assert!(all.iter().all(|record| record.version == 41));
}

async fn a_deleted_hook_takes_its_deliveries_along(db: Database) {
    let store = db.open().await;
    for hook in ["a", "b"] {
        store.create(Kind::Hook, hook, "{}", 1).await.unwrap();
    }
    let events = [event("news", 1, &["a", "b"]), event("news", 2, &["a"])];
    store.append_events(1, 0, &events).await.unwrap();
    store.buried("a", &[2], 3, "410").await.unwrap();

    let stale = store.delete(Kind::Hook, "a", Some(9)).await;
    assert!(matches!(stale, Err(Error::Stale { current: 1 })));
    assert_eq!(store.pending("a", 0, 9).await.unwrap().len(), 1);
    store.delete(Kind::Hook, "a", Some(1)).await.unwrap();
    let backlog = store.backlog().await.unwrap();
    assert!(backlog.iter().map(|left| &*left.hook).eq(["b"]));

    // One that is called like a stream is not meant by the stream's end.
    store.create(Kind::Stream, "b", "{}", 1).await.unwrap();
    store.delete(Kind::Stream, "b", None).await.unwrap();
    assert_eq!(store.pending("b", 0, 9).await.unwrap().len(), 1);
}
