//! CMAF headers: `ftyp` + `moov` of one track.

use bytes::{Bytes, BytesMut};
use media::codec::Ac3Config;
use media::{CodecConfig, Track, TrackKind, codec};
use mp4_atom::esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig};
use mp4_atom::{
    Ac3, Ac3SpecificBox, Atom as _, Audio, Av01, Av1c, Avc1, Avcc, Codec, Decode as _, Dfla, Dinf,
    Dops, Dref, DrefEntry, Eac3, Ec3IndependentSubstream, Ec3SpecificBox, Encode as _, Esds,
    FixedPoint, Flac, FourCC, Ftyp, Hdlr, Hvc1, Hvcc, Mdhd, Mdia, Minf, Moov, Mp4a, Mvex, Mvhd,
    Opus, Smhd, Stbl, Stco, Stsd, Tkhd, Trak, Trex, Url, Visual, Vmhd, Vp09, VpcC,
};

use super::{Mp4Error, timescale};

/// The CMAF header of a track, as track 1.
///
/// # Errors
/// A codec without a sample entry here, or a record that a box does not take.
pub fn init_segment(track: &Track) -> Result<Bytes, Mp4Error> {
    let mut out = BytesMut::with_capacity(1024);
    ftyp().encode(&mut out)?;
    moov(track)?.encode(&mut out)?;
    Ok(out.freeze())
}

fn ftyp() -> Ftyp {
    let brand = |name: &[u8; 4]| FourCC::new(name);
    Ftyp {
        major_brand: brand(b"iso6"),
        minor_version: 0,
        compatible_brands: vec![brand(b"iso6"), brand(b"cmfc"), brand(b"mp41")],
    }
}

fn moov(track: &Track) -> Result<Moov, Mp4Error> {
    Ok(Moov {
        mvhd: Mvhd {
            timescale: timescale(&track.config),
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: 2,
            ..Mvhd::default()
        },
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![Trex {
                track_id: 1,
                default_sample_description_index: 1,
                ..Trex::default()
            }],
        }),
        trak: vec![Trak {
            tkhd: tkhd(track),
            mdia: mdia(track)?,
            ..Trak::default()
        }],
        ..Moov::default()
    })
}

fn tkhd(track: &Track) -> Tkhd {
    let (width, height) = dimensions(&track.config);
    Tkhd {
        track_id: 1,
        enabled: true,
        in_movie: true,
        alternate_group: u16::from(track.kind == TrackKind::Audio),
        volume: FixedPoint::from(u8::from(track.kind == TrackKind::Audio)),
        width: width.into(),
        height: height.into(),
        ..Tkhd::default()
    }
}

fn mdia(track: &Track) -> Result<Mdia, Mp4Error> {
    let is_video = track.kind == TrackKind::Video;
    let (handler, name) = if is_video {
        (b"vide", "VideoHandler")
    } else {
        (b"soun", "SoundHandler")
    };
    Ok(Mdia {
        mdhd: Mdhd {
            timescale: timescale(&track.config),
            language: iso639(track.language.as_deref()),
            ..Mdhd::default()
        },
        hdlr: Hdlr {
            handler: FourCC::new(handler),
            name: name.to_owned(),
        },
        minf: Minf {
            vmhd: is_video.then(Vmhd::default),
            smhd: (!is_video).then(Smhd::default),
            dinf: Dinf {
                dref: Dref {
                    entries: vec![DrefEntry::Url(Url::default())],
                },
            },
            stbl: Stbl {
                stsd: Stsd {
                    codecs: vec![sample_entry(&track.config)?],
                },
                stco: Some(Stco::default()),
                ..Stbl::default()
            },
            ..Minf::default()
        },
    })
}

/// `mdhd` holds three letters of ISO 639-2; the rest of a tag is left to the manifest.
fn iso639(language: Option<&str>) -> String {
    let code = language.and_then(media::language::three_letters);
    code.unwrap_or_else(|| "und".to_owned())
}

fn dimensions(config: &CodecConfig) -> (u16, u16) {
    let small = |v: u32| u16::try_from(v).unwrap_or(u16::MAX);
    let video = config.video();
    video.map_or((0, 0), |v| (small(v.width), small(v.height)))
}

fn visual(config: &CodecConfig) -> Visual {
    let (width, height) = dimensions(config);
    Visual {
        data_reference_index: 1,
        width,
        height,
        ..Visual::default()
    }
}

