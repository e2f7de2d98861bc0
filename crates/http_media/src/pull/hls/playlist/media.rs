//! Media playlists.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use media::{Span, Timestamp};
use quick_m3u8::tag::HlsPlaylistType;
use quick_m3u8::tag::hls::{self, EnumeratedString, Method, PreloadHintType, Tag};

use super::{Key, Map, Resource, seconds};

/// The highest number to begin with: no playlist is long enough to count from here to an overflow.
const NUMBERS: u64 = u64::MAX >> 1;

/// A media playlist.
#[derive(Debug, Clone, Default)]
pub(crate) struct Media {
    pub(crate) target: Span,
    /// The number of the first segment.
    pub(crate) first: u64,
    /// The last one may still be open: it has parts, and no bytes of its own.
    pub(crate) segments: Vec<Segment>,
    /// Nothing will be added.
    pub(crate) ended: bool,
    /// It is said to be there as a whole.
    pub(crate) vod: bool,
    pub(crate) part_target: Option<Span>,
    pub(crate) can_block: bool,
    /// The part that comes next.
    pub(crate) hint: Option<Resource>,
}

/// A segment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Segment {
    /// `None` while it is open.
    pub(crate) at: Option<Resource>,
    pub(crate) duration: Span,
    /// Discontinuities before it, counted from the beginning of the presentation.
    pub(crate) region: u64,
    pub(crate) map: Option<Arc<Map>>,
    pub(crate) key: Option<Arc<Key>>,
    pub(crate) utc: Option<Timestamp>,
    pub(crate) gap: bool,
    pub(crate) parts: Vec<Part>,
}

/// A part of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) at: Resource,
    pub(crate) duration: Span,
    pub(crate) independent: bool,
    pub(crate) gap: bool,
}

impl Segment {
    /// What tells it from another segment of the same number.
    pub(crate) fn print(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.at, self.duration, self.utc).hash(&mut hasher);
        hasher.finish()
    }

    fn is_new(&self) -> bool {
        self.at.is_none() && self.parts.is_empty()
    }
}

/// A media playlist that is being read.
#[derive(Debug, Default)]
pub(super) struct Builder {
    media: Media,
    regions: u64,
    map: Option<Arc<Map>>,
    key: Option<Arc<Key>>,
    /// The segment at hand.
    open: Segment,
    duration: Option<Span>,
    range: Option<(u64, Option<u64>)>,
    /// Where the last range of each resource ended.
    ends: HashMap<String, u64>,
    skipped: u64,
    iframes: bool,
}

