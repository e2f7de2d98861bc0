//! What of one rendition's sound waits for its pictures: encoders that look ahead give them late.

use std::collections::VecDeque;
use std::sync::Arc;

use hub::Limits;
use media::{Frame, Span, Timestamp, Track};

/// Sound waits no longer than this, by its own times.
const LONGEST: Span = Span::from_secs(3);
/// Nor is more of it kept, whatever its times: as much as all tracks have in that time.
const MOST: usize = 8 << 20;

/// A frame, and the set of tracks that its own is of.
pub(crate) type Sound = (Frame, Arc<[Track]>);

/// Puts a rendition's frames into the order of their DTS.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    sound: VecDeque<Sound>,
    /// What that takes.
    bytes: usize,
    /// How far pictures have come.
    reached: Option<Timestamp>,
    /// There are no pictures: sound goes on at once.
    alone: bool,
}

impl Queue {
    /// For a rendition without pictures.
    pub(crate) fn without_pictures() -> Self {
        Self {
            alone: true,
            ..Self::default()
        }
    }

    /// A picture with this DTS is written next: the sound that belongs before it.
    pub(crate) fn picture(&mut self, dts: Timestamp) -> impl Iterator<Item = Sound> {
        self.reached = Some(dts);
        self.due()
    }

    /// A frame of sound; what is due with it.
    pub(crate) fn sound(&mut self, sound: Sound) -> impl Iterator<Item = Sound> {
        self.bytes += Limits::cost(&sound.0);
        self.sound.push_back(sound);
        self.due()
    }

    fn due(&mut self) -> impl Iterator<Item = Sound> {
        let newest = self.sound.back().map(|(f, _)| f.dts);
        let due = |f: &Frame| {
            let reached = self.reached.is_some_and(|reached| f.dts <= reached);
            let late = newest.is_some_and(|newest| newest - f.dts > LONGEST);
            reached || late || self.alone
        };
        let mut bytes = self.bytes;
        let leaves = |(f, _): &&Sound| {
            let leaves = due(f) || bytes > MOST;
            bytes -= if leaves { Limits::cost(f) } else { 0 };
            leaves
        };
        let count = self.sound.iter().take_while(leaves).count();
        self.bytes = bytes;
        self.sound.drain(..count)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use media::TrackId;

    use super::*;

    fn sound(ms: i64) -> Sound {
        let frame = Frame {
            track: TrackId(1),
            dts: Timestamp::from_millis(ms),
            pts: Timestamp::from_millis(ms),
            duration: None,
            random_access: true,
            leading: false,
            payload: Bytes::new(),
        };
        (frame, Arc::new([]))
    }

    #[test]
    fn sound_waits_for_its_pictures() {
        let mut queue = Queue::default();
        for ms in [0, 20, 40, 60] {
            assert_eq!(queue.sound(sound(ms)).count(), 0);
        }
        assert_eq!(queue.picture(Timestamp::from_millis(40)).count(), 3);
        assert_eq!(queue.sound(sound(35)).count(), 0, "behind one that waits");
        assert_eq!(queue.picture(Timestamp::from_millis(80)).count(), 2);
        assert_eq!(queue.sound(sound(75)).count(), 1);
    }

    #[test]
    fn sound_does_not_wait_for_ever() {
        let mut queue = Queue::default();
        let out: usize = (0..500).map(|n| queue.sound(sound(n * 20)).count()).sum();
        assert_eq!(out, 500 - 151);
        assert_eq!(Queue::without_pictures().sound(sound(0)).count(), 1);
    }

    #[test]
    fn sound_whose_times_stand_still_is_not_kept_without_end() {
        let mut queue = Queue::default();
        let frame = || {
            let (mut frame, tracks) = sound(0);
            frame.payload = Bytes::from_static(&[0; 1 << 20]);
            (frame, tracks)
        };
        let out: usize = (0..20).map(|_| queue.sound(frame()).count()).sum();
        assert_eq!(out, 20 - 7);
    }
}
