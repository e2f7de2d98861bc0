//! Pulls from what ffmpeg writes, from our own output, and from servers that misbehave.

mod classic;
mod live;
mod low_latency;
mod refusals;
mod site;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use container::ingest::{Figures, Stats};
use http_media::pull::{Error, Source, hls, ts};
use hub::{EndReason, Event, Hub, Join, Limits, Options, Publisher, WallTime};
use media::{Frame, Span, Timestamp, Track};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_secs(100);

pub(crate) fn clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::ZERO + Span::from(since.unwrap())
}

/// What a pull brought to a subscriber of its broadcast.
pub(crate) struct Seen {
    /// Frames with the time of their arrival in seconds since the first.
    pub(crate) frames: Vec<(f64, Frame)>,
    pub(crate) tracks: Arc<[Track]>,
    pub(crate) figures: Figures,
    pub(crate) end: Result<EndReason, Error>,
    /// When the first frame was there, after the pull began.
    pub(crate) first: Duration,
    pub(crate) wall: Option<WallTime>,
    /// How often the broadcast was told of a loss.
    pub(crate) losses: u64,
    /// Seconds from what the source dated a frame to until it was there, for each dated frame.
    pub(crate) delays: Vec<f64>,
}

impl Seen {
    pub(crate) fn of(&self, track: u16) -> Vec<&Frame> {
        let frames = self.frames.iter().map(|(_, f)| f);
        frames.filter(|f| f.track.0 == track).collect()
    }

    /// The longest time without a frame of the track, in seconds, from the second second on.
    pub(crate) fn longest_gap(&self, track: u16) -> f64 {
        let of = self
            .frames
            .iter()
            .filter(|(at, f)| f.track.0 == track && *at > 1.0);
        let times: Vec<_> = of.map(|(at, _)| *at).collect();
        times.windows(2).map(|w| w[1] - w[0]).fold(0.0, f64::max)
    }

    /// The longest step of DTS within the track, in milliseconds.
    pub(crate) fn longest_step(&self, track: u16) -> i64 {
        let of = self.of(track);
        let steps = of.windows(2).map(|w| (w[1].dts - w[0].dts).as_millis());
        steps.max().unwrap_or(0)
    }
}

pub(crate) fn anywhere(url: &str) -> Source {
    Source::new(url, Arc::new(|_| true)).unwrap()
}

/// Pulls HLS until it ends, or for so long.
pub(crate) async fn pull_hls(config: hls::Pull, most: Duration) -> Seen {
    let run = |publisher, stats| hls::pull(config, publisher, stats);
    watch(run, most, |_| false).await
}

/// Pulls HLS until so many frames of the first two tracks have come, however long that takes.
pub(crate) async fn pull_hls_until(config: hls::Pull, frames: [usize; 2]) -> Seen {
    let run = |publisher, stats| hls::pull(config, publisher, stats);
    let mut seen = [0; 2];
    let enough = move |frame: &Frame| {
        if let Some(seen) = seen.get_mut(usize::from(frame.track.0)) {
            *seen += 1;
        }
        seen.iter()
            .zip(frames)
            .all(|(seen, wanted)| *seen >= wanted)
    };
    watch(run, PATIENCE, enough).await
}

pub(crate) async fn pull_ts(config: ts::Pull, most: Duration) -> Seen {
    let run = |publisher, stats| ts::pull(config, publisher, stats);
    watch(run, most, |_| false).await
}

async fn watch<F>(
    run: impl FnOnce(Publisher, Arc<Stats>) -> F,
    most: Duration,
    mut enough: impl FnMut(&Frame) -> bool,
) -> Seen
where
    F: Future<Output = Result<EndReason, Error>>,
{
    let presentation = Hub::new().announce("news").unwrap();
    let (publisher, relay) = presentation.add("source", Limits::default()).unwrap();
    let broadcast = publisher.broadcast();
    let mut subscriber = broadcast.subscribe(Options {
        join: Join::Newest,
        ..Options::default()
    });
    let stats = Arc::new(Stats::new(clock));
    let began = Instant::now();
    let mut frames: Vec<(Instant, Frame)> = Vec::new();
    let (mut last, mut delays) = (None, Vec::new());
    let complete = Notify::new();
    let reading = async {
        let mut events = Vec::new();
        loop {
            subscriber.next(&mut events).await;
            let now = Instant::now();
            for event in events.drain(..) {
                match event {
                    Event::Frame(frame) => {
                        if enough(&frame) {
                            complete.notify_one();
                        }
                        frames.push((now, frame));
                    }
                    Event::End(_) => return,
                    _ => {}
                }
            }
            let wall = broadcast.wall_time();
            if let Some(wall) = wall.filter(|_| wall != last) {
                delays.push((clock() - wall.utc).as_secs_f64());
                last = Some(wall);
            }
        }
    };
    let pulling = Box::pin(run(publisher, Arc::clone(&stats)));
    let both = async { tokio::join!(pulling, reading) };
    let end = tokio::select! {
        (end, ()) = both => end,
        () = async {
            relay.run().await;
            std::future::pending().await
        } => unreachable!(),
        () = complete.notified() => Ok(EndReason::Dropped),
        () = tokio::time::sleep(most) => Ok(EndReason::Dropped),
    };
    let from = frames.first().map_or(began, |(at, _)| *at);
    Seen {
        tracks: broadcast.tracks(),
        figures: stats.figures(),
        end,
        first: from - began,
        wall: broadcast.wall_time(),
        losses: broadcast.losses(),
        delays,
        frames: frames
            .into_iter()
            .map(|(at, f)| ((at - from).as_secs_f64(), f))
            .collect(),
    }
}
