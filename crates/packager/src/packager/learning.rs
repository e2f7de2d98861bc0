//! Before the first row: frames are held back until their keyframes tell how long segments are.

use media::{Frame, Span, Timestamp};

use super::{Packager, Phase, RenditionId};
use crate::Effect;
use crate::gop::{self, Choice, GopMeter};
use crate::lead::Lead;
use crate::numbering::{Grid, Start};

impl Packager {
    pub(super) fn learn(&mut self, id: RenditionId, frame: Frame, now: Timestamp) {
        let since = *self.learning_since.get_or_insert(now);
        let mut choice = None;
        if self.is_lead(id, frame.track) {
            if self.lead.arrival.is_none() && !frame.random_access {
                return;
            }
            self.lead.observe(&frame, now);
            choice = self.learned(&frame);
            self.gop.frame();
        }
        self.learning_bytes += frame.payload.len();
        self.learning.push_back((id, frame));
        let full = self.learning_bytes > self.config.learning_bytes || now - since > gop::LONGEST;
        if full && choice.is_none() {
            choice = Some(gop::irregular(self.config.segment, self.gop.longest()));
        }
        if let Some(choice) = choice {
            self.settle(choice, now);
        }
    }

    /// Two keyframes tell the interval; sound alone needs none.
    pub(super) fn learned(&mut self, frame: &Frame) -> Option<Choice> {
        if self.lead.audio {
            return Some(gop::regular(self.config.segment, self.config.segment));
        }
        if !frame.random_access {
            return None;
        }
        let (interval, frames) = self.gop.keyframe(frame.pts)?;
        if interval > gop::LONGEST {
            return Some(gop::irregular(self.config.segment, Span::ZERO));
        }
        let rate = self.lead_track()?.track.config.video()?.frame_rate;
        Some(gop::regular(
            self.config.segment,
            gop::exact(interval, frames, rate),
        ))
    }

    pub(super) fn learning_is_over(&self, now: Timestamp) -> bool {
        let over = |since: Timestamp| now - since >= gop::LONGEST;
        self.learning_since.is_some_and(over)
    }

    /// The first row comes into force and what was held back is packaged.
    pub(super) fn settle(&mut self, choice: Choice, now: Timestamp) {
        let first = self
            .learning
            .iter()
            .find(|(id, f)| self.is_lead(*id, f.track));
        let Some(first) = first.map(|(_, f)| f.pts) else {
            return self.forget_learned();
        };
        let row = match self.start {
            Start::Append(n0) => self.row(choice, first, n0),
            Start::Fresh | Start::Resume(..) => self.row(choice, Timestamp::ZERO, 0),
        };
        self.grid = Some(Grid { row, ahead: 0 });
        self.effects.push_back(Effect::Row(row));
        self.phase = Phase::Waiting;
        self.gop.interrupt();
        let arrival = self.lead.arrival;
        self.lead = Lead::new(self.lead.audio);
        for (id, frame) in std::mem::take(&mut self.learning) {
            self.package(id, frame, now);
        }
        self.lead.arrival = arrival;
        self.refresh();
    }

    pub(super) fn forget_learned(&mut self) {
        self.learning.clear();
        self.learning_bytes = 0;
        self.learning_since = None;
        self.lead.arrival = None;
        self.gop = GopMeter::default();
    }
}
