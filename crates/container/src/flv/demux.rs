//! One session's reader: remembers each track's configuration.

use bytes::Bytes;
use media::{CodecConfig, TrackId};

use super::{FlvError, Item, Mux, audio, video};

/// The most tracks of a kind that a session may have.
const TRACKS: usize = 16;

/// Reads the bodies of one session's audio and video messages.
#[derive(Debug, Default)]
pub struct Demux {
    configs: Vec<(TrackId, CodecConfig)>,
    /// VP9 records, whose first keyframe is still to tell the size.
    records: Vec<(TrackId, Bytes)>,
}

impl Demux {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends what a video message holds. Payloads are slices of `body` unless the NAL units had
    /// to be rewritten.
    ///
    /// # Errors
    /// A body that is cut short or whose configuration cannot be read.
    pub fn video(&mut self, body: Bytes, out: &mut Vec<Item>) -> Result<(), FlvError> {
        video::read(self, body, out)
    }

    /// Appends what an audio message holds.
    ///
    /// # Errors
    /// As for [`Demux::video`].
    pub fn audio(&mut self, body: Bytes, out: &mut Vec<Item>) -> Result<(), FlvError> {
        audio::read(self, body, out)
    }

    pub(super) fn keep_record(&mut self, track: TrackId, record: Bytes) {
        self.records.retain(|(id, _)| *id != track);
        if self.records.len() < TRACKS {
            self.records.push((track, record));
        }
    }

    pub(super) fn record(&self, track: TrackId) -> Option<Bytes> {
        let mut records = self.records.iter();
        records.find(|(id, _)| *id == track).map(|(_, r)| r.clone())
    }

    /// The configuration for packets of this code; one of another codec is none.
    pub(super) fn config(&self, track: TrackId, fourcc: [u8; 4]) -> Option<&CodecConfig> {
        let mut known = self.configs.iter();
        let (_, config) = known.find(|(id, _)| *id == track)?;
        let mux = Mux::new(config, 0)?;
        (mux.fourcc() == fourcc).then_some(config)
    }

    /// Keeps a configuration and tells of it where it is a new one.
    pub(super) fn configure(&mut self, track: TrackId, config: CodecConfig, out: &mut Vec<Item>) {
        let full = self.configs.len() >= TRACKS;
        // Access units go on with lengths of four bytes, whatever they came with.
        let published = config.with_nal_length_size(4);
        match self.configs.iter_mut().find(|(id, _)| *id == track) {
            Some((_, known)) if *known == config => return,
            Some((_, known)) => *known = config,
            None if full => {
                out.push(Item::Ignored("too many tracks"));
                return;
            }
            None => self.configs.push((track, config)),
        }
        out.push(Item::Config(track, published));
    }
}
