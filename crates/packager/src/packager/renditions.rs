//! The renditions of the presentation and their tracks, which come and go.

use std::sync::Arc;

use media::codec::data::SCTE35;
use media::{CodecConfig, Timestamp, Track, TrackKind};

use super::{Error, Packager, Phase, Rendition, RenditionId};
use crate::release::{Release, What};
use crate::track::TrackPackager;

impl Packager {
    /// Adds a rendition. The first one leads: its keyframes decide where segments begin.
    pub fn add_rendition(&mut self, name: &str) -> RenditionId {
        let id = RenditionId(self.next_rendition);
        self.next_rendition += 1;
        self.renditions.push(Rendition {
            id,
            name: name.to_owned(),
            place: self.renditions.len(),
            tracks: Vec::new(),
            refused: Vec::new(),
        });
        id
    }

    /// Removes a rendition; its playlists are gone at once. Those of the sound, which all have, go
    /// on with the next one.
    pub fn remove_rendition(&mut self, id: RenditionId) {
        let leads = self.renditions.first().is_some_and(|r| r.id == id);
        self.discontinuity_sequence = self.discontinuity_number();
        let gone = self.renditions.extract_if(.., |r| r.id == id);
        let tracks: Vec<_> = gone.flat_map(|r| r.tracks).collect();
        let goes_on = |t: &TrackPackager| leads && t.track.kind == TrackKind::Audio;
        let has_next = !self.renditions.is_empty();
        let (sound, gone) = tracks.into_iter().partition(|t| has_next && goes_on(t));
        self.let_go(gone);
        if leads {
            self.lead_with_next(sound);
        }
        self.refresh();
    }

    fn let_go(&mut self, mut tracks: Vec<TrackPackager>) {
        let now = self.lead.arrival.unwrap_or_default();
        if tracks.is_empty() {
            return;
        }
        let gone = tracks.iter_mut().map(|t| t.leave(now));
        Arc::make_mut(&mut self.gone).extend(gone);
        let last = tracks.into_iter().flat_map(TrackPackager::finish);
        self.releases.extend(last);
    }

    fn lead_with_next(&mut self, sound: Vec<TrackPackager>) {
        let Some(first) = self.renditions.first_mut() else {
            return;
        };
        for mut track in sound {
            track.hand_over();
            first.tracks.push(track);
        }
        let (id, video) = (first.id, first.tracks.first_mut());
        let video = video.filter(|t| t.track.kind == TrackKind::Video);
        let early = video.map(TrackPackager::take_lead).unwrap_or_default();
        let now = self.lead.arrival.unwrap_or_default();
        for frame in early {
            self.package(id, frame, now);
        }
    }

    /// The order in which players shall prefer renditions.
    pub fn arrange(&mut self, ids: &[RenditionId]) {
        for rendition in &mut self.renditions {
            let place = ids.iter().position(|id| *id == rendition.id);
            let place = place.unwrap_or(ids.len());
            self.arranged |= std::mem::replace(&mut rendition.place, place) != place;
        }
        self.refresh();
    }

    /// The tracks of the group that begins now.
    ///
    /// # Errors
    /// A track that CMAF cannot carry; it is left out, the others go on.
    pub fn group(
        &mut self,
        id: RenditionId,
        tracks: &[Track],
        now: Timestamp,
    ) -> Result<(), Error> {
        let leads = self.renditions.first().is_some_and(|r| r.id == id);
        let mut changed = false;
        let result = self.sync_tracks(id, tracks, &mut changed, now);
        if leads {
            self.follow_cues(tracks);
            let video = self.lead_track().map(|t| t.track.kind == TrackKind::Video);
            self.lead.audio = video == Some(false);
        }
        if changed && self.phase == Phase::Learning {
            self.forget_learned();
        }
        self.discontinuity |= changed && self.phase == Phase::Live;
        if changed {
            self.expire(now);
            self.refresh();
        }
        result
    }

    /// Segments of pictures, or of the sound that leads, have the cues that come in their time.
    fn follow_cues(&mut self, tracks: &[Track]) {
        let is_cue = |t: &&Track| matches!(&t.config, CodecConfig::Opaque(c) if c.fourcc == SCTE35);
        self.cue_tracks = tracks.iter().filter(is_cue).map(|t| t.id).collect();
        let cued = !self.cue_tracks.is_empty();
        for (i, track) in self.all_tracks_mut().enumerate() {
            track.cued = cued && (i == 0 || track.track.kind == TrackKind::Video);
        }
    }

    fn sync_tracks(
        &mut self,
        id: RenditionId,
        tracks: &[Track],
        changed: &mut bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        let first = self.renditions.first().is_some_and(|r| r.id == id);
        let discontinuity = self.discontinuity_number();
        let config = self.config;
        let Some(rendition) = self.renditions.iter_mut().find(|r| r.id == id) else {
            return Ok(());
        };
        // Every rendition of pictures carries the same sound: it is packaged once.
        let packageable =
            |t: &&Track| t.kind == TrackKind::Video || (first && t.kind == TrackKind::Audio);
        // What comes beside those that are there disturbs none of them.
        let joins = !first && rendition.tracks.is_empty();
        let mut result = Ok(());
        let mut kept = Vec::with_capacity(tracks.len());
        let (mut come, mut gone) = (Vec::new(), Vec::new());
        rendition.refused.retain(|known| tracks.contains(known));
        for track in tracks.iter().filter(packageable) {
            if rendition.refused.contains(track) {
                continue;
            }
            let same = |p: &TrackPackager| p.track.id == track.id && p.track.kind == track.kind;
            let known = rendition.tracks.iter().position(same);
            let packager = match known.map(|at| rendition.tracks.remove(at)) {
                Some(mut p) if p.track.config == track.config => {
                    p.rename(track);
                    Ok(p)
                }
                Some(mut p) => {
                    *changed = true;
                    match p.reconfigure(track.clone(), now) {
                        Ok(()) => Ok(p),
                        Err(error) => {
                            gone.push(p);
                            Err(error)
                        }
                    }
                }
                None => {
                    let id = media_id(track, (!first).then_some(&rendition.name));
                    let name = &rendition.name;
                    let made = TrackPackager::new(&id, name, track.clone(), &config, discontinuity);
                    *changed |= made.is_ok() && !joins;
                    come.push(Release {
                        media: id.into(),
                        what: What::Here,
                    });
                    made
                }
            };
            match packager {
                Ok(p) => kept.push(p),
                Err(source) => {
                    rendition.refused.push(track.clone());
                    result = Err(Error {
                        track: track.id,
                        source,
                    });
                }
            }
        }
        *changed |= !rendition.tracks.is_empty();
        // Sound is in the order in which players shall prefer it.
        let is_video = |p: &TrackPackager| p.track.kind == TrackKind::Video;
        kept.sort_by_key(|p| (p.track.kind, is_video(p).then_some(p.track.id)));
        gone.append(&mut std::mem::replace(&mut rendition.tracks, kept));
        self.let_go(gone);
        self.releases.extend(come);
        result
    }
}

fn media_id(track: &Track, rendition: Option<&String>) -> String {
    let kind = track.kind.name();
    let letter = &kind[..1];
    match rendition {
        Some(name) => format!("{letter}{}-{name}", track.id),
        None => format!("{letter}{}", track.id),
    }
}
