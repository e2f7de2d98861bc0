//! What is held, and how lanes of which more is stored than held catch up.

use std::sync::Arc;

use super::lane::Lane;
use super::{Item, Lanes};

/// Items and bytes of payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Items.
    pub items: usize,
    /// Bytes of their payloads.
    pub bytes: usize,
}

impl Room {
    /// Whether one of `size` bytes more fits beside what is `held`. One always does by itself.
    const fn fits(self, held: Self, size: usize) -> bool {
        let within = held.items < self.items && held.bytes.saturating_add(size) <= self.bytes;
        held.items == 0 || within
    }

    pub(super) const fn shrink(&mut self, before: Self, after: Self) {
        self.items -= before.items - after.items;
        self.bytes -= before.bytes - after.bytes;
    }
}

/// A lane of which the store has more than is held here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starved {
    /// Which one.
    pub lane: Arc<str>,
    /// Items with larger ids are missing.
    pub after: i64,
    /// How many there is room for.
    pub items: usize,
}

#[derive(Debug, Default)]
pub(super) struct Short {
    /// Bytes of the first one that is missing, where it was seen.
    size: usize,
    /// Somebody reads it.
    asked: bool,
    /// Something of the lane was refused since that began.
    refused: bool,
}

impl Lanes {
    /// Takes a new item. False where it has no room, or where older ones of its lane had none: it is
    /// to be read from the store when [`Lanes::starved`] says so. One that is held already is dropped.
    pub fn offer(&mut self, item: Item) -> bool {
        let name = Arc::clone(&item.lane);
        let lane = self.lanes.entry(name).or_insert_with(Lane::new);
        if let Some(short) = &mut lane.short {
            short.refused = true;
            return false;
        }
        if lane.last == i64::MIN {
            lane.last = item.id.saturating_sub(1);
        }
        let refused = self.hold(item);
        refused.is_none()
    }

    /// Holds it, or says that its lane is short.
    fn hold(&mut self, item: Item) -> Option<usize> {
        let size = item.payload.len();
        let lane = self.lanes.get_mut(&item.lane)?;
        if item.id <= lane.last {
            return None;
        }
        if !self.config.room.fits(self.held, size) || !self.config.lane_room.fits(lane.held(), size)
        {
            lane.short.get_or_insert_default().size = size;
            return Some(size);
        }
        lane.push(item);
        self.held.items += 1;
        self.held.bytes += size;
        None
    }

    /// Says that the store has items of a lane beyond `after`: at the start, for each lane that it has
    /// something of.
    pub fn behind(&mut self, lane: Arc<str>, after: i64) {
        let lane = self.lanes.entry(lane).or_insert_with(Lane::new);
        lane.last = lane.last.max(after);
        lane.short.get_or_insert_default();
    }

    /// A lane that is to be read on, where there is room for it: the one that is behind the most.
    /// [`Lanes::refill`] answers; the lane is not named again until then.
    pub fn starved(&mut self) -> Option<Starved> {
        let total = self.config.room;
        let own = self.config.lane_room;
        let held = self.held;
        let waits = |lane: &Lane| {
            let short = lane.short.as_ref().filter(|short| !short.asked);
            let fits =
                |short: &Short| total.fits(held, short.size) && own.fits(lane.held(), short.size);
            // Half empty, so that a read is worth its while.
            lane.queue.len() <= own.items / 2 && short.is_some_and(fits)
        };
        let lanes = self.lanes.iter_mut().filter(|(_, lane)| waits(lane));
        let (name, lane) = lanes.min_by_key(|(_, lane)| lane.last)?;
        let short = lane.short.as_mut()?;
        short.asked = true;
        short.refused = false;
        let left = own.items.saturating_sub(lane.queue.len());
        Some(Starved {
            lane: Arc::clone(name),
            after: lane.last,
            items: left.min(total.items.saturating_sub(held.items)).max(1),
        })
    }

    /// What the store had for [`Lanes::starved`], in the order of ids, and whether it has `more`. A
    /// read that failed is an empty one with more behind it.
    pub fn refill(&mut self, lane: &str, items: Vec<Item>, more: bool) {
        let mut refused = None;
        for item in items {
            refused = refused.or_else(|| self.hold(item));
        }
        let Some(short) = self
            .lanes
            .get_mut(lane)
            .and_then(|lane| lane.short.as_mut())
        else {
            return;
        };
        short.asked = false;
        short.size = refused.unwrap_or(0);
        if !more
            && refused.is_none()
            && !short.refused
            && let Some(lane) = self.lanes.get_mut(lane)
        {
            lane.short = None;
        }
        self.tidy(lane);
    }

    /// What there is still room for.
    #[must_use]
    pub const fn room(&self) -> Room {
        let all = self.config.room;
        Room {
            items: all.items.saturating_sub(self.held.items),
            bytes: all.bytes.saturating_sub(self.held.bytes),
        }
    }
}
