//! When clock references and tables are due, by the DTS of frames.

use media::{Span, Timestamp};

/// How far the clock runs behind the DTS of what is written: a keyframe of several times the mean
/// size still comes before its time at the stream's own rate, and so does sound that lies up to
/// 186 ms behind pictures, as ffmpeg bundles it. Players that follow the clock are later by as much.
const DELAY: Span = Span::from_millis(200);
/// Between clock references (ETSI TS 101 154 4.1.5.3 wants no more; ITU-T H.222.0 allows 100 ms).
const CADENCE: Span = Span::from_millis(40);
/// How far other tracks may be ahead of the leading one before it counts as sparse.
const AHEAD: Span = Span::from_millis(300);
/// No time is told within a hole longer than this.
const HOLE: Span = Span::from_secs(10);
/// Further back than disorder reaches: the clock is another one.
const BACK: Span = Span::from_secs(1);
/// Between tables (ETSI TR 101 290 wants them every 500 ms, DVB recommends 100 ms).
pub(super) const TABLES: Span = Span::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The last reference, as a time.
    last: Option<Timestamp>,
    /// Where the next tables are due.
    tables: Option<Timestamp>,
    /// They were written, and it is not known when.
    fresh: bool,
}

/// What the frame itself tells.
pub(super) enum Reference {
    None,
    Here(i64),
    /// The clock is another one.
    Leap(i64),
}

impl Clock {
    /// Calls `between` with the references that are due before a frame.
    pub(super) fn reference(
        &mut self,
        dts: Timestamp,
        is_leading: bool,
        mut between: impl FnMut(i64),
    ) -> Reference {
        let time = dts - DELAY;
        let Some(last) = self.last.as_mut() else {
            if is_leading {
                self.last = Some(time);
                return Reference::Here(ticks(time));
            }
            return Reference::None;
        };
        if is_leading && *last - time > BACK {
            *last = time;
            return Reference::Leap(ticks(time));
        }
        let until = if is_leading { time } else { time - AHEAD };
        // Nothing is told within a hole.
        if until - *last > HOLE {
            *last = until - CADENCE;
        }
        while *last + CADENCE < until {
            *last += CADENCE;
            between(ticks(*last));
        }
        if !is_leading || time <= *last {
            return Reference::None;
        }
        *last = time;
        Reference::Here(ticks(time))
    }

    /// Whether tables are due before a frame, which they then precede; those that were just
    /// written count for it.
    pub(super) fn is_table_due(&mut self, dts: Timestamp, opens: bool) -> bool {
        let leapt = |due: Timestamp| due - dts > TABLES.times(2);
        let due = opens || self.tables.is_none_or(|due| due <= dts || leapt(due));
        let fresh = std::mem::take(&mut self.fresh);
        if due || fresh {
            self.tables = Some(dts + TABLES);
        }
        due && !fresh
    }

    pub(super) const fn wrote_tables(&mut self) {
        self.fresh = true;
    }

    pub(super) const fn forget_tables(&mut self) {
        self.tables = None;
        self.fresh = false;
    }

    /// A segment begins: nothing is known of what came before.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }
}

/// 27 MHz.
fn ticks(time: Timestamp) -> i64 {
    time.to_ticks(27_000_000)
}
