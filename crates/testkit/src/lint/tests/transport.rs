//! Segments in MPEG-TS.

use bytes::BytesMut;
use container::ts::Mux;
use media::{Frame, Span};

use super::*;

const INDEX: &str = "#EXTM3U\n#EXT-X-VERSION:3\n\
    #EXT-X-STREAM-INF:BANDWIDTH=9,AVERAGE-BANDWIDTH=8,CODECS=\"avc1.42c01e,mp4a.40.2\"\nv0.a1.ts.m3u8\n";
const LIST: &str = "v0.a1.ts.m3u8";
/// 2026-11-21T02:00:00Z.
const ZERO: Timestamp = Timestamp::from_millis(1_795_226_400_000);

/// Two seconds of pictures and sound from so many milliseconds on.
fn frames(from: i64) -> Vec<Frame> {
    let frame = |track: u16, nanos: i64, key: bool| {
        let at = ZERO + Span::from_millis(from) + Span::from_nanos(nanos);
        Frame {
            track: TrackId(track),
            dts: at,
            pts: at,
            duration: None,
            random_access: key || track == 1,
            leading: false,
            payload: Bytes::from(vec![0, 0, 0, 2, if key { 0x65 } else { 0x41 }, 7]),
        }
    };
    let pictures = (0..50).map(|i| frame(0, i * 40_000_000, i == 0));
    let sound = (0..100).map(|i| frame(1, i * 20_000_000, false));
    let mut all: Vec<_> = pictures.chain(sound).collect();
    all.sort_by_key(|f| f.dts);
    all
}

fn muxed(frames: &[Frame]) -> Bytes {
    let (mut mux, mut out) = (Mux::new(), BytesMut::new());
    mux.tracks(&[video(), audio()]);
    mux.segment(frames.iter(), &mut out);
    out.freeze()
}

fn good(number: u64) -> Bytes {
    muxed(&frames(i64::try_from(number - FIRST).unwrap() * 2_000))
}

fn list(count: u64) -> String {
    let mut out = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{FIRST}\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-INDEPENDENT-SEGMENTS\n"
    );
    for n in 0..count {
        let _ = writeln!(
            out,
            "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T02:00:{:02}.000Z\n#EXTINF:2.00000,\nv0.a1_{}.ts",
            n * 2,
            FIRST + n
        );
    }
    out
}

/// What is broken where these are the segments, the last of which comes first.
fn judged(text: &str, segments: &[Bytes]) -> Vec<Rule> {
    let mut linter = Linter::default();
    linter.state(at(0), State::NORMAL);
    linter.multivariant("ts.m3u8", &answer(200, INDEX, (0, 0)));
    let asked = Directives::default();
    let wanted = linter.playlist(LIST, asked, &answer(200, text.to_owned(), (0, 10)));
    assert_eq!((wanted.len(), linter.next(LIST)), (segments.len(), None));
    for (wanted, body) in wanted.iter().zip(segments).rev() {
        assert_eq!(wanted.what, What::Segment);
        let cached = header(
            answer(200, body.clone(), (20, 30)),
            "cache-control",
            "max-age=3600, immutable",
        );
        linter.body(wanted, &cached);
    }
    broken(linter, 40)
}

fn three() -> Vec<Bytes> {
    (FIRST..FIRST + 3).map(good).collect()
}

/// The second one of three is this instead.
fn second(bytes: impl Into<Bytes>) -> Vec<Rule> {
    let mut all = three();
    all[1] = bytes.into();
    judged(&list(3), &all)
}

#[test]
fn good_segments() {
    assert_eq!(judged(&list(3), &three()), []);
}

#[test]
fn packets() {
    let good = good(FIRST + 1);
    assert_eq!(second(good.slice(..good.len() - 1)), [Rule::Ts], "cut off");
    assert!(
        second(good.slice(376..)).contains(&Rule::Ts),
        "without tables"
    );
    let hole = [&good[..376], &good[564..]].concat();
    assert!(second(hole).contains(&Rule::Ts), "a packet is missing");
    let mut leap = good.to_vec();
    leap.chunks_mut(188)
        .for_each(|p| p[3] = p[3] & 0xf0 | (p[3] + 1) & 0x0f);
    assert_eq!(second(leap), [Rule::Ts], "counts on from another end");
}

#[test]
fn times() {
    let mut cut = frames(2_000);
    cut[0].random_access = false;
    cut[0].payload = Bytes::from_static(&[0, 0, 0, 2, 0x41, 7]);
    assert!(second(muxed(&cut)).contains(&Rule::Independent));
    assert_eq!(second(muxed(&frames(2_100))), [Rule::Clock]);
    let short: Vec<_> = frames(2_000).into_iter().take(120).collect();
    assert_eq!(second(muxed(&short)), [Rule::Clock, Rule::Ts]);
    let late = list(3).replace("02:00:02.000", "02:00:02.005");
    assert_eq!(judged(&late, &three()), [Rule::Clock]);
}

#[test]
fn a_discontinuity_begins_anew() {
    let told = list(3).replacen(
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T02:00:02",
        "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-11-21T02:00:02",
        1,
    );
    let all = [
        good(FIRST),
        muxed(&frames(500_000)),
        muxed(&frames(502_000)),
    ];
    assert_eq!(judged(&told, &all), []);
    assert_eq!(judged(&list(3), &all), [Rule::Clock]);
}
