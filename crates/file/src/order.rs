//! Puts a file's frames into the order of their DTS, and one pass behind the other.

use std::collections::VecDeque;

use container::ingest::Item;
use media::{Frame, Span, Timestamp, TrackId, TrackKind};

/// Tracks of a file are interleaved less coarsely than this; so far and so many bytes a track waits
/// for the lead.
const APART: Span = Span::from_secs(10);
const APART_BYTES: usize = 32 << 20;
/// Where nothing tells how long a frame lasts.
const NOMINAL: Span = Span::from_millis(40);
/// What rounding in a container may cost.
const ROUNDING: Span = Span::from_millis(1);

/// The frames of one pass after the other. The lead, the first video or else the first audio,
/// decides how long a pass is: its pictures follow each other over the edge as they do within. Of
/// the others nothing is kept that would reach into the next pass. A leap of the file's own clock
/// is closed.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// What is added to the file's times, now and at the beginning of the pass.
    offset: Span,
    pass: Span,
    tracks: Vec<Extent>,
    queue: VecDeque<Frame>,
    bytes: usize,
    /// The latest DTS of the pass.
    reached: Option<Timestamp>,
    /// Whether a track went on so far without the lead that it decides no longer.
    without_lead: bool,
}

/// From where to where a track reaches in this pass.
#[derive(Debug)]
struct Extent {
    track: TrackId,
    kind: TrackKind,
    first: Option<Timestamp>,
    last: Timestamp,
    step: Span,
}

impl Extent {
    fn new(track: TrackId, kind: TrackKind) -> Self {
        Self {
            track,
            kind,
            first: None,
            last: Timestamp::ZERO,
            step: NOMINAL,
        }
    }

    fn reach(&mut self, dts: Timestamp, duration: Option<Span>) {
        if self.first.is_none() {
            (self.first, self.last) = (Some(dts), dts);
        } else if dts > self.last {
            self.step = dts - self.last;
            self.last = dts;
        }
        self.step = duration.unwrap_or(self.step);
    }

    fn end(&self) -> Timestamp {
        self.last + self.step
    }

    fn length(&self) -> Option<Span> {
        Some(self.end() - self.first?)
    }
}

impl Order {
    /// Takes an item; what is no frame comes back at once.
    pub(crate) fn push(&mut self, item: Item) -> Option<Item> {
        match item {
            Item::Frame(frame) => {
                self.frame(frame);
                None
            }
            Item::Track(track) => {
                if !self.tracks.iter().any(|t| t.track == track.id) {
                    self.tracks.push(Extent::new(track.id, track.kind));
                }
                Some(Item::Track(track))
            }
            // It will be back in the next pass.
            Item::End(_) => None,
            other => Some(other),
        }
    }

    fn frame(&mut self, mut frame: Frame) {
        let Some(at) = self.tracks.iter().position(|t| t.track == frame.track) else {
            return;
        };
        let reached = self.reached.unwrap_or(frame.dts + self.offset);
        if (frame.dts + self.offset - reached).abs() > APART {
            let own = Some(&self.tracks[at]).filter(|t| t.first.is_some());
            let end = own
                .map(Extent::end)
                .filter(|e| (*e - reached).abs() < APART);
            self.offset = end.unwrap_or(reached) - frame.dts;
        }
        frame.dts += self.offset;
        frame.pts += self.offset;
        self.reached = Some(reached.max(frame.dts));
        self.tracks[at].reach(frame.dts, frame.duration);
        self.bytes += frame.payload.len();
        let at = self.queue.partition_point(|f| f.dts <= frame.dts);
        self.queue.insert(at, frame);
    }

