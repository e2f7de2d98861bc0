//! Random writers and readers against the plain telling of the rules, and against what must hold
//! whatever the rules say.

use hub::{EndReason, Join, Limits, Options, Refused, Subscriber};
use media::{Frame, Span, Timestamp, TrackId};
use proptest::prelude::*;

use crate::fixture::{AUDIO, Seen, Stage, VIDEO, frame, stage, tracks};
use crate::log::check;
use crate::world::{Reader, World};

/// All times are multiples of this, so that limits are met exactly, too.
const TICK_MS: i64 = 20;

#[derive(Debug, Clone)]
enum Op {
    Push(Picked),
    /// A group without end, or many frames at once.
    Burst(Vec<Picked>),
    SetTracks(u8),
    Join {
        newest: bool,
        latency_ms: i64,
    },
    Read(usize),
    Leave(usize),
}

#[derive(Debug, Clone, Copy)]
struct Picked {
    track: TrackId,
    key: bool,
    leading: bool,
    size: usize,
    step_ms: i64,
}

fn picked(keys: f64) -> impl Strategy<Value = Picked> {
    let track = prop_oneof![3 => Just(VIDEO), 2 => Just(AUDIO)];
    let step = prop_oneof![9 => 0..4_i64, 1 => -20..100_i64];
    let size = prop_oneof![6 => 0..300_usize, 1 => 0..5_000_usize];
    let leading = prop::bool::weighted(0.2);
    (track, prop::bool::weighted(keys), leading, size, step).prop_map(
        |(track, key, leading, size, step)| Picked {
            track,
            key: key || track == AUDIO,
            leading: leading && !key && track == VIDEO,
            size,
            step_ms: step * TICK_MS,
        },
    )
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let keys = prop_oneof![Just(0.02), Just(0.2), Just(0.9)];
    let op = |keys| {
        prop_oneof![
            30 => picked(keys).prop_map(Op::Push),
            2 => prop::collection::vec(picked(keys / 10.0), 1..200).prop_map(Op::Burst),
            2 => (0..6_u8).prop_map(Op::SetTracks),
            4 => (any::<bool>(), 0..100_i64)
                .prop_map(|(newest, latency)| Op::Join { newest, latency_ms: latency * TICK_MS }),
            20 => any::<usize>().prop_map(Op::Read),
            1 => any::<usize>().prop_map(Op::Leave),
        ]
    };
    keys.prop_flat_map(move |keys| prop::collection::vec(op(keys), 1..150))
}

fn limits() -> impl Strategy<Value = Limits> {
    let bytes = prop_oneof![300..20_000_usize, Just(usize::MAX)];
    (0..200_i64, bytes).prop_map(|(ticks, bytes)| Limits {
        duration: Span::from_millis(ticks * TICK_MS),
        bytes,
    })
}

struct Pair {
    real: Subscriber,
    model: Reader,
    log: Vec<Seen>,
}

struct Run {
    stage: Stage,
    world: World,
    readers: Vec<Pair>,
    clock_ms: i64,
    limits: Limits,
}

impl Run {
    fn new(limits: Limits) -> Self {
        Self {
            stage: stage(limits),
            world: World::new(limits),
            readers: Vec::new(),
            clock_ms: 0,
            limits,
        }
    }

    fn apply(&mut self, op: Op) {
        let count = self.readers.len().max(1);
        match op {
            Op::Push(picked) => self.push(picked),
            Op::Burst(burst) => burst.into_iter().for_each(|picked| self.push(picked)),
            Op::SetTracks(version) => {
                self.stage.publisher.set_tracks(tracks(version));
                self.world.set_tracks(version);
            }
            Op::Join { newest, latency_ms } => self.join(newest, Span::from_millis(latency_ms)),
            Op::Read(n) => {
                self.read(n % count);
            }
            Op::Leave(n) if n % count < self.readers.len() => {
                self.readers.swap_remove(n % count);
            }
            Op::Leave(_) => {}
        }
    }

    /// The tag is the number that the frame gets if it is taken.
    fn frame(&mut self, picked: Picked) -> Frame {
        self.clock_ms += picked.step_ms;
        let tag = self.world.frames.len() as u64;
        let mut frame = frame(picked.track, self.clock_ms, picked.key, tag, picked.size);
        frame.leading = picked.leading;
        frame.pts = Timestamp::from_millis(self.clock_ms + 20);
        frame
    }

    fn push(&mut self, picked: Picked) {
        let frame = self.frame(picked);
        let expected = self.world.push(&frame);
        let taken = self.stage.publisher.push(frame);
        assert_eq!(
            taken,
            if expected {
                Ok(())
            } else {
                Err(Refused::MissingKeyframe)
            }
        );
        if expected {
            self.check_bounds();
        }
    }

    /// Memory is bounded: over a limit only what may not leave is held.
    fn check_bounds(&self) {
        let counters = self.stage.publisher.counters();
        let held = counters.frames - counters.evicted;
        assert_eq!(counters.evicted, self.world.base as u64);
        assert_eq!(counters.held_bytes, self.world.bytes() as u64);
        assert_eq!(counters.groups, self.world.groups.len() as u64);
        assert!(held == 1 || counters.held_bytes <= self.limits.bytes as u64);
        let oldest = self.world.frames[self.world.base].group;
        assert!(oldest + 1 == self.world.groups.len() || !self.world.is_over());
    }

    fn join(&mut self, newest: bool, max_latency: Span) {
        let join = if newest { Join::Newest } else { Join::Next };
        let options = Options {
            join,
            max_latency,
            wanted: true,
        };
        self.readers.push(Pair {
            real: self.stage.publisher.broadcast().subscribe(options),
            model: Reader::join(&self.world, newest, max_latency),
            log: Vec::new(),
        });
    }

    /// Whether there was anything.
    fn read(&mut self, reader: usize) -> bool {
        let Some(pair) = self.readers.get_mut(reader) else {
            return false;
        };
        let mut batch = Vec::new();
        let ready = pair.real.try_next(&mut batch);
        let seen: Vec<_> = batch.iter().map(Seen::from).collect();
        assert_eq!(seen, pair.model.read(&self.world));
        assert_eq!(ready, !seen.is_empty());
        pair.log.extend(seen);
        ready
    }

    fn finish(mut self) {
        self.world.ended = Some(EndReason::Kicked);
        let broadcast = self.stage.publisher.broadcast();
        let stage = std::mem::replace(&mut self.stage, stage(self.limits));
        stage.publisher.end(EndReason::Kicked);
        for reader in 0..self.readers.len() {
            while self.read(reader) {}
        }
        let missed = self.readers.iter().map(|pair| pair.real.counters().skips);
        assert!(missed.sum::<u64>() <= broadcast.counters().skips);
        for pair in &self.readers {
            check(&pair.log, pair.real.counters(), &self.world);
        }
    }
}

proptest! {
    #[test]
    fn readers_see_what_the_rules_say(limits in limits(), ops in ops()) {
        let mut run = Run::new(limits);
        for op in ops {
            run.apply(op);
        }
        run.finish();
    }
}
