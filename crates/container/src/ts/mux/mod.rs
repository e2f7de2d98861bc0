//! Writes one programme as a transport stream.

mod clock;
mod entry;
mod packets;
mod payload;
mod pes;
mod segment;
mod tables;

use bytes::BytesMut;
use media::codec::data;
use media::{CodecConfig, Frame, Track, TrackId, TrackKind};

use super::splice;
use clock::{Clock, Reference};
use entry::{Entry, Shape};
use packets::{Marks, Packets};
use payload::Scratch;
use pes::Header;
use segment::{Round, Tail};

/// Writes one programme: H.264 and H.265, AV1, AAC, MP2 and MP3, AC-3 and E-AC-3, Opus, and the
/// data of [`media::codec::data`].
///
/// Times are those of the frames in ticks since the Unix epoch, modulo 2^33: on every node the
/// same. Each frame is one PES packet, told as soon as it is there; its length is given wherever
/// 16 bits hold it, so that a reader need not wait for the next one. The clock reference (PCR) runs 200 ms behind
/// the DTS of the leading track, the first of video or else of sound, at most 40 ms of media apart.
/// Tables come before each picture of the leading track that is a random-access point, and every
/// 100 ms of media.
#[derive(Debug)]
pub struct Mux {
    streams: Vec<Stream>,
    /// The place of the leading one.
    leading: Option<usize>,
    pat: Table,
    pmt: Table,
    clock: Clock,
    scratch: Scratch,
    refused: u64,
}

#[derive(Debug)]
struct Stream {
    track: TrackId,
    kind: TrackKind,
    entry: Entry,
    counter: u8,
    /// How the counter comes round with the last frames of a segment.
    tail: Tail,
}

#[derive(Debug)]
struct Table {
    pid: u16,
    counter: u8,
    section: Vec<u8>,
}

impl Default for Mux {
    fn default() -> Self {
        Self::new()
    }
}

impl Mux {
    /// Without tracks: an empty programme.
    #[must_use]
    pub fn new() -> Self {
        let table = |pid, section| Table {
            pid,
            counter: 0,
            section,
        };
        Self {
            streams: Vec::new(),
            leading: None,
            pat: table(0, tables::pat()),
            pmt: table(
                tables::PMT_PID,
                tables::pmt(None, &[], [].into_iter(), None),
            ),
            clock: Clock::default(),
            scratch: Scratch::default(),
            refused: 0,
        }
    }

    /// The tracks from here on; a changed set is a new version of the programme map, which comes
    /// with the next frame. A track keeps its PID whatever comes and goes beside it. Returns those
    /// that are left out, as their codec has no mapping or there are too many.
    pub fn tracks(&mut self, tracks: &[Track]) -> Vec<TrackId> {
        let is = |track: &Track, fourcc| matches!(&track.config, CodecConfig::Opaque(c) if c.fourcc == fourcc);
        let any = |fourcc| tracks.iter().any(|t| is(t, fourcc));
        let programme = tables::of_programme(any(data::SCTE35), any(data::ID3));
        let mut used = programme.len();
        let mut left_out = Vec::new();
        let old = std::mem::take(&mut self.streams);
        for track in tracks {
            let is_new = !self.streams.iter().any(|s| s.track == track.id);
            let entry = Entry::of(track).filter(|e| is_new && tables::has_room(used, e));
            let Some(entry) = entry else {
                left_out.push(track.id);
                continue;
            };
            used += tables::bytes_of(&entry);
            let before = old.iter().find(|s| s.track == track.id);
            self.streams.push(Stream {
                track: track.id,
                kind: track.kind,
                entry,
                counter: before.map_or(0, |s| s.counter),
                tail: Tail::default(),
            });
        }
        let first = |kind| self.streams.iter().position(|s| s.kind == kind);
        self.leading = first(TrackKind::Video)
            .or_else(|| first(TrackKind::Audio))
            .or_else(|| (!self.streams.is_empty()).then_some(0));
        self.map(&programme);
        left_out
    }

    fn map(&mut self, programme: &[u8]) {
        let clock = self.leading.map(|at| self.streams[at].entry.pid);
        let entries = self.streams.iter().map(|s| &s.entry);
        let last = Some(&self.pmt.section[..]);
        let section = tables::pmt(clock, programme, entries, last);
        if section != self.pmt.section {
            self.pmt.section = section;
            self.clock.forget_tables();
        }
    }

    /// Appends the tables. [`frame`](Self::frame) does where they are due; this is for whoever
    /// wants them between.
    pub fn tables(&mut self, out: &mut BytesMut) {
        self.pat.write(out);
        self.pmt.write(out);
        self.clock.wrote_tables();
    }

