//! The same segments in MPEG-TS: playlists read back by a parser that is not ours, packets by our
//! own demuxer.

use bytes::{Bytes, BytesMut};
use container::ingest::Item;
use container::ts::{Counters, Demux};
use media::codec::Vp9Config;
use media::{CodecConfig, Frame, Track, TrackId};
use packager::ts::{Found, segment};
use packager::{Config, Form, Packager, Skip, Snapshot};

use crate::playlists::parse;
use crate::source::{AUDIO, EPOCH, Encoder, FURTHER, audio, further, ms, other_audio, video};

const CLASSIC: Form = Form {
    low_latency: false,
    skip: Skip::No,
};

fn live(seed: u64) -> Encoder {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    e.seed = seed;
    e.send(&[60; 12]);
    e
}

fn numbers(text: &str, end: &str) -> Vec<u64> {
    let uris = text.lines().filter_map(|l| l.strip_suffix(end));
    uris.map(|l| l.rsplit_once('_').unwrap().1.parse().unwrap())
        .collect()
}

fn made(s: &Snapshot, id: &str, number: u64) -> Bytes {
    match s.in_ts(id, number) {
        Some(Found::Whole(lead, sound)) => segment(&lead, sound.as_deref()).unwrap(),
        other => panic!("{id} {number}: {other:?}"),
    }
}

fn demux(data: Bytes) -> (Vec<Frame>, Counters) {
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    demux.push(data, &mut items);
    demux.flush(&mut items);
    let frame = |item| match item {
        Item::Frame(frame) => Some(frame),
        _ => None,
    };
    (
        items.into_iter().filter_map(frame).collect(),
        demux.counters(),
    )
}

#[test]
fn the_same_segments_by_the_same_numbers() {
    let e = live(1);
    let s = e.packager.snapshot();
    let index = s.ts_multivariant().unwrap();
    assert_eq!(parse(&index), 1);
    assert!(index.contains("\nv0.a1.ts.m3u8\n"), "{index}");
    assert!(!index.contains("EXT-X-MEDIA"), "{index}");
    let text = s.ts_playlist("v0.a1").unwrap();
    parse(&text);
    for bad in ["EXT-X-MAP", "EXT-X-PART", "SERVER-CONTROL", "PRELOAD"] {
        assert!(!text.contains(bad), "{text}");
    }
    let cmaf = s.playlist(s.get("v0").unwrap(), CLASSIC);
    assert_eq!(numbers(&text, ".ts"), numbers(&cmaf, ".m4s"));
    let inf = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|l| l.starts_with("#EXTINF"));
        lines.map(ToOwned::to_owned).collect()
    };
    assert_eq!(inf(&text), inf(&cmaf));
}

#[test]
fn segments_follow_each_other_as_one_stream_with_every_sample() {
    let e = live(1);
    let s = e.packager.snapshot();
    let listed = numbers(&s.ts_playlist("v0.a1").unwrap(), ".ts");
    let mut whole = BytesMut::new();
    for number in &listed {
        let data = made(s, "v0.a1", *number);
        let (alone, counters) = demux(data.clone());
        assert_eq!(counters, Counters::default());
        assert!(
            alone
                .iter()
                .any(|f| f.track == TrackId(0) && f.random_access)
        );
        whole.extend_from_slice(&data);
    }
    let (frames, counters) = demux(whole.freeze());
    assert_eq!(counters, Counters::default(), "no counter tells of a loss");
    for (id, track) in [("v0", TrackId(0)), ("a1", TrackId(1))] {
        let held = listed
            .iter()
            .flat_map(|n| s.segment(id, *n).unwrap().parts.clone());
        let held: Vec<Bytes> = held
            .flat_map(|p| p.buffers.clone())
            .filter(|b| !matches!(b.get(4..8), Some(b"moof" | b"styp")))
            .collect();
        let of = frames.iter().filter(|f| f.track == track);
        let found: Vec<&Frame> = of.collect();
        assert!(found.iter().map(|f| &f.payload).eq(&held), "{id}");
        assert!(found.is_sorted_by(|a, b| a.dts < b.dts), "{id}");
    }
}

#[test]
fn every_node_makes_the_same_bytes() {
    let (a, b) = (live(7), live(7));
    let number = a.packager.snapshot().get("v0").unwrap().segments[3].number;
    let of = |e: &Encoder| made(e.packager.snapshot(), "v0.a1", number);
    assert!(!of(&a).is_empty());
    assert_eq!(of(&a), of(&b));
}

#[test]
fn a_segment_waits_for_its_sound() {
    let mut e = live(1);
    // Pictures alone come on; what stands in for sound is later.
    let (start, mut waited) = (e.now, 0);
    for i in 0..200 {
        let at = start + ms(i * 33);
        e.wait_until(at);
        e.frame(TrackId(0), at, i % 60 == 0, 900);
        let s = e.packager.snapshot();
        let last = |id: &str| s.get(id).unwrap().last_complete().unwrap();
        let (pictures, sound) = (last("v0"), last("a1"));
        let listed = numbers(&s.ts_playlist("v0.a1").unwrap(), ".ts");
        assert_eq!(listed.last(), Some(&pictures.min(sound)));
        assert!(matches!(s.in_ts("v0", pictures), Some(Found::Whole(..))));
        assert!(s.in_ts("v0.a1", pictures + 9).is_none());
        if pictures > sound {
            waited += 1;
            assert!(matches!(s.in_ts("v0.a1", pictures), Some(Found::Waits)));
        }
    }
    assert!(waited > 0);
}

fn named(track: &Track, id: TrackId, language: &str) -> Track {
    Track {
        id,
        language: Some(language.to_owned()),
        ..track.clone()
    }
}

