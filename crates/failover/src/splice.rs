//! The programme's side of a switch: what outlives each input.

use std::sync::Arc;

use hub::{Event, Publisher};
use media::{Timestamp, Track, TrackId, TrackKind};

use crate::timeline::Timeline;

/// Writes the programme from the frames of whichever input feeds it.
#[derive(Debug)]
pub struct Splice {
    programme: Publisher,
    timeline: Timeline,
    tracks: Arc<[Track]>,
    /// Programme time that the present input no longer fills: another will.
    until: Option<Timestamp>,
    /// Frames were left out: the present input goes on at a random-access point only.
    cut: bool,
    opens: bool,
    wrote: Option<Timestamp>,
}

impl Splice {
    /// A programme that nothing feeds yet.
    #[must_use]
    pub fn new(programme: Publisher, timeline: Timeline) -> Self {
        Self {
            programme,
            timeline,
            tracks: Arc::new([]),
            until: None,
            cut: false,
            opens: false,
            wrote: None,
        }
    }

    /// The programme's clock.
    #[must_use]
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The programme's clock, to enter another input or to bound it anew.
    pub const fn timeline_mut(&mut self) -> &mut Timeline {
        &mut self.timeline
    }

    /// Another input is entered: what was left out of the one before is over.
    pub fn turn(&mut self) {
        self.programme.splice();
        self.go_on();
    }

    /// What comes next is what the input before would have sent.
    pub fn go_on(&mut self) {
        self.until = None;
        self.cut = false;
        self.opens = false;
    }

    /// Programme time from which the present input's frames are left out.
    pub fn stop_at(&mut self, until: Option<Timestamp>) {
        self.until = until;
    }

    /// Whether the present input has come to where it is left out.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    /// When the programme was written last, at or behind its end.
    #[must_use]
    pub const fn wrote(&self) -> Option<Timestamp> {
        self.wrote
    }

    /// The present input lost media: so has the programme.
    pub fn note_loss(&mut self) {
        self.programme.note_loss();
    }

    /// Writes what came from the input. Whether any frame was written at or behind the programme's
    /// end: viewers wait for that, whatever a transcoder gets of the time before.
    pub fn forward(&mut self, batch: &mut Vec<Event>, now: Timestamp) -> bool {
        let mut any = false;
        for event in batch.drain(..) {
            match event {
                Event::Group {
                    tracks, spliced, ..
                } => {
                    self.set_tracks(tracks);
                    if spliced {
                        self.programme.splice();
                    }
                    self.opens = true;
                }
                Event::Frame(frame) => {
                    let opens = std::mem::take(&mut self.opens);
                    if self.leaves_out(frame.dts, opens) {
                        continue;
                    }
                    if let Some(frame) = self.timeline.map(frame, opens, now) {
                        // A frame that begins no group is counted by the publisher itself.
                        let written = self.programme.push(frame).is_ok();
                        any |= written && !self.timeline.overlaps();
                    }
                }
                Event::Skipped { .. } | Event::End(_) => {}
            }
        }
        if any {
            self.wrote = Some(now);
        }
        any
    }

    fn leaves_out(&mut self, dts: Timestamp, opens: bool) -> bool {
        let place = self.timeline.place(dts);
        let over = place.zip(self.until).is_some_and(|(at, until)| at >= until);
        self.cut = over || (self.cut && !opens);
        self.cut
    }

    fn set_tracks(&mut self, tracks: Arc<[Track]>) {
        if self.tracks != tracks {
            self.tracks = Arc::clone(&tracks);
            self.timeline.set_lead_track(lead(&tracks));
            self.programme.set_tracks(tracks);
        }
    }
}

/// The track whose random-access points open groups, as the hub has it.
pub(crate) fn lead(tracks: &[Track]) -> Option<TrackId> {
    let of_kind = |kind| tracks.iter().find(|t| t.kind == kind);
    let lead = of_kind(TrackKind::Video).or_else(|| of_kind(TrackKind::Audio));
    lead.map(|t| t.id)
}
