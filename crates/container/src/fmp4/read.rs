//! Reads chunks back: times, samples and payload of `moof` + `mdat` pairs.

use bytes::{Buf as _, Bytes};
use mp4_atom::{Atom as _, Decode as _, Header, Mdat, Moof};

use super::{Mp4Error, Sample};

/// One `moof` with its `mdat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// `mfhd` sequence number.
    pub sequence: u32,
    /// `tfdt` in ticks.
    pub base_media_decode_time: u64,
    /// Every sample, in decoding order.
    pub samples: Vec<Sample>,
    /// What the `mdat` holds.
    pub payload: Bytes,
}

impl Chunk {
    /// The sum of all sample durations, in ticks.
    #[must_use]
    pub fn duration(&self) -> u64 {
        self.samples.iter().map(|s| u64::from(s.duration)).sum()
    }
}

/// Reads a whole number of chunks.
///
/// # Errors
/// A box that is cut short or unreadable, or a `moof` without its `mdat`.
pub fn read_chunks(data: &Bytes) -> Result<Vec<Chunk>, Mp4Error> {
    let mut chunks = Vec::new();
    let mut pending: Option<Moof> = None;
    let mut rest = data.clone();
    while !rest.is_empty() {
        let at = data.len() - rest.len();
        let layout = |reason| Mp4Error::Layout { at, reason };
        let header = Header::decode(&mut rest)?;
        let size = header.size.ok_or_else(|| layout("a box without size"))?;
        if size > rest.len() {
            return Err(layout("a box is cut short"));
        }
        let mut body = rest.split_to(size);
        match header.kind {
            k if k == Moof::KIND => pending = Some(Moof::decode_body(&mut body)?),
            k if k == Mdat::KIND => {
                let moof = pending.take().ok_or_else(|| layout("mdat without moof"))?;
                chunks.push(chunk(&moof, body).ok_or_else(|| layout("not one whole track run"))?);
            }
            _ => body.advance(size),
        }
    }
    Ok(chunks)
}

/// Reads what [`super::chunk_header`] wrote: `tfdt` in ticks, and the samples whose payload follows.
///
/// # Errors
/// A box that is cut short or unreadable, or no `moof` with one whole track run.
pub fn read_header(header: &Bytes) -> Result<(u64, Vec<Sample>), Mp4Error> {
    let mut rest = header.clone();
    let layout = |rest: &Bytes, reason| Mp4Error::Layout {
        at: header.len() - rest.len(),
        reason,
    };
    while !rest.is_empty() {
        let found = Header::decode(&mut rest)?;
        let size = found.size.filter(|size| *size <= rest.len());
        let size = size.ok_or_else(|| layout(&rest, "a box is cut short"))?;
        let mut body = rest.split_to(size);
        if found.kind == Moof::KIND {
            let moof = Moof::decode_body(&mut body)?;
            return samples(&moof).ok_or_else(|| layout(&rest, "not one whole track run"));
        }
    }
    Err(layout(&rest, "no moof"))
}

fn samples(moof: &Moof) -> Option<(u64, Vec<Sample>)> {
    let [traf] = &moof.traf[..] else {
        return None;
    };
    let entries = traf.trun.iter().flat_map(|run| run.samples.iter());
    let samples = entries
        .map(|e| {
            Some(Sample {
                size: e.size?,
                duration: e.duration?,
                composition: i32::try_from(e.cts.unwrap_or(0)).ok()?,
                random_access: e.flags? & 0x0001_0000 == 0,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    let base = traf.tfdt.as_ref().map_or(0, |t| t.base_media_decode_time);
    Some((base, samples))
}

fn chunk(moof: &Moof, payload: Bytes) -> Option<Chunk> {
    let (base_media_decode_time, samples) = samples(moof)?;
    let size: u64 = samples.iter().map(|s| u64::from(s.size)).sum();
    (size == payload.len() as u64).then(|| Chunk {
        sequence: moof.mfhd.sequence_number,
        base_media_decode_time,
        samples,
        payload,
    })
}
