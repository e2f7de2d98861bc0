//! An empty database of either engine.

use sqlx::{Connection as _, PgConnection, SqliteConnection};
use store::{EventQuery, EventRecord, NewEvent, NewRow, Store};
use tempfile::TempDir;
use testkit::actors::Postgres;

pub(crate) struct Database {
    pub(crate) url: String,
    /// A file's directory; it goes when the test ends.
    dir: Option<TempDir>,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("weir.db").display());
        let dir = Some(dir);
        Self { url, dir }
    }

    pub(crate) fn postgres() -> Self {
        let url = Postgres::shared().unwrap().database().unwrap();
        Self { url, dir: None }
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }

    /// What somebody else does to it.
    pub(crate) async fn execute(&self, statement: &'static str) {
        let query = sqlx::raw_sql(statement);
        if self.dir.is_some() {
            let mut other = SqliteConnection::connect(&self.url).await.unwrap();
            query.execute(&mut other).await.unwrap();
        } else {
            let mut other = PgConnection::connect(&self.url).await.unwrap();
            query.execute(&mut other).await.unwrap();
        }
    }

    /// Where the file is.
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.as_ref().unwrap().path()
    }
}

pub(crate) fn row(n0: i64) -> NewRow {
    NewRow {
        t0_ns: n0 * 2_000_000_000,
        n0,
        d_ns: 2_000_000_000,
        target_duration: 2,
        regular: true,
        segment_ns: 2_000_000_000,
    }
}

/// An event of a stream at a time, for some hooks.
pub(crate) fn event(stream: &str, time_ms: i64, hooks: &[&str]) -> NewEvent {
    NewEvent {
        stream: stream.to_owned(),
        kind: "stream.up".to_owned(),
        time_ms,
        data: format!("{{\"at\":{time_ms}}}"),
        hooks: hooks.iter().map(|&hook| hook.to_owned()).collect(),
    }
}

/// All that is in the journal, oldest first.
pub(crate) async fn journal(store: &Store) -> Vec<EventRecord> {
    let query = EventQuery {
        limit: u32::MAX,
        ..EventQuery::default()
    };
    store.events(&query).await.unwrap()
}

pub(crate) fn ids(events: &[EventRecord]) -> Vec<i64> {
    events.iter().map(|event| event.id).collect()
}
