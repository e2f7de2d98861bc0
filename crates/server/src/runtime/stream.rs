//! One running stream: publisher, programme, packaging.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use failover::{Splice, Timeline, splice};
use futures_util::FutureExt as _;
use http_media::{Output, Outputs};
use hub::{Broadcast, Hub, Limits, Options, Presentation, Publisher};
use media::{Span, Track};
use packager::Restored;
use rtmp::{PlayRequest, PublishRequest, Publishing, Reject, Stats, Target};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::numbering::Ledger;
use super::packaging::{LastError, Packaging, Stop};
use super::players::Players;
use super::publish::{self, Holder};
use super::sessions::{Rates, Sessions, Totals};
use super::{lock, utc};
use crate::model::{Input, StreamConfig};

/// The programme must not skip what its input still has.
const SPLICE_LATENCY: Span = Span::from_secs(60);
/// How long a publisher that was told to leave is waited for.
const FAREWELL: Duration = Duration::from_secs(2);
/// After a defect of ours, so that it does not spin.
const BREATH: Duration = Duration::from_secs(1);

/// What a stream is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// It is switched off.
    Disabled,
    /// No media has arrived yet, or it has been away for longer than `hold_s`.
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
    patience: watch::Sender<Option<Duration>>,
    holder: Mutex<Option<Holder>>,
    /// Counts publishers as they leave, for those who wait.
    left: watch::Sender<u64>,
    serials: AtomicU64,
    inputs: mpsc::Sender<Broadcast>,
    sessions: Mutex<Sessions>,
    packaging: Arc<Packaging>,
    programme: Arc<Programme>,
    players: Players,
    stop: CancellationToken,
}

/// What the programme's task tells those who look.
#[derive(Debug, Default)]
pub(crate) struct Programme {
    counters: Mutex<failover::Counters>,
    lead_ns: AtomicI64,
    defects: AtomicU64,
}

impl Programme {
    /// Times that a defect of ours stopped it.
    pub(crate) fn defects(&self) -> u64 {
        self.defects.load(Relaxed)
    }

    pub(crate) fn counters(&self) -> failover::Counters {
        *lock(&self.counters)
    }

    pub(crate) fn lead(&self) -> Span {
        Span::from_nanos(self.lead_ns.load(Relaxed))
    }

    fn show(&self, timeline: &Timeline) {
        *lock(&self.counters) = timeline.counters();
        self.lead_ns.store(timeline.lead().as_nanos(), Relaxed);
    }
}

impl Stream {
    /// Starts everything that a stream needs. Serves nothing until media comes.
    pub(crate) async fn start(
        config: StreamConfig,
        restored: Option<Restored>,
        (hub, outputs, ledger): (&Hub, &Outputs, &Arc<Ledger>),
    ) -> Result<Arc<Self>, hub::NameTaken> {
        let presentation = hub.announce(&config.name)?;
        let output = Arc::new(match restored {
            Some(_) => Output::resumed(),
            None => Output::new(),
        });
        let (inputs, feeds) = mpsc::channel(4);
        let packaging = Packaging::new(&config.name, hub, &output, ledger);
        let stream = Arc::new(Self {
            name: config.name.clone(),
            hub: hub.clone(),
            output: Arc::clone(&output),
            bounds: Arc::new(Mutex::new(bounds(&config))),
            patience: watch::Sender::new(config.patience()),
            holder: Mutex::default(),
            left: watch::Sender::new(0),
            serials: AtomicU64::new(0),
            inputs,
            sessions: Mutex::default(),
            packaging: Arc::new(packaging),
            programme: Arc::default(),
            players: Players::default(),
            stop: CancellationToken::new(),
            config: RwLock::new(config),
        });
        stream.start_programme(presentation, feeds);
        let packaging = stream.config().packaging();
        stream.packaging.start(packaging, restored).await;
        stream.start_limit();
        outputs.insert(&stream.name, output);
        Ok(stream)
    }

