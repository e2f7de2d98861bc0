//! Rules about HTTP answers.

use media::{Span, Timestamp};

use super::Rule;
use super::ledger::Bench;
use super::playlist::Playlist;

/// One answer, with the times at which it was asked for and came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status; `None` where no answer came.
    pub status: Option<u16>,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed.
    pub body: bytes::Bytes,
    /// When the request was sent.
    pub sent: Timestamp,
    /// When the first byte of the body was there.
    pub first: Timestamp,
    /// When the last was.
    pub last: Timestamp,
    /// When bytes of the body came, and how many had come by then: as sent, compressed or not.
    pub reads: Vec<(Timestamp, usize)>,
    /// Why there is no answer.
    pub error: Option<String>,
}

impl Answer {
    /// When the first `count` bytes of the body were there.
    pub(crate) fn arrived(&self, count: usize) -> Timestamp {
        let read = self.reads.iter().find(|(_, so_far)| *so_far >= count);
        read.map_or(self.last, |(at, _)| *at)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The body as text, where the answer is 200.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        (self.status == Some(200)).then(|| std::str::from_utf8(&self.body).ok())?
    }

    pub(crate) fn is(&self, status: u16) -> bool {
        self.status == Some(status)
    }

    pub(crate) fn took(&self) -> Span {
        self.last - self.sent
    }

    pub(crate) fn told(&self) -> String {
        match (self.status, &self.error) {
            (Some(status), _) => format!("{status} after {} ms", self.took().as_millis()),
            (None, error) => error.clone().unwrap_or_else(|| "no answer".to_owned()),
        }
    }

    pub(crate) fn max_age(&self) -> Option<i64> {
        let control = self.header("cache-control")?;
        let age = control
            .split(',')
            .find_map(|d| d.trim().strip_prefix("max-age="))?;
        age.parse().ok()
    }
}

/// An answer that should be there at once.
const AT_ONCE: Span = Span::from_millis(500);

/// What was asked of a media playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Directives {
    /// `_HLS_msn`.
    pub msn: Option<u64>,
    /// `_HLS_part`.
    pub part: Option<u64>,
    /// `_HLS_skip=YES`.
    pub skip: bool,
}

impl Directives {
    /// Waits for a part.
    #[must_use]
    pub const fn part(msn: u64, part: u64) -> Self {
        Self {
            msn: Some(msn),
            part: Some(part),
            skip: false,
        }
    }

    /// As a query, names in the order of their bytes.
    #[must_use]
    pub fn query(self) -> String {
        let msn = self.msn.map(|v| format!("_HLS_msn={v}"));
        let part = self.part.map(|v| format!("_HLS_part={v}"));
        let skip = self.skip.then(|| "_HLS_skip=YES".to_owned());
        [msn, part, skip]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("&")
    }
}

/// A playlist that was answered, against what was asked.
pub(super) fn reload(b: &mut Bench<'_>, asked: Directives, answer: &Answer, list: &Playlist) {
    if let Some(msn) = asked.msn.filter(|_| !list.ended) {
        b.check(Rule::H10, list.satisfies(msn, asked.part), || {
            format!(
                "asked for {msn}.{:?}, the edge is {:?}",
                asked.part,
                list.edge()
            )
        });
        let patience = list.target().times(3);
        b.time(Rule::H13, "blocked for", answer.took(), patience + AT_ONCE);
    }
    b.check(Rule::H15, asked.skip || list.skips.is_empty(), || {
        "a delta update nobody asked for".to_owned()
    });
    headers(b, answer);
    playlist_age(b, answer, asked.msn.is_some(), list.target());
}

/// What every answer keeps.
pub(super) fn headers(b: &mut Bench<'_>, answer: &Answer) {
    let age = answer.header("age");
    b.check(Rule::H26, age.is_none(), || {
        format!("Age: {}", age.unwrap_or_default())
    });
}

fn playlist_age(b: &mut Bench<'_>, answer: &Answer, blocking: bool, target: Span) {
    let seconds = target.as_millis() / 1000;
    let most = if blocking {
        seconds * 6
    } else {
        (seconds + 1) / 2
    };
    age(b, answer, (0, most.max(1)));
}

fn age(b: &mut Bench<'_>, answer: &Answer, (least, most): (i64, i64)) {
    let age = answer.max_age();
    b.check(
        Rule::H27,
        age.is_some_and(|a| (least..=most).contains(&a)),
        || {
            let told = answer.header("cache-control").unwrap_or("none");
            format!("Cache-Control: {told}, max-age {least} to {most} is recommended")
        },
    );
}

/// What may be kept of a refused request.
pub(super) fn refused(b: &mut Bench<'_>, answer: &Answer, blocking: bool, target: Span) {
    headers(b, answer);
    let seconds = target.as_millis() / 1000;
    let most = if blocking { seconds * 4 } else { seconds };
    // Saying nothing of a refusal is as good: it is not stored.
    if answer.max_age().is_some() {
        age(b, answer, (0, most));
    }
}

/// Media that was asked for by a listed or hinted URI.
pub(super) fn media(b: &mut Bench<'_>, answer: &Answer, target: Span) {
    headers(b, answer);
    age(b, answer, (target.as_millis() / 1000 * 6, i64::MAX));
}

