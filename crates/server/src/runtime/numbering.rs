//! Remembers numbering beyond this process. Media never waits for SQL: changes are noted in
//! memory and one task writes them, at once for rows and state, every five seconds for the
//! highest numbers, in few transactions for all streams.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use media::{Span, Timestamp};
use packager::{Effect, PeriodMark, Restored, Row};
use store::{NewRow, NumberingState, Period, StateUpdate, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{lock, utc_ms};

const EVERY: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);

/// What is still to be written.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    notes: Mutex<BTreeMap<String, Note>>,
    urgent: Notify,
    /// One writer at a time: who waits for a flush waits for what is under way, too.
    writing: tokio::sync::Mutex<()>,
    degraded: AtomicBool,
    away: AtomicBool,
}

#[derive(Debug, Default, Clone)]
struct Note {
    rows: Vec<Row>,
    run_ahead: Option<u64>,
    discontinuity: Option<u64>,
    highest: Option<u64>,
    period: Option<PeriodMark>,
}

impl Ledger {
    pub(crate) fn effect(&self, stream: &str, effect: Effect) {
        self.note(stream, |note| match effect {
            Effect::Row(row) => note.rows.push(row),
            Effect::State(state) => {
                note.run_ahead = Some(state.run_ahead);
                note.discontinuity = Some(state.discontinuity);
                note.highest = Some(state.highest);
                note.period = state.period.or(note.period);
            }
        });
        self.urgent.notify_one();
    }

    pub(crate) fn highest(&self, stream: &str, highest: u64) {
        self.note(stream, |note| note.highest = Some(highest));
    }

    /// Whether the last write failed.
    pub(crate) fn is_degraded(&self) -> bool {
        self.degraded.load(Relaxed)
    }

    /// Whether it failed because the database did not answer.
    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Relaxed)
    }

    fn note(&self, stream: &str, change: impl FnOnce(&mut Note)) {
        let mut notes = lock(&self.notes);
        match notes.get_mut(stream) {
            Some(note) => change(note),
            None => change(notes.entry(stream.to_owned()).or_default()),
        }
    }

    /// Writes until told to stop, then once more.
    pub(crate) async fn run(self: Arc<Self>, store: Store, stop: CancellationToken) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let stopping = tokio::select! {
                () = stop.cancelled() => true,
                () = self.urgent.notified() => false,
                _ = tick.tick() => false,
            };
            let written = self.flush(&store).await;
            if stopping {
                return;
            }
            if !written {
                tokio::time::sleep(RETRY).await;
                self.urgent.notify_one();
            }
        }
    }

    /// Writes what is noted now; `false` where that failed, and then it stays noted.
    pub(crate) async fn flush(&self, store: &Store) -> bool {
        let _writing = self.writing.lock().await;
        let written = self.write(store).await;
        self.report(&written);
        written.is_ok()
    }

    fn report(&self, written: &Result<(), store::Error>) {
        let failed = written.is_err();
        let away = written.as_ref().is_err_and(store::Error::is_away);
        self.away.store(away, Relaxed);
        if self.degraded.swap(failed, Relaxed) != failed {
            match written {
                Ok(()) => tracing::info!("database: numbering is written again"),
                Err(error) => tracing::warn!(%error, "database: numbering is not written"),
            }
        }
    }

    async fn write(&self, store: &Store) -> Result<(), store::Error> {
        let notes = std::mem::take(&mut *lock(&self.notes));
        if notes.is_empty() {
            // Readiness wants to know, whether there is something to write or not.
            return store.ping().await;
        }
        let mut left = notes.clone();
        let result = write_all(store, &notes, &mut left).await;
        if result.is_err() {
            self.put_back(left);
        }
        result
    }

    /// What was not written stays noted, unless something newer was noted meanwhile.
    fn put_back(&self, left: BTreeMap<String, Note>) {
        let mut notes = lock(&self.notes);
        for (stream, old) in left {
            let note = notes.entry(stream).or_default();
            note.rows.splice(0..0, old.rows);
            note.run_ahead = note.run_ahead.or(old.run_ahead);
            note.discontinuity = note.discontinuity.or(old.discontinuity);
            note.highest = note.highest.max(old.highest);
            note.period = note.period.or(old.period);
        }
    }
}

async fn write_all(
    store: &Store,
    notes: &BTreeMap<String, Note>,
    left: &mut BTreeMap<String, Note>,
) -> Result<(), store::Error> {
    let mut updates = Vec::with_capacity(notes.len());
    for (stream, note) in notes {
        for row in &note.rows {
            store.append_row(stream, &to_store(row)).await?;
            if let Some(note) = left.get_mut(stream) {
                note.rows.remove(0);
            }
        }
        updates.push(StateUpdate {
            stream: stream.clone(),
            run_ahead: note.run_ahead.map(signed),
            discontinuity: note.discontinuity.map(signed),
            highest: note.highest.map(signed),
            period: note.period.as_ref().map(to_period).unwrap_or_default(),
        });
    }
    store.save_states(&updates, utc_ms()).await
}

fn signed(v: u64) -> i64 {
    i64::try_from(v).unwrap_or(i64::MAX)
}

fn unsigned(v: i64) -> u64 {
    u64::try_from(v).unwrap_or(0)
}

fn to_store(row: &Row) -> NewRow {
    NewRow {
        t0_ns: row.t0.as_nanos(),
        n0: signed(row.n0),
        d_ns: row.d.as_nanos(),
        target_duration: i64::from(row.target_duration),
        regular: row.regular,
        segment_ns: row.segment.as_nanos(),
    }
}

fn to_period(mark: &PeriodMark) -> Period {
    Period {
        start_ns: Some(mark.start.as_nanos()),
        number: Some(signed(mark.number)),
        fingerprint: Some(mark.fingerprint.cast_signed()),
    }
}

fn of_period(period: &Period) -> Option<PeriodMark> {
    Some(PeriodMark {
        start: Timestamp::from_nanos(period.start_ns?),
        number: unsigned(period.number?),
        fingerprint: period.fingerprint?.cast_unsigned(),
    })
}

fn restored(state: &NumberingState) -> Restored {
    let row = &state.row;
    Restored {
        row: Row {
            t0: Timestamp::from_nanos(row.t0_ns),
            n0: unsigned(row.n0),
            d: Span::from_nanos(row.d_ns.max(1)),
            target_duration: u32::try_from(row.target_duration).unwrap_or(1),
            regular: row.regular,
            segment: Span::from_nanos(row.segment_ns),
        },
        run_ahead: unsigned(state.run_ahead),
        discontinuity: unsigned(state.discontinuity),
        highest: unsigned(state.highest),
        as_of: Some(Timestamp::from_millis(state.updated_ms)),
        period: of_period(&state.period),
    }
}

/// What a stream goes on from; nothing where it never numbered anything.
pub(crate) async fn load(store: &Store, name: &str) -> Result<Option<Restored>, store::Error> {
    Ok(store.numbering(name).await?.as_ref().map(restored))
}
