//! How far the programme should have come, when nothing of it comes.

use media::{Span, Timestamp, TrackKind};

/// A source that is switched away from is gone for less than this; then the picture is held.
const PATIENCE: Span = Span::from_millis(700);
/// How far held media stays behind: what comes back is shown from there on.
const BEHIND: Span = Span::from_millis(500);
/// For how long the earliest arrival is remembered.
const WATCHED: Span = Span::from_secs(5);

/// The arrivals of one programme.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    video: Option<Arrival>,
    audio: Option<Arrival>,
    /// By how much the programme runs ahead of UTC: the most of late, and of a while before.
    ahead: Option<(Span, Timestamp)>,
    before: Option<Span>,
}

#[derive(Debug, Clone, Copy)]
struct Arrival {
    at: Timestamp,
    dts: Timestamp,
}

/// Up to where the two kinds are to be held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Holds {
    pub(crate) video: Option<Timestamp>,
    pub(crate) audio: Option<Timestamp>,
}

impl Silence {
    /// A frame came at UTC `now`; one that came before, and is told to the next worker, says nothing.
    pub(crate) fn note(&mut self, kind: TrackKind, dts: Timestamp, now: Timestamp) {
        let last = match kind {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
            _ => return,
        };
        if last.is_some_and(|last| dts <= last.dts) {
            return;
        }
        *last = Some(Arrival { at: now, dts });
        let ahead = dts - now;
        self.ahead = Some(match self.ahead {
            Some((most, since)) if now - since < WATCHED => (most.max(ahead), since),
            old => {
                self.before = old.map(|(most, _)| most);
                (ahead, now)
            }
        });
    }

    /// What is to be held at UTC `now`. Beside a rung that is copied pictures are not, and sound
    /// no further than pictures come.
    pub(crate) fn holds(&self, now: Timestamp, copies_video: bool) -> Holds {
        let Some(ahead) = self
            .ahead
            .map(|(most, _)| self.before.map_or(most, |b| b.max(most)))
        else {
            return Holds::default();
        };
        let until = now + ahead - BEHIND;
        let is_silent = |a: &Arrival| now - a.at >= PATIENCE;
        let video = self.video.filter(|a| is_silent(a) && !copies_video);
        let audio = self.audio.filter(is_silent);
        let bound = self
            .video
            .filter(|_| copies_video)
            .map_or(until, |v| v.dts.min(until));
        Holds {
            video: video.map(|_| until),
            audio: audio.map(|_| bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + ms)
    }

    fn played(ms: i64) -> Silence {
        let mut silence = Silence::default();
        for n in 0..ms / 40 {
            // They arrive up to 60 ms late.
            let late = n % 4 * 20;
            silence.note(TrackKind::Video, at(n * 40), at(n * 40 + late));
            silence.note(TrackKind::Audio, at(n * 40), at(n * 40 + late));
        }
        silence
    }

    #[test]
    fn a_short_silence_is_waited_for() {
        let silence = played(8_000);
        assert_eq!(silence.holds(at(8_500), false), Holds::default());
    }

    #[test]
    fn a_longer_one_is_held_over_half_a_second_behind() {
        let holds = played(8_000).holds(at(9_000), false);
        let until = Some(at(8_500));
        assert_eq!(
            holds,
            Holds {
                video: until,
                audio: until
            }
        );
    }

    #[test]
    fn one_kind_may_be_silent_alone() {
        let mut silence = played(4_000);
        for n in 100..200 {
            silence.note(TrackKind::Video, at(n * 40), at(n * 40));
        }
        let holds = silence.holds(at(8_000), false);
        assert_eq!((holds.video, holds.audio), (None, Some(at(7_500))));
    }

    #[test]
    fn beside_a_copy_only_sound_is_held_and_no_further_than_pictures() {
        let holds = played(4_000).holds(at(60_000), true);
        assert_eq!((holds.video, holds.audio), (None, Some(at(3_960))));
    }

    #[test]
    fn what_is_told_again_is_no_arrival() {
        let mut silence = played(8_000);
        let before = silence.holds(at(20_000), false);
        for n in 100..200 {
            silence.note(TrackKind::Video, at(n * 40), at(20_000));
            silence.note(TrackKind::Audio, at(n * 40), at(20_000));
        }
        assert_eq!(silence.holds(at(20_000), false), before);
        assert_eq!(before.video, Some(at(19_500)));
    }

    #[test]
    fn nothing_came_yet_and_nothing_is_held() {
        assert_eq!(Silence::default().holds(at(0), false), Holds::default());
    }
}
