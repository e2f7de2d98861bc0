//! A segment's samples, out of the one container and into the other.

use bytes::{Bytes, BytesMut};
use container::fmp4::{self, Mp4Error};
use container::ts::Mux;
use media::codec::OpaqueConfig;
use media::codec::data::SCTE35;
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId, TrackKind};

use super::carries;
use crate::segment::Segment;

/// Headers, tables and stuffing beside the payload of common rates.
const BESIDE: usize = 16 << 10;

/// A segment in MPEG-TS, of one of CMAF with pictures and the one with the sound beside them, or
/// either alone. What has no place is left out. What comes out depends on what goes in alone: the
/// same bytes on every node.
///
/// # Errors
/// Segments that are none of ours.
pub fn segment(lead: &Segment, sound: Option<&Segment>) -> Result<Bytes, Mp4Error> {
    let segments = [Some(lead), sound].into_iter().flatten();
    let carried: Vec<_> = segments.filter(|s| carries(&s.init.track)).collect();
    let (mut tracks, mut frames): (Vec<Track>, Vec<Frame>) = Default::default();
    for (segment, id) in carried.iter().zip(0..) {
        let track = Track {
            id: TrackId(id),
            ..segment.init.track.clone()
        };
        read(segment, &track, &mut frames)?;
        tracks.push(track);
    }
    if let Some(cues) = &lead.cues {
        let id = TrackId(2);
        tracks.push(Track::new(id, cue_track()));
        let own = |cue: &Frame| Frame {
            track: id,
            ..cue.clone()
        };
        frames.extend(cues.iter().map(own));
    }
    // Stable: of equal times pictures come first.
    frames.sort_by_key(|f| f.dts);
    let mut mux = Mux::new();
    mux.tracks(&tracks);
    let payload: usize = carried.iter().map(|s| s.len).sum();
    let mut out = BytesMut::with_capacity(payload + payload / 16 + BESIDE);
    mux.segment(frames.iter(), &mut out);
    Ok(out.freeze())
}

fn cue_track() -> CodecConfig {
    CodecConfig::Opaque(OpaqueConfig {
        kind: TrackKind::Data,
        fourcc: SCTE35,
        data: Bytes::new(),
    })
}

/// Appends the samples of a segment as frames of `track`, in decoding order.
fn read(segment: &Segment, track: &Track, frames: &mut Vec<Frame>) -> Result<(), Mp4Error> {
    let timescale = fmp4::timescale(&track.config);
    let at = |ticks| Timestamp::from_ticks(ticks, timescale);
    let mut buffers = segment.parts.iter().flat_map(|p| &p.buffers);
    while let Some(header) = buffers.next() {
        let (base, samples) = fmp4::read_header(header)?;
        let mut dts = i64::try_from(base).unwrap_or(0);
        for (sample, payload) in samples.iter().zip(&mut buffers) {
            frames.push(Frame {
                track: track.id,
                dts: at(dts),
                pts: at(dts + i64::from(sample.composition)),
                duration: Some(Span::from_ticks(sample.duration.into(), timescale)),
                random_access: sample.random_access,
                leading: false,
                payload: payload.clone(),
            });
            dts += i64::from(sample.duration);
        }
    }
    Ok(())
}
