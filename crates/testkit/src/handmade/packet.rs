//! Packets written by hand: whatever one wants to say, true or not. Pure.

/// Numbers of packets count modulo this.
pub const MODULO: u32 = 1 << 31;

/// A control packet (§3.2).
#[must_use]
pub fn control(kind: u16, subtype: u16, info: u32, destination: u32, body: &[u8]) -> Vec<u8> {
    let first = 1 << 31 | u32::from(kind) << 16 | u32::from(subtype);
    packet([first, info, 0, destination], body)
}

/// A data packet of one message (§3.1); `flags` are the two bits of the key, and whether it is sent again.
#[must_use]
pub fn data(number: u32, flags: u32, destination: u32, body: &[u8]) -> Vec<u8> {
    let second = 0b11 << 30 | 1 << 29 | (flags & 0b111) << 26 | (number & 0x3ff_ffff);
    packet([number % MODULO, second, 0, destination], body)
}

fn packet(head: [u32; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = words(&head);
    bytes.extend_from_slice(body);
    bytes
}

/// Big-endian, one behind the other.
#[must_use]
pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

/// The big-endian word at this place, in words.
#[must_use]
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let found = bytes.get(at * 4..at * 4 + 4)?;
    found.try_into().ok().map(u32::from_be_bytes)
}
