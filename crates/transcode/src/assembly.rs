//! Renditions out of what a worker sends and what is copied: each has its own pictures, and all
//! the sound.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub::{Limits, Presentation, Publisher, Relay};
use ladder::{AudioCodec, Decision, Ladder, Output, VideoCodec, VideoRung};
use media::{Frame, Span, Timestamp, Track, TrackId, TrackKind};
use tokio::time::Instant;

use crate::queue::{Queue, Sound};

/// Encoders open at different times; what a rendition consists of is waited for this long.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(1_500);
/// Frames that are kept until renditions can be made of them, and what they take.
const EARLY: usize = 1_024;
const EARLY_BYTES: usize = 64 << 20;
/// The least step between two frames of a track.
const LEAST: Span = Span::from_nanos(1_000);
/// How exact keyframes lie on their grid: as their times are rounded.
const EXACT: Span = Span::from_millis(1);
/// What the one rendition of a programme without pictures is called.
const SOUND: &str = "audio";

/// What is published of one stream.
pub(crate) struct Assembly {
    presentation: Presentation,
    spawn: fn(Relay),
    ladder: Arc<Ladder>,
    decision: Option<Decision>,
    /// The tracks of each output, and of what is copied.
    tracks: BTreeMap<Output, Track>,
    /// The numbers of sound in every rendition: none is given twice.
    numbers: BTreeMap<Output, TrackId>,
    /// What the programme consists of, once that is known.
    source: Option<Arc<[Track]>>,
    renditions: Vec<Rendition>,
    /// Until when what is still missing is waited for.
    deadline: Option<Instant>,
    /// What came before there was any rendition.
    early: Vec<(Output, Frame)>,
    /// How far pictures and sound of the worker have come.
    pub(crate) video_until: Option<Timestamp>,
    pub(crate) audio_until: Option<Timestamp>,
}

struct Rendition {
    /// The number of its rung; `None` for sound alone.
    rung: Option<u8>,
    publisher: Publisher,
    tracks: Arc<[Track]>,
    queue: Queue,
    last: BTreeMap<TrackId, Timestamp>,
    /// From one keyframe to the next, where the worker makes them on a grid.
    gop: Option<Span>,
    keyframe: Option<Timestamp>,
    /// The last picture.
    reached: Option<Timestamp>,
}

impl Assembly {
    pub(crate) fn new(presentation: Presentation, ladder: Arc<Ladder>, spawn: fn(Relay)) -> Self {
        Self {
            presentation,
            spawn,
            ladder,
            decision: None,
            tracks: BTreeMap::new(),
            numbers: BTreeMap::new(),
            source: None,
            renditions: Vec::new(),
            deadline: None,
            early: Vec::new(),
            video_until: None,
            audio_until: None,
        }
    }

    /// Another ladder: what is no longer in it is gone at once, what is new in it comes with its
    /// first frame.
    pub(crate) fn set_ladder(&mut self, ladder: Arc<Ladder>, now: Instant) {
        if ladder == self.ladder {
            return;
        }
        let before = std::mem::replace(&mut self.ladder, ladder);
        let ladder = &self.ladder;
        // As the worker fits it, which tells of it later.
        self.decision = self
            .decision
            .take()
            .map(|decided| Decision::of(ladder, decided.source));
        self.tracks.retain(|output, _| match output {
            Output::Video(rung) => {
                let wanted = ladder.video_rung(*rung);
                wanted.is_some() && before.video_rung(*rung) == wanted
            }
            Output::Audio(rung, _) => {
                let wanted = ladder.audio_rung(*rung);
                wanted.is_some() && before.audio_rung(*rung) == wanted
            }
        });
        let tracks = &self.tracks;
        self.early.retain(|(output, _)| tracks.contains_key(output));
        self.deadline = Some(now + PATIENCE);
        self.renditions.retain(|r| match r.rung {
            Some(rung) => {
                let name = |ladder: &Ladder| ladder.video_rung(rung).map(|r| r.name.clone());
                name(ladder).is_some() && name(&before) == name(ladder)
            }
            None => ladder.video.is_empty(),
        });
        self.arrange();
    }

    /// Players that ask for none get the best one there is.
    fn arrange(&self) {
        let names: Vec<&str> = self.ladder.video.iter().map(|r| &*r.name).collect();
        self.presentation.arrange(&names);
    }

