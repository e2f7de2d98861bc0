//! What the server says, out of an engine's bytes.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use container::wire::{Message, put};
use ladder::{
    AudioCodec, AudioRung, Decision, Deinterlace, Fit, FrameRate, From, Job, Ladder, Order, Rate,
    RateControl, Rung, Source, VideoCodec, VideoRung,
};
use media::codec::{AudioInfo, Mp3Config};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId, TrackKind};

use super::Clip;

/// When it begins: on a grid of keyframes.
const BASE: Timestamp = Timestamp::from_millis(1_795_305_600_000);
/// Sizes and other numbers that are told: those that are allowed are small, for speed.
const SIZES: [u32; 16] = [
    64,
    16,
    48,
    32,
    80,
    96,
    128,
    2,
    0,
    1,
    17,
    14,
    8_193,
    8_194,
    65_536,
    u32::MAX,
];

/// No more steps than these, for speed.
const STEPS: usize = 200;

pub(super) struct Script<'a> {
    rest: &'a [u8],
    steps: usize,
    /// What was said and is still to be read.
    said: Bytes,
    clips: Arc<[Clip]>,
    /// How many units of each clip were sent.
    sent: Vec<usize>,
    /// Where sources are placed.
    shift: Span,
    asked: u64,
}

impl<'a> Script<'a> {
    pub(super) fn new(rest: &'a [u8], clips: Arc<[Clip]>) -> Self {
        Self {
            rest,
            steps: 0,
            said: Bytes::new(),
            sent: vec![0; clips.len()],
            clips,
            shift: Span::ZERO,
            asked: 0,
        }
    }

    /// Messages that something may come of.
    pub(super) const fn asked(&self) -> u64 {
        self.asked
    }

    /// What is said next; `None` at the end of what was given.
    fn step(&mut self) -> Option<Vec<u8>> {
        self.steps += 1;
        let [kind] = self.cut().filter(|_| self.steps <= STEPS)?;
        let mut out = Vec::new();
        match kind % 10 {
            0 => {
                let length = usize::from(u16::from_be_bytes(self.cut()?));
                let (bytes, rest) = self.rest.split_at(length.min(self.rest.len()));
                self.rest = rest;
                self.asked += 1 + bytes.len() as u64 / 4;
                return Some(bytes.to_vec());
            }
            1 => self.job(&mut out)?,
            2 => {
                let [mask, wild] = self.cut()?;
                let tracks = self.tracks(mask, wild);
                let rendition = 0;
                put(&Message::Tracks { rendition, tracks }, &mut out);
            }
            3 => {
                let [flags] = self.cut()?;
                let group = Message::Group {
                    rendition: 0,
                    id: BASE + self.shift,
                    spliced: flags & 1 != 0,
                    lost: flags & 2 != 0,
                };
                put(&group, &mut out);
            }
            4 => {
                let [clip, count] = self.cut()?;
                for _ in 0..=count % 16 {
                    let unit = self.unit(clip);
                    self.put_unit(unit, &mut out);
                }
            }
            5 => {
                let [clip, how, at, with] = self.cut()?;
                let mut unit = self.unit(clip);
                unit.payload = damaged(&unit.payload, how, at, with);
                self.put_unit(unit, &mut out);
            }
            6 => {
                let [clip] = self.cut()?;
                let [dts, pts] = [self.cut()?, self.cut()?].map(i64::from_be_bytes);
                let mut unit = self.unit(clip);
                unit.dts = Timestamp::from_nanos(dts);
                unit.pts = Timestamp::from_nanos(pts);
                self.put_unit(unit, &mut out);
            }
            7 => {
                let [kind, far, near] = self.cut()?;
                let by = Span::from_millis(i64::from(i16::from_be_bytes([far, near])) * 10);
                self.put_hold(kind, BASE + self.shift + by, &mut out);
            }
            8 => {
                let [kind] = self.cut()?;
                let until = Timestamp::from_nanos(i64::from_be_bytes(self.cut()?));
                self.put_hold(kind, until, &mut out);
            }
            _ => {
                let by = i16::from_be_bytes(self.cut()?);
                self.shift += Span::from_millis(i64::from(by) * 20);
            }
        }
        Some(out.concat())
    }

