//! One running stream: its inputs, programme, packaging.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use container::ingest::Stats;
use http_media::mpegts::Packets;
use http_media::pull::hls::Played;
use http_media::{Comings, Output, Outputs};
use hub::{Broadcast, Demand, EndReason, Hub, Limits, Presentation, Publisher, Rendition};
use media::Track;
use packager::Restored;
use rtmp::PlayRequest;
use serde::{Deserialize, Serialize};
use srt::Playing;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::guest::{Failure, Guest, Opened};
use super::input::{LastError, Line};
use super::numbering::Ledger;
use super::packaging::{Packaging, Stop};
use super::players::{MAX_LATENCY, Players, Protocol};
use super::programme::Programme;
use super::publish::{self, Holder};
use super::pull::{Means, Pull};
use super::push::Pushes;
use super::remuxing::Remuxing;
use super::sessions::Totals;
use super::transcoding::Transcoding;
use super::ts_players::{self, NotPlayed};
use super::{clock, lock, millis};
use crate::door::{Reject, Wish};
use crate::events::{Event, Events};
use crate::model::{Input, Scheme, StreamConfig};

/// A player of a ladder that makes nothing yet waits so long.
const FIRST_RENDITION: Duration = Duration::from_secs(10);

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
    patience: watch::Sender<Option<Duration>>,
    /// In the order of the configuration.
    lines: RwLock<Vec<Arc<Line>>>,
    /// Of inputs that were removed.
    past: Mutex<Totals>,
    pulls: Mutex<Vec<Running>>,
    pushes: Pushes,
    means: Means,
    packaging: Arc<Packaging>,
    programme: Programme,
    /// What feeds the programme's readers: the players', or the ladder's.
    broadcast: Broadcast,
    transcoding: Option<Transcoding>,
    remuxing: Remuxing,
    players: Arc<Players>,
    events: Events,
    told: Mutex<Told>,
    stop: CancellationToken,
}

/// What was told of what is looked at every second.
#[derive(Debug, Default)]
struct Told {
    forced_cuts: u64,
    lead: bool,
}

/// A pull that goes on until it is stopped.
#[derive(Debug)]
struct Running {
    /// What the connection depends on.
    input: Input,
    stop: CancellationToken,
}

