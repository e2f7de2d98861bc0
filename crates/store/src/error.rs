//! What can go wrong in the store.

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is taken.
    #[error("the name is taken")]
    Exists,
    /// Nothing of its kind is called that.
    #[error("not found")]
    NotFound,
    /// Somebody else changed it in between.
    #[error("it has changed: it is at version {current}")]
    Stale {
        /// The version it has now.
        current: i64,
    },
    // The URL itself stays out of the messages: it may hold a password.
    /// The database URL names a database that is not supported.
    #[error(
        "unsupported database URL: sqlite:PATH, sqlite::memory: or postgres://USER:PASSWORD@HOST/NAME"
    )]
    Scheme,
    /// The database URL makes no sense.
    #[error("the database URL cannot be read: {0}")]
    Url(&'static str),
    /// The schema could not be brought up to date.
    #[error("database migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The database did not answer in time.
    #[error("the database does not answer")]
    Timeout,
    /// The database failed, or could not be reached.
    #[error("{0}")]
    Database(sqlx::Error),
}

impl Error {
    /// Whether the database is away, or too busy to answer, rather than unwilling.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Timeout => true,
            Self::Database(sqlx::Error::Database(refused)) => {
                refused.code().is_some_and(|code| away(&code))
            }
            Self::Database(error) => {
                matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolClosed)
            }
            _ => false,
        }
    }
}

/// PostgreSQL's classes: connections, resources, an operator who stops it. SQLite's codes are numbers.
fn away(code: &str) -> bool {
    code.len() == 5
        && ["08", "53", "57"]
            .iter()
            .any(|class| code.starts_with(class))
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            // The pool's words for it say nothing to an operator.
            sqlx::Error::PoolTimedOut => Self::Timeout,
            error => Self::Database(error),
        }
    }
}
