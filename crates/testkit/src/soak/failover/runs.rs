//! Segments of a playlist that share an initialization section, and what a decoder makes of them.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::ground::NAME;
use crate::actors::{Decoder, Weir};
use crate::soak::stage::say;

const PATIENCE: Duration = Duration::from_secs(60);

/// Those that a classic playlist lists now.
#[derive(Debug)]
pub(super) struct Runs {
    /// Those that are not listed any more included.
    discontinuities: u64,
    runs: Vec<Run>,
}

#[derive(Debug, Default)]
struct Run {
    /// Of its initialization section.
    map: String,
    /// Seconds, and where it is.
    segments: Vec<(f64, String)>,
}

impl Runs {
    pub(super) async fn read(weir: &Weir) -> anyhow::Result<Self> {
        Self::of(&weir.get(&format!("/{NAME}/v0.m3u8?ll=0")).await?)
    }

    fn of(list: &str) -> anyhow::Result<Self> {
        let mut all = Self {
            discontinuities: 0,
            runs: Vec::new(),
        };
        let mut seconds = 0.0;
        for line in list.lines() {
            if let Some(gone) = line.strip_prefix("#EXT-X-DISCONTINUITY-SEQUENCE:") {
                all.discontinuities += gone.parse::<u64>()?;
            } else if line == "#EXT-X-DISCONTINUITY" {
                all.discontinuities += 1;
            } else if let Some(map) = line.strip_prefix("#EXT-X-MAP:URI=") {
                all.runs.push(Run {
                    map: map.trim_matches('"').to_owned(),
                    segments: Vec::new(),
                });
            } else if let Some(length) = line.strip_prefix("#EXTINF:") {
                seconds = length.trim_end_matches(',').parse()?;
            } else if !line.starts_with('#') && !line.is_empty() {
                let run = all.runs.last_mut().context("no EXT-X-MAP")?;
                run.segments.push((seconds, line.to_owned()));
            }
        }
        ensure!(!all.runs.is_empty(), "nothing is listed");
        Ok(all)
    }

    fn map(&self) -> &str {
        self.runs.last().map_or("", |run| &run.map)
    }

    /// One switch between two formats lies between them.
    pub(super) fn hold(&self, after: &Self) -> anyhow::Result<()> {
        say(&format!(
            "- EXT-X-DISCONTINUITY: {} before, {} after; EXT-X-MAP: {}, then {}",
            self.discontinuities,
            after.discontinuities,
            self.map(),
            after.map(),
        ));
        ensure!(
            after.discontinuities == self.discontinuities + 1,
            "not one discontinuity: {self:?}, {after:?}"
        );
        ensure!(after.map() != self.map(), "no other EXT-X-MAP: {after:?}");
        Ok(())
    }

    /// Each of the last two is whole by itself.
    pub(super) async fn decode(&self, origin: &str) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("run.m3u8");
        for run in self.runs.iter().rev().take(2) {
            fs::write(&file, run.list(&format!("{origin}/{NAME}"))?)?;
            let decoded = Decoder::play_file(&file, PATIENCE).await?;
            let seconds: f64 = run.segments.iter().map(|(length, _)| length).sum();
            say(&format!(
                "- ffmpeg, {}: {} pictures of {seconds:.2} s, {} errors",
                run.map,
                decoded.pictures,
                decoded.errors.len()
            ));
            ensure!(decoded.errors.is_empty(), "{decoded:?}");
            ensure!(decoded.pictures > 0, "no pictures");
        }
        Ok(())
    }
}

impl Run {
    /// As a playlist of its own.
    fn list(&self, base: &str) -> anyhow::Result<String> {
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:12\n#EXT-X-MAP:URI=\"{base}/{}\"\n",
            self.map
        );
        for (seconds, uri) in &self.segments {
            writeln!(text, "#EXTINF:{seconds},\n{base}/{uri}")?;
        }
        text.push_str("#EXT-X-ENDLIST\n");
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_what_follows_its_map_and_what_left_the_list_counts() {
        let list = "#EXTM3U\n#EXT-X-DISCONTINUITY-SEQUENCE:3\n#EXT-X-MAP:URI=\"a\"\n#EXTINF:2.00000,\n1.m4s\n\
                    #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"b\"\n#EXTINF:2,\n2.m4s\n#EXTINF:1.5,\n3.m4s\n";
        let all = Runs::of(list).unwrap();
        assert_eq!((all.discontinuities, all.map()), (4, "b"));
        let last = all.runs[1].list("http://h/n").unwrap();
        assert!(last.ends_with("\"http://h/n/b\"\n#EXTINF:2,\nhttp://h/n/2.m4s\n#EXTINF:1.5,\nhttp://h/n/3.m4s\n#EXT-X-ENDLIST\n"));
    }
}
