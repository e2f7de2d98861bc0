//! Inputs of one clock and several encoders: entered where they show the same.

use failover::{Belief, Class, Config, Held, Policy, Reason, Step, Switch, Wall};
use hub::WallTime;
use media::{Span, Timestamp};
use proptest::prelude::*;

use crate::world::{Encoder, PICTURE_MS, SOUND_MS, World};

const EPOCH: Timestamp = Timestamp::from_millis(1_795_228_844_312);

const fn ms(v: i64) -> Span {
    Span::from_millis(v)
}

fn dated(id: &'static str, encode: u8) -> Encoder {
    Encoder {
        wall_error_ms: Some(0),
        ..Encoder::new(id, encode)
    }
}

async fn two(main: Encoder, backup: Encoder) -> World {
    let mut world = World::new(&[("main", 0), ("backup", 1)], Policy::default()).await;
    world.connect(main).await;
    world.run_ms(200).await;
    world.connect(backup).await;
    world.run_ms(9_870).await;
    world
}

fn newest(world: &World) -> Switch {
    world.state().history.iter().last().unwrap().clone()
}

/// Milliseconds of content that were never shown, and that were shown more than once.
fn lost_and_repeated_ms(world: &World, sound: bool) -> (i64, i64) {
    let step = if sound { SOUND_MS } else { PICTURE_MS };
    let shown = world.shown.iter().filter(|s| s.sound == sound);
    let mut content: Vec<_> = shown.map(|s| s.content_ms).collect();
    let all = i64::try_from(content.len()).unwrap();
    content.sort_unstable();
    content.dedup();
    let different = i64::try_from(content.len()).unwrap();
    // What is not complete at an end for being reordered is no loss.
    let pairs = content.windows(2).skip(4).rev().skip(4);
    let lost = pairs.map(|c| c[1] - c[0] - step).sum();
    (lost, (all - different) * step)
}

