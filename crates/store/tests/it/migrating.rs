//! A database that an older binary has left.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection as _, PgConnection, SqlSafeStr as _, SqliteConnection};
use store::Kind;

use crate::engine::{Database, event};

on_both_engines!(what_schema_0003_held_is_there_and_the_rest_works);

macro_rules! files {
    ($engine:literal) => {
        [
            (
                1,
                "streams",
                include_str!(concat!(
                    "../../../../migrations/",
                    $engine,
                    "/0001_streams.sql"
                )),
            ),
            (
                2,
                "numbering",
                include_str!(concat!(
                    "../../../../migrations/",
                    $engine,
                    "/0002_numbering.sql"
                )),
            ),
            (
                3,
                "tokens",
                include_str!(concat!(
                    "../../../../migrations/",
                    $engine,
                    "/0003_tokens.sql"
                )),
            ),
        ]
    };
}

const DATA: &str = "INSERT INTO streams VALUES ('news', '{}', 3, 1, 2);
    INSERT INTO numbering_rows VALUES ('news', 0, 0, 7, 2000000000, 2, TRUE, 2000000000);
    INSERT INTO numbering_state VALUES ('news', 0, 1, 42, 9);
    INSERT INTO tokens VALUES ('t', 'ci', 'admin', 'hash', 1, NULL)";

fn migrator(files: [(i64, &'static str, &'static str); 3]) -> Migrator {
    let migrations = files.map(|(version, name, sql)| {
        let kind = MigrationType::Simple;
        Migration::new(version, name.into(), kind, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.to_vec())
}

async fn make_0003(url: &str) {
    if url.starts_with("sqlite") {
        let url = format!("{url}?mode=rwc");
        let mut old = SqliteConnection::connect(&url).await.unwrap();
        let migrating = migrator(files!("sqlite"));
        migrating.run_direct(None, &mut old, false).await.unwrap();
    } else {
        let mut old = PgConnection::connect(url).await.unwrap();
        let migrating = migrator(files!("postgres"));
        migrating.run_direct(None, &mut old, false).await.unwrap();
    }
}

async fn what_schema_0003_held_is_there_and_the_rest_works(db: Database) {
    make_0003(&db.url).await;
    db.execute(DATA).await;

    let store = db.open().await;
    let news = store.get(Kind::Stream, "news").await.unwrap().unwrap();
    assert_eq!((news.version, news.created_ms, news.updated_ms), (3, 1, 2));
    let state = store.numbering("news").await.unwrap().unwrap();
    assert_eq!((state.highest, state.row.n0), (42, 7));
    assert_eq!(store.tokens().await.unwrap()[0].id, "t");

    assert_eq!(store.last_event().await.unwrap(), 0);
    store.create(Kind::Hook, "h", "{}", 1).await.unwrap();
    let first = [event("news", 1, &["h"])];
    let given = store.append_events(1, 0, &first).await.unwrap();
    assert_eq!(given, [(1, 1)]);
    assert_eq!(store.pending("h", 0, 9).await.unwrap().len(), 1);
}
