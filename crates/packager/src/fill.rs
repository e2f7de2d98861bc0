//! Silence for an audio track that ceased while pictures go on: a playlist that stands still
//! would stop every player.

use bytes::Bytes;
use media::CodecConfig;

/// One coded frame of silence, where one is known for the codec.
pub(crate) fn silent_frame(config: &CodecConfig) -> Option<Bytes> {
    match config {
        CodecConfig::Aac(aac) => match aac.audio().channels {
            1 => Some(Bytes::from_static(&AAC_MONO)),
            2 => Some(Bytes::from_static(&AAC_STEREO)),
            _ => None,
        },
        // RFC 6716 3.1: a 20 ms CELT full-band frame with nothing in it.
        CodecConfig::Opus(_) => Some(Bytes::from_static(&[0xf8, 0xff, 0xfe])),
        _ => None,
    }
}

/// ISO/IEC 14496-3 4.4.2.1 `raw_data_block`: a single channel element without scale factor bands, END.
const AAC_MONO: [u8; 4] = [0x00, 0x00, 0x00, 0x07];
/// The same with a channel pair element that shares its window.
const AAC_STEREO: [u8; 6] = [0x21, 0x00, 0x00, 0x00, 0x00, 0x1c];
