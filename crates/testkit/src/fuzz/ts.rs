//! What lies in a transport stream: tables, PES packets, cues; and what we write.

use bytes::{BufMut as _, Bytes, BytesMut};
use container::ingest::{Item, data_track};
use container::ts::{Counters, Demux, Mux};
use media::codec::{AacConfig, H264Config, OpaqueConfig, OpusConfig, data};
use media::scte35::{self, Cue, What};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId, TrackKind};

use super::ingest::examine;

const PMT_PID: u16 = 0x20;
const PID: u16 = 0x100;
/// The most bytes of frames and what lies between: what is written of them counts several times.
const MUXED: usize = 64 << 10;

/// Sections of a programme association or a programme map, whose CRC is right.
pub fn psi(data: &[u8]) {
    let mut stream = Stream::default();
    stream.table(0, 0x00, &[0, 1, 0xe0, 0x20]);
    for section in pieces(data) {
        let (which, body) = section.split_first().unwrap_or((&0, &[]));
        let body = &body[..body.len().min(1_000)];
        match which & 3 {
            0 => stream.table(0, 0x00, body),
            1 => stream.unit(PMT_PID, &[&[0], body].concat()),
            _ => stream.table(PMT_PID, 0x02, body),
        }
        stream.unit(PID, &pes(1, b"\0\0\x01\x67"));
    }
    stream.read();
}

/// PES packets of one stream, whose kind the first byte tells.
pub fn packets(data: &[u8]) {
    const KINDS: &[&[u8]] = &[
        b"\x1b",
        b"\x24",
        b"\x0f",
        b"\x11",
        b"\x03",
        b"\x81",
        b"\x06\x05\x04Opus\x7f\x02\x80\x02",
        b"\x06\x05\x04AV01",
        b"\x06\x05\x04KLVA",
        b"\x06\x56\x00",
        b"\x15\x26\x0d\xff\xffID3 \xffID3 \x00\x0f",
    ];
    let (kind, rest) = data.split_first().unwrap_or((&0, &[]));
    let (stream_type, descriptors) = KINDS[usize::from(*kind) % KINDS.len()].split_at(1);
    let mut stream = Stream::default();
    stream.table(0, 0x00, &[0, 1, 0xe0, 0x20]);
    let len = u8::try_from(descriptors.len()).unwrap_or(0);
    let entry = [stream_type, &[0xe1, 0, 0xf0, len], descriptors].concat();
    stream.table(PMT_PID, 0x02, &[&[0xe1, 0, 0xf0, 0][..], &entry].concat());
    for (n, unit) in pieces(rest).enumerate() {
        match unit.split_first() {
            // The header too.
            Some((0xff, whole)) => stream.unit(PID, whole),
            Some((_, payload)) => stream.unit(PID, &pes(n as u64 * 3_600, payload)),
            None => {}
        }
    }
    stream.read();
}

/// Cues, raw and as they are written again on another clock.
pub fn cues(data: &[u8]) {
    let tracks = [Track::new(TrackId(1), aac()), opaque(data::SCTE35)];
    let (mut mux, mut out) = (Mux::new(), BytesMut::new());
    mux.tracks(&tracks);
    let sound = |ms| frame(TrackId(1), ms, &[1; 9]);
    mux.frame(&sound(500), &mut out);
    let mut frames = 0;
    for section in pieces(data).filter(|s| !s.is_empty() && s.len() < 4_000) {
        let cue = frame(data_track(0), 900, section);
        mux.frame(&cue, &mut out);
        frames += 1;
        mux.frame(&sound(500 + frames * 21), &mut out);
    }
    let items = read(out.freeze());
    for item in &items {
        if let Item::Frame(f) = item
            && f.track == data_track(0)
        {
            // Written where it was due, it is due there again.
            let mut out = BytesMut::new();
            let mut mux = Mux::new();
            mux.tracks(&tracks);
            let by = Span::from_millis(77_000);
            mux.frame(&sound((f.dts + by).as_millis()), &mut out);
            let moved = Frame {
                dts: f.dts + by,
                pts: f.pts + by,
                ..f.clone()
            };
            mux.frame(&moved, &mut out);
            let again = read(out.freeze());
            let due = again.iter().find_map(|i| match i {
                Item::Frame(f) if f.track == data_track(0) => Some(f.pts),
                _ => None,
            });
            let late = due.map(|due| (due - moved.pts).abs());
            assert!(late.is_some_and(|l| l < Span::from_millis(1)), "{late:?}");
        }
    }
    examine(items);
}

