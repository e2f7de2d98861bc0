//! What encoders send, made by ffmpeg; and what decoders say of what came out.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use container::flv;
use container::ingest::Item;
use container::wire::Message;
use ladder::{
    AudioCodec, AudioRung, Deinterlace, Fit, From, Ladder, Rate, RateControl, VideoCodec, VideoRung,
};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackKind};

use crate::actor::Worker;

/// Programme time in these tests: 2026-11-22, a grid of keyframes begins there.
pub(crate) const BASE: Timestamp = Timestamp::from_millis(1_795_305_600_000);

pub(crate) fn at(ms: i64) -> Timestamp {
    BASE + Span::from_millis(ms)
}

/// A source: its tracks and frames, from its own time 0.
#[derive(Clone)]
pub(crate) struct Clip {
    pub(crate) tracks: Arc<[Track]>,
    pub(crate) frames: Vec<Frame>,
}

/// Encodes with ffmpeg, arguments given as on its command line, to FLV.
pub(crate) fn clip(arguments: &str) -> Clip {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clip.flv");
    ffmpeg(&format!("-y {arguments} -f flv"), &path);
    let mut reader = flv::Reader::new();
    let mut items = Vec::new();
    let file = Bytes::from(std::fs::read(&path).expect("a file"));
    reader.push(file, &mut items).expect("FLV");
    reader.flush(&mut items);
    let (mut tracks, mut frames) = (Vec::<Track>::new(), Vec::new());
    for item in items {
        match item {
            Item::Track(track) if tracks.iter().all(|t| t.id != track.id) => tracks.push(track),
            Item::Frame(frame) => frames.push(frame),
            _ => {}
        }
    }
    tracks.sort_by_key(|t| t.id);
    let tracks = tracks.into();
    Clip { tracks, frames }
}

/// Pictures that move, and a tone.
pub(crate) fn pictures(size: &str, fps: u32, seconds: u32, more: &str) -> Clip {
    clip(&format!(
        "-f lavfi -i testsrc2=s={size}:r={fps} -f lavfi -i sine=f=440:r=48000 -t {seconds} \
         -c:v libx264 -preset ultrafast -g {fps} -sc_threshold 0 -c:a aac -ac 2 {more}"
    ))
}

fn ffmpeg(arguments: &str, output: &Path) {
    let done = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin"])
        .args(arguments.split_whitespace())
        .arg(output)
        .status()
        .expect("ffmpeg runs");
    assert!(done.success(), "ffmpeg {arguments}");
}

impl Clip {
    pub(crate) fn only(mut self, kind: TrackKind) -> Self {
        let kept = self.tracks.iter().filter(|t| t.kind == kind).cloned();
        self.tracks = kept.collect();
        let known = Arc::clone(&self.tracks);
        self.frames
            .retain(|f| known.iter().any(|t| t.id == f.track));
        self
    }

    /// Sends it as if it had begun `from` milliseconds after [`BASE`]; only what lies between two
    /// times of its own. Tells how many frames that were.
    pub(crate) fn send(&self, to: &mut Worker, from: i64, own: std::ops::Range<i64>) -> u64 {
        to.send(&Message::Tracks {
            rendition: 0,
            tracks: Arc::clone(&self.tracks),
        });
        to.send(&Message::Group {
            rendition: 0,
            id: at(from + own.start),
            spliced: true,
            lost: false,
        });
        let inside = |f: &&Frame| own.contains(&f.dts.as_millis());
        let mut count = 0;
        for frame in self.frames.iter().filter(inside) {
            count += 1;
            to.send(&Message::Frame {
                rendition: 0,
                frame: moved(frame, from),
            });
        }
        count
    }
}

fn moved(frame: &Frame, by_ms: i64) -> Frame {
    let by = at(by_ms) - Timestamp::ZERO;
    let mut frame = frame.clone();
    frame.dts += by;
    frame.pts += by;
    frame
}

