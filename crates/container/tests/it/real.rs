//! Files that ffmpeg makes, and what ffprobe says of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use container::ingest::Item;
use media::{Frame, Track, TrackId};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// A directory with media files in it.
pub struct Files(TempDir);

/// One packet as ffprobe tells it: times in ticks of the stream, its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub pts: i64,
    pub dts: i64,
    pub key: bool,
    pub hash: String,
}

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs ffmpeg here; the last argument is the file that it makes.
    pub fn make(&self, args: &str) -> PathBuf {
        let status = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-y"])
            .args(args.split_whitespace())
            .current_dir(&self.0)
            .status()
            .expect("ffmpeg; run `make setup`");
        assert!(status.success(), "ffmpeg {args}");
        self.path(args.split_whitespace().last().unwrap())
    }

    pub fn write(&self, name: &str, data: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), data).unwrap();
        self.path(name)
    }

    pub fn read(&self, name: &str) -> Bytes {
        std::fs::read(self.path(name)).unwrap().into()
    }
}

/// A picture and a tone of five seconds with these encoders.
pub fn source(codecs: &str, out: &str) -> String {
    format!(
        "-f lavfi -i testsrc2=s=160x90:r=25:d=5 -f lavfi -i sine=f=440:r=48000:d=5 \
         -pix_fmt yuv420p {codecs} {out}"
    )
}

/// The packets of one stream, `v:0` or `a:0`.
pub fn probe(file: &Path, stream: &str) -> Vec<Packet> {
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-show_packets"])
        .args(["-show_data_hash", "sha256", "-of", "default=nk=0"])
        .arg(file)
        .output()
        .expect("ffprobe; run `make setup`");
    let text = String::from_utf8(out.stdout).unwrap();
    let packets = text.split("[PACKET]").skip(1);
    packets.map(|p| packet(p).expect("a packet")).collect()
}

fn packet(text: &str) -> Option<Packet> {
    let field = |name: &str| {
        let mut lines = text.lines();
        lines.find_map(|l| l.strip_prefix(name)?.strip_prefix('='))
    };
    Some(Packet {
        pts: field("pts")?.parse().ok()?,
        dts: field("dts")?.parse().ok()?,
        key: field("flags")?.starts_with('K'),
        hash: field("data_hash")?.strip_prefix("SHA256:")?.to_owned(),
    })
}

pub fn hash(payload: &[u8]) -> String {
    let digest = Sha256::digest(payload);
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// What a demuxer found, sorted out.
#[derive(Debug, Default)]
pub struct Found {
    pub tracks: Vec<Track>,
    pub frames: Vec<Frame>,
    pub ended: Vec<TrackId>,
    pub ignored: Vec<&'static str>,
    pub losses: usize,
}

impl Found {
    pub fn of(items: Vec<Item>) -> Self {
        let mut found = Self::default();
        for item in items {
            match item {
                Item::Track(t) => found.tracks.push(t),
                Item::Frame(f) => found.frames.push(f),
                Item::End(t) => found.ended.push(t),
                Item::Ignored(r) => found.ignored.push(r),
                Item::Lost => found.losses += 1,
                _ => unreachable!(),
            }
        }
        found
    }

    pub fn of_track(&self, track: u16) -> Vec<&Frame> {
        let frames = self.frames.iter();
        frames.filter(|f| f.track == TrackId(track)).collect()
    }

    /// The frames of a track as ffprobe would tell them at this timescale.
    pub fn packets(&self, track: u16, timescale: u32) -> Vec<Packet> {
        let packet = |f: &&Frame| Packet {
            pts: f.pts.to_ticks(timescale),
            dts: f.dts.to_ticks(timescale),
            key: f.random_access,
            hash: hash(&f.payload),
        };
        self.of_track(track).iter().map(packet).collect()
    }

    pub fn codecs(&self) -> Vec<&'static str> {
        self.tracks.iter().map(|t| t.config.name()).collect()
    }
}
