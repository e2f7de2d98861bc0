//! Inputs whose source loses media: left for one that is whole, and fed from where none is.

use failover::{Fault, Health, Limit, Order, Policy, Reason, Tolerance};
use media::{Frame, Span, Timestamp, TrackId, TrackKind};
use proptest::prelude::*;

use crate::world::{Encoder, PICTURE_MS, World};

/// What is said of an input at each tenth of a second, as it loses something at these.
fn damaged(losses: &[usize], tenths: usize, limit: Limit) -> Vec<bool> {
    let mut health = Health::new(Span::from_millis(450));
    health.set_tolerance(Tolerance {
        damaged: limit,
        ..Tolerance::default()
    });
    let look = |tenth: usize| {
        let now = Timestamp::from_millis(i64::try_from(tenth).unwrap() * 100);
        if losses.contains(&tenth) {
            health.lost(now);
        }
        let frame = Frame {
            track: TrackId(0),
            dts: now,
            pts: now,
            duration: None,
            random_access: true,
            leading: false,
            payload: bytes::Bytes::new(),
        };
        health.frame(&frame, TrackKind::Video, true, now);
        let fault = health.fault(now);
        assert!(matches!(fault, None | Some(Fault::Damaged)), "{fault:?}");
        fault.is_some()
    };
    (0..tenths).map(look).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn losses_far_apart_are_nothing(apart in prop::collection::vec(25_usize..80, 40)) {
        let sum = |at: &mut usize, apart| { *at += apart; Some(*at) };
        let losses: Vec<_> = apart.into_iter().scan(0, sum).collect();
        let told = damaged(&losses, 3_000, Limit::Learned);
        prop_assert!(!told.contains(&true));
    }

    /// However many there are within the seconds.
    #[test]
    fn losses_that_go_on_are_damage_until_five_seconds_after(
        apart in prop::collection::vec(1_usize..11, 100),
    ) {
        let sum = |at: &mut usize, apart| { *at += apart; Some(*at) };
        let losses: Vec<_> = apart.into_iter().scan(0, sum).collect();
        let (first, last) = (losses[0], losses[99]);
        let told = damaged(&losses, last + 100, Limit::Learned);
        let (began, ended) = (
            told.iter().position(|t| *t).unwrap() - first,
            told.iter().rposition(|t| *t).unwrap() - last,
        );
        prop_assert!((40..=80).contains(&began), "after {began} tenths");
        prop_assert_eq!(ended, 49);
        prop_assert!(told[first + began..=last + ended].iter().all(|t| *t));
    }
}

#[test]
fn a_limit_is_how_much_is_spoilt() {
    let often: Vec<_> = (10..400).step_by(10).collect();
    let after = |ms| Limit::After(Span::from_millis(ms));
    let first = |limit| damaged(&often, 400, limit).iter().position(|t| *t);
    assert_eq!(first(after(100)), Some(10));
    assert_eq!(first(after(20_000)), Some(200));
    assert_eq!(first(after(60_000)), None);
    assert_eq!(first(Limit::Never), None);
    // Once it is whole, what was before is forgotten.
    let again = damaged(&[0, 10, 20, 30, 40, 95], 200, Limit::Learned);
    assert_eq!(again.iter().filter(|t| **t).count(), 50);
}

async fn three() -> World {
    let inputs = [("main", 0), ("backup", 1), ("slate", u32::MAX)];
    let mut world = World::new(&inputs, Policy::default()).await;
    for (encode, id) in (1..).zip(["main", "backup", "slate"]) {
        world.connect(Encoder::new(id, encode)).await;
        world.run_ms(200).await;
    }
    world.run_ms(9_410).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_damaged_input_is_left_at_a_keyframe_and_returned_to() {
    let mut world = three().await;
    world.encoder("main").damaged = true;
    world.run_ms(3_900).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    world.run_ms(1_300).await;
    assert_eq!(world.active().as_deref(), Some("backup"));
    let switch = world.state().history.iter().last().cloned().unwrap();
    assert_eq!(switch.reason, Reason::Fault(Fault::Damaged));
    assert!(switch.voluntary && !switch.gap, "{switch:?}");
    let told = ("main".into(), Some(Fault::Damaged));
    assert!(world.turns().contains(&told));
    let lost = world.losses();
    assert!(lost > 100, "{lost}");

    world.encoder("main").damaged = false;
    world.run_ms(10_000).await;
    assert_eq!(world.active().as_deref(), Some("backup"));
    // Whole for five seconds, and proven for twice three.
    world.run_ms(3_000).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    assert_eq!(world.losses(), lost);
    world.check();
    let (wall, hole) = world.gaps_ms();
    assert!(
        wall <= 2 * PICTURE_MS && hole <= PICTURE_MS,
        "{wall} {hole}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_damaged_is_better_than_nothing() {
    let mut world = three().await;
    for id in ["main", "backup"] {
        world.encoder(id).damaged = true;
    }
    world.run_ms(10_000).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    world.kill("main");
    world.run_ms(500).await;
    assert_eq!(world.active().as_deref(), Some("backup"));
    world.run_ms(10_000).await;
    assert_eq!(world.state().history.total(), 2);
    let wanted = ["main".into(), "backup".into()];
    assert_eq!(&**world.wanted.borrow(), wanted, "no slate");
    assert_eq!(world.switch("backup").await, Ok(()));
    world.connect(Encoder::new("main", 1)).await;
    world.run_ms(30_000).await;
    assert_eq!(world.active().as_deref(), Some("backup"), "held by hand");
    assert!(world.release().await);
    world.run_ms(1_500).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    // The lead of the switch before is repaid at one that can wait.
    assert!(world.lead_ms().abs() <= 60, "{} ms", world.lead_ms());
    world.check();
    assert!(world.gaps_ms().1 <= PICTURE_MS);
}

#[tokio::test(start_paused = true)]
async fn damage_that_comes_by_turns_is_not_switched_between() {
    let mut world = three().await;
    for turn in 0..14 {
        let hit = ["main", "backup"][turn % 2];
        world.encoder(hit).damaged = true;
        world.run_ms(7_000).await;
        world.encoder(hit).damaged = false;
        world.run_ms(5_000).await;
    }
    let total = world.state().history.total();
    assert!(total <= 6, "{total} switches");
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_damaged_input_is_kept_where_the_operator_says_so() {
    let mut world = three().await;
    let limits = Tolerance {
        damaged: Limit::Never,
        ..Tolerance::default()
    };
    world
        .order(Order::Tolerate([("main".into(), limits)].into()))
        .await;
    world.encoder("main").damaged = true;
    world.run_ms(10_000).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    // By what is built in it is judged from now on.
    world.order(Order::Tolerate([].into())).await;
    world.run_ms(3_500).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    world.run_ms(2_000).await;
    assert_eq!(world.active().as_deref(), Some("backup"));
    world.check();
}
