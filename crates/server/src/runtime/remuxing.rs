//! A stream as MPEG-TS: made while somebody takes it, once for all who do.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hub::{Broadcast, Demand, Hub};
use media::Track;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::lock;

/// Who comes within this time of the last one to leave finds it running.
const LINGER: Duration = Duration::from_secs(10);

/// What is made of one stream's renditions.
#[derive(Debug, Clone)]
pub(super) struct Remuxing {
    stream: String,
    made: Arc<Mutex<Vec<Made>>>,
    left_out: Arc<AtomicU64>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Made {
    source: Broadcast,
    packets: Broadcast,
    /// Who asked last may not have subscribed yet.
    asked: Instant,
}

impl Remuxing {
    pub(super) fn new(stream: &str, stop: &CancellationToken) -> Self {
        Self {
            stream: stream.to_owned(),
            made: Arc::default(),
            left_out: Arc::default(),
            stop: stop.clone(),
        }
    }

    /// Tracks that MPEG-TS had no place for, each time that they came.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out.load(Relaxed)
    }

    /// The packets of `source`; begun now, where nobody takes them yet.
    pub(super) fn of(&self, source: &Broadcast) -> Broadcast {
        let mut made = lock(&self.made);
        made.retain(|m| m.packets.ended().is_none());
        if let Some(found) = made.iter_mut().find(|m| m.source.is(source)) {
            found.asked = Instant::now();
            return found.packets.clone();
        }
        let packets = self.start(source);
        made.push(Made {
            source: source.clone(),
            packets: packets.clone(),
            asked: Instant::now(),
        });
        packets
    }

    fn start(&self, source: &Broadcast) -> Broadcast {
        // A hub of its own: nobody finds it but through here.
        let presentation = match Hub::new().announce("ts") {
            Ok(presentation) => presentation,
            Err(taken) => unreachable!("the hub is new: {taken}"),
        };
        let (publisher, relay) = match presentation.add("ts", remux::LIMITS) {
            Ok(added) => added,
            Err(taken) => unreachable!("the presentation is new: {taken}"),
        };
        tokio::spawn(relay.run());
        let (packets, demand) = (publisher.broadcast(), publisher.demand());
        let watcher = Watcher {
            stream: self.stream.clone(),
            left_out: Arc::clone(&self.left_out),
        };
        let (source, made) = (source.clone(), Arc::clone(&self.made));
        let own = packets.clone();
        let stopped = self.stop.clone().cancelled_owned();
        tokio::spawn(async move {
            let _presentation = presentation;
            tokio::select! {
                () = remux::follow(&source, publisher, watcher) => {}
                () = deserted(demand, &own, &made) => {}
                () = stopped => {}
            }
        });
        packets
    }
}

/// Returns once nobody took `packets` for a while, nor will: they are no longer given to anybody.
async fn deserted(mut demand: Demand, packets: &Broadcast, made: &Mutex<Vec<Made>>) {
    loop {
        if timeout(LINGER, demand.wanted()).await.is_ok() {
            demand.wanted().await;
            continue;
        }
        let mut made = lock(made);
        let late = |m: &Made| m.packets.is(packets) && m.asked.elapsed() < LINGER;
        if !made.iter().any(late) {
            made.retain(|m| !m.packets.is(packets));
            return;
        }
    }
}

struct Watcher {
    stream: String,
    left_out: Arc<AtomicU64>,
}

impl remux::Observer for Watcher {
    fn left_out(&mut self, track: &Track) {
        self.left_out.fetch_add(1, Relaxed);
        let codec = track.config.name();
        tracing::warn!(stream = self.stream, track = %track.id, codec, "MPEG-TS cannot carry it");
    }
}
