//! What a `splice_info_section` asks for (ANSI/SCTE 35): where breaks begin and end.

use crate::Span;
use crate::bits::Bits;

const TABLE_ID: u8 = 0xfc;
const NULL: u8 = 0x00;
const SPLICE_INSERT: u8 = 0x05;
const TIME_SIGNAL: u8 = 0x06;
const BANDWIDTH_RESERVATION: u8 = 0x07;
/// Up to the command.
const HEAD: usize = 14;
/// A command whose length is not told (9.6.1).
const UNTOLD: usize = 0xfff;
const SEGMENTATION: u32 = 0x02;
/// So many descriptors of one section are read.
const MOST: usize = 16;

/// One thing that a section asks for, at the section's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cue {
    /// Tells events apart: `splice_event_id`, `segmentation_event_id`, or the section's checksum.
    pub event: u32,
    /// What happens.
    pub what: What,
    /// How long what begins is to last, where it is told.
    pub duration: Option<Span>,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A break begins: a splice out of the network, or a segment that is for others to fill.
    Out,
    /// It ends.
    In,
    /// What was announced will not be.
    Cancelled,
    /// Anything else.
    Other,
}

/// What a section asks for; nothing where it is none, or says nothing.
#[must_use]
pub fn cues(section: &[u8]) -> Vec<Cue> {
    read(section).unwrap_or_default()
}

fn read(section: &[u8]) -> Option<Vec<Cue>> {
    let (head, body) = section.split_at_checked(HEAD)?;
    let (rest, checksum) = body.split_at_checked(body.len().checked_sub(4)?)?;
    if head[0] != TABLE_ID {
        return None;
    }
    let other = Cue {
        event: u32::from_be_bytes(checksum.try_into().ok()?),
        what: What::Other,
        duration: None,
    };
    let encrypted = head[4] & 0x80 != 0;
    if encrypted {
        return Some(vec![other]);
    }
    let told = usize::from(head[11] & 0x0f) << 8 | usize::from(head[12]);
    let mut bits = Bits::new(rest);
    let inserted = match head[13] {
        NULL | BANDWIDTH_RESERVATION => return None,
        SPLICE_INSERT => Some(insert(&mut bits)?),
        TIME_SIGNAL => time(&mut bits).map(|()| None)?,
        _ => None,
    };
    if let Some(cue) = inserted {
        return Some(vec![cue]);
    }
    let mut descriptors = match told {
        UNTOLD => bits,
        told => Bits::new(rest.get(told..)?),
    };
    let found = segmentations(&mut descriptors);
    Some(if found.is_empty() { vec![other] } else { found })
}

/// `splice_insert()` (9.7.3).
fn insert(bits: &mut Bits<'_>) -> Option<Cue> {
    let event = bits.bits(32)?;
    let cancelled = bits.bit()?;
    bits.skip(7)?;
    let cue = |what, duration| Cue {
        event,
        what,
        duration,
    };
    if cancelled {
        return Some(cue(What::Cancelled, None));
    }
    let (out, whole, lasts, immediate) = (bits.bit()?, bits.bit()?, bits.bit()?, bits.bit()?);
    bits.skip(4)?;
    if whole && !immediate {
        time(bits)?;
    }
    if !whole {
        for _ in 0..bits.bits(8)? {
            bits.skip(8)?;
            if !immediate {
                time(bits)?;
            }
        }
    }
    let duration = if lasts {
        bits.skip(7)?;
        Some(ticks(bits, 33)?)
    } else {
        None
    };
    Some(cue(if out { What::Out } else { What::In }, duration))
}

/// `splice_time()` (9.8.1).
fn time(bits: &mut Bits<'_>) -> Option<()> {
    match bits.bit()? {
        true => bits.skip(32).and_then(|()| bits.skip(7)),
        false => bits.skip(7),
    }
}

fn ticks(bits: &mut Bits<'_>, count: u32) -> Option<Span> {
    let high = i64::from(bits.bits(count - 32)?);
    let low = i64::from(bits.bits(32)?);
    Some(Span::from_ticks(high << 32 | low, 90_000))
}