    /// The programme outlives every publisher.
    fn start_programme(&self, presentation: Presentation, feeds: mpsc::Receiver<Broadcast>) {
        let Ok((publisher, relay)) = presentation.add("source", Limits::default()) else {
            return;
        };
        tokio::spawn(relay.run());
        let bounds = Arc::clone(&self.bounds);
        let programme = run_programme(publisher, feeds, bounds, Arc::clone(&self.programme));
        let stopped = self.stop.clone().cancelled_owned();
        tokio::spawn(async move {
            let _presentation = presentation;
            tokio::select! {
                () = programme => {}
                () = stopped => {}
            }
        });
    }

    fn start_limit(&self) {
        let packaging = Arc::clone(&self.packaging);
        let patience = self.patience.subscribe();
        let stopped = self.stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                () = packaging.limit_holds(patience) => {}
                () = stopped => {}
            }
        });
    }

    /// Takes a changed configuration and touches only what it must.
    pub(crate) async fn apply(&self, config: StreamConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config.clone();
        self.dismiss_unless_admitted();
        *lock(&self.bounds) = bounds(&config);
        let patience = config.patience();
        self.patience
            .send_if_modified(|old| std::mem::replace(old, patience) != patience);
        self.packaging.configure(config.packaging()).await;
    }

    /// A publisher whose input or key is gone has to go too.
    fn dismiss_unless_admitted(&self) {
        let Some(holder) = self.holder() else {
            return;
        };
        let inputs = self.config().inputs;
        let admitted = inputs.iter().any(|input| holder.entered_by(input));
        if !admitted || self.stop.is_cancelled() {
            holder.stopper.stop();
        }
    }

    /// Lets the publisher go and packages anew.
    pub(crate) async fn restart(&self) {
        self.kick();
        self.packaging.restart(Stop::Freeze).await;
    }

    /// Ends publisher, packaging and programme. What was frozen is still served.
    pub(crate) async fn shut_down(&self, outputs: &Outputs, how: Stop) {
        self.kick();
        self.packaging.stop(how).await;
        if how == Stop::End {
            outputs.remove(&self.name);
        }
        self.stop.cancel();
        // One that came in meanwhile.
        self.kick();
        if let Some(listing) = self.hub.get(&self.name) {
            listing.closed().await;
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
        &self,
        request: PublishRequest,
    ) -> Result<(), (Reject, PublishRequest)> {
        let input = match self.admit(request.target()).await {
            Ok(input) => input,
            Err(why) => return Err((why, request)),
        };
        let name = format!("{}#{}", self.name, input.id);
        let Ok(presentation) = self.hub.announce(&name) else {
            return Err((Reject::Busy, request));
        };
        let Ok((publisher, relay)) = presentation.add("source", Limits::default()) else {
            return Err((Reject::Busy, request));
        };
        tokio::spawn(relay.run());
        let peer = request.peer();
        let publishing = request.accept();
        let stats = Arc::new(Stats::new());
        let place = self.enter(Holder {
            peer,
            input: input.id,
            key: input.key,
            stats: Arc::clone(&stats),
            stopper: publishing.stopper(),
            serial: self.serials.fetch_add(1, Relaxed) + 1,
        });
        // What was decided on may have changed meanwhile.
        self.dismiss_unless_admitted();
        self.carry(publishing, publisher, stats).await;
        drop(presentation);
        drop(place);
        Ok(())
    }

    /// Carries a player to its end; it stays while media is away.
    pub(crate) async fn play(&self, request: PlayRequest) -> Result<(), PlayRequest> {
        let Some(broadcast) = self.programme_broadcast() else {
            return Err(request);
        };
        tracing::info!("playing");
        match self.players.play(request, &broadcast).await {
            Ok(gone) => tracing::info!(?gone, "playing ended"),
            Err(error) => tracing::info!(%error, "playing failed"),
        }
        Ok(())
    }

    fn programme_broadcast(&self) -> Option<Broadcast> {
        let mut listing = self.hub.get(&self.name)?;
        let renditions = listing.renditions();
        Some(renditions.first()?.broadcast.clone())
    }

    async fn admit(&self, target: &Target) -> Result<Input, Reject> {
        let inputs = self.config().inputs;
        let input = publish::choose(&inputs, target)?.clone();
        publish::make_room(self).await?;
        Ok(input)
    }

    fn enter(&self, holder: Holder) -> Place<'_> {
        let serial = holder.serial;
        lock(&self.sessions).begin(Arc::clone(&holder.stats));
        *lock(&self.holder) = Some(holder);
        Place {
            stream: self,
            serial,
        }
    }

    async fn carry(&self, publishing: Publishing, publisher: Publisher, stats: Arc<Stats>) {
        tracing::info!("publishing");
        if self.inputs.send(publisher.broadcast()).await.is_err() {
            return;
        }
        match publishing.run(publisher, stats).await {
            Ok(reason) => tracing::info!(?reason, "publishing ended"),
            Err(error) => {
                tracing::warn!(%error, "publishing failed");
                self.packaging.told().note_error(error.kind.to_string());
            }
        }
    }

    /// Waits until a publisher has left, for a moment.
    pub(crate) async fn released(&self, serial: u64) {
        let mut left = self.left.subscribe();
        let gone = left.wait_for(|last| *last >= serial);
        let _ = tokio::time::timeout(FAREWELL, gone).await;
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn config(&self) -> StreamConfig {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        config.clone()
    }

    pub(crate) fn holder(&self) -> Option<Holder> {
        lock(&self.holder).clone()
    }

    pub(crate) fn programme(&self) -> &Programme {
        &self.programme
    }

    pub(crate) const fn players(&self) -> &Players {
        &self.players
    }

    pub(crate) fn packaging(&self) -> &Packaging {
        &self.packaging
    }

    /// The programme's hub counters.
    pub(crate) fn hub_counters(&self) -> Option<hub::Counters> {
        Some(self.programme_broadcast()?.counters())
    }

    /// Called every second or so.
    pub(crate) fn sample(&self, now: Instant) {
        lock(&self.sessions).sample(now);
        self.output.forget_viewers();
    }

    pub(crate) fn rates(&self) -> Option<Rates> {
        lock(&self.sessions).rates()
    }

    pub(crate) fn totals(&self) -> Totals {
        lock(&self.sessions).totals()
    }

    pub(crate) fn tracks(&self) -> Arc<[Track]> {
        let tracks = lock(&self.sessions).tracks();
        tracks.unwrap_or_else(|| Arc::new([]))
    }

    pub(crate) fn last_error(&self) -> Option<LastError> {
        self.packaging.told().error()
    }

    pub(crate) fn status(&self) -> Status {
        let snapshot = self.output.snapshot();
        let ended = snapshot.media.iter().all(|m| m.ended);
        if ended || !snapshot.is_live() {
            return Status::Waiting;
        }
        if self.packaging.is_held() || self.holder().is_none() {
            return Status::Hold;
        }
        Status::Live
    }
}

