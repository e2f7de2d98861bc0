//! Synthetic sources: frames with arrival times, as an encoder would send them.

use bytes::Bytes;
use media::codec::{AacConfig, H264Config};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId};
use packager::{Packager, RenditionId};

use crate::checker::Checker;

pub const VIDEO: TrackId = TrackId(0);
pub const AUDIO: TrackId = TrackId(1);
pub const FURTHER: TrackId = TrackId(2);

/// 640x360, 30 frames per second, constrained baseline (x264).
const AVCC: &str =
    "0142c01effe100196742c01eda0280bfe5c044000003000400000300f03c58ba8001000468ce0fc8";

fn hex(text: &str) -> Bytes {
    let digit = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len())
        .step_by(2)
        .map(digit)
        .collect::<Vec<_>>()
        .into()
}

pub fn video() -> Track {
    let config = H264Config::parse(hex(AVCC)).unwrap();
    Track::new(VIDEO, CodecConfig::H264(config))
}

/// A further video track: the same pictures once more.
pub fn further() -> Track {
    Track::new(FURTHER, video().config)
}

/// AAC-LC, 48 kHz, stereo.
pub fn audio() -> Track {
    let config = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap();
    Track::new(AUDIO, CodecConfig::Aac(config))
}

/// 44.1 kHz instead.
pub fn other_audio() -> Track {
    let config = AacConfig::parse(Bytes::from_static(&[0x12, 0x10])).unwrap();
    Track::new(AUDIO, CodecConfig::Aac(config))
}

pub const fn ms(v: i64) -> Span {
    Span::from_millis(v)
}

/// 2026-11-21T02:40:44Z, on no grid.
pub const EPOCH: Timestamp = Timestamp::from_millis(1_795_228_844_312);

/// An encoder that feeds a packager, with the clock in its hand.
pub struct Encoder {
    pub packager: Packager,
    pub rendition: RenditionId,
    pub checker: Checker,
    pub now: Timestamp,
    pub with_video: bool,
    pub with_audio: bool,
    /// Frames per second over 1000.
    pub rate: i64,
    /// Container timestamps are whole milliseconds, as in RTMP.
    pub coarse: bool,
    /// Sound is this much ahead of the pictures it is sent with.
    pub audio_ahead: Span,
    /// A further video track, whose keyframes come so many frames after the first one's.
    pub further: Option<i64>,
    /// Its frames are sent before the first one's, as with less reordering.
    pub further_first: bool,
    pub seed: u64,
}

impl Encoder {
    pub fn new(mut packager: Packager) -> Self {
        let rendition = packager.add_rendition("source");
        Self {
            packager,
            rendition,
            checker: Checker::default(),
            now: EPOCH,
            with_video: true,
            with_audio: true,
            rate: 30_000,
            coarse: true,
            audio_ahead: Span::ZERO,
            further: None,
            further_first: false,
            seed: 1,
        }
    }

    pub fn tracks(&self) -> Vec<Track> {
        let video = self.with_video.then(video);
        video
            .into_iter()
            .chain(self.with_audio.then(audio))
            .chain(self.further.map(|_| further()))
            .collect()
    }

    pub fn group(&mut self, tracks: &[Track]) {
        self.packager
            .group(self.rendition, tracks, self.now)
            .unwrap();
        self.drain();
    }

    /// Sends groups of `gops` frames each, in real time from `now` on.
    pub fn send(&mut self, gops: &[i64]) {
        let tracks = self.tracks();
        self.group(&tracks);
        let start = self.now;
        let mut audio_sent = 0;
        let mut index = 0;
        for gop in gops {
            for in_gop in 0..*gop {
                let at = start + Span::from_nanos(index * 1_000_000_000_000 / self.rate);
                self.wait_until(at);
                let further = self.further.map(|after| in_gop == after);
                if let Some(key) = further.filter(|_| self.further_first) {
                    self.frame(FURTHER, at, key, 300);
                }
                if self.with_video {
                    self.frame(VIDEO, at, in_gop == 0, 900);
                }
                if let Some(key) = further.filter(|_| !self.further_first) {
                    self.frame(FURTHER, at, key, 300);
                }
                if self.with_audio {
                    audio_sent = self.send_audio(start, at, audio_sent);
                }
                index += 1;
            }
        }
        self.wait_until(start + Span::from_nanos(index * 1_000_000_000_000 / self.rate));
    }

    fn send_audio(&mut self, start: Timestamp, video: Timestamp, mut sent: i64) -> i64 {
        loop {
            let at = start + Span::from_nanos(sent * 1024 * 1_000_000_000 / 48_000);
            if at > video + self.audio_ahead {
                return sent;
            }
            self.frame(AUDIO, at, true, 90);
            sent += 1;
        }
    }

    pub fn frame(&mut self, track: TrackId, at: Timestamp, random_access: bool, size: usize) {
        let dts = if self.coarse {
            Timestamp::from_millis(at.as_millis())
        } else {
            at
        };
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let mut payload = self.seed.to_be_bytes().repeat(size / 8);
        if track != AUDIO {
            // One NAL unit with a slice, and nothing in it that could be a start code.
            payload.iter_mut().for_each(|b| *b |= 1);
            let len = u32::try_from(payload.len() - 4).unwrap();
            payload[..4].copy_from_slice(&len.to_be_bytes());
            payload[4] = if random_access { 0x65 } else { 0x41 };
        }
        let payload = Bytes::from(payload);
        let frame = Frame {
            track,
            dts,
            pts: dts,
            duration: None,
            random_access,
            leading: false,
            payload,
        };
        self.packager.frame(self.rendition, frame, self.now);
        self.drain();
    }

    /// Lets time pass, with the ticks that the packager asks for.
    pub fn wait_until(&mut self, to: Timestamp) {
        while let Some(at) = self.packager.deadline().filter(|at| *at <= to) {
            self.now = self.now.max(at);
            self.packager.tick(self.now);
            self.drain();
            if self.packager.deadline().is_some_and(|next| next <= at) {
                break;
            }
        }
        self.now = self.now.max(to);
    }

    pub fn absent(&mut self, for_: Span) {
        self.wait_until(self.now + for_);
    }

    fn drain(&mut self) {
        self.checker.observe(&mut self.packager, self.now);
    }
}
