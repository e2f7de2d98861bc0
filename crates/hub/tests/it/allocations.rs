//! In the steady state neither writing nor reading allocates.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;

use allocation_counter::measure;
use hub::{Event, Limits, Options, Publisher, Subscriber};
use media::{Frame, Span};
use tokio::runtime::{Builder, Runtime};

use crate::fixture::{VIDEO, frame, stage};

const READERS: u64 = 50;
const FRAMES: u64 = 500;

/// Two groups a second at 60 fps. Payloads whose count is allocated already, as they are where a
/// bridge slices them out of what it received.
fn frames(from: u64) -> Vec<Frame> {
    let frame = |n: u64| {
        let ms = i64::try_from(n * 1000 / 60).unwrap();
        let frame = frame(VIDEO, ms, n.is_multiple_of(30), n, 100);
        drop(frame.clone());
        frame
    };
    (from..from + FRAMES).map(frame).collect()
}

async fn follow(mut reader: Subscriber, delivered: Arc<AtomicU64>) {
    let mut batch = Vec::new();
    loop {
        reader.next(&mut batch).await;
        for event in batch.drain(..) {
            match event {
                Event::Frame(_) => delivered.fetch_add(1, Relaxed),
                Event::Group { .. } => 0,
                Event::Skipped { .. } | Event::End(_) => return,
            };
        }
    }
}

/// Lets the others run; tokio's own allocates once per `block_on`.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut yielded, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

fn play(runtime: &Runtime, publisher: &mut Publisher, frames: Vec<Frame>) {
    runtime.block_on(async {
        for frame in frames {
            publisher.push(frame).unwrap();
            // The relay, then the readers.
            yield_now().await;
            yield_now().await;
        }
    });
}

#[test]
fn none_per_delivery_and_none_per_push() {
    let mut s = stage(Limits {
        duration: Span::from_secs(1),
        bytes: usize::MAX,
    });
    let delivered = Arc::new(AtomicU64::new(0));
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.spawn(s.relay.run());
    for _ in 0..READERS {
        let reader = s.publisher.broadcast().subscribe(Options::default());
        runtime.spawn(follow(reader, Arc::clone(&delivered)));
    }
    play(&runtime, &mut s.publisher, frames(0));
    delivered.store(0, Relaxed);
    let steady = frames(FRAMES);
    let counted = measure(|| play(&runtime, &mut s.publisher, steady));
    assert_eq!(delivered.load(Relaxed), READERS * FRAMES);
    assert!(s.publisher.counters().evicted > FRAMES);
    assert_eq!(counted.count_total, 0);
}
