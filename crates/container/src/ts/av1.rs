//! AV1 in PES packets ("Carriage of AV1 in MPEG-2 TS" of AOM): OBUs behind start codes, or as they
//! are.

use std::ops::Range;

use bytes::Bytes;
use media::CodecConfig;
use media::codec::Av1Config;

use super::video::{Access, Units};

const SEQUENCE_HEADER: u8 = 1;
const DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;
/// An OBU tells its size.
const HAS_SIZE: u8 = 2;
/// The most of a temporal unit that comes in several PES packets.
const HELD: usize = 4 << 20;

/// One track's temporal units. A PES packet may hold a frame that is not shown: it is of the unit
/// of the one that is.
#[derive(Debug, Default)]
pub(super) struct Av1 {
    config: Option<CodecConfig>,
    unit: Vec<u8>,
    /// The unit begins with a keyframe, behind its sequence header.
    key: bool,
    sequence: bool,
    fresh: Option<CodecConfig>,
}

impl Av1 {
    pub(super) fn lost(&mut self) {
        self.unit.clear();
        (self.key, self.sequence) = (false, false);
    }

    /// `None` where nothing is shown yet.
    ///
    /// # Errors
    /// Why there is no temporal unit in it.
    pub(super) fn read(&mut self, payload: &[u8]) -> Result<Option<Access>, &'static str> {
        if self.unit.len() + payload.len() > HELD {
            self.lost();
            return Err("access unit too long");
        }
        let mut shown = false;
        if payload.starts_with(&[0, 0, 1]) || payload.starts_with(&[0, 0, 0, 1]) {
            for unit in Units::exact(payload) {
                shown |= self.obu(&unescape(unit)).ok_or("damaged OBU")?;
            }
        } else {
            let mut rest = payload;
            while !rest.is_empty() {
                let (obu, after) = split(rest).ok_or("damaged OBU")?;
                shown |= self.obu(obu).ok_or("damaged OBU")?;
                rest = after;
            }
        }
        if !shown {
            return Ok(None);
        }
        let unit = Bytes::copy_from_slice(&self.unit);
        let random_access = self.key && self.sequence;
        let config = self.fresh.take();
        self.lost();
        if self.config.is_none() {
            return Err("video before its parameter sets");
        }
        Ok(Some(Access {
            random_access,
            leading: false,
            payload: unit,
            config,
        }))
    }

    /// Adds an OBU, with its size; whether it shows something.
    fn obu(&mut self, obu: &[u8]) -> Option<bool> {
        let head = *obu.first()?;
        let (range, sized) = body(obu)?;
        let body = &obu[range.clone()];
        let kind = head >> 3 & 0xf;
        if matches!(kind, DELIMITER | TILE_LIST | PADDING) {
            return Some(false);
        }
        let begun = self.unit.len();
        if sized {
            self.unit.extend_from_slice(&obu[..range.end]);
        } else {
            self.unit.push(head | HAS_SIZE);
            self.unit.extend_from_slice(&obu[1..range.start]);
            size(body.len(), &mut self.unit);
            self.unit.extend_from_slice(body);
        }
        match kind {
            SEQUENCE_HEADER => {
                let config = Av1Config::from_obus(&self.unit[begun..]).ok()?;
                let config = Some(CodecConfig::Av1(config));
                self.sequence = true;
                if self.config != config {
                    self.config.clone_from(&config);
                    self.fresh = config;
                }
                Some(false)
            }
            // `show_existing_frame`, `frame_type` of a keyframe, `show_frame` (AV1 5.9.2).
            FRAME | FRAME_HEADER => {
                let first = *body.first()?;
                let again = first & 0x80 != 0;
                let shown = first & 0x10 != 0;
                self.key |= !again && shown && first & 0x60 == 0;
                Some(again || shown)
            }
            _ => Some(false),
        }
    }
}

/// Where what follows the head lies, and whether the size was told (AV1 5.3).
fn body(obu: &[u8]) -> Option<(Range<usize>, bool)> {
    let head = *obu.first()?;
    let start = 1 + usize::from(head >> 2 & 1);
    let (from, to, sized) = if head & HAS_SIZE == 0 {
        (start, obu.len(), false)
    } else {
        let (size, used) = leb128(obu.get(start..)?)?;
        (start + used, (start + used).checked_add(size)?, true)
    };
    obu.get(from..to).map(|_| (from..to, sized))
}

/// The first of OBUs that follow each other; one without a size reaches to the end.
pub(super) fn split(obus: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, _) = body(obus)?;
    obus.split_at_checked(body.end)
}

fn leb128(data: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (i, byte) in data.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, i + 1));
        }
    }
    None
}

fn size(mut bytes: usize, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(bytes & 0x7f).unwrap_or(0);
        bytes >>= 7;
        out.push(low | if bytes > 0 { 0x80 } else { 0 });
        if bytes == 0 {
            return;
        }
    }
}

/// Takes out the bytes that keep others from looking like start codes.
fn unescape(unit: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for byte in unit {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        out.push(*byte);
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
    }
    out
}
