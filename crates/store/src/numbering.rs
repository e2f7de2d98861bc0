//! Segment numbering: segment n belongs to `t0 + (n - n0) * d` on the programme timeline.
//!
//! Rows are appended and never changed; a small state beside them is written in batches.

use crate::{Error, Store};

/// One row of a stream's numbering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct NumberingRow {
    /// Place among the stream's rows, from 0.
    pub seq: i64,
    /// Where segment `n0` begins, nanoseconds since the Unix epoch.
    pub t0_ns: i64,
    /// The first number of the row.
    pub n0: i64,
    /// Distance of the grid, nanoseconds.
    pub d_ns: i64,
    /// TARGETDURATION, seconds.
    pub target_duration: i64,
    /// Whether keyframe intervals are regular, or forced by a transcoder.
    pub regular: bool,
    /// The configured segment duration this row was made for, nanoseconds.
    pub segment_ns: i64,
}

/// A row to append; the fields of [`NumberingRow`] without its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewRow {
    /// Where segment `n0` begins, nanoseconds since the Unix epoch.
    pub t0_ns: i64,
    /// The first number of the row.
    pub n0: i64,
    /// Distance of the grid, nanoseconds; above zero.
    pub d_ns: i64,
    /// TARGETDURATION, seconds.
    pub target_duration: i64,
    /// Whether keyframe intervals are regular, or forced by a transcoder.
    pub regular: bool,
    /// The configured segment duration this row was made for, nanoseconds.
    pub segment_ns: i64,
}

impl NewRow {
    const fn at(&self, seq: i64) -> NumberingRow {
        NumberingRow {
            seq,
            t0_ns: self.t0_ns,
            n0: self.n0,
            d_ns: self.d_ns,
            target_duration: self.target_duration,
            regular: self.regular,
            segment_ns: self.segment_ns,
        }
    }
}

/// What a stream resumes its numbering from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct NumberingState {
    /// The newest row.
    #[sqlx(flatten)]
    pub row: NumberingRow,
    /// How far numbers may run ahead of the clock; 0 until saved.
    pub run_ahead: i64,
    /// The discontinuity number; 0 until saved.
    pub discontinuity: i64,
    /// The highest number saved; 0 until saved.
    pub highest: i64,
    /// When state was last saved, Unix milliseconds; 0 until saved.
    pub updated_ms: i64,
    /// The Period that DASH clients were told of last.
    #[sqlx(flatten)]
    pub period: Period,
}

/// A Period of DASH; all or nothing of it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Period {
    /// Where it starts, nanoseconds since the Unix epoch.
    #[sqlx(rename = "period_start_ns")]
    pub start_ns: Option<i64>,
    /// Its first number.
    #[sqlx(rename = "period_number")]
    pub number: Option<i64>,
    /// Of what it is made.
    #[sqlx(rename = "period_fingerprint")]
    pub fingerprint: Option<i64>,
}

/// A change of one stream's state; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateUpdate {
    /// The stream.
    pub stream: String,
    /// The new run-ahead.
    pub run_ahead: Option<i64>,
    /// The new discontinuity number.
    pub discontinuity: Option<i64>,
    /// The highest number issued; a lower one than stored is ignored.
    pub highest: Option<i64>,
    /// The Period in force.
    pub period: Period,
}

/// So many are saved well within the time that a transaction has.
const BATCH: usize = 500;

const NEWEST: &str = "SELECT r.seq, r.t0_ns, r.n0, r.d_ns, r.target_duration, r.regular,
        r.segment_ns, COALESCE(s.run_ahead, 0) AS run_ahead,
        COALESCE(s.discontinuity, 0) AS discontinuity, COALESCE(s.highest, 0) AS highest,
        COALESCE(s.updated_ms, 0) AS updated_ms,
        s.period_start_ns, s.period_number, s.period_fingerprint
    FROM numbering_rows r LEFT JOIN numbering_state s ON s.stream = r.stream
    WHERE r.stream = $1 ORDER BY r.seq DESC LIMIT 1";

const ROWS: &str = "SELECT seq, t0_ns, n0, d_ns, target_duration, regular, segment_ns
    FROM numbering_rows WHERE stream = $1 ORDER BY seq";

