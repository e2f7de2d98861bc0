//! One rung: a thread that scales and encodes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use anyhow::{Result, bail};
use ladder::{Job, Ladder, Output, Rate, Report, Rung, VideoCodec, VideoRung};
use media::{Frame, Span, Timestamp, Track, TrackId};

use super::cadence::{Follow, Grid};
use crate::av::{Format, Packet, Picture, Scaler, VideoEncoder};
use crate::packets;
use crate::sending::{Outbox, OutputTally};

/// Pictures that wait to be encoded: as many as hide one that takes long.
const WAITING: usize = 4;
/// Units of an encoder's clock where pictures keep the source's times.
const CLOCK: u32 = 90_000;

/// A picture, and when it is shown.
pub(super) struct Shown {
    pub(super) picture: Picture,
    pub(super) pts: Timestamp,
    /// A random-access point of the source shows it.
    pub(super) keyframe: bool,
}

impl Shown {
    pub(super) fn share(&self) -> Option<Self> {
        Some(Self {
            picture: self.picture.share()?,
            ..*self
        })
    }
}

/// What a rung is told.
pub(super) enum ToRung {
    Picture(Shown),
    /// What comes next is from another source.
    Splice,
    /// Pictures were left out: the hole is not filled.
    Lost,
    /// No picture comes: the last one is held.
    Hold(Timestamp),
}

/// A rung's thread as others hold it. Dropping it waits until it has encoded what it was given.
pub(super) struct RungThread {
    wanted: VideoRung,
    rung: Rung,
    keyframes: Keyframes,
    /// Taken when it ends.
    work: Option<(SyncSender<ToRung>, JoinHandle<()>)>,
    tally: Arc<OutputTally>,
    outbox: Outbox,
}

impl RungThread {
    pub(super) fn start(
        job: &Job,
        wanted: &VideoRung,
        rung: &Rung,
        outbox: &Outbox,
    ) -> Result<Self> {
        let output = Output::Video(rung.number);
        let tally = outbox.output(output);
        let (pictures, waiting) = sync_channel(WAITING);
        let until = job.video_until.map(Timestamp::from_nanos);
        let cadence = if job.ladder.copies_video() {
            Cadence::Follow(Follow::new(wanted.rate == Rate::Half, until))
        } else {
            Cadence::Grid(Grid::new(rung.rate, job.ladder.gop_ms, until))
        };
        let made = Rung {
            width: rung.width.max(least(wanted.codec)),
            height: rung.height.max(least(wanted.codec)),
            ..rung.clone()
        };
        let work = Work {
            wanted: wanted.clone(),
            output,
            cadence,
            scaler: Scaler::new((made.width, made.height), wanted.fit),
            rung: made,
            encoder: None,
            opened: false,
            gop_ms: job.ladder.gop_ms,
            held: None,
            shown: None,
            jump: false,
            places: VecDeque::new(),
            packets: Vec::new(),
            outbox: outbox.clone(),
            tally: Arc::clone(&tally),
        };
        let name = format!("rung {}", rung.number);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || work.run(&waiting))?;
        Ok(Self {
            wanted: wanted.clone(),
            rung: rung.clone(),
            keyframes: Keyframes::of(&job.ladder),
            work: Some((pictures, thread)),
            tally,
            outbox: outbox.clone(),
        })
    }

    /// Whether it makes just this.
    pub(super) fn makes(&self, wanted: &VideoRung, rung: &Rung, ladder: &Ladder) -> bool {
        let same = (&self.wanted, &self.rung) == (wanted, rung);
        same && self.keyframes == Keyframes::of(ladder)
    }

    pub(super) const fn number(&self) -> u8 {
        self.rung.number
    }

    /// Waits while the rung is behind.
    pub(super) fn tell(&self, what: ToRung) {
        self.tally.queue.fetch_add(1, Relaxed);
        if let Some((pictures, _)) = &self.work
            && pictures.send(what).is_err()
        {
            // One that failed has said so, and waits for nothing.
            self.tally.queue.store(0, Relaxed);
        }
    }
}

impl Drop for RungThread {
    fn drop(&mut self) {
        if let Some((pictures, thread)) = self.work.take() {
            drop(pictures);
            // One that died took the process with it.
            let _ = thread.join();
        }
        self.outbox.forget(Output::Video(self.rung.number));
    }
}

