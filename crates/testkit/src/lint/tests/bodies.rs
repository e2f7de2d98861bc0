//! Rules over bytes.

use container::fmp4::{Sample, chunk_header};

use super::*;

/// Six frames of 30 per second from `tick` on, the first of which may be a keyframe.
fn part(tick: u64, keyframe: bool) -> Bytes {
    frames(tick, keyframe, 6)
}

fn frames(tick: u64, keyframe: bool, count: usize) -> Bytes {
    let sample = |i| Sample {
        size: 10,
        duration: 3_000,
        composition: 0,
        random_access: keyframe && i == 0,
    };
    let samples: Vec<_> = (0..count).map(sample).collect();
    let mut bytes = chunk_header(1, tick, &samples, None).to_vec();
    bytes.extend(tick.to_be_bytes().into_iter().cycle().take(10 * count));
    bytes.into()
}

/// Programme time zero of these tests, in ticks: 2026-11-21T02:00:00Z.
const ZERO: u64 = 1_795_226_400 * 90_000;

fn media(body: Bytes) -> Answer {
    header(
        answer(200, body, (1, 2)),
        "cache-control",
        "max-age=3600, immutable",
    )
}

fn wanted(uri: &str, what: What) -> Wanted {
    Wanted {
        playlist: "v0.m3u8".to_owned(),
        uri: uri.to_owned(),
        what,
        since: at(0),
    }
}

/// A linter that saw the video playlist with `parts` and has its init section.
fn with_init(parts: u64) -> Linter {
    let mut linter = watching(0);
    show(&mut linter, 'v', &Live::new('v', parts).text(), 0);
    let init = fmp4::init_segment(&video()).unwrap();
    linter.body(&wanted("v0_init.mp4", What::Init), &media(init));
    linter
}

fn feed(linter: &mut Linter, index: u64, body: Bytes) {
    let uri = format!("v0_100.{index}.m4s");
    linter.body(&wanted(&uri, What::Part), &media(body));
}

fn good(index: u64) -> Bytes {
    part(ZERO + index * 18_000, index == 0)
}

fn feed_segment(linter: &mut Linter) {
    let parts: Vec<_> = (0..10).map(good).collect();
    for (index, body) in (0..).zip(&parts) {
        feed(linter, index, body.clone());
    }
    linter.body(
        &wanted("v0_100.m4s", What::Segment),
        &media(parts.concat().into()),
    );
}

#[test]
fn a_good_segment() {
    let mut linter = with_init(10);
    feed_segment(&mut linter);
    assert_eq!(broken(linter, 10), []);
}

#[test]
fn audio_inits_are_read_too() {
    assert!(
        super::super::bodies::Init::read(&fmp4::init_segment(&audio()).unwrap())
            .is_some_and(|i| i.timescale == 48_000)
    );
}

#[test]
fn h5_the_tag_tells_the_duration() {
    let mut linter = with_init(10);
    feed(&mut linter, 0, frames(ZERO, true, 5));
    assert_eq!(broken(linter, 10), [Rule::H5]);
}

#[test]
fn h7_a_segment_is_its_parts() {
    for wrong in [
        (0..10).rev().map(good).collect::<Vec<_>>(),
        (0..9).map(good).collect(),
        (0..10)
            .map(good)
            .chain([Bytes::from_static(b"more")])
            .collect(),
    ] {
        let mut linter = with_init(10);
        (0..10).for_each(|i| feed(&mut linter, i, good(i)));
        linter.body(
            &wanted("v0_100.m4s", What::Segment),
            &media(wrong.concat().into()),
        );
        let found = broken(linter, 10);
        assert!(found.contains(&Rule::H7), "{found:?}");
    }
    let mut linter = with_init(10);
    feed(
        &mut linter,
        0,
        Bytes::from_static(b"\0\0\0\x10moofxxxxyyyy"),
    );
    assert!(broken(linter, 10).contains(&Rule::H7), "no chunk at all");
}

