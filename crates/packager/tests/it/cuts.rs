//! Where segments begin while media flows.

use media::Span;
use packager::{Config, Media, Packager};

use crate::source::{EPOCH, Encoder, ms, other_audio, video};

fn encoder() -> Encoder {
    Encoder::new(Packager::new(Config::default(), None, EPOCH))
}

fn media<'a>(encoder: &'a Encoder, id: &str) -> &'a Media {
    encoder.packager.snapshot().get(id).expect("is published")
}

#[test]
fn nothing_is_listed_before_the_first_segment_is_complete() {
    let mut e = encoder();
    e.send(&[59]);
    assert!(e.packager.snapshot().media.is_empty());
    e.send(&[60, 60]);
    assert!(e.packager.snapshot().is_live());
}

#[test]
fn a_two_second_gop_gives_two_second_segments_of_ten_parts() {
    let mut e = encoder();
    e.send(&[60; 20]);
    let v = media(&e, "v0");
    assert_eq!(v.target_duration, 2);
    for s in v.segments.iter().filter(|s| s.complete) {
        assert!((s.duration - ms(2000)).abs() <= ms(2), "{:?}", s.duration);
        assert_eq!(s.parts.len(), 10);
        let expected = (s.start.as_nanos() + 1_000_000_000) / 2_000_000_000;
        assert_eq!(i64::try_from(s.number).unwrap(), expected);
    }
    assert_eq!(
        (e.packager.counters().forced_cuts, e.checker.short_parts),
        (0, 0)
    );
    assert!(
        e.checker.slowest <= ms(215) + ms(40),
        "{:?}",
        e.checker.slowest
    );
}

#[test]
fn sound_follows_the_cuts_of_the_pictures() {
    for ahead in [-400, -50, 0, 50, 150] {
        let mut e = encoder();
        e.audio_ahead = ms(ahead);
        e.send(&[60; 12]);
        let starts = |id: &str| -> Vec<_> {
            let complete = media(&e, id).segments.iter().filter(|s| s.complete);
            complete.map(|s| (s.number, s.start)).collect()
        };
        let audio = starts("a1");
        for (number, start) in starts("v0") {
            let Some((_, a)) = audio.iter().find(|(n, _)| *n == number) else {
                continue;
            };
            let off = (*a - start).abs();
            assert!(off <= ms(22 + ahead.max(0)), "{number}: {off:?} at {ahead}");
        }
    }
}

#[test]
fn rates_over_1001_stay_on_the_grid() {
    let mut e = encoder();
    e.rate = 29_970;
    e.send(&[60; 200]);
    let v = media(&e, "v0");
    assert_eq!(v.target_duration, 3);
    assert_eq!(e.packager.counters().forced_cuts, 0);
    assert_eq!(e.packager.state().unwrap().run_ahead, 0);
}

#[test]
fn other_gops_shape_the_segments() {
    for (gop, rate, target) in [
        (24, 25_000, 2),
        (120, 30_000, 4),
        (250, 25_000, 10),
        (15, 30_000, 2),
    ] {
        let mut e = encoder();
        e.rate = rate;
        e.send(&vec![gop; 40]);
        let v = media(&e, "v0");
        assert_eq!(v.target_duration, target, "GOP {gop} at {rate}");
        assert!(v.segments.iter().all(|s| s.independent));
        assert_eq!(e.packager.counters().forced_cuts, 0, "GOP {gop}");
    }
}

#[test]
fn a_keyframe_phase_at_the_edge_of_a_window_forces_nothing() {
    for off in -3..=3 {
        let mut e = encoder();
        // Windows of the epoch grid begin at odd seconds.
        let now = Span::from_millis(e.now.as_millis() / 2000 * 2000 + 1000 + off);
        e.now = media::Timestamp::from_nanos(now.as_nanos());
        e.send(&[60; 100]);
        assert_eq!(e.packager.counters().forced_cuts, 0, "off by {off} ms");
        assert!(e.packager.state().unwrap().run_ahead <= 1);
    }
}

#[test]
fn scene_cuts_double_the_target_once() {
    let mut e = encoder();
    let gops = [
        60, 60, 23, 60, 41, 60, 9, 60, 60, 33, 60, 60, 17, 60, 60, 60, 29, 60,
    ];
    e.send(&gops.repeat(5));
    let v = media(&e, "v0");
    assert_eq!(v.target_duration, 4);
    assert!(e.packager.counters().forced_cuts <= 3);
    assert_eq!(e.packager.counters().discontinuities, 1);
}

