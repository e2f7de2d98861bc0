//! Whole programmes over inputs that come, go, stall and return.

use failover::{Class, Fault, Limit, NotFit, Order, Policy, Reason, Tolerance};

use crate::world::{Encoder, PICTURE_MS, World};

async fn two(priorities: (u32, u32)) -> World {
    let inputs = [("main", priorities.0), ("backup", priorities.1)];
    let mut world = World::new(&inputs, Policy::default()).await;
    world.connect(Encoder::new("main", 1)).await;
    world.run_ms(200).await;
    world.connect(Encoder::new("backup", 2)).await;
    world.run_ms(9_870).await;
    world
}

#[tokio::test(start_paused = true)]
async fn the_backup_goes_on_where_a_closed_input_ended() {
    let mut world = two((0, 1)).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    world.kill("main");
    world.run_ms(3_000).await;
    world.check();
    let (wall, hole) = world.gaps_ms();
    assert!(wall <= 2 * PICTURE_MS, "{wall} ms of silence");
    assert!(hole <= PICTURE_MS, "{hole} ms of hole");
    let state = world.state();
    let switch = state.history.iter().last().unwrap();
    assert_eq!(switch.reason, Reason::Fault(Fault::Closed));
    assert_eq!((switch.class, switch.gap), (Class::Cached, false));
    assert_eq!(world.splices, 2);
    assert_eq!(switch.from.as_deref(), Some("main"));
    // What was cached is what the programme is ahead by now.
    assert!(
        world.lead_ms() > 0 && world.lead_ms() <= 1_000,
        "{}",
        world.lead_ms()
    );
    let content: Vec<_> = world.pictures().iter().map(|p| p.content_ms).collect();
    let steps: Vec<_> = content
        .windows(2)
        .map(|c| c[1] - c[0])
        .filter(|s| *s != PICTURE_MS)
        .collect();
    assert!(
        steps.len() == 1 && (-1_000..=0).contains(&steps[0]),
        "{steps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_input_is_left_within_half_a_second() {
    let mut world = two((0, 1)).await;
    world.encoder("main").silent = true;
    world.run_ms(490).await;
    assert_eq!(world.active().as_deref(), Some("backup"));
    world.run_ms(2_000).await;
    world.check();
    let (wall, hole) = world.gaps_ms();
    assert!(wall <= 500 && hole <= PICTURE_MS, "{wall} {hole}");
}

/// Whenever in the other's group it falls silent: also where that begins during the silence.
#[tokio::test(start_paused = true)]
async fn what_was_shown_during_a_silence_is_not_lost() {
    for phase_ms in (0..1_000).step_by(90) {
        let mut world = two((0, 1)).await;
        world.run_ms(phase_ms).await;
        world.encoder("main").silent = true;
        world.run_ms(2_500).await;
        world.check();
        assert_eq!(world.active().as_deref(), Some("backup"));
        let content: Vec<_> = world.pictures().iter().map(|p| p.content_ms).collect();
        let steps = content.windows(2).map(|c| c[1] - c[0]);
        let (least, most) = (steps.clone().min(), steps.max());
        assert!(most <= Some(2 * PICTURE_MS), "lost at {phase_ms}: {most:?}");
        assert!(least >= Some(-1_000), "repeated at {phase_ms}: {least:?}");
    }
}

/// The main input was killed and is back; the programme runs ahead by this.
async fn back_with_a_lead() -> (World, i64) {
    let mut world = two((0, 1)).await;
    world.kill("main");
    world.run_ms(2_000).await;
    let lead = world.lead_ms();
    assert!(lead > 200, "{lead}");
    world.connect(Encoder::new("main", 1)).await;
    (world, lead)
}

#[tokio::test(start_paused = true)]
async fn failback_waits_and_repays_the_lead() {
    let (mut world, lead) = back_with_a_lead().await;
    // It failed once, so it has to be clean for twice the time.
    world.run_ms(5_500).await;
    assert_eq!(world.active().as_deref(), Some("backup"));
    world.run_ms(4_500).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    assert!(
        world.lead_ms().abs() <= 60,
        "{} ms of lead",
        world.lead_ms()
    );
    world.check();
    let (wall, hole) = world.gaps_ms();
    assert!(hole <= PICTURE_MS, "{hole} ms of hole");
    assert!(wall <= lead + 2 * PICTURE_MS, "{wall} ms");
    assert_eq!(
        world.state().history.iter().last().unwrap().reason,
        Reason::Failback
    );
}

/// Two ways of one encode, of which one is later by so much.
async fn twins(gop_ms: i64, main_ms: i64, backup_ms: i64) -> World {
    let mut world = World::new(&[("main", 0), ("backup", 1)], Policy::default()).await;
    for (id, delay_ms) in [("main", main_ms), ("backup", backup_ms)] {
        let origin_ms = if id == "main" { 0 } else { 77_000 };
        let encoder = Encoder::new(id, 1);
        world
            .connect(Encoder {
                gop_ms,
                delay_ms,
                origin_ms,
                ..encoder
            })
            .await;
        world.run_ms(10).await;
    }
    world.run_ms(10_020).await;
    world.shown.clear();
    world
}

fn assert_nothing_is_lost_or_repeated(world: &World) {
    for sound in [false, true] {
        let shown = world.shown.iter().filter(|s| s.sound == sound);
        let content: Vec<_> = shown.map(|s| s.content_ms).collect();
        let step = if sound { 20 } else { 40 };
        let odd = content.windows(2).find(|c| c[1] - c[0] != step);
        assert!(odd.is_none(), "sound {sound}: {odd:?}");
    }
}

/// The main input is back, with a lead to be repaid; `change` happens to it at some time before
/// the switch. Tells the lead.
async fn returns(change_ms: i64, change: impl Fn(&mut Encoder)) -> (World, i64) {
    let (mut world, lead) = back_with_a_lead().await;
    world.run_ms(5_000 + change_ms).await;
    world.shown.clear();
    change(world.encoder("main"));
    world.run_ms(4_000).await;
    world.check();
    (world, lead)
}

#[tokio::test(start_paused = true)]
async fn a_keyframe_that_comes_before_it_is_expected_is_entered() {
    for (change_ms, early_ms) in (0..12).flat_map(|i| [(i * 170, 160), (i * 170, 320)]) {
        let (world, lead) = returns(change_ms, |main| main.phase_ms -= early_ms).await;
        let (wall, hole) = world.gaps_ms();
        assert!(
            wall <= lead + 2 * PICTURE_MS && hole <= PICTURE_MS,
            "{wall} {hole}, {early_ms} ms early after {change_ms}"
        );
        assert_eq!(world.active().as_deref(), Some("main"));
        assert!(
            world.lead_ms() <= lead + PICTURE_MS,
            "{} {lead}",
            world.lead_ms()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_keyframe_that_does_not_come_is_not_waited_for() {
    for change_ms in (0..12).map(|i| i * 170) {
        let (world, lead) = returns(change_ms, |main| main.gop_ms = 20_000).await;
        let (wall, hole) = world.gaps_ms();
        assert!(
            wall <= lead + 200 + 2 * PICTURE_MS && hole <= PICTURE_MS,
            "{wall} {hole} after {change_ms}"
        );
        let pictures = world.pictures();
        let content: Vec<_> = pictures.iter().filter(|p| p.encode == 2).collect();
        let steps = content
            .windows(2)
            .map(|c| c[1].content_ms - c[0].content_ms);
        assert_eq!(steps.max(), Some(PICTURE_MS), "after {change_ms}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_input_that_closes_where_it_was_to_end_is_written_to_its_end() {
    for closes_ms in (0..30).map(|i| i * 90) {
        let mut world = two((0, 1)).await;
        world.kill("main");
        world.run_ms(2_000).await;
        world.connect(Encoder::new("main", 1)).await;
        world.run_ms(5_500 + closes_ms).await;
        if world.active().as_deref() == Some("main") {
            assert!(closes_ms > 500);
            return;
        }
        let now = world.now_ms();
        world.kill("backup");
        world.run_ms(1_000).await;
        world.check();
        let pictures = world.pictures();
        let last = pictures.iter().rfind(|p| p.encode == 2).unwrap();
        let lost = now - last.content_ms;
        assert!(lost <= PICTURE_MS, "{lost} ms lost at {closes_ms}");
    }
    panic!("it never returned");
}

#[tokio::test(start_paused = true)]
async fn equal_bytes_go_on_with_the_next_frame() {
    // The other is ahead: by less than a group, by one that the first has not come to, by more
    // than the lead has room for.
    for (delay_ms, other_ms) in [(0, 30), (30, 0), (700, 0), (1_300, 0), (5_000, 100)] {
        let mut world = twins(1_000, delay_ms, other_ms).await;
        assert_eq!(world.active().as_deref(), Some("main"));
        let (lead, before) = (world.lead_ms(), world.state().counters);
        world.kill("main");
        world.run_ms(10_000).await;
        world.check();
        let switch = world.state().history.iter().last().unwrap().clone();
        assert_eq!(switch.class, Class::Equal, "{delay_ms} and {other_ms} ms");
        let (wall, hole) = world.gaps_ms();
        assert!(
            wall <= 2 * PICTURE_MS && hole <= PICTURE_MS,
            "{wall} {hole} at {delay_ms} and {other_ms} ms"
        );
        assert_nothing_is_lost_or_repeated(&world);
        assert_eq!(world.splices, 1);
        assert!(world.lead_ms() <= lead.max(0) + 60, "{}", world.lead_ms());
        assert_eq!(world.state().counters.too_fast, before.too_fast);
    }
}

#[tokio::test(start_paused = true)]
async fn equal_bytes_that_come_later_are_waited_for_unless_that_is_a_gap() {
    for (behind_ms, class) in [
        (800, Class::Equal),
        (1_600, Class::Equal),
        (4_000, Class::Cached),
    ] {
        let mut world = twins(2_000, 0, behind_ms).await;
        world.kill("main");
        world.run_ms(8_000).await;
        world.check();
        let switch = world.state().history.iter().last().unwrap().clone();
        assert_eq!(switch.class, class, "{behind_ms} ms behind");
        let (wall, hole) = world.gaps_ms();
        assert!(
            wall <= 1_600 + 2 * PICTURE_MS && hole <= PICTURE_MS,
            "{wall} {hole}"
        );
        if class == Class::Equal {
            assert_nothing_is_lost_or_repeated(&world);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_equal_input_goes_on_where_one_was_removed() {
    let mut world = twins(1_000, 0, 30).await;
    world.configure(&[("backup", 1)]).await;
    world.run_ms(1_000).await;
    let switch = world.state().history.iter().last().unwrap().clone();
    assert_eq!(
        (switch.class, switch.reason),
        (Class::Equal, Reason::Removed)
    );
    assert_nothing_is_lost_or_repeated(&world);
    world.check();
}

#[tokio::test(start_paused = true)]
async fn what_an_equal_input_lost_before_is_no_matter() {
    let mut world = twins(1_000, 0, 30).await;
    world.encoder("backup").silent = true;
    world.run_ms(1_500).await;
    world.encoder("backup").silent = false;
    world.run_ms(2_500).await;
    world.kill("main");
    world.run_ms(3_000).await;
    world.check();
    let switch = world.state().history.iter().last().unwrap().clone();
    assert_eq!(switch.class, Class::Equal);
    assert_nothing_is_lost_or_repeated(&world);
}

#[tokio::test(start_paused = true)]
async fn sound_that_lags_behind_the_keyframe_is_not_lost() {
    for stops_ms in [260, 280, 300, 320, 340] {
        let mut world = twins(1_000, 0, 0).await;
        for id in ["main", "backup"] {
            world.encoder(id).sound_lags_ms = 60;
        }
        world.run_ms(1_000).await;
        world.shown.clear();
        // The next keyframe is 320 ms away.
        world.run_ms(stops_ms).await;
        world.encoder("main").silent = true;
        world.run_ms(2_000).await;
        assert_eq!(world.active().as_deref(), Some("backup"));
        assert_nothing_is_lost_or_repeated(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn equal_inputs_are_told_apart_from_silence_sooner() {
    let mut world = World::new(&[("main", 0), ("backup", 1)], Policy::default()).await;
    world.connect(Encoder::new("main", 1)).await;
    world.connect(Encoder::new("backup", 1)).await;
    world.run_ms(10_000).await;
    world.encoder("main").silent = true;
    world.run_ms(200).await;
    assert_eq!(world.active().as_deref(), Some("backup"));
}

#[tokio::test(start_paused = true)]
async fn sound_is_missed_unless_the_input_said_that_it_has_none() {
    for (declared, active) in [(false, "backup"), (true, "main")] {
        let mut world = two((0, 1)).await;
        world.encoder("main").mute(declared);
        world.run_ms(10_000).await;
        assert_eq!(world.active().as_deref(), Some(active));
        let fault = (!declared).then_some(Fault::TrackSilent);
        assert_eq!(world.state().inputs[0].fault, fault);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_of_everything_switches_nothing() {
    let mut world = two((0, 1)).await;
    for id in ["main", "backup"] {
        world.encoder(id).silent = true;
    }
    world.run_ms(1_500).await;
    for id in ["main", "backup"] {
        world.encoder(id).silent = false;
    }
    world.run_ms(1_000).await;
    assert_eq!(world.state().history.total(), 1);
    world.check();
}

#[tokio::test(start_paused = true)]
async fn inputs_that_send_in_bursts_are_not_switched_between() {
    for burst in [900, 1_000, 1_400] {
        let mut world = World::new(&[("main", 0), ("backup", 0)], Policy::default()).await;
        for (id, encode) in [("main", 1), ("backup", 2)] {
            let burst_ms = Some((burst, burst / 2 * i64::from(encode)));
            let encoder = Encoder::new(id, encode);
            world
                .connect(Encoder {
                    burst_ms,
                    ..encoder
                })
                .await;
        }
        world.run_ms(10_000).await;
        let learning = world.state().history.total();
        assert!(learning <= 4, "{learning} switches at {burst} ms");
        let faults = world.turns().len();
        world.run_ms(60_000).await;
        assert_eq!(world.state().history.total(), learning, "{burst} ms");
        assert_eq!(world.turns().len(), faults, "{burst} ms");
        world.check();
    }
}

#[tokio::test(start_paused = true)]
async fn inputs_that_stall_by_turns_are_not_switched_between() {
    let mut world = two((0, 0)).await;
    for turn in 0..60 {
        let (silent, other) = if turn % 2 == 0 {
            ("main", "backup")
        } else {
            ("backup", "main")
        };
        world.encoder(silent).silent = true;
        world.encoder(other).silent = false;
        world.run_ms(950).await;
    }
    let total = world.state().history.total();
    assert!(total <= 4, "{total} switches");
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_switch_by_hand_holds_until_it_is_ended_or_fails() {
    let mut world = two((0, 1)).await;
    assert_eq!(world.switch("nobody").await, Err(NotFit::Unknown));
    world.switch("backup").await.unwrap();
    world.run_ms(20_000).await;
    assert_eq!(world.active().as_deref(), Some("backup"));
    let (wall, hole) = world.gaps_ms();
    assert!(wall <= PICTURE_MS && hole <= PICTURE_MS, "{wall} {hole}");
    assert!(world.release().await);
    world.run_ms(5_000).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    world.switch("backup").await.unwrap();
    world.run_ms(2_000).await;
    world.kill("backup");
    world.run_ms(1_000).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    assert_eq!(world.state().pinned, None);
    assert_eq!(
        world.switch("backup").await,
        Err(NotFit::Fault(Fault::Closed))
    );
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_flapping_input_is_left_alone() {
    let mut world = two((0, 1)).await;
    for _ in 0..150 {
        world.kill("main");
        world.run_ms(1_000).await;
        world.connect(Encoder::new("main", 1)).await;
        world.run_ms(1_000).await;
    }
    world.check();
    let total = world.state().history.total();
    assert!(total <= 3, "{total} switches");
    assert!(world.gaps_ms().1 <= PICTURE_MS);
}

#[tokio::test(start_paused = true)]
async fn an_input_removed_is_left_and_one_added_is_used() {
    let mut world = two((0, 1)).await;
    world.configure(&[("backup", 1), ("third", 2)]).await;
    world.run_ms(500).await;
    assert_eq!(world.active().as_deref(), Some("backup"));
    world.kill("main");
    world.connect(Encoder::new("third", 3)).await;
    world.run_ms(3_000).await;
    world.kill("backup");
    world.run_ms(1_000).await;
    assert_eq!(world.active().as_deref(), Some("third"));
    world.check();
    assert!(world.gaps_ms().1 <= PICTURE_MS);
}

#[tokio::test(start_paused = true)]
async fn the_slate_fills_an_absence() {
    let inputs = [("main", 0), ("slate", u32::MAX)];
    let mut world = World::new(&inputs, Policy::default()).await;
    world.connect(Encoder::new("main", 1)).await;
    world.run_ms(5_000).await;
    assert_eq!(&**world.wanted.borrow(), ["main".into()]);
    world.kill("main");
    world.run_ms(100).await;
    assert_eq!(&**world.wanted.borrow(), ["main".into(), "slate".into()]);
    world.connect(Encoder::new("slate", 9)).await;
    world.run_ms(1_500).await;
    assert_eq!(world.active(), None);
    world.run_ms(5_000).await;
    assert_eq!(world.active().as_deref(), Some("slate"));
    assert!(world.state().slate);
    world.connect(Encoder::new("main", 1)).await;
    world.run_ms(2_000).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    world.check();
    assert!(
        world
            .turns()
            .contains(&("main".into(), Some(Fault::Closed)))
    );
}

#[tokio::test(start_paused = true)]
async fn an_input_that_was_let_go_has_not_failed() {
    let mut world = World::new(&[], Policy::default()).await;
    world.on_demand = true;
    world.configure(&[("main", 0)]).await;
    world.run_ms(100).await;
    assert!(world.wanted.borrow().is_empty());
    for _ in 0..2 {
        world.order(Order::Viewed(true)).await;
        world.run_ms(100).await;
        assert_eq!(&**world.wanted.borrow(), ["main".into()]);
        world.connect(Encoder::new("main", 1)).await;
        world.run_ms(4_000).await;
        assert_eq!(world.active().as_deref(), Some("main"));
        world.order(Order::Viewed(false)).await;
        world.run_ms(100).await;
        assert!(world.wanted.borrow().is_empty());
        world.order(Order::Lost("main".into())).await;
        world.kill("main");
        world.run_ms(60_000).await;
        assert_eq!(world.state().inputs[0].fault, Some(Fault::Absent));
    }
    let state = world.state();
    let switch = state.history.iter().last().unwrap();
    assert_eq!((switch.reason, switch.gap), (Reason::Available, true));
    assert_eq!(switch.detection, media::Span::ZERO);
    world.check();
}

#[tokio::test(start_paused = true)]
async fn many_switches_keep_time() {
    let mut world = two((0, 0)).await;
    for i in 0..100 {
        let (active, encode) = match world.active().as_deref() {
            Some("main") => ("main", 1),
            _ => ("backup", 2),
        };
        world.kill(active);
        world.run_ms(1_000 + i % 7 * 130).await;
        world.connect(Encoder::new(active, encode)).await;
        world.run_ms(3_000 + i % 11 * 90).await;
        assert!(world.lead_ms() <= 2_000);
    }
    world.check();
    let (wall, hole) = world.gaps_ms();
    // Where the lead leaves no room, the next keyframe is waited for.
    assert!(wall <= 1_100 && hole <= 1_000, "{wall} {hole}");
    assert_eq!(world.state().history.total(), 101);
}

#[tokio::test(start_paused = true)]
async fn limits_of_an_operator_hold_at_once() {
    let mut world = two((0, 1)).await;
    let tolerate = |silent, track_silent| {
        let limits = Tolerance {
            silent,
            track_silent,
            ..Tolerance::default()
        };
        Order::Tolerate([("main".into(), limits)].into())
    };
    let after = |ms| Limit::After(media::Span::from_millis(ms));
    world.order(tolerate(after(900), after(900))).await;
    world.encoder("main").silent = true;
    world.run_ms(880).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    world.run_ms(30).await;
    assert_eq!(world.active().as_deref(), Some("backup"));
    world.encoder("main").silent = false;
    world.run_ms(20_000).await;
    assert_eq!(world.active().as_deref(), Some("main"));

    let never = Order::Tolerate([("main".into(), NOTHING)].into());
    world.order(never).await;
    world.encoder("main").silent = true;
    world.run_ms(60_000).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    // Without a word of the operator it is as it was.
    world.order(Order::Tolerate([].into())).await;
    world.run_ms(100).await;
    assert_eq!(world.active().as_deref(), Some("backup"));
    world.check();
}

/// Nothing is a fault but a closed connection.
const NOTHING: Tolerance = Tolerance {
    silent: Limit::Never,
    track_silent: Limit::Never,
    no_keyframe: Limit::Never,
    frozen: Limit::Never,
    damaged: Limit::Never,
};
