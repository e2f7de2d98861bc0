//! Further video tracks: listed where their keyframes lie where the first one's do.

use media::{Span, Timestamp};
use packager::{Config, Packager, RenditionId};

use crate::source::{AUDIO, EPOCH, Encoder, VIDEO, further, ms};

fn encoder(after: i64) -> Encoder {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    e.further = Some(after);
    e
}

fn starts(e: &Encoder, id: &str) -> Vec<(u64, i64, bool)> {
    let media = e.packager.snapshot().get(id).expect("is listed").clone();
    let complete = media.segments.iter().filter(|s| s.complete);
    complete
        .map(|s| (s.number, s.start.as_millis(), s.independent))
        .collect()
}

/// The same segments, but for what rounding to ticks moves.
fn same(first: &[(u64, i64, bool)], second: &[(u64, i64, bool)]) {
    assert_eq!(first.len(), second.len());
    for (a, b) in first.iter().zip(second) {
        let same = (a.0, a.2) == (b.0, b.2) && (a.1 - b.1).abs() <= 2;
        assert!(same, "{a:?} {b:?}");
    }
}

fn variants(e: &Encoder) -> String {
    e.packager.snapshot().multivariant(true).unwrap()
}

#[test]
fn aligned_tracks_are_cut_at_the_same_keyframes() {
    for further_first in [false, true] {
        let mut e = encoder(0);
        e.further_first = further_first;
        e.send(&[60; 12]);
        let (first, second) = (starts(&e, "v0"), starts(&e, "v2"));
        same(&first[1..], &second[1..]);
        assert!(first.len() >= 10 && second.iter().all(|s| s.2));
        let text = variants(&e);
        assert!(text.contains("#EXT-X-INDEPENDENT-SEGMENTS"), "{text}");
        for uri in ["\nv0.m3u8", "\nv2.m3u8"] {
            assert!(text.contains(uri), "{text}");
        }
        assert_eq!(text.matches("AUDIO=\"audio-aac\"").count(), 2, "{text}");
    }
}

#[test]
fn a_track_with_other_keyframes_is_not_listed() {
    for after in [1, 20, 59] {
        let mut e = encoder(after);
        e.send(&[60; 12]);
        assert_eq!(starts(&e, "v0").len(), 11);
        let text = variants(&e);
        assert!(!text.contains("v2"), "{text}");
        assert!(text.contains("#EXT-X-INDEPENDENT-SEGMENTS"), "{text}");
        assert!(e.packager.counters().unaligned >= 10);
        assert_eq!(e.packager.counters().forced_cuts, 0);
    }
}

/// As a ladder begins: with the first picture there is, and on its grid of keyframes from then on.
#[test]
fn a_keyframe_a_moment_after_the_first_one_is_followed() {
    let before = |segment, gop| (1..gop).map(move |first| (segment, gop, first));
    let all = before(1000, 30)
        .chain(before(2000, 30))
        .chain(before(2000, 60));
    for (segment, gop, first) in all {
        let config = Config {
            segment: ms(segment),
            ..Config::default()
        };
        let mut e = Encoder::new(Packager::new(config, None, EPOCH));
        e.further = Some(0);
        let grid = EPOCH.as_millis() / 2000 * 2000 + 2000;
        e.now = Timestamp::from_millis(grid - first * 1000 / 30);
        e.send(&[first]);
        e.packager.splice(e.rendition);
        e.send(&[gop; 12]);
        let case = format!("{first} pictures before GOPs of {gop}, segments of {segment} ms");
        let counted = e.packager.counters();
        assert_eq!((counted.unaligned, counted.forced_cuts), (0, 0), "{case}");
        let (first, second) = (starts(&e, "v0"), starts(&e, "v2"));
        same(&first[1..], &second[1..]);
        assert!(first.iter().chain(&second).all(|s| s.2), "{case}");
        let last = first.last().unwrap();
        let off = (last.1 - grid + 2) % (gop * 1000 / 30) - 2;
        assert!(off.abs() <= 2, "{case}: {off} ms off");
    }
}

