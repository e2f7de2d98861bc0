//! Headers that real encoders wrote.

use bytes::Bytes;

use super::*;

fn hex(text: &str) -> Bytes {
    let digit = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len())
        .step_by(2)
        .map(digit)
        .collect::<Vec<_>>()
        .into()
}

/// x264, 640x360 at 30, constrained baseline.
const AVCC: &str =
    "0142c01effe100196742c01eda0280bfe5c044000003000400000300f03c58ba8001000468ce0fc8";

#[test]
fn h264() {
    let c = H264Config::parse(hex(AVCC)).unwrap();
    let v = c.video();
    assert_eq!((v.width, v.height, v.frame_rate), (640, 360, Some((30, 1))));
    assert_eq!(
        (c.rfc6381().as_str(), c.nal_length_size()),
        ("avc1.42c01e", 4)
    );
    let sets: Vec<Vec<u8>> = c.parameter_sets().into_iter().map(<[u8]>::to_vec).collect();
    assert_eq!(
        H264Config::from_parameter_sets(&sets[0], &sets[1])
            .unwrap()
            .video(),
        v
    );
}

/// x265, 640x360 at 30, Main.
const HVCC: &str = "0101600000009000000000003ff000fcfdf8f800000f03a00001001840010c01ffff0160000003009000\
    0003000003003f959409a10001002b42010101600000030090000003000003003fa005020171f2e59595\
    2930bc05a020000003002000000303c1a2000100064401c073c189";

#[test]
fn h265() {
    let c = H265Config::parse(hex(HVCC)).unwrap();
    let v = c.video();
    assert_eq!((v.width, v.height, v.frame_rate), (640, 360, Some((30, 1))));
    assert_eq!(c.rfc6381(), "hvc1.1.6.L63.90");
    assert_eq!(c.parameter_sets().len(), 3);
}

#[test]
fn aac() {
    for (asc, kind, rate, channels, samples) in [
        ("1190", 2, 48_000, 2, 1024),
        ("1210", 2, 44_100, 2, 1024),
        ("2b92080000", 5, 44_100, 2, 2048),
        ("eb8a0800", 29, 44_100, 2, 2048),
    ] {
        let c = AacConfig::parse(hex(asc)).unwrap();
        let a = c.audio();
        assert_eq!(
            (c.object_type(), a.sample_rate, a.channels),
            (kind, rate, channels),
            "{asc}"
        );
        assert_eq!(a.samples_per_frame, Some(samples), "{asc}");
    }
}

#[test]
fn what_is_cut_short_is_an_error() {
    let whole = hex(AVCC);
    for len in 0..whole.len() {
        let _ = H264Config::parse(whole.slice(..len));
        let _ = H265Config::parse(whole.slice(..len));
        let _ = Av1Config::parse(whole.slice(..len));
    }
    assert!(AacConfig::parse(hex("11")).is_err());
    assert!(Mp3Config::parse(&[0xff]).is_err());
    assert!(OpusConfig::parse(b"OpusHead").is_err());
}

#[test]
fn mp3_and_opus() {
    let a = Mp3Config::parse(&[0xff, 0xfb, 0x90, 0x64]).unwrap().audio();
    assert_eq!((a.sample_rate, a.channels), (44_100, 2));
    assert!(Mp2Config::parse(&[0xff, 0xfb, 0x90, 0x64]).is_err());
    let a = Mp2Config::parse(&[0xff, 0xf5, 0x84, 0xc0]).unwrap().audio();
    assert_eq!((a.sample_rate, a.channels), (24_000, 1));
    assert_eq!(a.samples_per_frame, Some(1152));
    let head = OpusConfig::new(2).head();
    assert_eq!(OpusConfig::parse(&head).unwrap(), OpusConfig::new(2));
}
