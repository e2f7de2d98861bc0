//! Any inputs, and whatever may happen to them, beside a model of the transcoder.

use failover::Class;
use proptest::prelude::*;

use super::{JITTER_MS, PICTURE, check, kept, world};
use crate::world::{Encoder, FASTER_US, PICTURE_MS, World};

#[derive(Debug, Clone, Copy)]
enum Step {
    Kill(usize),
    Connect(usize),
    Silence(usize, i64),
    Pin(usize),
    Release,
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0_usize..3).prop_map(Step::Kill),
        3 => (0_usize..3).prop_map(Step::Connect),
        2 => (0_usize..3, 1_i64..300).prop_map(|(i, ms)| Step::Silence(i, ms * 10)),
        2 => (0_usize..3).prop_map(Step::Pin),
        1 => Just(Step::Release),
        4 => (1_i64..400).prop_map(|ms| Step::Wait(ms * 10)),
    ]
}

const IDS: [&str; 3] = ["a", "b", "c"];

/// Encoders of any pace that come and go, and since when each has sent without a pause.
struct Story {
    world: World,
    /// (pictures per group, phase, delay in 10 ms, 30 pictures per second).
    kinds: [(i64, i64, i64, bool); 3],
    since_ms: [Option<i64>; 3],
}

impl Story {
    fn encoder(&self, i: usize) -> Encoder {
        let (pictures, phase, delay, fast) = self.kinds[i];
        let encoder = Encoder::new(IDS[i], u8::try_from(i).unwrap() + 1);
        let picture_us = if fast { FASTER_US } else { encoder.picture_us };
        Encoder {
            gop_ms: pictures * PICTURE_MS,
            phase_ms: phase * PICTURE_MS,
            delay_ms: delay * 10,
            picture_us,
            ..encoder
        }
    }

    async fn apply(&mut self, step: Step) {
        match step {
            Step::Kill(i) => {
                self.world.kill(IDS[i]);
                self.since_ms[i] = None;
                self.run(10).await;
            }
            Step::Connect(i) if self.since_ms[i].is_none() => {
                self.world.connect(self.encoder(i)).await;
                self.since_ms[i] = Some(self.world.now_ms());
            }
            Step::Silence(i, ms) if self.since_ms[i].is_some() => {
                self.world.encoder(IDS[i]).silent = true;
                self.since_ms[i] = Some(i64::MAX / 2);
                self.run(ms).await;
                self.world.encoder(IDS[i]).silent = false;
                self.since_ms[i] = Some(self.world.now_ms());
            }
            Step::Pin(i) => {
                let _ = self.world.switch(IDS[i]).await;
                self.run(10).await;
            }
            Step::Release => {
                self.world.release().await;
            }
            Step::Wait(ms) => self.run(ms).await,
            Step::Connect(_) | Step::Silence(..) => {}
        }
    }

    async fn run(&mut self, ms: i64) {
        for _ in 0..ms / 10 {
            let before = self.world.splices;
            self.world.run_ms(10).await;
            if self.world.splices > before {
                self.check_entry();
            }
            let lead = self.world.lead_ms();
            assert!(lead <= JITTER_MS, "{lead} ms of lead");
        }
    }

    /// Where the newest input was entered.
    fn check_entry(&self) {
        let world = &self.world;
        let pictures = world.pictures();
        let entered = pictures
            .iter()
            .rfind(|p| p.key && p.source == world.splices);
        let new = pictures.iter().find(|p| p.source == world.splices).unwrap();
        assert!(entered.is_some() && new.key);
        let before = pictures.iter().filter(|p| p.source < new.source);
        let Some(reached) = before.map(|p| p.pts).max() else {
            return;
        };
        let i = usize::from(new.encode) - 1;
        let (group, silence) = (self.encoder(i).gop_ms, world.now() - reached);
        // Its first keyframe since, and a look at it.
        let hot = self.since_ms[i].map(|since| since + group + JITTER_MS);
        let reached_ms = world.now_ms() - silence.as_millis();
        if hot.is_some_and(|hot| hot <= reached_ms) && silence.as_millis() <= 3_900 {
            let back = (reached - new.pts).as_millis();
            assert!(back >= -PICTURE.as_millis(), "{back} ms back");
            // Once more for the sound.
            assert!(back <= 2 * group + JITTER_MS, "{back} ms back");
        }
    }

    /// What is missing in what is kept is missing in the input, or came before it.
    fn check(&self) {
        check(&self.world);
        let pictures = self.world.pictures();
        for pair in kept(&self.world, false).windows(2) {
            let of = pictures.iter().filter(|p| p.source == pair[1].source);
            let before = of.take_while(|p| p.pts < pair[1].pts).last();
            let own = before.map(|p| pair[1].pts - p.pts);
            let hole = pair[1].pts - pair[0].pts;
            assert!(
                hole <= PICTURE || own.is_none_or(|own| own >= hole),
                "{pair:?}"
            );
        }
        let state = self.world.state();
        let mut switches = state.history.iter();
        assert!(switches.all(|s| s.class == Class::Overlap));
        assert_eq!(state.counters.overlapped, 0);
        assert!(state.counters.sources >= state.history.total());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 24,
        ..ProptestConfig::default()
    })]
    #[test]
    fn whatever_is_switched_nothing_hot_leaves_a_hole(
        kinds in prop::array::uniform3((2_i64..60, 0_i64..50, 0_i64..40, any::<bool>())),
        priorities in prop::array::uniform3(0_u32..2),
        steps in prop::collection::vec(step(), 10..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let inputs: Vec<_> = IDS.into_iter().zip(priorities).collect();
            let world = world(&inputs).await;
            let mut story = Story { world, kinds, since_ms: [None; 3] };
            for i in 0..3 {
                story.apply(Step::Connect(i)).await;
            }
            story.run(4_000).await;
            for step in steps {
                story.apply(step).await;
            }
            story.run(1_000).await;
            story.check();
        });
    }
}