#[test]
fn a_track_that_loses_its_alignment_leaves_and_comes_back() {
    let mut e = encoder(0);
    e.send(&[60; 5]);
    assert!(variants(&e).contains("v2.m3u8"));
    let before = starts(&e, "v2").last().unwrap().0;
    e.further = Some(7);
    e.send(&[60; 3]);
    assert!(!variants(&e).contains("v2.m3u8"));
    assert_eq!(e.packager.counters().unaligned, 3);
    e.further = Some(0);
    e.send(&[60; 3]);
    let (first, back) = (starts(&e, "v0"), starts(&e, "v2"));
    assert!(back[0].0 > before && back.iter().all(|s| s.2));
    same(&first[first.len() - back.len()..], &back);
}

#[test]
fn both_follow_where_the_first_has_no_keyframe_in_time() {
    let mut e = encoder(0);
    e.send(&[60, 60, 60, 600, 60, 60]);
    assert!(e.packager.counters().forced_cuts >= 3);
    let (first, second) = (starts(&e, "v0"), starts(&e, "v2"));
    same(&first[1..], &second[1..]);
    assert!(second.iter().any(|s| !s.2));
    assert!(!variants(&e).contains("INDEPENDENT"));
}

#[test]
fn an_absence_ends_and_begins_both() {
    let mut e = encoder(0);
    e.send(&[60; 4]);
    e.absent(ms(7_000));
    e.send(&[60; 4]);
    let (first, second) = (starts(&e, "v0"), starts(&e, "v2"));
    same(&first, &second);
    assert_eq!(e.packager.counters().unaligned, 0);
}

/// Sends a tenth of a second of pictures and sound, a keyframe every two seconds.
fn send_tenth(e: &mut Encoder, rendition: RenditionId, (begin, tenth): (Timestamp, i64)) {
    e.rendition = rendition;
    let at = begin + ms(tenth * 100);
    for n in 0..3 {
        e.frame(VIDEO, at + ms(n * 33), tenth % 20 == 0 && n == 0, 300);
    }
    let sound = (tenth * 75 / 16 - 1..).map(|n| begin + ms(n * 64 / 3));
    let due = sound
        .skip_while(|a| *a < at)
        .take_while(|a| *a < at + ms(100));
    for at in due {
        e.frame(AUDIO, at, true, 90);
    }
}

/// Sends the same to each of these, in real time.
fn send_all(e: &mut Encoder, renditions: &[RenditionId], seconds: i64) {
    let (begin, tracks) = (e.now, e.tracks());
    for rendition in renditions {
        e.rendition = *rendition;
        e.group(&tracks);
    }
    for tenth in 0..seconds * 10 {
        e.wait_until(begin + ms(tenth * 100));
        for rendition in renditions {
            send_tenth(e, *rendition, (begin, tenth));
        }
    }
    e.wait_until(begin + ms(seconds * 1_000));
}

/// Encoders of different rungs are not equally fast.
#[test]
fn the_others_go_on_where_the_first_rendition_goes() {
    for (ahead, gone) in [(0, 178), (0, 180), (3, 178), (3, 181), (-3, 181), (-3, 178)] {
        let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
        e.now = Timestamp::from_millis(EPOCH.as_millis() / 2000 * 2000);
        let (begin, tracks, high) = (e.now, e.tracks(), e.rendition);
        let low = e.packager.add_rendition("low");
        for rendition in [high, low] {
            e.rendition = rendition;
            e.group(&tracks);
        }
        let mut before = None;
        for tenth in 0..320 {
            e.wait_until(begin + ms((tenth + 10) * 100));
            if tenth == gone {
                before = Some(e.packager.snapshot().clone());
                e.packager.remove_rendition(high);
            }
            if tenth < gone {
                send_tenth(&mut e, high, (begin, tenth));
            }
            if tenth == 0 {
                (0..ahead).for_each(|tenth| send_tenth(&mut e, low, (begin, tenth)));
            }
            if tenth + ahead >= 0 {
                send_tenth(&mut e, low, (begin, tenth + ahead));
            }
        }
        let (case, before) = (format!("{ahead} ahead, gone at {gone}"), before.unwrap());
        assert!(e.packager.snapshot().get("v0").is_none());
        for id in ["v0-low", "a1"] {
            let now = e.packager.snapshot().get(id).unwrap();
            let then = before.get(id).unwrap();
            let first = now.segments[0].number;
            assert_eq!(first, then.segments[0].number, "{id} goes on: {case}");
            let complete = now.segments.iter().filter(|s| s.complete);
            let spans: Vec<_> = complete.map(|s| (s.start, s.start + s.duration)).collect();
            assert!(spans.len() >= 13, "{id}: {case}");
            // Sound that came with the first one alone is silence then.
            let missing = if id == "a1" {
                ms(ahead.max(0) * 100)
            } else {
                Span::ZERO
            };
            for pair in spans.windows(2) {
                let seam = (pair[1].0 - pair[0].1).abs();
                assert!(seam <= ms(2), "{id}: {pair:?}: {case}");
                let long = (pair[0].1 - pair[0].0 - ms(2_000)).abs();
                assert!(long <= ms(35) + missing, "{id}: {pair:?}: {case}");
            }
        }
        let counted = e.packager.counters();
        let none = (
            counted.discontinuities,
            counted.forced_cuts,
            counted.unaligned,
        );
        assert_eq!(none, (0, 0, 0), "{case}");
    }
}

