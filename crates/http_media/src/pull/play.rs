//! Plays what was fetched into a broadcast, at the pace of its timestamps.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use container::ingest::{Assembler, Item, Output, Stats};
use hub::{EndReason, Publisher, Refused, WallTime};
use media::pace::Pacer;
use media::{Span, Timestamp};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::error::Error;
use super::merge::{Batch, LANE_BYTES, LANE_ITEMS, Merge, Ready, bytes};

/// How long the first frame waits for another rendition, buffer or not; and parts for the edge.
const GRACE: Span = Span::from_secs(2);

/// The most that leaves at once when joining: a longer step is a leap of the clock to the pacer.
const AT_ONCE: Span = Span::from_secs(9);

/// The longest buffer, whatever playlists say of lengths: it is memory of ours.
const BUFFER: Span = Span::from_secs(30);

/// How a source is paced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It is there as a whole: by its timestamps alone.
    File,
    /// In segments, behind a buffer of this length.
    Segments(Span),
    /// In parts, behind a buffer of this length. What there is when joining goes out at once, so
    /// that the newest part is behind the buffer, not the oldest.
    Parts(Span),
    /// As it comes, behind a buffer of this length.
    Stream(Span),
}

impl Pace {
    /// How long media waits.
    pub(crate) fn buffer(self) -> Span {
        match self {
            Self::File => Span::ZERO,
            Self::Segments(span) | Self::Parts(span) | Self::Stream(span) => span.min(BUFFER),
        }
    }

    /// What may wait beyond the buffer before fetching pauses.
    fn ahead(self) -> Span {
        match self {
            Self::File => Span::from_secs(2),
            Self::Segments(_) => self.buffer().times(2),
            Self::Parts(_) | Self::Stream(_) => Span::from_secs(10),
        }
    }
}

/// The writing end of a pull.
pub(crate) struct Player {
    publisher: Publisher,
    assembler: Assembler,
    pace: Pace,
    pacer: Pacer,
    merge: Merge,
    lanes: Vec<Option<mpsc::Receiver<Batch>>>,
    origin: Instant,
    /// Parts wait for the edge before anything leaves.
    joining: bool,
    outputs: Vec<Output>,
    /// The frame whose wall clock is known, until it comes out of the assembler.
    dated: Option<(Bytes, Timestamp)>,
    stats: Arc<Stats>,
    gone: bool,
    /// How long nothing may leave, and when something last did.
    silence: Option<Span>,
    left: Timestamp,
}

/// Monotonic time as the pure parts have it.
pub(crate) fn since(origin: Instant) -> Timestamp {
    Timestamp::ZERO + Span::from(origin.elapsed())
}

impl Player {
    pub(crate) fn new(
        publisher: Publisher,
        stats: Arc<Stats>,
        pace: Pace,
        origin: Instant,
        lanes: Vec<mpsc::Receiver<Batch>>,
    ) -> Self {
        Self {
            publisher,
            assembler: Assembler::new(Arc::clone(&stats)),
            pace,
            pacer: Pacer::new(pace.buffer()),
            merge: Merge::new(lanes.len()),
            lanes: lanes.into_iter().map(Some).collect(),
            origin,
            joining: matches!(pace, Pace::Parts(_)),
            outputs: Vec::new(),
            dated: None,
            stats,
            gone: false,
            silence: None,
            left: since(origin),
        }
    }

    /// A pull of which nothing left for so long has failed, whatever its connections look like.
    pub(crate) const fn at_most(mut self, silence: Span) -> Self {
        self.silence = Some(silence);
        self
    }

    /// Pictures and sound are known to come.
    pub(crate) const fn both_kinds(mut self) -> Self {
        self.assembler.announce(true, true);
        self
    }

    /// Plays until everything is played that `fetching` brought, then says how that ended.
    pub(crate) async fn play_while<T>(
        mut self,
        fetching: impl Future<Output = Result<T, Error>>,
    ) -> Result<EndReason, Error> {
        let fetched = {
            let mut fetching = pin!(fetching);
            let mut playing = pin!(self.play());
            tokio::select! {
                fetched = &mut fetching => {
                    let played = playing.await;
                    fetched.and(played)
                }
                played = &mut playing => played,
            }
        };
        fetched?;
        if self.gone {
            return Ok(EndReason::Kicked);
        }
        self.publisher.end(EndReason::Finished);
        Ok(EndReason::Finished)
    }

    async fn play(&mut self) -> Result<(), Error> {
        let played = self.played().await;
        self.assembler.flush(&mut self.outputs);
        self.publish();
        played
    }

    async fn played(&mut self) -> Result<(), Error> {
        let mut next: Option<(Ready, Timestamp)> = None;
        while !self.gone {
            if next.is_none() {
                next = self.next();
            }
            let now = since(self.origin);
            if let Some((ready, due)) = next.take_if(|(_, due)| *due <= now) {
                self.emit(ready, due);
                continue;
            }
            let wake = next
                .as_ref()
                .map(|(_, due)| *due)
                .or_else(|| self.patience());
            if wake.is_none() && self.lanes.iter().all(Option::is_none) {
                break;
            }
            let stalled = self.stalled(next.is_some(), now)?;
            let wake = wake.into_iter().chain(stalled).min();
            let wake = wake.map(|at| self.origin + (at - Timestamp::ZERO).to_duration());
            tokio::select! {
                (lane, batch) = receive(&mut self.lanes, &self.merge, self.pace) => self.take(lane, batch)?,
                () = sleep(wake) => self.join_anyway(),
            }
        }
        Ok(())
    }

