//! One track's samples, brought into the canonical shape.

use bytes::Bytes;
use media::codec::{H264Config, H265Config};
use media::nal;
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId};

use super::entry::Entry;
use crate::ingest::Item;
use crate::units::Units;

/// Makes items of samples.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) track: TrackId,
    pub(super) language: Option<String>,
    pub(super) entries: Vec<Entry>,
    /// The entry that is in use.
    entry: usize,
    /// What decodes the samples as they come, and as they were told of.
    config: Option<CodecConfig>,
    told: Option<CodecConfig>,
}

/// When a sample is to be decoded and shown, and whether the file says that one may begin there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) dts: Timestamp,
    pub(super) pts: Timestamp,
    pub(super) duration: Span,
    pub(super) sync: bool,
}

impl Shape {
    pub(super) const fn new(track: TrackId, language: Option<String>, entries: Vec<Entry>) -> Self {
        Self {
            track,
            language,
            entries,
            entry: usize::MAX,
            config: None,
            told: None,
        }
    }

    /// Tells of the track before its first sample, where the first entry knows it.
    pub(super) fn announce(&mut self, out: &mut Vec<Item>) {
        if let Some(Entry::Known(config)) = self.entries.first() {
            let config = config.clone();
            self.entry = 0;
            self.configure(config, out);
        }
    }

    /// What was told of a track with the same number: the same again is no news.
    pub(super) fn take_over(&mut self, before: &Self) {
        self.told.clone_from(&before.told);
    }

    /// A sample under its entry, counted from 0.
    pub(super) fn sample(
        &mut self,
        entry: usize,
        timing: Timing,
        data: Bytes,
        out: &mut Vec<Item>,
    ) {
        let ignored = match self.shaped(entry, timing, data, out) {
            Ok(()) => return,
            Err(reason) => reason,
        };
        out.push(Item::Ignored(ignored));
    }

    fn shaped(
        &mut self,
        number: usize,
        timing: Timing,
        data: Bytes,
        out: &mut Vec<Item>,
    ) -> Result<(), &'static str> {
        let entry = self.entries.get(number).ok_or("sample without an entry")?;
        if data.is_empty() {
            return Err("empty sample");
        }
        let changed = std::mem::replace(&mut self.entry, number) != number;
        match entry {
            Entry::Unusable(reason) => return Err(reason),
            Entry::Known(config) if changed => self.configure(config.clone(), out),
            Entry::Known(_) => {}
            Entry::InBand { h265, length_size } => {
                if let Some(config) = in_band(*h265, *length_size, &data) {
                    self.configure(config, out);
                }
            }
            other => {
                if let Some(config) = other.told_by(&data) {
                    self.configure(config, out);
                }
            }
        }
        let config = self
            .config
            .as_ref()
            .ok_or("sample before its configuration")?;
        let is_audio = config.audio().is_some();
        let units = Units::of(config, &data).map_err(|_| "unreadable sample")?;
        let (random_access, leading, payload) = match units {
            None => (timing.sync || is_audio, false, data),
            Some(units) if units.payload.is_empty() => return Err("video without slices"),
            Some(units) => {
                if let (true, Some(config)) = (units.random_access, units.config) {
                    self.configure(config, out);
                }
                (units.random_access, units.leading, units.payload)
            }
        };
        out.push(Item::Frame(Frame {
            track: self.track,
            dts: timing.dts,
            pts: timing.pts,
            duration: (timing.duration > Span::ZERO).then_some(timing.duration),
            random_access,
            leading,
            payload,
        }));
        Ok(())
    }

    fn configure(&mut self, config: CodecConfig, out: &mut Vec<Item>) {
        let told = config.with_nal_length_size(4);
        self.config = Some(config);
        if self.told.as_ref() == Some(&told) {
            return;
        }
        self.told = Some(told.clone());
        let mut track = Track::new(self.track, told);
        track.language.clone_from(&self.language);
        out.push(Item::Track(track));
    }
}

/// The configuration from the parameter sets of a sample.
fn in_band(h265: bool, length_size: usize, data: &[u8]) -> Option<CodecConfig> {
    let units = nal::Units::new(data, length_size).map_while(Result::ok);
    let kind = |nal: &[u8]| if h265 { nal::h265(nal) } else { nal::h264(nal) };
    let sets: Vec<&[u8]> = units
        .filter(|nal| kind(nal) == nal::NalKind::ParameterSet)
        .take(64)
        .collect();
    let config = if h265 {
        CodecConfig::H265(H265Config::from_sets(&sets).ok()?)
    } else {
        CodecConfig::H264(H264Config::from_sets(&sets).ok()?)
    };
    Some(config.with_nal_length_size(length_size))
}
