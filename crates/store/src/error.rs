//! What can go wrong in the store.

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A stream of that name is there already.
    #[error("the stream exists already")]
    Exists,
    /// No stream has that name.
    #[error("no such stream")]
    NotFound,
    /// Somebody else changed the stream in between.
    #[error("the stream has changed: it is at version {current}")]
    Stale {
        /// The version the stream has now.
        current: i64,
    },
    // The URL itself stays out of the message: it may hold a password.
    /// The database URL names a database that is not supported.
    #[error("unsupported database URL scheme {scheme:?}: use sqlite:PATH or sqlite::memory:")]
    Scheme {
        /// What stood before the first colon.
        scheme: String,
    },
    /// The schema could not be brought up to date.
    #[error("database migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}
