//! What is sent: small pictures that flash when the sound beeps, encoded beforehand.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::Codec;
use super::judge;
use crate::actors::{BEEPS, FLASHES, ffmpeg_done};

/// Pictures a second.
pub(super) const RATE: u64 = 25;

pub(super) struct Content {
    folder: TempDir,
    /// Milliseconds that sound is behind pictures in each file.
    offsets: [f64; 2],
}

impl Content {
    /// A file for each codec, so long.
    pub(super) async fn make(length: Duration) -> anyhow::Result<Self> {
        let mut content = Self {
            folder: tempfile::tempdir()?,
            offsets: [0.0; 2],
        };
        for codec in [Codec::H264, Codec::Hevc] {
            let (seconds, file) = (length.as_secs(), content.file(codec));
            let pictures = match codec {
                Codec::H264 => "libx264 -preset veryfast -x264-params scenecut=0",
                Codec::Hevc => {
                    "libx265 -preset ultrafast -x265-params log-level=error:bframes=2:scenecut=0"
                }
            };
            let file = file.display();
            ffmpeg_done(&format!(
                "-v error -y -f lavfi -i testsrc2=s=320x180:r={RATE},{FLASHES} -f lavfi -i {BEEPS}:s=48000 -t {seconds} \
                 -pix_fmt yuv420p -c:v {pictures} -g 50 -keyint_min 50 -b:v 400k -c:a aac -b:a 96k -f mpegts {file}"
            ))
            .await?;
            content.offsets[codec as usize] = judge::file(&content.file(codec), None).await?.offset;
        }
        Ok(content)
    }

    /// MPEG-TS, which has no edit lists that some heed and others do not.
    pub(super) fn file(&self, codec: Codec) -> PathBuf {
        self.folder.path().join(format!("{codec:?}.ts"))
    }

    pub(super) fn offset(&self, codec: Codec) -> f64 {
        self.offsets[codec as usize]
    }
}