    /// What the ladder became.
    pub(crate) fn decide(&mut self, decision: Decision, now: Instant) {
        let ladder = &self.ladder;
        let stays = |rung: u8| {
            decision.rung(rung).is_some() || ladder.copies(Output::Video(rung)) == Some(true)
        };
        self.renditions.retain(|r| r.rung.is_none_or(stays));
        self.tracks.retain(|output, _| match output {
            Output::Video(rung) => stays(*rung),
            Output::Audio(..) => true,
        });
        self.decision = Some(decision);
        let mut renditions = std::mem::take(&mut self.renditions);
        for rendition in &mut renditions {
            rendition.gop = rendition.rung.and_then(|rung| self.gop(rung));
        }
        self.renditions = renditions;
        self.publish(now);
    }

    /// It is fitted anew to what comes next.
    pub(crate) fn forget_decision(&mut self) {
        self.decision = None;
    }

    pub(crate) const fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }

    /// The programme consists of these tracks from here on.
    pub(crate) fn follow(&mut self, tracks: &Arc<[Track]>, now: Instant) {
        self.source = Some(Arc::clone(tracks));
        self.publish(now);
    }

    /// What an output's decoder needs.
    pub(crate) fn track(&mut self, output: Output, track: Track, now: Instant) {
        if self.tracks.is_empty() {
            self.deadline = Some(now + PATIENCE);
        }
        if self.tracks.get(&output) != Some(&track) {
            self.early.retain(|(of, _)| *of != output);
            self.tracks.insert(output, track);
        }
        self.number(output);
        self.publish(now);
    }

    /// A frame of an output.
    pub(crate) fn frame(&mut self, output: Output, frame: &Frame, now: Instant) {
        self.note(output, frame);
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.publish(now);
        }
        if !self.renditions.is_empty() {
            self.pass(output, frame);
        } else if self.keeps_early(output, frame) {
            self.early.push((output, frame.clone()));
        }
    }

    /// What comes without tracks is of a ladder that was edited meanwhile.
    fn keeps_early(&self, output: Output, frame: &Frame) -> bool {
        let kept = self.early.iter().map(|(_, f)| Limits::cost(f));
        let bytes = kept.sum::<usize>() + Limits::cost(frame);
        self.tracks.contains_key(&output) && self.early.len() < EARLY && bytes <= EARLY_BYTES
    }

    fn pass(&mut self, output: Output, frame: &Frame) {
        match output {
            Output::Video(rung) => {
                let of = |r: &&mut Rendition| r.rung == Some(rung);
                if let Some(rendition) = self.renditions.iter_mut().find(of) {
                    rendition.picture(frame);
                }
            }
            Output::Audio(..) => {
                let Some(id) = self.numbers.get(&output).copied() else {
                    return;
                };
                for rendition in &mut self.renditions {
                    rendition.sound(id, frame);
                }
            }
        }
    }

    /// Media is missing.
    pub(crate) fn note_loss(&mut self) {
        for rendition in &mut self.renditions {
            rendition.publisher.note_loss();
        }
    }

    /// What is copied comes from another source now.
    pub(crate) fn splice(&mut self) {
        for rendition in &mut self.renditions {
            rendition.publisher.splice();
        }
    }

    /// How far the worker has come; what is copied does not pass through it.
    fn note(&mut self, output: Output, frame: &Frame) {
        if self.ladder.copies(output) != Some(false) {
            return;
        }
        let end = frame.pts + frame.duration.unwrap_or(Span::ZERO);
        match output {
            Output::Video(_) => self.video_until = self.video_until.max(Some(frame.pts)),
            Output::Audio(..) => self.audio_until = self.audio_until.max(Some(end)),
        }
    }

    /// Sound is numbered as bridges do: odd, in the order in which it came.
    fn number(&mut self, output: Output) {
        let next = u16::try_from(self.numbers.len()).unwrap_or(u16::MAX);
        if let Output::Audio(..) = output {
            let id = container::ingest::audio_track(next);
            self.numbers.entry(output).or_insert(id);
        }
    }

    /// Makes the renditions that can be made. Those that are there are told of their tracks at once,
    /// as frames of an encoder that was changed follow.
    fn publish(&mut self, now: Instant) {
        let sounds: Vec<Track> = self.sounds();
        for rendition in &mut self.renditions {
            let pictures = rendition.rung.map(Output::Video);
            let pictures = pictures.and_then(|output| self.tracks.get(&output));
            rendition.tell(pictures.map(picture), &sounds);
        }
        if self.waits(now) {
            return;
        }
        self.deadline.take_if(|deadline| now >= *deadline);
        let ladder = Arc::clone(&self.ladder);
        let made: Vec<&VideoRung> = self.made(&ladder).collect();
        if !made.is_empty() {
            self.renditions.retain(|r| r.rung.is_some());
        }
        for rung in &made {
            if let Some(video) = self.tracks.get(&Output::Video(rung.number)).map(picture) {
                let tracks = [video].into_iter().chain(sounds.iter().cloned()).collect();
                self.begin(Some(rung.number), &rung.name, tracks);
            }
        }
        if made.is_empty() && !sounds.is_empty() {
            self.begin(None, SOUND, sounds.into());
        }
        if !self.renditions.is_empty() {
            for (output, frame) in std::mem::take(&mut self.early) {
                self.pass(output, &frame);
            }
        }
    }

    fn sounds(&self) -> Vec<Track> {
        let place = |output: &Output| match output {
            Output::Audio(rung, slot) => {
                let mut rungs = self.ladder.audio.iter();
                (rungs.position(|r| r.number == *rung), *slot)
            }
            Output::Video(_) => (None, 0),
        };
        let numbered = self.tracks.iter().filter_map(|(output, track)| {
            let id = *self.numbers.get(output)?;
            let track = Track {
                id,
                ..track.clone()
            };
            Some((place(output), track))
        });
        let mut sounds: Vec<_> = numbered.collect();
        sounds.sort_by_key(|(place, _)| *place);
        sounds.into_iter().map(|(_, track)| track).collect()
    }

    /// The rungs that are made of pictures, if there are any.
    fn made<'a>(&self, ladder: &'a Ladder) -> impl Iterator<Item = &'a VideoRung> {
        let pictures = self
            .source
            .as_ref()
            .is_some_and(|s| s.iter().any(|t| t.kind == TrackKind::Video));
        let seen = self.tracks.keys().any(|o| matches!(o, Output::Video(_)));
        let decision = self.decision.as_ref();
        let decided = move |rung: &VideoRung| {
            rung.codec == VideoCodec::Copy || decision.is_none_or(|d| d.rung(rung.number).is_some())
        };
        let rungs = ladder.video.iter();
        rungs.filter(move |rung| (pictures || seen) && decided(rung))
    }

    /// Whether something is still to come that the first frame should not do without.
    fn waits(&self, now: Instant) -> bool {
        let Some(source) = &self.source else {
            return true;
        };
        if self.deadline.is_none_or(|deadline| now >= deadline) {
            return false;
        }
        let pictures = self
            .made(&self.ladder)
            .any(|r| !self.tracks.contains_key(&Output::Video(r.number)));
        let sounds = source.iter().filter(|t| t.kind == TrackKind::Audio).count();
        let wanted = |rung: &ladder::AudioRung| {
            (0_u16..)
                .zip(source.iter().filter(|t| t.kind == TrackKind::Audio))
                .any(|(n, t)| rung.from.takes(n, t.language.as_deref()))
        };
        let wanted = self.ladder.audio.iter().filter(|r| wanted(r)).count();
        let made = self
            .tracks
            .keys()
            .filter(|o| matches!(o, Output::Audio(..)))
            .count();
        pictures || (sounds > 0 && made < wanted)
    }

    fn begin(&mut self, rung: Option<u8>, name: &str, tracks: Arc<[Track]>) {
        if self.renditions.iter().any(|r| r.rung == rung) {
            return;
        }
        let Ok((mut publisher, relay)) = self.presentation.add(name, Limits::default()) else {
            return;
        };
        (self.spawn)(relay);
        publisher.set_tracks(Arc::clone(&tracks));
        let queue = if rung.is_some() {
            Queue::default()
        } else {
            Queue::without_pictures()
        };
        self.renditions.push(Rendition {
            rung,
            publisher,
            tracks,
            queue,
            last: BTreeMap::new(),
            gop: rung.and_then(|rung| self.gop(rung)),
            keyframe: None,
            reached: None,
        });
        self.arrange();
    }

    /// From one keyframe of a rung to the next, where that is exact.
    fn gop(&self, rung: u8) -> Option<Span> {
        let rung = self.decision.as_ref()?.rung(rung)?;
        (!self.ladder.copies_video()).then(|| rung.rate.gop(self.ladder.gop_ms))
    }

    /// The rungs whose sound is passed on as it came.
    pub(crate) fn copied_sounds(&self) -> Vec<u8> {
        let rungs = self.ladder.audio.iter();
        let copied = rungs.filter(|rung| rung.codec == AudioCodec::Copy);
        copied.map(|rung| rung.number).collect()
    }

    /// The rungs whose pictures are passed on as they came.
    pub(crate) fn copied_pictures(&self) -> Vec<u8> {
        let rungs = self.ladder.video.iter();
        let copied = rungs.filter(|rung| rung.codec == VideoCodec::Copy);
        copied.map(|rung| rung.number).collect()
    }

    pub(crate) fn ladder(&self) -> &Arc<Ladder> {
        &self.ladder
    }

    /// Whether frames of the programme are those of an output, as its tracks say.
    pub(crate) fn passes_on(&self, output: Output) -> bool {
        self.ladder.copies(output) == Some(true) && self.tracks.contains_key(&output)
    }
}

