//! What the answer to a number is made of: boxes, in the order in which they came.

use bytes::Bytes;
use container::fmp4::{self, Chunk};
use media::{Span, Timestamp};

/// From 1900, where NTP begins, to 1970.
const NTP_EPOCH: i64 = 2_208_988_800;

/// The answer to a number.
#[derive(Debug)]
pub(super) enum Body {
    /// A lone `styp`: there is no media.
    Filler,
    Media(Media),
}

/// Chunks, maybe behind an initialisation section that was not asked for.
#[derive(Debug)]
pub(super) struct Media {
    pub(super) init: Option<Bytes>,
    /// Without the initialisation.
    pub(super) bytes: Bytes,
    pub(super) chunks: Vec<Piece>,
    /// Boxes that do not belong into a segment, or not there.
    pub(super) odd: Vec<String>,
    pub(super) events: bool,
}

/// One chunk, with what announces it.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) chunk: Chunk,
    /// The body's length up to its end.
    pub(super) end: usize,
    pub(super) styp: bool,
    pub(super) reference: Option<Reference>,
}

/// `prft` (ISO/IEC 14496-12 8.16.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) utc: Timestamp,
    /// In ticks.
    pub(super) media: u64,
}

impl Body {
    /// # Errors
    /// Bytes that are neither.
    pub(super) fn read(bytes: &Bytes) -> Result<Self, String> {
        let boxes = boxes(bytes)?;
        match &boxes[..] {
            [] => Err("an empty body".to_owned()),
            [only] if only.kind == *b"styp" => Ok(Self::Filler),
            _ => media(bytes, &boxes).map(Self::Media),
        }
    }
}

impl Piece {
    /// In ticks: when its first sample is decoded, and when its last one is over.
    pub(super) fn range(&self) -> (u64, u64) {
        let start = self.chunk.base_media_decode_time;
        (start, start + self.chunk.duration())
    }

    /// Presentation times of its samples, in ticks, and whether decoding can start there.
    pub(super) fn samples(&self) -> impl Iterator<Item = (i64, bool)> {
        let mut at = super::line::signed(self.chunk.base_media_decode_time);
        self.chunk.samples.iter().map(move |s| {
            let shown = at + i64::from(s.composition);
            at += i64::from(s.duration);
            (shown, s.random_access)
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Header {
    kind: [u8; 4],
    start: usize,
    /// Where the body of the box begins, and where it ends.
    body: usize,
    end: usize,
}

fn boxes(bytes: &Bytes) -> Result<Vec<Header>, String> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let cut = || format!("a box at byte {at} is cut short");
        let word = number(bytes, at, 4).ok_or_else(cut)?;
        let kind = bytes.get(at + 4..at + 8).ok_or_else(cut)?;
        let (body, size) = match word {
            1 => (at + 16, number(bytes, at + 8, 8).ok_or_else(cut)?),
            size => (at + 8, size),
        };
        let end = usize::try_from(size)
            .ok()
            .and_then(|size| at.checked_add(size));
        let end = end
            .filter(|end| (body..=bytes.len()).contains(end))
            .ok_or_else(cut)?;
        let kind = [kind[0], kind[1], kind[2], kind[3]];
        found.push(Header {
            kind,
            start: at,
            body,
            end,
        });
        at = end;
    }
    Ok(found)
}

/// A big-endian number of so many bytes.
fn number(bytes: &Bytes, at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

fn media(bytes: &Bytes, boxes: &[Header]) -> Result<Media, String> {
    let mut out = Media {
        init: None,
        bytes: bytes.clone(),
        chunks: Vec::new(),
        odd: Vec::new(),
        events: false,
    };
    let (mut moof, mut styp, mut reference) = (None, false, None);
    for (i, one) in boxes.iter().enumerate() {
        match &one.kind {
            b"ftyp" if i == 0 => {}
            b"moov" if i == 1 && boxes[0].kind == *b"ftyp" => {
                out.init = Some(bytes.slice(..one.end));
                out.bytes = bytes.slice(one.end..);
            }
            b"styp" if moof.is_none() && reference.is_none() && !styp => styp = true,
            b"prft" if moof.is_none() && reference.is_none() => {
                let read = prft(bytes, one.body).ok_or("a `prft` that cannot be read")?;
                reference = Some(read);
            }
            b"emsg" => out.events = true,
            b"moof" if moof.is_none() => moof = Some(one.start),
            b"mdat" if moof.is_some() => {
                let start = moof.take().unwrap_or(one.start);
                let chunk = chunk(&bytes.slice(start..one.end))?;
                let (styp, reference) = (std::mem::take(&mut styp), reference.take());
                out.chunks.push(Piece {
                    chunk,
                    end: one.end,
                    styp,
                    reference,
                });
            }
            kind => out.odd.push(String::from_utf8_lossy(kind).into_owned()),
        }
    }
    if out.chunks.is_empty() || moof.is_some() {
        return Err("a `moof` without its `mdat`, or no chunk at all".to_owned());
    }
    Ok(out)
}

fn chunk(bytes: &Bytes) -> Result<Chunk, String> {
    let chunks = fmp4::read_chunks(bytes).map_err(|e| e.to_string())?;
    let only = chunks.into_iter().next();
    only.filter(|c| !c.samples.is_empty())
        .ok_or_else(|| "a chunk without samples".to_owned())
}

fn prft(bytes: &Bytes, at: usize) -> Option<Reference> {
    let long = number(bytes, at, 1)? == 1;
    let (seconds, fraction) = (number(bytes, at + 8, 4)?, number(bytes, at + 12, 4)?);
    let seconds = i64::try_from(seconds).ok()? - NTP_EPOCH;
    let nanos = i64::try_from((fraction * 1_000_000_000) >> 32).ok()?;
    Some(Reference {
        utc: Timestamp::ZERO + Span::from_secs(seconds) + Span::from_nanos(nanos),
        media: number(bytes, at + 16, if long { 8 } else { 4 })?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    fn read(boxes: &[Vec<u8>]) -> Result<Body, String> {
        Body::read(&boxes.concat().into())
    }

    #[test]
    fn a_lone_styp_is_no_media() {
        let styp = one(b"styp", b"msdh\0\0\0\0msdhcmfs");
        assert!(matches!(
            read(std::slice::from_ref(&styp)),
            Ok(Body::Filler)
        ));
        assert!(read(&[styp.clone(), styp]).is_err());
        assert!(read(&[]).is_err());
        assert!(read(&[one(b"free", b"")]).is_err());
    }

    #[test]
    fn boxes_that_are_cut_short() {
        for bytes in [
            &b"\0\0\0\x09styp"[..],
            b"\0\0\0\x04styp",
            b"\0\0\0",
            b"\0\0\0\x01styp\0\0",
        ] {
            assert!(Body::read(&Bytes::from_static(bytes)).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn reference_times() {
        // 1970-01-01T00:00:01.5Z, version 1.
        let body = [
            &[1, 0, 0, 0, 0, 0, 0, 1][..],
            &2_208_988_801_u32.to_be_bytes(),
            &0x8000_0000_u32.to_be_bytes(),
            &135_000_u64.to_be_bytes(),
        ]
        .concat();
        let found = prft(&body.into(), 0);
        let utc = Timestamp::from_millis(1_500);
        assert_eq!(
            found,
            Some(Reference {
                utc,
                media: 135_000
            })
        );
    }
}
