//! One transport stream's reader: finds its programme and the streams in it.

use bytes::Bytes;
use media::{TrackId, TrackKind};
use mpeg2ts_reader::packet::Packet;

use super::align::Aligner;
use super::clock::Clock;
use super::codec::Codec;
use super::counters::Counters;
use super::psi::{self, Listed, Sections};
use super::stream::{Shared, Stream};
use crate::ingest::{Item, audio_track, data_track, video_track};

/// What to read of a transport stream, and how much of it to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The programme's number; the first one listed where none is given.
    pub programme: Option<u16>,
    /// The most bytes of one PES packet: of a picture, mostly.
    pub packet_bytes: usize,
    /// The most tracks.
    pub tracks: usize,
}

impl Default for Config {
    /// The first programme, 4 MiB, 16 tracks.
    fn default() -> Self {
        Self {
            programme: None,
            packet_bytes: 4 << 20,
            tracks: 16,
        }
    }
}

/// Reads one transport stream, in pieces of any size. Only one programme is read. Tracks are
/// numbered in the order of the PMT and keep their numbers while their PIDs last; a stream that
/// replaces another takes its number.
///
/// An access unit is told when it is as long as it said; where it said nothing, as pictures of most
/// encoders, when its last packet is filled up, once the stream was seen to do that with each; else
/// when the next one begins, or at [`flush`](Self::flush).
///
/// Data is told as [`media::codec::data`] says. Cues of SCTE-35 have for `dts` that of the media
/// before them, and for `pts` the time of their splice, `pts_adjustment` counted in.
#[derive(Debug)]
pub struct Demux {
    aligner: Aligner,
    core: Core,
}

#[derive(Debug)]
struct Core {
    config: Config,
    pat: Sections,
    programme: Option<Programme>,
    streams: Vec<Stream>,
    shared: Shared,
}

#[derive(Debug)]
struct Programme {
    number: u16,
    pid: u16,
    sections: Sections,
    listed: Vec<Listed>,
}

impl Default for Demux {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Demux {
    /// Of the programme with this number (ISO/IEC 13818-1 2.4.4.3), the first one where none is given.
    #[must_use]
    pub fn of_programme(programme: Option<u16>) -> Self {
        Self::new(Config {
            programme,
            ..Config::default()
        })
    }

    /// A reader that has seen nothing.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            aligner: Aligner::default(),
            core: Core {
                config,
                pat: Sections::default(),
                programme: None,
                streams: Vec::new(),
                shared: Shared {
                    clock: Clock::new(),
                    counters: Counters::default(),
                    most: config.packet_bytes,
                },
            },
        }
    }

    /// The next piece; appends what it completes.
    #[expect(clippy::needless_pass_by_value, reason = "the face of every demuxer")]
    pub fn push(&mut self, bytes: Bytes, out: &mut Vec<Item>) {
        let core = &mut self.core;
        self.aligner.push(&bytes, |packet| core.packet(packet, out));
    }

    /// The input ends, or a piece of it such as a segment: what is there of access units is told,
    /// and what comes next may begin anywhere.
    pub fn flush(&mut self, out: &mut Vec<Item>) {
        let core = &mut self.core;
        self.aligner.flush(|packet| core.packet(packet, out));
        for stream in &mut core.streams {
            stream.flush(&mut core.shared, out);
        }
        core.pat = Sections::default();
        if let Some(programme) = &mut core.programme {
            programme.sections = Sections::default();
        }
    }

    /// What was wrong so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        Counters {
            sync_losses: self.aligner.losses,
            ..self.core.shared.counters
        }
    }
}

impl Core {
    fn packet(&mut self, packet: &Packet<'_>, out: &mut Vec<Item>) {
        if packet.transport_error_indicator() {
            self.shared.counters.transport_errors += 1;
            return;
        }
        let pid = u16::from(packet.pid());
        if let Some(stream) = self.streams.iter_mut().find(|s| s.listed.pid == pid) {
            return stream.packet(packet, &mut self.shared, out);
        }
        if pid == 0 {
            let mut found = Vec::new();
            let step = self.pat.push(packet, |s| found.extend(psi::programmes(s)));
            self.shared.counters.count(pid, step);
            for (listed, all) in found {
                self.choose(&listed, all, out);
            }
        } else if self.programme.as_ref().is_some_and(|p| p.pid == pid) {
            self.table(packet, out);
        }
    }

