//! One running stream: input, programme, packaging.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use failover::{Splice, Timeline, splice};
use http_media::{Driver, Observer, Output, Outputs};
use hub::{Broadcast, Hub, Limits, Options};
use media::Span;
use packager::{Counters, Effect, Packager, Restored};
use rtmp::{Figures, PublishRequest, Reject, Stats};
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::numbering::Ledger;
use super::publish::{self, Holder};
use super::utc;
use crate::model::{Input, StreamConfig};

/// The programme must not skip what its input still has.
const SPLICE_LATENCY: Span = Span::from_secs(60);

/// What a stream is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// It is switched off.
    Disabled,
    /// Nothing has arrived yet.
    Waiting,
    /// Media flows.
    Live,
    /// Media is away, the last playlists are served.
    Hold,
}

/// A stream that runs.
#[derive(Debug)]
pub(crate) struct Stream {
    name: String,
    hub: Hub,
    pub(crate) output: Arc<Output>,
    config: RwLock<StreamConfig>,
    /// Of the timeline; a change holds from the next publisher on.
    bounds: Arc<Mutex<failover::Config>>,
    holder: Mutex<Option<Holder>>,
    /// Counts publishers as they leave, for those who wait.
    left: watch::Sender<u64>,
    serials: AtomicU64,
    inputs: mpsc::Sender<Broadcast>,
    packaging: Mutex<Option<Packaging>>,
    ledger: Arc<Ledger>,
    shown: Arc<Shown>,
    stop: CancellationToken,
}

/// The packaging task: dropping its window ends it, and it tells what to go on from.
#[derive(Debug)]
struct Packaging {
    config: packager::Config,
    window: watch::Sender<Span>,
    task: JoinHandle<Option<Restored>>,
}

/// What the tasks tell those who look.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    counters: Mutex<Counters>,
    timeline: Mutex<failover::Counters>,
    lead_ns: AtomicI64,
    held: AtomicBool,
    last_error: Mutex<Option<String>>,
    last_session: Mutex<Option<Arc<Stats>>>,
}

impl Shown {
    pub(crate) fn counters(&self) -> Counters {
        *lock(&self.counters)
    }

    pub(crate) fn timeline(&self) -> failover::Counters {
        *lock(&self.timeline)
    }

    pub(crate) fn lead_seconds(&self) -> f64 {
        Span::from_nanos(self.lead_ns.load(Relaxed)).as_secs_f64()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stream {
    /// Starts everything that a stream needs. Serves nothing until media comes.
    pub(crate) fn start(
        config: StreamConfig,
        restored: Option<Restored>,
        (hub, outputs, ledger): (&Hub, &Outputs, &Arc<Ledger>),
    ) -> Result<Arc<Self>, hub::NameTaken> {
        let presentation = hub.announce(&config.name)?;
        let output = Arc::new(Output::new());
        let (inputs, feeds) = mpsc::channel(4);
        let stream = Arc::new(Self {
            name: config.name.clone(),
            hub: hub.clone(),
            output: Arc::clone(&output),
            bounds: Arc::new(Mutex::new(bounds(&config))),
            config: RwLock::new(config),
            holder: Mutex::new(None),
            left: watch::Sender::new(0),
            serials: AtomicU64::new(0),
            inputs,
            packaging: Mutex::new(None),
            ledger: Arc::clone(ledger),
            shown: Arc::default(),
            stop: CancellationToken::new(),
        });
        stream.start_programme(presentation, feeds);
        stream.start_packaging(restored);
        outputs.insert(&stream.name, output);
        Ok(stream)
    }

    /// The programme outlives every publisher.
    fn start_programme(
        &self,
        presentation: hub::Presentation,
        mut feeds: mpsc::Receiver<Broadcast>,
    ) {
        let Ok((publisher, relay)) = presentation.add("source", Limits::default()) else {
            return;
        };
        tokio::spawn(relay.run());
        let bounds = Arc::clone(&self.bounds);
        let shown = Arc::clone(&self.shown);
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let _presentation = presentation;
            let timeline = Timeline::new(*lock(&bounds));
            let mut programme = Splice::new(publisher, timeline);
            let show = |splice: &Splice| {
                *lock(&shown.timeline) = splice.timeline().counters();
                shown
                    .lead_ns
                    .store(splice.timeline().lead().as_nanos(), Relaxed);
            };
            let feed = async {
                while let Some(input) = feeds.recv().await {
                    programme.timeline_mut().configure(*lock(&bounds));
                    let mut reader = input.subscribe(Options {
                        max_latency: SPLICE_LATENCY,
                        ..Options::default()
                    });
                    splice(&mut reader, &mut programme, utc, show).await;
                }
            };
            tokio::select! {
                () = feed => {}
                () = stop.cancelled() => {}
            }
        });
    }