/// H19: no byte leaves before the whole part can.
pub(super) fn burst(b: &mut Bench<'_>, answer: &Answer, duration: Span) {
    let limit = Span::from_nanos(duration.as_nanos() / 2);
    b.time(
        Rule::H19,
        "from first to last byte",
        answer.last - answer.first,
        limit,
    );
}

/// A request that has to be refused, and with which status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// `_HLS_part` without `_HLS_msn`.
    PartAlone,
    /// A number beyond the next two segments, or a part beyond the advance limit.
    TooFar,
    /// A resource that never was, or is not hinted at yet.
    Unknown,
}

impl Probe {
    const fn rule(self) -> Rule {
        match self {
            Self::PartAlone => Rule::H11,
            Self::TooFar => Rule::H12,
            Self::Unknown => Rule::H20,
        }
    }

    const fn status(self) -> u16 {
        match self {
            Self::PartAlone | Self::TooFar => 400,
            Self::Unknown => 404,
        }
    }
}

pub(super) fn probe(b: &mut Bench<'_>, probe: Probe, answer: &Answer, target: Span) {
    let rule = probe.rule();
    b.check(rule, answer.is(probe.status()), || {
        format!("{} instead of {}", answer.told(), probe.status())
    });
    b.time(rule, "refused", answer.took(), AT_ONCE);
    refused(b, answer, probe != Probe::Unknown, target);
}

/// H14: an old number gets the whole playlist at once.
pub(super) fn old(b: &mut Bench<'_>, answer: &Answer, known: &Playlist) {
    let list = answer.text().map(Playlist::read);
    let whole = list
        .as_ref()
        .is_some_and(|l| l.skips.is_empty() && l.edge() >= known.edge());
    b.check(Rule::H14, whole, || {
        format!("{}: not the whole playlist", answer.told())
    });
    b.time(Rule::H14, "answered", answer.took(), AT_ONCE);
}

/// Three answers about one state: plain, compressed and as a delta update.
pub(super) fn same(b: &mut Bench<'_>, plain: &Answer, gzip: &Answer, delta: &Answer) {
    let (Some(text), Some(zipped), Some(short)) = (plain.text(), gzip.text(), delta.text()) else {
        return;
    };
    let list = Playlist::read(text);
    let encoding = gzip.header("content-encoding");
    b.check(Rule::H25, encoding == Some("gzip"), || {
        "not compressed for who takes gzip".to_owned()
    });
    let uncompressed = plain.header("content-encoding").is_none();
    b.check(Rule::H25, uncompressed, || {
        "compressed for who did not ask".to_owned()
    });
    let other = Playlist::read(zipped);
    // Between the two answers another rendition may have gone on.
    if other.edge() == list.edge() && other.reports == list.reports {
        b.check(Rule::H25, zipped == text, || {
            "compressed and plain playlist differ".to_owned()
        });
    }
    expansion(b, &list, &Playlist::read(short));
}

/// H15: the delta update, filled from what was listed before, is the whole playlist.
fn expansion(b: &mut Bench<'_>, list: &Playlist, delta: &Playlist) {
    super::single::check_skip(b, delta);
    if delta.edge() != list.edge() || delta.media_sequence != list.media_sequence {
        return;
    }
    let expanded = delta.expand(list);
    let same = expanded
        .as_ref()
        .is_ok_and(|e| e.segments == list.segments && e.hints == list.hints);
    b.check(Rule::H15, same, || match &expanded {
        Err(why) => why.clone(),
        Ok(_) => "the delta update does not expand to the whole playlist".to_owned(),
    });
    let Some(skipped) = delta.skips.first() else {
        return;
    };
    let until = delta
        .control
        .as_ref()
        .and_then(|c| c.can_skip_until)
        .unwrap_or_default();
    let last = delta.media_sequence + skipped.segments - 1;
    let last = list
        .segment(last)
        .map_or(Span::ZERO, super::playlist::Segment::length);
    let left = delta.duration();
    b.check(Rule::H15, left + last > until, || {
        format!(
            "{} of media are left, CAN-SKIP-UNTIL is {}",
            left.as_secs_f64(),
            until.as_secs_f64()
        )
    });
}

/// A classic playlist: complete segments that the low-latency one lists too, and no more.
pub(super) fn classic(b: &mut Bench<'_>, text: &str, known: &Playlist) {
    for tag in [
        "EXT-X-PART",
        "EXT-X-PRELOAD-HINT",
        "EXT-X-SKIP",
        "EXT-X-RENDITION-REPORT",
    ] {
        b.check(Rule::Classic, !text.contains(tag), || {
            format!("it has {tag}")
        });
    }
    let list = Playlist::read(text);
    b.check(Rule::Classic, list.faults.is_empty(), || {
        list.faults[0].1.clone()
    });
    b.check(
        Rule::Classic,
        list.target_duration == known.target_duration,
        || "another TARGETDURATION".to_owned(),
    );
    for segment in &list.segments {
        let Some(same) = known.segment(segment.number).filter(|s| s.is_complete()) else {
            continue;
        };
        let same = same.uri == segment.uri
            && same.duration == segment.duration
            && same.date == segment.date;
        b.check(Rule::Classic, same, || {
            format!("segment {} is another one", segment.number)
        });
    }
}