    fn cut<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*head)
    }

    fn put_unit(&mut self, frame: Frame, out: &mut Vec<Bytes>) {
        self.asked += 1;
        put(
            &Message::Frame {
                rendition: 0,
                frame,
            },
            out,
        );
    }

    fn put_hold(&mut self, kind: u8, until: Timestamp, out: &mut Vec<Bytes>) {
        self.asked += 1;
        let kind = if kind.is_multiple_of(2) {
            TrackKind::Video
        } else {
            TrackKind::Audio
        };
        let order = Order::hold(kind, until);
        put(&Message::Control(order.to_control()), out);
    }

    /// The next unit of a clip, which begins again behind its end.
    fn unit(&mut self, clip: u8) -> Frame {
        let at = usize::from(clip) % self.clips.len();
        let (clip, sent) = (&self.clips[at], &mut self.sent[at]);
        let round = *sent / clip.units.len();
        let unit = &clip.units[*sent % clip.units.len()];
        *sent += 1;
        let last = clip.units.last().map(|u| u.dts - Timestamp::ZERO);
        let length = last.unwrap_or_default() + Span::from_millis(40);
        let rounds = length.times(i64::try_from(round).unwrap_or(0));
        let by = (BASE - Timestamp::ZERO) + self.shift + rounds;
        Frame {
            track: TrackId(u16::try_from(at).unwrap_or(0)),
            dts: unit.dts + by,
            pts: unit.pts + by,
            ..unit.clone()
        }
    }

    /// Those of some clips, and one that is like nothing on earth.
    fn tracks(&self, mask: u8, wild: u8) -> Arc<[Track]> {
        let ids = (0_u16..).zip(self.clips.iter());
        let languages = [None, Some("en"), Some("de")];
        let chosen = ids.filter(|(id, _)| mask >> id & 1 == 1);
        let mut tracks: Vec<Track> = chosen
            .map(|(id, clip)| Track {
                id: TrackId(id),
                language: languages[usize::from(wild >> 6) % 3].map(str::to_owned),
                ..clip.track.clone()
            })
            .collect();
        if wild & 0x30 != 0 {
            let audio = AudioInfo {
                sample_rate: SIZES[usize::from(wild & 15)],
                channels: u16::from(wild) << 8 | 2,
                samples_per_frame: None,
            };
            let config = CodecConfig::Mp3(Mp3Config::new(audio));
            tracks.push(Track::new(TrackId(u16::from(wild >> 4 & 3)), config));
        }
        tracks.into()
    }

    fn job(&mut self, out: &mut Vec<Bytes>) -> Option<()> {
        let [which, told, gop] = self.cut()?;
        let mut ladder = ladder(which);
        ladder.gop_ms = [1_000, 400, 2_000, 0, 1, 1_001, 60_001, u32::MAX][usize::from(gop % 8)];
        let mut job = Job {
            ladder,
            decision: None,
            video_until: None,
            audio_until: None,
        };
        if told & 1 != 0 {
            let [width, height, rungs, num, den] = self.cut()?;
            job.decision = Some(decision(&job.ladder, (width, height), rungs, (num, den)));
        }
        if told & 2 != 0 {
            let [by] = self.cut()?;
            let by = Span::from_millis(i64::from(by.cast_signed()) * 20);
            job.video_until = Some((BASE + by).as_nanos());
            job.audio_until = job.video_until;
        }
        if told & 4 != 0 {
            let [video, audio] = [self.cut()?, self.cut()?].map(i64::from_be_bytes);
            (job.video_until, job.audio_until) = (Some(video), Some(audio));
        }
        let order = Order::Job(Box::new(job));
        put(&Message::Control(order.to_control()), out);
        Some(())
    }
}

impl Read for Script<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.said.is_empty() {
            let Some(said) = self.step() else {
                return Ok(0);
            };
            self.said = said.into();
        }
        let length = self.said.len().min(into.len());
        into[..length].copy_from_slice(&self.said.split_to(length));
        Ok(length)
    }
}

/// Cut off, with a byte changed, with zeroes from somewhere on, or nothing at all.
fn damaged(payload: &Bytes, how: u8, at: u8, with: u8) -> Bytes {
    let mut payload = payload.to_vec();
    let at = payload.len() * usize::from(at) / 256;
    match how % 4 {
        0 => payload.truncate(at),
        1 => payload[at..].fill(0),
        2 => payload.clear(),
        _ => payload[at] ^= with,
    }
    payload.into()
}

