//! Programmes that a transcoder reads: inputs are entered over what is there already.

use failover::{Class, Config, Continuity, Fault, Limit, Order, Policy, Reason, Switch, Tolerance};
use media::{Span, Timestamp};

use crate::world::{Encoder, FASTER_US, PICTURE_MS, SOUND_MS, Shown, World};

mod story;

/// How long a frame lasts at most, and that times are of whole milliseconds.
const PICTURE: Span = Span::from_millis(PICTURE_MS + 1);
const SOUND: Span = Span::from_millis(SOUND_MS + 1);
/// From one look at the programme to the next, and from one frame to the next.
const JITTER_MS: i64 = 10 + PICTURE_MS;

fn read_by(continuity: Continuity) -> Order {
    Order::Bounds(Config {
        continuity,
        ..Config::default()
    })
}

async fn world(inputs: &[(&str, u32)]) -> World {
    let world = World::new(inputs, Policy::default()).await;
    world.order(read_by(Continuity::Transcoded)).await;
    world
}

async fn two(main: Encoder, backup: Encoder) -> World {
    let mut world = world(&[("main", 0), ("backup", 1)]).await;
    world.connect(main).await;
    world.run_ms(200).await;
    world.connect(backup).await;
    world.run_ms(9_870).await;
    world
}

async fn usual() -> World {
    two(Encoder::new("main", 1), Encoder::new("backup", 2)).await
}

fn newest(world: &World) -> Switch {
    world.state().history.iter().last().unwrap().clone()
}

/// What a transcoder shows of one track: it leaves out what lies before what it has shown.
fn kept(world: &World, sound: bool) -> Vec<Shown> {
    let mut reached = Timestamp::from_nanos(i64::MIN);
    let of_track = world.shown.iter().filter(|s| s.sound == sound);
    let mut kept = Vec::new();
    for shown in of_track.filter(|s| s.source > 0) {
        if shown.pts > reached {
            reached = shown.pts;
            kept.push(*shown);
        }
    }
    kept
}

/// The longest steps of what is kept: in programme time, and on the wall.
fn steps(kept: &[Shown]) -> (Span, i64) {
    let time = kept.windows(2).map(|k| k[1].pts - k[0].pts).max();
    let wall = kept.windows(2).map(|k| k[1].wall_ms - k[0].wall_ms).max();
    (time.unwrap(), wall.unwrap())
}

/// DTS rise within each track of each input, which begins with a keyframe.
fn check(world: &World) {
    for sound in [false, true] {
        let of_track: Vec<_> = world.shown.iter().filter(|s| s.sound == sound).collect();
        for pair in of_track.windows(2) {
            let enters = pair[0].source != pair[1].source;
            assert!(enters || pair[1].dts > pair[0].dts, "{pair:?}");
            assert!(!enters || sound || pair[1].key, "{pair:?}");
        }
    }
}

/// No hole, in pictures or sound.
fn assert_whole(world: &World) {
    check(world);
    for (sound, frame) in [(false, PICTURE), (true, SOUND)] {
        let (hole, _) = steps(&kept(world, sound));
        assert!(hole <= frame, "sound {sound}: {hole:?}");
    }
}

/// Where the first input ended, and the second one began.
fn seam(world: &World) -> (Timestamp, Timestamp) {
    let pictures = world.pictures();
    let ended = pictures.iter().rfind(|p| p.source == 1).unwrap();
    let entered = pictures.iter().find(|p| p.source == 2).unwrap();
    (ended.pts, entered.pts)
}

