//! Moves frames from an input's broadcast to the programme's.

use std::sync::Arc;

use hub::{EndReason, Event, Publisher, Subscriber};
use media::{Timestamp, Track};

use crate::timeline::Timeline;

/// Tells UTC. The caller's, because tests own time.
pub trait Clock: Fn() -> Timestamp {}

impl<F: Fn() -> Timestamp> Clock for F {}

/// The programme's side of a splice: what outlives each input.
#[derive(Debug)]
pub struct Splice {
    programme: Publisher,
    timeline: Timeline,
    tracks: Arc<[Track]>,
}

impl Splice {
    /// A programme that nothing feeds yet.
    #[must_use]
    pub fn new(programme: Publisher, timeline: Timeline) -> Self {
        Self {
            programme,
            timeline,
            tracks: Arc::new([]),
        }
    }

    /// The programme's clock.
    #[must_use]
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The programme's clock, to bound it anew.
    pub const fn timeline_mut(&mut self) -> &mut Timeline {
        &mut self.timeline
    }

    fn forward(
        &mut self,
        batch: &mut Vec<Event>,
        opens: &mut bool,
        now: Timestamp,
    ) -> Option<EndReason> {
        for event in batch.drain(..) {
            match event {
                Event::Group { tracks, .. } => {
                    self.set_tracks(tracks);
                    *opens = true;
                }
                Event::Frame(frame) => {
                    let opens = std::mem::take(opens);
                    if let Some(frame) = self.timeline.map(frame, opens, now) {
                        // A frame that begins no group is counted by the publisher itself.
                        let _ = self.programme.push(frame);
                    }
                }
                Event::Skipped { .. } => {}
                Event::End(reason) => return Some(reason),
            }
        }
        None
    }

    fn set_tracks(&mut self, tracks: Arc<[Track]>) {
        if self.tracks != tracks {
            self.tracks = Arc::clone(&tracks);
            self.programme.set_tracks(tracks);
        }
    }
}

/// Feeds the programme from one input until that input ends. `after` sees the splice after each
/// batch, for whoever shows its figures.
pub async fn splice(
    input: &mut Subscriber,
    splice: &mut Splice,
    clock: impl Clock,
    mut after: impl FnMut(&Splice),
) -> EndReason {
    splice.timeline.source_changed();
    let mut batch = Vec::new();
    let mut opens = false;
    loop {
        input.next(&mut batch).await;
        let ended = splice.forward(&mut batch, &mut opens, clock());
        after(splice);
        if let Some(reason) = ended {
            return reason;
        }
    }
}
