//! What must hold in every snapshot, and from one snapshot to the next.

use std::collections::HashMap;
use std::sync::Arc;

use media::{Span, Timestamp};
use packager::{Media, Packager, PartName, Release, Segment, Snapshot, What};

#[derive(Default)]
pub struct Checker {
    last: Option<Arc<Snapshot>>,
    version: u64,
    bytes: HashMap<(String, u64), Vec<u8>>,
    parts: HashMap<(String, PartName), Vec<u8>>,
    /// Complete ones, which were compared byte by byte and are shared from then on.
    compared: HashMap<(String, u64), Arc<Segment>>,
    /// The longest time between two changes while media flows.
    pub slowest: Span,
    pub changed_at: Option<Timestamp>,
    /// Irregular sources may leave parts short.
    pub short_parts: u32,
    /// So many segments more may be missing of a track until it is taken for dead.
    pub dead: u64,
    growing: Growing,
}

/// What readers of growing segments were given.
#[derive(Default)]
struct Growing {
    open: HashMap<Arc<str>, (u64, Vec<u8>)>,
    /// The last number of each track.
    last: HashMap<Arc<str>, u64>,
    closed: Option<u64>,
    whole: HashMap<(String, u64), Vec<u8>>,
}

impl Growing {
    fn observe(&mut self, packager: &mut Packager) {
        while let Some(Release { media, what }) = packager.next_release() {
            match what {
                What::Begin { number, .. } => {
                    let last = self.last.insert(Arc::clone(&media), number);
                    assert!(last < Some(number), "{media}: {number} after {last:?}");
                    assert!(self.closed < Some(number), "{media}_{number} was given up");
                    let before = self.open.insert(media, (number, Vec::new()));
                    assert!(before.is_none());
                }
                What::Chunk(buffers) => {
                    let (_, bytes) = self.open.get_mut(&media).expect("an open segment");
                    bytes.extend(buffers.concat());
                }
                What::End => {
                    let (number, bytes) = self.open.remove(&media).expect("an open segment");
                    self.whole.insert((media.to_string(), number), bytes);
                }
                What::Here => assert!(!self.open.contains_key(&media)),
                What::Never { number } => {
                    assert!(!self.open.contains_key(&media));
                    let last = self.last.insert(Arc::clone(&media), number);
                    assert!(last < Some(number), "{media}: {number} after {last:?}");
                }
                What::Gone => {
                    assert!(!self.open.contains_key(&media));
                    self.last.remove(&media);
                }
            }
        }
        assert!(self.closed <= packager.dash().closed);
        self.closed = packager.dash().closed;
    }
}

impl Checker {
    /// Remembers every byte that was ever given out, and nothing of the playlists.
    pub fn after_restart(self) -> Self {
        Self {
            bytes: self.bytes,
            parts: self.parts,
            ..Self::default()
        }
    }

    pub fn observe(&mut self, packager: &mut Packager, now: Timestamp) {
        self.growing.observe(packager);
        let snapshot = packager.snapshot();
        if snapshot.version == self.version {
            return;
        }
        assert!(snapshot.version > self.version);
        for media in &snapshot.media {
            self.media(media);
            if let Some(old) = self.last.as_ref().and_then(|s| s.get(&media.id)) {
                let old = Arc::clone(old);
                self.step(&old, media);
            }
        }
        same_numbers(snapshot, 2 + self.dead);
        if let Some(at) = self.changed_at.replace(now) {
            self.slowest = self.slowest.max(now - at);
        }
        self.version = snapshot.version;
        self.last = Some(Arc::clone(snapshot));
    }

    fn media(&mut self, media: &Media) {
        let mut numbers = media.segments.iter().map(|s| s.number);
        let first = numbers.next().expect("a listed playlist has segments");
        numbers.fold(first, |last, n| {
            assert_eq!(n, last + 1, "{}: numbers are consecutive", media.id);
            n
        });
        assert!(
            media.last_complete().is_some(),
            "{}: nothing complete",
            media.id
        );
        let Some((last, complete)) = media.segments.split_last() else {
            return;
        };
        assert!(complete.iter().all(|s| s.complete));
        for segment in &media.segments {
            self.segment(media, segment, Arc::ptr_eq(segment, last));
        }
    }