/// Where keyframes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyframes {
    /// So many milliseconds apart.
    Grid(u32),
    /// Where the source's are.
    Source,
}

impl Keyframes {
    fn of(ladder: &Ladder) -> Self {
        if ladder.copies_video() {
            Self::Source
        } else {
            Self::Grid(ladder.gop_ms)
        }
    }
}

/// Of smaller pictures SVT-AV1 makes none, and x265 3.5 writes beyond its memory; x264 takes
/// whatever a ladder is fitted to.
const fn least(codec: VideoCodec) -> u32 {
    match codec {
        VideoCodec::H265 | VideoCodec::Av1 => 64,
        VideoCodec::H264 | VideoCodec::Copy => 0,
    }
}

enum Cadence {
    Grid(Grid),
    Follow(Follow),
}

/// An encoder's times, and whose they are.
struct Place {
    count: i64,
    at: Timestamp,
}

struct Open {
    encoder: VideoEncoder,
    /// What its first picture's time counts from.
    base: i64,
    /// The last picture that it was given.
    last: i64,
}

struct Work {
    wanted: VideoRung,
    rung: Rung,
    output: Output,
    cadence: Cadence,
    scaler: Scaler,
    encoder: Option<Open>,
    /// An encoder was there at some time.
    opened: bool,
    gop_ms: u32,
    /// The last picture, as it is encoded.
    held: Option<Picture>,
    /// The last one that was only decoded, because the worker before this one showed it.
    shown: Option<Picture>,
    /// What is missing is not filled.
    jump: bool,
    /// Times of pictures within the encoder.
    places: VecDeque<Place>,
    packets: Vec<Packet>,
    outbox: Outbox,
    tally: Arc<OutputTally>,
}

impl Work {
    fn run(mut self, waiting: &Receiver<ToRung>) {
        for what in waiting {
            self.tally.queue.fetch_sub(1, Relaxed);
            if let Err(error) = self.take(what) {
                let said = format!("{}: {error:#}", self.rung.name);
                // One that does not open would not the next time either: the others do without it.
                self.outbox.report(&if self.opened {
                    Report::Failed(said)
                } else {
                    Report::Warning(said)
                });
                return;
            }
        }
    }

    fn take(&mut self, what: ToRung) -> Result<()> {
        match what {
            ToRung::Picture(shown) => self.show(&shown),
            ToRung::Splice => {
                if let Cadence::Grid(grid) = &mut self.cadence {
                    grid.splice();
                }
                Ok(())
            }
            ToRung::Lost => {
                self.jump = true;
                Ok(())
            }
            ToRung::Hold(until) => self.hold(until),
        }
    }

    fn show(&mut self, shown: &Shown) -> Result<()> {
        match &mut self.cadence {
            Cadence::Grid(grid) => {
                let fill = grid.picture(shown.pts);
                let Some(slot) = fill.slot else {
                    if self.held.is_none() {
                        self.shown = shown.picture.share();
                    }
                    return Ok(());
                };
                let jumped = std::mem::take(&mut self.jump) && !fill.held.is_empty();
                if !jumped {
                    self.repeat(fill.held)?;
                }
                self.shown = None;
                self.scale(&shown.picture)?;
                self.encode_slot(slot, jumped)
            }
            Cadence::Follow(follow) => {
                if !follow.picture(shown.pts, shown.keyframe) {
                    return Ok(());
                }
                self.scale(&shown.picture)?;
                let count = shown.pts.to_ticks(CLOCK);
                self.encode(
                    Place {
                        count,
                        at: shown.pts,
                    },
                    shown.keyframe,
                )
            }
        }
    }

    fn scale(&mut self, picture: &Picture) -> Result<()> {
        match self.scaler.scale(picture) {
            Ok(Some(scaled)) => self.held = Some(scaled),
            Ok(None) => {}
            // A picture of a size that cannot be scaled costs itself alone.
            Err(error) => self
                .outbox
                .warn(format_args!("{}: {error:#}", self.rung.name)),
        }
        Ok(())
    }

    fn hold(&mut self, until: Timestamp) -> Result<()> {
        let Cadence::Grid(grid) = &mut self.cadence else {
            return Ok(());
        };
        let slots = grid.hold(until);
        self.repeat(slots)
    }

