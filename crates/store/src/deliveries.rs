//! Deliveries: which hooks have yet to hear of which events, and what they were not told in the end.
//!
//! One that succeeds is deleted. One that is given up is dead: it stays until it is revived or
//! discarded. None is made here: `append_events` makes them with the events.

use std::sync::LazyLock;

use crate::sql::{among, parts};
use crate::{Error, EventRecord, Store};

/// An event on its way to a hook.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Delivery {
    /// What the hook is to hear of.
    #[sqlx(flatten)]
    pub event: EventRecord,
    /// How often it was tried without success.
    pub attempts: i64,
    /// When it was first tried, Unix milliseconds.
    pub first_ms: Option<i64>,
    /// When it was given up, Unix milliseconds.
    pub dead_ms: Option<i64>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// What a hook has yet to hear of.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Backlog {
    /// The hook.
    pub hook: String,
    /// How many are pending.
    pub pending: i64,
    /// How many were given up.
    pub dead: i64,
    /// When the first event that is pending happened, Unix milliseconds.
    pub oldest_ms: Option<i64>,
}

macro_rules! find {
    ($table:literal, $dead_ms:literal, $which:literal) => {
        concat!(
            "SELECT e.id, e.stream, e.seq, e.kind, e.time_ms, e.data,
                d.attempts, d.first_ms, d.error, ",
            $dead_ms,
            " AS dead_ms
            FROM ",
            $table,
            " d JOIN events e ON e.id = d.event_id
            WHERE d.hook = $1 AND d.event_id > $2 ",
            $which,
            " ORDER BY d.event_id LIMIT $3"
        )
    };
}

const PENDING: &str = find!("deliveries", "CAST(NULL AS BIGINT)", "");
const PENDING_OF: &str = find!("deliveries", "CAST(NULL AS BIGINT)", "AND d.stream = $4");
const DEAD: &str = find!("dead_deliveries", "d.dead_ms", "");

const BACKLOG: &str = "SELECT h.hook, h.pending, h.dead, e.time_ms AS oldest_ms
    FROM (SELECT hook, MAX(pending) AS pending, MAX(dead) AS dead, MAX(oldest) AS oldest
        FROM (SELECT hook, COUNT(*) AS pending, 0 AS dead, MIN(event_id) AS oldest
                FROM deliveries GROUP BY hook
            UNION ALL SELECT hook, 0, COUNT(*), NULL FROM dead_deliveries GROUP BY hook) both_kinds
        GROUP BY hook) h
    LEFT JOIN events e ON e.id = h.oldest ORDER BY h.hook";

// All that change deliveries of a hook begin with it, as its deletion does: those that lock many rows
// crosswise would end in a deadlock.
const LOCK: &str = "UPDATE hooks SET version = version WHERE name = $1";

/// A statement about all of a hook, or about those of some events.
struct Change {
    all: &'static str,
    some: LazyLock<String>,
}

macro_rules! change {
    ($sql:literal, $values:literal) => {
        Change {
            all: $sql,
            some: LazyLock::new(|| among(concat!($sql, " AND event_id IN"), $values + 1)),
        }
    };
}

static DELIVERED: Change = change!("DELETE FROM deliveries WHERE hook = $1", 1);
static FAILED: Change = change!(
    "UPDATE deliveries SET attempts = attempts + 1, first_ms = COALESCE(first_ms, $2), error = $3
    WHERE hook = $1",
    3
);
// To the dead, and then no longer `DELIVERED`.
static BURIED: Change = change!(
    "INSERT INTO dead_deliveries (hook, event_id, stream, attempts, first_ms, dead_ms, error)
    SELECT hook, event_id, stream, attempts + 1, COALESCE(first_ms, $2), $2, $3
    FROM deliveries WHERE hook = $1",
    3
);
// From the dead, and then `DISCARDED`.
static REVIVED: Change = change!(
    "INSERT INTO deliveries (hook, event_id, stream, error)
    SELECT hook, event_id, stream, error FROM dead_deliveries WHERE hook = $1",
    1
);
static DISCARDED: Change = change!("DELETE FROM dead_deliveries WHERE hook = $1", 1);

// Without so many there is no such id, and all are below what stands for it.
const SHED: &str = "DELETE FROM deliveries WHERE hook = $1 AND event_id < COALESCE(
        (SELECT event_id FROM deliveries WHERE hook = $1 ORDER BY event_id LIMIT 1 OFFSET $2),
        9223372036854775807) RETURNING event_id";

// Without so many there is no such id, and nothing is below it.
const SHED_DEAD: &str = "DELETE FROM dead_deliveries WHERE hook = $1 AND event_id <= (
        SELECT event_id FROM dead_deliveries WHERE hook = $1
        ORDER BY event_id DESC LIMIT 1 OFFSET $2)";

