//! Pictures: decoded once, here, and shared with the threads of the rungs.

mod cadence;
mod pace;
mod rung;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Result;
use ladder::{Decision, Deinterlace, FrameRate, Job, Ladder, Report, Rung, Source};
use media::{CodecConfig, Frame, Span, Timestamp, Track};

use crate::av::{Deinterlacer, Picture, VideoDecoder};
use crate::link::Input;
use crate::sending::Outbox;
use pace::Pace;
use rung::{RungThread, Shown, ToRung};

/// Access units that wait to be decoded.
const WAITING: usize = 64;
/// Threads that divide a picture among them.
const DECODERS: usize = 4;
/// What comes and cannot be decoded is waited for as long; then the picture before it is held.
const LATE: Span = Span::from_secs(1);
/// Pictures that are kept until it is known what to make of them: more than it takes to know.
const EARLY: usize = 20;
/// Keyframes of the source that may be within the decoder.
const KEYFRAMES: usize = 16;

/// Starts the thread.
pub(crate) fn start(outbox: Outbox) -> Result<SyncSender<Input>> {
    let (inputs, received) = sync_channel(WAITING);
    std::thread::Builder::new()
        .name("decode".to_owned())
        .spawn(move || Pictures::new(outbox).run(&received))?;
    Ok(inputs)
}

struct Pictures {
    outbox: Outbox,
    job: Option<Arc<Job>>,
    decision: Option<Decision>,
    rungs: Vec<RungThread>,
    config: Option<CodecConfig>,
    decoder: Option<VideoDecoder>,
    /// It does not open, and has said so.
    refused: bool,
    deinterlacer: Deinterlacer,
    /// Times of the source's random-access points that the decoder has not shown yet.
    keyframes: VecDeque<i64>,
    pace: Pace,
    /// How far pictures have come.
    reached: Option<Timestamp>,
    /// Pictures that came before it was known what to make of them.
    early: Vec<Shown>,
    decoded: Vec<Picture>,
    whole: Vec<Picture>,
}

impl Pictures {
    fn new(outbox: Outbox) -> Self {
        Self {
            outbox,
            job: None,
            decision: None,
            rungs: Vec::new(),
            config: None,
            decoder: None,
            refused: false,
            deinterlacer: Deinterlacer::default(),
            keyframes: VecDeque::new(),
            pace: Pace::default(),
            reached: None,
            early: Vec::new(),
            decoded: Vec::new(),
            whole: Vec::new(),
        }
    }

    fn run(mut self, inputs: &Receiver<Input>) {
        for input in inputs {
            match input {
                Input::Job(job) => self.take_job(job),
                Input::Tracks(tracks) => self.follow(tracks.first()),
                Input::Group { spliced, lost } => self.open_group(spliced, lost),
                Input::Unit(unit) => {
                    self.outbox.tally().queue.fetch_sub(1, Relaxed);
                    self.decode(&unit);
                }
                Input::Hold(until) => self.tell(|| ToRung::Hold(until)),
            }
        }
    }

    fn take_job(&mut self, job: Arc<Job>) {
        let known = self.decision.as_ref().map(|d| d.source);
        let decision = job.decision.clone();
        self.decision = decision.or_else(|| Some(Decision::of(&job.ladder, known?)));
        self.job = Some(job);
        self.build();
    }

    /// Rungs that stay as they are go on; others end, or begin.
    fn build(&mut self) {
        let (Some(job), Some(decision)) = (&self.job, &self.decision) else {
            return;
        };
        self.outbox.report(&Report::Decided(decision.clone()));
        let wanted = |rung: &Rung| job.ladder.video_rung(rung.number);
        let stays = |thread: &RungThread| {
            let makes = |rung| wanted(rung).is_some_and(|w| thread.makes(w, rung, &job.ladder));
            decision.rungs.iter().any(makes)
        };
        // One that ends has sent its last before another of its number begins.
        self.rungs.retain(stays);
        for rung in &decision.rungs {
            let same = |thread: &RungThread| thread.number() == rung.number;
            let there = self.rungs.iter().any(same);
            let Some(wanted) = wanted(rung).filter(|_| !there) else {
                continue;
            };
            match RungThread::start(job, wanted, rung, &self.outbox) {
                Ok(thread) => self.rungs.push(thread),
                Err(error) => self.outbox.report(&Report::Failed(format!("{error:#}"))),
            }
        }
    }

    /// A decoder is made anew only where what it needs is another.
    fn follow(&mut self, track: Option<&Track>) {
        let config = track.map(|t| t.config.clone());
        if self.config == config {
            return;
        }
        self.begin_anew();
        self.config = config;
        self.outbox.tally().switches.fetch_add(1, Relaxed);
    }

    fn open_group(&mut self, spliced: bool, lost: bool) {
        if spliced {
            self.begin_anew();
            self.pace.interrupt();
            self.tell(|| ToRung::Splice);
        }
        if lost {
            self.tell(|| ToRung::Lost);
        }
    }

    /// What the decoder still holds is shown before anything else is.
    fn begin_anew(&mut self) {
        if let Some(decoder) = &mut self.decoder {
            decoder.drain(&mut self.decoded);
            self.show_decoded();
        }
        self.decoder = None;
        self.refused = false;
        self.deinterlacer.reset();
        self.keyframes.clear();
    }