    fn repeat(&mut self, slots: std::ops::Range<i64>) -> Result<()> {
        if let Some(shown) = self.shown.take_if(|_| !slots.is_empty()) {
            self.scale(&shown)?;
        }
        for slot in slots {
            self.tally.held.fetch_add(1, Relaxed);
            self.encode_slot(slot, false)?;
        }
        Ok(())
    }

    fn encode_slot(&mut self, slot: i64, keyframe: bool) -> Result<()> {
        let Cadence::Grid(grid) = &self.cadence else {
            return Ok(());
        };
        let keyframe = keyframe || grid.is_key(slot);
        let at = grid.time(slot);
        self.encode(Place { count: slot, at }, keyframe)
    }

    fn encode(&mut self, place: Place, keyframe: bool) -> Result<()> {
        let Some(picture) = self.held.take() else {
            return Ok(());
        };
        if !self.wanted.codec.takes_orders() && !self.counts_on(&place, keyframe) {
            self.held = Some(picture);
            return Ok(());
        }
        let first = self.encoder.is_none();
        let open = match self.encoder.take() {
            Some(open) => open,
            None => self.open(place.count, picture.format())?,
        };
        let open = self.encoder.insert(open);
        self.opened = true;
        let count = place.count - open.base;
        open.last = place.count;
        self.places.push_back(place);
        let encoded = open
            .encoder
            .encode(&picture, count, keyframe || first, &mut self.packets);
        self.held = Some(picture);
        if let Err(error) = encoded {
            bail!("cannot be encoded: {error}");
        }
        self.send();
        Ok(())
    }

    /// An encoder that counts to its next IDR by itself is begun where one is due, and begun anew
    /// where pictures are missing.
    fn counts_on(&mut self, place: &Place, keyframe: bool) -> bool {
        self.encoder.take_if(|open| open.last + 1 != place.count);
        self.encoder.is_some() || keyframe
    }

    fn open(&self, base: i64, format: Format) -> Result<Open> {
        let clock = match &self.cadence {
            Cadence::Grid(_) => (self.rung.rate.den, self.rung.rate.num),
            Cadence::Follow(_) => (1, CLOCK),
        };
        let clock = (i32::try_from(clock.0)?, i32::try_from(clock.1)?);
        let gop = self.rung.rate.per_gop(self.gop_ms).unwrap_or(1);
        let encoder = VideoEncoder::open(&self.wanted, &self.rung, (clock, gop), Some(format))?;
        let config = packets::video_config(self.wanted.codec, &encoder.extradata())?;
        let track = Track {
            label: Some(self.rung.name.clone()),
            ..Track::new(TrackId(0), config)
        };
        self.outbox.track(self.output, track);
        Ok(Open {
            encoder,
            base,
            last: base,
        })
    }

    fn send(&mut self) {
        let Some(open) = &self.encoder else {
            return;
        };
        let interval = match &self.cadence {
            Cadence::Grid(_) => Some(self.rung.rate.interval()),
            Cadence::Follow(_) => None,
        };
        for packet in self.packets.drain(..) {
            let pts = time_of(&self.places, packet.pts + open.base, interval);
            let dts = time_of(&self.places, packet.dts + open.base, interval);
            let frame = Frame {
                track: TrackId(0),
                dts: dts.min(pts),
                pts,
                duration: interval,
                random_access: packet.key,
                leading: false,
                payload: packets::payload(self.wanted.codec, &packet.data),
            };
            self.outbox.frame(self.output, &self.tally, frame);
        }
        // As many as any encoder looks ahead, and those that later ones refer to.
        while self.places.len() > 512 {
            self.places.pop_front();
        }
    }
}

/// The time that an encoder's count stands for: one that was given, or, before the first one, as
/// far before it.
fn time_of(places: &VecDeque<Place>, count: i64, interval: Option<Span>) -> Timestamp {
    if let Ok(at) = places.binary_search_by_key(&count, |p| p.count) {
        return places[at].at;
    }
    let Some(first) = places.front() else {
        return Timestamp::ZERO;
    };
    let unit = interval.unwrap_or_else(|| Span::from_ticks(1, CLOCK));
    first.at - unit.times(first.count - count)
}
