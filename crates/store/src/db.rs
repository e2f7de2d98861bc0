//! Opening the database, and running statements on whichever kind it is.

use std::str::FromStr;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::time::{Instant, sleep};

use crate::{Error, migrations};

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(10);
// Above the busy timeout, so that a caller sees the lock and not the queue behind it.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const FILE_CONNECTIONS: u32 = 4;

/// Streams and numbering rows. Clones share one pool of connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) db: Db,
}

#[derive(Clone, Debug)]
pub(crate) enum Db {
    Sqlite(SqlitePool),
}

/// Runs a read on the pool, whichever database it belongs to.
macro_rules! read {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.db {
            $crate::db::Db::Sqlite($pool) => $body,
        }
    };
}

/// Runs statements in one transaction. An early return from the body rolls back.
// Immediate: a deferred transaction that upgrades to writing fails at once when another wrote in between.
macro_rules! transaction {
    ($store:expr, $tx:ident => $body:expr) => {
        match &$store.db {
            $crate::db::Db::Sqlite(pool) => {
                let mut $tx = pool.begin_with("BEGIN IMMEDIATE").await?;
                let out = $body;
                $tx.commit().await?;
                Ok(out)
            }
        }
    };
}

impl Store {
    /// Opens `sqlite:/path/weir.db` or `sqlite::memory:`, creates it if missing and migrates it.
    ///
    /// # Errors
    /// An unknown scheme, a file that cannot be opened, or a schema newer than this binary.
    pub async fn open(url: &str) -> Result<Self, Error> {
        match url.split_once(':').map_or("", |(scheme, _)| scheme) {
            "sqlite" => open_sqlite(url).await,
            scheme => Err(Error::Scheme {
                scheme: scheme.to_owned(),
            }),
        }
    }

    /// Asks the database for an answer, for readiness checks.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn ping(&self) -> Result<(), Error> {
        read!(self, pool => sqlx::query("SELECT 1").execute(pool).await?);
        Ok(())
    }

    /// Finishes what runs and closes all connections, those of clones too.
    pub async fn close(&self) {
        read!(self, pool => pool.close().await);
    }
}

async fn open_sqlite(url: &str) -> Result<Store, Error> {
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true);
    let pool = connect(url, &options).await?;
    migrations::sqlite(&pool).await?;
    let db = Db::Sqlite(pool);
    Ok(Store { db })
}

/// Two processes that switch a new file to WAL at once get "busy" without SQLite waiting: try again.
async fn connect(url: &str, options: &SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match sqlite_pool(url).connect_with(options.clone()).await {
            Err(error) if busy(&error) && Instant::now() < deadline => sleep(BUSY_PAUSE).await,
            done => return done,
        }
    }
}

fn busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    // The low byte is SQLITE_BUSY, whatever the extended code above it.
    code.and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

fn sqlite_pool(url: &str) -> SqlitePoolOptions {
    let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT);
    if url.contains(":memory:") || url.contains("mode=memory") {
        // A database in memory lives as long as its connection; a shared cache ignores the busy timeout.
        pool.max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
    } else {
        pool.max_connections(FILE_CONNECTIONS)
    }
}
