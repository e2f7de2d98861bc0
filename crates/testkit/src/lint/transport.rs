//! Rules about segments in MPEG-TS: each can be played alone, and goes on where the one before ended.

use std::collections::HashMap;

use bytes::Bytes;
use container::ingest::{Item, kind_of};
use container::ts::Demux;
use media::{Frame, Span, Timestamp, TrackId, TrackKind};

use super::Rule;
use super::ledger::Bench;
use super::playlist::Segment;
use super::single::secs;

const PACKET: usize = 188;
/// Times have 33 bits, of 90 kHz.
const WRAP: i64 = 1 << 33;
const HZ: u32 = 90_000;
/// Dates have milliseconds, rounded down.
const DATE_ROUNDING: i64 = 180;
/// How far a last frame may last longer or shorter than the one before it.
const ABSORBED: i64 = 3_600;

/// How far the segments of a playlist have got.
#[derive(Debug, Default)]
pub(super) struct Transport {
    /// The number behind the last one that was judged.
    next: Option<u64>,
    counters: HashMap<u16, u8>,
    /// When the next frame of each track is due.
    due: HashMap<TrackId, i64>,
    /// Programme time less what the stamps say.
    origin: Option<i64>,
}

impl Transport {
    pub(super) fn is_judged(&self, number: u64) -> bool {
        self.next.is_some_and(|next| number < next)
    }

    /// The next one in order; `independent` is what the playlist claims.
    pub(super) fn segment(&mut self, b: &mut Bench<'_>, of: (&Segment, bool), bytes: &Bytes) {
        let (segment, independent) = of;
        if self.next != Some(segment.number) || segment.discontinuity {
            *self = Self::default();
        }
        self.next = Some(segment.number + 1);
        let whole = bytes.len().is_multiple_of(PACKET) && !bytes.is_empty();
        let whole = whole && bytes.chunks(PACKET).all(|p| p[0] == 0x47);
        b.check(Rule::Ts, whole, || "no whole packets".to_owned());
        if !whole {
            return self.forget();
        }
        tables(b, bytes);
        for packet in bytes.chunks(PACKET) {
            self.count(b, packet);
        }
        let frames = frames(bytes);
        b.check(Rule::Ts, !frames.is_empty(), || "no frames".to_owned());
        let lead = lead(&frames);
        let first = bytes.chunks(PACKET).find_map(picture);
        let mut pictures = frames
            .iter()
            .filter(|f| kind_of(f.track) == TrackKind::Video);
        let shown = |f: &Frame| f.random_access && first == Some(ticks(f.pts).rem_euclid(WRAP));
        let starts = first.is_none() || pictures.next().is_some_and(shown);
        b.check(Rule::Independent, !independent || starts, || {
            "begins with a frame that needs others".to_owned()
        });
        self.times(b, &frames);
        if let Some(lead) = lead {
            self.durations(b, segment, (lead, &frames));
        }
    }

    /// Of what comes next nothing is expected.
    fn forget(&mut self) {
        *self = Self {
            next: self.next,
            origin: self.origin,
            ..Self::default()
        };
    }

    /// ISO/IEC 13818-1 2.4.3.3, over the ends of segments too.
    fn count(&mut self, b: &mut Bench<'_>, packet: &[u8]) {
        let (has_field, has_payload) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        let announced = has_field && packet[4] > 0 && packet[5] & 0x80 != 0;
        let (pid, counter) = (pid(packet), packet[3] & 0x0f);
        let before = self.counters.insert(pid, counter);
        let Some(before) = before.filter(|_| !announced && pid != 0x1fff) else {
            return;
        };
        let due = (before + u8::from(has_payload)) & 0x0f;
        b.check(Rule::Ts, counter == due, || {
            format!("PID {pid} counts {counter}, {due} is due")
        });
    }

    /// The stamps of each track rise, and go on from the segment before.
    fn times(&mut self, b: &mut Bench<'_>, frames: &[Frame]) {
        let mut tracks: Vec<_> = frames.iter().map(|f| f.track).collect();
        tracks.sort_unstable();
        tracks.dedup();
        for track in tracks {
            let times: Vec<_> = of(frames, track).map(|f| ticks(f.dts)).collect();
            let rise = times.windows(2).all(|w| less(w[1], w[0]) > 0);
            b.check(Rule::Clock, rise, || format!("DTS of {track} go back"));
            if let Some(due) = self.due.get(&track) {
                let hole = less(times[0], *due);
                b.check(Rule::Clock, hole.abs() <= ABSORBED, || {
                    format!("{track} goes on {} ms after its end", hole / 90)
                });
            }
            match end(&times) {
                Some(end) => self.due.insert(track, end),
                None => self.due.remove(&track),
            };
        }
    }

