//! What this machine can encode with: every encoder opened and made to encode.

use anyhow::Result;
use ladder::{
    AudioCodec, AudioRung, Capabilities, Device, Encoder, Fit, FrameRate, From, Rate, RateControl,
    Rung, VideoCodec, VideoRung,
};

use crate::av::{self, AudioEncoder, Picture, VideoEncoder};
use crate::packets;

/// Tries everything.
pub(crate) fn capabilities() -> Capabilities {
    let video = [VideoCodec::H264, VideoCodec::H265, VideoCodec::Av1];
    let audio = [AudioCodec::Aac, AudioCodec::Opus];
    let video = video
        .into_iter()
        .map(|codec| found(codec.name(), codec.encoder(), try_video(codec)));
    let audio = audio
        .into_iter()
        .map(|codec| found(codec.name(), codec.encoder(), try_audio(codec)));
    let devices = av::DEVICES.into_iter().map(|kind| Device {
        kind: kind.to_owned(),
        unavailable: av::device(kind).err(),
    });
    Capabilities {
        libavcodec: av::version(),
        encoders: video.chain(audio).collect(),
        decoders: av::decoders(),
        devices: devices.collect(),
    }
}

fn found(codec: &str, name: Option<&str>, tried: Result<()>) -> Encoder {
    Encoder {
        codec: codec.to_owned(),
        name: name.unwrap_or_default().to_owned(),
        unavailable: tried.err().map(|error| format!("{error:#}")),
    }
}

fn try_video(codec: VideoCodec) -> Result<()> {
    let rate = FrameRate::whole(25);
    let rung = Rung {
        name: "probe".to_owned(),
        number: 0,
        width: 320,
        height: 180,
        rate,
    };
    let wanted = VideoRung {
        name: "probe".to_owned(),
        number: 0,
        codec,
        width: None,
        height: None,
        fit: Fit::Fit,
        rate: Rate::Source,
        control: RateControl::Bitrate {
            kbps: 300,
            max_kbps: 450,
            buffer_kbits: 600,
        },
        preset: codec
            .presets()
            .first()
            .copied()
            .unwrap_or_default()
            .to_owned(),
        tune: None,
        profile: None,
        level: None,
        b_frames: None,
        refs: None,
    };
    let mut encoder = VideoEncoder::open(&wanted, &rung, ((1, 25), 50), None)?;
    packets::video_config(codec, &encoder.extradata())?;
    let picture = Picture::black(rung.width, rung.height);
    let mut made = Vec::new();
    for pts in 0..3 {
        encoder.encode(&picture, pts, pts == 0, &mut made)?;
    }
    Ok(())
}

fn try_audio(codec: AudioCodec) -> Result<()> {
    let wanted = AudioRung {
        name: "probe".to_owned(),
        number: 0,
        codec,
        from: From::All,
        kbps: 96,
        sample_rate: None,
        channels: None,
    };
    let mut encoder = AudioEncoder::open(&wanted, 48_000, 2)?;
    packets::audio_config(codec, &encoder.extradata())?;
    let silence = vec![0.0; encoder.frame_size()];
    let mut made = Vec::new();
    Ok(encoder.encode(&[&silence, &silence], 0, &mut made)?)
}