#[test]
fn further_sound_has_segments_of_its_own() {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    let third = TrackId(3);
    let tracks = [
        video(),
        named(&audio(), AUDIO, "en"),
        named(&audio(), third, "de"),
    ];
    e.group(&tracks);
    for i in 0..200 {
        let at = EPOCH + ms(i * 33);
        e.now = at;
        e.frame(TrackId(0), at, i % 30 == 0, 900);
        for sound in [AUDIO, third] {
            e.frame(sound, at, true, 90);
        }
    }
    let s = e.packager.snapshot();
    let index = s.ts_multivariant().unwrap();
    parse(&index);
    for line in [
        "#EXT-X-VERSION:4",
        "NAME=\"en\",DEFAULT=YES,AUTOSELECT=YES,LANGUAGE=\"en\",CHANNELS=\"2\"\n",
        "NAME=\"de\",DEFAULT=NO,AUTOSELECT=YES,LANGUAGE=\"de\",CHANNELS=\"2\",URI=\"a3.ts.m3u8\"\n",
        "AUDIO=\"audio-aac\"",
        "\nv0.a1.ts.m3u8\n",
    ] {
        assert!(index.contains(line), "{line} is missing in\n{index}");
    }
    let number = numbers(&s.ts_playlist("a3").unwrap(), ".ts")[0];
    let (frames, _) = demux(made(s, "a3", number));
    assert!(!frames.is_empty() && frames.iter().all(|f| f.track == TrackId(1)));
}

/// Pictures of two sizes with these sounds, for so many thirtieths of a second.
fn play(e: &mut Encoder, sounds: &[Track], pictures: i64) {
    let mut tracks = vec![video(), further()];
    tracks.extend_from_slice(sounds);
    e.group(&tracks);
    for i in 0..pictures {
        let at = e.now + ms(33);
        e.now = at;
        for pictures in [TrackId(0), FURTHER] {
            e.frame(pictures, at, i % 30 == 0, 900);
        }
        for sound in sounds {
            e.frame(sound.id, at, true, 90);
        }
    }
}

fn two_sounds() -> [Track; 2] {
    [
        named(&audio(), AUDIO, "en"),
        named(&audio(), TrackId(3), "de"),
    ]
}

/// Whether there is a playlist, and a segment of this number.
fn is_there(s: &Snapshot, id: &str, number: u64) -> (bool, bool) {
    (s.ts_playlist(id).is_some(), s.in_ts(id, number).is_some())
}

#[test]
fn what_no_playlist_lists_is_not_made() {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    play(&mut e, &two_sounds(), 300);
    let s = e.packager.snapshot();
    let number = s.get("v0").unwrap().segments[2].number;
    let index = s.ts_multivariant().unwrap();
    for id in ["v0.a1", "v2.a1", "a3", "v0", "a1"] {
        assert_eq!(is_there(s, id, number), (true, true), "{id}");
    }
    for id in [
        "v0.a3", "v2.a3", "v0.v2", "v2.v0", "a1.v0", "a1.a3", "a3.a3",
    ] {
        assert_eq!(is_there(s, id, number), (false, false), "{id}");
        assert!(!index.contains(&format!("\n{id}.ts.m3u8")), "{index}");
    }
}

/// A source goes on with its sounds in another order, and then with one of them alone.
#[test]
fn what_was_listed_is_made_on() {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    let [en, de] = two_sounds();
    play(&mut e, &[en.clone(), de.clone()], 300);
    let old = e.packager.snapshot().get("v0").unwrap().segments[2].number;
    assert_eq!(
        is_there(e.packager.snapshot(), "v0.a3", old),
        (false, false)
    );
    play(&mut e, &[de.clone(), en], 120);
    let s = e.packager.snapshot();
    let index = s.ts_multivariant().unwrap();
    assert!(index.contains("\nv0.a3.ts.m3u8"), "{index}");
    let new = s.get("v0").unwrap().last_complete().unwrap();
    for (id, number) in [("v0.a1", old), ("v0.a1", new), ("v0.a3", new)] {
        assert_eq!(is_there(s, id, number), (true, true), "{id} {number}");
    }
    play(&mut e, &[de], 60);
    let s = e.packager.snapshot();
    assert!(s.get("a1").is_none() && s.segment("a1", old).is_some());
    assert_eq!(is_there(s, "v0.a1", old), (true, true));
    let (frames, _) = demux(made(s, "v0.a1", old));
    assert!(
        frames.iter().any(|f| f.track == TrackId(1)),
        "with its sound"
    );
}

#[test]
fn what_has_no_place_is_left_out() {
    let record = Bytes::from_static(&[1, 0, 0, 0, 0, 10, 0x82, 2, 2, 2, 0, 0]);
    let vp9 = Vp9Config::with_size(record, (640, 360));
    let pictures = Track::new(FURTHER, CodecConfig::Vp9(vp9.unwrap()));
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    for (tracks, fits) in [
        (vec![pictures.clone(), other_audio()], true),
        (vec![pictures], false),
    ] {
        e.group(&tracks);
        for i in 0..200 {
            let at = e.now + ms(33);
            e.now = at;
            e.frame(FURTHER, at, i % 30 == 0, 900);
            if tracks.len() > 1 {
                e.frame(AUDIO, at, true, 90);
            }
        }
        let s = e.packager.snapshot();
        assert!(s.multivariant(false).is_some());
        assert_eq!((s.fits_ts(), s.ts_multivariant().is_some()), (fits, fits));
        if let Some(index) = s.ts_multivariant() {
            assert!(
                index.ends_with("\na1.ts.m3u8\n") && !index.contains("RESOLUTION"),
                "{index}"
            );
        }
    }
}
