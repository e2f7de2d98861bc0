//! The journal of events: numbered without gaps, in the order of their transactions.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::resources::known;
use crate::sql::Rows;
use crate::{Error, Store};

/// An event to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// The stream it is about; empty for the server itself.
    pub stream: String,
    /// What happened.
    pub kind: String,
    /// When it happened, Unix milliseconds.
    pub time_ms: i64,
    /// More about it as JSON; the store does not read it.
    pub data: String,
    /// The hooks that are to hear of it.
    pub hooks: Vec<String>,
}

/// An event as stored.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct EventRecord {
    /// Its place in the journal, from 1, one more for each.
    pub id: i64,
    /// The stream it is about; empty for the server itself.
    pub stream: String,
    /// Its place among the events of its stream, from 1.
    pub seq: i64,
    /// What happened.
    pub kind: String,
    /// When it happened, Unix milliseconds.
    pub time_ms: i64,
    /// More about it as JSON.
    pub data: String,
}

/// Which events are asked for; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Only those with a higher id.
    pub after: Option<i64>,
    /// Only those with a lower id.
    pub before: Option<i64>,
    /// Only those of this time or later, Unix milliseconds.
    pub since_ms: Option<i64>,
    /// Only those before this time, Unix milliseconds.
    pub until_ms: Option<i64>,
    /// Only those of this stream; empty for the server itself.
    pub stream: Option<String>,
    /// The highest ids first; otherwise the lowest.
    pub newest_first: bool,
    /// At most so many.
    pub limit: u32,
}

// Taken first by all who write here: ids follow the order of the commits.
pub(crate) const TAKE: &str =
    "UPDATE counters SET value = value + $1 WHERE stream = '*' RETURNING value";

const WRITTEN: &str = "SELECT id, seq FROM events WHERE id > $1 AND batch = $2 ORDER BY id";

static COUNT: LazyLock<Rows> = LazyLock::new(|| {
    let tail = "ON CONFLICT (stream) DO UPDATE SET value = counters.value + excluded.value
        RETURNING stream, value";
    Rows::new("INSERT INTO counters (stream, value)", 2, tail)
});

static APPEND: LazyLock<Rows> = LazyLock::new(|| {
    let head = "INSERT INTO events (id, stream, seq, kind, time_ms, batch, data)";
    Rows::new(head, 7, "")
});

// A hook that is named twice hears of it once.
static ADDRESS: LazyLock<Rows> = LazyLock::new(|| {
    let head = "INSERT INTO deliveries (hook, event_id, stream)";
    Rows::new(head, 3, "ON CONFLICT (hook, event_id) DO NOTHING")
});

pub(crate) const LAST: &str = "SELECT value FROM counters WHERE stream = '*'";

const OLDEST: &str = "SELECT MIN(id) FROM events";

macro_rules! find {
    ($which:literal, $order:literal) => {
        concat!(
            "SELECT id, stream, seq, kind, time_ms, data FROM events
            WHERE id > $1 AND id < $2 ",
            $which,
            " ORDER BY id ",
            $order,
            " LIMIT $3"
        )
    };
}

macro_rules! insert {
    ($tx:ident, $sql:expr, $rows:expr, |$query:ident, $row:pat_param| $bound:expr) => {
        for (sql, rows) in $sql.parts($rows) {
            let query = rows.iter().fold(sqlx::query(sql), |$query, $row| $bound);
            query.execute(&mut *$tx).await?;
        }
    };
}

// Only what is asked for: a planner that takes the rest for a choice leaves the order of the ids.
macro_rules! in_order {
    ($query:expr, $which:literal) => {
        if $query.newest_first {
            find!($which, "DESC")
        } else {
            find!($which, "")
        }
    };
}

impl EventQuery {
    const fn is_timed(&self) -> bool {
        self.since_ms.is_some() || self.until_ms.is_some()
    }

    const fn sql(&self) -> &'static str {
        match (self.stream.is_some(), self.is_timed()) {
            (false, false) => in_order!(self, ""),
            (true, false) => in_order!(self, "AND stream = $4"),
            (false, true) => in_order!(self, "AND time_ms >= $4 AND time_ms < $5"),
            (true, true) => in_order!(self, "AND stream = $4 AND time_ms >= $5 AND time_ms < $6"),
        }
    }
}

