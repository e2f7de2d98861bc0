//! Fixed work for an instruction counter: the same instructions each time, in proportion to `count`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Context as _;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use container::flv::Mux;
use container::fmp4::{Sample, chunk_header};
use hub::{Event, Hub, Limits, Options, Subscriber};
use media::{Frame, Span, Timestamp, Track, TrackId};
use packager::{Config, Form, Packager, Skip};
use serde_json::{Value, json};
use tokio::task::yield_now;

use crate::picture::h264;

const RATE: u32 = 30;
const READERS: u64 = 10;
/// Frames of a part of 200 ms.
const PER_PART: usize = 6;
/// Frames until a playlist is as long as it gets.
const FULL: u32 = 150 * RATE;

#[derive(Debug, Args)]
pub(crate) struct Cost {
    what: What,
    /// How often.
    count: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// A frame's head for RTMP.
    Rtmp,
    /// The header of a part.
    Part,
    /// A frame to one more reader of the hub.
    Fanout,
    /// A frame into parts and segments.
    Package,
    /// A low-latency playlist of a minute.
    Playlist,
}

pub(crate) fn run(cost: &Cost) -> anyhow::Result<Value> {
    let Cost { what, count } = *cost;
    let bytes = match what {
        What::Rtmp => rtmp(count)?,
        What::Part => part(count),
        What::Fanout => fan_out(count)?,
        What::Package => package(FULL + count).map(|_| 0)?,
        What::Playlist => playlist(count)?,
    };
    Ok(json!({ "bytes": bytes }))
}

fn rtmp(count: u32) -> anyhow::Result<usize> {
    let mux = Mux::new(&h264()?, 0).context("H.264 over RTMP")?;
    let head = |n: u32| mux.frame(n.is_multiple_of(60), Span::ZERO).as_slice().len();
    Ok((0..count).map(head).sum())
}

fn part(count: u32) -> usize {
    let sample = Sample {
        size: 12_000,
        duration: 3000,
        composition: 0,
        random_access: false,
    };
    let samples = [sample; PER_PART];
    let header = |n: u32| chunk_header(n, u64::from(n) * 18_000, &samples, None).len();
    (0..count).map(header).sum()
}

fn frame(n: u32, payload: &Bytes) -> Frame {
    let at = Timestamp::from_ticks(i64::from(n), RATE);
    Frame {
        track: TrackId(0),
        dts: at,
        pts: at,
        duration: None,
        random_access: n.is_multiple_of(2 * RATE),
        leading: false,
        payload: payload.clone(),
    }
}

/// `count` deliveries, to readers that all keep up.
fn fan_out(count: u32) -> anyhow::Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let presentation = Hub::new().announce("n")?;
    let limits = Limits {
        duration: Span::from_secs(2),
        ..Limits::default()
    };
    let (mut publisher, relay) = presentation.add("source", limits)?;
    publisher.set_tracks(Arc::new([Track::new(TrackId(0), h264()?)]));
    runtime.spawn(relay.run());
    let delivered = Arc::new(AtomicU64::new(0));
    for _ in 0..READERS {
        let reader = publisher.broadcast().subscribe(Options::default());
        runtime.spawn(follow(reader, Arc::clone(&delivered)));
    }
    let payload = Bytes::from(vec![0; 4096]);
    runtime.block_on(async {
        for n in 0..count / u32::try_from(READERS)? {
            publisher.push(frame(n, &payload))?;
            while delivered.load(Relaxed) < u64::from(n + 1) * READERS {
                yield_now().await;
            }
        }
        Ok(usize::try_from(delivered.load(Relaxed))?)
    })
}

async fn follow(mut reader: Subscriber, delivered: Arc<AtomicU64>) {
    let mut batch = Vec::new();
    loop {
        reader.next(&mut batch).await;
        let frames = batch.drain(..).filter(|e| matches!(e, Event::Frame(_)));
        delivered.fetch_add(frames.count() as u64, Relaxed);
    }
}

fn package(count: u32) -> anyhow::Result<Packager> {
    let track = Track::new(TrackId(0), h264()?);
    let mut packager = Packager::new(Config::default(), None, Timestamp::from_ticks(0, RATE));
    let id = packager.add_rendition("source");
    let payload = Bytes::from(vec![0; 4096]);
    for n in 0..count {
        let frame = frame(n, &payload);
        let now = frame.dts;
        if frame.random_access {
            packager.group(id, std::slice::from_ref(&track), now)?;
        }
        packager.frame(id, frame, now);
        while packager.next_effect().is_some() {}
    }
    Ok(packager)
}

fn playlist(count: u32) -> anyhow::Result<usize> {
    let packager = package(FULL)?;
    let snapshot = packager.snapshot();
    let media = snapshot.media.first().context("no playlist")?;
    let form = Form {
        low_latency: true,
        skip: Skip::No,
    };
    Ok((0..count)
        .map(|_| snapshot.playlist(media, form).len())
        .sum())
}