#[tokio::test(start_paused = true)]
async fn a_killed_input_is_replaced_where_it_ended() {
    let backup = Encoder {
        delay_ms: 130,
        ..dated("backup", 2)
    };
    let mut world = two(dated("main", 1), backup).await;
    world.kill("main");
    world.run_ms(3_000).await;
    world.check();
    let switch = newest(&world);
    assert_eq!((switch.class, switch.gap), (Class::Clock, false));
    let (lost, repeated) = lost_and_repeated_ms(&world, false);
    assert_eq!((lost, repeated), (0, switch.replayed.as_millis()));
    assert_eq!(lost_and_repeated_ms(&world, true).0, 0);
    let (wall, hole) = world.gaps_ms();
    assert!(
        wall <= 2 * PICTURE_MS && hole <= PICTURE_MS,
        "{wall} {hole}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_is_ahead_is_waited_with_and_one_that_returns_repeats_nothing() {
    let main = Encoder {
        delay_ms: 4_000,
        ..dated("main", 1)
    };
    let mut world = two(main, dated("backup", 2)).await;
    world.kill("main");
    world.run_ms(3_000).await;
    let switch = newest(&world);
    assert_eq!(switch.class, Class::Clock);
    let (lost, repeated) = lost_and_repeated_ms(&world, false);
    assert!(lost == 0 && repeated <= 1_000, "{lost} {repeated}");
    assert!(world.lead_ms() <= 1_100, "{}", world.lead_ms());

    let main = Encoder {
        delay_ms: 1_000,
        ..dated("main", 1)
    };
    world.connect(main).await;
    world.run_ms(12_000).await;
    let switch = newest(&world);
    assert_eq!(
        (switch.class, switch.reason),
        (Class::Clock, Reason::Failback)
    );
    assert_eq!(lost_and_repeated_ms(&world, false), (0, repeated));
    assert_eq!(world.gaps_ms().1, PICTURE_MS);
    world.check();
}

#[tokio::test(start_paused = true)]
async fn one_that_is_waited_with_is_shown_to_its_end() {
    for third in [false, true] {
        let main = Encoder {
            delay_ms: 4_000,
            ..dated("main", 1)
        };
        let mut world = two(main, dated("backup", 2)).await;
        let inputs = [("main", 0), ("backup", 1), ("third", 2)];
        world.configure(&inputs).await;
        if third {
            world.connect(dated("third", 3)).await;
        }
        world.run_ms(5_000).await;
        world.kill("main");
        world.run_ms(1_000).await;
        assert_eq!(world.active().as_deref(), Some("backup"));
        let now = world.now_ms();
        world.kill("backup");
        world.run_ms(6_000).await;
        world.check();
        let last = world.pictures().last().unwrap().content_ms;
        assert!(last >= now - PICTURE_MS, "{} ms lost", now - last);
        let (lost, repeated) = lost_and_repeated_ms(&world, false);
        assert!(lost == 0 && repeated <= 2_000, "{lost} {repeated}");
        let (wall, hole) = world.gaps_ms();
        assert!(
            wall <= 3 * PICTURE_MS && hole <= PICTURE_MS,
            "{wall} {hole}"
        );
        assert_eq!(world.active().as_deref(), third.then_some("third"));
        assert_eq!(newest(&world).class, Class::Clock);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_behind_is_waited_for_unless_that_is_a_gap() {
    for (delay_ms, class) in [(1_500, Class::Clock), (4_000, Class::Cached)] {
        let backup = Encoder {
            delay_ms,
            ..dated("backup", 2)
        };
        let mut world = two(dated("main", 1), backup).await;
        world.run_ms(5_000).await;
        world.kill("main");
        world.run_ms(4_000).await;
        world.check();
        assert_eq!(newest(&world).class, class, "{delay_ms} ms behind");
        let (lost, repeated) = lost_and_repeated_ms(&world, false);
        assert_eq!(lost, 0);
        assert_eq!(repeated <= 1_000, class == Class::Clock, "{repeated} ms");
        assert!(world.gaps_ms().1 <= PICTURE_MS);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_returns_behind_is_waited_for() {
    let mut world = two(dated("main", 1), dated("backup", 2)).await;
    world.kill("main");
    world.run_ms(500).await;
    let main = Encoder {
        delay_ms: 1_800,
        ..dated("main", 1)
    };
    world.connect(main).await;
    world.shown.clear();
    world.run_ms(12_000).await;
    let switch = newest(&world);
    assert_eq!((switch.class, switch.voluntary), (Class::Clock, true));
    let (lost, repeated) = lost_and_repeated_ms(&world, false);
    assert_eq!((lost, repeated), (0, switch.replayed.as_millis()));
    assert!(repeated <= 1_000, "{repeated}");
    let (wall, hole) = world.gaps_ms();
    assert!(
        wall <= 1_000 + PICTURE_MS && hole <= PICTURE_MS,
        "{wall} {hole}"
    );
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_not_believed_is_not_used() {
    for (belief, error_ms, class) in [
        (Belief::Ignore, 0, Class::Cached),
        (Belief::Auto, 11_000, Class::Cached),
        (Belief::Trust, 11_000, Class::Clock),
    ] {
        let mut world = World::new(&[], Policy::default()).await;
        world.belief = belief;
        world.configure(&[("main", 0), ("backup", 1)]).await;
        for (id, encode) in [("main", 1), ("backup", 2)] {
            let wall_error_ms = Some(error_ms);
            let encoder = Encoder::new(id, encode);
            world
                .connect(Encoder {
                    wall_error_ms,
                    ..encoder
                })
                .await;
        }
        world.run_ms(10_000).await;
        world.kill("main");
        world.run_ms(1_000).await;
        assert_eq!(newest(&world).class, class, "{belief:?}");
        world.check();
    }
}

#[tokio::test(start_paused = true)]
async fn many_switches_lose_what_the_lead_has_no_room_for() {
    let mut world = two(dated("main", 1), dated("backup", 2)).await;
    world.configure(&[("main", 0), ("backup", 0)]).await;
    for i in 0..50 {
        let (active, encode) = match world.active().as_deref() {
            Some("main") => ("main", 1),
            _ => ("backup", 2),
        };
        world.kill(active);
        world.run_ms(1_000 + i % 7 * 130).await;
        world.connect(dated(active, encode)).await;
        world.run_ms(4_500 + i % 11 * 90).await;
        assert!(world.lead_ms() <= 2_000);
    }
    world.check();
    let others = world.state().history;
    let others = others.iter().filter(|s| s.class != Class::Clock).count();
    let (lost, _) = lost_and_repeated_ms(&world, false);
    assert!(others <= 25, "{others} of 50");
    assert!(lost <= i64::try_from(others).unwrap() * 1_000, "{lost} ms");
    let (wall, hole) = world.gaps_ms();
    assert!(wall <= 1_100 && hole <= 1_000, "{wall} {hole}");
}

#[test]
fn a_clock_that_jumps_is_not_believed_until_it_is_steady_again() {
    let mut wall = Wall::default();
    let mut note = |s: i64, jump: i64| {
        let media = Timestamp::from_millis(s * 1_000);
        let utc = EPOCH + ms(s * 1_000 + jump);
        wall.note(WallTime { media, utc }, media, EPOCH + ms(s * 1_000));
        (
            wall.offset(Belief::Auto).is_some(),
            wall.offset(Belief::Trust).is_some(),
        )
    };
    let believed: Vec<_> = (0..10)
        .map(|s| note(s, if s < 5 { 0 } else { 900 }))
        .collect();
    let auto: Vec<_> = believed.iter().map(|b| b.0).collect();
    assert_eq!(
        auto,
        [
            false, false, true, true, true, false, false, true, true, true
        ]
    );
    assert!(believed.iter().all(|b| b.1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever the groups are: nothing is left out, and at most one group is repeated.
    #[test]
    fn a_step_goes_back_within_one_group(
        groups in prop::collection::vec(1_i64..60, 1..20),
        time in -10_i64..700,
        newest in 0_i64..60,
    ) {
        let at = |pictures: i64| Timestamp::from_millis(pictures * PICTURE_MS);
        let ends: Vec<_> = groups.iter().scan(0, |end, g| { *end += g; Some(*end) }).collect();
        let points: Vec<_> = [0].iter().chain(&ends).map(|p| at(*p)).collect();
        let held = Held {
            points: &points,
            edge: *points.last().unwrap() + ms(newest * PICTURE_MS),
            group: groups.iter().max().map(|g| ms(g * PICTURE_MS)),
        };
        let (time, half) = (at(time), ms(PICTURE_MS / 2));
        match held.step(time, half) {
            Step::Enter(at, repeated) => {
                prop_assert!(at <= time + half);
                prop_assert_eq!(repeated, time - at);
                let longest = held.group.unwrap().max(held.edge - at + ms(PICTURE_MS));
                prop_assert!(repeated <= longest);
                prop_assert!(!points.iter().any(|p| *p > at && *p <= time));
            }
            Step::Wait => prop_assert!(held.edge < time),
            Step::Ahead => prop_assert!(points[0] > time),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 24,
        ..ProptestConfig::default()
    })]
    /// Encoders of any groups, orders and delays, killed at any time.
    #[test]
    fn nothing_is_lost_and_at_most_a_group_is_repeated(
        (gop, other) in (8_i64..15, 8_i64..15),
        (phase, delay, other_delay) in (0_i64..50, 0_i64..150, 0_i64..150),
        (reorders, other_reorders) in (any::<bool>(), any::<bool>()),
        killed_ms in 0_i64..2_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            // A group is one picture and threes of them.
            let group = |threes: i64| (3 * threes + 1) * PICTURE_MS;
            let main = Encoder {
                gop_ms: group(gop),
                delay_ms: delay * 10,
                reorders,
                ..dated("main", 1)
            };
            let backup = Encoder {
                gop_ms: group(other),
                phase_ms: phase * PICTURE_MS,
                delay_ms: other_delay * 10,
                reorders: other_reorders,
                ..dated("backup", 2)
            };
            let mut world = two(main, backup).await;
            world.run_ms(killed_ms).await;
            // What came before the clocks were believed is another matter.
            world.shown.clear();
            world.kill("main");
            world.run_ms(5_000).await;
            world.check();
            assert_eq!(newest(&world).class, Class::Clock);
            let (lost, repeated) = lost_and_repeated_ms(&world, false);
            assert_eq!(lost, 0);
            // Pictures that come before those shown earlier count with them.
            assert!(repeated <= group(other) + 4 * PICTURE_MS, "{repeated}");
            let (lost, _) = lost_and_repeated_ms(&world, true);
            // The sound of pictures that come before their time is still to come.
            let ahead = if reorders { 2 * PICTURE_MS } else { 0 };
            assert!(lost <= SOUND_MS + ahead, "{lost} ms of sound");
            let hole = world.gaps_ms().1;
            assert!(hole <= PICTURE_MS, "{hole} ms of hole");
            assert!(world.lead_ms() <= Config::default().max_lead.as_millis());
        });
    }
}