    /// When nothing has left for too long. What waits for its time is not late.
    fn stalled(&self, waits: bool, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let Some(silence) = self.silence.filter(|_| !waits) else {
            return Ok(None);
        };
        if now - self.left < silence {
            return Ok(Some(self.left + silence));
        }
        let seconds = (now - self.left).to_duration().as_secs();
        Err(Error::Stalled { seconds })
    }

    /// The next thing to go, and when.
    fn next(&mut self) -> Option<(Ready, Timestamp)> {
        let now = since(self.origin);
        if self.joining {
            return self.merge.pop_word().map(|ready| (ready, now));
        }
        let regardless = self.patience().is_some_and(|at| at <= now);
        let ready = self.merge.pop(regardless)?;
        let due = match &ready.item {
            Item::Frame(frame) => self.pacer.due(frame.dts, ready.arrived),
            _ => now,
        };
        Some((ready, due))
    }

    /// Until when a lane that has nothing is waited for: until the others are due.
    fn patience(&self) -> Option<Timestamp> {
        let (dts, arrived) = self.merge.waiting()?;
        if self.joining {
            return Some(arrived + GRACE);
        }
        let due = self.pacer.clone().due(dts, arrived);
        let grace = if self.merge.has_begun() {
            Span::ZERO
        } else {
            GRACE
        };
        Some(due.max(arrived + grace))
    }

    fn take(&mut self, lane: usize, batch: Option<Batch>) -> Result<(), Error> {
        let Some(mut batch) = batch else {
            self.merge.end(lane);
            self.lanes[lane] = None;
            self.joining = false;
            return Ok(());
        };
        self.bound(&mut batch)?;
        let (edge, arrived) = (batch.edge && lane == 0, batch.arrived);
        self.merge.push(lane, batch);
        // A lane that takes no more never reaches the edge.
        if edge || !wants(&self.merge, lane, self.pace) {
            self.join(arrived);
        }
        Ok(())
    }

    /// What carries no media is counted, not held; of the rest there may be too much.
    fn bound(&self, batch: &mut Batch) -> Result<(), Error> {
        batch.items.retain(|item| {
            let Item::Ignored(reason) = item else {
                return true;
            };
            self.stats.ignored(reason);
            false
        });
        let frames = batch.items.len();
        let bytes = batch.items.iter().map(bytes).sum();
        if frames > LANE_ITEMS || bytes > LANE_BYTES {
            return Err(Error::TooMuch { frames, bytes });
        }
        Ok(())
    }

    /// The newest part is behind the buffer from here on, and what is older leaves at once.
    fn join(&mut self, arrived: Timestamp) {
        if std::mem::take(&mut self.joining)
            && let Some((oldest, newest)) = self.merge.ends()
        {
            self.pacer.due(newest.min(oldest + AT_ONCE), arrived);
        }
    }

    /// The edge is waited for no longer than anything else.
    fn join_anyway(&mut self) {
        let now = since(self.origin);
        if self.patience().is_some_and(|at| at <= now) {
            self.join(now);
        }
    }

    /// `due` is the frame's time of arrival to all that lies beyond: what a slow timer costs is
    /// no jitter of the source.
    fn emit(&mut self, ready: Ready, due: Timestamp) {
        if matches!(ready.item, Item::Frame(_)) {
            self.left = since(self.origin);
        }
        if let (Item::Frame(frame), Some(utc)) = (&ready.item, ready.utc) {
            self.dated = Some((frame.payload.clone(), utc));
        }
        self.assembler.item(ready.item, due, &mut self.outputs);
        self.publish();
    }

    fn publish(&mut self) {
        for output in self.outputs.drain(..) {
            let frame = match output {
                Output::Tracks(tracks) => {
                    self.publisher.set_tracks(tracks);
                    continue;
                }
                Output::Lost => {
                    self.publisher.note_loss();
                    continue;
                }
                Output::Frame(frame) => frame,
            };
            if let Some((payload, utc)) = &self.dated
                && payload.as_ptr() == frame.payload.as_ptr()
            {
                self.publisher.set_wall_time(WallTime {
                    media: frame.pts,
                    utc: *utc,
                });
                self.dated = None;
            }
            match self.publisher.push(frame) {
                Ok(()) => {}
                Err(Refused::Ended) => self.gone = true,
                Err(refused) => self.stats.ignored(refused.name()),
            }
        }
    }
}

async fn sleep(until: Option<Instant>) {
    match until {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// Whether a lane takes more: of its time, and of memory.
fn wants(merge: &Merge, lane: usize, pace: Pace) -> bool {
    merge.level(lane) < pace.buffer() + pace.ahead() && !merge.is_full(lane)
}

/// The next batch of a lane that wants one. Cancel-safe.
async fn receive(
    lanes: &mut [Option<mpsc::Receiver<Batch>>],
    merge: &Merge,
    pace: Pace,
) -> (usize, Option<Batch>) {
    std::future::poll_fn(|cx| {
        for (index, lane) in lanes.iter_mut().enumerate() {
            let Some(receiver) = lane else { continue };
            if wants(merge, index, pace)
                && let Poll::Ready(batch) = receiver.poll_recv(cx)
            {
                return Poll::Ready((index, batch));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests;
