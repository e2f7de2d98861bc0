//! The schema, embedded in the binary.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr, SqlitePool};

use crate::Error;

const SQLITE: &[(i64, &str, &str)] = &[
    (
        1,
        "streams",
        include_str!("../../../migrations/sqlite/0001_streams.sql"),
    ),
    (
        2,
        "numbering",
        include_str!("../../../migrations/sqlite/0002_numbering.sql"),
    ),
];

fn migrator(files: &[(i64, &'static str, &'static str)]) -> Migrator {
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
