//! Allocations of writing and reading in the steady state, counted on one thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use allocation_counter::measure;
use hub::{Event, Hub, Limits, Options, Subscriber};
use media::{Frame, Span};
use tokio::task::yield_now;

use crate::load::Load;
use crate::ours::video;

const READERS: u64 = 100;
const FRAMES: u32 = 1000;

pub(crate) fn count() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let presentation = Hub::new().announce("news").unwrap();
    let limits = Limits {
        duration: Span::from_secs(2),
        ..Limits::default()
    };
    let (mut publisher, relay) = presentation.add("source", limits).unwrap();
    publisher.set_tracks(video());
    runtime.spawn(relay.run());
    let delivered = Arc::new(AtomicU64::new(0));
    for _ in 0..READERS {
        let reader = publisher.broadcast().subscribe(Options::default());
        runtime.spawn(follow(reader, Arc::clone(&delivered)));
    }
    let load = Load {
        readers: 0,
        stalling: 0,
        per_second: 60,
        length: Duration::ZERO,
    };
    let frames: Vec<_> = (0..2 * FRAMES).map(|n| load.frame(n)).collect();
    // The first clone of a payload allocates its count.
    drop(frames.clone());
    let mut pushed = 0;
    let mut play = |frames: &[Frame]| {
        runtime.block_on(async {
            for frame in frames {
                publisher.push(frame.clone()).unwrap();
                pushed += 1;
                while delivered.load(Relaxed) < pushed * READERS {
                    yield_now().await;
                }
            }
        });
    };
    let (warm_up, steady) = frames.split_at(FRAMES as usize);
    play(warm_up);
    let all = measure(|| play(steady)).count_total;
    let tokios = measure(|| runtime.block_on(yield_now())).count_total;
    let ours = all.saturating_sub(tokios);
    let deliveries = u64::from(FRAMES) * READERS;
    format!("{ours} in {deliveries} deliveries of {FRAMES} frames")
}

async fn follow(mut reader: Subscriber, delivered: Arc<AtomicU64>) {
    let mut batch = Vec::new();
    loop {
        reader.next(&mut batch).await;
        let frames = batch.drain(..).filter(|e| matches!(e, Event::Frame(_)));
        delivered.fetch_add(frames.count() as u64, Relaxed);
    }
}