/// A transaction about a hook's deliveries.
macro_rules! locked {
    ($store:expr, $hook:expr, $tx:ident => $body:expr) => {
        transaction!($store, $tx => {
            sqlx::query(LOCK).bind($hook).execute(&mut *$tx).await?;
            $body
        })
    };
}

/// Runs a statement with a hook and values, about some events or all, and tells how many changed.
macro_rules! run {
    ($tx:ident, $change:expr, $ids:expr, $hook:expr $(, $value:expr)*) => {{
        let ids: Option<&[i64]> = $ids;
        let (sql, parts) = match ids {
            Some(ids) => ($change.some.as_str(), parts(ids)),
            None => ($change.all, vec![Vec::new()]),
        };
        let mut changed = 0;
        for ids in parts {
            let query = sqlx::query(sql).bind($hook)$(.bind($value))*;
            let query = ids.into_iter().fold(query, |query, id| query.bind(id));
            changed += query.execute(&mut *$tx).await?.rows_affected();
        }
        changed
    }};
}

impl Store {
    /// At most `limit` that are pending for a hook, of events after `after`, by id.
    ///
    /// # Errors
    /// When the database fails; so for all reads.
    pub async fn pending(
        &self,
        hook: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Delivery>, Error> {
        self.deliveries(PENDING, hook, after, limit).await
    }

    /// As [`Store::pending`], of one stream.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_of(
        &self,
        hook: &str,
        stream: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Delivery>, Error> {
        read!(self, pool => {
            let rows = sqlx::query_as(PENDING_OF).bind(hook).bind(after);
            Ok(rows.bind(i64::from(limit)).bind(stream).fetch_all(pool).await?)
        })
    }

    /// At most `limit` that were given up for a hook, of events after `after`, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn dead(&self, hook: &str, after: i64, limit: u32) -> Result<Vec<Delivery>, Error> {
        self.deliveries(DEAD, hook, after, limit).await
    }

    async fn deliveries(
        &self,
        sql: &'static str,
        hook: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Delivery>, Error> {
        read!(self, pool => {
            let rows = sqlx::query_as(sql).bind(hook).bind(after);
            Ok(rows.bind(i64::from(limit)).fetch_all(pool).await?)
        })
    }

    /// What each hook has yet to hear of, by name; those that have nothing are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn backlog(&self) -> Result<Vec<Backlog>, Error> {
        read!(self, pool => Ok(sqlx::query_as(BACKLOG).fetch_all(pool).await?))
    }

    /// The hook has heard of these events.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then. So for all that follow.
    pub async fn delivered(&self, hook: &str, ids: &[i64]) -> Result<u64, Error> {
        locked!(self, hook, tx => run!(tx, DELIVERED, Some(ids), hook))
    }

    /// An attempt that began at `first_ms` failed; they stay pending.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn failed(
        &self,
        hook: &str,
        ids: &[i64],
        first_ms: i64,
        error: &str,
    ) -> Result<u64, Error> {
        let error = readable(error);
        locked!(self, hook, tx => run!(tx, FAILED, Some(ids), hook, first_ms, &error))
    }

    /// The last attempt failed: they are given up.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn buried(
        &self,
        hook: &str,
        ids: &[i64],
        now_ms: i64,
        error: &str,
    ) -> Result<u64, Error> {
        let error = readable(error);
        locked!(self, hook, tx => {
            run!(tx, BURIED, Some(ids), hook, now_ms, &error);
            run!(tx, DELIVERED, Some(ids), hook)
        })
    }

    /// Makes dead ones pending again, as if never tried; their last error stays to be read. All of
    /// them without `ids`. Tells how many, as all that follow.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revive(&self, hook: &str, ids: Option<&[i64]>) -> Result<u64, Error> {
        locked!(self, hook, tx => {
            run!(tx, REVIVED, ids, hook);
            run!(tx, DISCARDED, ids, hook)
        })
    }

    /// Deletes dead ones, all of them without `ids`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn discard(&self, hook: &str, ids: Option<&[i64]>) -> Result<u64, Error> {
        locked!(self, hook, tx => run!(tx, DISCARDED, ids, hook))
    }

    /// Deletes the `count` oldest that are pending: too many wait. Answers which.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shed(&self, hook: &str, count: i64) -> Result<Vec<i64>, Error> {
        locked!(self, hook, tx => {
            let query = sqlx::query_scalar(SHED).bind(hook).bind(count.max(0));
            query.fetch_all(&mut *tx).await?
        })
    }

    /// Deletes the oldest dead ones; the `keep` newest stay.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shed_dead(&self, hook: &str, keep: i64) -> Result<u64, Error> {
        locked!(self, hook, tx => {
            let query = sqlx::query(SHED_DEAD).bind(hook).bind(keep.max(0));
            query.execute(&mut *tx).await?.rows_affected()
        })
    }
}

/// Without NUL, which PostgreSQL's text does not have: it comes from who did not take it.
fn readable(error: &str) -> String {
    error.replace('\0', "")
}