/// A splice information section, as it is and with a head and a CRC that are right; then as it comes
/// on other clocks, where it asks for the same.
pub fn scte35(data: &[u8]) {
    sane(&scte35::cues(data));
    let body = &data[..data.len().min(1_000)];
    let Some((_, body)) = body.split_at_checked(3).filter(|(_, b)| b.len() > 12) else {
        return;
    };
    let mut section = vec![0xfc];
    section.put_u16(0x3000 | u16::try_from(body.len() + 4).unwrap_or(0));
    section.extend(body);
    section.put_u32(crc(&section));
    let told = scte35::cues(&section);
    sane(&told);
    for millis in [900, 95_443_700, 1_700_000_000_123] {
        let moved = carried(&section, millis);
        let again = scte35::cues(&moved);
        assert_eq!(again.len(), told.len());
        for (told, again) in told.iter().zip(&again) {
            // One without a number of its own has the checksum, which is another.
            let unnumbered = section.ends_with(&told.event.to_be_bytes());
            let event = if unnumbered { again.event } else { told.event };
            assert_eq!(again, &Cue { event, ..*told });
        }
    }
}

fn sane(cues: &[Cue]) {
    assert!(cues.len() <= 16);
    for cue in cues {
        let most = Span::from_ticks(1 << 40, 90_000);
        assert!(cue.duration.is_none_or(|d| d >= Span::ZERO && d <= most));
        let ends = matches!(cue.what, What::Cancelled);
        assert!(!ends || cue.duration.is_none());
    }
}

/// The section as a reader finds it that was written for this time.
fn carried(section: &[u8], millis: i64) -> Bytes {
    let tracks = [Track::new(TrackId(1), aac()), opaque(data::SCTE35)];
    let (mut mux, mut out) = (Mux::new(), BytesMut::new());
    mux.tracks(&tracks);
    for (track, payload) in [(1, &[1; 9][..]), (0x4000, section), (1, &[1; 9])] {
        mux.frame(&frame(TrackId(track), millis, payload), &mut out);
    }
    let mut found = read(out.freeze()).into_iter().filter_map(|i| match i {
        Item::Frame(f) if f.track == data_track(0) => Some(f.payload),
        _ => None,
    });
    let moved = found.next().expect("the section");
    assert_eq!((moved.len(), found.next()), (section.len(), None));
    let same = |range: std::ops::Range<usize>| moved[range.clone()] == section[range];
    assert!(
        same(0..4) && same(9..section.len() - 4),
        "more than its time"
    );
    moved
}

/// Frames of any sizes and times are written, whole and as a segment, and come back.
pub fn mux(data: &[u8]) {
    let mut tracks = vec![Track::new(TrackId(0), h264())];
    tracks.push(Track::new(TrackId(1), aac()));
    let opus = CodecConfig::Opus(OpusConfig::new(2));
    tracks.push(Track::new(TrackId(3), opus));
    tracks.push(opaque(data::ID3));
    let mut now = 95_443_000;
    let mut frames = vec![picture(now, 9, true, 0)];
    let mut bytes = 0;
    for step in data.chunks_exact(4) {
        now += i64::from(step[1]);
        let size = usize::from(step[2]) << (step[3] & 7);
        // Clock references and tables lie between by time.
        bytes += size + 188 * (1 + usize::from(step[1]) / 32);
        if bytes > MUXED {
            break;
        }
        frames.push(match step[0] & 3 {
            0 => picture(now, size, step[3] & 8 > 0, i64::from(step[3])),
            1 => frame(TrackId(1), now, &vec![1; 1 + size % 8_000]),
            // A packet of 20 ms.
            2 => frame(TrackId(3), now, &[&[0xf8][..], &vec![1; size]].concat()),
            _ => frame(data_track(0), now, &vec![1; 1 + size]),
        });
    }
    let (mut mux, mut whole, mut segment) = (Mux::new(), BytesMut::new(), BytesMut::new());
    assert!(mux.tracks(&tracks).is_empty());
    for frame in &frames {
        mux.frame(frame, &mut whole);
    }
    for _ in 0..2 {
        mux.segment(frames.iter(), &mut segment);
    }
    assert_eq!(mux.refused(), 0);
    came_back(&frames, 1, whole.freeze());
    came_back(&frames, 2, segment.freeze());
}

