//! Which of an input's groups is entered, where its frames may overlap what the programme holds. Pure.

use hub::Group;
use media::{Frame, Span, Timestamp, Track, TrackKind};

use crate::splice::lead;
use crate::timeline::Timeline;

/// Longer than any silence that is learned: what is missing for longer is not made up for, as all of
/// it would have to be decoded at once.
const BACK: Span = Span::from_secs(4);
/// Sound that is further behind the pictures is not waited for.
const INTERLEAVED: Span = Span::from_secs(1);

/// The newest group that leaves out nothing of what follows in pictures and sound, or else in
/// pictures; the newest of all where none reaches back so far. `offset` added to the input's times
/// gives the programme's.
pub(crate) fn entered<'a>(
    timeline: &Timeline,
    groups: &'a [Group],
    offset: Span,
    now: Timestamp,
) -> Option<&'a Group> {
    let shown = timeline.lead_track().and_then(|t| timeline.shown_until(t));
    let reached = shown.filter(|at| now - *at <= BACK).and_then(|shown| {
        let seam = Seam {
            timeline,
            shown,
            offset,
        };
        let newest_first = || groups.iter().rev().filter(|g| seam.shows(g));
        let heard = newest_first().find(|g| seam.sounds(g));
        heard.or_else(|| newest_first().next())
    });
    reached.or_else(|| groups.last())
}

/// Where the programme is over for those who watch it, beside the times of an input.
struct Seam<'a> {
    timeline: &'a Timeline,
    shown: Timestamp,
    offset: Span,
}

impl Seam<'_> {
    fn begins_by(&self, frame: Option<&Frame>, at: Timestamp) -> bool {
        frame.is_some_and(|f| f.pts + self.offset <= at)
    }

    fn shows(&self, group: &Group) -> bool {
        self.begins_by(group.frames.first(), self.shown)
    }

    /// Whether its sound leaves out nothing either. It is not worth to decode much more for that.
    fn sounds(&self, group: &Group) -> bool {
        let far = self.begins_by(group.frames.first(), self.shown - BACK);
        let lead = lead(&group.tracks);
        let sound = |t: &&Track| t.kind == TrackKind::Audio && Some(t.id) != lead;
        let mut sound = group.tracks.iter().filter(sound);
        !far && sound.all(|track| self.hears(group, track))
    }

    fn hears(&self, group: &Group, track: &Track) -> bool {
        let heard = self.timeline.shown_until(track.id);
        let lately = heard.filter(|at| *at >= self.shown - INTERLEAVED);
        let first = group.frames.iter().find(|f| f.track == track.id);
        lately.is_none_or(|heard| self.begins_by(first, heard))
    }
}
