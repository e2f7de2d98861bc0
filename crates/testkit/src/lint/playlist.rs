//! A media playlist as it was read: all that the rules ask about, and what was wrong in reading.

use media::{Span, Timestamp};

use super::Rule;
use super::attributes::{self, Attributes};

/// A media playlist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Playlist {
    pub(crate) version: Option<u64>,
    pub(crate) target_duration: Option<u64>,
    pub(crate) media_sequence: u64,
    pub(crate) discontinuity_sequence: u64,
    pub(crate) control: Option<Control>,
    pub(crate) part_target: Option<Span>,
    pub(crate) independent_segments: bool,
    pub(crate) i_frames_only: bool,
    pub(crate) dateranges: bool,
    pub(crate) skips: Vec<Skip>,
    /// What is listed, oldest first; the last may be growing. Skipped ones are not in it.
    pub(crate) segments: Vec<Segment>,
    pub(crate) hints: Vec<Hint>,
    pub(crate) reports: Vec<Report>,
    pub(crate) ended: bool,
    pub(crate) faults: Vec<(Rule, String)>,
}

/// `EXT-X-SERVER-CONTROL`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) can_block_reload: bool,
    pub(crate) can_skip_until: Option<Span>,
    pub(crate) can_skip_dateranges: bool,
    pub(crate) hold_back: Option<Span>,
    pub(crate) part_hold_back: Option<Span>,
}

/// `EXT-X-SKIP`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip {
    pub(crate) segments: u64,
    pub(crate) dateranges: bool,
}

/// A segment, or one that grows and has no URI yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) uri: Option<String>,
    pub(crate) duration: Option<Span>,
    pub(crate) parts: Vec<Part>,
    /// The initialisation section in force.
    pub(crate) map: Option<String>,
    /// Whether a tag of its own says so.
    pub(crate) own_map: bool,
    pub(crate) date: Option<Timestamp>,
    pub(crate) discontinuity: bool,
    pub(crate) gap: bool,
}

/// `EXT-X-PART`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) uri: String,
    pub(crate) duration: Span,
    pub(crate) independent: bool,
    pub(crate) gap: bool,
}

/// `EXT-X-PRELOAD-HINT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) kind: String,
    pub(crate) uri: String,
}

/// `EXT-X-RENDITION-REPORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) uri: String,
    pub(crate) msn: Option<u64>,
    pub(crate) part: Option<u64>,
}

impl Segment {
    pub(crate) const fn is_complete(&self) -> bool {
        self.uri.is_some()
    }

    pub(crate) fn parts_duration(&self) -> Span {
        self.parts
            .iter()
            .fold(Span::ZERO, |sum, p| sum + p.duration)
    }

    /// What is there of it.
    pub(crate) fn length(&self) -> Span {
        self.duration.unwrap_or_else(|| self.parts_duration())
    }
}