fn came_back(frames: &[Frame], times: usize, data: Bytes) {
    assert!(data.len().is_multiple_of(188));
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    demux.push(data, &mut items);
    demux.flush(&mut items);
    assert_eq!(demux.counters(), Counters::default());
    for track in [0, 1, 3, 0x4000].map(TrackId) {
        let wanted = frames.iter().filter(|f| f.track == track);
        let wanted: Vec<_> = wanted.map(|f| &f.payload).collect();
        let found = items.iter().filter_map(|i| match i {
            Item::Frame(f) if f.track == track => Some(&f.payload),
            _ => None,
        });
        let same = found.eq(wanted.repeat(times));
        assert!(same, "of track {track} others came back");
    }
}

/// A stream that is put together by hand.
#[derive(Default)]
struct Stream {
    out: Vec<u8>,
    counters: std::collections::BTreeMap<u16, u8>,
}

impl Stream {
    /// A table with a head and a CRC.
    fn table(&mut self, pid: u16, id: u8, body: &[u8]) {
        let len = u16::try_from(body.len() + 9).unwrap_or(0);
        let mut section = vec![id];
        section.put_u16(0xb000 | len);
        section.extend([0, 1, 0xc1, 0, 0]);
        section.extend(body);
        section.put_u32(crc(&section));
        self.unit(pid, &[&[0], &section[..]].concat());
    }

    /// Whole packets; what the last one lacks is stuffing.
    fn unit(&mut self, pid: u16, data: &[u8]) {
        for (n, piece) in data.chunks(184).enumerate() {
            let counter = self.counters.entry(pid).or_default();
            self.out.push(0x47);
            self.out.put_u16(u16::from(n == 0) << 14 | pid);
            let field = 184 - piece.len();
            self.out
                .push(if field > 0 { 0x30 } else { 0x10 } | *counter);
            *counter = (*counter + 1) & 15;
            if field > 0 {
                self.out.push(u8::try_from(field - 1).unwrap_or(0));
                self.out
                    .extend((1..field).map(|n| if n == 1 { 0 } else { 0xff }));
            }
            self.out.extend(piece);
        }
    }

    fn read(self) {
        examine(read(self.out.into()));
    }
}

fn read(data: Bytes) -> Vec<Item> {
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    demux.push(data, &mut items);
    demux.flush(&mut items);
    items
}

/// Each behind its length, of two bytes.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let ([high, low], rest) = data.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (piece, rest) = rest.split_at(len.min(rest.len()));
        data = rest;
        Some(piece)
    })
}

/// A PES packet without length, at a time.
fn pes(pts: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5];
    out.put_u8(0x21 | (pts >> 29 & 0x0e) as u8);
    out.put_u16((pts >> 14) as u16 | 1);
    out.put_u16((pts << 1) as u16 | 1);
    out.extend(payload);
    out
}

fn crc(data: &[u8]) -> u32 {
    data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    })
}

fn frame(track: TrackId, ms: i64, payload: &[u8]) -> Frame {
    Frame {
        track,
        dts: Timestamp::from_millis(ms),
        pts: Timestamp::from_millis(ms),
        duration: None,
        random_access: true,
        leading: false,
        payload: Bytes::copy_from_slice(payload),
    }
}

fn picture(ms: i64, size: usize, key: bool, ahead: i64) -> Frame {
    let mut payload = Vec::new();
    payload.put_u32(u32::try_from(size).unwrap_or(0) + 1);
    payload.push(if key { 0x65 } else { 0x41 });
    payload.extend(std::iter::repeat_n(0x11, size));
    let mut frame = frame(TrackId(0), ms, &payload);
    frame.pts += Span::from_millis(ahead);
    frame.random_access = key;
    frame
}

fn opaque(fourcc: [u8; 4]) -> Track {
    let (kind, data) = (TrackKind::Data, Bytes::new());
    let config = OpaqueConfig { kind, fourcc, data };
    Track::new(data_track(0), CodecConfig::Opaque(config))
}

fn aac() -> CodecConfig {
    let config = AacConfig::parse(Bytes::from_static(&[0x11, 0x90]));
    CodecConfig::Aac(config.expect("AAC-LC in stereo"))
}

fn h264() -> CodecConfig {
    const AVCC: &[u8] = b"\x01\x42\xc0\x1e\xff\xe1\x00\x19\x67\x42\xc0\x1e\xda\x02\x80\xbf\xe5\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x58\xba\x80\x01\x00\x04\x68\xce\x0f\xc8";
    let config = H264Config::parse(Bytes::from_static(AVCC));
    CodecConfig::H264(config.expect("a record"))
}
