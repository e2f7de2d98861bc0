//! One elementary stream: from its packets to items.

use media::codec::OpusConfig;
use media::repair::Unwrap;
use media::{CodecConfig, Frame, Role, Span, Timestamp, Track, TrackId};
use mpeg2ts_reader::StreamType;
use mpeg2ts_reader::packet::Packet;

use super::audio::{Found, Framed};
use super::continuity::{Continuity, Step};
use super::demux::Counters;
use super::heads::Syntax;
use super::opus;
use super::pes::{Pes, TooLong};
use super::psi::Listed;
use super::video::Video;
use crate::ingest::Item;

/// What a PID of the programme carries.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) listed: Listed,
    pub(super) track: TrackId,
    continuity: Continuity,
    pes: Pes,
    codec: Codec,
    /// The configuration that was told last.
    config: Option<CodecConfig>,
}

#[derive(Debug)]
pub(super) enum Codec {
    Video(Video),
    Framed(Framed),
    Opus(CodecConfig),
}

impl Codec {
    /// # Errors
    /// Why a stream is left out.
    pub(super) fn of(listed: &Listed) -> Result<Self, &'static str> {
        const EAC3: StreamType = StreamType(0x87);
        const SCTE35: StreamType = StreamType(0x86);
        let framed = |syntax| Ok(Self::Framed(Framed::new(syntax)));
        match StreamType(listed.stream_type) {
            StreamType::H264 => Ok(Self::Video(Video::new(false))),
            StreamType::H265 => Ok(Self::Video(Video::new(true))),
            StreamType::ADTS => framed(Syntax::Adts),
            StreamType::ISO_11172_AUDIO | StreamType::ISO_138183_AUDIO => framed(Syntax::Mpeg),
            StreamType::ATSC_DOLBY_DIGITAL_AUDIO | EAC3 => framed(Syntax::Ac3),
            StreamType::H222_0_PES_PRIVATE_DATA => Self::private(listed),
            StreamType::LATM => Err("AAC in LATM"),
            StreamType::ISO_11172_VIDEO | StreamType::H262 => Err("MPEG-2 video"),
            StreamType::METADATA_IN_PES => Err("timed metadata"),
            SCTE35 => Err("SCTE-35"),
            StreamType(0xcf | 0xc1 | 0xc2 | 0xdb) => Err("encrypted stream"),
            _ => Err("stream type"),
        }
    }

    /// Private data says by descriptors what it is: registered formats, and tags of DVB
    /// (ETSI EN 300 468, annex D) for sound.
    fn private(listed: &Listed) -> Result<Self, &'static str> {
        let framed = |syntax| Ok(Self::Framed(Framed::new(syntax)));
        match listed.registration.as_ref() {
            Some(b"Opus") => match listed.opus {
                Some(channels @ 1..=2) => {
                    Ok(Self::Opus(CodecConfig::Opus(OpusConfig::new(channels))))
                }
                _ => Err("Opus with other than one or two channels"),
            },
            Some(b"HEVC") => Ok(Self::Video(Video::new(true))),
            Some(b"AC-3" | b"EAC3") => framed(Syntax::Ac3),
            Some(b"AV01") => Err("AV1 in MPEG-TS"),
            Some(b"KLVA") => Err("KLV"),
            _ if listed.tags.iter().any(|t| matches!(t, 0x6a | 0x7a)) => framed(Syntax::Ac3),
            _ if listed.tags.contains(&0x7c) => framed(Syntax::Adts),
            _ if listed.tags.contains(&0x56) => Err("teletext"),
            _ if listed.tags.contains(&0x59) => Err("DVB subtitles"),
            _ => Err("private data"),
        }
    }

    pub(super) const fn is_video(&self) -> bool {
        matches!(self, Self::Video(_))
    }
}

/// What all streams of a programme share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Unwrap,
    pub(super) counters: Counters,
    /// The most bytes of a PES packet.
    pub(super) most: usize,
}

impl Shared {
    /// PTS and DTS on the clock that does not wrap.
    fn times(&mut self, (pts, dts): (u64, u64)) -> (Timestamp, Timestamp) {
        const WRAP: i64 = 1 << 33;
        let extended = self.clock.extend(dts);
        let ahead = (pts.cast_signed() - dts.cast_signed()).rem_euclid(WRAP);
        let ahead = if ahead > WRAP / 2 {
            ahead - WRAP
        } else {
            ahead
        };
        let dts = Timestamp::from_ticks(extended, 90_000);
        (Timestamp::from_ticks(extended + ahead, 90_000), dts)
    }
}

impl Stream {
    pub(super) fn new(listed: Listed, track: TrackId, codec: Codec) -> Self {
        Self {
            listed,
            track,
            continuity: Continuity::default(),
            pes: Pes::default(),
            codec,
            config: None,
        }
    }