/// A sampling rate above 65,535 Hz does not fit the entry and is left to the decoder's record.
fn audio(info: codec::AudioInfo) -> Audio {
    Audio {
        data_reference_index: 1,
        channel_count: info.channels,
        sample_size: 16,
        sample_rate: u16::try_from(info.sample_rate).unwrap_or(0).into(),
    }
}

fn sample_entry(config: &CodecConfig) -> Result<Codec, Mp4Error> {
    Ok(match config {
        CodecConfig::H264(c) => Codec::Avc1(Avc1 {
            visual: visual(config),
            avcc: Avcc::decode_body(&mut c.record().clone())?,
            ..Avc1::default()
        }),
        CodecConfig::H265(c) => Codec::Hvc1(Hvc1 {
            visual: visual(config),
            hvcc: Hvcc::decode_body(&mut c.record().clone())?,
            ..Hvc1::default()
        }),
        CodecConfig::Av1(c) => Codec::Av01(Av01 {
            visual: visual(config),
            av1c: Av1c::decode_body(&mut c.record().clone())?,
            ..Av01::default()
        }),
        CodecConfig::Vp9(c) => Codec::Vp09(Vp09 {
            visual: visual(config),
            vpcc: VpcC::decode(&mut whole_box(b"vpcC", c.record()))?,
            btrt: None,
            colr: None,
            pasp: None,
            spatial: None,
        }),
        CodecConfig::Ac3(c) => ac3(c),
        CodecConfig::Flac(c) => {
            // Version and flags, then the block; it is the last one.
            let body = [&b"\x00\x00\x00\x00\x80\x00\x00\x22"[..], c.stream_info()].concat();
            Codec::Flac(Flac {
                audio: Audio {
                    sample_size: c.bits_per_sample(),
                    ..audio(c.audio())
                },
                dfla: Dfla::decode(&mut whole_box(b"dfLa", &body))?,
            })
        }
        CodecConfig::Aac(c) => mp4a(c.audio(), 0x40, Some(c.record())),
        CodecConfig::Mp2(c) => mp4a(c.audio(), 0x6b, None),
        CodecConfig::Mp3(c) => mp4a(c.audio(), 0x6b, None),
        CodecConfig::Opus(c) => Codec::Opus(Opus {
            audio: audio(c.audio()),
            dops: Dops {
                output_channel_count: u8::try_from(c.audio().channels).unwrap_or(2),
                pre_skip: c.pre_skip(),
                input_sample_rate: c.input_rate(),
                output_gain: c.gain(),
                channel_mapping: None,
            },
            btrt: None,
        }),
        other => return Err(Mp4Error::Codec(other.name())),
    })
}

fn whole_box(kind: &[u8; 4], body: &[u8]) -> Bytes {
    let len = u32::try_from(body.len() + 8).unwrap_or(u32::MAX);
    [&len.to_be_bytes()[..], kind, body].concat().into()
}

/// ETSI TS 102 366, annex F: one independent substream.
fn ac3(c: &Ac3Config) -> Codec {
    let audio = audio(c.audio());
    if !c.enhanced {
        return Codec::Ac3(Ac3 {
            audio,
            dac3: Ac3SpecificBox {
                fscod: c.fscod,
                bsid: c.bsid,
                bsmod: c.bsmod,
                acmod: c.acmod,
                lfeon: c.lfeon,
                bit_rate_code: u8::try_from(c.rate).unwrap_or(0),
            },
        });
    }
    Codec::Eac3(Eac3 {
        audio,
        dec3: Ec3SpecificBox {
            data_rate: c.rate,
            substreams: vec![Ec3IndependentSubstream {
                fscod: c.fscod,
                bsid: c.bsid,
                asvc: false,
                bsmod: c.bsmod,
                acmod: c.acmod,
                lfeon: c.lfeon,
                num_dep_sub: 0,
                chan_loc: None,
            }],
        },
    })
}

/// ISO/IEC 14496-1 7.2.6.6: object type 0x40 is MPEG-4 audio, 0x6B MPEG-1 audio.
fn mp4a(info: codec::AudioInfo, object_type_indication: u8, asc: Option<&Bytes>) -> Codec {
    Codec::Mp4a(Mp4a {
        audio: audio(info),
        esds: Esds {
            es_desc: EsDescriptor {
                es_id: 1,
                dec_config: DecoderConfig {
                    object_type_indication,
                    stream_type: 5,
                    dec_specific: asc.map(|asc| DecoderSpecific {
                        raw: asc.to_vec(),
                        ..DecoderSpecific::default()
                    }),
                    ..DecoderConfig::default()
                },
                sl_config: SLConfig::default(),
                ..EsDescriptor::default()
            },
        },
        btrt: None,
        taic: None,
    })
}
