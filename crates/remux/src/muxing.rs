//! Frames in, packets out: what goes on between two broadcasts.

use std::sync::Arc;

use bytes::BytesMut;
use container::ts::Mux;
use hub::{EndReason, Publisher};
use media::{Frame, Span, Timestamp, Track, TrackId};

use crate::Observer;

/// Packets of many frames lie in one allocation.
const CHUNK: usize = 256 << 10;
/// Less room than this is left for the next one.
const ROOM: usize = 16 << 10;

pub(crate) struct Muxing<O> {
    mux: Mux,
    publisher: Publisher,
    observer: O,
    tracks: Arc<[Track]>,
    left_out: Vec<TrackId>,
    /// The group that the next frame opens.
    opening: Option<Timestamp>,
    /// DTS of the latest frame: all tracks are one here, and none goes back.
    last: Option<Timestamp>,
    out: BytesMut,
}

impl<O: Observer> Muxing<O> {
    pub(crate) fn new(mut publisher: Publisher, observer: O) -> Self {
        publisher.set_tracks(crate::tracks());
        Self {
            mux: Mux::new(),
            publisher,
            observer,
            tracks: Arc::new([]),
            left_out: Vec::new(),
            opening: None,
            last: None,
            out: BytesMut::new(),
        }
    }

    pub(crate) fn group(&mut self, id: Timestamp, tracks: &Arc<[Track]>, spliced: bool) {
        if *self.tracks != **tracks {
            self.tracks = Arc::clone(tracks);
            self.left_out = self.mux.tracks(tracks);
            for track in tracks.iter().filter(|t| self.left_out.contains(&t.id)) {
                self.observer.left_out(track);
            }
        }
        if spliced {
            self.publisher.splice();
        }
        self.opening = Some(id);
    }

    pub(crate) fn frame(&mut self, frame: &Frame) {
        if self.left_out.contains(&frame.track) {
            return;
        }
        if self.out.capacity() < ROOM {
            self.out.reserve(CHUNK);
        }
        if self.opening.is_some() {
            self.mux.tables(&mut self.out);
        }
        self.mux.frame(frame, &mut self.out);
        if self.out.is_empty() {
            return;
        }
        let opening = self.opening.take();
        let next = self.last.map(|last| last + Span::from_nanos(1));
        let dts = next.map_or(frame.dts, |next| frame.dts.max(next));
        self.last = Some(dts);
        let packets = Frame {
            track: TrackId(0),
            dts,
            pts: opening.unwrap_or(frame.pts),
            duration: frame.duration,
            random_access: opening.is_some(),
            // One that was left out would tear a hole into the packets' count.
            leading: false,
            payload: self.out.split().freeze(),
        };
        // The first frame opens a group, and the presentation lives as long as this.
        let _ = self.publisher.push(packets);
    }

    pub(crate) fn skipped(&mut self) {
        self.publisher.note_loss();
    }

    pub(crate) fn end(self, reason: EndReason) {
        self.publisher.end(reason);
    }
}
