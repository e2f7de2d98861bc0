//! Segments of one rendition become items, whatever container they turn out to be in.

use std::collections::BTreeSet;

use bytes::Bytes;
use container::ingest::Item;
use container::{fmp4, ts};
use media::TrackId;

use super::packed::Packed;

/// Reads one rendition.
#[derive(Debug, Default)]
pub(super) struct Reader {
    container: Option<Container>,
    /// Those that were told and have not ended.
    tracks: BTreeSet<TrackId>,
    /// Of these, those that have not come back since it was another stream.
    missing: BTreeSet<TrackId>,
}

#[derive(Debug)]
enum Container {
    Ts(Box<ts::Demux>),
    Fmp4(Box<fmp4::Demux>),
    Packed(Packed),
}

impl Reader {
    /// An initialization section, for what follows.
    pub(super) fn init(&mut self, bytes: Bytes, out: &mut Vec<Item>) -> Result<(), String> {
        self.flush(out);
        self.container = None;
        self.segment(bytes, out)
    }

    /// A segment, or a part of one.
    pub(super) fn segment(&mut self, bytes: Bytes, out: &mut Vec<Item>) -> Result<(), String> {
        let from = out.len();
        let container = match &mut self.container {
            Some(container) => container,
            empty => empty.insert(Container::of(&bytes).ok_or("media of an unknown container")?),
        };
        let mut read = Ok(());
        match container {
            Container::Ts(demux) => demux.push(bytes, out),
            Container::Fmp4(demux) => read = demux.push(bytes, out).map_err(|e| e.to_string()),
            Container::Packed(packed) => packed.segment(bytes, out),
        }
        self.note(out, from);
        read
    }

    /// What follows does not continue what came: what is held of that is told.
    pub(super) fn flush(&mut self, out: &mut Vec<Item>) {
        let from = out.len();
        match &mut self.container {
            Some(Container::Ts(demux)) => demux.flush(out),
            Some(Container::Fmp4(demux)) => demux.flush(out),
            Some(Container::Packed(_)) | None => {}
        }
        self.note(out, from);
    }

    /// What follows is another stream altogether.
    pub(super) fn reset(&mut self, out: &mut Vec<Item>) {
        self.flush(out);
        // All of the stream that ends here is told: what it never had is not in it.
        self.settle(out);
        self.missing = self.tracks.clone();
        self.container = None;
    }

    /// Tracks that did not come back have ended.
    pub(super) fn settle(&mut self, out: &mut Vec<Item>) {
        for track in std::mem::take(&mut self.missing) {
            self.tracks.remove(&track);
            out.push(Item::End(track));
        }
    }

    fn note(&mut self, out: &mut [Item], from: usize) {
        let sliced = !matches!(self.container, Some(Container::Ts(_)));
        for item in out.iter_mut().skip(from) {
            match item {
                // What is left of a segment is to be its frames, not all that came with them.
                Item::Frame(frame) if sliced => {
                    frame.payload = Bytes::copy_from_slice(&frame.payload);
                }
                Item::Track(track) => {
                    self.tracks.insert(track.id);
                    self.missing.remove(&track.id);
                }
                Item::End(track) => {
                    self.tracks.remove(track);
                    self.missing.remove(track);
                }
                _ => {}
            }
        }
    }

    /// Counters of the transport, where it has any.
    pub(super) fn counters(&self) -> Option<ts::Counters> {
        match &self.container {
            Some(Container::Ts(demux)) => Some(demux.counters()),
            _ => None,
        }
    }
}

impl Container {
    /// By its first bytes.
    fn of(bytes: &[u8]) -> Option<Self> {
        const BOXES: [&[u8; 4]; 10] = [
            b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"emsg", b"prft", b"free", b"skip",
            b"mdat",
        ];
        let name = bytes.get(4..8).unwrap_or_default();
        if BOXES.iter().any(|b| *b == name) {
            return Some(Self::Fmp4(Box::default()));
        }
        let adts = matches!(bytes, [0xff, b, ..] if b & 0xf6 == 0xf0);
        if bytes.starts_with(b"ID3") || adts {
            return Some(Self::Packed(Packed::new()));
        }
        // What was cut at any byte still has its sync bytes 188 apart.
        let synced = |at: usize| (0..3).all(|n| bytes.get(at + 188 * n).is_none_or(|b| *b == 0x47));
        let ts = bytes.len() >= 188 && (0..188).any(synced);
        ts.then(|| Self::Ts(Box::default()))
    }
}