/// The right to publish, given back when it goes, however it goes.
struct Place<'a> {
    stream: &'a Stream,
    serial: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let stream = self.stream;
        let mine = lock(&stream.holder).take_if(|h| h.serial == self.serial);
        if mine.is_some() {
            lock(&stream.sessions).end();
        }
        stream.left.send_replace(self.serial);
    }
}

async fn run_programme(
    publisher: Publisher,
    mut feeds: mpsc::Receiver<Broadcast>,
    bounds: Arc<Mutex<failover::Config>>,
    shown: Arc<Programme>,
) {
    let timeline = Timeline::new(*lock(&bounds));
    let mut programme = Splice::new(publisher, timeline);
    while let Some(input) = feeds.recv().await {
        programme.timeline_mut().configure(*lock(&bounds));
        let show = |splice: &Splice| shown.show(splice.timeline());
        loop {
            let mut reader = input.subscribe(Options {
                max_latency: SPLICE_LATENCY,
                ..Options::default()
            });
            let run = AssertUnwindSafe(splice(&mut reader, &mut programme, utc, show));
            if run.catch_unwind().await.is_ok() {
                break;
            }
            // A defect of ours costs this stream a moment, and nobody else anything.
            shown.defects.fetch_add(1, Relaxed);
            tokio::time::sleep(BREATH).await;
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
