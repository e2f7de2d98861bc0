//! CRC-32 of sections (ITU-T H.222.0 annex A).

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = (i as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

/// The CRC of a section without its own; 0 over one that ends with the right one.
pub(super) fn crc(data: &[u8]) -> u32 {
    data.iter().fold(u32::MAX, |crc, byte| {
        let at = usize::try_from(crc >> 24).unwrap_or(0) ^ usize::from(*byte);
        crc << 8 ^ TABLE[at]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_catalogue() {
        assert_eq!(crc(b"123456789"), 0x0376_e6e7);
        assert_eq!(crc(b"123456789\x03\x76\xe6\xe7"), 0);
    }
}