impl Playlist {
    /// Reads a playlist; what is wrong with it is kept beside it.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut reader = Reader::default();
        let mut lines = text.lines();
        if lines.next() != Some("#EXTM3U") {
            reader.fault(Rule::Grammar, "does not begin with #EXTM3U".to_owned());
        }
        for line in lines {
            reader.line(line);
        }
        reader.finish()
    }

    pub(crate) fn has_parts(&self) -> bool {
        self.segments.iter().any(|s| !s.parts.is_empty())
    }

    pub(crate) fn first(&self) -> Option<u64> {
        self.segments.first().map(|s| s.number)
    }

    /// The last number and how many of its parts are there.
    pub(crate) fn edge(&self) -> Option<(u64, u64)> {
        self.segments
            .last()
            .map(|s| (s.number, s.parts.len() as u64))
    }

    /// What a blocking reload asks for next.
    #[must_use]
    pub fn next(&self) -> Option<(u64, u64)> {
        let last = self.segments.last()?;
        Some(if last.is_complete() {
            (last.number + 1, 0)
        } else {
            (last.number, last.parts.len() as u64)
        })
    }

    pub(crate) fn segment(&self, number: u64) -> Option<&Segment> {
        let index = number.checked_sub(self.first()?)?;
        self.segments.get(usize::try_from(index).ok()?)
    }

    /// Whether a reload for `msn` and `part` may be answered with this (6.2.5.2).
    pub(crate) fn satisfies(&self, msn: u64, part: Option<u64>) -> bool {
        let Some(last) = self.segments.last() else {
            return false;
        };
        match part {
            _ if msn < last.number => true,
            _ if msn > last.number => false,
            Some(part) => part < last.parts.len() as u64,
            None => last.is_complete(),
        }
    }

    /// Programme time of the end of what is listed.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        let last = self.segments.last()?;
        Some(last.date? + last.length())
    }

    pub(crate) fn duration(&self) -> Span {
        self.segments
            .iter()
            .fold(Span::ZERO, |sum, s| sum + s.length())
    }

    pub(crate) fn parts(&self) -> impl DoubleEndedIterator<Item = (&Segment, &Part)> {
        self.segments
            .iter()
            .flat_map(|s| s.parts.iter().map(move |p| (s, p)))
    }

    /// The newest part's URI.
    #[must_use]
    pub fn newest_part(&self) -> Option<&str> {
        self.parts().next_back().map(|(_, p)| p.uri.as_str())
    }

    /// The number of the oldest listed segment.
    #[must_use]
    pub fn first_number(&self) -> Option<u64> {
        self.first()
    }

    /// Programme time of the end of what is listed.
    #[must_use]
    pub fn end_time(&self) -> Option<Timestamp> {
        self.end()
    }

    pub(crate) fn hint(&self, kind: &str) -> Option<&Hint> {
        self.hints.iter().find(|h| h.kind == kind)
    }

    pub(crate) fn target(&self) -> Span {
        Span::from_secs(i64::try_from(self.target_duration.unwrap_or(0)).unwrap_or(0))
    }

    /// Fills what a delta update left out from the playlist before it.
    ///
    /// # Errors
    /// What is skipped and not known.
    pub(crate) fn expand(&self, known: &Self) -> Result<Self, String> {
        let mut whole = self.clone();
        let skipped: u64 = self.skips.iter().map(|s| s.segments).sum();
        let mut segments = Vec::new();
        for number in self.media_sequence..self.media_sequence + skipped {
            let Some(segment) = known.segment(number) else {
                return Err(format!("{number} is skipped and was not listed before"));
            };
            segments.push(Segment {
                parts: Vec::new(),
                ..segment.clone()
            });
        }
        // A map that was declared in what is skipped goes on.
        let map = segments.last().and_then(|s| s.map.clone());
        for s in whole.segments.iter_mut().take_while(|s| !s.own_map) {
            s.map.clone_from(&map);
        }
        // One that is named again, for players that begin with the update, says nothing new.
        if let Some(first) = whole.segments.first_mut() {
            first.own_map &= first.discontinuity || first.map != map;
        }
        segments.append(&mut whole.segments);
        whole.segments = segments;
        whole.skips.clear();
        Ok(whole)
    }
}

/// A playlist being read.
#[derive(Default)]
struct Reader {
    list: Playlist,
    open: Segment,
    map: Option<String>,
    seen: Vec<&'static str>,
}

const ONCE: [&str; 8] = [
    "EXT-X-VERSION",
    "EXT-X-TARGETDURATION",
    "EXT-X-MEDIA-SEQUENCE",
    "EXT-X-DISCONTINUITY-SEQUENCE",
    "EXT-X-SERVER-CONTROL",
    "EXT-X-PART-INF",
    "EXT-X-INDEPENDENT-SEGMENTS",
    "EXT-X-ENDLIST",
];

impl Reader {
    fn fault(&mut self, rule: Rule, seen: String) {
        self.list.faults.push((rule, seen));
    }

    fn line(&mut self, line: &str) {
        match line.strip_prefix('#') {
            None if line.is_empty() => {}
            None => self.uri(line),
            Some(tag) if tag.starts_with("EXT") => {
                let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
                if let Err(why) = self.once(name).and_then(|()| self.tag(name, value)) {
                    self.fault(Rule::Grammar, format!("{line}: {why}"));
                }
            }
            Some(_) => {}
        }
    }

    fn once(&mut self, name: &str) -> Result<(), String> {
        let Some(name) = ONCE.into_iter().find(|n| *n == name) else {
            return Ok(());
        };
        if self.seen.contains(&name) {
            return Err("a second time".to_owned());
        }
        self.seen.push(name);
        if matches!(
            name,
            "EXT-X-MEDIA-SEQUENCE" | "EXT-X-DISCONTINUITY-SEQUENCE"
        ) && !(self.list.segments.is_empty() && self.open.parts.is_empty())
        {
            return Err("after the first segment".to_owned());
        }
        Ok(())
    }

