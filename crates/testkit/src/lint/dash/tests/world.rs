//! A server and its programme: pictures and sound since 1970, in chunks of 100 ms, by a clock that
//! is told.

use std::fmt::Write as _;

use bytes::Bytes;
use media::{Span, Timestamp};

use super::programme::{Chunk, FILLER, init, pictures, sound};
use super::{Mode, Wanted, What, at};
use crate::lint::Answer;
use crate::lint::tests::header;

/// Time zero of the run: 2026-11-21T02:00:00Z.
pub(super) const ZERO: Timestamp = Timestamp::from_millis(1_795_226_400_000);
/// The number that begins then; a segment lasts two seconds.
pub(super) const FIRST: u64 = 897_613_200;
/// How long after its media a chunk is sent.
const DELAY: i64 = 20;
/// Of the time shift buffer, in numbers.
const WINDOW: i64 = 5;

type EditText = Box<dyn Fn(i64, String) -> String>;
type EditAnswer = Box<dyn Fn(&Wanted, &mut Answer)>;

pub(super) struct World {
    pub(super) mode: Mode,
    /// Without media: from here to there, in milliseconds, where a segment begins.
    pub(super) hole: Option<(i64, i64)>,
    /// The number from which on another initialisation is needed; less `FIRST`.
    pub(super) switch: Option<u64>,
    /// Between these times nobody answers; numbers that began in between never come.
    pub(super) away: Option<(i64, i64)>,
    /// How many of its frames sound begins behind pictures.
    pub(super) apart: u64,
    pub(super) text: EditText,
    /// The classic face of a low-latency MPD, where that is another one.
    pub(super) classic: EditText,
    pub(super) answer: EditAnswer,
}

impl Default for World {
    fn default() -> Self {
        Self {
            mode: Mode::Low,
            hole: None,
            switch: None,
            away: None,
            apart: 0,
            text: Box::new(|_, text| text),
            classic: Box::new(|_, text| text),
            answer: Box::new(|_, _| ()),
        }
    }
}

impl World {
    pub(super) fn classic() -> Self {
        Self {
            mode: Mode::Classic,
            ..Self::default()
        }
    }

    /// Every MPD with something else in it.
    pub(super) fn told(self, from: &str, to: &str) -> Self {
        self.told_from(0, from, to)
    }

    /// The same from some millisecond on, at which it is published.
    pub(super) fn told_from(mut self, ms: i64, from: &str, to: &str) -> Self {
        let (from, to) = (from.to_owned(), to.to_owned());
        let edit = move |now, text: String| {
            let edited = now >= ms && text.contains(&from);
            if edited {
                published(&text, ms).replace(&from, &to)
            } else {
                text
            }
        };
        self.classic = Box::new(edit.clone());
        self.text_at(move |now, text| {
            let edited = edit(now, text.clone());
            assert!(now < ms || edited != text, "nothing to edit in\n{text}");
            edited
        })
    }

    pub(super) fn text(self, edit: impl Fn(String) -> String + 'static) -> Self {
        self.text_at(move |_, text| edit(text))
    }

    /// MPDs that are other ones, by the millisecond in which they are answered.
    pub(super) fn text_at(mut self, edit: impl Fn(i64, String) -> String + 'static) -> Self {
        self.text = Box::new(edit);
        self
    }

    /// Answers that are other ones.
    pub(super) fn answered(mut self, edit: impl Fn(&Wanted, &mut Answer) + 'static) -> Self {
        self.answer = Box::new(edit);
        self
    }

    pub(super) fn answer(&self, wanted: &Wanted, sent: Timestamp) -> Answer {
        let mut answer = self.plain(wanted, sent);
        if self.away.is_some_and(|(from, to)| {
            let gone = at(from) <= sent && sent < at(to);
            gone || sent < at(from) && answer.last > at(from)
        }) {
            let cut = sent.max(at(self.away.map_or(0, |(from, _)| from))) + Span::from_millis(1);
            answer = reply(None, &[(cut, Bytes::new())], sent);
        }
        (self.answer)(wanted, &mut answer);
        answer
    }