    pub(super) fn packet(&mut self, packet: &Packet<'_>, shared: &mut Shared, out: &mut Vec<Item>) {
        let begins = packet.payload_unit_start_indicator();
        match self.continuity.step(packet) {
            Step::Repeated => {
                shared.counters.repeated += 1;
                return;
            }
            Step::Lost => {
                shared.counters.cc_errors += 1;
                self.damaged(out);
                // Tables are sent again soon: only of media is anything missing.
                if out.last() != Some(&Item::Lost) {
                    out.push(Item::Lost);
                }
            }
            Step::Announced if !begins => self.damaged(out),
            Step::Announced | Step::Next => {}
        }
        let Some(payload) = packet.payload() else {
            return;
        };
        if packet.transport_scrambling_control().is_scrambled() {
            self.pes.drop_it();
            if begins {
                out.push(Item::Ignored("scrambled"));
            }
            return;
        }
        if begins {
            self.finish(shared, out);
            self.pes.begin();
        }
        if self.pes.append(payload, shared.most) == Err(TooLong) {
            out.push(Item::Ignored("access unit too long"));
        } else if self.pes.is_complete() {
            self.finish(shared, out);
        }
    }

    /// The end of the input, or of a piece of it: what comes next may begin anywhere.
    pub(super) fn flush(&mut self, shared: &mut Shared, out: &mut Vec<Item>) {
        self.finish(shared, out);
        self.continuity = Continuity::default();
        if let Codec::Framed(framed) = &mut self.codec {
            framed.lost();
        }
    }

    fn damaged(&mut self, out: &mut Vec<Item>) {
        if self.pes.is_open() {
            self.pes.drop_it();
            out.push(Item::Ignored("damaged access unit"));
        }
        if let Codec::Framed(framed) = &mut self.codec {
            framed.lost();
        }
    }

    /// Takes what is there as an access unit, or as several of sound.
    fn finish(&mut self, shared: &mut Shared, out: &mut Vec<Item>) {
        if !self.pes.is_open() {
            return;
        }
        let Some(unit) = self.pes.take() else {
            return out.push(Item::Ignored("unreadable PES packet"));
        };
        let times = unit.times.map(|t| shared.times(t));
        let told = Told {
            listed: &self.listed,
            track: self.track,
            config: &mut self.config,
            out,
        };
        match &mut self.codec {
            Codec::Video(video) => told.video(video, times, unit.payload),
            Codec::Framed(framed) => {
                let mut told = told;
                framed.read(times.map(|t| t.0), unit.payload, &mut |found| {
                    told.audio(found)
                });
            }
            Codec::Opus(config) => {
                let mut told = told;
                let time = times.map(|t| t.0);
                opus::read(time, unit.payload, config, &mut |found| told.audio(found));
            }
        }
    }
}

/// Where items of one stream go.
struct Told<'a> {
    listed: &'a Listed,
    track: TrackId,
    config: &'a mut Option<CodecConfig>,
    out: &'a mut Vec<Item>,
}

impl Told<'_> {
    fn video(mut self, video: &mut Video, times: Option<(Timestamp, Timestamp)>, payload: &[u8]) {
        let access = match video.read(payload) {
            Ok(access) => access,
            Err(reason) => return self.out.push(Item::Ignored(reason)),
        };
        if let Some(config) = access.config {
            self.configure(config);
        }
        let Some((pts, dts)) = times else {
            return self.out.push(Item::Ignored("video without a timestamp"));
        };
        self.out.push(Item::Frame(Frame {
            track: self.track,
            dts,
            pts,
            duration: None,
            random_access: access.random_access,
            leading: access.leading,
            payload: access.payload,
        }));
    }

    fn audio(&mut self, found: Found) {
        match found {
            Found::Frame(config, time, duration, payload) => {
                self.configure(config);
                self.frame(time, duration, payload);
            }
            Found::Ignored(reason) => self.out.push(Item::Ignored(reason)),
        }
    }

    fn frame(&mut self, time: Timestamp, duration: Span, payload: bytes::Bytes) {
        self.out.push(Item::Frame(Frame {
            track: self.track,
            dts: time,
            pts: time,
            duration: Some(duration),
            random_access: true,
            leading: false,
            payload,
        }));
    }

    fn configure(&mut self, config: CodecConfig) {
        if self.config.as_ref() == Some(&config) {
            return;
        }
        *self.config = Some(config.clone());
        let mut track = Track::new(self.track, config);
        track.language = self.listed.language.clone();
        if self.listed.described {
            track.role = Role::Description;
        }
        self.out.push(Item::Track(track));
    }
}