#[test]
fn switches_of_the_source_reshape_nothing() {
    let mut e = encoder();
    e.send(&[60; 4]);
    for cut in 1..40 {
        e.send(&[60, 60, cut * 7 % 60 + 1]);
        e.packager.splice(e.rendition);
    }
    e.send(&[60; 4]);
    assert_eq!(media(&e, "v0").target_duration, 2);
    assert_eq!(e.packager.counters().discontinuities, 0);
}

#[test]
fn an_endless_gop_is_cut_without_keyframes() {
    let mut e = encoder();
    e.send(&[1800]);
    let v = media(&e, "v0");
    assert_eq!(v.target_duration, 4);
    assert!(e.packager.counters().forced_cuts > 10);
    assert!(!v.independent_segments);
}

#[test]
fn a_longer_gop_appends_a_row() {
    let mut e = encoder();
    e.send(&[60, 60, 60, 60, 120, 120, 120, 120, 120]);
    let v = media(&e, "v0");
    assert_eq!(v.target_duration, 4);
    assert_eq!(e.packager.counters().discontinuities, 1);
    let tags = v.segments.iter().filter(|s| s.discontinuity).count();
    assert_eq!(tags, 1);
}

#[test]
fn a_lost_keyframe_moves_no_grid() {
    let mut e = encoder();
    e.send(&[60, 60, 60, 120, 60, 60, 60, 60]);
    assert_eq!(media(&e, "v0").target_duration, 2);
    assert_eq!(e.packager.counters().discontinuities, 0);
    assert!(e.packager.counters().forced_cuts >= 1);
}

#[test]
fn changed_parameters_are_a_discontinuity_in_every_playlist() {
    let mut e = encoder();
    e.send(&[60; 4]);
    let old = media(&e, "a1").segments[0].init.hash.clone();
    e.group(&[video(), other_audio()]);
    let tracks = [video(), other_audio()];
    assert_ne!(tracks[1], crate::source::audio());
    send_with(&mut e, &tracks);
    for id in ["v0", "a1"] {
        let tagged = media(&e, id)
            .segments
            .iter()
            .filter(|s| s.discontinuity)
            .count();
        assert_eq!(tagged, 1, "{id}");
    }
    let last = media(&e, "a1").segments.last().unwrap();
    assert_ne!(last.init.hash, old);
}

#[test]
fn sound_of_another_encoder_that_begins_a_moment_later_follows_silence() {
    let mut e = encoder();
    e.send(&[60; 4]);
    let changed = e.now;
    e.group(&[video(), other_audio()]);
    let mut sent = changed + ms(48);
    for i in 0..240 {
        let at = changed + Span::from_nanos(i * 1_000_000_000 / 30);
        e.wait_until(at);
        e.frame(crate::source::VIDEO, at, i % 60 == 0, 900);
        while sent <= at {
            e.frame(crate::source::AUDIO, sent, true, 90);
            sent += Span::from_nanos(1024 * 1_000_000_000 / 44_100);
        }
    }
    let sound = &media(&e, "a1").segments;
    let first = sound.iter().position(|s| s.discontinuity).unwrap();
    let before = sound[first - 1].start + sound[first - 1].duration;
    let hole = sound[first].start - before;
    assert!(hole.abs() < ms(1), "{hole:?}");
    assert!(e.packager.counters().silent_frames >= 2);
}

/// As `send`, but the tracks stay what they are.
fn send_with(e: &mut Encoder, tracks: &[media::Track]) {
    let start = e.now;
    for i in 0..240 {
        let at = start + Span::from_nanos(i * 1_000_000_000 / 30);
        e.wait_until(at);
        if i % 60 == 0 {
            e.group(tracks);
        }
        e.frame(crate::source::VIDEO, at, i % 60 == 0, 900);
        for k in 0..2 {
            e.frame(crate::source::AUDIO, at + ms(k * 16), true, 90);
        }
    }
}