/// What one before this is said to have made: as it should be, or not.
fn decision(
    ladder: &Ladder,
    (width, height): (u8, u8),
    rungs: u8,
    (num, den): (u8, u8),
) -> Decision {
    let size = |n: u8| SIZES[usize::from(n) % SIZES.len()];
    let rate = FrameRate {
        num: u32::from(num) << (den >> 4),
        den: u32::from(den & 15),
    };
    let source = Source {
        width: size(width),
        height: size(height),
        rate,
    };
    let small = source.width.max(source.height) < 100_000;
    if rungs & 0x80 != 0 && num > 0 && den & 15 > 0 && small {
        return Decision::of(ladder, source);
    }
    let rung = |number: u8| Rung {
        name: "rung".to_owned(),
        number,
        width: size(width >> 4),
        height: size(height >> 4),
        rate,
    };
    Decision {
        source,
        rungs: vec![rung(rungs & 3), rung(rungs >> 2 & 3)],
    }
}

fn rung(name: &str, height: Option<u32>, fit: Fit) -> VideoRung {
    VideoRung {
        codec: VideoCodec::H264,
        height,
        fit,
        control: RateControl::Bitrate {
            kbps: 100,
            max_kbps: 150,
            buffer_kbits: 200,
        },
        preset: "ultrafast".to_owned(),
        ..VideoRung::copy(name.to_owned())
    }
}

fn sound(name: &str, codec: AudioCodec, from: From) -> AudioRung {
    AudioRung {
        name: name.to_owned(),
        number: 0,
        codec,
        from,
        kbps: 64,
        sample_rate: None,
        channels: None,
    }
}

/// Ladders of all that there is, small.
fn ladder(which: u8) -> Ladder {
    let small = || rung("small", Some(32), Fit::Fit);
    let half = VideoRung {
        rate: Rate::Half,
        tune: Some("zerolatency".to_owned()),
        ..rung("half", None, Fit::Fit)
    };
    let exact = |fit| VideoRung {
        width: Some(48),
        rate: Rate::Fixed(FrameRate::whole(10)),
        b_frames: Some(2),
        ..rung("exact", Some(48), fit)
    };
    let av1 = VideoRung {
        codec: VideoCodec::Av1,
        preset: "13".to_owned(),
        control: RateControl::Crf {
            crf: 50.0,
            max: None,
        },
        ..small()
    };
    let h265 = VideoRung {
        codec: VideoCodec::H265,
        ..small()
    };
    let unknown = VideoRung {
        preset: "\0".to_owned(),
        ..small()
    };
    let copied = || VideoRung::copy("source".to_owned());
    let aac = || sound("aac", AudioCodec::Aac, From::All);
    let opus = || sound("opus", AudioCodec::Opus, From::Language("en".to_owned()));
    let low = AudioRung {
        sample_rate: Some(8_000),
        channels: Some(1),
        ..sound("low", AudioCodec::Aac, From::Track(1))
    };
    let as_it_came = || sound("copy", AudioCodec::Copy, From::All);
    let (video, audio) = match which % 16 {
        0 => (vec![small()], vec![aac()]),
        1 => (vec![copied(), half, small()], vec![opus()]),
        2 => (vec![exact(Fit::Crop), small()], vec![aac(), low]),
        3 => (vec![exact(Fit::Pad), half], vec![as_it_came(), opus()]),
        4 => (vec![exact(Fit::Stretch)], vec![]),
        5 => (vec![], vec![aac(), opus()]),
        6 => (vec![copied()], vec![as_it_came()]),
        7 => (vec![unknown], vec![]),
        8 => (vec![], vec![]),
        9 => (vec![small(); 17], vec![aac(); 300]),
        10 => (vec![av1], vec![]),
        11 => (vec![h265], vec![]),
        _ => (vec![half, small()], vec![low, aac()]),
    };
    let deinterlace = match which >> 4 & 3 {
        0 => Deinterlace::Never,
        1 => Deinterlace::Always,
        _ => Deinterlace::Auto,
    };
    let ladder = Ladder {
        gop_ms: 1_000,
        deinterlace,
        video,
        audio,
    };
    if which % 16 == 15 {
        // All of one number.
        return ladder;
    }
    ladder.numbered(&[])
}
