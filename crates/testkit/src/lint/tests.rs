//! For each rule something that breaks it, and a run that breaks none.

use std::fmt::Write as _;

use bytes::Bytes;
use container::fmp4;
use media::codec::{AacConfig, H264Config};
use media::{CodecConfig, Timestamp, Track, TrackId};

use super::*;

mod bodies;
mod lists;
mod requests;
mod runs;
mod transport;

const INDEX: &str = "#EXTM3U\n#EXT-X-VERSION:9\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",DEFAULT=YES,AUTOSELECT=YES,URI=\"a1.m3u8\"\n\
    #EXT-X-STREAM-INF:BANDWIDTH=9,AVERAGE-BANDWIDTH=8,CODECS=\"avc1.42c01e,mp4a.40.2\",AUDIO=\"a\"\nv0.m3u8\n";

/// The first segment's number; a segment has ten parts of 200 ms.
const FIRST: u64 = 100;

const fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// A programme that is published part by part, the first at time zero.
#[derive(Clone, Copy)]
struct Live {
    name: char,
    first: u64,
    /// Parts that were published since `FIRST`.
    parts: u64,
    /// Parts by which the other rendition differs.
    other: u64,
    hold: bool,
}

impl Live {
    const fn new(name: char, parts: u64) -> Self {
        Self {
            name,
            first: FIRST,
            parts,
            other: parts,
            hold: false,
        }
    }

    fn id(&self) -> String {
        format!("{}{}", self.name, u8::from(self.name == 'a'))
    }

    fn uri(&self) -> String {
        format!("{}.m3u8", self.id())
    }

    fn segment(&self, out: &mut String, number: u64) {
        let id = self.id();
        let before = (number - FIRST) * 10;
        let ms = (number - FIRST) * 2000;
        let _ = writeln!(
            out,
            "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T02:{:02}:{:02}.000Z",
            ms / 60_000,
            ms / 1000 % 60
        );
        let last = FIRST + self.parts / 10;
        if number + 4 > last {
            for index in 0..10.min(self.parts - before) {
                let independent = if index == 0 || self.name == 'a' {
                    ",INDEPENDENT=YES"
                } else {
                    ""
                };
                let _ = writeln!(
                    out,
                    "#EXT-X-PART:DURATION=0.20000,URI=\"{id}_{number}.{index}.m4s\"{independent}"
                );
            }
        }
        if self.parts - before >= 10 {
            let _ = writeln!(out, "#EXTINF:2.00000,\n{id}_{number}.m4s");
        }
    }

    fn text(&self) -> String {
        let id = self.id();
        let mut out = format!(
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,HOLD-BACK=6.0,PART-HOLD-BACK=0.64500\n\
             #EXT-X-PART-INF:PART-TARGET=0.21500\n#EXT-X-MEDIA-SEQUENCE:{}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"{id}_init.mp4\"\n",
            self.first
        );
        for number in (self.first..).take_while(|n| (n - FIRST) * 10 < self.parts) {
            self.segment(&mut out, number);
        }
        let (number, index) = (FIRST + self.parts / 10, self.parts % 10);
        if !self.hold {
            let _ = writeln!(
                out,
                "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{id}_{number}.{index}.m4s\""
            );
        }
        let other = Self {
            name: if self.name == 'a' { 'v' } else { 'a' },
            ..*self
        };
        let last = self.other.saturating_sub(1);
        let _ = writeln!(
            out,
            "#EXT-X-RENDITION-REPORT:URI=\"{}\",LAST-MSN={},LAST-PART={}",
            other.uri(),
            FIRST + last / 10,
            last % 10
        );
        out
    }
}

fn answer(status: u16, body: impl Into<Bytes>, (sent, last): (i64, i64)) -> Answer {
    Answer {
        status: Some(status),
        headers: vec![("cache-control".to_owned(), "public, max-age=1".to_owned())],
        body: body.into(),
        sent: at(sent),
        first: at(last),
        last: at(last),
        reads: Vec::new(),
        error: None,
    }
}

pub(super) fn header(mut answer: Answer, name: &str, value: &str) -> Answer {
    answer.headers.retain(|(n, _)| n != name);
    answer.headers.push((name.to_owned(), value.to_owned()));
    answer
}

/// A linter that knows of both renditions and has seen `parts` of each, or no playlist at all.
fn watching(parts: u64) -> Linter {
    let mut linter = Linter::default();
    linter.state(at(0), State::NORMAL);
    assert_eq!(
        linter.multivariant("index.m3u8", &answer(200, INDEX, (0, 0))),
        ["a1.m3u8", "v0.m3u8"]
    );
    let ms = i64::try_from(parts).unwrap() * 200;
    for name in ['a', 'v'].into_iter().filter(|_| parts > 0) {
        show(&mut linter, name, &Live::new(name, parts).text(), ms);
    }
    linter
}

fn show(linter: &mut Linter, name: char, text: &str, ms: i64) -> Vec<Wanted> {
    let uri = Live::new(name, 0).uri();
    linter.playlist(
        &uri,
        Directives::default(),
        &answer(200, text.to_owned(), (ms - 150, ms)),
    )
}

/// Rules that were broken, each once, in the checklist's order.
fn broken(linter: Linter, now: i64) -> Vec<Rule> {
    let report = linter.finish(at(now));
    let mut rules: Vec<_> = report.violations.iter().map(|v| v.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// What is broken where the video playlist reads like this and nothing came before.
fn alone(edit: impl FnOnce(String) -> String) -> Vec<Rule> {
    let text = edit(Live::new('v', 42).text());
    let mut linter = watching(0);
    show(&mut linter, 'v', &text, 8_400);
    broken(linter, 8_500)
}

/// What is broken where the video playlist goes from 42 parts to this.
fn after(edit: impl FnOnce(String) -> String) -> Vec<Rule> {
    let mut linter = watching(42);
    show(&mut linter, 'v', &edit(Live::new('v', 43).text()), 8_600);
    broken(linter, 8_650)
}

fn edit(from: &str, to: &str) -> impl FnOnce(String) -> String {
    let (from, to) = (from.to_owned(), to.to_owned());
    move |text| {
        assert!(text.contains(&from), "{from} is not in\n{text}");
        text.replace(&from, &to)
    }
}

pub(super) fn video() -> Track {
    const AVCC: &str =
        "0142c01effe100196742c01eda0280bfe5c044000003000400000300f03c58ba8001000468ce0fc8";
    let digit = |i: usize| u8::from_str_radix(&AVCC[i..i + 2], 16).unwrap();
    let record: Vec<u8> = (0..AVCC.len()).step_by(2).map(digit).collect();
    Track::new(
        TrackId(0),
        CodecConfig::H264(H264Config::parse(record.into()).unwrap()),
    )
}

pub(super) fn audio() -> Track {
    let config = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap();
    Track::new(TrackId(1), CodecConfig::Aac(config))
}
