//! Has one worker make a ladder of a file: what that costs, or how long pictures take.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use container::flv;
use container::ingest::Item;
use container::wire::Message;
use media::{Frame, Span, Timestamp, Track, TrackId, TrackKind};
use serde_json::{Value, json};

use crate::samples::Samples;
use crate::watch::Ticker;
use crate::worker::{Arrival, Worker};

/// When the first picture is shown: keyframes of all ladders lie here.
const BASE: Timestamp = Timestamp::from_millis(1_795_305_600_000);
/// Numbers of outputs from here on are sound.
const SOUND: u16 = 0x100;

#[derive(Debug, Args)]
pub(crate) struct Ladder {
    /// An FLV file with pictures.
    source: PathBuf,
    /// The `weir-transcoder` that is run.
    #[arg(long)]
    worker: PathBuf,
    /// The ladder in JSON, with every member: what workers are sent (`ladder::Ladder`).
    #[arg(long)]
    ladder: PathBuf,
    /// At the pictures' own pace, for their delay, rather than as fast as they are taken.
    #[arg(long)]
    paced: bool,
    /// Pictures at the start that do not count for it: the worker looks at some before it begins.
    #[arg(long, default_value_t = 30)]
    skip: usize,
}

struct Clip {
    tracks: Arc<[Track]>,
    frames: Vec<Frame>,
    pictures: TrackId,
}

/// When each picture was written, by the time when it is shown.
type Written = BTreeMap<Timestamp, Instant>;

pub(crate) fn run(args: &Ladder) -> anyhow::Result<Value> {
    let clip = Clip::read(args)?;
    let ladder: Value = serde_json::from_slice(&std::fs::read(&args.ladder)?)?;
    let job =
        json!({ "ladder": ladder, "decision": null, "video_until": null, "audio_until": null });
    let ticker = Ticker::start();
    let mut worker = Worker::start(&args.worker)?;
    worker.order(&json!({ "job": job }))?;
    let began = Instant::now();
    let written = clip.send(&mut worker, args.paced)?;
    let arrivals = worker.finish(clip.frames.len() as u64)?;
    let ended = arrivals.last().map_or(began, |(at, _)| *at);
    Ok(json!({
        "cpu_s": worker.close()?,
        "wall_s": (ended - began).as_secs_f64(),
        "sent": written.len(),
        "outputs": outputs(&arrivals, &written, args),
        "ticker_gap_ms": ticker.stop().as_secs_f64() * 1e3,
    }))
}

impl Clip {
    fn read(args: &Ladder) -> anyhow::Result<Self> {
        let mut reader = flv::Reader::new();
        let mut items = Vec::new();
        let file =
            std::fs::read(&args.source).with_context(|| args.source.display().to_string())?;
        reader.push(file.into(), &mut items)?;
        reader.flush(&mut items);
        let (mut tracks, mut frames) = (Vec::<Track>::new(), Vec::new());
        for item in items {
            match item {
                Item::Track(track) if tracks.iter().all(|t| t.id != track.id) => tracks.push(track),
                Item::Frame(frame) => frames.push(frame),
                _ => {}
            }
        }
        let pictures = tracks.iter().find(|t| t.kind == TrackKind::Video);
        let pictures = pictures.context("no pictures")?.id;
        let shown = frames.iter().filter(|f| f.track == pictures);
        let shift = BASE - shown.map(|f| f.pts).min().context("no pictures")?;
        for frame in &mut frames {
            frame.dts += shift;
            frame.pts += shift;
        }
        Ok(Self {
            tracks: tracks.into(),
            frames,
            pictures,
        })
    }

    fn send(&self, worker: &mut Worker, paced: bool) -> anyhow::Result<Written> {
        worker.send(&Message::Tracks {
            rendition: 0,
            tracks: Arc::clone(&self.tracks),
        })?;
        let (began, first) = (Instant::now(), self.frames.first().map(|f| f.dts));
        let mut written = Written::new();
        for frame in &self.frames {
            if paced {
                let due = first.map_or(Span::ZERO, |first| frame.dts - first);
                std::thread::sleep(due.to_duration().saturating_sub(began.elapsed()));
            }
            let is_picture = frame.track == self.pictures;
            if is_picture && frame.random_access {
                worker.send(&group(frame.pts, written.is_empty()))?;
            }
            let (rendition, frame) = (0, frame.clone());
            let pts = frame.pts;
            worker.send(&Message::Frame { rendition, frame })?;
            if is_picture {
                written.insert(pts, Instant::now());
            }
        }
        Ok(written)
    }
}

const fn group(id: Timestamp, spliced: bool) -> Message {
    Message::Group {
        rendition: 0,
        id,
        spliced,
        lost: false,
    }
}

/// By the output's number: what came of it.
fn outputs(arrivals: &[Arrival], written: &Written, args: &Ladder) -> Value {
    let mut outputs = BTreeMap::<u16, Made>::new();
    for (at, message) in arrivals {
        if let Message::Frame { rendition, frame } = message {
            let made = outputs.entry(*rendition).or_default();
            made.units += 1;
            made.bytes += frame.payload.len();
            if *rendition < SOUND && args.paced {
                made.delays.push(delay(frame.pts, *at, written));
            }
        }
    }
    let told = outputs.iter().map(|(number, made)| {
        let mut counted = Samples::default();
        let delays = made.delays.iter().skip(args.skip);
        delays.for_each(|delay| counted.add(*delay));
        json!({
            "number": number,
            "units": made.units,
            "bytes": made.bytes,
            "delay_ms": counted.percentiles(),
        })
    });
    told.collect()
}

/// What came of one output.
#[derive(Default)]
struct Made {
    units: usize,
    bytes: usize,
    delays: Vec<Duration>,
}

/// Since the picture was written that is shown at about the same time: a grid moves it a little.
fn delay(pts: Timestamp, at: Instant, written: &Written) -> Duration {
    let before = written.range(..=pts).next_back();
    let after = written.range(pts..).next();
    let near = |(time, _): &(&Timestamp, &Instant)| (**time - pts).abs();
    let nearest = before.into_iter().chain(after).min_by_key(near);
    nearest.map_or(Duration::MAX, |(_, written)| at - *written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_that_of_the_nearest_picture() {
        let began = Instant::now();
        let after = |ms| began + Duration::from_millis(ms);
        let times = [0, 33, 67, 100].map(|ms| (Timestamp::from_millis(ms), ms.unsigned_abs()));
        let written: Written = times.map(|(time, ms)| (time, after(ms))).into();
        for (pts, read, expected) in [(66_666_667, 77, 10), (33_333_333, 40, 7), (100, 5, 5)] {
            let delay = delay(Timestamp::from_nanos(pts), after(read), &written);
            assert_eq!(delay, Duration::from_millis(expected));
        }
    }
}
