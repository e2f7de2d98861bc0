//! One rung's rendition of one sound track: resampled, put where it belongs, encoded.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::Result;
use ffmpeg_next::frame;
use ladder::{AudioRung, Output};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId};

use super::clock::SampleClock;
use crate::av::{AudioEncoder, Packet, Resampler};
use crate::packets;
use crate::sending::{Outbox, OutputTally};

/// How often it is looked whether samples come where they belong, in packets.
const LOOK: u32 = 16;

pub(super) struct Lane {
    wanted: AudioRung,
    output: Output,
    rate: u32,
    clock: SampleClock,
    resampler: Resampler,
    encoder: AudioEncoder,
    packet: usize,
    /// Samples that are no whole packet yet, a row per channel.
    rows: Vec<Vec<f32>>,
    scratch: Vec<Vec<f32>>,
    packets: Vec<Packet>,
    looked: u32,
    outbox: Outbox,
    tally: Arc<OutputTally>,
}

impl Lane {
    pub(super) fn open(
        wanted: &AudioRung,
        (output, language): (Output, Option<&str>),
        source: &CodecConfig,
        until: Option<Timestamp>,
        outbox: &Outbox,
    ) -> Result<Self> {
        let audio = source.audio();
        let rate = wanted.sample_rate.or_else(|| audio.map(|a| a.sample_rate));
        let rate = nearest(wanted.codec.sample_rates(), rate.unwrap_or(48_000));
        let channels = wanted.channels.or_else(|| audio.map(|a| a.channels));
        let channels = channels.unwrap_or(2).clamp(1, 2);
        let encoder = AudioEncoder::open(wanted, rate, channels)?;
        let config = packets::audio_config(wanted.codec, &encoder.extradata())?;
        let track = Track {
            language: language.map(str::to_owned),
            ..Track::new(TrackId(0), config)
        };
        outbox.track(output, track);
        let packet = encoder.frame_size();
        // What its packets are early by lies before the first sample.
        let padding = Span::from_ticks(encoder.padding(), rate);
        let rows = vec![Vec::new(); channels.into()];
        Ok(Self {
            wanted: wanted.clone(),
            output,
            rate,
            clock: SampleClock::new(rate, u32::try_from(packet)?, until.map(|t| t + padding)),
            resampler: Resampler::new(rate, channels.into()),
            encoder,
            packet,
            scratch: rows.clone(),
            rows,
            packets: Vec::new(),
            looked: 0,
            outbox: outbox.clone(),
            tally: outbox.output(output),
        })
    }

    /// Whether it makes just this.
    pub(super) fn is(&self, wanted: &AudioRung) -> bool {
        self.wanted == *wanted
    }

    pub(super) fn name(&self) -> &str {
        &self.wanted.name
    }

    /// What comes next is from another source.
    pub(super) fn splice(&mut self) {
        self.clock.splice();
        self.resampler = Resampler::new(self.rate, self.rows.len());
    }

    /// Samples of the source whose first one belongs at `at`.
    pub(super) fn hear(&mut self, at: Timestamp, piece: &frame::Audio) -> Result<()> {
        self.scratch.iter_mut().for_each(Vec::clear);
        let (made, within) = self.resampler.run(piece, &mut self.scratch)?;
        let long = Span::from_ticks(i64::try_from(piece.samples())?, piece.rate().max(1));
        // What is still within the resampler comes after these.
        let behind = Span::from_ticks(within + i64::try_from(made)?, self.rate);
        let placing = self.clock.place(at + long - behind, made);
        if placing.jump {
            self.rows.iter_mut().for_each(Vec::clear);
        }
        self.silence(placing.silence);
        if self.clock.next().is_some() {
            for (row, new) in self.rows.iter_mut().zip(&self.scratch) {
                row.extend_from_slice(&new[placing.skip..]);
            }
        }
        self.encode()?;
        self.correct();
        Ok(())
    }

    /// No sound came up to here.
    pub(super) fn hold(&mut self, until: Timestamp) -> Result<()> {
        let silence = self.clock.hold(until);
        self.silence(silence);
        self.encode()
    }

    fn silence(&mut self, samples: usize) {
        self.tally.held.fetch_add(samples as u64, Relaxed);
        for row in &mut self.rows {
            row.resize(row.len() + samples, 0.0);
        }
    }

    fn correct(&mut self) {
        self.looked += 1;
        if self.looked.is_multiple_of(LOOK) {
            let over = LOOK * 1_024;
            let more = self.clock.correction(over);
            if more != 0 {
                self.resampler.correct(more, over);
            }
        }
    }

    fn encode(&mut self) -> Result<()> {
        let Some(end) = self.clock.next() else {
            return Ok(());
        };
        let held = self.rows.first().map_or(0, Vec::len);
        let mut pts = end - i64::try_from(held)?;
        let whole = held / self.packet * self.packet;
        for from in (0..whole).step_by(self.packet) {
            let rows: Vec<&[f32]> = self
                .rows
                .iter()
                .map(|r| &r[from..from + self.packet])
                .collect();
            self.encoder.encode(&rows, pts, &mut self.packets)?;
            pts += i64::try_from(self.packet)?;
        }
        for row in &mut self.rows {
            row.drain(..whole);
        }
        self.send();
        Ok(())
    }

    fn send(&mut self) {
        for packet in self.packets.drain(..) {
            let pts = Timestamp::from_ticks(packet.pts, self.rate);
            let duration = i64::try_from(self.packet).unwrap_or(0);
            let frame = Frame {
                track: TrackId(0),
                dts: pts,
                pts,
                duration: Some(Timestamp::from_ticks(packet.pts + duration, self.rate) - pts),
                random_access: true,
                leading: false,
                payload: packet.data.into(),
            };
            self.outbox.frame(self.output, &self.tally, frame);
        }
    }
}

/// The rate itself where the encoder takes it, else the one nearest to it.
fn nearest(rates: &[u32], wanted: u32) -> u32 {
    let nearest = rates.iter().min_by_key(|r| r.abs_diff(wanted));
    nearest.copied().unwrap_or(wanted)
}
