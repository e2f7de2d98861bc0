//! PostgreSQL: what its URL may say, its pool, and how long an answer may take.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};
use tokio::time::timeout;

use crate::{Error, migrations};

const CONNECTIONS: u32 = 8;
/// For the first connection, at start-up.
const FIRST: Duration = Duration::from_secs(5);
const ACQUIRE: Duration = Duration::from_secs(3);
/// For a read or a transaction, seen from here.
const ANSWER: Duration = Duration::from_secs(5);
/// What the server is told, so that nothing of ours holds a lock for longer than we wait.
const LIMITS: [(&str, &str); 2] = [
    ("statement_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "10s"),
];
/// What sqlx reads. It logs what it does not know, and that might be half a password.
const PARAMETERS: [&str; 13] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];

/// Reads a URL without connecting.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, Error> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = query.split('&').filter(|pair| !pair.is_empty());
    if !pairs.all(is_known) {
        return Err(Error::Url(
            "a parameter is not known, or the password is not percent-encoded",
        ));
    }
    // The cause is left out: it may quote what it could not read.
    let options = PgConnectOptions::from_str(url);
    let options = options.map_err(|_| {
        Error::Url("a part of it is malformed, or the password is not percent-encoded")
    })?;
    Ok(options.application_name("weir"))
}

fn is_known(pair: &str) -> bool {
    let key = pair.split('=').next().unwrap_or_default();
    PARAMETERS.contains(&key) || (key.starts_with("options[") && key.ends_with(']'))
}

/// Brings the schema up to date, then opens a pool that connects when it must.
pub(crate) async fn open(url: &str) -> Result<PgPool, Error> {
    let options = options(url)?;
    // A connection of its own: waiting for another process that migrates has other limits.
    let connecting = timeout(FIRST, PgConnection::connect_with(&options)).await;
    let mut connection = connecting.map_err(|_| Error::Timeout)??;
    migrations::postgres(&mut connection).await?;
    connection.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE);
    Ok(pool.connect_lazy_with(options.options(LIMITS)))
}

/// The work, but not for ever: a server that was stopped takes requests and never answers.
pub(crate) async fn within<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(ANSWER, work).await.unwrap_or(Err(Error::Timeout))
}

/// A connection that goes back to the pool only after an answer. One that was given up half-way
/// might hang for as long as the network likes, and the pool would wait for it: it is closed.
pub(crate) struct Lease(Option<PoolConnection<Postgres>>);

impl Lease {
    pub(crate) async fn take(pool: &PgPool) -> Result<Self, Error> {
        Ok(Self(Some(pool.acquire().await?)))
    }

    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, Error> {
        self.0.as_deref_mut().ok_or(Error::Timeout)
    }

    pub(crate) fn end<T>(mut self, result: Result<T, Error>) -> Result<T, Error> {
        if !result.as_ref().is_err_and(Error::is_away) {
            drop(self.0.take());
        }
        result
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_not_repeated() {
        for url in [
            "postgres://weir:s3cret?x@db/weir",
            "postgres://weir:s3cret/x@db/weir",
            "postgres://weir:s3cret#x@db/weir",
            "postgres://weir@db/weir?passwort=s3cret",
            "postgres://weir@db/weir?sslmode=s3cret",
            "postgres://weir@db/weir?%70assword=s3cret",
        ] {
            let error = options(url).unwrap_err();
            assert!(matches!(error, Error::Url(_)), "{url}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{url}");
        }
    }

    #[test]
    fn known_urls_are_read() {
        for url in [
            "postgres://weir:p%40ss@db:5433/weir",
            "postgresql://weir@%2Frun%2Fpostgresql/weir",
            "postgres://db/weir?sslmode=verify-full&options[search_path]=weir",
        ] {
            options(url).unwrap();
        }
    }
}