/// The segmentation descriptors of a loop (10.3.3).
fn segmentations(bits: &mut Bits<'_>) -> Vec<Cue> {
    let mut found = Vec::new();
    let _length = bits.bits(16);
    while found.len() < MOST {
        let (Some(tag), Some(length)) = (bits.bits(8), bits.bits(8)) else {
            break;
        };
        let mut own = bits.clone();
        if tag == SEGMENTATION
            && let Some(cue) = segmentation(&mut own)
        {
            found.push(cue);
        }
        if (0..length).try_for_each(|_| bits.skip(8)).is_none() {
            break;
        }
    }
    found
}

fn segmentation(bits: &mut Bits<'_>) -> Option<Cue> {
    let _identifier = bits.bits(32)?;
    let event = bits.bits(32)?;
    let cancelled = bits.bit()?;
    bits.skip(7)?;
    if cancelled {
        let what = What::Cancelled;
        return Some(Cue {
            event,
            what,
            duration: None,
        });
    }
    let (whole, lasts) = (bits.bit()?, bits.bit()?);
    bits.skip(6)?;
    if !whole {
        for _ in 0..bits.bits(8)? {
            bits.skip(32).and_then(|()| bits.skip(16))?;
        }
    }
    let duration = if lasts { Some(ticks(bits, 40)?) } else { None };
    let _kind = bits.bits(8)?;
    for _ in 0..bits.bits(8)? {
        bits.skip(8)?;
    }
    let what = match bits.bits(8)? {
        // Breaks, advertisements, placement opportunities and ad blocks (table 23).
        0x22 | 0x30 | 0x32 | 0x34 | 0x36 | 0x38 | 0x3a | 0x44 | 0x46 => What::Out,
        0x23 | 0x31 | 0x33 | 0x35 | 0x37 | 0x39 | 0x3b | 0x45 | 0x47 => What::In,
        _ => What::Other,
    };
    Some(Cue {
        event,
        what,
        duration,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SCTE 35 14.1: a time signal with a placement opportunity of 307 s.
    const SIGNAL: &str = "fc3034000000000000fffff00506fe72bd0050001e021c435545494800008e7fcf0001a599b00808000000002ca0a18a3402009ac9d17e";
    /// 14.2: a splice out of the network for 60 s.
    const INSERT: &str = "fc302f000000000000fffff014054800008f7feffe7369c02efe0052ccf500000000000a0008435545490000013562dba30a";
    /// 14.3: the end of that placement opportunity.
    const END: &str = "fc302f000000000000fffff00506fe746290a000190217435545494800008e7f9f0808000000002ca0a18a350200a9cc6758";

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    fn only(hex: &str) -> Cue {
        let found = cues(&bytes(hex));
        assert_eq!(found.len(), 1, "{found:?}");
        found[0]
    }

    #[test]
    fn breaks_begin_and_end() {
        let out = only(SIGNAL);
        assert_eq!((out.event, out.what), (0x4800_008e, What::Out));
        assert_eq!(out.duration.unwrap().as_millis(), 307_000);
        let out = only(INSERT);
        assert_eq!((out.event, out.what), (0x4800_008f, What::Out));
        assert_eq!(out.duration.unwrap().as_millis(), 60_293);
        let end = only(END);
        assert_eq!(
            (end.event, end.what, end.duration),
            (0x4800_008e, What::In, None)
        );
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        assert_eq!(cues(&bytes("fc301100000000000000ffffff0000004f253396")), []);
        assert_eq!(cues(b"\x00"), []);
        for hex in [SIGNAL, INSERT, END] {
            let whole = bytes(hex);
            for len in 0..whole.len() {
                let _ = cues(&whole[..len]);
            }
            for at in 0..whole.len() * 8 {
                let mut broken = whole.clone();
                broken[at / 8] ^= 1 << (at % 8);
                let _ = cues(&broken);
            }
        }
    }
}
