//! Media in which every frame has a number that a viewer can tell from its bytes alone.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};

use super::ffmpeg::ffmpeg;

const HEADER: usize = 9;
const TAG: usize = 11;
/// What follows each tag: its size, once more.
const BACK: usize = 4;
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;

/// 16 s of pictures, with their number burned in, and of noise: a keyframe each second. Both kinds
/// of frames fit into it a whole number of times, so that it can be repeated for ever.
#[derive(Debug)]
pub struct Counted {
    /// What an FLV file begins with: header, metadata, configurations.
    pub(super) head: Vec<u8>,
    pub(super) tags: Vec<Tag>,
}

/// What its pictures are.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// As in `640x360`.
    pub size: &'static str,
    /// Pictures a second, and between two keyframes.
    pub fps: u32,
    /// More words for the encoder.
    pub coder: &'static str,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            size: "640x360",
            fps: 30,
            coder: "",
        }
    }
}

/// A frame as FLV has it.
#[derive(Debug)]
pub(super) struct Tag {
    /// From the beginning.
    pub(super) at: Duration,
    pub(super) keyframe: bool,
    bytes: Vec<u8>,
}

/// Which frame of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// A picture, or sound.
    pub kind: Kind,
    /// Counts from the beginning.
    pub index: u32,
    /// After so many of them it begins again.
    pub of: u32,
}

/// Pictures or sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As many a second as its look says.
    Video,
    /// 1024 samples each, 48,000 a second.
    Audio,
}

impl Kind {
    const fn of(tag_type: u8) -> Option<(Self, usize)> {
        match tag_type {
            VIDEO => Some((Self::Video, 5)),
            AUDIO => Some((Self::Audio, 2)),
            _ => None,
        }
    }
}

/// Frames by the SHA-256 of their payload, in hexadecimal.
pub type Numbers = HashMap<String, Number>;

impl Counted {
    /// After so long it begins again.
    pub const LENGTH: Duration = Duration::from_secs(16);

    /// Encodes it at so many kbit/s; other rates make other bytes of the same pictures.
    ///
    /// # Errors
    /// Where `make setup` did not run.
    pub async fn record(folder: &Path, kbits: u32) -> anyhow::Result<Self> {
        Self::record_as(&folder.join(format!("{kbits}.flv")), kbits, Look::default()).await
    }

    /// The same of other pictures, into a file that stays.
    ///
    /// # Errors
    /// As `record`.
    pub async fn record_as(file: &Path, kbits: u32, look: Look) -> anyhow::Result<Self> {
        let Look { size, fps, coder } = look;
        let args = format!(
            "-v error -f lavfi -i testsrc2=s={size}:r={fps} -f lavfi -i anoisesrc=r=48000:seed=1:a=0.05 -t 17 \
             -c:v libx264 -preset ultrafast -tune zerolatency -g {fps} -sc_threshold 0 -b:v {kbits}k {coder} \
             -c:a aac -b:a 96k -flvflags no_duration_filesize {}",
            file.display()
        );
        let made = ffmpeg(&args).status().await;
        let made = made.context(".tools/ffmpeg cannot be run: `make setup`")?;
        ensure!(made.success(), "{}: not made", file.display());
        let all = Self::read(&std::fs::read(file)?)?;
        let seconds = u32::try_from(Self::LENGTH.as_secs())?;
        let found = [Kind::Video, Kind::Audio].map(|kind| all.count(kind));
        ensure!(found == [seconds * fps, 750], "frames: {found:?}");
        Ok(all)
    }

    /// Takes as much of an FLV file as is repeated.
    fn read(file: &[u8]) -> anyhow::Result<Self> {
        let (head, mut rest) = file
            .split_at_checked(HEADER + BACK)
            .context("no FLV header")?;
        let mut all = Self {
            head: head.to_vec(),
            tags: Vec::new(),
        };
        let mut base = None;
        while let Some((tag, behind)) = next_tag(rest) {
            rest = behind;
            all.take(tag, &mut base);
        }
        Ok(all)
    }

    fn count(&self, kind: Kind) -> u32 {
        let same = |tag: &&Tag| Kind::of(tag.bytes[0]).is_some_and(|(k, _)| k == kind);
        u32::try_from(self.tags.iter().filter(same).count()).unwrap_or(u32::MAX)
    }