#[tokio::test(start_paused = true)]
async fn a_killed_input_is_replaced_without_a_hole_or_lead() {
    for phase_ms in (0..1_000).step_by(130) {
        let mut world = usual().await;
        world.run_ms(phase_ms).await;
        let before = world.state().counters;
        world.kill("main");
        world.run_ms(3_000).await;
        assert_whole(&world);
        let switch = newest(&world);
        assert_eq!(switch.reason, Reason::Fault(Fault::Closed));
        assert_eq!((switch.class, switch.gap), (Class::Overlap, false));
        assert_eq!(
            (switch.class.name(), switch.replayed),
            ("overlap", Span::ZERO)
        );
        assert!(
            switch.wall_silence.as_millis() <= 2 * PICTURE_MS,
            "{switch:?}"
        );
        assert!(switch.lead.as_millis().abs() <= JITTER_MS, "{switch:?}");
        assert!(world.lead_ms().abs() <= JITTER_MS, "{}", world.lead_ms());
        let pictures = kept(&world, false);
        assert!(steps(&pictures).1 <= 2 * PICTURE_MS);
        // Both show the same as of the same time.
        for pair in pictures.windows(2) {
            let content = pair[1].content_ms - pair[0].content_ms;
            assert!((0..=2 * PICTURE_MS).contains(&content), "{content} ms");
        }
        let after = world.state().counters;
        assert_eq!(after.sources, before.sources + 1);
        assert_eq!((after.overlapped, after.too_fast), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_silence_is_told_sooner_and_ends_with_what_was_missed() {
    for phase_ms in (0..1_000).step_by(90) {
        let mut world = usual().await;
        world.run_ms(phase_ms).await;
        world.encoder("main").silent = true;
        world.run_ms(200).await;
        assert_eq!(world.active().as_deref(), Some("backup"));
        world.run_ms(2_000).await;
        assert_whole(&world);
        let switch = newest(&world);
        let (detection, silence) = (switch.detection, switch.wall_silence);
        assert!((170..=190).contains(&detection.as_millis()), "{switch:?}");
        assert!(
            (silence - detection).as_millis() <= PICTURE_MS,
            "{switch:?}"
        );
        // What is told is what is seen.
        let seen = steps(&kept(&world, false)).1;
        let apart = (seen - silence.as_millis()).abs();
        assert!(apart <= PICTURE_MS, "{seen} {switch:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silence_that_one_input_alone_ends_is_as_it_was() {
    let mut seen = Vec::new();
    for continuity in [Continuity::Passthrough, Continuity::Transcoded] {
        let mut world = World::new(&[("main", 0), ("backup", 1)], Policy::default()).await;
        world.order(read_by(continuity)).await;
        world.connect(Encoder::new("main", 1)).await;
        world.run_ms(5_000).await;
        for silence_ms in [300, 1_500, 5_000] {
            world.encoder("main").silent = true;
            world.run_ms(silence_ms).await;
            world.encoder("main").silent = false;
            world.run_ms(4_000).await;
        }
        let frames = world.shown.iter().map(|s| (s.wall_ms, s.dts, s.sound));
        let switches = world.state().history.total();
        seen.push((frames.collect::<Vec<_>>(), world.turns(), switches));
    }
    assert!(seen[0] == seen[1]);
}

#[tokio::test(start_paused = true)]
async fn no_keyframe_is_waited_for() {
    for phase_ms in (0..6_000).step_by(970) {
        let long = |id, encode| Encoder {
            gop_ms: 6_000,
            ..Encoder::new(id, encode)
        };
        let mut world = two(long("main", 1), long("backup", 2)).await;
        world.run_ms(phase_ms).await;
        for to in ["backup", "main"] {
            world.switch(to).await.unwrap();
            world.run_ms(10).await;
            assert_eq!(world.active().as_deref(), Some(to));
            world.run_ms(1_000).await;
            let switch = newest(&world);
            assert_eq!(
                (switch.class, switch.reason),
                (Class::Overlap, Reason::Manual)
            );
            assert!(world.lead_ms().abs() <= JITTER_MS, "{}", world.lead_ms());
        }
        assert!(world.release().await);
        world.kill("main");
        world.run_ms(1_000).await;
        assert_whole(&world);
        let wall = steps(&kept(&world, false)).1;
        assert!(wall <= 2 * PICTURE_MS, "{wall} ms after {phase_ms}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_better_input_is_returned_to_as_soon_as_it_is_clean() {
    let mut world = usual().await;
    world.kill("main");
    world.run_ms(1_000).await;
    let gop_ms = 4_000;
    let main = Encoder::new("main", 1);
    world.connect(Encoder { gop_ms, ..main }).await;
    world.run_ms(15_000).await;
    let switch = newest(&world);
    assert_eq!(
        (switch.class, switch.reason),
        (Class::Overlap, Reason::Failback)
    );
    assert!(switch.voluntary && switch.detection == Span::ZERO);
    assert_whole(&world);
    let wall = steps(&kept(&world, false)).1;
    assert!(wall <= 2 * PICTURE_MS, "{wall} ms");
    assert!(world.lead_ms().abs() <= JITTER_MS);
}

#[tokio::test(start_paused = true)]
async fn another_frame_rate_leaves_no_hole() {
    for phase_ms in (0..2_000).step_by(330) {
        let fast = Encoder {
            picture_us: FASTER_US,
            gop_ms: 2_000,
            ..Encoder::new("main", 1)
        };
        let slow = Encoder {
            gop_ms: 1_920,
            ..Encoder::new("backup", 2)
        };
        let mut world = two(fast, slow).await;
        world.run_ms(phase_ms).await;
        world.switch("backup").await.unwrap();
        world.run_ms(1_500).await;
        world.switch("main").await.unwrap();
        world.run_ms(1_500).await;
        world.kill("main");
        world.run_ms(1_000).await;
        assert_whole(&world);
        let silence = newest(&world).wall_silence.as_millis();
        assert!(silence <= 2 * PICTURE_MS, "{silence} ms at {phase_ms}");
    }
}

#[tokio::test(start_paused = true)]
async fn groups_of_any_length_are_entered_where_the_one_before_ended() {
    for gop_ms in [PICTURE_MS, 2 * PICTURE_MS, 400, 2_000, 8_000] {
        let backup = Encoder {
            gop_ms,
            ..Encoder::new("backup", 2)
        };
        let mut world = two(Encoder::new("main", 1), backup).await;
        world.encoder("main").silent = true;
        world.run_ms(1_000).await;
        assert_whole(&world);
        let (reached, entered) = seam(&world);
        let back = (reached - entered).as_millis();
        assert!(back <= gop_ms + PICTURE_MS, "{back} ms of {gop_ms}");
    }
}

#[tokio::test(start_paused = true)]
async fn sound_beside_the_pictures_is_not_lost() {
    for (lags_ms, other_ms) in [(0, 60), (60, 0), (-60, 0), (0, -60), (200, -60), (-60, 200)] {
        for phase_ms in (0..1_000).step_by(310) {
            let of = |id, encode, sound_lags_ms| Encoder {
                sound_lags_ms,
                ..Encoder::new(id, encode)
            };
            let mut world = two(of("main", 1, lags_ms), of("backup", 2, other_ms)).await;
            world.run_ms(phase_ms).await;
            world.kill("main");
            world.run_ms(1_000).await;
            assert_whole(&world);
        }
    }
}

/// A long group is not read for the sake of a little sound.
#[tokio::test(start_paused = true)]
async fn sound_alone_is_not_worth_a_long_group() {
    let gop_ms = 5_000;
    let backup = Encoder {
        gop_ms,
        phase_ms: 0,
        sound_lags_ms: -60,
        ..Encoder::new("backup", 2)
    };
    let mut world = two(Encoder::new("main", 1), backup).await;
    // Its keyframe has just come.
    world.run_ms(4_930).await;
    world.kill("main");
    world.run_ms(1_000).await;
    let (reached, entered) = seam(&world);
    assert!(steps(&kept(&world, false)).0 <= PICTURE);
    assert!((0..=PICTURE_MS).contains(&(reached - entered).as_millis()));
}

#[tokio::test(start_paused = true)]
async fn reordered_pictures_are_not_lost() {
    for phase_ms in (0..1_040).step_by(70) {
        let of = |id, encode| Encoder {
            reorders: true,
            gop_ms: 25 * PICTURE_MS,
            ..Encoder::new(id, encode)
        };
        let mut world = two(of("main", 1), of("backup", 2)).await;
        world.run_ms(phase_ms).await;
        world.kill("main");
        world.run_ms(1_000).await;
        check(&world);
        // One that was to be shown after others that never came may stand for them.
        let mut shown: Vec<_> = world.pictures().iter().map(|p| p.pts).collect();
        shown.sort_unstable();
        let late = shown.windows(2).skip(4).rev().skip(4);
        let hole = late.map(|s| s[1] - s[0]).max().unwrap();
        assert!(hole <= PICTURE, "{hole:?} at {phase_ms}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_input_begins_on_utc() {
    let mut world = world(&[("main", 0)]).await;
    world.connect(Encoder::new("main", 1)).await;
    world.run_ms(5_000).await;
    assert_whole(&world);
    let switch = newest(&world);
    assert_eq!((switch.reason, switch.gap), (Reason::Available, false));
    assert_eq!((switch.number, switch.wall_silence), (1, Span::ZERO));
    let last = kept(&world, false).last().unwrap().pts;
    assert!((world.now() - last).as_millis() <= PICTURE_MS);
    assert!(world.lead_ms().abs() <= JITTER_MS);
}

#[tokio::test(start_paused = true)]
async fn a_return_after_a_segment_is_a_declared_gap_on_utc() {
    let mut world = usual().await;
    let gaps = world.state().counters.declared_gaps;
    for id in ["main", "backup"] {
        world.kill(id);
    }
    world.run_ms(20_000).await;
    let backup = Encoder::new("backup", 2);
    world.connect(backup).await;
    world.run_ms(5_000).await;
    check(&world);
    let switch = newest(&world);
    assert_eq!((switch.class, switch.gap), (Class::Overlap, true));
    assert_eq!(world.state().counters.declared_gaps, gaps + 1);
    assert!(world.lead_ms().abs() <= JITTER_MS);
    let last = kept(&world, false).last().unwrap().pts;
    assert!((world.now() - last).as_millis() <= PICTURE_MS);
}

#[tokio::test(start_paused = true)]
async fn one_that_came_too_late_is_entered_with_a_hole() {
    for (absent_ms, gap) in [(900, false), (3_000, true)] {
        let mut world = usual().await;
        for id in ["main", "backup"] {
            world.kill(id);
        }
        world.run_ms(absent_ms).await;
        world.connect(Encoder::new("backup", 2)).await;
        world.run_ms(3_000).await;
        check(&world);
        let switch = newest(&world);
        assert_eq!((switch.class, switch.gap), (Class::Overlap, gap));
        let seen = steps(&kept(&world, false));
        assert!(seen.0.as_millis() >= absent_ms, "{seen:?}");
        assert!((seen.0.as_millis() - seen.1).abs() <= JITTER_MS, "{seen:?}");
        assert!(world.lead_ms().abs() <= JITTER_MS);
    }
}

/// Where an operator has it waited for, a transcoder is not made to catch up with it.
#[tokio::test(start_paused = true)]
async fn what_is_missing_for_long_is_not_made_up_for() {
    for (silence_ms, gap) in [(3_500, false), (6_000, true)] {
        let mut world = usual().await;
        let silent = Limit::After(Span::from_millis(silence_ms));
        let limits = Tolerance {
            silent,
            track_silent: Limit::Never,
            no_keyframe: Limit::Never,
            ..Tolerance::default()
        };
        let order = Order::Tolerate([("main".into(), limits)].into());
        world.order(order).await;
        world.encoder("main").silent = true;
        world.run_ms(silence_ms + 1_000).await;
        check(&world);
        let switch = newest(&world);
        assert_eq!((switch.class, switch.gap), (Class::Overlap, gap));
        assert!((switch.wall_silence - switch.detection).as_millis() <= PICTURE_MS);
        let hole = steps(&kept(&world, false)).0;
        assert_eq!(hole > PICTURE, gap, "{hole:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_slate_fills_an_absence() {
    let mut world = world(&[("main", 0), ("slate", u32::MAX)]).await;
    world.connect(Encoder::new("main", 1)).await;
    world.run_ms(5_000).await;
    world.kill("main");
    world.run_ms(100).await;
    world.connect(Encoder::new("slate", 9)).await;
    world.run_ms(1_500).await;
    assert_eq!(world.active(), None);
    world.run_ms(5_000).await;
    assert!(world.state().slate);
    world.connect(Encoder::new("main", 1)).await;
    world.run_ms(2_000).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    assert_eq!(newest(&world).class, Class::Overlap);
    check(&world);
}

#[tokio::test(start_paused = true)]
async fn equal_bytes_still_go_on_with_the_next_frame() {
    let of = |id, delay_ms| Encoder {
        delay_ms,
        ..Encoder::new(id, 1)
    };
    let mut world = two(of("main", 30), of("backup", 700)).await;
    world.kill("main");
    world.run_ms(3_000).await;
    assert_eq!(newest(&world).class, Class::Equal);
    world.check();
    let content: Vec<_> = world.pictures().iter().map(|p| p.content_ms).collect();
    assert!(content.windows(2).all(|c| c[1] - c[0] == PICTURE_MS));
}

#[tokio::test(start_paused = true)]
async fn a_clock_of_both_is_believed_near_utc() {
    for (delay_ms, exact) in [(0, true), (70, true), (900, false)] {
        let of = |id, encode, delay_ms| Encoder {
            wall_error_ms: Some(0),
            delay_ms,
            ..Encoder::new(id, encode)
        };
        let mut world = two(of("main", 1, 0), of("backup", 2, delay_ms)).await;
        world.kill("main");
        world.run_ms(3_000).await;
        assert_whole(&world);
        assert_eq!(newest(&world).class, Class::Overlap);
        let pictures = kept(&world, false);
        let content = pictures
            .windows(2)
            .map(|k| k[1].content_ms - k[0].content_ms);
        let odd: Vec<_> = content.filter(|c| *c != PICTURE_MS).collect();
        assert_eq!(odd.is_empty(), exact, "{delay_ms} ms: {odd:?}");
        assert!(world.lead_ms().abs() <= delay_ms + JITTER_MS);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_sends_in_bursts_brings_no_lead() {
    for phase_ms in (0..1_000).step_by(90) {
        let backup = Encoder {
            burst_ms: Some((1_000, 300)),
            ..Encoder::new("backup", 2)
        };
        let mut world = two(Encoder::new("main", 1), backup).await;
        world.run_ms(phase_ms).await;
        world.kill("main");
        world.run_ms(3_000).await;
        assert_whole(&world);
        assert!(world.lead_ms().abs() <= JITTER_MS, "{}", world.lead_ms());
    }
}

#[tokio::test(start_paused = true)]
async fn a_silence_is_not_told_sooner_where_no_other_is_fit() {
    for other in [false, true] {
        let mut world = usual().await;
        if !other {
            world.kill("backup");
            world.run_ms(1_000).await;
        }
        world.encoder("main").silent = true;
        world.run_ms(300).await;
        let fault = other.then_some(Fault::Silent);
        assert_eq!(world.state().inputs[0].fault, fault);
        world.run_ms(200).await;
        assert_eq!(world.state().inputs[0].fault, Some(Fault::Silent));
    }
}

#[tokio::test(start_paused = true)]
async fn inputs_that_pause_by_turns_are_not_switched_between() {
    for burst in [900, 1_400] {
        let mut world = world(&[("main", 0), ("backup", 0)]).await;
        for (id, encode) in [("main", 1), ("backup", 2)] {
            let burst_ms = Some((burst, burst / 2 * i64::from(encode)));
            let encoder = Encoder::new(id, encode);
            let encoder = Encoder {
                burst_ms,
                ..encoder
            };
            world.connect(encoder).await;
        }
        world.run_ms(10_000).await;
        let learning = world.state().history.total();
        assert!(learning <= 4, "{learning} switches at {burst} ms");
        world.run_ms(60_000).await;
        assert_eq!(world.state().history.total(), learning, "{burst} ms");
    }
    let mut world = usual().await;
    world.configure(&[("main", 0), ("backup", 0)]).await;
    for turn in 0..60 {
        let (silent, other) = match turn % 2 {
            0 => ("main", "backup"),
            _ => ("backup", "main"),
        };
        world.encoder(silent).silent = true;
        world.encoder(other).silent = false;
        world.run_ms(950).await;
    }
    let total = world.state().history.total();
    assert!(total <= 4, "{total} switches");
}

/// One picture in a second is as steady as 25.
#[tokio::test(start_paused = true)]
async fn few_pictures_are_no_fault() {
    let slow = |id, encode| Encoder {
        picture_us: 1_000_000,
        gop_ms: 2_000,
        ..Encoder::new(id, encode)
    };
    let mut world = two(slow("main", 1), slow("backup", 2)).await;
    world.run_ms(10_000).await;
    assert!(world.turns().iter().all(|(_, fault)| fault.is_none()));
}

#[tokio::test(start_paused = true)]
async fn one_left_before_it_was_shown_is_recorded() {
    let mut world = world(&[("main", 0), ("backup", 1), ("third", 2)]).await;
    for (id, encode) in [("main", 1), ("backup", 2), ("third", 3)] {
        world.connect(Encoder::new(id, encode)).await;
        world.run_ms(1_000).await;
    }
    world.run_ms(6_990).await;
    world.kill("main");
    world.run_ms(10).await;
    world.kill("backup");
    world.run_ms(2_000).await;
    assert_whole(&world);
    let shows = |encode| move |s: &Shown| s.encode == encode;
    assert!(world.shown.iter().any(shows(2)) && !kept(&world, false).iter().any(shows(2)));
    let history = world.state().history;
    let chain: Vec<_> = history
        .iter()
        .map(|s| (s.number, s.to.to_string()))
        .collect();
    let to = |n: u64, id: &str| (n, id.to_owned());
    assert_eq!(chain, [to(1, "main"), to(2, "backup"), to(3, "third")]);
    assert!(newest(&world).wall_silence.as_millis() <= 2 * PICTURE_MS);
}

#[tokio::test(start_paused = true)]
async fn who_reads_it_may_change_while_it_runs() {
    let mut world = World::new(&[("main", 0), ("backup", 1)], Policy::default()).await;
    world.connect(Encoder::new("main", 1)).await;
    world.connect(Encoder::new("backup", 2)).await;
    world.run_ms(10_000).await;
    world.kill("main");
    world.run_ms(1_000).await;
    let lead = world.lead_ms();
    assert!(lead > 200, "{lead}");
    world.shown.clear();
    // That by itself changes nothing.
    world.order(read_by(Continuity::Transcoded)).await;
    world.connect(Encoder::new("main", 1)).await;
    world.run_ms(3_000).await;
    world.check();
    assert!((world.lead_ms() - lead).abs() <= 2, "{}", world.lead_ms());
    // The lead is over with the first switch: players have as much in hand.
    world.encoder("backup").silent = true;
    world.run_ms(200).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    world.run_ms(2_000).await;
    let switch = newest(&world);
    assert_eq!(switch.class, Class::Overlap);
    let silence = switch.wall_silence.as_millis();
    assert!((silence - lead).abs() <= JITTER_MS, "{silence} {lead}");
    assert!(world.lead_ms().abs() <= JITTER_MS);
    assert_whole(&world);

    world.encoder("backup").silent = false;
    world.run_ms(5_000).await;
    world.order(read_by(Continuity::Passthrough)).await;
    world.shown.clear();
    world.run_ms(100).await;
    world.encoder("main").silent = true;
    world.run_ms(400).await;
    assert_eq!(world.active().as_deref(), Some("main"));
    world.run_ms(2_000).await;
    assert_eq!(newest(&world).class, Class::Cached);
    world.check();
}

/// A planned switch waits for a keyframe, where the lead is repaid.
#[tokio::test(start_paused = true)]
async fn what_waited_for_a_keyframe_does_so_no_longer() {
    for waits_ms in (0..1_000).step_by(170) {
        let mut world = World::new(&[("main", 0), ("backup", 1)], Policy::default()).await;
        world.connect(Encoder::new("main", 1)).await;
        world.connect(Encoder::new("backup", 2)).await;
        world.run_ms(10_000).await;
        world.kill("main");
        world.run_ms(5_000).await;
        world.connect(Encoder::new("main", 1)).await;
        world.run_ms(5_000).await;
        assert!(world.lead_ms() > 200);
        world.shown.clear();
        world.run_ms(waits_ms).await;
        world.switch("main").await.unwrap();
        world.run_ms(50).await;
        let waits = world.active().as_deref() == Some("backup");
        world.order(read_by(Continuity::Transcoded)).await;
        world.run_ms(10).await;
        assert_eq!(world.active().as_deref(), Some("main"));
        world.run_ms(2_000).await;
        assert_whole(&world);
        assert_eq!(newest(&world).class == Class::Overlap, waits);
    }
}
