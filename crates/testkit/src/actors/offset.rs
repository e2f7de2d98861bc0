//! How far sound is behind the pictures: sources flash and beep at the same moments.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::io::AsyncReadExt as _;

use super::ffmpeg::{ffmpeg, start};

/// A filter of pictures: white for 50 ms of every second.
pub const FLASHES: &str = "drawbox=color=white:t=fill:enable='lt(mod(t,1),0.05)'";
/// A source of sound: loud for 50 ms of every second.
pub const BEEPS: &str = "aevalsrc='sin(2*PI*500*t)*(0.05+0.9*lt(mod(t,1),0.05))'";
/// Brightness of a flash.
const WHITE: f64 = 200.0;

/// Plays so many seconds; the median of how much later than its flash a beep came, in
/// milliseconds.
///
/// # Errors
/// Where nothing flashes or beeps.
pub async fn offset(url: &str, seconds: u32) -> anyhow::Result<f64> {
    let mut command = ffmpeg(&format!(
        "-v error -i {url} -t {seconds} -map 0:v:0 -vf signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=- \
         -map 0:a:0 -af silencedetect=n=-20dB:d=0.2,ametadata=print:key=lavfi.silence_end:file=- -f null -"
    ));
    command.stdout(Stdio::piped());
    let mut player = start(command)?;
    let mut told = String::new();
    let out = player.stdout.as_mut().context("no output")?;
    out.read_to_string(&mut told).await?;
    offset_of(&told)
}

/// The same of what the filters `signalstats` and `silencedetect` printed.
///
/// # Errors
/// Where nothing flashes or beeps.
pub fn offset_of(told: &str) -> anyhow::Result<f64> {
    let number = |line: &str, key: &str| line.split(key).nth(1)?.trim().parse::<f64>().ok();
    let (mut flashes, mut beeps) = (Vec::new(), Vec::new());
    let (mut time, mut white) = (0.0, true);
    for line in told.lines() {
        if let Some(at) = number(line, "pts_time:") {
            time = at;
        } else if let Some(brightness) = number(line, "signalstats.YAVG=") {
            let before = std::mem::replace(&mut white, brightness > WHITE);
            flashes.extend((white && !before).then_some(time));
        } else {
            beeps.extend(number(line, "silence_end="));
        }
    }
    let nearest = |flash: &f64| {
        let offsets = beeps.iter().map(|beep| (beep - flash) * 1_000.0);
        offsets.min_by(|a, b| a.abs().total_cmp(&b.abs()))
    };
    let mut offsets: Vec<f64> = flashes.iter().filter_map(nearest).collect();
    ensure!(!offsets.is_empty(), "neither flash nor beep: {told}");
    offsets.sort_by(f64::total_cmp);
    Ok(offsets[offsets.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_beep_of_each_flash_counts() {
        let told = "\
frame:0    pts:0       pts_time:0.9\nlavfi.signalstats.YAVG=120\n\
frame:1    pts:1       pts_time:1.0\nlavfi.signalstats.YAVG=235\n\
frame:2    pts:2       pts_time:1.033\nlavfi.signalstats.YAVG=235\n\
frame:9    pts:9       pts_time:1.02\nlavfi.silence_end=1.012\n\
frame:3    pts:3       pts_time:1.066\nlavfi.signalstats.YAVG=120\n";
        assert!((offset_of(told).expect("one of each") - 12.0).abs() < 0.01);
        assert!(offset_of("").is_err());
    }
}