    /// The first picture is at zero; what is before it is left out.
    fn take(&mut self, tag: &[u8], base: &mut Option<u32>) {
        let ms = u32::from_be_bytes([tag[7], tag[4], tag[5], tag[6]]);
        let keyframe = tag[0] == VIDEO && tag[TAG] >> 4 == 1;
        match (Kind::of(tag[0]), tag[TAG + 1]) {
            (None, _) | (_, 0) => self.head.extend_from_slice(tag),
            (_, 2) if tag[0] == VIDEO => {}
            (Some(_), _) => {
                if keyframe {
                    base.get_or_insert(ms);
                }
                let at = base.and_then(|base| ms.checked_sub(base));
                let at = at.map(|ms| Duration::from_millis(ms.into()));
                let bytes = tag.to_vec();
                self.tags
                    .extend(at.filter(|at| *at < Self::LENGTH).map(|at| Tag {
                        at,
                        keyframe,
                        bytes,
                    }));
            }
        }
    }

    /// Every frame and what a player gets of it.
    fn numbered(&self) -> impl Iterator<Item = (Number, &[u8])> {
        let mut next = [0, 0];
        let count = [Kind::Video, Kind::Audio].map(|kind| self.count(kind));
        self.tags.iter().filter_map(move |tag| {
            let (kind, skip) = Kind::of(tag.bytes[0])?;
            let index = next[kind as usize];
            next[kind as usize] += 1;
            let of = count[kind as usize];
            let payload = &tag.bytes[TAG + skip..tag.bytes.len() - BACK];
            Some((Number { kind, index, of }, payload))
        })
    }

    /// Its frames by their bytes.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let hex = |payload: &[u8]| {
            let hash = Sha256::digest(payload);
            hash.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        self.numbered()
            .map(|(number, payload)| (hex(payload), number))
            .collect()
    }
}

impl Tag {
    /// Its bytes at that time of the stream.
    pub(super) fn stamped(&self, time: Duration) -> Vec<u8> {
        // FLV's clock has 32 bits and begins again after seven weeks.
        #[expect(clippy::cast_possible_truncation, reason = "as its clock does")]
        let [high, a, b, c] = (time.as_millis() as u32).to_be_bytes();
        let mut bytes = self.bytes.clone();
        bytes[4..8].copy_from_slice(&[a, b, c, high]);
        bytes
    }
}

/// A whole tag, and what comes after it.
fn next_tag(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let size = rest.get(1..4)?;
    let size = u32::from_be_bytes([0, size[0], size[1], size[2]]) as usize;
    rest.split_at_checked(TAG + size + BACK)
        .filter(|_| size >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tag of two bytes of payload and no more.
    fn tag(kind: u8, ms: u32, payload: [u8; 2]) -> Vec<u8> {
        let [high, a, b, c] = ms.to_be_bytes();
        let mut tag = vec![kind, 0, 0, 2, a, b, c, high, 0, 0, 0];
        tag.extend(payload);
        tag.extend([0, 0, 0, 13]);
        tag
    }

    #[test]
    fn frames_count_from_the_first_keyframe_and_configurations_come_first() {
        let mut all = Counted {
            head: Vec::new(),
            tags: Vec::new(),
        };
        let mut base = None;
        for tag in [
            tag(18, 0, [1, 1]),
            tag(VIDEO, 0, [0x17, 0]),
            tag(AUDIO, 0, [0xaf, 1]),
            tag(VIDEO, 21, [0x17, 1]),
            tag(AUDIO, 21, [0xaf, 1]),
            tag(VIDEO, 54, [0x27, 1]),
            tag(VIDEO, 16_021, [0x17, 1]),
            tag(VIDEO, 17_000, [0x17, 2]),
        ] {
            all.take(&tag, &mut base);
        }
        assert_eq!(all.head.len(), 2 * (TAG + 2 + BACK));
        let at: Vec<_> = all
            .tags
            .iter()
            .map(|t| (t.at.as_millis(), t.keyframe))
            .collect();
        assert_eq!(at, [(0, true), (0, false), (33, false)]);
    }

    #[test]
    fn a_frame_is_sent_at_the_time_that_it_says() {
        let bytes = tag(VIDEO, 54, [0x27, 1]);
        let at = Duration::ZERO;
        let keyframe = false;
        let frame = Tag {
            at,
            keyframe,
            bytes,
        };
        let sent = frame.stamped(Duration::from_millis(0x0102_0304));
        assert_eq!(sent, tag(VIDEO, 0x0102_0304, [0x27, 1]));
    }
}