    fn start_packaging(&self, restored: Option<Restored>) {
        let Some(listing) = self.hub.get(&self.name) else {
            return;
        };
        let config = self.config().packaging();
        let packager = Packager::new(config, restored, utc());
        let observer = Watcher {
            stream: self.name.clone(),
            ledger: Arc::clone(&self.ledger),
            shown: Arc::clone(&self.shown),
        };
        let driver = Driver::new(packager, Arc::clone(&self.output), observer, utc);
        let (window, windows) = watch::channel(config.window);
        let task = tokio::spawn(driver.run(listing, windows));
        *lock(&self.packaging) = Some(Packaging {
            config,
            window,
            task,
        });
    }

    /// Takes a changed configuration and touches only what it must.
    pub(crate) async fn apply(&self, config: StreamConfig) {
        let old = self.config();
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config.clone();
        if old.inputs != config.inputs {
            self.dismiss_unless_admitted(&old, &config);
        }
        *lock(&self.bounds) = bounds(&config);
        let packaging = config.packaging();
        let was = lock(&self.packaging).as_ref().map(|p| p.config);
        match was {
            Some(was) if was == packaging => {}
            Some(was) if only_window_differs(was, packaging) => {
                if let Some(p) = lock(&self.packaging).as_mut() {
                    p.config = packaging;
                    p.window.send_replace(packaging.window);
                }
            }
            _ => self.restart_packaging().await,
        }
    }

    /// A publisher whose input or key is gone has to go too.
    fn dismiss_unless_admitted(&self, old: &StreamConfig, new: &StreamConfig) {
        let Some(holder) = self.holder() else {
            return;
        };
        let unchanged = |i: &&Input| i.id == holder.input && old.inputs.contains(i);
        let same = new.inputs.iter().any(|i| unchanged(&i));
        if !same {
            holder.stopper.stop();
        }
    }

    async fn restart_packaging(&self) {
        let running = lock(&self.packaging).take();
        let mut restored = None;
        if let Some(Packaging { window, task, .. }) = running {
            drop(window);
            restored = task.await.ok().flatten();
        }
        self.start_packaging(restored);
    }

    /// Ends publisher, programme and packaging: players get an end of their playlists.
    pub(crate) async fn shut_down(&self, outputs: &Outputs) {
        if let Some(holder) = self.holder() {
            holder.stopper.stop();
        }
        self.stop.cancel();
        outputs.remove(&self.name);
        let running = lock(&self.packaging).take();
        if let Some(Packaging { window, task, .. }) = running {
            let _ = task.await;
            drop(window);
        }
    }

    /// Lets the publisher go; the rest goes on.
    pub(crate) fn kick(&self) {
        if let Some(holder) = self.holder() {
            holder.stopper.stop();
        }
    }

