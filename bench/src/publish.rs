//! Publishes a synthetic programme at an even pace, and measures how long the server makes it wait.

use std::time::{Duration, Instant};

use clap::Args;
use container::flv::Mux;
use media::Span;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::picture::{Sizes, aac, h264};
use crate::rtmp_client::Client;
use crate::samples::Samples;
use crate::stamp;

const VIDEO: u8 = 9;
const AUDIO: u8 = 8;
/// Samples in an AAC frame.
const AAC_FRAME: u64 = 1024;
const RATE: u64 = 48_000;

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// rtmp://HOST:PORT/APP/NAME?key=KEY
    url: String,
    #[arg(long, default_value_t = 4000)]
    kbps: u32,
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=240))]
    fps: u32,
    /// Frames from keyframe to keyframe.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    gop: u32,
    /// Silence in AAC, too.
    #[arg(long)]
    audio: bool,
    /// For so long; otherwise until SIGTERM.
    #[arg(long)]
    seconds: Option<u64>,
}

pub(crate) async fn run(args: Publish) -> anyhow::Result<Value> {
    let mut client = Client::publish(&args.url).await?;
    let mut programme = Programme::new(&args)?;
    programme.begin(&mut client).await?;
    let mut term = signal(SignalKind::terminate())?;
    let until = args.seconds.map_or(Duration::MAX, Duration::from_secs);
    tokio::select! {
        sent = programme.send(&mut client, until) => sent?,
        _ = term.recv() => {}
    }
    Ok(programme.report())
}

struct Programme {
    sizes: Sizes,
    fps: u32,
    video: (media::CodecConfig, Mux),
    audio: Option<(media::CodecConfig, Mux)>,
    sounds: u64,
    frames: u32,
    bytes: u64,
    /// Microseconds of each write.
    writes: Samples,
}

impl Programme {
    fn new(args: &Publish) -> anyhow::Result<Self> {
        Ok(Self {
            sizes: Sizes::new(args.kbps, args.fps, args.gop),
            fps: args.fps,
            video: lane(h264()?)?,
            audio: args.audio.then(|| lane(aac()?)).transpose()?,
            sounds: 0,
            frames: 0,
            bytes: 0,
            writes: Samples::default(),
        })
    }

    async fn begin(&self, client: &mut Client) -> anyhow::Result<()> {
        let lanes = [(VIDEO, Some(&self.video)), (AUDIO, self.audio.as_ref())];
        for (kind, lane) in lanes {
            if let Some(body) = lane.and_then(|(config, mux)| mux.config(config)) {
                client.send(kind, 0, &body).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, client: &mut Client, until: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut pace = interval(Duration::from_secs(1) / self.fps);
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while began.elapsed() < until {
            pace.tick().await;
            self.sound(client).await?;
            self.picture(client).await?;
        }
        Ok(())
    }

    async fn picture(&mut self, client: &mut Client) -> anyhow::Result<()> {
        let key = self.sizes.is_key(self.frames);
        let time = u64::from(self.frames) * 1000 / u64::from(self.fps);
        let head = self.video.1.frame(key, Span::ZERO);
        let unit = self.sizes.access_unit(self.frames, stamp::now());
        let body = [head.as_slice(), &unit].concat();
        let before = Instant::now();
        client.send(VIDEO, millis(time), &body).await?;
        self.writes.add(before.elapsed());
        self.frames += 1;
        self.bytes += body.len() as u64;
        Ok(())
    }

    /// All sound until the next picture.
    async fn sound(&mut self, client: &mut Client) -> anyhow::Result<()> {
        let Some((_, mux)) = &self.audio else {
            return Ok(());
        };
        let due = u64::from(self.frames) * RATE / u64::from(self.fps);
        while self.sounds * AAC_FRAME <= due {
            let time = self.sounds * AAC_FRAME * 1000 / RATE;
            let head = mux.frame(true, Span::ZERO);
            let body = [head.as_slice(), &[0x21; 320]].concat();
            client.send(AUDIO, millis(time), &body).await?;
            self.sounds += 1;
        }
        Ok(())
    }

    fn report(&self) -> Value {
        json!({
            "frames": self.frames,
            "bytes": self.bytes,
            "write_ms": self.writes.percentiles(),
        })
    }
}

fn lane(config: media::CodecConfig) -> anyhow::Result<(media::CodecConfig, Mux)> {
    let mux = Mux::new(&config, 0);
    mux.map(|mux| (config, mux))
        .ok_or_else(|| anyhow::anyhow!("RTMP does not carry this"))
}

fn millis(time: u64) -> u32 {
    u32::try_from(time & u64::from(u32::MAX)).unwrap_or(0)
}
