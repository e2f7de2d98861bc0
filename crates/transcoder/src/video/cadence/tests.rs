use ladder::FrameRate;
use media::{Span, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Follow, Grid};

const THIRTY: FrameRate = FrameRate::whole(30);
const NTSC: FrameRate = FrameRate {
    num: 30_000,
    den: 1_001,
};
/// Somewhere in 2026.
const BASE: i64 = 1_795_000_000_123;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(BASE + ms)
}

/// Slots that come out, and how many of them are held.
fn run(grid: &mut Grid, pictures: impl Iterator<Item = Timestamp>) -> (Vec<i64>, usize) {
    let (mut slots, mut held) = (Vec::new(), 0);
    for pts in pictures {
        let fill = grid.picture(pts);
        held += fill.held.clone().count();
        slots.extend(fill.held);
        slots.extend(fill.slot);
    }
    (slots, held)
}

fn has_no_hole(slots: &[i64]) -> bool {
    slots.windows(2).all(|w| w[1] == w[0] + 1)
}

/// Pictures at `rate`, their times rounded to milliseconds as RTMP has them.
fn source(rate: FrameRate, from_ms: i64, count: i64) -> impl Iterator<Item = Timestamp> {
    (0..count).map(move |n| at(from_ms + rate.time(n).as_millis()))
}

#[test]
fn a_source_of_the_same_rate_is_shown_picture_by_picture() {
    for from in 0..40 {
        for rate in [THIRTY, NTSC, FrameRate::whole(25), FrameRate::whole(50)] {
            let mut grid = Grid::new(rate, 2_000, None);
            let (slots, held) = run(&mut grid, source(rate, from, 3_000));
            assert_eq!((slots.len(), held), (3_000, 0), "{rate:?} from {from}");
            assert!(has_no_hole(&slots));
        }
    }
}

#[test]
fn other_rates_are_held_or_left_out_evenly() {
    let mut grid = Grid::new(THIRTY, 2_000, None);
    let (slots, held) = run(&mut grid, source(FrameRate::whole(25), 7, 1_000));
    assert!(has_no_hole(&slots));
    assert!((1_197..=1_200).contains(&slots.len()), "{}", slots.len());
    assert!((197..=200).contains(&held), "{held}");

    let mut grid = Grid::new(FrameRate::whole(25), 2_000, None);
    let (slots, held) = run(&mut grid, source(FrameRate::whole(50), 7, 1_000));
    assert!(has_no_hole(&slots));
    assert!((499..=501).contains(&slots.len()), "{}", slots.len());
    assert!(held <= 1, "{held}");
}

#[test]
fn what_steps_back_is_decoded_only() {
    let mut grid = Grid::new(THIRTY, 2_000, None);
    let (before, _) = run(&mut grid, source(THIRTY, 0, 90));
    grid.splice();
    // Another source, from two seconds ago, at another rate.
    let (after, held) = run(&mut grid, source(FrameRate::whole(25), 1_011, 100));
    assert_eq!(after.first().copied(), before.last().map(|s| s + 1));
    assert!(has_no_hole(&after));
    assert!(held <= 18, "{held}");
}

#[test]
fn silence_is_held_over_up_to_a_point_and_no_further() {
    let mut grid = Grid::new(THIRTY, 2_000, None);
    assert!(grid.hold(at(0)).is_empty(), "nothing to hold yet");
    let (mut slots, _) = run(&mut grid, source(THIRTY, 0, 30));
    for ms in (1_100..3_000).step_by(100) {
        slots.extend(grid.hold(at(ms)));
    }
    assert!(grid.hold(at(2_000)).is_empty(), "it is not taken back");
    let (after, held) = run(&mut grid, source(THIRTY, 2_500, 60));
    slots.extend(after);
    assert!(has_no_hole(&slots));
    assert!(held <= 1);
    // An hour away: only the end of it is filled.
    assert!(grid.hold(at(3_600_000)).count() <= 62);
}

#[test]
fn a_long_hole_stays_one() {
    let mut grid = Grid::new(THIRTY, 2_000, None);
    run(&mut grid, source(THIRTY, 0, 30));
    let fill = grid.picture(at(60_000));
    assert!(fill.held.is_empty() && fill.slot.is_some());
}

#[test]
fn keyframes_lie_on_the_grid_of_the_epoch() {
    for (rate, per) in [
        (THIRTY, 60),
        (NTSC, 60),
        (FrameRate::whole(25), 50),
        (FrameRate::whole(15), 30),
    ] {
        let grid = Grid::new(rate, 2_000, None);
        let first = rate.slot(at(0));
        let keys: Vec<i64> = (first..first + 10 * per)
            .filter(|s| grid.is_key(*s))
            .collect();
        assert_eq!(keys.len(), 10, "{rate:?}");
        assert!(keys.iter().all(|k| k % per == 0), "{rate:?}: {keys:?}");
    }
}

#[test]
fn a_worker_that_follows_another_goes_on_behind_it() {
    let until = THIRTY.time(THIRTY.slot(at(500)));
    let mut grid = Grid::new(THIRTY, 2_000, Some(until));
    let (slots, _) = run(&mut grid, source(THIRTY, 0, 60));
    assert_eq!(slots.first().copied(), Some(THIRTY.slot(until) + 1));
    assert!(has_no_hole(&slots));
}

#[test]
fn beside_a_copy_every_keyframe_of_the_source_is_shown() {
    let mut follow = Follow::new(true, None);
    let shown: Vec<i64> = (0..20)
        .filter(|n| follow.picture(at(n * 33), n % 7 == 0))
        .collect();
    assert_eq!(shown, [0, 2, 4, 6, 7, 9, 11, 13, 14, 16, 18]);
    assert!(!follow.picture(at(18 * 33), true), "time only goes forward");
}

proptest! {
    /// Whatever comes in, slots that come out have neither holes nor repeats, but for long holes.
    #[test]
    fn slots_come_out_in_order(
        steps in vec((-3_000..1_500_i64, any::<bool>(), any::<bool>()), 1..200),
        rate in prop_oneof![Just(THIRTY), Just(NTSC), Just(FrameRate::whole(50))],
    ) {
        let mut grid = Grid::new(rate, 2_000, None);
        let (mut now, mut last) = (at(0), None::<i64>);
        for (step, splice, hold) in steps {
            now += Span::from_millis(step);
            if splice {
                grid.splice();
            }
            let slots: Vec<i64> = if hold {
                grid.hold(now).collect()
            } else {
                let fill = grid.picture(now);
                fill.held.chain(fill.slot).collect()
            };
            for slot in slots {
                let hole = last.map_or(1, |last| slot - last);
                prop_assert!(hole == 1 || rate.time(hole) - rate.time(0) > Span::from_millis(1_900), "{hole}");
                last = Some(slot);
            }
        }
    }
}