impl Running {
    fn is_of(&self, input: &Input) -> bool {
        self.input == input.connection()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Stream {
    /// Starts everything that a stream needs. Serves nothing until media comes.
    pub(crate) async fn start(
        config: StreamConfig,
        restored: Option<Restored>,
        (hub, outputs, ledger, events): (&Hub, &Outputs, &Arc<Ledger>, &Events),
        means: &Means,
    ) -> Result<Arc<Self>, hub::NameTaken> {
        let presentation = hub.announce(&config.name)?;
        let output = Arc::new(match restored {
            Some(_) => Output::resumed(),
            None => Output::new(),
        });
        let stop = CancellationToken::new();
        let ladder = config.ladder();
        let (fed, shown) = match &ladder {
            // Players see what the ladder makes; the programme goes to it alone.
            Some(_) => (
                hub.announce(&programme_name(&config.name))?,
                Some(presentation),
            ),
            None => (presentation, None),
        };
        let (programme, broadcast, demand) = start_programme(&config, fed, (&stop, events));
        let transcoding = ladder.zip(shown).map(|(ladder, shown)| {
            let ends = (broadcast.clone(), shown);
            let program = &means.transcoder;
            Transcoding::start(&config.name, ladder, program, ends, (&stop, events))
        });
        let pushed = transcoding.is_none().then(|| broadcast.clone());
        let remuxing = Remuxing::new(&config.name, &stop);
        let pushes = Pushes::new(&config.name, (hub, &remuxing), pushed, (means, events));
        let stream = Arc::new(Self {
            name: config.name.clone(),
            hub: hub.clone(),
            output: Arc::clone(&output),
            patience: watch::Sender::new(packaging_patience(&config)),
            lines: RwLock::default(),
            past: Mutex::default(),
            pulls: Mutex::default(),
            pushes,
            means: means.clone(),
            packaging: Arc::new(Packaging::new(&config.name, hub, &output, (ledger, events))),
            programme,
            broadcast,
            transcoding,
            remuxing,
            players: Arc::default(),
            events: events.clone(),
            told: Mutex::default(),
            stop,
            config: RwLock::new(config.clone()),
        });
        stream.follow(&config).await;
        stream.start_following(demand);
        stream.packaging.start(config.packaging(), restored).await;
        stream.start_limit();
        outputs.insert(&stream.name, output);
        Ok(stream)
    }

    /// The inputs become those of the configuration; who feeds one that stays is not disturbed.
    async fn follow(&self, config: &StreamConfig) {
        for line in self.replace_lines(&config.all_inputs()) {
            line.dismiss();
            *lock(&self.past) += line.totals();
        }
        self.dismiss_unless_admitted();
        self.programme.configure(config).await;
        self.follow_pulls(&config.all_inputs());
        self.pushes.follow(config);
        let on_demand = config.used_inputs().any(Input::is_on_demand);
        self.output.set_on_demand(on_demand);
        self.output.set_container(config.container());
    }

    /// What is pulled as before goes on.
    fn follow_pulls(&self, inputs: &[Input]) {
        let mut pulls = lock(&self.pulls);
        pulls.retain(|running| inputs.iter().any(|input| running.is_of(input)));
        for input in inputs {
            let pushed = input.scheme() == Some(Scheme::Publish);
            if !pushed && !pulls.iter().any(|running| running.is_of(input)) {
                pulls.extend(self.start_pull(input));
            }
        }
    }

    fn start_pull(&self, input: &Input) -> Option<Running> {
        let stop = self.stop.child_token();
        let pull = Pull {
            stream: self.name.clone(),
            input: input.clone(),
            line: self.line(&input.id)?,
            programme: self.programme.clone(),
            hub: self.hub.clone(),
            means: self.means.clone(),
            events: self.events.clone(),
            played: Played::default(),
        };
        tokio::spawn(pull.run(stop.clone()));
        let input = input.connection();
        Some(Running { input, stop })
    }

    /// The ones that are no longer there.
    fn replace_lines(&self, inputs: &[Input]) -> Vec<Arc<Line>> {
        let mut lines = self.lines.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *lines);
        let kept = |input: &Input| {
            let known = before.iter().position(|line| line.id() == input.id);
            known.map_or_else(
                || Arc::new(Line::new(&input.id)),
                |at| before.swap_remove(at),
            )
        };
        *lines = inputs.iter().map(kept).collect();
        before
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

    fn start_following(&self, demand: Demand) {
        let (programme, audience) = (self.programme.clone(), self.output.audience());
        let stopped = self.stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                () = programme.follow_viewers(demand, audience) => {}
                () = stopped => {}
            }
        });
    }

    /// Takes a changed configuration and touches only what it must.
    pub(crate) async fn apply(&self, config: StreamConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config.clone();
        self.follow(&config).await;
        if let (Some(transcoding), Some(ladder)) = (&self.transcoding, config.ladder()) {
            transcoding.configure(ladder);
        }
        let patience = packaging_patience(&config);
        self.patience
            .send_if_modified(|old| std::mem::replace(old, patience) != patience);
        self.packaging.configure(config.packaging()).await;
    }

    /// A publisher whose input or key is gone has to go too.
    fn dismiss_unless_admitted(&self) {
        let inputs = self.doors();
        for holder in self.lines().iter().filter_map(|line| line.holder()) {
            let admitted = inputs.iter().any(|input| holder.entered_by(input));
            if !admitted || self.stop.is_cancelled() {
                holder.stopper.stop();
            }
        }
    }

    /// Lets the publishers go, pulls, transcodes and packages anew.
    pub(crate) async fn restart(&self) {
        self.kick();
        if let Some(transcoding) = &self.transcoding {
            transcoding.restart();
        }
        lock(&self.pulls).clear();
        self.packaging.restart(Stop::Freeze).await;
        self.follow_pulls(&self.config().all_inputs());
    }

    /// Ends publishers, packaging and programme. What was frozen is still served. Tells the state
    /// to go on from.
    pub(crate) async fn shut_down(&self, outputs: &Outputs, how: Stop) -> Option<Restored> {
        self.kick();
        let (state, ()) = tokio::join!(self.packaging.stop(how), self.pushes.finish());
        if how == Stop::End {
            outputs.remove(&self.name);
        }
        self.stop.cancel();
        // One that came in meanwhile.
        self.kick();
        for name in [self.name.clone(), programme_name(&self.name)] {
            if let Some(listing) = self.hub.get(&name) {
                listing.closed().await;
            }
        }
        state
    }

    /// Lets the publishers go; the rest goes on.
    pub(crate) fn kick(&self) {
        for line in self.lines() {
            line.dismiss();
        }
    }

    /// Decides on a request to publish. One that was led here by a callback needs no key of ours.
    pub(crate) async fn open(&self, wish: &Wish, led: bool) -> Result<Opened, Reject> {
        let (input, line) = self.admit(wish, led).await?;
        let name = format!("{}#{}", self.name, input.id);
        let presentation = self.hub.announce(&name).map_err(|_| Reject::Busy)?;
        let added = presentation.add("source", Limits::default());
        let (publisher, relay) = added.map_err(|_| Reject::Busy)?;
        tokio::spawn(relay.run());
        Ok(Opened {
            input,
            line,
            publisher,
            presentation,
        })
    }

    /// Carries an encoder that was let in to its end; `run` does so.
    pub(crate) async fn take<F>(
        &self,
        opened: Opened,
        guest: Guest,
        run: impl FnOnce(Publisher, Arc<Stats>) -> F,
    ) where
        F: Future<Output = Result<EndReason, Failure>>,
    {
        let Opened {
            input,
            line,
            publisher,
            presentation,
        } = opened;
        let Guest {
            protocol,
            peer,
            stopper,
        } = guest;
        let stats = Arc::new(Stats::new(clock::monotonic));
        let began = Instant::now();
        let place = line.enter(Holder {
            protocol,
            peer,
            input: input.id,
            key: input.key,
            stats: Arc::clone(&stats),
            stopper,
            serial: line.next_serial(),
        });
        // What was decided on may have changed meanwhile.
        self.dismiss_unless_admitted();
        self.tell_publisher(line.id(), protocol, peer);
        self.programme.feed(line.id(), publisher.broadcast()).await;
        let reason = match run(publisher, Arc::clone(&stats)).await {
            Ok(reason) => {
                tracing::info!(?reason, "publishing ended");
                format!("{reason:?}").to_lowercase()
            }
            Err(Failure {
                line: error,
                reason,
            }) => {
                tracing::warn!(error, "publishing failed");
                line.note_error(reason.clone());
                reason
            }
        };
        drop(presentation);
        drop(place);
        let told = Event::PublishStopped {
            input: line.id().to_owned(),
            protocol: protocol.to_owned(),
            peer: peer.to_string(),
            reason,
            duration_ms: millis(began.elapsed()),
            bytes: stats.figures().bytes,
        };
        self.events.tell(&self.name, &told);
    }

    fn tell_publisher(&self, input: &str, protocol: &str, peer: SocketAddr) {
        tracing::info!(input, "publishing");
        let (input, peer) = (input.to_owned(), peer.to_string());
        let connected = Event::InputConnected {
            input: input.clone(),
            peer: Some(peer.clone()),
        };
        let started = Event::PublishStarted {
            input,
            protocol: protocol.to_owned(),
            peer,
        };
        self.events.tell(&self.name, &started);
        self.events.tell(&self.name, &connected);
    }

    /// Whether an encoder publishes any of its inputs.
    pub(crate) fn is_published(&self) -> bool {
        self.lines().iter().any(|line| line.holder().is_some())
    }

    /// Carries a player to its end; it stays while media is away. Where the stream has a ladder it
    /// gets the rendition of that name, or the best.
    pub(crate) async fn play(
        &self,
        request: PlayRequest,
        rung: Option<&str>,
    ) -> Result<(), (Reject, PlayRequest)> {
        let broadcast = match self.rendition(rung).await {
            Ok(broadcast) => broadcast,
            Err(why) => return Err((why, request)),
        };
        tracing::info!("playing");
        let who = (request.peer(), None);
        let session = self.players.enter(self.place(), Protocol::Rtmp, who, None);
        let playing = request.accept();
        let ended = playing.run(&broadcast, MAX_LATENCY, session.sent()).await;
        session.tell(ended.map_err(|e| (e.kind.to_string(), e.to_string())));
        Ok(())
    }

    /// The programme as MPEG-TS, or a rung of its ladder, for players to subscribe to: one track of
    /// whole packets (`remux`). It is made from now on, until nobody has wanted it for 10 s; who
    /// subscribes later finds it ended and asks again. Players of a ladder wait as those of RTMP do.
    ///
    /// # Errors
    /// No such rung, a stream that is switched off, or [`Reject::Unsupported`] where MPEG-TS has no
    /// place for any of its tracks.
    pub(crate) async fn ts(&self, rung: Option<&str>) -> Result<Broadcast, Reject> {
        let source = self.rendition(rung).await?;
        has_place_in_ts(&source)?;
        Ok(self.remuxing.of(&source))
    }

    /// Seats a player of HTTP-TS. One of a stream without media is turned away, unless its media
    /// comes on demand.
    pub(crate) async fn play_ts(
        &self,
        rung: Option<&str>,
        who: (SocketAddr, Option<&str>),
    ) -> Result<Packets, NotPlayed> {
        self.shows_ts(rung).await?;
        let packets = self.ts(rung).await.map_err(NotPlayed::Rejected)?;
        let session = self
            .players
            .enter(self.place(), Protocol::HttpTs, who, None);
        ts_players::seat(&packets, session).await
    }

    /// Carries a player of SRT to its end; it stays while media is away.
    pub(crate) async fn play_srt(
        &self,
        mut playing: Playing,
        packets: &Broadcast,
        (peer, link): (SocketAddr, Arc<srt::Stats>),
    ) {
        tracing::info!("playing");
        let who = (peer, None);
        let session = self
            .players
            .enter(self.place(), Protocol::Srt, who, Some(link));
        let ended = playing.run(packets, MAX_LATENCY, session.sent()).await;
        if ended.is_ok() {
            playing.close().await;
        }
        session.tell(ended.map_err(|e| (e.kind.to_string(), e.to_string())));
    }

    /// Whether a player of HTTP-TS would be seated now, as far as that is known.
    pub(crate) async fn shows_ts(&self, rung: Option<&str>) -> Result<(), NotPlayed> {
        let on_demand = self.config().used_inputs().any(Input::is_on_demand);
        if self.tracks().is_empty() && !on_demand {
            return Err(NotPlayed::NotLive);
        }
        let source = self.rendition(rung).await.map_err(NotPlayed::Rejected)?;
        has_place_in_ts(&source).map_err(NotPlayed::Rejected)
    }

    /// A rendition that players get. The first one of a ladder is waited for.
    async fn rendition(&self, rung: Option<&str>) -> Result<Broadcast, Reject> {
        let Some(_) = &self.transcoding else {
            let named = rung.is_some();
            return if named {
                Err(Reject::NotFound)
            } else {
                Ok(self.broadcast.clone())
            };
        };
        let mut listing = self.hub.get(&self.name).ok_or(Reject::Disabled)?;
        let found = async {
            loop {
                let renditions = listing.renditions();
                let wanted = |r: &&Rendition| rung.is_none_or(|rung| *r.id == *rung);
                match renditions.iter().find(wanted) {
                    Some(rendition) => return Ok(rendition.broadcast.clone()),
                    // What is made is there; that is not among it.
                    None if !renditions.is_empty() => return Err(Reject::NotFound),
                    None => listing.changed().await,
                }
            }
        };
        tokio::select! {
            found = timeout(FIRST_RENDITION, found) => found.unwrap_or(Err(Reject::NotFound)),
            () = self.stop.cancelled() => Err(Reject::Disabled),
        }
    }

    /// The inputs that encoders push to.
    fn doors(&self) -> Vec<Input> {
        publish::doors(&self.config()).cloned().collect()
    }

    async fn admit(&self, wish: &Wish, led: bool) -> Result<(Input, Arc<Line>), Reject> {
        let inputs = self.doors();
        let is_free = |input: &Input| self.line(&input.id).is_some_and(|l| l.holder().is_none());
        let input = if led {
            publish::choose_led(&inputs, wish, is_free)?.clone()
        } else {
            publish::choose(&inputs, wish, is_free)?.clone()
        };
        let line = self.line(&input.id).ok_or(Reject::NotFound)?;
        publish::make_room(&self.name, &line).await?;
        Ok((input, line))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn config(&self) -> StreamConfig {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        config.clone()
    }

    /// The inputs, in the order of the configuration.
    pub(crate) fn lines(&self) -> Vec<Arc<Line>> {
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        lines.clone()
    }

    fn line(&self, id: &str) -> Option<Arc<Line>> {
        self.lines().into_iter().find(|line| line.id() == id)
    }

    /// The input that feeds the programme.
    pub(crate) fn active(&self) -> Option<Arc<Line>> {
        self.line(&self.programme.state().active?)
    }

    pub(crate) const fn programme(&self) -> &Programme {
        &self.programme
    }

    /// The ladder, where there is one.
    pub(crate) const fn transcoding(&self) -> Option<&Transcoding> {
        self.transcoding.as_ref()
    }

    pub(crate) const fn pushes(&self) -> &Pushes {
        &self.pushes
    }

    /// Those who play over connections of their own.
    pub(crate) fn players(&self) -> &Players {
        &self.players
    }

    /// What is told of its sessions is told there.
    fn place(&self) -> (&str, &Events) {
        (&self.name, &self.events)
    }

    /// Tracks that MPEG-TS had no place for.
    pub(crate) fn not_in_ts(&self) -> u64 {
        self.remuxing.left_out()
    }

    pub(crate) fn packaging(&self) -> &Packaging {
        &self.packaging
    }

    /// The programme's hub counters.
    pub(crate) fn hub_counters(&self) -> hub::Counters {
        self.broadcast.counters()
    }

    /// Called every second or so.
    pub(crate) fn sample(&self, now: Instant) {
        for line in self.lines() {
            line.sample(now);
        }
        if let Some(transcoding) = &self.transcoding {
            transcoding.limit_hold(self.config().patience());
        }
        self.tell_connections();
        self.tell_viewers();
        self.tell_cuts();
        self.tell_lead();
    }

    fn tell_connections(&self) {
        for line in self.lines().iter().filter(|line| line.has_connected()) {
            let input = line.id().to_owned();
            let told = Event::InputConnected { input, peer: None };
            self.events.tell(&self.name, &told);
        }
    }

    fn tell_viewers(&self) {
        let Comings { opened, closed } = self.output.turn_viewers_over();
        for viewer in opened {
            let told = Event::SessionOpened {
                session: format!("{:016x}", viewer.id),
                protocol: "http".to_owned(),
                address: viewer.address.to_string(),
                agent: Some(viewer.agent),
            };
            self.events.tell(&self.name, &told);
        }
        for viewer in closed {
            let told = Event::SessionClosed {
                session: format!("{:016x}", viewer.id),
                protocol: "http".to_owned(),
                address: viewer.address.to_string(),
                duration_ms: millis(viewer.age),
                reason: "idle".to_owned(),
            };
            self.events.tell(&self.name, &told);
        }
    }

    fn tell_cuts(&self) {
        let cuts = self.packaging.counters().forced_cuts;
        let mut told = lock(&self.told);
        let count = cuts.saturating_sub(told.forced_cuts);
        told.forced_cuts = cuts;
        drop(told);
        if count > 0 {
            self.events
                .tell(&self.name, &Event::SegmentForcedCut { count });
        }
    }

    /// Told when it comes near its limit, and again only after half of it was repaid.
    fn tell_lead(&self) {
        let lead = self.programme.lead().as_millis();
        let most = self.config().packaging().max_lead.as_millis();
        let mut told = lock(&self.told);
        let reached = lead * 10 >= most * 9;
        if reached && !told.lead {
            let event = Event::LeadLimitReached {
                lead_ms: lead,
                max_lead_ms: most,
            };
            self.events.tell(&self.name, &event);
        }
        told.lead = reached || (told.lead && lead * 2 > most);
    }

    /// What all inputs sent since the stream runs.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = lock(&self.past).clone();
        for line in self.lines() {
            totals += line.totals();
        }
        totals
    }

    /// What the programme is made of, or was last.
    pub(crate) fn tracks(&self) -> Arc<[Track]> {
        self.broadcast.tracks()
    }

    /// The latest of its inputs and its packaging.
    pub(crate) fn last_error(&self) -> Option<LastError> {
        let lines = self.lines();
        let errors = lines
            .iter()
            .filter_map(|line| line.errors().into_iter().next());
        errors
            .chain(self.packaging.told().error())
            .max_by_key(|e| e.at_ms)
    }

    pub(crate) fn status(&self) -> Status {
        let snapshot = self.output.snapshot();
        let ended = snapshot.media.iter().all(|m| m.ended);
        if ended || !snapshot.is_live() {
            return Status::Waiting;
        }
        let held = self.transcoding.as_ref().is_some_and(Transcoding::is_held);
        if held || self.packaging.is_held() || self.programme.state().active.is_none() {
            return Status::Hold;
        }
        Status::Live
    }
}

