//! The boxes that are read here, and nothing else: what a library makes of the others, bytes that
//! stand for millions of entries among them, concerns nobody.

use bytes::{Buf as _, Bytes, BytesMut};
use mp4_atom::{Decode as _, Header};

use super::Mp4Error;

/// Boxes lie no deeper: `trak`, `mdia`, `minf`, `stbl` and what is in it.
const DEEPEST: usize = 5;

/// What a box holds.
enum Holds {
    Boxes,
    Fields,
    /// Something that nobody reads.
    Nothing,
}

fn holds(kind: [u8; 4]) -> Holds {
    match &kind {
        b"trak" | b"edts" | b"mdia" | b"minf" | b"stbl" | b"mvex" | b"traf" => Holds::Boxes,
        b"mvhd" | b"tkhd" | b"elst" | b"mdhd" | b"hdlr" | b"vmhd" | b"smhd" | b"dinf" | b"stsd"
        | b"stts" | b"ctts" | b"stss" | b"stsc" | b"stsz" | b"stco" | b"co64" | b"mehd"
        | b"trex" | b"mfhd" | b"tfhd" | b"tfdt" | b"trun" => Holds::Fields,
        _ => Holds::Nothing,
    }
}

/// The body of a `moov` or `moof` without what is not needed of it.
///
/// # Errors
/// A box that is longer than what it lies in.
pub(super) fn needed(body: Bytes) -> Result<Bytes, Mp4Error> {
    let mut out = BytesMut::with_capacity(body.len());
    copy(body, DEEPEST, &mut out)?;
    Ok(out.freeze())
}

fn copy(mut rest: Bytes, deeper: usize, out: &mut BytesMut) -> Result<(), Mp4Error> {
    while rest.has_remaining() {
        let header = Header::decode(&mut rest)?;
        // Without a size it goes on to the end.
        let size = header.size.unwrap_or(rest.len());
        if size > rest.len() {
            return Err(Mp4Error::TooLong("box"));
        }
        let body = rest.split_to(size);
        let kind: [u8; 4] = header.kind.into();
        let begin = out.len();
        match holds(kind) {
            Holds::Fields => {
                begin_box(kind, out);
                out.extend_from_slice(&body);
            }
            Holds::Boxes if deeper > 0 => {
                begin_box(kind, out);
                copy(body, deeper - 1, out)?;
            }
            Holds::Boxes | Holds::Nothing => continue,
        }
        let length = u32::try_from(out.len() - begin).map_err(|_| Mp4Error::TooLong("box"))?;
        out[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// Its length is not known yet.
fn begin_box(kind: [u8; 4], out: &mut BytesMut) {
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&kind);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 8).unwrap_or(0);
        [&length.to_be_bytes(), &kind[..], body].concat()
    }

    #[test]
    fn what_nobody_reads_is_left_out_at_every_depth() {
        let times = boxed(b"stts", &[0; 8]);
        let groups = boxed(b"sgpd", b"\0\0\0\0roll\xff\xff\xff\xff");
        let within = |stbl: &[u8]| boxed(b"trak", &boxed(b"mdia", &boxed(b"stbl", stbl)));
        let body = [
            boxed(b"udta", &[7]),
            within(&[groups, times.clone()].concat()),
        ]
        .concat();
        assert_eq!(needed(body.into()).unwrap(), within(&times));
    }

    #[test]
    fn boxes_within_boxes_end_somewhere() {
        let deep = (0..1_000).fold(Vec::new(), |inner, _| boxed(b"trak", &inner));
        assert!(needed(deep.into()).unwrap().len() <= 8 * (DEEPEST + 1));
    }

    #[test]
    fn a_box_that_is_longer_than_what_it_lies_in_is_refused() {
        let mut body = boxed(b"mvhd", &[0; 4]);
        body[3] += 1;
        assert!(needed(body.into()).is_err());
    }
}
