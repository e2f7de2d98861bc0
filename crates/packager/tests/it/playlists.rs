//! The texts, read back by a parser that is not ours.

use packager::{Config, Form, Packager, Skip};
use quick_m3u8::{HlsLine, Reader, config::ParsingOptions};

use crate::source::{EPOCH, Encoder, ms};

fn live() -> Encoder {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    e.send(&[60; 40]);
    e
}

const LOW_LATENCY: Form = Form {
    low_latency: true,
    skip: Skip::No,
};

pub fn parse(text: &str) -> usize {
    let mut reader = Reader::from_str(text, ParsingOptions::default());
    let mut uris = 0;
    while let Some(line) = reader.read_line().expect("every line parses") {
        assert!(!matches!(line, HlsLine::UnknownTag(_)), "{line:?}");
        uris += usize::from(matches!(line, HlsLine::Uri(_)));
    }
    uris
}

#[test]
fn every_line_is_understood() {
    let e = live();
    let snapshot = e.packager.snapshot();
    for low_latency in [true, false] {
        assert_eq!(parse(&snapshot.multivariant(low_latency).unwrap()), 1);
        for m in &snapshot.media {
            let form = Form {
                low_latency,
                skip: Skip::No,
            };
            let complete = m.segments.iter().filter(|s| s.complete).count();
            assert_eq!(parse(&snapshot.playlist(m, form)), complete);
        }
    }
}

#[test]
fn the_low_latency_face() {
    let e = live();
    let s = e.packager.snapshot();
    let text = s.playlist(s.get("v0").unwrap(), LOW_LATENCY);
    for line in [
        "#EXT-X-VERSION:9",
        "#EXT-X-TARGETDURATION:2",
        "#EXT-X-PART-INF:PART-TARGET=0.21500",
        "PART-HOLD-BACK=0.64500",
        "CAN-SKIP-UNTIL=12.0",
        "HOLD-BACK=6.0",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"v0_",
        "#EXT-X-RENDITION-REPORT:URI=\"a1.m3u8\",LAST-MSN=",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    let parts = text
        .lines()
        .filter(|l| l.starts_with("#EXT-X-PART:"))
        .count();
    assert!(
        (30..=45).contains(&parts),
        "{parts} parts within three targets"
    );
}

#[test]
fn a_delta_update_skips_what_the_full_one_lists() {
    let e = live();
    let s = e.packager.snapshot();
    let v = s.get("v0").unwrap();
    let full = s.playlist(v, LOW_LATENCY);
    let delta = s.playlist(
        v,
        Form {
            low_latency: true,
            skip: Skip::Yes,
        },
    );
    let skip = delta
        .lines()
        .find_map(|l| l.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS="));
    let skipped: usize = skip.unwrap().parse().unwrap();
    assert!(skipped > 10);
    let uris = |t: &str| t.lines().filter(|l| l.ends_with(".m4s")).count();
    assert_eq!(uris(&full), uris(&delta) + skipped);
    let tail = |t: &str| {
        t.lines()
            .rev()
            .take(40)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(tail(&full), tail(&delta));
}

#[test]
fn a_hold_drops_the_hint_and_keeps_the_report() {
    let mut e = live();
    e.absent(ms(5_000));
    let s = e.packager.snapshot();
    let text = s.playlist(s.get("a1").unwrap(), LOW_LATENCY);
    assert!(!text.contains("PRELOAD-HINT"));
    assert!(
        text.lines()
            .last()
            .unwrap()
            .starts_with("#EXT-X-RENDITION-REPORT")
    );
}
