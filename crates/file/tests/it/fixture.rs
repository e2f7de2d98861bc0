//! Files, and a reader of what is played.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use container::ingest::Stats;
use file::{Error, Play, play};
use hub::{EndReason, Event, Hub, Limits, Options};
use media::{Frame, Span, Timestamp};
use tempfile::TempDir;

/// Runs ffmpeg in a directory; the last argument is the file that it makes.
pub fn make(root: &TempDir, args: &str) {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(args.split_whitespace())
        .current_dir(root)
        .status()
        .expect("ffmpeg; run `make setup`");
    assert!(status.success(), "ffmpeg {args}");
}

/// A picture and a tone, each of so many seconds.
pub fn source(video: &str, audio: &str, out: &str) -> String {
    format!(
        "-f lavfi -i testsrc2=s=160x90:r=25:d={video} -f lavfi -i sine=f=440:r=48000:d={audio} \
         -pix_fmt yuv420p -c:v libx264 -preset veryfast -g 25 -bf 2 -c:a aac {out}"
    )
}

/// How many packets ffprobe reads in a file's stream.
pub fn count(file: &Path, stream: &str) -> usize {
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-show_packets"])
        .arg(file)
        .output()
        .expect("ffprobe; run `make setup`");
    String::from_utf8(out.stdout)
        .unwrap()
        .matches("[PACKET]")
        .count()
}

/// What was played: each frame with the time at which a reader had it.
pub struct Played {
    pub frames: Vec<(Frame, Timestamp)>,
    pub result: Option<Result<EndReason, Error>>,
    pub stats: Arc<Stats>,
}

impl Played {
    pub fn of_track(&self, track: u16) -> Vec<&(Frame, Timestamp)> {
        let frames = self.frames.iter();
        frames.filter(|(f, _)| f.track.0 == track).collect()
    }

    /// The distances of a track's DTS.
    pub fn steps(&self, track: u16) -> Vec<Span> {
        let frames = self.of_track(track);
        frames.windows(2).map(|w| w[1].0.dts - w[0].0.dts).collect()
    }
}

/// Plays a file below `root` to its end, or for so long.
pub async fn run(root: &TempDir, path: &str, repeat: bool, limit: Duration) -> Played {
    let stats = Arc::new(Stats::new(testkit::clock));
    let presentation = Hub::new().announce("test").unwrap();
    let limits = Limits {
        duration: Span::from_secs(3_600),
        ..Limits::default()
    };
    let (publisher, relay) = presentation.add("source", limits).unwrap();
    tokio::spawn(relay.run());
    let mut reader = publisher.broadcast().subscribe(Options::default());
    let config = Play {
        root: root.path().to_owned(),
        path: path.to_owned(),
        repeat,
        programme: None,
    };
    let counted = Arc::clone(&stats);
    let playing = async move {
        tokio::time::timeout(limit, play(config, publisher, counted))
            .await
            .ok()
    };
    let reading = async {
        let (mut frames, mut events) = (Vec::new(), Vec::new());
        loop {
            reader.next(&mut events).await;
            for event in events.drain(..) {
                match event {
                    Event::Frame(frame) => frames.push((frame, testkit::clock())),
                    Event::End(_) => return frames,
                    Event::Skipped { .. } => panic!("a reader that is too slow"),
                    Event::Group { .. } => {}
                }
            }
        }
    };
    let (result, frames) = tokio::join!(playing, reading);
    Played {
        frames,
        result,
        stats,
    }
}