#[test]
fn h8_and_h30_what_is_listed_is_there() {
    let mut linter = with_init(10);
    linter.body(
        &wanted("v0_100.0.m4s", What::Part),
        &answer(404, "", (1, 2)),
    );
    assert_eq!(broken(linter, 10), [Rule::H8, Rule::H30]);
    let mut linter = with_init(10);
    linter.body(&wanted("v0_100.m4s", What::Again), &answer(404, "", (1, 2)));
    assert_eq!(broken(linter, 10), [Rule::H8, Rule::H30]);
}

#[test]
fn h8_what_left_the_list_is_asked_for_again() {
    let mut linter = watching(42);
    let next = Live {
        first: 101,
        ..Live::new('v', 52)
    }
    .text();
    show(&mut linter, 'v', &next, 10_400);
    assert_eq!(linter.due(at(15_900)), []);
    let again = linter.due(at(16_100));
    let uris: Vec<_> = again.iter().map(|w| w.uri.as_str()).collect();
    assert!(
        uris.contains(&"v0_100.m4s") && uris.contains(&"v0_101.9.m4s"),
        "{uris:?}"
    );
    assert!(
        again
            .iter()
            .all(|w| w.what == What::Again && w.since == at(8_400))
    );
}

#[test]
fn h19_hints() {
    let go = |edit: fn(&mut Answer)| {
        let mut linter = watching(42);
        let mut answer = media(good(2));
        (answer.first, answer.last) = (at(8_600), at(8_601));
        edit(&mut answer);
        linter.body(&wanted("v0_104.2.m4s", What::Hint), &answer);
        show(&mut linter, 'v', &Live::new('v', 43).text(), 8_600);
        broken(linter, 8_650)
    };
    assert_eq!(go(|_| ()), []);
    assert_eq!(go(|a| a.first = at(8_450)), [Rule::H19], "dripped");
    assert_eq!(
        go(|a| a.status = Some(404)),
        [Rule::H19],
        "refused, then listed"
    );
    assert_eq!(go(|a| a.status = Some(500)), [Rule::H19, Rule::H20]);
}

#[test]
fn h22_marks() {
    let mut linter = with_init(10);
    feed(&mut linter, 0, part(ZERO, false));
    assert_eq!(broken(linter, 10), [Rule::H22]);
    let mut linter = with_init(10);
    feed(&mut linter, 0, good(0));
    feed(&mut linter, 1, part(ZERO + 18_000, true));
    assert_eq!(broken(linter, 10), [Rule::H22]);
}

#[test]
fn independent_segments() {
    let mut linter = with_init(10);
    let parts: Vec<_> = (0..10).map(|i| part(ZERO + i * 18_000, false)).collect();
    (0..)
        .zip(&parts)
        .for_each(|(i, p)| feed(&mut linter, i, p.clone()));
    linter.body(
        &wanted("v0_100.m4s", What::Segment),
        &media(parts.concat().into()),
    );
    let found = broken(linter, 10);
    assert!(found.contains(&Rule::Independent), "{found:?}");
}

#[test]
fn decode_times() {
    for tick in [ZERO + 18_000 + 4_000, ZERO + 18_000 - 4_000, ZERO] {
        let mut linter = with_init(10);
        feed(&mut linter, 0, good(0));
        feed(&mut linter, 1, part(tick, false));
        assert_eq!(broken(linter, 10), [Rule::Clock], "{tick}");
    }
}

#[test]
fn dates_agree_with_samples() {
    let mut linter = with_init(20);
    feed_segment(&mut linter);
    let late = part(ZERO + 180_000 + 300, true);
    linter.body(&wanted("v0_101.0.m4s", What::Part), &media(late));
    assert_eq!(broken(linter, 10), [Rule::Clock]);
}

#[test]
fn one_uri_one_content() {
    let mut linter = with_init(10);
    feed_segment(&mut linter);
    let other = header(media(Bytes::from_static(b"other")), "x", "y");
    linter.body(&wanted("v0_100.m4s", What::Again), &other);
    assert_eq!(broken(linter, 10), [Rule::Reuse]);
}
