//! The schema, embedded in the binary: a folder for each engine, with equal numbers.

use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgConnection, SqlSafeStr, SqlitePool};
use tokio::time::timeout;

use crate::Error;

/// Another process may be migrating; a schema that is up to date takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

macro_rules! files {
    ($engine:literal) => {
        &[
            (1, "streams", sql!($engine, "0001_streams")),
            (2, "numbering", sql!($engine, "0002_numbering")),
            (3, "tokens", sql!($engine, "0003_tokens")),
            (
                4,
                "resources and events",
                sql!($engine, "0004_resources_and_events"),
            ),
            (5, "periods", sql!($engine, "0005_periods")),
        ]
    };
}

macro_rules! sql {
    ($engine:literal, $name:literal) => {
        include_str!(concat!("../../../migrations/", $engine, "/", $name, ".sql"))
    };
}

type Files = &'static [(i64, &'static str, &'static str)];

const SQLITE: Files = files!("sqlite");
const POSTGRES: Files = files!("postgres");

fn migrator(files: Files) -> Migrator {
    let migrations = files.iter().map(|&(version, description, sql)| {
        let kind = MigrationType::Simple;
        Migration::new(version, description.into(), kind, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// The outer transaction is the lock that sqlx does not take on SQLite: two processes may start at once.
pub(crate) async fn sqlite(pool: &SqlitePool) -> Result<(), Error> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    // Not `run`: its future is not `Send` when it is given a borrowed connection.
    migrator(SQLITE)
        .run_direct(None, &mut *transaction, false)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// On PostgreSQL sqlx takes an advisory lock, so that processes that start at once take turns.
pub(crate) async fn postgres(connection: &mut PgConnection) -> Result<(), Error> {
    let migrator = migrator(POSTGRES);
    let migrating = migrator.run_direct(None, connection, false);
    let migrated = timeout(PATIENCE, migrating).await;
    Ok(migrated.map_err(|_| Error::Timeout)??)
}