    fn plain(&self, wanted: &Wanted, sent: Timestamp) -> Answer {
        let soon = sent + Span::from_millis(2);
        let now = soon.as_millis();
        let whole = |body: Bytes, kind: &str, keep: &str| {
            let answer = reply(Some(200), &[(soon, body)], sent);
            let answer = header(answer, "content-type", kind);
            let answer = header(answer, "content-length", "1");
            header(answer, "cache-control", keep)
        };
        let kind = if wanted.representation.starts_with('v') {
            "video/mp4"
        } else {
            "audio/mp4"
        };
        let mpd = |text: String| whole(text.into(), "application/dash+xml", "max-age=1");
        match wanted.what {
            What::Mpd | What::Join => mpd((self.text)(now, self.mpd(now, self.mode))),
            What::Classic => mpd((self.classic)(now, self.mpd(now, Mode::Classic))),
            What::Time => whole(date(now - 1).into(), "text/plain", "no-store"),
            What::Init => whole(init(&wanted.uri), kind, "max-age=31536000, immutable"),
            What::Hls | What::Peer => whole(self.bytes(wanted), kind, "max-age=3600"),
            What::Far => {
                let refused = reply(Some(404), &[(soon, Bytes::new())], sent);
                header(refused, "cache-control", "no-store")
            }
            What::Segment | What::Ahead | What::Again => {
                let answer = reply(Some(200), &self.segment(wanted, sent), sent);
                let filler = answer.body == *FILLER;
                let keep = if filler { "no-store" } else { "max-age=3600" };
                header(header(answer, "content-type", kind), "cache-control", keep)
            }
        }
    }

    /// When which bytes leave.
    fn segment(&self, wanted: &Wanted, sent: Timestamp) -> Vec<(Timestamp, Bytes)> {
        let chunks = self.chunks(&wanted.representation, wanted.number);
        let after = |ms: i64| at(ms).max(sent + Span::from_millis(2));
        if chunks.is_empty() {
            let known = begins(wanted.number) + 1_500;
            return vec![(after(known), Bytes::from_static(FILLER))];
        }
        let mut out: Vec<_> = chunks
            .into_iter()
            .map(|(end, bytes)| (after(end + DELAY), bytes))
            .collect();
        let due = self.initialization(&wanted.representation, wanted.number);
        if !wanted.uri.ends_with(&due) {
            out[0].1 = [init(&due), out[0].1.clone()].concat().into();
        }
        out
    }

    fn bytes(&self, wanted: &Wanted) -> Bytes {
        let chunks = self.chunks(&wanted.representation, wanted.number);
        chunks
            .into_iter()
            .map(|(_, bytes)| bytes)
            .collect::<Vec<_>>()
            .concat()
            .into()
    }

    /// Which initialisation a number needs, by the last letter of its address.
    fn initialization(&self, id: &str, number: u64) -> String {
        let other = id == "v0" && self.switch.is_some_and(|s| number >= FIRST + s);
        if other { "b" } else { "a" }.to_owned()
    }

    fn chunks(&self, id: &str, number: u64) -> Vec<Chunk> {
        let begin = begins(number);
        let lost = self
            .away
            .is_some_and(|(from, to)| from - 2_000 < begin && begin < to);
        let gone = |ms: i64| self.hole.is_some_and(|(from, to)| from <= ms && ms < to);
        if lost || gone(begin) {
            return Vec::new();
        }
        let all = if id == "v0" {
            pictures(number)
        } else {
            sound(number, self.apart)
        };
        all.into_iter().filter(|(end, _)| !gone(*end - 1)).collect()
    }

    fn mpd(&self, now: i64, mode: Mode) -> String {
        let low = mode == Mode::Low;
        let switch = self.switch.filter(|s| begins(FIRST + s) + 50 <= now);
        let since = date(switch.map_or(0, |s| begins(FIRST + s)));
        let mut out = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" profiles="urn:mpeg:dash:profile:isoff-live:2011{}" availabilityStartTime="1970-01-01T00:00:00Z" publishTime="{since}" minimumUpdatePeriod="PT1S" minBufferTime="PT2S" timeShiftBufferDepth="PT{}S" maxSegmentDuration="PT2S">
<Location>index.mpd?r=1</Location>
"#,
            if low {
                ",http://www.dashif.org/guidelines/low-latency-live-v5"
            } else {
                ""
            },
            2 * WINDOW
        );
        if low {
            out += r#"<ServiceDescription id="0"><Latency target="2500" min="1800" max="3600000"/><PlaybackRate min="1" max="1.04"/></ServiceDescription>"#;
        }
        out += &period(low, 0, switch, "a");
        if let Some(number) = switch {
            out += &period(low, FIRST + number, None, "b");
        }
        out + UTC + "</MPD>"
    }
}