    /// The next frame that nothing can come before.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let (first, last) = (self.queue.front()?.dts, self.queue.back()?.dts);
        let is_behind = |t: &Extent| t.first.is_none() || t.last < first;
        let lead_behind = self.lead().is_none_or(is_behind);
        // Nobody waits for data.
        let mut media = self.tracks.iter().filter(|t| t.kind != TrackKind::Data);
        if lead_behind || media.any(is_behind) {
            if last - first < APART && self.bytes < APART_BYTES {
                return None;
            }
            self.without_lead |= lead_behind;
        }
        self.rest()
    }

    /// The file is at its end. Where it repeats, what would reach into the next pass is left out.
    pub(crate) fn end(&mut self, repeat: bool) {
        let Some(length) = self.length().filter(|_| repeat) else {
            return;
        };
        let tracks = &self.tracks;
        self.queue.retain(|frame| {
            let mut extents = tracks.iter();
            let Some(extent) = extents.find(|t| t.track == frame.track) else {
                return false;
            };
            let end = frame.dts + frame.duration.unwrap_or(extent.step);
            extent
                .first
                .is_some_and(|first| end <= first + length + ROUNDING)
        });
    }

    /// What is left of the pass, frame by frame.
    pub(crate) fn rest(&mut self) -> Option<Frame> {
        let frame = self.queue.pop_front()?;
        self.bytes = self.bytes.saturating_sub(frame.payload.len());
        Some(frame)
    }

    /// Another pass begins; whether this one had any length.
    pub(crate) fn again(&mut self) -> bool {
        let Some(length) = self.length() else {
            return false;
        };
        self.pass += length;
        self.offset = self.pass;
        self.queue.clear();
        (self.bytes, self.reached, self.without_lead) = (0, None, false);
        for extent in &mut self.tracks {
            extent.first = None;
        }
        true
    }

    fn length(&self) -> Option<Span> {
        let length = if self.without_lead {
            self.tracks.iter().filter_map(Extent::length).max()?
        } else {
            self.lead()?.length()?
        };
        (length > Span::ZERO).then_some(length)
    }

    /// The first video, else the first audio.
    fn lead(&self) -> Option<&Extent> {
        let of_kind = |kind| {
            let of = self.tracks.iter().filter(|t| t.kind == kind);
            of.min_by_key(|t| t.track)
        };
        of_kind(TrackKind::Video).or_else(|| of_kind(TrackKind::Audio))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use media::codec::OpaqueConfig;
    use media::{CodecConfig, Track};

    use super::*;

    fn track(id: u16) -> Item {
        let kind = if id == 0 {
            TrackKind::Video
        } else {
            TrackKind::Audio
        };
        let config = OpaqueConfig {
            kind,
            fourcc: *b"test",
            data: Bytes::new(),
        };
        Item::Track(Track::new(TrackId(id), CodecConfig::Opaque(config)))
    }

    fn frame(id: u16, ms: i64) -> Item {
        let dts = Timestamp::from_millis(ms);
        Item::Frame(Frame {
            track: TrackId(id),
            dts,
            pts: dts,
            duration: None,
            random_access: true,
            leading: false,
            payload: Bytes::from_static(&[0]),
        })
    }

    /// One pass over these frames, as track and milliseconds.
    fn pass(order: &mut Order, frames: &[(u16, i64)], repeat: bool) -> Vec<(u16, i64)> {
        let mut out = Vec::new();
        for (id, ms) in frames {
            order.push(frame(*id, *ms));
            out.extend(std::iter::from_fn(|| order.next()));
        }
        order.end(repeat);
        out.extend(std::iter::from_fn(|| order.rest()));
        out.iter().map(|f| (f.track.0, f.dts.as_millis())).collect()
    }

    fn both() -> Order {
        let mut order = Order::default();
        order.push(track(0));
        order.push(track(1));
        order
    }

    #[test]
    fn interleaving_becomes_order() {
        let frames = [
            (0, 0),
            (0, 40),
            (0, 80),
            (1, 10),
            (1, 30),
            (1, 50),
            (0, 120),
            (1, 70),
        ];
        let sorted = [
            (0, 0),
            (1, 10),
            (1, 30),
            (0, 40),
            (1, 50),
            (1, 70),
            (0, 80),
            (0, 120),
        ];
        assert_eq!(pass(&mut both(), &frames, false), sorted);
    }

    #[test]
    fn longer_sound_is_cut_at_the_edge() {
        let frames = [
            (0, 100),
            (1, 100),
            (1, 120),
            (0, 140),
            (1, 140),
            (1, 160),
            (1, 180),
        ];
        let mut order = both();
        let first = [(0, 100), (1, 100), (1, 120), (0, 140), (1, 140), (1, 160)];
        assert_eq!(pass(&mut order, &frames, true), first);
        assert!(order.again());
        let second = first.map(|(id, ms)| (id, ms + 80));
        assert_eq!(pass(&mut order, &frames, true), second);
        assert_eq!(
            pass(&mut both(), &frames, false).len(),
            7,
            "once: all of it"
        );
    }

    #[test]
    fn a_picture_under_long_sound_does_not_decide() {
        let sound = (0..1_000).map(|i| (1, i * 20));
        let frames: Vec<_> = [(0, 0)].into_iter().chain(sound).collect();
        let mut order = both();
        assert_eq!(pass(&mut order, &frames, true).len(), 1_001);
        assert!(order.again());
        assert_eq!(pass(&mut order, &frames, true)[0], (0, 20_000));
    }

    #[test]
    fn a_leap_is_closed() {
        let frames = [
            (0, 0),
            (1, 5),
            (0, 40),
            (0, 900_000),
            (1, 45),
            (0, 900_040),
            (1, 900_045),
        ];
        let out = pass(&mut both(), &frames, false);
        let times: Vec<_> = out.iter().map(|(_, ms)| *ms).collect();
        assert!(
            times.windows(2).all(|w| w[0] <= w[1] && w[1] - w[0] <= 80),
            "{out:?}"
        );
        let [(0, video), (1, audio)] = out[5..] else {
            panic!("{out:?}");
        };
        assert_eq!(audio - video, 5);
    }

    #[test]
    fn nothing_has_no_length() {
        assert!(!both().again());
        assert!(!Order::default().again());
    }
}
