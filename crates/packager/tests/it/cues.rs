//! Cues of the source are date ranges of every playlist, and sections in MPEG-TS.

use bytes::Bytes;
use media::codec::{OpaqueConfig, data};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId, TrackKind};
use packager::ts::{Found, segment};
use packager::{Config, Form, Packager, Skip, Snapshot};

use crate::playlists::parse;
use crate::source::{EPOCH, Encoder, audio, ms, video};

const CUES: TrackId = TrackId(0x4000);
/// SCTE 35 14.1: a placement opportunity of 307 s, event 0x4800008e.
const SIGNAL: &str = "fc3034000000000000fffff00506fe72bd0050001e021c435545494800008e7fcf0001a599b00808000000002ca0a18a3402009ac9d17e";
/// 14.3: its end.
const END: &str = "fc302f000000000000fffff00506fe746290a000190217435545494800008e7f9f0808000000002ca0a18a350200a9cc6758";

fn bytes(hex: &str) -> Bytes {
    let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let bytes = (0..hex.len()).step_by(2).map(digit);
    bytes.collect::<Vec<_>>().into()
}

fn cue_track() -> Track {
    let config = OpaqueConfig {
        kind: TrackKind::Data,
        fourcc: data::SCTE35,
        data: Bytes::new(),
    };
    Track::new(CUES, CodecConfig::Opaque(config))
}

fn cue(e: &mut Encoder, hex: &str, dts: Timestamp, pts: Timestamp) {
    let frame = Frame {
        track: CUES,
        dts,
        pts,
        duration: None,
        random_access: true,
        leading: false,
        payload: bytes(hex),
    };
    e.packager.frame(e.rendition, frame, e.now);
}

/// Pictures and sound up to there, from the `from`th picture on.
fn play(e: &mut Encoder, from: i64, to: i64) {
    for i in from..to {
        let at = EPOCH + ms(i * 40);
        e.now = at;
        e.frame(TrackId(0), at, i % 50 == 0, 900);
        e.frame(TrackId(1), at, true, 90);
    }
}

fn ranges(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|l| l.starts_with("#EXT-X-DATERANGE"));
    lines.map(ToOwned::to_owned).collect()
}

/// The same in every playlist, whole and in part.
fn told(s: &Snapshot) -> Vec<String> {
    let found = ranges(&s.ts_playlist("v0.a1").unwrap());
    for m in &s.media {
        for (low_latency, skip) in [(true, Skip::No), (true, Skip::Yes), (false, Skip::No)] {
            let text = s.playlist(m, Form { low_latency, skip });
            parse(&text);
            assert_eq!(ranges(&text), found);
        }
    }
    found
}

#[test]
fn a_break_begins_and_ends_in_every_playlist() {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    e.group(&[video(), audio(), cue_track()]);
    play(&mut e, 0, 320);
    assert_eq!(told(e.packager.snapshot()), Vec::<String>::new());
    let (now, at) = (e.now, e.now + Span::from_secs(4));
    let version = e.packager.snapshot().version;
    cue(&mut e, SIGNAL, now, at);
    assert!(e.packager.snapshot().version > version, "told at once");
    let begun = told(e.packager.snapshot());
    let out = format!("SCTE35-OUT=0x{}", SIGNAL.to_uppercase());
    let id = format!("ID=\"4800008e-{}\"", at.as_millis());
    for part in [
        out.as_str(),
        &id,
        "PLANNED-DURATION=307.00000",
        "START-DATE=\"2026-",
    ] {
        assert!(begun[0].contains(part), "{part}: {begun:?}");
    }
    // Encoders say it again.
    play(&mut e, 320, 330);
    let again = e.now;
    cue(&mut e, SIGNAL, again, at + ms(1));
    assert_eq!(told(e.packager.snapshot()), begun);
    play(&mut e, 330, 800);
    let (now, end) = (e.now, at + Span::from_secs(15));
    cue(&mut e, END, now, end);
    let ended = told(e.packager.snapshot());
    assert_eq!(ended.len(), 1);
    let inn = format!(",SCTE35-IN=0x{}", END.to_uppercase());
    assert!(
        ended[0].ends_with(&inn) && ended[0].contains("DURATION=15.00000"),
        "{ended:?}"
    );
    // What was told of it stays as it was.
    let mut attributes = begun[0].split(',');
    assert!(
        attributes.all(|a| ended[0].contains(a)),
        "{begun:?} {ended:?}"
    );
    // It goes with the segments that it lies in.
    play(&mut e, 800, 2_800);
    assert_eq!(told(e.packager.snapshot()), Vec::<String>::new());
}

#[test]
fn segments_of_mpeg_ts_have_the_sections_of_their_time() {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    e.group(&[video(), audio(), cue_track()]);
    play(&mut e, 0, 320);
    let (now, at) = (e.now, e.now + Span::from_secs(4));
    cue(&mut e, SIGNAL, now, at);
    play(&mut e, 320, 450);
    let s = e.packager.snapshot();
    let mut with = 0;
    for listed in s.get("v0").unwrap().segments.iter().filter(|s| s.complete) {
        let Some(Found::Whole(lead, sound)) = s.in_ts("v0.a1", listed.number) else {
            continue;
        };
        let cues = lead.cues.as_ref().map_or(0, Vec::len);
        let data = segment(&lead, sound.as_deref()).unwrap();
        // The section's event and type, whatever time it is moved to.
        let event = bytes("435545494800008e7f");
        let found = data.windows(event.len()).filter(|w| **w == event).count();
        assert_eq!(found, cues);
        with += cues;
    }
    assert_eq!(with, 1);
}