    fn tag(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "EXT-X-VERSION" => self.list.version = Some(integer(value)?),
            "EXT-X-TARGETDURATION" => self.list.target_duration = Some(integer(value)?),
            "EXT-X-MEDIA-SEQUENCE" => self.list.media_sequence = integer(value)?,
            "EXT-X-DISCONTINUITY-SEQUENCE" => self.list.discontinuity_sequence = integer(value)?,
            "EXT-X-INDEPENDENT-SEGMENTS" => self.list.independent_segments = true,
            "EXT-X-I-FRAMES-ONLY" => self.list.i_frames_only = true,
            "EXT-X-ENDLIST" => self.list.ended = true,
            "EXT-X-GAP" => self.open.gap = true,
            "EXT-X-DATERANGE" => {
                self.list.dateranges = true;
                return attributes::daterange(value);
            }
            "EXTINF" => return self.extinf(value),
            "EXT-X-DISCONTINUITY" => {
                self.head(name);
                self.open.discontinuity = true;
            }
            "EXT-X-PROGRAM-DATE-TIME" => {
                self.head(name);
                self.open.date = Some(attributes::date(value).ok_or("no date")?);
            }
            "EXT-X-KEY" => self.head(name),
            "EXT-X-MAP" => {
                self.head(name);
                self.map = Some(uri_of(&Attributes::parse(value)?)?);
                self.open.own_map = true;
            }
            _ => {
                return self.low_latency(
                    name,
                    &Attributes::parse(value).unwrap_or_default(),
                    value,
                );
            }
        }
        Ok(())
    }

    fn low_latency(&mut self, name: &str, a: &Attributes<'_>, value: &str) -> Result<(), String> {
        match name {
            "EXT-X-SERVER-CONTROL" => self.list.control = Some(control(a)),
            "EXT-X-PART-INF" => {
                self.list.part_target = Some(a.seconds("PART-TARGET").ok_or("no PART-TARGET")?);
            }
            "EXT-X-SKIP" => self.list.skips.push(Skip {
                segments: a.integer("SKIPPED-SEGMENTS").ok_or("no SKIPPED-SEGMENTS")?,
                dateranges: a.get("RECENTLY-REMOVED-DATERANGES").is_some(),
            }),
            "EXT-X-PART" => {
                let part = Part {
                    uri: uri_of(a)?,
                    duration: a.seconds("DURATION").ok_or("no DURATION")?,
                    independent: a.is_yes("INDEPENDENT"),
                    gap: a.is_yes("GAP"),
                };
                self.open.parts.push(part);
            }
            "EXT-X-PRELOAD-HINT" => self.list.hints.push(Hint {
                kind: a.get("TYPE").ok_or("no TYPE")?.to_owned(),
                uri: uri_of(a)?,
            }),
            "EXT-X-RENDITION-REPORT" => self.list.reports.push(Report {
                uri: uri_of(a)?,
                msn: a.integer("LAST-MSN"),
                part: a.integer("LAST-PART"),
            }),
            _ => return Ok(()),
        }
        Attributes::parse(value).map(drop)
    }

    /// A tag that belongs before a segment's first part.
    fn head(&mut self, name: &str) {
        if !self.open.parts.is_empty() {
            let number = self.number();
            self.fault(
                Rule::H32,
                format!("{name} after a part of segment {number}"),
            );
        }
    }

    fn extinf(&mut self, value: &str) -> Result<(), String> {
        let (duration, _title) = value.split_once(',').ok_or("no comma")?;
        self.open.duration = Some(attributes::seconds(duration).ok_or("no duration")?);
        Ok(())
    }

    fn uri(&mut self, uri: &str) {
        if self.open.duration.is_none() {
            self.fault(Rule::Grammar, format!("{uri}: no EXTINF before it"));
        }
        self.open.uri = Some(uri.to_owned());
        self.close();
    }

    fn number(&self) -> u64 {
        let skipped: u64 = self.list.skips.iter().map(|s| s.segments).sum();
        self.list.media_sequence + skipped + self.list.segments.len() as u64
    }

    fn close(&mut self) {
        let number = self.number();
        let map = self.map.clone();
        let open = std::mem::take(&mut self.open);
        self.list.segments.push(Segment {
            number,
            map,
            ..open
        });
    }

    fn finish(mut self) -> Playlist {
        if self.open.duration.is_some() {
            self.fault(Rule::Grammar, "EXTINF without a URI".to_owned());
        }
        if !self.open.parts.is_empty() {
            self.close();
        }
        for (tag, missing) in [
            ("EXT-X-TARGETDURATION", self.list.target_duration.is_none()),
            ("EXT-X-VERSION", self.list.version.is_none()),
        ] {
            if missing {
                self.fault(Rule::Grammar, format!("no {tag}"));
            }
        }
        self.list
    }
}

fn control(a: &Attributes<'_>) -> Control {
    Control {
        can_block_reload: a.is_yes("CAN-BLOCK-RELOAD"),
        can_skip_until: a.seconds("CAN-SKIP-UNTIL"),
        can_skip_dateranges: a.is_yes("CAN-SKIP-DATERANGES"),
        hold_back: a.seconds("HOLD-BACK"),
        part_hold_back: a.seconds("PART-HOLD-BACK"),
    }
}

fn integer(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "no whole number".to_owned())
}

fn uri_of(a: &Attributes<'_>) -> Result<String, String> {
    a.quoted("URI")
        .map(str::to_owned)
        .ok_or_else(|| "no quoted URI".to_owned())
}