    fn decode(&mut self, unit: &Frame) {
        if self.decoder.is_none() && !self.refused {
            self.open_decoder();
        }
        let Some(decoder) = &mut self.decoder else {
            self.outbox.tally().undecodable.fetch_add(1, Relaxed);
            return self.hold_behind(unit.dts);
        };
        if unit.random_access {
            self.keyframes.push_back(unit.pts.as_nanos());
            if self.keyframes.len() > KEYFRAMES {
                self.keyframes.pop_front();
            }
        }
        if decoder.decode(unit, &mut self.decoded).is_err() {
            self.outbox.tally().undecodable.fetch_add(1, Relaxed);
        }
        self.show_decoded();
        self.hold_behind(unit.dts);
    }

    /// Access units come, but no pictures of them.
    fn hold_behind(&mut self, dts: Timestamp) {
        let late = dts - LATE;
        if self.reached.is_some_and(|reached| reached < late) {
            self.reached = Some(late);
            self.tell(|| ToRung::Hold(late));
        }
    }

    fn open_decoder(&mut self) {
        let Some(config) = &self.config else {
            return;
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        match VideoDecoder::open(config, threads.min(DECODERS)) {
            Ok(decoder) => self.decoder = Some(decoder),
            Err(error) => {
                self.refused = true;
                self.outbox.warn(format_args!("{error:#}"));
            }
        }
    }

    fn show_decoded(&mut self) {
        let mut decoded = std::mem::take(&mut self.decoded);
        for picture in decoded.drain(..) {
            self.outbox.tally().decoded.fetch_add(1, Relaxed);
            self.make_whole(picture);
        }
        self.decoded = decoded;
    }

    fn make_whole(&mut self, picture: Picture) {
        let mode = self
            .job
            .as_ref()
            .map_or(Deinterlace::Never, |j| j.ladder.deinterlace);
        let interlaced = match mode {
            Deinterlace::Auto => picture.is_interlaced(),
            Deinterlace::Never => false,
            Deinterlace::Always => true,
        };
        if !interlaced {
            return self.show(picture);
        }
        let mut whole = std::mem::take(&mut self.whole);
        if let Err(error) = self.deinterlacer.run(&picture, &mut whole) {
            self.outbox
                .warn(format_args!("cannot be deinterlaced: {error:#}"));
        }
        for picture in whole.drain(..) {
            self.show(picture);
        }
        self.whole = whole;
    }

    fn show(&mut self, picture: Picture) {
        let Some(pts) = picture.pts() else {
            return;
        };
        while self.keyframes.front().is_some_and(|k| *k < pts) {
            self.keyframes.pop_front();
        }
        let shown = Shown {
            keyframe: self.keyframes.front() == Some(&pts),
            pts: Timestamp::from_nanos(pts),
            picture,
        };
        self.reached = self.reached.max(Some(shown.pts));
        if self.decision.is_some() {
            self.tell_picture(&shown);
        } else {
            self.wait_for_decision(shown);
        }
    }

    /// The first pictures tell what the ladder is fitted to.
    fn wait_for_decision(&mut self, shown: Shown) {
        let Some(job) = &self.job else {
            return;
        };
        let told = self.decoder.as_ref().and_then(VideoDecoder::frame_rate);
        let told = told.and_then(|(num, den)| FrameRate::new(num, den));
        let rate = self.pace.note(shown.pts, told);
        // Those of a source whose times do not go on tell nothing, and are large.
        if self.early.len() == EARLY {
            self.early.remove(0);
        }
        self.early.push(shown);
        let Some(rate) = rate else {
            return;
        };
        self.decision = Some(decide(&job.ladder, &self.early, rate));
        self.build();
        for shown in std::mem::take(&mut self.early) {
            self.tell_picture(&shown);
        }
    }

    fn tell_picture(&self, shown: &Shown) {
        for rung in &self.rungs {
            if let Some(shown) = shown.share() {
                rung.tell(ToRung::Picture(shown));
            }
        }
    }

    fn tell(&self, what: impl Fn() -> ToRung) {
        for rung in &self.rungs {
            rung.tell(what());
        }
    }
}

/// In square pixels: pictures are stretched, never shrunk.
fn decide(ladder: &Ladder, shown: &[Shown], rate: FrameRate) -> Decision {
    let format = shown.last().map(|s| s.picture.format());
    let (width, height, (num, den)) =
        format.map_or((2, 2, (1, 1)), |f| (f.width, f.height, f.aspect));
    let stretched = |n: u32, num: i32, den: i32| {
        let part = |n: i32| u64::try_from(n).unwrap_or(1).max(1);
        u32::try_from(u64::from(n) * part(num) / part(den)).unwrap_or(n)
    };
    let (width, height) = if num >= den {
        (stretched(width, num, den), height)
    } else {
        (width, stretched(height, den, num))
    };
    // Stretched, one may be larger than any that is made.
    let longest = width.max(height).max(Decision::SIDE);
    let shrunk = |n: u32| {
        let n = u64::from(n) * u64::from(Decision::SIDE) / u64::from(longest);
        u32::try_from(n).unwrap_or(Decision::SIDE).max(1)
    };
    let source = Source {
        width: shrunk(width),
        height: shrunk(height),
        rate,
    };
    Decision::of(ladder, source)
}
