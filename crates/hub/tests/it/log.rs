//! What holds for any reader, whatever the model believes: frames in order and without holes but
//! for those that were reported or cannot be decoded, groups announced where they begin.

use hub::{EndReason, Received};

use crate::fixture::Seen;
use crate::world::World;

pub(crate) fn check(log: &[Seen], received: Received, world: &World) {
    let Some((Seen::End(EndReason::Kicked), log)) = log.split_last() else {
        panic!("no end: {log:?}");
    };
    let mut walk = Walk {
        world,
        first: None,
        next: None,
        entered: None,
    };
    for (n, event) in log.iter().enumerate() {
        match *event {
            Seen::Group(id, version) => walk.open(id, version, log.get(n + 1)),
            Seen::Frame(tag) => walk.step(number(tag)),
            Seen::Skipped(groups, frames) => walk.skip(groups, frames),
            Seen::End(_) => panic!("an end in the midst"),
        }
    }
    walk.sum_up(received);
}

struct Walk<'a> {
    world: &'a World,
    first: Option<usize>,
    /// The frame that comes next; none at the beginning and after a skip.
    next: Option<usize>,
    /// The group entered without the one before.
    entered: Option<usize>,
}

fn number(tag: u64) -> usize {
    usize::try_from(tag).unwrap()
}

impl Walk<'_> {
    /// A group is told of right before its first frame.
    fn open(&mut self, id: i64, version: u8, first: Option<&Seen>) {
        let Some(Seen::Frame(tag)) = first else {
            panic!("a group without its first frame");
        };
        let at = number(*tag);
        let number = self.world.frames[at].group;
        let group = self.world.groups[number];
        let told = (group.first, group.id.as_millis(), group.version);
        assert_eq!(told, (at, id, version));
        match self.next {
            Some(next) => assert!((next..at).all(|f| self.is_undecodable(f))),
            None => self.entered = Some(number),
        }
        self.next = Some(at);
    }

    fn step(&mut self, at: usize) {
        let next = self.next.expect("a group comes first");
        assert!((next..at).all(|f| self.is_undecodable(f)));
        assert!(!self.is_undecodable(at));
        self.first.get_or_insert(at);
        self.next = Some(at + 1);
    }

    fn skip(&mut self, groups: u64, frames: u64) {
        assert!(groups > 0 && frames > 0);
        assert!(self.next.take().is_some(), "reported once");
    }

    fn is_undecodable(&self, at: usize) -> bool {
        let frame = &self.world.frames[at];
        frame.leading && self.entered == Some(frame.group)
    }

    /// From the first frame to the end each is given, left out as a leading one, or reported.
    fn sum_up(&self, received: Received) {
        let total = received.frames + received.leading + received.skipped_frames;
        let since = self
            .first
            .map_or(0, |first| self.world.frames.len() - first);
        assert_eq!(total, since as u64);
    }
}