    /// What the playlist says of its length and date is so.
    fn durations(&mut self, b: &mut Bench<'_>, segment: &Segment, of_it: (&Frame, &[Frame])) {
        let (lead, frames) = of_it;
        let times: Vec<_> = of(frames, lead.track).map(|f| ticks(f.dts)).collect();
        if let (Some(end), Some(told)) = (end(&times), segment.duration) {
            let lasts = Span::from_ticks(less(end, times[0]), HZ);
            let off = (lasts - told).to_ticks(HZ).abs();
            b.check(Rule::Ts, off <= ABSORBED, || {
                format!(
                    "EXTINF {}, it lasts {}",
                    secs(Some(told)),
                    secs(Some(lasts))
                )
            });
        }
        if let Some(date) = segment.date {
            let origin = less(ticks(date), ticks(lead.pts));
            let off = less(origin, *self.origin.get_or_insert(origin));
            b.check(Rule::Clock, off.abs() <= DATE_ROUNDING, || {
                format!("PROGRAM-DATE-TIME is {} ms off its frames' time", off / 90)
            });
        }
    }
}

/// The tables come first, so that who begins here knows what is in it.
fn tables(b: &mut Bench<'_>, bytes: &[u8]) {
    let mut packets = bytes.chunks(PACKET);
    let map = packets.next().filter(|p| pid(p) == 0).and_then(programme);
    let second = packets.next().map(pid);
    b.check(Rule::Ts, map.is_some() && map == second, || {
        "does not begin with PAT and PMT".to_owned()
    });
}

/// The PID of the first programme's map.
fn programme(packet: &[u8]) -> Option<u16> {
    let payload = payload(packet)?;
    let section = payload.get(1 + usize::from(*payload.first()?)..)?;
    let pid = section.get(10..12)?;
    Some(u16::from_be_bytes([pid[0] & 0x1f, pid[1]]))
}

/// When the picture is shown that begins in a packet (2.4.3.6).
fn picture(packet: &[u8]) -> Option<i64> {
    let pes = payload(packet).filter(|_| packet[1] & 0x40 != 0)?;
    let [0, 0, 1, 0xe0..=0xef, _, _, _, flags, _, stamp @ ..] = pes else {
        return None;
    };
    let bits = |at: usize, mask: u8| stamp.get(at).map(|b| i64::from(b & mask));
    let (high, middle, low) = (bits(0, 0x0e)?, bits(2, 0xfe)?, bits(4, 0xfe)?);
    let pts = high << 29 | bits(1, 0xff)? << 22 | middle << 14 | bits(3, 0xff)? << 7 | low >> 1;
    (flags & 0x80 != 0).then_some(pts)
}

fn payload(packet: &[u8]) -> Option<&[u8]> {
    let skipped = match packet[3] & 0x20 {
        0 => 0,
        _ => 1 + usize::from(packet[4]),
    };
    packet.get(4 + skipped..)
}

fn pid(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[1] & 0x1f, packet[2]])
}

/// Pictures and sound, read as if nothing came before.
fn frames(bytes: &Bytes) -> Vec<Frame> {
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    demux.push(bytes.clone(), &mut items);
    demux.flush(&mut items);
    let frame = |item| match item {
        Item::Frame(f) if kind_of(f.track) != TrackKind::Data => Some(f),
        _ => None,
    };
    items.into_iter().filter_map(frame).collect()
}

/// The first picture, or the first sound.
fn lead(frames: &[Frame]) -> Option<&Frame> {
    let is_picture = |f: &&Frame| kind_of(f.track) == TrackKind::Video;
    frames.iter().find(is_picture).or_else(|| frames.first())
}

fn of(frames: &[Frame], track: TrackId) -> impl Iterator<Item = &Frame> {
    frames.iter().filter(move |f| f.track == track)
}

/// Where frames end of which the last lasts as long as the one before it.
fn end(times: &[i64]) -> Option<i64> {
    let [.., before, last] = times else {
        return None;
    };
    Some(last + less(*last, *before))
}

fn ticks(at: Timestamp) -> i64 {
    at.to_ticks(HZ)
}

/// The difference of two stamps, whichever of them came round.
const fn less(a: i64, b: i64) -> i64 {
    (a - b + WRAP / 2).rem_euclid(WRAP) - WRAP / 2
}
