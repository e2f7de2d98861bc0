//! Cues of the source (SCTE-35) as date ranges of playlists (RFC 8216bis 4.4.5.1).

use std::fmt::Write as _;

use bytes::Bytes;
use media::scte35::{self, Cue, What};
use media::{Span, Timestamp};

use crate::playlist::{date_time, seconds};

/// So many are told of at a time.
const MOST: usize = 64;
/// A cue is repeated within this time around the first one.
const AGAIN: Span = Span::from_secs(10);

/// A break, or another cue. What was told once of it stays; its end is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DateRange {
    event: u32,
    start: Timestamp,
    planned: Option<Span>,
    /// Whether a break begins; else anything else happens.
    opens: bool,
    section: Bytes,
    end: Option<(Timestamp, Bytes)>,
}

impl DateRange {
    /// Until when it matters.
    fn until(&self) -> Option<Timestamp> {
        let planned = self.planned.map(|planned| self.start + planned);
        let alone = (!self.opens).then_some(self.start);
        let end = self.end.as_ref().map(|(end, _)| *end);
        end.or(planned).or(alone)
    }

    fn is_again(&self, event: u32, at: Timestamp) -> bool {
        self.event == event && (self.start - at).abs() <= AGAIN
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let (event, start) = (self.event, self.start);
        write!(
            out,
            "#EXT-X-DATERANGE:ID=\"{event:08x}-{}\",START-DATE=\"{}\"",
            start.as_millis(),
            date_time(start)
        )?;
        if let Some((end, _)) = &self.end {
            write!(out, ",DURATION={}", seconds(*end - start))?;
        }
        if let Some(planned) = self.planned {
            write!(out, ",PLANNED-DURATION={}", seconds(planned))?;
        }
        let name = if self.opens { "OUT" } else { "CMD" };
        write!(out, ",SCTE35-{name}={}", hex(&self.section)?)?;
        if let Some((_, section)) = &self.end {
            write!(out, ",SCTE35-IN={}", hex(section)?)?;
        }
        writeln!(out)
    }
}

fn hex(bytes: &[u8]) -> Result<String, std::fmt::Error> {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    for byte in bytes {
        write!(text, "{byte:02X}")?;
    }
    Ok(text)
}

/// All that are told of, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DateRanges(Vec<DateRange>);

impl DateRanges {
    /// Takes a section that came at `now` and is for `at`. Whether that changed anything.
    pub(crate) fn take(&mut self, section: &Bytes, at: Timestamp, now: Timestamp) -> bool {
        let mut changed = false;
        for cue in scte35::cues(section) {
            changed |= self.cue(cue, section, at, now);
        }
        changed
    }

    fn cue(&mut self, cue: Cue, section: &Bytes, at: Timestamp, now: Timestamp) -> bool {
        let all = &mut self.0;
        let event = cue.event;
        match cue.what {
            What::Cancelled => {
                let before = all.len();
                all.retain(|r| r.event != event || r.start <= now);
                return all.len() < before;
            }
            What::In => {
                let mut newest = all.iter_mut().rev();
                if let Some(range) = newest.find(|r| r.opens && r.event == event && r.start <= at) {
                    let is_new = range.end.is_none();
                    range.end.get_or_insert_with(|| (at, section.clone()));
                    return is_new;
                }
            }
            What::Out | What::Other => {}
        }
        if all.iter().any(|r| r.is_again(event, at)) {
            return false;
        }
        if all.len() == MOST {
            all.remove(0);
        }
        all.push(DateRange {
            event,
            start: at,
            planned: cue.duration,
            opens: cue.what == What::Out,
            section: section.clone(),
            end: None,
        });
        true
    }

    /// Forgets what ended before `first`, where playlists begin.
    pub(crate) fn forget(&mut self, first: Timestamp) -> bool {
        let before = self.0.len();
        self.0.retain(|r| r.until().is_none_or(|end| end >= first));
        self.0.len() < before
    }

    pub(crate) fn write(&self, out: &mut String) -> std::fmt::Result {
        self.0.iter().try_for_each(|range| range.write(out))
    }
}
