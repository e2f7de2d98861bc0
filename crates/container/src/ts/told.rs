//! Where the items of one stream go.

use bytes::Bytes;
use media::{CodecConfig, Frame, Role, Span, Timestamp, Track, TrackId};

use super::audio::Found;
use super::psi::Listed;
use super::video::Access;
use crate::ingest::Item;

/// PTS and DTS.
pub(super) type Times = (Timestamp, Timestamp);

pub(super) struct Told<'a> {
    pub(super) listed: &'a Listed,
    pub(super) track: TrackId,
    pub(super) config: &'a mut Option<CodecConfig>,
    pub(super) out: &'a mut Vec<Item>,
}

impl Told<'_> {
    pub(super) fn ignored(&mut self, reason: &'static str) {
        self.out.push(Item::Ignored(reason));
    }

    pub(super) fn video(&mut self, access: Access, times: Option<Times>) {
        if let Some(config) = access.config {
            self.configure(config);
        }
        let Some((pts, dts)) = times else {
            return self.ignored("video without a timestamp");
        };
        self.out.push(Item::Frame(Frame {
            track: self.track,
            dts,
            pts,
            duration: None,
            random_access: access.random_access,
            leading: access.leading,
            payload: access.payload,
        }));
    }

    pub(super) fn audio(&mut self, found: Found) {
        match found {
            Found::Frame(config, time, duration, payload) => {
                self.configure(config);
                self.whole((time, time), Some(duration), payload);
            }
            Found::Ignored(reason) => self.ignored(reason),
        }
    }

    /// A payload of data; before any media there is no time for it.
    pub(super) fn data(&mut self, times: Option<Times>, payload: &[u8]) {
        match times {
            _ if payload.is_empty() => self.ignored("empty data"),
            Some(times) => self.whole(times, None, Bytes::copy_from_slice(payload)),
            None => self.ignored("data before any media"),
        }
    }

    fn whole(&mut self, (pts, dts): Times, duration: Option<Span>, payload: Bytes) {
        self.out.push(Item::Frame(Frame {
            track: self.track,
            dts,
            pts,
            duration,
            random_access: true,
            leading: false,
            payload,
        }));
    }

    pub(super) fn configure(&mut self, config: CodecConfig) {
        if self.config.as_ref() == Some(&config) {
            return;
        }
        *self.config = Some(config.clone());
        let mut track = Track::new(self.track, config);
        track.language.clone_from(&self.listed.language);
        if self.listed.described {
            track.role = Role::Description;
        }
        self.out.push(Item::Track(track));
    }
}
