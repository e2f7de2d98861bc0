//! One elementary stream: from its packets to items.

use media::{CodecConfig, TrackId, TrackKind};
use mpeg2ts_reader::packet::Packet;

use super::clock::Clock;
use super::codec::{Codec, data_config};
use super::continuity::{Continuity, Step};
use super::counters::Counters;
use super::pes::{Pes, TooLong};
use super::psi::Listed;
use super::tail::{Mistaken, Tail};
use super::told::Told;
use super::{opus, splice};
use crate::ingest::Item;

/// What a PID of the programme carries.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) listed: Listed,
    pub(super) track: TrackId,
    continuity: Continuity,
    pes: Pes,
    tail: Tail,
    codec: Codec,
    /// The configuration that was told last.
    config: Option<CodecConfig>,
}

/// What all streams of a programme share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) counters: Counters,
    /// The most bytes of a PES packet.
    pub(super) most: usize,
}

impl Stream {
    pub(super) fn new(listed: Listed, track: TrackId, codec: Codec) -> Self {
        Self {
            listed,
            track,
            continuity: Continuity::default(),
            pes: Pes::default(),
            tail: Tail::default(),
            codec,
            config: None,
        }
    }

    /// Data is known as soon as it is listed; other codecs by their first frame.
    pub(super) fn announce(&mut self, out: &mut Vec<Item>) {
        if let Some(config) = data_config(&self.listed) {
            self.told(out).configure(config);
        }
    }

    pub(super) fn packet(&mut self, packet: &Packet<'_>, shared: &mut Shared, out: &mut Vec<Item>) {
        if let Codec::Cues(_) = self.codec {
            return self.cues(packet, shared, out);
        }
        let begins = packet.payload_unit_start_indicator();
        let step = self.continuity.step(packet);
        shared.counters.count(self.listed.pid, step);
        match step {
            Step::Repeated => return,
            Step::Lost => self.missing(out),
            Step::Announced if !begins => self.damaged(out),
            Step::Announced | Step::Next => {}
        }
        let Some(payload) = packet.payload() else {
            return;
        };
        if packet.transport_scrambling_control().is_scrambled() {
            self.pes.drop_it();
            if begins {
                out.push(Item::Ignored("scrambled"));
            }
            return;
        }
        if begins {
            self.finish(shared, out);
            self.pes.begin();
        }
        if self.pes.append(payload, shared.most) == Err(TooLong) {
            return out.push(Item::Ignored("access unit too long"));
        }
        let is_last = !self.pes.is_bounded() && self.is_last(packet, out);
        if self.pes.is_complete(is_last) {
            self.finish(shared, out);
        }
    }

    fn is_last(&mut self, packet: &Packet<'_>, out: &mut Vec<Item>) -> bool {
        self.tail.packet(packet).unwrap_or_else(|Mistaken| {
            out.push(Item::Ignored("access unit that went on"));
            out.push(Item::Lost);
            false
        })
    }

    /// A packet of sections. What is missing is of no picture and no sound.
    fn cues(&mut self, packet: &Packet<'_>, shared: &mut Shared, out: &mut Vec<Item>) {
        let Codec::Cues(sections) = &mut self.codec else {
            return;
        };
        let mut told = Told {
            listed: &self.listed,
            track: self.track,
            config: &mut self.config,
            out,
        };
        let clock = &shared.clock;
        let step = sections.push(packet, |section| {
            told.data(clock.cue(splice::due(section)), section);
        });
        shared.counters.count(self.listed.pid, step);
    }

    /// The end of the input, or of a piece of it: what comes next may begin anywhere.
    pub(super) fn flush(&mut self, shared: &mut Shared, out: &mut Vec<Item>) {
        self.finish(shared, out);
        self.continuity = Continuity::default();
        self.tail.lost();
        match &mut self.codec {
            Codec::Cues(sections) => sections.flush(),
            codec => codec.lost(),
        }
    }

    /// Packets are missing; of data nobody waits for them.
    fn missing(&mut self, out: &mut Vec<Item>) {
        self.damaged(out);
        let is_media = self.codec.kind() != TrackKind::Data;
        if is_media && out.last() != Some(&Item::Lost) {
            out.push(Item::Lost);
        }
    }

    fn damaged(&mut self, out: &mut Vec<Item>) {
        if self.pes.is_open() {
            self.pes.drop_it();
            out.push(Item::Ignored("damaged access unit"));
        }
        self.tail.lost();
        self.codec.lost();
    }

    /// Takes what is there as an access unit, or as several of sound.
    fn finish(&mut self, shared: &mut Shared, out: &mut Vec<Item>) {
        if !self.pes.is_open() {
            return;
        }
        let Some(unit) = self.pes.take() else {
            return out.push(Item::Ignored("unreadable PES packet"));
        };
        let (raw, payload) = (unit.times, unit.payload);
        let clock = &mut shared.clock;
        let mut told = Told {
            listed: &self.listed,
            track: self.track,
            config: &mut self.config,
            out,
        };
        match &mut self.codec {
            Codec::Video(video) => match video.read(payload) {
                Ok(access) => told.video(access, raw.map(|t| clock.media(t))),
                Err(reason) => told.ignored(reason),
            },
            Codec::Av1(av1) => match av1.read(payload) {
                Ok(Some(access)) => told.video(access, raw.map(|t| clock.media(t))),
                Ok(None) => {}
                Err(reason) => told.ignored(reason),
            },
            Codec::Framed(framed) => {
                let time = raw.map(|t| clock.media(t).0);
                framed.read(time, payload, &mut |found| told.audio(found));
            }
            Codec::Opus(config) => {
                let time = raw.map(|t| clock.media(t).0);
                opus::read(time, payload, config, &mut |found| told.audio(found));
            }
            Codec::Data => told.data(clock.data(raw.map(|t| t.0)), payload),
            Codec::Cues(_) => {}
        }
    }

    fn told<'a>(&'a mut self, out: &'a mut Vec<Item>) -> Told<'a> {
        Told {
            listed: &self.listed,
            track: self.track,
            config: &mut self.config,
            out,
        }
    }
}
