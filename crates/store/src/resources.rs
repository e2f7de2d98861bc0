//! Streams, templates and hooks: named configurations.

use crate::{Error, Store};

/// What a configuration is of. Names are unique within a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Streams.
    Stream,
    /// What streams may take settings from.
    Template,
    /// Who is told about events.
    Hook,
}

/// A definition as stored.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Record {
    /// The name, unique within its kind and case-sensitive.
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

/// The SQL of a kind.
pub(crate) struct Statements {
    all: &'static str,
    pub(crate) get: &'static str,
    list: &'static str,
    pub(crate) create: &'static str,
    pub(crate) update: &'static str,
    pub(crate) delete: &'static str,
}

macro_rules! columns {
    () => {
        "name, config, version, created_ms, updated_ms"
    };
}

macro_rules! statements {
    ($table:literal) => {
        Statements {
            all: concat!("SELECT ", columns!(), " FROM ", $table, " ORDER BY name"),
            get: concat!("SELECT ", columns!(), " FROM ", $table, " WHERE name = $1"),
            // substr, not LIKE: LIKE has wildcards, and SQLite's ignores case. `>=` lets the index
            // find the start.
            list: concat!(
                "SELECT ",
                columns!(),
                " FROM ",
                $table,
                " WHERE name > $1 AND name >= $2 AND substr(name, 1, length($2)) = $2
                ORDER BY name LIMIT $3"
            ),
            create: concat!(
                "INSERT INTO ",
                $table,
                " (",
                columns!(),
                ") VALUES ($1, $2, 1, $3, $3)
                ON CONFLICT (name) DO NOTHING RETURNING ",
                columns!()
            ),
            // The version is part of the condition: one statement, so nobody comes between check
            // and change.
            update: concat!(
                "UPDATE ",
                $table,
                " SET config = $3, version = version + 1, updated_ms = $4
                WHERE name = $1 AND ($2 IS NULL OR version = $2) RETURNING ",
                columns!()
            ),
            delete: concat!(
                "DELETE FROM ",
                $table,
                " WHERE name = $1 AND ($2 IS NULL OR version = $2)
                RETURNING ",
                columns!()
            ),
        }
    };
}

const STREAMS: &Statements = &statements!("streams");
const TEMPLATES: &Statements = &statements!("templates");
const HOOKS: &Statements = &statements!("hooks");

impl Kind {
    pub(crate) const fn sql(self) -> &'static Statements {
        match self {
            Self::Stream => STREAMS,
            Self::Template => TEMPLATES,
            Self::Hook => HOOKS,
        }
    }
}

impl Store {
    /// At most `limit` after the name `after` that begin with `prefix`, by name.
    ///
    /// # Errors
    /// When the database fails; so for all reads.
    pub async fn list(
        &self,
        kind: Kind,
        after: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<Record>, Error> {
        if known(prefix).is_err() {
            return Ok(Vec::new());
        }
        // No name has a NUL, so those after `a\0b` are those after `a`.
        let after = after.and_then(|name| name.split('\0').next()).unwrap_or("");
        read!(self, pool => {
            let query = sqlx::query_as(kind.sql().list).bind(after).bind(prefix);
            Ok(query.bind(i64::from(limit)).fetch_all(pool).await?)
        })
    }

    /// All of a kind, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all(&self, kind: Kind) -> Result<Vec<Record>, Error> {
        read!(self, pool => Ok(sqlx::query_as(kind.sql().all).fetch_all(pool).await?))
    }

    /// One of a kind, if it is there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn get(&self, kind: Kind, name: &str) -> Result<Option<Record>, Error> {
        let Ok(name) = known(name) else {
            return Ok(None);
        };
        read!(self, pool => {
            Ok(sqlx::query_as(kind.sql().get).bind(name).fetch_optional(pool).await?)
        })
    }
}

/// PostgreSQL's text has no NUL, so nothing that is stored is called so.
pub(crate) fn known(name: &str) -> Result<&str, Error> {
    if name.contains('\0') {
        return Err(Error::NotFound);
    }
    Ok(name)
}
