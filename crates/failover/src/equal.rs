//! Whether two inputs carry the same bytes: one encode sent along two ways. Pure.

use hub::Group;
use media::{Frame, Span, Timestamp, TrackId};

/// Fewer equal frames are an accident.
const FRAMES: usize = 12;
/// So many of the newest that both have are compared.
const COMPARED: usize = 100;
/// One way may round times otherwise than another.
const ROUNDED: Span = Span::from_millis(2);

/// What added to the new input's times gives the old one's, where the frames of the lead track that
/// both hold are equal byte for byte.
#[must_use]
pub(crate) fn shift(old: &[Group], new: &[Group], lead: TrackId) -> Option<Span> {
    let (old_tracks, new_tracks) = (&old.last()?.tracks, &new.last()?.tracks);
    if old_tracks != new_tracks {
        return None;
    }
    let entries = starts(new, lead);
    let (old, new) = (of_track(old, lead), of_track(new, lead));
    // The newest are those that the old one has not come to yet, where the new one is ahead.
    let mut newest_first = entries.into_iter().rev();
    newest_first.find_map(|entry| fit(&old, &new, entry))
}

/// By where `new[entry]` is found among the old ones.
fn fit(old: &[&Frame], new: &[&Frame], entry: usize) -> Option<Span> {
    let (edge_old, edge_new) = (old.last()?.dts, new.last()?.dts);
    let first = new.get(entry)?;
    let places = old.iter().filter(|f| same(f, first));
    let shifts = places.map(|f| f.dts - first.dts);
    let shifts = shifts.filter(|shift| agree(old, new, *shift));
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

/// Where each group begins among its frames of the track.
fn starts(groups: &[Group], lead: TrackId) -> Vec<usize> {
    let frames = |g: &Group| g.frames.iter().filter(|f| f.track == lead).count();
    let lengths = groups.iter().map(frames);
    let start = |next: &mut usize, length| {
        *next += length;
        Some(*next - length)
    };
    lengths.scan(0, start).collect()
}

fn same(a: &Frame, b: &Frame) -> bool {
    a.random_access == b.random_access && a.payload == b.payload
}

/// Whether all that both hold agrees: what one of them lost is no matter.
fn agree(old: &[&Frame], new: &[&Frame], shift: Span) -> bool {
    let (mut old, mut new) = (old, new);
    let mut equal = 0;
    while equal < COMPARED
        && let (Some((o, older)), Some((n, earlier))) = (old.split_last(), new.split_last())
    {
        let apart = o.dts - (n.dts + shift);
        let both = apart.abs() <= ROUNDED;
        if both && !same(o, n) {
            return false;
        }
        equal += usize::from(both);
        if both || apart > Span::ZERO {
            old = older;
        }
        if both || apart < Span::ZERO {
            new = earlier;
        }
    }
    equal >= FRAMES
}