    /// Chooses the programme; one that is listed no more gives way to the first.
    fn choose(&mut self, listed: &[(u16, u16)], all: bool, out: &mut Vec<Item>) {
        let find = |number: u16| listed.iter().find(|(n, _)| *n == number);
        let held = self.programme.as_ref().map(|p| p.number);
        let chosen = match (self.config.programme.or(held).map(find), held) {
            (Some(Some(found)), _) => Some(found),
            (_, Some(_)) if !all => return,
            _ if self.config.programme.is_some() => None,
            _ => listed.first(),
        };
        let Some(&(number, pid)) = chosen else {
            return;
        };
        let same = |p: &Programme| p.number == number && p.pid == pid;
        if self.programme.as_ref().is_some_and(same) {
            return;
        }
        if held.is_some_and(|n| n != number) {
            self.replace(Vec::new(), out);
        }
        self.programme = Some(Programme {
            number,
            pid,
            sections: Sections::default(),
            listed: Vec::new(),
        });
    }

    fn table(&mut self, packet: &Packet<'_>, out: &mut Vec<Item>) {
        let Some(programme) = self.programme.as_mut() else {
            return;
        };
        let (number, pid) = (programme.number, programme.pid);
        let mut found = None;
        let each = |s: &[u8]| {
            if let Some(listed) = psi::streams(s, number) {
                found = Some(listed);
            }
        };
        let step = programme.sections.push(packet, each);
        let news = found.filter(|f| *f != programme.listed);
        if let Some(listed) = news {
            programme.listed.clone_from(&listed);
            self.replace(listed, out);
        }
        self.shared.counters.count(pid, step);
    }

    /// Streams that last go on undisturbed.
    fn replace(&mut self, listed: Vec<Listed>, out: &mut Vec<Item>) {
        let mut old = std::mem::take(&mut self.streams);
        for stream in &mut old {
            if !listed.contains(&stream.listed) {
                stream.flush(&mut self.shared, out);
            }
        }
        let mut fresh = Vec::new();
        for listed in listed {
            match old.iter().position(|s| s.listed == listed) {
                Some(at) => self.streams.push(old.swap_remove(at)),
                None => fresh.push(listed),
            }
        }
        for listed in fresh {
            if let Err(reason) = self.add(listed, out) {
                out.push(Item::Ignored(reason));
            }
        }
        for gone in old {
            if !self.streams.iter().any(|s| s.track == gone.track) {
                out.push(Item::End(gone.track));
            }
        }
    }

    fn add(&mut self, listed: Listed, out: &mut Vec<Item>) -> Result<(), &'static str> {
        let codec = Codec::of(&listed)?;
        if self.streams.len() >= self.config.tracks {
            return Err("too many tracks");
        }
        let reserved =
            listed.pid == 0 || self.programme.as_ref().is_some_and(|p| p.pid == listed.pid);
        if reserved || self.streams.iter().any(|s| s.listed.pid == listed.pid) {
            return Err("a PID for two");
        }
        let track = self.free_track(codec.kind());
        let mut stream = Stream::new(listed, track, codec);
        stream.announce(out);
        self.streams.push(stream);
        Ok(())
    }

    fn free_track(&self, kind: TrackKind) -> TrackId {
        let number = match kind {
            TrackKind::Video => video_track,
            TrackKind::Audio => audio_track,
            _ => data_track,
        };
        let is_free = |id: &TrackId| !self.streams.iter().any(|s| s.track == *id);
        let mut all = (0..u16::MAX / 2).map(number);
        all.find(is_free).unwrap_or(TrackId(u16::MAX))
    }
}
