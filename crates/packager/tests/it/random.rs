//! Any source, any absence, any restart: the checker's promises hold.

use packager::{Config, Packager};
use proptest::prelude::*;

use crate::source::{EPOCH, Encoder, ms};

#[derive(Debug, Clone)]
enum Step {
    Gops(Vec<i64>),
    Away(i64),
    Kill(i64),
    Rate(i64),
    Ahead(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(prop_oneof![Just(60), Just(30), Just(48), 1_i64..140], 1..6).prop_map(Step::Gops),
        2 => (0_i64..9_000).prop_map(Step::Away),
        1 => (0_i64..5_000).prop_map(Step::Kill),
        1 => prop_oneof![Just(30_000), Just(29_970), Just(25_000), Just(50_000), Just(12_000)].prop_map(Step::Rate),
        1 => (-300_i64..300).prop_map(Step::Ahead),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, max_shrink_iters: 60, ..ProptestConfig::default() })]
    #[test]
    fn promises_hold(steps in prop::collection::vec(step(), 1..14), audio in any::<bool>(), further in prop_oneof![2 => Just(None), 1 => Just(Some(0))]) {
        let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
        (e.with_audio, e.further) = (audio, further);
        for step in steps {
            match step {
                Step::Gops(gops) => e.send(&gops),
                Step::Away(away) => e.absent(ms(away)),
                Step::Rate(rate) => e.rate = rate,
                Step::Ahead(ahead) => e.audio_ahead = ms(ahead),
                Step::Kill(pause) => {
                    let (state, now, checker) = (e.packager.state(), e.now, std::mem::take(&mut e.checker));
                    let (rate, ahead) = (e.rate, e.audio_ahead);
                    e = Encoder::new(Packager::new(Config::default(), state, now + ms(pause)));
                    (e.now, e.rate, e.audio_ahead, e.with_audio) = (now + ms(pause), rate, ahead, audio);
                    e.further = further;
                    e.checker = checker.after_restart();
                }
            }
        }
    }
}

/// Found so: the hole was taken for the pace, pictures for longer than they last.
#[test]
fn a_source_that_is_slower_behind_a_hole() {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    e.with_audio = false;
    e.send(&[60]);
    e.rate = 12_000;
    e.absent(ms(243));
    e.send(&[48]);
}
