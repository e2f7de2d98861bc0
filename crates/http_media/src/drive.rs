//! Packages one presentation: renditions of the hub in, snapshots out.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hub::{Broadcast, Event, Join, Listing, Options, Rendition, Subscriber};
use media::{Span, Timestamp};
use packager::{Counters, Effect, Packager, RenditionId, Restored};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::live::Output;

/// The packager must lose nothing that the hub still has.
const MAX_LATENCY: Span = Span::from_secs(60);

/// What the driver tells whoever runs it.
pub trait Observer: Send {
    /// Something to store.
    fn effect(&mut self, effect: Effect);
    /// A new snapshot was published.
    fn published(&mut self, state: Option<Restored>, counters: Counters, held: bool);
    /// A track that cannot be packaged.
    fn refused(&mut self, error: &packager::Error);
}

/// What a running driver is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    /// How much media is listed.
    pub window: Span,
    /// Whether the playlists are to end.
    pub ended: bool,
}

/// Runs one packager.
pub struct Driver<O> {
    packager: Packager,
    output: Arc<Output>,
    observer: O,
    feeds: Vec<Feed>,
    version: u64,
    /// UTC, for the packager.
    clock: fn() -> Timestamp,
}

struct Feed {
    name: Arc<str>,
    broadcast: Broadcast,
    id: RenditionId,
    reader: Subscriber,
    batch: Vec<Event>,
    ended: bool,
}

impl<O: Observer> Driver<O> {
    /// A driver that publishes into `output`.
    #[must_use]
    pub const fn new(
        packager: Packager,
        output: Arc<Output>,
        observer: O,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self {
            packager,
            output,
            observer,
            feeds: Vec::new(),
            version: 0,
            clock,
        }
    }

    /// Packages what `listing` holds until its name is given up or `control` says that the stream
    /// has ended: then the playlists say so, too. Dropping the sender of `control` only freezes
    /// them, for somebody who goes on later. Tells the state to go on from.
    pub async fn run(
        mut self,
        mut listing: Listing,
        mut control: watch::Receiver<Control>,
    ) -> Option<Restored> {
        self.follow(&listing.renditions());
        let given_up = listing.clone();
        loop {
            let deadline = self.until_deadline();
            tokio::select! {
                biased;
                changed = control.changed() => {
                    let told = *control.borrow_and_update();
                    if changed.is_err() || told.ended {
                        self.leave(told.ended);
                        return self.packager.state();
                    }
                    self.packager.set_window(told.window);
                }
                () = given_up.closed() => {
                    self.leave(true);
                    return self.packager.state();
                }
                () = listing.changed() => self.follow(&listing.renditions()),
                ready = poll_fn(|cx| poll_feeds(&mut self.feeds, cx)) => {
                    self.package(ready);
                    if self.feeds[ready].ended {
                        self.follow(&listing.renditions());
                    }
                }
                () = deadline => self.packager.tick((self.clock)()),
            }
            self.publish(None);
        }
    }

    /// The packager thinks in UTC, tokio in its own clock: only the distance goes across.
    fn until_deadline(&self) -> impl Future<Output = ()> + use<O> {
        let wait = self.packager.deadline().map(|at| at - (self.clock)());
        async move {
            match wait {
                // A moment more, so that rounding never wakes too early.
                Some(wait) => {
                    tokio::time::sleep(wait.to_duration() + Duration::from_millis(1)).await;
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Follows the renditions that are new, lets go of those that are gone, in their order.
    fn follow(&mut self, renditions: &[Rendition]) {
        let gone = |feed: &mut Feed| {
            let name = renditions.iter().find(|r| r.id == feed.name);
            // What is left of one that is gone is packaged, unless another has its name already.
            name.map_or(feed.ended, |r| !r.broadcast.is(&feed.broadcast))
        };
        for gone in self.feeds.extract_if(.., gone) {
            self.packager.remove_rendition(gone.id);
        }
        for rendition in renditions {
            if self.feeds.iter().any(|f| f.name == rendition.id) {
                continue;
            }
            self.feeds.push(Feed {
                name: Arc::clone(&rendition.id),
                broadcast: rendition.broadcast.clone(),
                id: self.packager.add_rendition(&rendition.id),
                reader: rendition.broadcast.subscribe(Options {
                    join: Join::Newest,
                    max_latency: MAX_LATENCY,
                    wanted: false,
                }),
                batch: Vec::new(),
                ended: false,
            });
        }
        let id = |r: &Rendition| self.feeds.iter().find(|f| f.name == r.id).map(|f| f.id);
        let order: Vec<RenditionId> = renditions.iter().filter_map(id).collect();
        self.packager.arrange(&order);
    }

    fn package(&mut self, index: usize) {
        let arrived = Instant::now();
        let now = (self.clock)();
        let mut batch = std::mem::take(&mut self.feeds[index].batch);
        let id = self.feeds[index].id;
        for event in batch.drain(..) {
            match event {
                Event::Group {
                    tracks, spliced, ..
                } => {
                    if spliced {
                        self.packager.splice(id);
                    }
                    if let Err(error) = self.packager.group(id, &tracks, now) {
                        self.observer.refused(&error);
                    }
                }
                Event::Frame(frame) => {
                    self.packager.frame(id, frame, now);
                    self.publish(Some(arrived));
                }
                Event::Skipped { .. } => {}
                Event::End(_) => self.feeds[index].ended = true,
            }
        }
        self.feeds[index].batch = batch;
    }

    /// Whoever waits is answered.
    fn leave(&mut self, ended: bool) {
        if ended {
            self.packager.end();
        } else {
            self.packager.suspend();
        }
        self.publish(None);
    }

    fn publish(&mut self, arrived: Option<Instant>) {
        let released = self.output.release(&mut self.packager);
        if let Some(arrived) = arrived.filter(|_| released) {
            self.output.chunk_released_after(arrived.elapsed());
        }
        while let Some(effect) = self.packager.next_effect() {
            self.observer.effect(effect);
        }
        let snapshot = self.packager.snapshot();
        if snapshot.version == self.version {
            return;
        }
        self.version = snapshot.version;
        self.output.publish(Arc::clone(snapshot));
        if let Some(arrived) = arrived {
            self.output.released_after(arrived.elapsed());
        }
        let packager = &self.packager;
        self.observer
            .published(packager.state(), packager.counters(), packager.is_held());
    }
}

/// The index of a feed with something in its batch.
fn poll_feeds(feeds: &mut [Feed], cx: &mut Context<'_>) -> Poll<usize> {
    for (index, feed) in feeds.iter_mut().enumerate() {
        if feed.ended {
            continue;
        }
        let next = std::pin::pin!(feed.reader.next(&mut feed.batch));
        if next.poll(cx).is_ready() {
            return Poll::Ready(index);
        }
    }
    Poll::Pending
}

/// However it ended.
impl<O> Drop for Driver<O> {
    fn drop(&mut self) {
        self.output.break_off();
    }
}