#[test]
fn players_keep_what_they_have_until_the_next_rendition_is_listed() {
    // Its tracks may be known already, or not.
    for told in [true, false] {
        let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
        e.now = Timestamp::from_millis(EPOCH.as_millis() / 2000 * 2000);
        let high = e.rendition;
        send_all(&mut e, &[high], 16);
        let low = e.packager.add_rendition("low");
        let tracks = e.tracks();
        e.rendition = low;
        if told {
            e.group(&tracks);
        }
        e.packager.remove_rendition(high);
        let uris = |e: &Encoder| {
            let text = variants(e);
            let uris = text.lines().filter(|l| !l.starts_with('#'));
            uris.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(uris(&e), ["v0.m3u8"], "sound alone is no presentation");
        if told {
            send_all(&mut e, &[low], 8);
            assert_eq!(uris(&e), ["v0-low.m3u8"]);
        }
    }
}

#[test]
fn a_rendition_that_comes_later_disturbs_none() {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    let high = e.rendition;
    send_all(&mut e, &[high], 16);
    let low = e.packager.add_rendition("low");
    send_all(&mut e, &[high, low], 16);
    let snapshot = e.packager.snapshot();
    for id in ["v0", "a1", "v0-low"] {
        let media = snapshot.get(id).unwrap();
        assert!(media.segments.iter().all(|s| !s.discontinuity), "{id}");
    }
    assert_eq!(e.packager.counters().discontinuities, 0);
    let (old, new) = (starts(&e, "v0"), starts(&e, "v0-low"));
    assert!(new.len() >= 6);
    same(&old[old.len() - new.len()..], &new);
}

#[test]
fn variants_are_in_the_order_that_is_told() {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    let high = e.rendition;
    let low = e.packager.add_rendition("low");
    send_all(&mut e, &[high, low], 6);
    let order = |e: &Encoder| {
        let text = variants(e);
        let uris = text.lines().filter(|l| l.starts_with('v'));
        uris.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(order(&e), ["v0.m3u8", "v0-low.m3u8"]);
    e.packager.arrange(&[low, high]);
    assert_eq!(order(&e), ["v0-low.m3u8", "v0.m3u8"]);
    let first = &e.packager.snapshot().media[0];
    assert_eq!(first.id, "v0", "which leads is not asked");
}

#[test]
fn a_name_is_taken_without_a_cut() {
    let mut e = encoder(0);
    e.send(&[60; 4]);
    let mut tracks = e.tracks();
    tracks[1].language = Some("eng".to_owned());
    tracks.push(media::Track {
        id: media::TrackId(3),
        ..tracks[1].clone()
    });
    assert_eq!(tracks[2], further());
    e.group(&tracks[..3]);
    e.group(&tracks);
    let name = |e: &Encoder| {
        e.packager
            .snapshot()
            .get("a1")
            .unwrap()
            .track
            .language
            .clone()
    };
    assert_eq!(name(&e).as_deref(), Some("eng"));
    assert_eq!(e.packager.counters().discontinuities, 0);
}
