//! Messages become frames: configurations make tracks, timestamps are mended, groups are opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use container::flv::{Demux, FlvError, Item};
use container::ingest::{self, Assembler, Output, Stats};
use hub::Publisher;
use media::repair::Unwrap;
use media::{Timestamp, Track, TrackId};

use crate::metadata::{Metadata, TrackInfo};
use crate::session::MediaKind;

/// So many unreadable messages in a row are no accident.
const UNREADABLE: u32 = 50;

/// Carries one session's messages to a broadcast.
#[derive(Debug)]
pub(crate) struct Bridge {
    publisher: Publisher,
    stats: Arc<Stats>,
    demux: Demux,
    clock: Unwrap,
    assembler: Assembler,
    tracks: BTreeMap<TrackId, Track>,
    /// Languages and names, as `onMetaData` tells them.
    told: BTreeMap<TrackId, TrackInfo>,
    items: Vec<Item>,
    out: Vec<Output>,
    /// Messages in a row that could not be read.
    unreadable: u32,
}

impl Bridge {
    pub(crate) fn new(publisher: Publisher, stats: Arc<Stats>) -> Self {
        Self {
            publisher,
            demux: Demux::new(),
            clock: Unwrap::new(32),
            assembler: Assembler::new(Arc::clone(&stats)),
            stats,
            tracks: BTreeMap::new(),
            told: BTreeMap::new(),
            items: Vec::new(),
            out: Vec::new(),
            unreadable: 0,
        }
    }

    pub(crate) fn into_publisher(self) -> Publisher {
        self.publisher
    }

    pub(crate) fn metadata(&mut self, metadata: Metadata, now: Timestamp) {
        self.assembler.announce(metadata.video, metadata.audio);
        if self.told != metadata.tracks {
            self.told = metadata.tracks;
            let tracks: Vec<Track> = self.tracks.values().cloned().collect();
            for track in tracks {
                self.track(track, now);
            }
            self.publish();
        }
        self.stats.describe(metadata.members);
    }

    /// One media message; `now` is any monotonic clock.
    pub(crate) fn media(
        &mut self,
        kind: MediaKind,
        timestamp: u32,
        body: Bytes,
        now: Timestamp,
    ) -> Result<(), FlvError> {
        // Encoders send empty audio messages to keep a connection alive.
        if body.is_empty() {
            self.stats.ignored("empty message");
            return Ok(());
        }
        let dts = Timestamp::from_millis(self.clock.extend(u64::from(timestamp)));
        let mut items = std::mem::take(&mut self.items);
        let read = match kind {
            MediaKind::Audio => self.demux.audio(body, &mut items),
            MediaKind::Video => self.demux.video(body, &mut items),
        };
        for item in items.drain(..) {
            self.item(item.at(dts), now);
        }
        self.items = items;
        self.publish();
        self.tolerate(read)
    }

    /// A broken message costs itself, not the viewers.
    fn tolerate(&mut self, read: Result<(), FlvError>) -> Result<(), FlvError> {
        let Err(error) = read else {
            self.unreadable = 0;
            return Ok(());
        };
        self.stats.ignored("unreadable message");
        self.unreadable += 1;
        if self.unreadable > UNREADABLE {
            return Err(error);
        }
        tracing::debug!(%error, "media message left out");
        Ok(())
    }

    fn item(&mut self, item: ingest::Item, now: Timestamp) {
        match item {
            ingest::Item::Track(track) => self.track(track, now),
            // Encoders end their tracks where they end altogether.
            ingest::Item::End(_) => {}
            other => self.assembler.item(other, now, &mut self.out),
        }
    }

    fn track(&mut self, mut track: Track, now: Timestamp) {
        let info = self.told.get(&track.id).cloned().unwrap_or_default();
        (track.language, track.label) = (info.language, info.label);
        self.tracks.insert(track.id, track.clone());
        let item = ingest::Item::Track(track);
        self.assembler.item(item, now, &mut self.out);
    }

    fn publish(&mut self) {
        for output in self.out.drain(..) {
            match output {
                Output::Tracks(tracks) => self.publisher.set_tracks(tracks),
                Output::Lost => self.publisher.note_loss(),
                Output::Frame(frame) => {
                    if let Err(refused) = self.publisher.push(frame) {
                        self.stats.ignored(refused.name());
                    }
                }
            }
        }
    }
}
