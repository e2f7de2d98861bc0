//! ffmpeg decodes what comes, ends at the first error, and says of each packet when it is due.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::time::timeout;

use super::Codec;
use super::content::RATE;
use crate::actors::{in_repository, offset_of, program};

/// Players of HLS look about before they play.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Beyond what it was to look.
const PATIENCE: Duration = Duration::from_secs(25);
/// Milliseconds: those that RTMP rounds to, and what an audio frame may be off by.
const APART: f64 = 25.0;

/// Which ffmpeg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Distribution,
    Current,
}

/// What was played.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub(super) pictures: u64,
    pub(super) sounds: u64,
    /// Until the first picture came.
    pub(super) first: Duration,
    /// Milliseconds that sound is behind pictures.
    pub(super) offset: f64,
    /// Pictures that are further apart than two.
    pub(super) holes: u64,
}

impl Verdict {
    /// # Errors
    /// What of it is not as it should be.
    pub(super) fn hold(&self, _codec: Codec, looks: Duration, source: f64) -> anyhow::Result<()> {
        let least = looks.as_secs().saturating_sub(2) * RATE;
        ensure!(
            self.pictures >= least,
            "{} pictures of {least}",
            self.pictures
        );
        ensure!(self.holes == 0, "{} holes", self.holes);
        ensure!(
            self.first <= AT_ONCE,
            "the first picture after {:?}",
            self.first
        );
        ensure!(
            (self.offset - source).abs() <= APART,
            "sound is {:.1} ms behind, {source:.1} at the source",
            self.offset
        );
        Ok(())
    }
}

/// Of an input as ffmpeg's command line has it, for so long.
pub(super) async fn live(with: Program, input: &str, looks: Duration) -> anyhow::Result<Verdict> {
    let judging = judge(with, input, Some(looks));
    timeout(looks + PATIENCE, judging)
        .await
        .context("it does not end")?
}

/// Of a file, as long as it is or for so long.
pub(super) async fn file(file: &Path, looks: Option<Duration>) -> anyhow::Result<Verdict> {
    // Its last packet may be half a one.
    let looks = looks.map(|l| l.saturating_sub(Duration::from_secs(1)));
    judge(
        Program::Current,
        &format!("-f mpegts -i {}", file.display()),
        looks,
    )
    .await
}

async fn judge(with: Program, input: &str, looks: Option<Duration>) -> anyhow::Result<Verdict> {
    // In units of a frame's duration two pictures may be at one time.
    let (name, scale) = match with {
        Program::Distribution => ("ffmpeg".to_owned(), "-1"),
        Program::Current => (
            in_repository(".tools/ffmpeg").display().to_string(),
            "demux",
        ),
    };
    let told = tempfile::tempdir()?;
    let [pictures, sounds] = ["v", "a"].map(|f| told.path().join(f).display().to_string());
    let time = looks.map_or_else(String::new, |l| format!("-t {}", l.as_secs()));
    // Packets as they are, then pictures and sounds as they are decoded.
    let words = format!(
        "-v error -nostats -xerror {input} {time} -map 0:v:0 -map 0:a:0 -c copy -flush_packets 1 -f framecrc pipe:1 \
         {time} -map 0:v:0 -fps_mode passthrough -enc_time_base {scale} -vf signalstats,metadata=print:key=lavfi.signalstats.YAVG:file={pictures} \
         -map 0:a:0 -af silencedetect=n=-20dB:d=0.2,ametadata=print:key=lavfi.silence_end:file={sounds} -f null -"
    );
    let mut command = program(&name, &words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let begin = Instant::now();
    let mut child = command.spawn().context("`make setup`")?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let mut packets = Packets::default();
    while let Some(line) = lines.next_line().await? {
        packets.line(&line, begin.elapsed())?;
    }
    let mut errors = String::new();
    if let Some(mut all) = child.stderr.take() {
        all.read_to_string(&mut errors).await?;
    }
    let ended = child.wait().await?;
    let errors = errors.trim().replace(['\n', '|'], " / ");
    ensure!(ended.success() && errors.is_empty(), "{ended}: {errors}");
    let told = [pictures, sounds].map(|f| std::fs::read_to_string(f).unwrap_or_default());
    Ok(Verdict {
        pictures: packets.counts[0],
        sounds: packets.counts[1],
        first: packets.first.context("no picture")?,
        offset: offset_of(&told.concat())?,
        holes: packets.holes,
    })
}

/// What `framecrc` says: stream, DTS, PTS, duration, size, sum.
#[derive(Debug, Default)]
struct Packets {
    counts: [u64; 2],
    /// Units a second of each stream.
    scales: [i64; 2],
    last: [Option<i64>; 2],
    first: Option<Duration>,
    holes: u64,
}

impl Packets {
    fn line(&mut self, line: &str, at: Duration) -> anyhow::Result<()> {
        if let Some(rest) = line.strip_prefix("#tb ") {
            let (stream, scale) = rest.split_once(": 1/").context("a time base")?;
            if let Some(known) = self.scales.get_mut(stream.parse::<usize>()?) {
                *known = scale.parse()?;
            }
            return Ok(());
        }
        if line.starts_with('#') {
            return Ok(());
        }
        let mut words = line.split(',').map(str::trim);
        let stream: usize = words.next().context("no stream")?.parse()?;
        let dts: i64 = words.next().context("no DTS")?.parse()?;
        ensure!(stream < 2, "stream {stream}");
        self.packet(stream, dts)?;
        if stream == 0 {
            self.first.get_or_insert(at);
        }
        Ok(())
    }

    fn packet(&mut self, stream: usize, dts: i64) -> anyhow::Result<()> {
        self.counts[stream] += 1;
        if let Some(last) = self.last[stream].replace(dts) {
            ensure!(dts > last, "DTS {dts} behind {last} in stream {stream}");
            let two = self.scales[0] * 2 / RATE.cast_signed();
            self.holes += u64::from(stream == 0 && dts - last > two);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_in_order_and_without_holes() {
        let mut packets = Packets::default();
        let mut line = |text: &str| packets.line(text, Duration::from_millis(7));
        line("#software: Lavf").unwrap();
        line("#tb 0: 1/90000").unwrap();
        line("#tb 1: 1/48000").unwrap();
        line("1,          0,          0,     1024,      200, 0x1").unwrap();
        line("0,          0,       7200,     3600,     2000, 0x1").unwrap();
        line("0,       3600,       3600,     3600,     2000, 0x1, F=0x0").unwrap();
        line("0,      14400,      14400,     3600,     2000, 0x1, F=0x0").unwrap();
        assert!(line("0,      14400,      14400,     3600,     2000, 0x1").is_err());
        assert_eq!(packets.holes, 1);
        assert_eq!(packets.first, Some(Duration::from_millis(7)));
    }
}