    /// Appends the frame as whole packets, and tables and clock references that are due before it.
    /// A frame of a track that was left out, or that cannot be carried, is none.
    pub fn frame(&mut self, frame: &Frame, out: &mut BytesMut) {
        let Some(at) = self.streams.iter().position(|s| s.track == frame.track) else {
            return;
        };
        let opens = Some(at) == self.leading
            && frame.random_access
            && self.streams[at].kind == TrackKind::Video;
        if self.clock.is_table_due(frame.dts, opens) {
            self.pat.write(out);
            self.pmt.write(out);
        }
        self.write(at, frame, Round::Not, out);
    }

    /// Frames that could not be carried: NAL units or OBUs cut short, sound or data over 64 KiB.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Appends the clock references that are due and the frame, in as many packets as `round` says.
    fn write(&mut self, at: usize, frame: &Frame, round: Round, out: &mut BytesMut) {
        let Some(payload) =
            payload::measure(&self.streams[at].entry.shape, frame, &mut self.scratch)
        else {
            self.refused += 1;
            return;
        };
        let marks = self.marks(at, frame, out);
        let stream = &mut self.streams[at];
        if matches!(stream.entry.shape, Shape::Section) {
            stream.section(frame, round, out);
        } else {
            stream.pes(frame, (payload, &self.scratch), marks, round, out);
        }
    }

    fn marks(&mut self, at: usize, frame: &Frame, out: &mut BytesMut) -> Marks {
        let is_leading = Some(at) == self.leading;
        let mut marks = Marks {
            random_access: frame.random_access
                && (is_leading || self.streams[at].kind == TrackKind::Video),
            ..Marks::default()
        };
        let Some(leading) = self.leading.map(|at| &self.streams[at]) else {
            return marks;
        };
        let (pid, counter) = (leading.entry.pid, leading.counter);
        let between = |pcr| packets::pcr_only(out, pid, counter, pcr);
        match self.clock.reference(frame.dts, is_leading, between) {
            Reference::None => {}
            Reference::Here(pcr) => marks.pcr = Some(pcr),
            Reference::Leap(pcr) => (marks.pcr, marks.discontinuity) = (Some(pcr), true),
        }
        marks
    }
}

impl Stream {
    fn pes(
        &mut self,
        frame: &Frame,
        (payload, scratch): (usize, &Scratch),
        marks: Marks,
        round: Round,
        out: &mut BytesMut,
    ) {
        let entry = &self.entry;
        let least = match entry.shape {
            Shape::Teletext => pes::TELETEXT,
            // A byte is left for each further packet, and the first one still has the times.
            _ if matches!(round, Round::Last) && payload < 32 => pes::TELETEXT,
            _ => 0,
        };
        let header = Header::new(entry.stream_id, frame, payload, least);
        let header = header.bytes();
        let bytes = header.len() + payload;
        let needed = packets::needed(marks, bytes);
        let packets = round.packets(self.counter, needed, payload);
        let place = (entry.pid, &mut self.counter);
        let mut out = Packets::begin(out, place, marks, bytes, packets);
        out.put(header);
        payload::put(&entry.shape, frame, scratch, &mut out);
    }

    /// A splice is told on the frame's clock; of sections that tell none nothing changes.
    fn section(&mut self, frame: &Frame, round: Round, out: &mut BytesMut) {
        let place = (self.entry.pid, &mut self.counter);
        let due = splice::due(&frame.payload);
        let wanted = due.map(|_| pes::ticks(frame.pts));
        if wanted == due {
            return section(place, &frame.payload, round, out);
        }
        let mut moved = frame.payload.to_vec();
        splice::set_due(&mut moved, wanted.unwrap_or(0));
        section(place, &moved, round, out);
    }
}

impl Table {
    fn write(&mut self, out: &mut BytesMut) {
        section(
            (self.pid, &mut self.counter),
            &self.section,
            Round::Not,
            out,
        );
    }
}

/// A section from the beginning of a packet to the end of one (2.4.4.2).
fn section(place: (u16, &mut u8), section: &[u8], round: Round, out: &mut BytesMut) {
    let marks = Marks::default();
    let bytes = 1 + section.len();
    let least = packets::needed(marks, bytes);
    let packets = round.packets(*place.1, least, 0);
    // Full packets need no adaptation field; those that only count are as empty as can be.
    let bytes = if packets > least {
        bytes.max(packets)
    } else {
        least * packets::BODY
    };
    let mut out = Packets::begin(out, place, marks, bytes, packets);
    out.put(&[0]);
    out.put(section);
    out.fill(0xff);
}
