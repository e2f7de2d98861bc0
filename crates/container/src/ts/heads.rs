//! Headers of audio frames: how long each is, and what decodes it.

use bytes::Bytes;
use media::CodecConfig;
use media::codec::{AacConfig, Ac3Config, Mp2Config, Mp3Config};

/// How frames are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// AAC behind ADTS headers (ISO/IEC 13818-7 6.2).
    Adts,
    /// AAC in LATM elements behind LOAS headers (ISO/IEC 14496-3 1.7).
    Loas,
    /// Layers I to III (ISO/IEC 11172-3 2.4.1).
    Mpeg,
    /// AC-3 and E-AC-3 (ETSI TS 102 366).
    Ac3,
}

/// What begins at a sync word.
pub(super) enum Head {
    /// Whole frame, and how much of it is header that does not go on.
    Frame {
        len: usize,
        skip: usize,
        config: CodecConfig,
    },
    /// An element of LATM of so many bytes, behind so many of header.
    Latm { len: usize, skip: usize },
    /// Something that does not go on.
    Skip(usize, &'static str),
    /// Not enough of it is there.
    Short,
    /// No header.
    Bad,
}

/// How much tells what begins: the fixed and variable header of ADTS, the sync and length of LOAS,
/// and enough to read AC-3's.
const ADTS: usize = 7;
const LOAS: usize = 3;
const OTHERS: usize = 9;

/// What begins here.
pub(super) fn head(syntax: Syntax, data: &[u8]) -> Head {
    let least = match syntax {
        Syntax::Adts => ADTS,
        Syntax::Loas => LOAS,
        Syntax::Mpeg | Syntax::Ac3 => OTHERS,
    };
    if data.len() < least {
        return Head::Short;
    }
    match syntax {
        Syntax::Adts => adts(data),
        Syntax::Loas => loas(data),
        Syntax::Mpeg => mpeg(data),
        Syntax::Ac3 => ac3(data),
    }
}

fn adts(data: &[u8]) -> Head {
    let byte = |i: usize| usize::from(data[i]);
    if data[0] != 0xff || data[1] & 0xf6 != 0xf0 {
        return Head::Bad;
    }
    let skip = if data[1] & 1 == 1 { 7 } else { 9 };
    let len = (byte(3) & 3) << 11 | byte(4) << 3 | byte(5) >> 5;
    let object_type = (data[2] >> 6) + 1;
    let rate = data[2] >> 2 & 0xf;
    let channels = (data[2] & 1) << 2 | data[3] >> 6;
    if len < skip {
        return Head::Bad;
    }
    if data[6] & 3 != 0 {
        return Head::Skip(len, "several AAC blocks in a frame");
    }
    if channels == 0 {
        return Head::Skip(len, "AAC with channels told in band");
    }
    let asc = [
        object_type << 3 | rate >> 1,
        (rate & 1) << 7 | channels << 3,
    ];
    match AacConfig::parse(Bytes::copy_from_slice(&asc)) {
        Ok(config) => Head::Frame {
            len,
            skip,
            config: CodecConfig::Aac(config),
        },
        Err(_) => Head::Bad,
    }
}

fn loas(data: &[u8]) -> Head {
    if data[0] != 0x56 || data[1] & 0xe0 != 0xe0 {
        return Head::Bad;
    }
    let len = usize::from(data[1] & 0x1f) << 8 | usize::from(data[2]);
    Head::Latm {
        len: LOAS + len,
        skip: LOAS,
    }
}

/// Kilobits per second by index: of MPEG-1 layers II and III, of MPEG-2 layers II and III alike.
const KBPS: [[usize; 15]; 3] = [
    [
        0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
    ],
    [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

fn mpeg(data: &[u8]) -> Head {
    if data[0] != 0xff || data[1] & 0xe0 != 0xe0 {
        return Head::Bad;
    }
    let config = match data[1] >> 1 & 3 {
        1 => Mp3Config::parse(data).map(CodecConfig::Mp3),
        2 => Mp2Config::parse(data).map(CodecConfig::Mp2),
        _ => return Head::Bad,
    };
    let Ok(config) = config else {
        return Head::Bad;
    };
    let is_mpeg1 = data[1] >> 3 & 3 == 3;
    let row = match (is_mpeg1, &config) {
        (true, CodecConfig::Mp2(_)) => 0,
        (true, _) => 1,
        (false, _) => 2,
    };
    let kbps = KBPS[row].get(usize::from(data[2] >> 4)).copied();
    let (Some(kbps @ 1..), Some(info)) = (kbps, config.audio()) else {
        return Head::Bad;
    };
    let rate = usize::try_from(info.sample_rate).unwrap_or(1).max(1);
    let samples = usize::try_from(info.samples_per_frame.unwrap_or(0)).unwrap_or(0);
    let len = samples / 8 * kbps * 1000 / rate + usize::from(data[2] >> 1 & 1);
    Head::Frame {
        len,
        skip: 0,
        config,
    }
}

/// Kilobits per second of AC-3, by half of `frmsizecod` (ETSI TS 102 366, table 4.13).
const AC3_KBPS: [usize; 19] = [
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
];

fn ac3(data: &[u8]) -> Head {
    if data[..2] != [0x0b, 0x77] {
        return Head::Bad;
    }
    if data[5] >> 3 > 10 {
        let len = 2 * ((usize::from(data[2] & 7) << 8 | usize::from(data[3])) + 1);
        let dependent = data[2] >> 6 == 1 || data[2] >> 3 & 7 != 0;
        return match Ac3Config::parse(data) {
            Ok(_) if dependent => Head::Skip(len, "E-AC-3 beyond the first substream"),
            Ok(config) => ac3_frame(len, config),
            Err(_) if dependent => Head::Skip(len, "E-AC-3 beyond the first substream"),
            Err(_) => Head::Bad,
        };
    }
    let code = usize::from(data[4] & 0x3f);
    let (Some(kbps), Ok(config)) = (AC3_KBPS.get(code / 2), Ac3Config::parse(data)) else {
        return Head::Bad;
    };
    let words = match config.fscod {
        0 => kbps * 2,
        1 => kbps * 1536 * 1000 / (44_100 * 16) + (code & 1),
        _ => kbps * 3,
    };
    ac3_frame(2 * words, config)
}

const fn ac3_frame(len: usize, config: Ac3Config) -> Head {
    if len < OTHERS {
        return Head::Bad;
    }
    Head::Frame {
        len,
        skip: 0,
        config: CodecConfig::Ac3(config),
    }
}