pub(crate) fn rung(name: &str, height: u32) -> VideoRung {
    VideoRung {
        name: name.to_owned(),
        number: 0,
        codec: VideoCodec::H264,
        width: None,
        height: Some(height),
        fit: Fit::Fit,
        rate: Rate::Source,
        control: RateControl::Bitrate {
            kbps: 400,
            max_kbps: 600,
            buffer_kbits: 800,
        },
        preset: "ultrafast".to_owned(),
        tune: Some("zerolatency".to_owned()),
        profile: None,
        level: None,
        b_frames: None,
        refs: None,
    }
}

pub(crate) fn sound(name: &str, codec: AudioCodec) -> AudioRung {
    AudioRung {
        name: name.to_owned(),
        number: 0,
        codec,
        from: From::All,
        kbps: 64,
        sample_rate: Some(48_000),
        channels: Some(2),
    }
}

pub(crate) fn ladder(video: Vec<VideoRung>, audio: Vec<AudioRung>) -> Ladder {
    let ladder = Ladder {
        gop_ms: 1_000,
        deinterlace: Deinterlace::Auto,
        video,
        audio,
    };
    ladder.numbered(&[])
}

/// Decodes what came out; tells how many pictures there were and fails on any complaint.
pub(crate) fn decoded(track: &Track, frames: &[Frame]) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let (suffix, bytes) = elementary(&track.config, frames);
    let path = folder.path().join(format!("out.{suffix}"));
    std::fs::write(&path, bytes).expect("a file");
    let done = Command::new("ffmpeg")
        .args(["-v", "warning", "-xerror", "-nostdin", "-i"])
        .arg(&path)
        .args(["-f", "framehash", "-"])
        .output()
        .expect("ffmpeg runs");
    let complaints = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        done.status.success() && complaints.is_empty(),
        "{complaints}"
    );
    let hashes = String::from_utf8_lossy(&done.stdout).into_owned();
    hashes.lines().filter(|line| !line.starts_with('#')).count()
}

fn elementary(config: &CodecConfig, frames: &[Frame]) -> (&'static str, Vec<u8>) {
    let (suffix, sets) = match config {
        CodecConfig::H264(c) => ("h264", c.parameter_sets()),
        CodecConfig::H265(c) => ("hevc", c.parameter_sets()),
        CodecConfig::Av1(_) => {
            return (
                "obu",
                frames
                    .iter()
                    .flat_map(|f| [&[0x12, 0][..], &f.payload].concat())
                    .collect(),
            );
        }
        other => panic!("{} is not written here", other.name()),
    };
    let mut out = Vec::new();
    for set in sets {
        out.extend([0, 0, 0, 1]);
        out.extend(set);
    }
    for frame in frames {
        for unit in media::nal::Units::new(&frame.payload, 4) {
            out.extend([0, 0, 0, 1]);
            out.extend(unit.expect("whole units"));
        }
    }
    (suffix, out)
}

/// Shown times in milliseconds, in order.
pub(crate) fn shown(frames: &[Frame]) -> Vec<i64> {
    let mut times: Vec<i64> = frames.iter().map(|f| (f.pts - BASE).as_millis()).collect();
    times.sort_unstable();
    times
}

/// Whether pictures come at an exact pace: no time missing, none twice.
pub(crate) fn is_even(frames: &[Frame], fps: i64) -> bool {
    let slots =
        |f: &Frame| ((f.pts - BASE).as_nanos() * fps + 500_000_000).div_euclid(1_000_000_000);
    let mut slots: Vec<i64> = frames.iter().map(slots).collect();
    slots.sort_unstable();
    slots.windows(2).all(|w| w[1] == w[0] + 1)
}

/// Without those at the end that an encoder still holds others before.
pub(crate) fn settled(frames: &[Frame]) -> Vec<Frame> {
    let mut frames = frames.to_vec();
    frames.sort_by_key(|f| f.pts);
    frames.truncate(frames.len().saturating_sub(8));
    frames
}

/// Times of the keyframes in milliseconds.
pub(crate) fn keys(frames: &[Frame]) -> Vec<i64> {
    let keys = frames.iter().filter(|f| f.random_access);
    keys.map(|f| (f.pts - BASE).as_millis()).collect()
}