const LAST: &str = "SELECT seq, t0_ns, n0, d_ns, target_duration, regular, segment_ns
    FROM numbering_rows WHERE stream = $1 ORDER BY seq DESC LIMIT 1";

// Another writer may take the same place at the same time: then there is nothing to return.
const APPEND: &str = "INSERT INTO numbering_rows
        (stream, seq, t0_ns, n0, d_ns, target_duration, regular, segment_ns)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (stream, seq) DO NOTHING
    RETURNING seq, t0_ns, n0, d_ns, target_duration, regular, segment_ns";

// CASE, because the larger of two is MAX in SQLite and GREATEST in PostgreSQL.
const SAVE: &str = "INSERT INTO numbering_state
        (stream, run_ahead, discontinuity, highest, updated_ms,
        period_start_ns, period_number, period_fingerprint)
    VALUES ($1, COALESCE($2, 0), COALESCE($3, 0), COALESCE($4, 0), $5, $6, $7, $8)
    ON CONFLICT (stream) DO UPDATE SET
        run_ahead = COALESCE($2, numbering_state.run_ahead),
        discontinuity = COALESCE($3, numbering_state.discontinuity),
        highest = CASE WHEN $4 > numbering_state.highest THEN $4
            ELSE numbering_state.highest END,
        updated_ms = excluded.updated_ms,
        period_start_ns = COALESCE($6, numbering_state.period_start_ns),
        period_number = COALESCE($7, numbering_state.period_number),
        period_fingerprint = COALESCE($8, numbering_state.period_fingerprint)";

impl Store {
    /// The newest row and the state; `None` until a first row is appended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn numbering(&self, stream: &str) -> Result<Option<NumberingState>, Error> {
        read!(self, pool => Ok(sqlx::query_as(NEWEST).bind(stream).fetch_optional(pool).await?))
    }

    /// All rows, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rows(&self, stream: &str) -> Result<Vec<NumberingRow>, Error> {
        read!(self, pool => Ok(sqlx::query_as(ROWS).bind(stream).fetch_all(pool).await?))
    }

    /// Appends a row after the newest. The stream need not exist. Where the newest is the same it
    /// stays alone: what seemed to fail may have been written all the same, and is asked for again.
    ///
    /// # Errors
    /// When the database fails, or `d_ns` is not above zero.
    pub async fn append_row(&self, stream: &str, row: &NewRow) -> Result<NumberingRow, Error> {
        transaction!(self, tx => loop {
            let last = sqlx::query_as(LAST).bind(stream);
            let last: Option<NumberingRow> = last.fetch_optional(&mut *tx).await?;
            if let Some(same) = last.filter(|last| row.at(last.seq) == *last) {
                break same;
            }
            let new = row.at(last.map_or(0, |last| last.seq + 1));
            let query = sqlx::query_as(APPEND).bind(stream).bind(new.seq).bind(new.t0_ns);
            let query = query.bind(new.n0).bind(new.d_ns).bind(new.target_duration);
            let query = query.bind(new.regular).bind(new.segment_ns);
            if let Some(appended) = query.fetch_optional(&mut *tx).await? {
                break appended;
            }
        })
    }

    /// Saves the state of many streams, 500 in a transaction.
    ///
    /// # Errors
    /// When the database fails; what is saved again after that does no harm.
    pub async fn save_states(&self, updates: &[StateUpdate], now_ms: i64) -> Result<(), Error> {
        // One order for all: writers that lock the same rows crosswise would end in a deadlock.
        let mut updates: Vec<_> = updates.iter().collect();
        updates.sort_by(|a, b| a.stream.cmp(&b.stream));
        for batch in updates.chunks(BATCH) {
            self.save_batch(batch, now_ms).await?;
        }
        Ok(())
    }

    async fn save_batch(&self, updates: &[&StateUpdate], now_ms: i64) -> Result<(), Error> {
        transaction!(self, tx => for update in updates {
            let query = sqlx::query(SAVE).bind(&update.stream).bind(update.run_ahead);
            let query = query.bind(update.discontinuity).bind(update.highest).bind(now_ms);
            let period = &update.period;
            let query = query.bind(period.start_ns).bind(period.number);
            query.bind(period.fingerprint).execute(&mut *tx).await?;
        })
    }
}
