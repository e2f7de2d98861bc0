//! Sound: every track decoded, resampled and encoded by this one thread.

mod clock;
mod lane;
mod slots;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Result;
use ladder::{AudioCodec, Job, Output};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId};

use crate::av::AudioDecoder;
use crate::link::Input;
use crate::sending::Outbox;
use lane::Lane;
use slots::Slots;

/// Access units that wait to be decoded.
const WAITING: usize = 256;

/// What comes and cannot be decoded is waited for as long; then there is silence.
const LATE: Span = Span::from_millis(500);

/// Starts the thread.
pub(crate) fn start(outbox: Outbox) -> Result<SyncSender<Input>> {
    let (inputs, received) = sync_channel(WAITING);
    let sounds = Sounds {
        outbox,
        job: None,
        slots: Slots::default(),
        sources: Vec::new(),
        lanes: BTreeMap::new(),
        decoded: Vec::new(),
    };
    std::thread::Builder::new()
        .name("sound".to_owned())
        .spawn(move || sounds.run(&received))?;
    Ok(inputs)
}

/// One track of the present source.
struct Heard {
    id: TrackId,
    config: CodecConfig,
    decoder: Option<AudioDecoder>,
    /// It does not open, and has said so.
    refused: bool,
    slot: u8,
}

struct Sounds {
    outbox: Outbox,
    job: Option<Arc<Job>>,
    slots: Slots,
    sources: Vec<Heard>,
    lanes: BTreeMap<Output, Lane>,
    decoded: Vec<ffmpeg_next::frame::Audio>,
}

impl Sounds {
    fn run(mut self, inputs: &Receiver<Input>) {
        for input in inputs {
            match input {
                Input::Job(job) => self.take_job(job),
                Input::Tracks(tracks) => self.follow(&tracks),
                Input::Group { spliced, .. } if spliced => self.splice(),
                Input::Group { .. } => {}
                Input::Unit(unit) => {
                    self.outbox.tally().queue.fetch_sub(1, Relaxed);
                    self.decode(&unit);
                }
                Input::Hold(until) => self.hold_slot(None, until),
            }
        }
    }

    /// Rungs that stay as they are go on; others end, or begin with what comes.
    fn take_job(&mut self, job: Arc<Job>) {
        let outbox = &self.outbox;
        self.lanes.retain(|output, lane| {
            let Output::Audio(rung, _) = output else {
                return false;
            };
            let wanted = job.ladder.audio_rung(*rung);
            let stays = wanted.is_some_and(|wanted| lane.is(wanted));
            if !stays {
                outbox.forget(*output);
            }
            stays
        });
        self.job = Some(job);
        self.open_lanes();
    }

    /// Each track keeps its place; one that is heard for the first time gets one.
    fn follow(&mut self, tracks: &[Track]) {
        let slots = self.slots.assign(tracks);
        let mut before = std::mem::take(&mut self.sources);
        for (track, slot) in tracks.iter().zip(slots) {
            let Some(slot) = slot else {
                continue;
            };
            let same = |h: &Heard| (h.id, &h.config, h.slot) == (track.id, &track.config, slot);
            let kept = before
                .iter()
                .position(same)
                .map(|at| before.swap_remove(at));
            self.sources.push(kept.unwrap_or_else(|| Heard {
                id: track.id,
                config: track.config.clone(),
                decoder: None,
                refused: false,
                slot,
            }));
        }
        self.open_lanes();
    }

    fn open_lanes(&mut self) {
        let Some(job) = self.job.clone() else {
            return;
        };
        for wanted in &job.ladder.audio {
            if wanted.codec == AudioCodec::Copy {
                continue;
            }
            for heard in &self.sources {
                let output = Output::Audio(wanted.number, heard.slot);
                let language = self.slots.language(heard.slot);
                let takes = wanted.from.takes(heard.slot.into(), language);
                if !takes || self.lanes.contains_key(&output) {
                    continue;
                }
                let until = job.audio_until.map(Timestamp::from_nanos);
                match Lane::open(
                    wanted,
                    (output, language),
                    &heard.config,
                    until,
                    &self.outbox,
                ) {
                    Ok(lane) => {
                        self.lanes.insert(output, lane);
                    }
                    Err(error) => self.outbox.warn(format_args!("{}: {error:#}", wanted.name)),
                }
            }
        }
    }

    fn splice(&mut self) {
        for heard in &mut self.sources {
            heard.decoder = None;
            heard.refused = false;
        }
        for lane in self.lanes.values_mut() {
            lane.splice();
        }
    }

    fn decode(&mut self, unit: &Frame) {
        let Some(heard) = self.sources.iter_mut().find(|h| h.id == unit.track) else {
            return;
        };
        if heard.decoder.is_none() && !heard.refused {
            match AudioDecoder::open(&heard.config) {
                Ok(decoder) => heard.decoder = Some(decoder),
                Err(error) => {
                    heard.refused = true;
                    self.outbox.warn(format_args!("{error:#}"));
                }
            }
        }
        let decoded = heard
            .decoder
            .as_mut()
            .map(|d| d.decode(unit, &mut self.decoded));
        let slot = heard.slot;
        if decoded.is_none_or(|d| d.is_err()) {
            self.outbox.tally().undecodable.fetch_add(1, Relaxed);
            self.hold_slot(Some(slot), unit.pts - LATE);
        }
        for piece in self.decoded.drain(..) {
            let at = piece.pts().or_else(|| piece.timestamp());
            let at = at.map_or(unit.pts, Timestamp::from_nanos);
            for (output, lane) in &mut self.lanes {
                if matches!(output, Output::Audio(_, of) if *of == slot)
                    && let Err(error) = lane.hear(at, &piece)
                {
                    self.outbox.warn(format_args!("{}: {error:#}", lane.name()));
                }
            }
        }
    }

    /// Nothing of a track came up to here, or of any.
    fn hold_slot(&mut self, slot: Option<u8>, until: Timestamp) {
        for (output, lane) in &mut self.lanes {
            let Output::Audio(_, of) = *output else {
                continue;
            };
            if slot.is_none_or(|slot| slot == of)
                && let Err(error) = lane.hold(until)
            {
                self.outbox.warn(format_args!("{}: {error:#}", lane.name()));
            }
        }
    }
}