#[test]
fn pictures_alone_and_sound_alone() {
    let mut e = encoder();
    e.with_audio = false;
    e.send(&[60; 5]);
    assert_eq!(e.packager.snapshot().media.len(), 1);

    let mut e = encoder();
    e.with_video = false;
    e.send(&[60; 30]);
    let a = media(&e, "a1");
    assert_eq!(a.target_duration, 2);
    for s in a.segments.iter().filter(|s| s.complete) {
        assert!((s.duration - ms(2000)).abs() <= ms(24), "{:?}", s.duration);
    }
}

#[test]
fn sound_that_ceases_becomes_silence() {
    let mut e = encoder();
    e.send(&[60; 3]);
    e.with_audio = false;
    // The tracks stay: the encoder has not said that there is no sound.
    let tracks = [video(), crate::source::audio()];
    let start = e.now;
    for i in 0..300 {
        let at = start + Span::from_nanos(i * 1_000_000_000 / 30);
        e.wait_until(at);
        if i % 60 == 0 {
            e.group(&tracks);
        }
        e.frame(crate::source::VIDEO, at, i % 60 == 0, 900);
    }
    assert!(e.packager.counters().silent_frames > 300);
    let (v, a) = (
        media(&e, "v0").edge().unwrap(),
        media(&e, "a1").edge().unwrap(),
    );
    assert!(v.msn - a.msn <= 1);
}

/// An encoder whose clock is slow lets its keyframes drift out of their windows: one number is cut
/// without one, and no more than that.
#[test]
fn a_slow_clock_costs_one_forced_cut_per_segment_of_drift() {
    let mut e = encoder();
    e.with_audio = false;
    e.send(&[60; 10]);
    e.rate = 29_970;
    e.send(&[60; 1100]);
    let forced = e.packager.counters().forced_cuts;
    assert!((1..=2).contains(&forced), "{forced}");
}

#[test]
fn a_track_that_cannot_be_carried_is_said_once_and_harms_no_other() {
    let mut e = encoder();
    let flac = media::codec::OpaqueConfig {
        kind: media::TrackKind::Audio,
        fourcc: *b"fLaC",
        data: bytes::Bytes::new(),
    };
    let flac = media::Track::new(media::TrackId(9), media::CodecConfig::Opaque(flac));
    let tracks = [video(), flac];
    e.with_audio = false;
    let mut said = 0;
    for _ in 0..5 {
        said += u32::from(e.packager.group(e.rendition, &tracks, e.now).is_err());
        let start = e.now;
        for i in 0..60 {
            let at = start + Span::from_nanos(i * 1_000_000_000 / 30);
            e.wait_until(at);
            e.frame(crate::source::VIDEO, at, i == 0, 900);
        }
        e.wait_until(start + ms(2_000));
    }
    assert_eq!(said, 1);
    assert!(e.packager.snapshot().is_live());
    assert_eq!(e.packager.counters().discontinuities, 0);
}

#[test]
fn a_camera_that_slows_down_at_night_keeps_true_durations() {
    let mut e = encoder();
    e.with_audio = false;
    e.rate = 25_000;
    e.send(&[50; 10]);
    e.rate = 5_000;
    e.send(&[10; 20]);
    let v = media(&e, "v0");
    let complete: Vec<_> = v.segments.iter().filter(|s| s.complete).collect();
    let late = &complete[complete.len() - 8..];
    let sum = late.iter().fold(Span::ZERO, |sum, s| sum + s.duration);
    assert!((sum - ms(16_000)).abs() < ms(300), "{sum:?}");
}

#[test]
fn where_each_frame_is_a_keyframe_parts_are_named_after_their_segments() {
    let sound = |e: &mut Encoder| e.with_video = false;
    let intra = |e: &mut Encoder| e.with_audio = false;
    for (id, shape, gop) in [("a1", sound as fn(&mut Encoder), 60), ("v0", intra, 1)] {
        let mut e = encoder();
        shape(&mut e);
        e.send(&vec![gop; 480 / usize::try_from(gop).unwrap()]);
        let listed = &media(&e, id).segments;
        for s in listed.iter().skip(2).filter(|s| s.complete) {
            let named = s.parts.iter().filter(|p| p.name.segment == s.number);
            assert_eq!(named.count(), s.parts.len(), "{id}_{}", s.number);
        }
        assert!(listed.len() > 6, "{id}");
    }
}