    /// Decides on a request to publish and, where it is let in, carries it to its end.
    pub(crate) async fn publish(
        self: Arc<Self>,
        request: PublishRequest,
    ) -> Result<(), (Reject, PublishRequest)> {
        let inputs = self.config().inputs;
        let input = match publish::choose(&inputs, request.target()) {
            Ok(input) => input.id.clone(),
            Err(why) => return Err((why, request)),
        };
        if let Err(why) = publish::make_room(&self).await {
            return Err((why, request));
        }
        let name = format!("{}#{input}", self.name);
        let Ok(presentation) = self.hub.announce(&name) else {
            return Err((Reject::Busy, request));
        };
        let Ok((publisher, relay)) = presentation.add("source", Limits::default()) else {
            return Err((Reject::Busy, request));
        };
        tokio::spawn(relay.run());
        let stats = Arc::new(Stats::new());
        let peer = request.peer();
        let publishing = request.accept();
        let serial = self.serials.fetch_add(1, Relaxed) + 1;
        *lock(&self.holder) = Some(Holder {
            peer,
            input,
            stats: Arc::clone(&stats),
            stopper: publishing.stopper(),
            serial,
        });
        *lock(&self.shown.last_session) = Some(Arc::clone(&stats));
        let broadcast = publisher.broadcast();
        tracing::info!(stream = self.name, %peer, "publishing");
        if self.inputs.send(broadcast).await.is_ok() {
            let ended = publishing.run(publisher, stats).await;
            self.note_end(&ended, peer);
        }
        drop(presentation);
        lock(&self.holder).take_if(|h| h.serial == serial);
        self.left.send_replace(serial);
        Ok(())
    }

    fn note_end(&self, ended: &Result<hub::EndReason, rtmp::Error>, peer: std::net::SocketAddr) {
        match ended {
            Ok(reason) => tracing::info!(stream = self.name, %peer, ?reason, "publishing ended"),
            Err(error) => {
                tracing::warn!(stream = self.name, %error, "publishing failed");
                *lock(&self.shown.last_error) = Some(error.kind.to_string());
            }
        }
    }

    /// Waits until a publisher has left, for a moment.
    pub(crate) async fn released(&self, serial: u64) {
        let mut left = self.left.subscribe();
        let gone = left.wait_for(|last| *last >= serial);
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), gone).await;
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn config(&self) -> StreamConfig {
        self.config
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn holder(&self) -> Option<Holder> {
        lock(&self.holder).clone()
    }

    pub(crate) fn shown(&self) -> &Shown {
        &self.shown
    }

    /// The programme's hub counters.
    pub(crate) fn hub_counters(&self) -> Option<hub::Counters> {
        let mut listing = self.hub.get(&self.name)?;
        let renditions = listing.renditions();
        Some(renditions.first()?.broadcast.counters())
    }

    /// The present session's figures, or the last one's.
    pub(crate) fn figures(&self) -> Option<(Figures, std::time::Duration)> {
        let session = lock(&self.shown.last_session).clone()?;
        Some((session.figures(), session.uptime()))
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        lock(&self.shown.last_error).clone()
    }

    pub(crate) fn status(&self) -> Status {
        let published = self.output.snapshot().is_live();
        match (self.holder().is_some(), published) {
            (_, true) if self.shown.held.load(Relaxed) => Status::Hold,
            (true, true) => Status::Live,
            (false, true) => Status::Hold,
            _ => Status::Waiting,
        }
    }
}

fn bounds(config: &StreamConfig) -> failover::Config {
    let packaging = config.packaging();
    failover::Config {
        max_lead: packaging.max_lead,
        gap: packaging.segment,
    }
}

fn only_window_differs(a: packager::Config, b: packager::Config) -> bool {
    let window = b.window;
    packager::Config { window, ..a } == b
}

/// Passes on what the packaging task tells.
struct Watcher {
    stream: String,
    ledger: Arc<Ledger>,
    shown: Arc<Shown>,
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
        }
        self.ledger.effect(&self.stream, effect);
    }

    fn published(&mut self, state: Option<Restored>, counters: Counters, held: bool) {
        if let Some(state) = state {
            self.ledger.highest(&self.stream, state.highest);
        }
        *lock(&self.shown.counters) = counters;
        if self.shown.held.swap(held, Relaxed) != held {
            let what = if held {
                "hold: no media"
            } else {
                "media is back"
            };
            tracing::info!(stream = self.stream, "{what}");
        }
    }

    fn refused(&mut self, error: &packager::Error) {
        tracing::warn!(stream = self.stream, %error, "not packaged");
        *lock(&self.shown.last_error) = Some(error.to_string());
    }
}
