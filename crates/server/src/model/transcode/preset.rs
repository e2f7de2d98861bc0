//! Ladders by name.

use serde_json::Number;

use super::Rungs;
use super::audio::AudioRung;
use super::numbers::Fps;
use super::video::VideoRung;

const DEFAULT: &str = "default";

/// Width, height, kilobits per second.
type Layer = (u32, u32, u32);

/// Those that LiveKit's ingress has, under its names. Each layer is half as wide and high as the
/// one before it; its rate is the first one's by the ratio of their areas to the power of 3/4.
const LIVEKIT: [(&str, u32, &[Layer]); 10] = [
    ("H264_720P_30FPS_3_LAYERS", 30, &HD),
    ("H264_1080P_30FPS_3_LAYERS", 30, &FULL_HD),
    ("H264_540P_25FPS_2_LAYERS", 25, &QUARTER_HD),
    ("H264_720P_30FPS_1_LAYER", 30, &[HD[0]]),
    ("H264_1080P_30FPS_1_LAYER", 30, &[FULL_HD[0]]),
    ("H264_720P_30FPS_3_LAYERS_HIGH_MOTION", 30, &HD_MOTION),
    ("H264_1080P_30FPS_3_LAYERS_HIGH_MOTION", 30, &FULL_HD_MOTION),
    (
        "H264_540P_25FPS_2_LAYERS_HIGH_MOTION",
        25,
        &QUARTER_HD_MOTION,
    ),
    ("H264_720P_30FPS_1_LAYER_HIGH_MOTION", 30, &[HD_MOTION[0]]),
    (
        "H264_1080P_30FPS_1_LAYER_HIGH_MOTION",
        30,
        &[FULL_HD_MOTION[0]],
    ),
];

const FULL_HD: [Layer; 3] = [(1920, 1080, 3_500), (960, 540, 1_237), (480, 270, 438)];
const FULL_HD_MOTION: [Layer; 3] = [(1920, 1080, 4_500), (960, 540, 1_591), (480, 270, 563)];
const HD: [Layer; 3] = [(1280, 720, 1_900), (640, 360, 672), (320, 180, 238)];
const HD_MOTION: [Layer; 3] = [(1280, 720, 2_500), (640, 360, 884), (320, 180, 313)];
const QUARTER_HD: [Layer; 2] = [(960, 540, 1_000), (480, 270, 354)];
const QUARTER_HD_MOTION: [Layer; 2] = [(960, 540, 1_300), (480, 270, 460)];

/// The names of all.
pub(super) fn names() -> Vec<&'static str> {
    let livekit = LIVEKIT.iter().map(|(name, _, _)| *name);
    std::iter::once(DEFAULT).chain(livekit).collect()
}

/// The rungs of the one of this name, if there is such.
pub(super) fn of(name: &str) -> Option<Rungs> {
    if name == DEFAULT {
        let rungs = [1_080, 720, 480, 360].map(by_height);
        return Some((rungs.into(), Vec::new()));
    }
    let (_, fps, layers) = LIVEKIT.iter().find(|(known, _, _)| *known == name)?;
    let video = layers.iter().map(|layer| livekit(*layer, *fps)).collect();
    let audio = AudioRung {
        codec: Some(ladder::AudioCodec::Opus),
        bitrate_kbps: Some(96),
        channels: Some(2),
        ..AudioRung::new("audio")
    };
    Some((video, vec![audio]))
}

fn by_height(height: u32) -> VideoRung {
    VideoRung {
        height: Some(height),
        ..VideoRung::new(&format!("{height}p"))
    }
}

/// As its encoder is set there: a constant rate over a second, and no delay.
fn livekit((width, height, kbps): Layer, fps: u32) -> VideoRung {
    VideoRung {
        width: Some(width),
        fps: Some(Fps::Number(Number::from(fps))),
        bitrate_kbps: Some(kbps),
        max_bitrate_kbps: Some(kbps),
        buffer_kbits: Some(kbps),
        tune: Some("zerolatency".to_owned()),
        profile: Some("baseline".to_owned()),
        ..by_height(height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_layers_have_their_share() {
        for (name, _, layers) in LIVEKIT {
            let (width, height, kbps) = layers[0];
            for (steps, layer) in layers.iter().enumerate() {
                let area = 0.25_f64.powi(i32::try_from(steps).unwrap());
                let share = (f64::from(kbps) * area.powf(0.75)).round() as u32;
                assert_eq!(*layer, (width >> steps, height >> steps, share), "{name}");
            }
            let told = |part: &str| name.contains(part);
            assert!(told(&format!("_{height}P_")), "{name}");
            assert!(told(&format!("_{}_LAYER", layers.len())), "{name}");
        }
    }

    #[test]
    fn each_is_in_the_guide() {
        let guide = include_str!("../../../../../docs/transcoding.md");
        for (name, fps, layers) in LIVEKIT {
            let layers = layers.iter().map(|(w, h, kbps)| format!("{w}x{h} {kbps}"));
            let layers: Vec<_> = layers.collect();
            let row = format!("| `{name}` | {fps} | {} |", layers.join(", "));
            assert!(guide.contains(&row), "not in docs/transcoding.md: {row}");
        }
    }

    #[test]
    fn each_name_is_a_ladder() {
        assert_eq!(names().len(), 11);
        for name in names() {
            assert!(of(name).is_some_and(|(video, _)| !video.is_empty()));
        }
        assert_eq!(of("nope"), None);
    }
}