impl Store {
    /// Appends to the journal, all or none, and tells each event's id and `seq`. An answer that was
    /// lost is asked for again with the same `token`, which no other batch may have: what was written
    /// with it after the id `known` is told again and stays alone.
    ///
    /// # Errors
    /// When the database fails; where it was away, asking again tells whether they were written.
    pub async fn append_events(
        &self,
        token: i64,
        known: i64,
        events: &[NewEvent],
    ) -> Result<Vec<(i64, i64)>, Error> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut seqs = streams(events);
        let counts: Vec<_> = seqs.iter().map(|(stream, n)| (*stream, *n)).collect();
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        transaction!(self, tx => {
            let take = sqlx::query_scalar(TAKE).bind(count);
            let last: i64 = take.fetch_one(&mut *tx).await?;
            let written = sqlx::query_as(WRITTEN).bind(known).bind(token);
            let written: Vec<(i64, i64)> = written.fetch_all(&mut *tx).await?;
            if !written.is_empty() {
                // Rolls back: what was taken above is given to the next.
                return Ok(written);
            }
            for (sql, rows) in COUNT.parts(&counts) {
                let query = rows.iter().fold(sqlx::query_as(sql), |query, (stream, n)| {
                    query.bind(stream).bind(n)
                });
                let totals: Vec<(String, i64)> = query.fetch_all(&mut *tx).await?;
                start_at(&mut seqs, &totals);
            }
            let rows = number(events, last - count, seqs);
            insert!(tx, APPEND, &rows, |query, (id, seq, event)| {
                let query = query.bind(id).bind(&event.stream).bind(seq).bind(&event.kind);
                query.bind(event.time_ms).bind(token).bind(&event.data)
            });
            insert!(tx, ADDRESS, &addressed(&rows), |query, (hook, id, stream)| {
                query.bind(hook).bind(id).bind(stream)
            });
            rows.iter().map(|&(id, seq, _)| (id, seq)).collect()
        })
    }

    /// The events that are asked for, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events(&self, query: &EventQuery) -> Result<Vec<EventRecord>, Error> {
        let stream = query.stream.as_deref();
        if stream.is_some_and(|stream| known(stream).is_err()) {
            return Ok(Vec::new());
        }
        read!(self, pool => {
            let rows = sqlx::query_as(query.sql()).bind(query.after.unwrap_or(i64::MIN));
            let rows = rows.bind(query.before.unwrap_or(i64::MAX)).bind(i64::from(query.limit));
            let rows = match stream {
                Some(stream) => rows.bind(stream),
                None => rows,
            };
            let rows = if query.is_timed() {
                let rows = rows.bind(query.since_ms.unwrap_or(i64::MIN));
                rows.bind(query.until_ms.unwrap_or(i64::MAX))
            } else {
                rows
            };
            Ok(rows.fetch_all(pool).await?)
        })
    }

    /// The highest id ever given, whether or not the event is still there; 0 at first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_event(&self) -> Result<i64, Error> {
        read!(self, pool => Ok(sqlx::query_scalar(LAST).fetch_one(pool).await?))
    }

    /// The lowest id that is still there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn oldest_event(&self) -> Result<Option<i64>, Error> {
        read!(self, pool => Ok(sqlx::query_scalar(OLDEST).fetch_one(pool).await?))
    }
}

/// How many events there are of each stream.
fn streams(events: &[NewEvent]) -> BTreeMap<&str, i64> {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry(&*event.stream).or_default() += 1;
    }
    counts
}

/// Turns counts into what each stream had before: `totals` include them.
fn start_at(seqs: &mut BTreeMap<&str, i64>, totals: &[(String, i64)]) {
    for (stream, total) in totals {
        if let Some(count) = seqs.get_mut(&**stream) {
            *count = total - *count;
        }
    }
}

/// The id and `seq` of each, the first coming after `id` and the `seqs`.
fn number<'a>(
    events: &'a [NewEvent],
    id: i64,
    mut seqs: BTreeMap<&'a str, i64>,
) -> Vec<(i64, i64, &'a NewEvent)> {
    let numbered = (id + 1..).zip(events).map(|(id, event)| {
        let seq = seqs.entry(&event.stream).or_default();
        *seq += 1;
        (id, *seq, event)
    });
    numbered.collect()
}

/// Who is told of what: the hook, the id and the stream.
fn addressed<'a>(rows: &[(i64, i64, &'a NewEvent)]) -> Vec<(&'a str, i64, &'a str)> {
    let hooks = rows.iter().flat_map(|&(id, _, event)| {
        let hooks = event.hooks.iter();
        hooks.map(move |hook| (&**hook, id, &*event.stream))
    });
    hooks.collect()
}
