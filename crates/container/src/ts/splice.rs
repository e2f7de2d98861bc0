//! The time of a splice information section (ANSI/SCTE 35 9.6), read and written.

use super::crc::crc;

const TABLE_ID: u8 = 0xfc;
const SPLICE_INSERT: u8 = 0x05;
const TIME_SIGNAL: u8 = 0x06;
/// 33 bits.
const WRAP: u64 = 1 << 33;

/// When the splice is due, in ticks of 90 kHz on the clock that the section came with, its
/// `pts_adjustment` counted in; `None` where it tells no time, or hides it by encryption.
pub(super) fn due(section: &[u8]) -> Option<u64> {
    Some((pts_time(section)? + adjustment(section)?) % WRAP)
}

/// Rewrites `pts_adjustment` so that the splice is due at `due`. A section that tells no time
/// stays as it is.
pub(super) fn set_due(section: &mut [u8], due: u64) {
    let Some(told) = pts_time(section) else {
        return;
    };
    let adjustment = (due + WRAP - told) % WRAP;
    let bytes = adjustment.to_be_bytes();
    let end = section.len().saturating_sub(4);
    let Some((body, sum)) = section.split_at_mut_checked(end) else {
        return;
    };
    if let Some(field) = body.get_mut(4..9) {
        field[0] = field[0] & 0xfe | bytes[3];
        field[1..].copy_from_slice(&bytes[4..]);
        sum.copy_from_slice(&crc(body).to_be_bytes());
    }
}

fn adjustment(section: &[u8]) -> Option<u64> {
    let low = section.get(4..9)?;
    Some(number(low) & (WRAP - 1))
}

fn pts_time(section: &[u8]) -> Option<u64> {
    // The CRC is no part of any command.
    let section = section.get(..section.len().checked_sub(4)?)?;
    let encrypted = section.get(4)? & 0x80 != 0;
    if *section.first()? != TABLE_ID || encrypted {
        return None;
    }
    let command = section.get(14..)?;
    let time = match *section.get(13)? {
        TIME_SIGNAL => command,
        SPLICE_INSERT => {
            let (cancelled, flags) = (command.get(4)? & 0x80 != 0, *command.get(5)?);
            let (whole, immediate) = (flags & 0x40 != 0, flags & 0x10 != 0);
            if cancelled || immediate {
                return None;
            }
            // By component: a count, then a tag before each one's time.
            command.get(if whole { 6 } else { 8 }..)?
        }
        _ => return None,
    };
    let told = time.get(..5).filter(|t| t[0] & 0x80 != 0)?;
    Some(number(told) & (WRAP - 1))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time signal at 0x072bd0050 (SCTE 35 14.1).
    const SIGNAL: &str = "fc3034000000000000fffff00506fe72bd0050001e021c435545494800008e7fcf0001a599b00808000000002ca0a18a3402009ac9d17e";
    /// A splice insert at 0x07369c02e (SCTE 35 14.2).
    const INSERT: &str = "fc302f000000000000fffff014054800008f7feffe7369c02efe0052ccf500000000000a0008435545490000013562dba30a";

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn times_are_read_and_moved() {
        for (hex, told) in [(SIGNAL, 0x0_72bd_0050), (INSERT, 0x0_7369_c02e)] {
            let mut section = bytes(hex);
            assert_eq!(crc(&section), 0);
            assert_eq!(due(&section), Some(told));
            for wanted in [5, told, told - 1, WRAP - 1, told + 90_000] {
                set_due(&mut section, wanted);
                assert_eq!(due(&section), Some(wanted));
                assert_eq!(pts_time(&section), Some(told));
                assert_eq!(crc(&section), 0);
            }
            set_due(&mut section, told);
            assert_eq!(section, bytes(hex));
        }
    }

    #[test]
    fn a_section_without_a_time_stays() {
        let null = bytes("fc301100000000000000ffffff0000004f253396");
        let mut section = null.clone();
        assert_eq!(due(&section), None);
        set_due(&mut section, 7);
        assert_eq!(section, null);
        for len in 0..section.len() {
            assert_eq!(due(&section[..len]), None);
            set_due(&mut section[..len], 7);
        }
    }
}
