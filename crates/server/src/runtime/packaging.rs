//! The packaging of one stream: a task that can be told, ended, begun anew.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use http_media::{Control, Driver, Observer, Output};
use hub::{Hub, Listing};
use packager::{Config, Counters, Effect, Packager, Restored};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::input::LastError;
use super::numbering::Ledger;
use super::{lock, millis, utc};
use crate::events::{Event, Events};

/// Where tracks are joined between their keyframes, one segment may be missed for once.
const UNALIGNED: u64 = 2;

/// After a defect of ours, so that it does not spin.
const BREATH: Duration = Duration::from_secs(1);

/// What the task tells those who look.
#[derive(Debug, Default)]
pub(crate) struct Told {
    counters: Mutex<Counters>,
    state: Mutex<Option<Restored>>,
    held: watch::Sender<bool>,
    /// Since when.
    since: Mutex<Option<Instant>>,
    defects: AtomicU64,
    error: Mutex<Option<LastError>>,
}

impl Told {
    pub(crate) fn error(&self) -> Option<LastError> {
        lock(&self.error).clone()
    }

    pub(crate) fn note_error(&self, message: String) {
        *lock(&self.error) = Some(LastError::now(message));
    }
}

/// Packages one stream's programme.
#[derive(Debug)]
pub(crate) struct Packaging {
    stream: String,
    hub: Hub,
    output: Arc<Output>,
    ledger: Arc<Ledger>,
    events: Events,
    told: Arc<Told>,
    /// Of the tasks that have ended.
    past: Mutex<Counters>,
    running: tokio::sync::Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    config: Config,
    control: watch::Sender<Control>,
    task: JoinHandle<Option<Restored>>,
}

/// How a task is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Players are told that the stream has ended.
    End,
    /// Playlists freeze; players wait for what goes on later.
    Freeze,
}

impl Packaging {
    pub(crate) fn new(
        stream: &str,
        hub: &Hub,
        output: &Arc<Output>,
        (ledger, events): (&Arc<Ledger>, &Events),
    ) -> Self {
        Self {
            stream: stream.to_owned(),
            hub: hub.clone(),
            output: Arc::clone(output),
            ledger: Arc::clone(ledger),
            events: events.clone(),
            told: Arc::default(),
            past: Mutex::default(),
            running: tokio::sync::Mutex::default(),
        }
    }

    /// Begins, where it is not begun.
    pub(crate) async fn start(&self, config: Config, restored: Option<Restored>) {
        let mut running = self.running.lock().await;
        if running.is_none() {
            *running = self.spawn(config, restored);
        }
    }

    /// Follows a changed configuration: what is listed changes at once, how it is cut needs a new task.
    pub(crate) async fn configure(&self, config: Config) {
        let mut running = self.running.lock().await;
        let cuts = |c: &Config| (c.segment, c.part, c.chunk, c.latency);
        let same_cuts = |r: &&mut Running| cuts(&r.config) == cuts(&config);
        match running.as_mut().filter(same_cuts) {
            Some(running) => {
                running.config = config;
                let window = config.window;
                running
                    .control
                    .send_if_modified(|c| std::mem::replace(&mut c.window, window) != window);
            }
            None => self.replace(&mut running, config, Stop::Freeze).await,
        }
    }

    /// Stops and begins anew, numbers going on.
    pub(crate) async fn restart(&self, how: Stop) {
        let mut running = self.running.lock().await;
        if let Some(config) = running.as_ref().map(|r| r.config) {
            self.replace(&mut running, config, how).await;
        }
    }

    async fn replace(&self, running: &mut Option<Running>, config: Config, how: Stop) {
        let restored = match running.take() {
            Some(running) => self.finish(running, how).await,
            None => *lock(&self.told.state),
        };
        *running = self.spawn(config, restored);
    }

    /// Tells the state to go on from.
    pub(crate) async fn stop(&self, how: Stop) -> Option<Restored> {
        let running = self.running.lock().await.take();
        match running {
            Some(running) => self.finish(running, how).await,
            None => *lock(&self.told.state),
        }
    }

    async fn finish(&self, running: Running, how: Stop) -> Option<Restored> {
        let Running { control, task, .. } = running;
        if how == Stop::End {
            control.send_modify(|c| c.ended = true);
        }
        drop(control);
        let state = task.await.ok().flatten();
        *lock(&self.past) = self.counters();
        *lock(&self.told.counters) = Counters::default();
        self.told.held.send_replace(false);
        state.or_else(|| *lock(&self.told.state))
    }

    fn spawn(&self, config: Config, restored: Option<Restored>) -> Option<Running> {
        let listing = self.hub.get(&self.stream)?;
        *lock(&self.told.state) = restored;
        let (control, orders) = watch::channel(Control {
            window: config.window,
            ended: false,
        });
        let observer = Watcher {
            stream: self.stream.clone(),
            ledger: Arc::clone(&self.ledger),
            events: self.events.clone(),
            told: Arc::clone(&self.told),
        };
        let output = Arc::clone(&self.output);
        let task = tokio::spawn(package(config, listing, orders, output, observer));
        Some(Running {
            config,
            control,
            task,
        })
    }

    /// Over all tasks so far.
    pub(crate) fn counters(&self) -> Counters {
        sum(*lock(&self.past), *lock(&self.told.counters))
    }

