//! Opening the database, and running statements on whichever kind it is.

use std::str::FromStr;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use tokio::time::{Instant, sleep};

use crate::{Error, migrations, postgres};

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(10);
// Above the busy timeout, so that a caller sees the lock and not the queue behind it.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const FILE_CONNECTIONS: u32 = 4;

/// All that Weir remembers. Clones share one pool of connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) db: Db,
}

#[derive(Clone, Debug)]
pub(crate) enum Db {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Runs a read, whichever database it is for.
macro_rules! read {
    ($store:expr, $connection:ident => $body:expr) => {
        match &$store.db {
            $crate::db::Db::Sqlite($connection) => $body,
            $crate::db::Db::Postgres(pool) => {
                let mut lease = $crate::postgres::Lease::take(pool).await?;
                let $connection = lease.connection()?;
                let answer = $crate::postgres::within(async move { $body }).await;
                lease.end(answer)
            }
        }
    };
}

/// Runs statements in one transaction. An early return from the body rolls back.
// SQLite, immediate: a deferred transaction that upgrades to writing fails at once when another
// wrote in between. PostgreSQL: what waited for a lock sees what the holder wrote.
macro_rules! transaction {
    ($store:expr, $tx:ident => $body:expr) => {
        match &$store.db {
            $crate::db::Db::Sqlite(pool) => {
                let mut $tx = pool.begin_with("BEGIN IMMEDIATE").await?;
                let out = $body;
                $tx.commit().await?;
                Ok(out)
            }
            $crate::db::Db::Postgres(pool) => {
                let mut lease = $crate::postgres::Lease::take(pool).await?;
                let connection = lease.connection()?;
                let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
                let work = async move {
                    let mut $tx = sqlx::Connection::begin_with(connection, begin).await?;
                    let out = $body;
                    $tx.commit().await?;
                    Ok(out)
                };
                let answer = $crate::postgres::within(work).await;
                lease.end(answer)
            }
        }
    };
}

impl Store {
    /// Opens `sqlite:/path/weir.db`, `sqlite::memory:` or `postgres://user:password@host/name`, and
    /// brings its schema up to date. A file that is missing is made; a database on a server is not.
    ///
    /// # Errors
    /// A URL that makes no sense, a database that cannot be opened or does not answer, or a schema
    /// newer than this binary. None of them shows the URL.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let db = match scheme(url)? {
            Scheme::Sqlite => Db::Sqlite(open_sqlite(url).await?),
            Scheme::Postgres => Db::Postgres(postgres::open(url).await?),
        };
        Ok(Self { db })
    }

    /// Reads a URL without opening anything.
    ///
    /// # Errors
    /// Those of [`Store::open`] that need no database.
    pub fn check_url(url: &str) -> Result<(), Error> {
        match scheme(url)? {
            Scheme::Sqlite => SqliteConnectOptions::from_str(url).map(drop)?,
            Scheme::Postgres => postgres::options(url).map(drop)?,
        }
        Ok(())
    }

    /// Asks the database for an answer, for readiness checks.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn ping(&self) -> Result<(), Error> {
        read!(self, connection => {
            sqlx::query("SELECT 1").execute(connection).await?;
            Ok(())
        })
    }

    /// Finishes what runs and closes all connections, those of clones too.
    pub async fn close(&self) {
        match &self.db {
            Db::Sqlite(pool) => pool.close().await,
            Db::Postgres(pool) => pool.close().await,
        }
    }
}

enum Scheme {
    Sqlite,
    Postgres,
}

fn scheme(url: &str) -> Result<Scheme, Error> {
    match url.split_once(':').map_or("", |(scheme, _)| scheme) {
        "sqlite" => Ok(Scheme::Sqlite),
        "postgres" | "postgresql" => Ok(Scheme::Postgres),
        _ => Err(Error::Scheme),
    }
}

async fn open_sqlite(url: &str) -> Result<SqlitePool, Error> {
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true);
    let pool = connect(url, &options).await?;
    migrations::sqlite(&pool).await?;
    Ok(pool)
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
