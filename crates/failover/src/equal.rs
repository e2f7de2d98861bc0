//! Whether two inputs carry the same bytes: one encode sent along two ways. Pure.

use hub::Group;
use media::{Frame, Span, Timestamp, TrackId};

/// How many groups of each are compared.
pub(crate) const GROUPS: usize = 3;
/// Fewer equal frames are an accident.
const FRAMES: usize = 12;

/// What added to the new input's times gives the old one's, where all frames of the lead track that
/// both hold are equal byte for byte.
#[must_use]
pub(crate) fn shift(old: &[Group], new: &[Group], lead: TrackId) -> Option<Span> {
    let (old_tracks, new_tracks) = (&old.last()?.tracks, &new.last()?.tracks);
    if old_tracks != new_tracks {
        return None;
    }
    let (old, new) = (of_track(old, lead), of_track(new, lead));
    let (edge_old, edge_new) = (old.last()?.dts, new.last()?.dts);
    let entry = new.iter().rposition(|f| f.random_access)?;
    let equal = old.iter().enumerate().filter(|(_, f)| same(f, new[entry]));
    let shifts =
        equal.filter_map(|(at, f)| agree(&old, &new, at, entry).then_some(f.dts - new[entry].dts));
    // A still picture fits in many places: the one where both are equally far is as good as any.
    shifts.min_by_key(|shift| apart(edge_old, edge_new + *shift))
}

fn apart(a: Timestamp, b: Timestamp) -> Span {
    (a - b).abs()
}

fn of_track(groups: &[Group], lead: TrackId) -> Vec<&Frame> {
    let frames = groups.iter().flat_map(|g| g.frames.iter());
    frames.filter(|f| f.track == lead).collect()
}

fn same(a: &Frame, b: &Frame) -> bool {
    a.random_access == b.random_access && a.payload == b.payload
}

/// Whether all that both hold agrees if `old[a]` is `new[b]`.
fn agree(old: &[&Frame], new: &[&Frame], a: usize, b: usize) -> bool {
    let back = a.min(b);
    let (old, new) = (&old[a - back..], &new[b - back..]);
    let both = old.len().min(new.len());
    both >= FRAMES && old.iter().zip(new).all(|(o, n)| same(o, n))
}