/// The programme outlives every publisher.
fn start_programme(
    config: &StreamConfig,
    presentation: Presentation,
    (stop, events): (&CancellationToken, &Events),
) -> (Programme, Broadcast, Demand) {
    let (publisher, relay) = match presentation.add("source", Limits::default()) {
        Ok(added) => added,
        Err(taken) => unreachable!("the presentation is new: {taken}"),
    };
    tokio::spawn(relay.run());
    let (broadcast, demand) = (publisher.broadcast(), publisher.demand());
    let (programme, run) = Programme::start(config, publisher, events);
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(async move {
        let _presentation = presentation;
        tokio::select! {
            () = run => {}
            () = stopped => {}
        }
    });
    (programme, broadcast, demand)
}

/// What MPEG-TS has no place for is known once it is there.
fn has_place_in_ts(source: &Broadcast) -> Result<(), Reject> {
    let tracks = source.tracks();
    if tracks.is_empty() || remux::carries(&tracks) {
        return Ok(());
    }
    Err(Reject::Unsupported)
}

/// How long playlists may stand still. Where a worker holds the picture it does so for all that
/// time, and what follows is the end.
fn packaging_patience(config: &StreamConfig) -> Option<Duration> {
    let patience = config.patience();
    if config.is_all_encoded() {
        patience.map(|_| Duration::from_secs(1))
    } else {
        patience
    }
}

/// Where a ladder finds the programme that it is made of. No stream is called so.
fn programme_name(stream: &str) -> String {
    format!("{stream}@programme")
}
