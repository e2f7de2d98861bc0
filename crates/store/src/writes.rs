//! Changes of streams, templates and hooks: many or one, with optimistic versions.

use crate::resources::known;
use crate::{Error, Kind, Record, Store};

/// One change of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write<'a> {
    /// Creates at version 1; [`Error::Exists`] when the name is taken.
    Create {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: &'a str,
        /// Its configuration as JSON.
        config: &'a str,
    },
    /// Replaces the configuration; [`Error::NotFound`], or [`Error::Stale`].
    Update {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: &'a str,
        /// Its new configuration as JSON.
        config: &'a str,
        /// Only if this is still the current one.
        version: Option<i64>,
    },
    /// Deletes; [`Error::NotFound`], or [`Error::Stale`]. A stream's numbering stays: a name that
    /// comes back must not reuse numbers. A hook's deliveries go with it.
    Delete {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: &'a str,
        /// Only if this is still the current one.
        version: Option<i64>,
    },
}

const UNHOOK: [&str; 2] = [
    "DELETE FROM deliveries WHERE hook = $1",
    "DELETE FROM dead_deliveries WHERE hook = $1",
];

impl<'a> Write<'a> {
    const fn target(&self) -> (Kind, &'a str) {
        match *self {
            Self::Create { kind, name, .. }
            | Self::Update { kind, name, .. }
            | Self::Delete { kind, name, .. } => (kind, name),
        }
    }
}

macro_rules! create {
    ($tx:ident, $kind:expr, $name:expr, $config:expr, $now_ms:expr) => {{
        let row = sqlx::query_as($kind.sql().create).bind($name);
        let row = row.bind($config).bind($now_ms);
        let record: Option<Record> = row.fetch_optional(&mut *$tx).await?;
        Some(record.ok_or(Error::Exists)?)
    }};
}

macro_rules! update {
    ($tx:ident, $kind:expr, $name:expr, $version:expr, $config:expr, $now_ms:expr) => {{
        let row = sqlx::query_as($kind.sql().update).bind(known($name)?);
        let row = row.bind($version).bind($config).bind($now_ms);
        match row.fetch_optional(&mut *$tx).await? {
            Some(record) => Some(record),
            None => return Err(refusal!($tx, $kind, $name)),
        }
    }};
}

macro_rules! delete {
    ($tx:ident, $kind:expr, $name:expr, $version:expr) => {{
        let row = sqlx::query_as($kind.sql().delete).bind(known($name)?);
        let gone: Option<Record> = row.bind($version).fetch_optional(&mut *$tx).await?;
        if gone.is_none() {
            return Err(refusal!($tx, $kind, $name));
        }
        if $kind == Kind::Hook {
            for sql in UNHOOK {
                sqlx::query(sql).bind($name).execute(&mut *$tx).await?;
            }
        }
        None
    }};
}

/// Why a change found no row.
macro_rules! refusal {
    ($tx:ident, $kind:expr, $name:expr) => {{
        let row = sqlx::query_as($kind.sql().get).bind($name);
        let current: Option<Record> = row.fetch_optional(&mut *$tx).await?;
        let current = current.map(|record| record.version);
        current.map_or(Error::NotFound, |current| Error::Stale { current })
    }};
}

impl Store {
    /// Makes all the changes or none, and tells in their order what is stored now: `None` where it
    /// was deleted. Those of one name are made in their order.
    ///
    /// # Errors
    /// As [`Write`] tells, for the first by kind and name that cannot be made.
    pub async fn write(
        &self,
        writes: &[Write<'_>],
        now_ms: i64,
    ) -> Result<Vec<Option<Record>>, Error> {
        // One order for all: see `save_states`.
        let mut order: Vec<_> = (0..writes.len()).collect();
        order.sort_by_key(|&at| writes[at].target());
        let mut records = vec![None; writes.len()];
        transaction!(self, tx => {
            for at in order {
                records[at] = match writes[at] {
                    Write::Create { kind, name, config } => {
                        create!(tx, kind, name, config, now_ms)
                    }
                    Write::Update { kind, name, config, version } => {
                        update!(tx, kind, name, version, config, now_ms)
                    }
                    Write::Delete { kind, name, version } => delete!(tx, kind, name, version),
                };
            }
            records
        })
    }

    async fn write_one(&self, write: Write<'_>, now_ms: i64) -> Result<Record, Error> {
        let written = self.write(&[write], now_ms).await?;
        written.into_iter().flatten().next().ok_or(Error::NotFound)
    }

    /// Creates at version 1.
    ///
    /// # Errors
    /// [`Error::Exists`] when the name is taken.
    pub async fn create(
        &self,
        kind: Kind,
        name: &str,
        config: &str,
        now_ms: i64,
    ) -> Result<Record, Error> {
        let create = Write::Create { kind, name, config };
        self.write_one(create, now_ms).await
    }

    /// Replaces the configuration; with `version` only if that is still the current one.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Stale`] when another version is current.
    pub async fn update(
        &self,
        kind: Kind,
        name: &str,
        config: &str,
        version: Option<i64>,
        now_ms: i64,
    ) -> Result<Record, Error> {
        let update = Write::Update {
            kind,
            name,
            config,
            version,
        };
        self.write_one(update, now_ms).await
    }

    /// Deletes; with `version` only if that is still the current one.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Stale`] when another version is current.
    pub async fn delete(&self, kind: Kind, name: &str, version: Option<i64>) -> Result<(), Error> {
        let delete = Write::Delete {
            kind,
            name,
            version,
        };
        self.write(&[delete], 0).await.map(drop)
    }
}