impl Builder {
    pub(super) fn tag(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Targetduration(t) => self.media.target = target(t.target_duration()),
            Tag::MediaSequence(s) => self.media.first = s.media_sequence(),
            Tag::DiscontinuitySequence(s) => self.regions = s.discontinuity_sequence(),
            Tag::Endlist(_) => self.media.ended = true,
            Tag::PlaylistType(t) => self.media.vod = t.playlist_type() == HlsPlaylistType::Vod,
            Tag::IFramesOnly(_) => self.iframes = true,
            Tag::PartInf(p) => self.media.part_target = seconds(p.part_target()),
            Tag::ServerControl(c) => self.media.can_block = c.can_block_reload(),
            Tag::Skip(s) => self.skipped = s.skipped_segments(),
            Tag::Inf(inf) => self.duration = seconds(inf.duration()),
            Tag::Byterange(r) => self.range = Some((r.length(), r.offset())),
            Tag::Discontinuity(_) => self.regions = self.regions.saturating_add(1),
            Tag::Gap(_) => self.open.gap = true,
            Tag::Key(key) => self.key = read_key(key),
            Tag::Map(map) => self.set_map(map),
            Tag::Part(part) => self.part(part),
            Tag::PreloadHint(hint) => self.hint(hint),
            _ => {}
        }
    }

    pub(super) fn date(&mut self, utc: Option<Timestamp>) {
        self.open.utc = utc;
    }

    fn set_map(&mut self, map: &hls::Map<'_>) {
        let range = map.byterange();
        self.map = Some(Arc::new(Map {
            at: Resource {
                uri: map.uri().to_owned(),
                range: range.map(|r| r.offset..r.offset.saturating_add(r.length)),
            },
            key: self.key.clone(),
        }));
    }

    fn part(&mut self, part: &hls::Part<'_>) {
        let range = part.byterange().map(|r| (r.length, r.offset));
        let uri = part.uri().to_owned();
        let range = self.range_of(&uri, range);
        let duration = seconds(part.duration()).unwrap_or_default();
        self.open.parts.push(Part {
            at: Resource { uri, range },
            duration,
            independent: part.independent(),
            gap: part.gap(),
        });
    }

    fn hint(&mut self, hint: &hls::PreloadHint<'_>) {
        // A hint without an end would have to be cut by the playlist that follows it.
        let open = hint.byterange_start() > 0 && hint.byterange_length().is_none();
        if hint.hint_type() != EnumeratedString::Known(PreloadHintType::Part) || open {
            return;
        }
        let start = hint.byterange_start();
        let range = hint.byterange_length();
        self.media.hint = Some(Resource {
            uri: hint.uri().to_owned(),
            range: range.map(|length| start..start.saturating_add(length)),
        });
    }

    /// A range without an offset goes on where the last one of its resource ended.
    fn range_of(&mut self, uri: &str, range: Option<(u64, Option<u64>)>) -> Option<Range<u64>> {
        let (length, offset) = range?;
        let known = self.ends.get(uri).copied().unwrap_or(0);
        let start = offset.unwrap_or(known);
        let end = start.saturating_add(length);
        self.ends.insert(uri.to_owned(), end);
        Some(start..end)
    }

    pub(super) fn uri(&mut self, uri: &str) {
        let range = self.range.take();
        let range = self.range_of(uri, range);
        self.open.at = Some(Resource {
            uri: uri.to_owned(),
            range,
        });
        self.open.duration = self.duration.take().unwrap_or(self.media.target);
        self.close();
    }

    fn close(&mut self) {
        let mut segment = std::mem::take(&mut self.open);
        segment.region = self.regions;
        segment.map.clone_from(&self.map);
        segment.key.clone_from(&self.key);
        self.media.segments.push(segment);
    }

    pub(super) fn finish(mut self) -> Result<Media, &'static str> {
        if self.media.target == Span::ZERO {
            return Err("a media playlist without a target duration");
        }
        if self.skipped > 0 {
            return Err("a delta update that was not asked for");
        }
        if self.iframes {
            return Err("a playlist of keyframes alone");
        }
        if self.media.first > NUMBERS {
            return Err("a media sequence number that leaves no room");
        }
        if !self.open.is_new() {
            self.close();
        }
        Ok(self.media)
    }
}

/// A target duration of nothing, or of years, is a mistake; one second to an hour are not.
fn target(seconds: u64) -> Span {
    Span::from_secs(i64::try_from(seconds.clamp(1, 3_600)).unwrap_or(1))
}

fn read_key(key: &hls::Key<'_>) -> Option<Arc<Key>> {
    let other = |what: String| Some(Arc::new(Key::Other(what)));
    match (key.method(), key.uri()) {
        (EnumeratedString::Known(Method::None), _) => None,
        (EnumeratedString::Known(Method::Aes128), Some(uri)) if key.keyformat() == "identity" => {
            let iv = match key.iv().map(read_iv) {
                Some(None) => return other("an IV that is none".to_owned()),
                iv => iv.flatten(),
            };
            let uri = uri.to_owned();
            Some(Arc::new(Key::Aes128 { uri, iv }))
        }
        (method, _) => {
            let shown = format!("{method} of {}", key.keyformat());
            other(shown.chars().filter(|c| !c.is_control()).take(80).collect())
        }
    }
}

/// `0x` and up to 32 hexadecimal digits.
fn read_iv(text: &str) -> Option<[u8; 16]> {
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))?;
    let sane = (1..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let value = sane.then(|| u128::from_str_radix(digits, 16).ok());
    value.flatten().map(u128::to_be_bytes)
}