    fn segment(&mut self, media: &Media, segment: &Arc<Segment>, is_last: bool) {
        assert!(is_last || segment.complete);
        assert!(!segment.parts.is_empty(), "an empty segment is listed");
        let rounded = (segment.duration.as_nanos() + 500_000_000) / 1_000_000_000;
        assert!(
            rounded <= i64::from(media.target_duration),
            "{}_{}: {:?} exceeds the target {}",
            media.id,
            segment.number,
            segment.duration,
            media.target_duration
        );
        let key = (media.id.clone(), segment.number);
        let compared = self.compared.get(&key);
        if compared.is_some_and(|s| Arc::ptr_eq(s, segment)) {
            return;
        }
        let sum = segment.parts.iter().fold(Span::ZERO, |s, p| s + p.duration);
        assert_eq!(sum, segment.duration);
        let mut body = Vec::new();
        for (i, part) in segment.parts.iter().enumerate() {
            assert!(
                part.duration <= media.part_target + Span::from_nanos(20_000),
                "{}_{}: part of {:?} over {:?}",
                media.id,
                part.name,
                part.duration,
                media.part_target
            );
            let last = i + 1 == segment.parts.len();
            let least = media.part_target.as_nanos() / 100 * 85;
            self.short_parts += u32::from(!last && part.duration.as_nanos() < least);
            let bytes: Vec<u8> = part.buffers.concat();
            assert_eq!(bytes.len(), part.len);
            body.extend_from_slice(&bytes);
            let name = (media.id.clone(), part.name);
            let old = self.parts.entry(name).or_insert_with(|| bytes.clone());
            assert_eq!(*old, bytes, "{} was other bytes", part.name);
        }
        if segment.complete {
            self.compared.insert(key.clone(), Arc::clone(segment));
            let old = self.bytes.entry(key).or_insert_with(|| body.clone());
            assert_eq!(*old, body, "{} was other bytes", segment.number);
            let key = (media.id.clone(), segment.number);
            assert_eq!(self.growing.whole.get(&key), Some(&body));
        }
    }

    /// From one state of a playlist to the next.
    fn step(&mut self, old: &Media, new: &Media) {
        assert!(
            old.media_sequence() <= new.media_sequence(),
            "sequence went back"
        );
        assert_eq!(old.part_target, new.part_target);
        let gone = old
            .segments
            .iter()
            .filter(|s| s.number < new.media_sequence());
        let discontinuities = gone.clone().filter(|s| s.discontinuity).count() as u64;
        assert_eq!(
            old.discontinuity_sequence + discontinuities,
            new.discontinuity_sequence,
            "the discontinuity number grows by the tags that left"
        );
        let still: Vec<u64> = gone.map(|s| s.number).collect();
        for number in still.iter().rev().take(1) {
            assert!(new.segment(*number).is_some(), "{number} is gone at once");
        }
        self.hint(old, new);
        let jumped = new.media_sequence() > old.edge().map_or(0, |e| e.msn);
        if jumped {
            assert!(
                new.segments[0].independent,
                "a new list starts with a keyframe"
            );
            assert!(
                !new.segments[0].discontinuity,
                "no discontinuity over a hole"
            );
        }
    }

    /// What was hinted is what came, or was hinted in vain: nobody foresees another init section.
    fn hint(&self, old: &Media, new: &Media) {
        if old.hold {
            return;
        }
        let known = |name: PartName| old.part(name).is_some();
        let of = |s: &Arc<Segment>| s.parts.iter().map(|p| p.name).collect::<Vec<_>>();
        let mut fresh = new
            .segments
            .iter()
            .flat_map(|s| of(s).into_iter().map(move |n| (s, n)));
        let Some((segment, first)) = fresh.find(|(_, name)| !known(*name)) else {
            return;
        };
        let before = old.segments.last().map(|s| s.init.hash.as_str());
        let same = before.is_none_or(|hash| hash == segment.init.hash);
        assert_eq!(
            first == old.next_part,
            same,
            "{}: {first:?} came, {:?} was hinted",
            new.id,
            old.next_part
        );
    }
}

/// The playlists of a presentation speak of the same numbers; sound that lags behind two close
/// cuts may be one further behind for a moment.
fn same_numbers(snapshot: &Snapshot, apart: u64) {
    let edges: Vec<u64> = snapshot
        .media
        .iter()
        .filter_map(|m| Some(m.edge()?.msn))
        .collect();
    if let (Some(min), Some(max)) = (edges.iter().min(), edges.iter().max()) {
        assert!(max - min <= apart, "edges {edges:?}");
    }
}
