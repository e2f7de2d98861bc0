//! The programme to one worker: groups and frames as they come, holds while none does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use container::wire::{self, Message};
use hub::{Broadcast, Event, Join, Options};
use ladder::{Job, Ladder, Order};
use media::{Span, Timestamp, Track, TrackId, TrackKind};
use parking_lot::Mutex;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::assembly::Assembly;
use crate::board::Board;
use crate::silence::Silence;
use crate::worker::write_all;

/// A worker that is further behind goes on with the newest group: whole groups are left out. One
/// that was found to hang was fed nothing for half as long, and its group is a while older still.
const MAX_LATENCY: Span = Span::from_secs(6);
/// Groups that one may have stopped in.
const GROUPS: usize = 4;
/// How often silence is looked for.
const TICK: Duration = Duration::from_millis(100);

/// Feeds one worker.
pub(crate) struct Feed<'a, C> {
    pub(crate) programme: &'a Broadcast,
    /// What is wanted, and what the worker was told.
    pub(crate) ladder: watch::Receiver<Arc<Ladder>>,
    pub(crate) told: Arc<Ladder>,
    pub(crate) assembly: &'a Mutex<Assembly>,
    pub(crate) silence: &'a Mutex<Silence>,
    pub(crate) board: &'a Board,
    pub(crate) clock: &'a C,
    pub(crate) hold: watch::Receiver<bool>,
}

/// What one worker was told of the programme.
#[derive(Default)]
struct Told {
    tracks: Option<Arc<[Track]>>,
    kinds: Vec<(TrackId, TrackKind)>,
    lost: bool,
}

impl<C: Fn() -> Timestamp> Feed<'_, C> {
    /// Runs until the worker takes no more.
    pub(crate) async fn run(mut self, mut to: OwnedWriteHalf, job: Job) -> std::io::Result<()> {
        let until = job.video_until.or(job.audio_until);
        let mut reader = self.programme.subscribe(Options {
            join: self.join(until.map(Timestamp::from_nanos)),
            max_latency: MAX_LATENCY,
            wanted: true,
        });
        let mut chunks = Vec::new();
        put_order(&Order::Job(Box::new(job)), &mut chunks);
        let mut batch = Vec::new();
        let mut told = Told::default();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            write_all(&mut to, &chunks).await?;
            chunks.clear();
            tokio::select! {
                biased;
                changed = self.ladder.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let ladder = Arc::clone(&self.ladder.borrow_and_update());
                    self.edit(ladder, &mut chunks);
                }
                () = reader.next(&mut batch) => {
                    for event in batch.drain(..) {
                        if let Event::End(_) = event {
                            return Ok(());
                        }
                        self.put(event, &mut told, &mut chunks);
                    }
                }
                _ = tick.tick() => self.hold(&mut chunks),
            }
        }
    }

    /// A worker that goes on where another stopped begins with the group that it stopped in: what
    /// is there of it already is only decoded.
    fn join(&self, until: Option<Timestamp>) -> Join {
        let groups = self.programme.recent(GROUPS);
        let before = groups.iter().rev().find(|g| Some(g.id) <= until);
        before.map_or(Join::Newest, |group| Join::From(group.id))
    }

    /// Renditions are put together by just those ladders that the worker hears of: of two edits that
    /// undo each other it may hear nothing.
    fn edit(&mut self, ladder: Arc<Ladder>, chunks: &mut Vec<Bytes>) {
        if ladder == self.told {
            return;
        }
        put_order(&Order::Job(Box::new(edited(&ladder))), chunks);
        self.told = Arc::clone(&ladder);
        self.assembly.lock().set_ladder(ladder, Instant::now());
    }

    fn put(&self, event: Event, told: &mut Told, chunks: &mut Vec<Bytes>) {
        match event {
            Event::Group {
                id,
                tracks,
                spliced,
            } => {
                told.put_tracks(&tracks, chunks);
                let lost = std::mem::take(&mut told.lost);
                let group = Message::Group {
                    rendition: 0,
                    id,
                    spliced,
                    lost,
                };
                wire::put(&group, chunks);
            }
            Event::Frame(frame) => {
                let kind = told.kinds.iter().find(|(id, _)| *id == frame.track);
                if let Some((_, kind)) = kind {
                    let mut silence = self.silence.lock();
                    silence.note(*kind, frame.dts, (self.clock)());
                }
                self.board.note_fed(frame.dts);
                let frame = Message::Frame {
                    rendition: 0,
                    frame,
                };
                wire::put(&frame, chunks);
            }
            Event::Skipped { groups, frames } => {
                told.lost = true;
                self.board.note_skipped(groups, frames);
            }
            Event::End(_) => {}
        }
    }

    fn hold(&self, chunks: &mut Vec<Bytes>) {
        let copies = self.told.copies_video();
        let holds = self.silence.lock().holds((self.clock)(), copies);
        self.board
            .note_hold(holds.video.is_some() || holds.audio.is_some());
        if !*self.hold.borrow() {
            return;
        }
        for (kind, until) in [
            (TrackKind::Video, holds.video),
            (TrackKind::Audio, holds.audio),
        ] {
            if let Some(until) = until {
                put_order(&Order::hold(kind, until), chunks);
            }
        }
    }
}

impl Told {
    fn put_tracks(&mut self, tracks: &Arc<[Track]>, chunks: &mut Vec<Bytes>) {
        if self.tracks.as_ref() == Some(tracks) {
            return;
        }
        self.tracks = Some(Arc::clone(tracks));
        self.kinds = tracks.iter().map(|t| (t.id, t.kind)).collect();
        let tracks = Arc::clone(tracks);
        wire::put(
            &Message::Tracks {
                rendition: 0,
                tracks,
            },
            chunks,
        );
    }
}

/// A ladder that changed under a worker, which knows the rest.
fn edited(ladder: &Ladder) -> Job {
    Job {
        ladder: ladder.clone(),
        decision: None,
        video_until: None,
        audio_until: None,
    }
}

fn put_order(order: &Order, chunks: &mut Vec<Bytes>) {
    wire::put(&Message::Control(order.to_control()), chunks);
}