const UTC: &str = r#"<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="../time"/>"#;

/// A Period that begins with a number and ends before another.
fn period(low: bool, first: u64, end: Option<u64>, init: &str) -> String {
    let start = 2 * first;
    let mut out = format!(r#"<Period id="p{first}" start="PT{start}S">"#);
    let mut set = |id: &str,
                   kind: &str,
                   rest: &str,
                   one: &str,
                   scale: u64,
                   early: &str,
                   dt: u64| {
        let offset = (start * scale).max(1);
        let last = end.map_or_else(String::new, |n| {
            format!(r#" endNumber="{}""#, FIRST + n - 1)
        });
        let init = if id == "v0" { init } else { "a" };
        let clock = date_of(start);
        let number = u8::from(id != "v0");
        let _ = write!(
            out,
            r#"<AdaptationSet id="{number}" contentType="{kind}" mimeType="{kind}/mp4" segmentAlignment="true" startWithSAP="1"{rest}>"#
        );
        if low {
            let _ = write!(
                out,
                r#"<SupplementalProperty schemeIdUri="urn:dvb:dash:lowlatency:critical:2019" value="true"/><ProducerReferenceTime id="{number}" type="encoder" inband="true" wallClockTime="{clock}" presentationTime="{}">{UTC}</ProducerReferenceTime>"#,
                start * scale
            );
        }
        let _ = write!(
            out,
            r#"<Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/><Representation id="{id}" {one}>"#
        );
        let mut ato = String::new();
        if low {
            let _ = write!(out, r#"<Resync type="2" dT="{dt}" marker="true"/>"#);
            ato = format!(r#" availabilityTimeOffset="{early}" availabilityTimeComplete="false""#);
        }
        let _ = write!(
            out,
            r#"<SegmentTemplate timescale="{scale}" duration="{}" startNumber="{first}"{last} presentationTimeOffset="{offset}"{ato} initialization="{id}_init_{init}" media="{id}_$Number$.m4s?i={init}"/></Representation></AdaptationSet>"#,
            2 * scale
        );
    };
    let picture = r#"codecs="avc1.42c01e" bandwidth="90000" width="640" height="360""#;
    set("v0", "video", "", picture, 90_000, "1.9", 180_000);
    let voice = r#"codecs="mp4a.40.2" bandwidth="90000" audioSamplingRate="48000""#;
    set(
        "a1",
        "audio",
        r#" lang="en""#,
        voice,
        48_000,
        "1.893",
        5_120,
    );
    out + "</Period>"
}

pub(super) fn begins(number: u64) -> i64 {
    (i64::try_from(number).unwrap() - i64::try_from(FIRST).unwrap()) * 2_000
}

/// An MPD that is published no earlier than in some millisecond.
pub(super) fn published(text: &str, ms: i64) -> String {
    let (head, rest) = text.split_once("publishTime=\"").unwrap();
    let (was, tail) = rest.split_once('"').unwrap();
    format!(
        "{head}publishTime=\"{}\"{tail}",
        date(ms).max(was.to_owned())
    )
}

/// Of a millisecond of the run.
pub(super) fn date(ms: i64) -> String {
    let (s, ms) = (ms.div_euclid(1_000), ms.rem_euclid(1_000));
    format!("2026-11-21T02:{:02}:{:02}.{ms:03}Z", s / 60, s % 60)
}

fn date_of(unix: u64) -> String {
    if unix == 0 {
        return "1970-01-01T00:00:00Z".to_owned();
    }
    date(begins(unix / 2))
}

/// An answer that comes in pieces.
pub(super) fn reply(status: Option<u16>, pieces: &[(Timestamp, Bytes)], sent: Timestamp) -> Answer {
    let mut length = 0;
    let mut reads = Vec::new();
    for (at, bytes) in pieces {
        length += bytes.len();
        reads.push((*at, length));
    }
    let body: Vec<_> = pieces.iter().map(|(_, bytes)| bytes.clone()).collect();
    Answer {
        status,
        headers: vec![("access-control-allow-origin".to_owned(), "*".to_owned())],
        body: body.concat().into(),
        sent,
        first: pieces[0].0,
        last: pieces[pieces.len() - 1].0,
        reads,
        error: None,
    }
}