    pub(crate) fn told(&self) -> &Told {
        &self.told
    }

    pub(crate) fn is_held(&self) -> bool {
        *self.told.held.borrow()
    }

    /// Times that a defect of ours stopped it.
    pub(crate) fn defects(&self) -> u64 {
        self.told.defects.load(Relaxed)
    }

    /// Ends the playlists once they were held for longer than `patience`, which may change
    /// meanwhile. What comes later is packaged anew.
    pub(crate) async fn limit_holds(&self, mut patience: watch::Receiver<Option<Duration>>) {
        let mut held = self.told.held.subscribe();
        loop {
            if held.wait_for(|held| *held).await.is_err() {
                return;
            }
            let most = *patience.borrow_and_update();
            let over = tokio::select! {
                _ = held.wait_for(|held| !held) => false,
                changed = patience.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    false
                }
                () = for_at_most(most) => true,
            };
            if over {
                tracing::info!(
                    stream = self.stream,
                    "no media for longer than hold_s: ended"
                );
                let hold_s = most.map_or(0, |most| most.as_secs());
                self.events
                    .tell(&self.stream, &Event::StreamEnded { hold_s });
                self.restart(Stop::End).await;
            }
        }
    }
}

async fn for_at_most(most: Option<Duration>) {
    match most {
        Some(most) => sleep(most).await,
        None => std::future::pending().await,
    }
}

/// A defect of ours costs this stream a moment, and nobody else anything.
async fn package(
    config: Config,
    listing: Listing,
    orders: watch::Receiver<Control>,
    output: Arc<Output>,
    observer: Watcher,
) -> Option<Restored> {
    loop {
        let restored = *lock(&observer.told.state);
        let packager = Packager::new(config, restored, utc());
        let driver = Driver::new(packager, Arc::clone(&output), observer.clone(), utc);
        let run = AssertUnwindSafe(driver.run(listing.clone(), orders.clone()));
        match run.catch_unwind().await {
            Ok(state) => return state,
            Err(_) => {
                observer.told.defects.fetch_add(1, Relaxed);
                observer
                    .told
                    .note_error("packaging failed: a defect, see the log".to_owned());
                let mut orders = orders.clone();
                if timeout(BREATH, orders.changed())
                    .await
                    .is_ok_and(|c| c.is_err())
                {
                    return *lock(&observer.told.state);
                }
            }
        }
    }
}

/// Passes on what the packager tells.
#[derive(Clone)]
struct Watcher {
    stream: String,
    ledger: Arc<Ledger>,
    events: Events,
    told: Arc<Told>,
}

impl Watcher {
    fn tell_hold(&self, held: bool) {
        let now = Instant::now();
        let since = std::mem::replace(&mut *lock(&self.told.since), held.then_some(now));
        let event = if held {
            Event::HoldStarted {}
        } else {
            let after_ms = since.map_or(0, |since| millis(now - since));
            Event::HoldEnded { after_ms }
        };
        self.events.tell(&self.stream, &event);
    }
}

impl Observer for Watcher {
    fn effect(&mut self, effect: Effect) {
        if let Effect::Row(row) = effect {
            tracing::info!(
                stream = self.stream,
                segment_ms = row.d.as_millis(),
                target_duration = row.target_duration,
                regular = row.regular,
                first = row.n0,
                "numbering row"
            );
            let told = Event::NumberingChanged {
                first: row.n0,
                segment_ms: row.d.as_millis(),
                target_duration_s: row.target_duration,
                regular: row.regular,
            };
            self.events.tell(&self.stream, &told);
        }
        self.ledger.effect(&self.stream, effect);
    }

    fn published(&mut self, state: Option<Restored>, counters: Counters, held: bool) {
        if let Some(state) = state {
            self.ledger.highest(&self.stream, state.highest);
            *lock(&self.told.state) = Some(state);
        }
        let before = std::mem::replace(&mut *lock(&self.told.counters), counters);
        if before.unaligned < UNALIGNED && counters.unaligned >= UNALIGNED {
            let message =
                "a further video track has no keyframes where the first one has: not listed";
            tracing::warn!(stream = self.stream, "{message}");
            self.told.note_error(message.to_owned());
        }
        let changed = self
            .told
            .held
            .send_if_modified(|old| std::mem::replace(old, held) != held);
        if changed {
            let what = if held {
                "hold: no media"
            } else {
                "media is back"
            };
            tracing::info!(stream = self.stream, "{what}");
            self.tell_hold(held);
        }
    }

    fn refused(&mut self, error: &packager::Error) {
        tracing::warn!(stream = self.stream, %error, "not packaged");
        self.told.note_error(error.to_string());
    }
}

const fn sum(a: Counters, b: Counters) -> Counters {
    Counters {
        parts: a.parts + b.parts,
        segments: a.segments + b.segments,
        forced_cuts: a.forced_cuts + b.forced_cuts,
        holds: a.holds + b.holds,
        jumps: a.jumps + b.jumps,
        discontinuities: a.discontinuities + b.discontinuities,
        dropped: a.dropped + b.dropped,
        silent_frames: a.silent_frames + b.silent_frames,
        unaligned: a.unaligned + b.unaligned,
    }
}