fn find(tracks: &[Track], id: TrackId) -> Option<&Track> {
    tracks.iter().find(|t| t.id == id)
}

/// As a rendition numbers it.
fn picture(track: &Track) -> Track {
    Track {
        id: container::ingest::video_track(0),
        ..track.clone()
    }
}

impl Rendition {
    /// Its tracks from the next group on; of pictures that another encoder is still to tell of, what
    /// they were.
    fn tell(&mut self, pictures: Option<Track>, sounds: &[Track]) {
        let known = self.rung.and_then(|_| self.tracks.first().cloned());
        let video = pictures.or(known);
        let tracks: Arc<[Track]> = video.into_iter().chain(sounds.iter().cloned()).collect();
        if self.tracks != tracks {
            self.publisher.set_tracks(Arc::clone(&tracks));
            self.tracks = tracks;
        }
    }

    fn picture(&mut self, frame: &Frame) {
        let due: Vec<Sound> = self.queue.picture(frame.dts).collect();
        self.push_all(due);
        let mut frame = frame.clone();
        frame.track = container::ingest::video_track(0);
        frame.random_access &= !self.goes_on(&frame);
        if frame.random_access {
            self.note_keyframe(frame.pts);
        }
        self.reached = self.reached.max(Some(frame.pts));
        self.push(frame, &Arc::clone(&self.tracks));
    }

