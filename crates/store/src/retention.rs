//! What may be forgotten: old events, and what names that are gone have left.

use std::collections::BTreeSet;

use crate::events::{LAST, TAKE};
use crate::{Error, Store};

/// Hooks of deliveries that are no hooks, and how their deliveries go.
struct Orphans {
    find: &'static str,
    delete: &'static str,
}

// Found from hook to hook, so that only one entry of each is looked at. Whether a hook is there is
// asked again by what deletes: one that is created now has no deliveries before it.
macro_rules! orphans {
    ($table:literal) => {
        Orphans {
            find: concat!(
                "WITH RECURSIVE named (hook) AS (
                    SELECT MIN(hook) FROM ",
                $table,
                " UNION ALL SELECT (SELECT MIN(d.hook) FROM ",
                $table,
                " d WHERE d.hook > named.hook) FROM named WHERE named.hook IS NOT NULL)
                SELECT hook FROM named WHERE hook IS NOT NULL
                    AND NOT EXISTS (SELECT 1 FROM hooks h WHERE h.name = named.hook)"
            ),
            delete: concat!(
                "DELETE FROM ",
                $table,
                " WHERE hook = $1
                    AND NOT EXISTS (SELECT 1 FROM hooks h WHERE h.name = $1)
                    AND event_id < COALESCE((SELECT event_id FROM ",
                $table,
                " WHERE hook = $1 ORDER BY event_id LIMIT 1 OFFSET $2), 9223372036854775807)"
            ),
        }
    };
}

const ORPHANS: [Orphans; 2] = [orphans!("deliveries"), orphans!("dead_deliveries")];

macro_rules! events {
    ($which:literal, $order:literal) => {
        concat!(
            "DELETE FROM events WHERE id IN (SELECT e.id FROM events e WHERE ",
            $which,
            " AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.id)
            AND NOT EXISTS (SELECT 1 FROM dead_deliveries d WHERE d.event_id = e.id)
            ORDER BY ",
            $order,
            " LIMIT $2) RETURNING stream"
        )
    };
}

const BY_ID: &str = events!("e.id <= $1", "e.id");
const BY_TIME: &str = events!("e.time_ms < $1", "e.time_ms, e.id");

const FORGET: &str = "DELETE FROM counters WHERE stream = $1 AND stream <> ''
    AND NOT EXISTS (SELECT 1 FROM events e WHERE e.stream = $1)
    AND NOT EXISTS (SELECT 1 FROM streams s WHERE s.name = $1)";

const STATES: &str = "DELETE FROM numbering_state WHERE stream IN (
        SELECT n.stream FROM numbering_state n WHERE n.updated_ms < $1
            AND NOT EXISTS (SELECT 1 FROM streams s WHERE s.name = n.stream)
        ORDER BY n.stream LIMIT $2)
    RETURNING stream";

const ROWS: &str = "DELETE FROM numbering_rows WHERE stream = $1";

impl Store {
    /// Deletes at most `at_most` events, the oldest first: those before `before_ms`, and all but the
    /// `keep` newest. What a hook has yet to hear of stays, and what it was not told in the end.
    /// Tells how many went; as many as asked for may mean that there are more.
    ///
    /// With them go deliveries of hooks that are gone, as many of each, and the numbers of streams that are gone: a
    /// stream that comes back after that has events from 1.
    ///
    /// # Errors
    /// When the database fails; some may be deleted then.
    pub async fn prune_events(
        &self,
        before_ms: i64,
        keep: i64,
        at_most: u32,
    ) -> Result<u64, Error> {
        let gone = self.delete_events(before_ms, keep, at_most.into()).await?;
        let count = gone.len() as u64;
        self.forget(&BTreeSet::from_iter(gone)).await?;
        Ok(count)
    }

    /// Tells the stream of each event that went.
    async fn delete_events(
        &self,
        before_ms: i64,
        keep: i64,
        at_most: i64,
    ) -> Result<Vec<String>, Error> {
        transaction!(self, tx => {
            for sql in ORPHANS {
                let hooks = sqlx::query_scalar(sql.find).fetch_all(&mut *tx).await?;
                let hooks: Vec<String> = hooks;
                for hook in hooks {
                    sqlx::query(sql.delete).bind(hook).bind(at_most).execute(&mut *tx).await?;
                }
            }
            let last: i64 = sqlx::query_scalar(LAST).fetch_one(&mut *tx).await?;
            let by_id = sqlx::query_scalar(BY_ID).bind(last.saturating_sub(keep)).bind(at_most);
            let mut gone: Vec<String> = by_id.fetch_all(&mut *tx).await?;
            let left = at_most.saturating_sub_unsigned(gone.len() as u64);
            let by_time = sqlx::query_scalar(BY_TIME).bind(before_ms).bind(left);
            gone.extend(by_time.fetch_all(&mut *tx).await?);
            gone
        })
    }

    async fn forget(&self, streams: &BTreeSet<String>) -> Result<(), Error> {
        if streams.is_empty() {
            return Ok(());
        }
        transaction!(self, tx => {
            // Holds off who appends: an event must not come between a look and the counter's end.
            sqlx::query(TAKE).bind(0_i64).execute(&mut *tx).await?;
            for stream in streams {
                sqlx::query(FORGET).bind(stream).execute(&mut *tx).await?;
            }
        })
    }

    /// Forgets the numbering of at most `at_most` names that are no stream, and of which nothing was
    /// saved since `before_ms`. Tells how many went.
    ///
    /// # Errors
    /// When the database fails; nothing is deleted then.
    pub async fn prune_numbering(&self, before_ms: i64, at_most: u32) -> Result<u64, Error> {
        transaction!(self, tx => {
            let states = sqlx::query_scalar(STATES).bind(before_ms).bind(i64::from(at_most));
            let gone: Vec<String> = states.fetch_all(&mut *tx).await?;
            for stream in &gone {
                sqlx::query(ROWS).bind(stream).execute(&mut *tx).await?;
            }
            gone.len() as u64
        })
    }
}
