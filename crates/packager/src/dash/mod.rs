//! What DASH clients are told of a presentation (ISO/IEC 23009-1), as it is now.
//!
//! One Period lasts as long as numbers lie on one grid and no initialisation section changes. A
//! hole makes no Period: its numbers are answered with empty segments, and the time-shift buffer
//! says where to look (docs/time-and-numbering.md tells what players do with that).

mod mpd;
mod period;

use std::sync::Arc;

use media::{Span, Timestamp};

use crate::config::Config;
use crate::segment::Init;

pub use period::PeriodMark;
pub(crate) use period::{Period, Representation};

/// Classic clients stay so many segments behind (the default of dash.js).
pub(crate) const CLASSIC: i64 = 4;
/// Before a client's own delay is over, what lies behind a hole is not all it may look at: dash.js
/// seeks to where that begins.
const BEFORE: Span = Span::from_millis(500);
/// Who joins finds media so soon.
const SOON: Span = Span::from_millis(250);
/// Classic clients fetch the last segment of a Period before they hear of the next one.
pub(crate) const HEARSAY: Span = Span::from_secs(1);

/// The state behind the MPD. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Dash {
    /// Oldest first; the last one is open.
    pub(crate) periods: Vec<Arc<Period>>,
    /// Numbers up to this one that are not there will never be.
    pub closed: Option<u64>,
    pub(crate) hole: Option<Hole>,
    /// Where media began after the last hole.
    pub(crate) since: Timestamp,
    /// How much of it is served.
    pub(crate) window: Span,
    /// What no segment lasts longer than; nothing while that is not known.
    pub longest: Span,
    /// How far behind low-latency clients stay.
    pub(crate) latency: Option<Span>,
    /// Where the stream ended.
    pub(crate) ended: Option<Timestamp>,
}

/// A time without media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) from: Timestamp,
    /// `None` while it lasts.
    pub(crate) to: Option<Timestamp>,
    /// What was served when it began.
    pub(crate) oldest: Timestamp,
}

/// What an MPD shows: while this is the same, the MPD is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    low_latency: bool,
    depth_s: i64,
    periods: usize,
}

impl Dash {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            window: config.window,
            latency: config.latency,
            ..Self::default()
        }
    }

    /// What an MPD shows at UTC `now`; `None` before there is anything.
    #[must_use]
    pub fn view(&self, low_latency: bool, now: Timestamp) -> Option<View> {
        let d = self.periods.last()?.d;
        let low_latency = low_latency && self.latency.is_some();
        let depth = self.depth(low_latency, d, now);
        // Begun after now: the clock was set back since.
        let known = |p: &&Arc<Period>| low_latency || p.since + HEARSAY <= now || p.since > now;
        Some(View {
            low_latency,
            depth_s: depth.as_nanos() / 1_000_000_000,
            periods: self.periods.iter().filter(known).count().max(1),
        })
    }

    /// When who begins at UTC `now` or later finds media where it looks; `None` while that is not
    /// known.
    #[must_use]
    pub fn joinable_at(&self, low_latency: bool, now: Timestamp) -> Option<Timestamp> {
        let delay = self.delay(low_latency, self.periods.last()?.d);
        if self.ended.is_some() {
            return Some(now);
        }
        let at = now - delay;
        let before = |hole: &Hole| (hole.oldest..hole.from).contains(&at);
        match self.hole {
            Some(hole) if before(&hole) => Some(now),
            Some(hole) if hole.to.is_none() => None,
            _ => Some(now.max(self.since + delay - SOON)),
        }
    }

    /// Whether clients were told of this track.
    #[must_use]
    pub fn knows(&self, media: &str) -> bool {
        self.tracks(media).next().is_some()
    }

    /// An initialisation section that clients were told of, whether media has come behind it or not.
    #[must_use]
    pub fn init(&self, media: &str, hash: &str) -> Option<Arc<Init>> {
        let mut tracks = self.tracks(media);
        tracks
            .find(|t| t.init.hash == hash)
            .map(|t| Arc::clone(&t.init))
    }

    fn tracks<'a>(&'a self, media: &'a str) -> impl Iterator<Item = &'a Representation> {
        let all = self.periods.iter().rev().flat_map(|p| &p.tracks);
        all.filter(move |t| &*t.id == media)
    }

    /// Whether there is anything to play, or was.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.periods.is_empty()
    }

    /// The same, with all numbers up to `closed` given up; `None` where they are already.
    #[must_use]
    pub fn close(&self, closed: Option<u64>) -> Option<Self> {
        (self.closed < closed).then(|| Self {
            closed,
            ..self.clone()
        })
    }

    fn delay(&self, low_latency: bool, d: Span) -> Span {
        let latency = self.latency.filter(|_| low_latency);
        latency.unwrap_or_else(|| d.times(CLASSIC))
    }

    /// How far back a client may look. It grows with a hole, so that nobody is thrown out of what
    /// was there before it, and shrinks once clients may go on behind it.
    fn depth(&self, low_latency: bool, d: Span, now: Timestamp) -> Span {
        let delay = self.delay(low_latency, d);
        let lasts = |hole: &Hole| hole.to.is_none_or(|to| now < to + delay - BEFORE);
        if let Some(hole) = self.hole.filter(lasts) {
            return now - hole.oldest;
        }
        let least = if low_latency { delay + d } else { d };
        (now - self.since).min(self.window).max(least)
    }
}