    /// Whether it only follows the picture before it, keyframe or not: the next worker has to begin
    /// with one, and where nothing is missing segments begin on the grid all the same.
    fn goes_on(&self, frame: &Frame) -> bool {
        let (Some(gop), Some(reached), Some(interval)) = (self.gop, self.reached, frame.duration)
        else {
            return false;
        };
        let window = |at: Timestamp| (at + EXACT).as_nanos().div_euclid(gop.as_nanos());
        let missing = frame.pts - reached > interval + EXACT;
        !missing && window(frame.pts) == window(reached) && self.tells(&self.tracks, frame.track)
    }

    /// A worker's first keyframe lies off the grid: how far from its neighbours shapes no segment.
    fn note_keyframe(&mut self, at: Timestamp) {
        let before = self.keyframe.replace(at);
        let interval = before.map(|before| at - before);
        if let (Some(gop), Some(interval)) = (self.gop, interval)
            && (interval - gop).abs() > EXACT
        {
            self.publisher.splice();
        }
    }

    fn sound(&mut self, id: TrackId, frame: &Frame) {
        let mut frame = frame.clone();
        frame.track = id;
        let sound = (frame, Arc::clone(&self.tracks));
        let due: Vec<Sound> = self.queue.sound(sound).collect();
        self.push_all(due);
    }

    fn push_all(&mut self, sounds: Vec<Sound>) {
        for (frame, tracks) in sounds {
            self.push(frame, &tracks);
        }
    }

    /// Whether the group that the frame comes into tells of its track as it was when the frame came:
    /// another set is told with the next group alone.
    fn is_told(&self, frame: &Frame, tracks: &Arc<[Track]>) -> bool {
        let lead = tracks.first().is_some_and(|t| t.id == frame.track);
        let opens = lead && frame.random_access && Arc::ptr_eq(tracks, &self.tracks);
        let has = find(tracks, frame.track).is_some();
        has && (opens || self.tells(tracks, frame.track))
    }

    /// Whether the open group tells of a track as these do.
    fn tells(&self, tracks: &Arc<[Track]>, track: TrackId) -> bool {
        let open = self.publisher.broadcast().tracks();
        Arc::ptr_eq(&open, tracks) || find(&open, track) == find(tracks, track)
    }

    /// A worker that goes on where another stopped tells times of its own; they only go forward.
    fn push(&mut self, mut frame: Frame, tracks: &Arc<[Track]>) {
        if let Some(last) = self.last.get(&frame.track) {
            frame.dts = frame.dts.max(*last + LEAST);
        }
        if frame.dts > frame.pts || !self.is_told(&frame, tracks) {
            return;
        }
        let (track, dts) = (frame.track, frame.dts);
        // What begins no group is counted by the publisher.
        if self.publisher.push(frame).is_ok() {
            self.last.insert(track, dts);
        }
    }
}

#[cfg(test)]
mod tests;
