//! Stream definitions with optimistic versions.

use crate::{Error, Store};

/// A stream definition as stored.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct StreamRecord {
    /// The name, unique and case-sensitive.
    pub name: String,
    /// The configuration as JSON; the store does not read it.
    pub config: String,
    /// 1 when created, one more with each update.
    pub version: i64,
    /// When it was created, Unix milliseconds.
    pub created_ms: i64,
    /// When it was last updated, Unix milliseconds.
    pub updated_ms: i64,
}

const ALL: &str = "SELECT name, config, version, created_ms, updated_ms FROM streams ORDER BY name";

const GET: &str =
    "SELECT name, config, version, created_ms, updated_ms FROM streams WHERE name = $1";

// substr, not LIKE: LIKE has wildcards, and SQLite's ignores case. `>=` lets the index find the start.
const LIST: &str = "SELECT name, config, version, created_ms, updated_ms FROM streams
    WHERE name > $1 AND name >= $2 AND substr(name, 1, length($2)) = $2
    ORDER BY name LIMIT $3";

const CREATE: &str = "INSERT INTO streams (name, config, version, created_ms, updated_ms)
    VALUES ($1, $2, 1, $3, $3) ON CONFLICT (name) DO NOTHING
    RETURNING name, config, version, created_ms, updated_ms";

// The version is part of the condition: one statement, so nobody comes between check and change.
const UPDATE: &str = "UPDATE streams SET config = $3, version = version + 1, updated_ms = $4
    WHERE name = $1 AND ($2 IS NULL OR version = $2)
    RETURNING name, config, version, created_ms, updated_ms";

const DELETE: &str = "DELETE FROM streams WHERE name = $1 AND ($2 IS NULL OR version = $2)
    RETURNING version";

const VERSION: &str = "SELECT version FROM streams WHERE name = $1";

/// Why a change found no row.
macro_rules! refusal {
    ($tx:ident, $name:expr) => {{
        let row = sqlx::query_scalar(VERSION).bind($name);
        let current: Option<i64> = row.fetch_optional(&mut *$tx).await?;
        current.map_or(Error::NotFound, |current| Error::Stale { current })
    }};
}

impl Store {
    /// At most `limit` streams after the name `after` that begin with `prefix`, by name.
    ///
    /// # Errors
    /// When the database fails; so for all reads.
    pub async fn list(
        &self,
        after: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<StreamRecord>, Error> {
        if known(prefix).is_err() {
            return Ok(Vec::new());
        }
        // No name has a NUL, so those after `a\0b` are those after `a`.
        let after = after.and_then(|name| name.split('\0').next()).unwrap_or("");
        read!(self, pool => {
            let query = sqlx::query_as(LIST).bind(after).bind(prefix).bind(i64::from(limit));
            Ok(query.fetch_all(pool).await?)
        })
    }

    /// All streams, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all(&self) -> Result<Vec<StreamRecord>, Error> {
        read!(self, pool => Ok(sqlx::query_as(ALL).fetch_all(pool).await?))
    }

    /// One stream, if it is there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn get(&self, name: &str) -> Result<Option<StreamRecord>, Error> {
        let Ok(name) = known(name) else {
            return Ok(None);
        };
        read!(self, pool => Ok(sqlx::query_as(GET).bind(name).fetch_optional(pool).await?))
    }

    /// Creates a stream at version 1.
    ///
    /// # Errors
    /// [`Error::Exists`] when the name is taken.
    pub async fn create(
        &self,
        name: &str,
        config: &str,
        now_ms: i64,
    ) -> Result<StreamRecord, Error> {
        transaction!(self, tx => {
            let row = sqlx::query_as(CREATE).bind(name).bind(config).bind(now_ms);
            row.fetch_optional(&mut *tx).await?.ok_or(Error::Exists)?
        })
    }

    /// Replaces the configuration; with `expected_version` only if that is still the current one.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Stale`] when another version is current.
    pub async fn update(
        &self,
        name: &str,
        config: &str,
        expected_version: Option<i64>,
        now_ms: i64,
    ) -> Result<StreamRecord, Error> {
        let name = known(name)?;
        transaction!(self, tx => {
            let row = sqlx::query_as(UPDATE).bind(name).bind(expected_version);
            let row = row.bind(config).bind(now_ms);
            match row.fetch_optional(&mut *tx).await? {
                Some(record) => record,
                None => return Err(refusal!(tx, name)),
            }
        })
    }

    /// Deletes a stream. Its numbering stays: a name that comes back must not reuse numbers.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Stale`] when another version is current.
    pub async fn delete(&self, name: &str, expected_version: Option<i64>) -> Result<(), Error> {
        let name = known(name)?;
        transaction!(self, tx => {
            let row = sqlx::query_scalar(DELETE).bind(name).bind(expected_version);
            let gone: Option<i64> = row.fetch_optional(&mut *tx).await?;
            if gone.is_none() {
                return Err(refusal!(tx, name));
            }
        })
    }
}

/// PostgreSQL's text has no NUL, so nothing that is stored is called so.
fn known(name: &str) -> Result<&str, Error> {
    if name.contains('\0') {
        return Err(Error::NotFound);
    }
    Ok(name)
}
