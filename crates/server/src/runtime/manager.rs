//! Makes running streams follow what the store holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::join_all;
use http_media::Outputs;
use hub::Hub;
use packager::Restored;
use store::{Kind, Record, Store};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::clock;
use super::numbering::{self, Ledger};
use super::nursery::{Born, Nursery};
use super::packaging::Stop;
use super::pull::Means;
use super::stream::Stream;
use super::transcoding::Probed;
use crate::api::Problem;
use crate::events::{Event, Events, StopReason};
use crate::hooks::Hooks;
use crate::model::{Callback, Definition, StreamConfig, Template, Templates, check_capabilities};

/// All streams of this node.
#[derive(Debug)]
pub(crate) struct Manager {
    pub(crate) store: Store,
    pub(crate) hub: Hub,
    pub(crate) outputs: Outputs,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) ports: Ports,
    pub(crate) events: Events,
    pub(crate) hooks: Arc<Hooks>,
    means: Means,
    probed: Probed,
    templates: RwLock<Arc<Templates>>,
    /// Every stream of the store, and those that encoders brought. So a name is known without
    /// asking SQL.
    streams: RwLock<BTreeMap<String, Entry>>,
    /// Who is asked before a player gets media over HTTP: for as long as media is served, though the
    /// stream may have stopped.
    guards: RwLock<BTreeMap<String, Arc<Callback>>>,
    pub(super) nursery: Nursery,
    /// One change at a time: a request reads, checks, saves and applies.
    pub(crate) changes: Mutex<()>,
    stopping: AtomicBool,
    /// What runs may be another than what the store holds.
    doubtful: AtomicBool,
}

#[derive(Debug, Default, Clone)]
struct Entry {
    /// `None` does not run.
    stream: Option<Arc<Stream>>,
    /// `None` is in the store.
    born: Option<Arc<Born>>,
}

/// Where peers of RTMP and SRT come in; `None` where they do not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ports {
    pub(crate) rtmp: Option<u16>,
    pub(crate) rtmps: Option<u16>,
    pub(crate) srt: Option<u16>,
}

/// What must be read before a configuration is saved, so that applying it cannot fail.
#[derive(Debug, Default)]
pub(crate) struct Prepared(Option<Restored>);

impl Manager {
    pub(crate) fn new(
        store: Store,
        outputs: Outputs,
        ports: Ports,
        means: Means,
        (events, hooks): (Events, Arc<Hooks>),
    ) -> Self {
        Self {
            store,
            hub: Hub::new(),
            outputs,
            ledger: Arc::default(),
            ports,
            events,
            hooks,
            probed: Probed::new(means.transcoder.clone()),
            means,
            templates: RwLock::default(),
            streams: RwLock::default(),
            guards: RwLock::default(),
            nursery: Nursery::default(),
            changes: Mutex::default(),
            stopping: AtomicBool::new(false),
            doubtful: AtomicBool::new(false),
        }
    }

    /// Brings back every template and every enabled stream.
    pub(crate) async fn load(&self) -> Result<usize, store::Error> {
        let templates = self.read_templates().await?;
        self.set_templates(templates);
        for record in self.store.all(Kind::Stream).await? {
            let restored = numbering::load(&self.store, &record.name).await?;
            match self.definition_of(&record) {
                Some(found) if found.config().is_enabled() => {
                    self.start(found.config().clone(), restored).await;
                }
                _ => self.set(&record.name, None),
            }
        }
        Ok(self.all().len())
    }

    async fn read_templates(&self) -> Result<Templates, store::Error> {
        let mut templates = Templates::default();
        for record in self.store.all(Kind::Template).await? {
            match Template::read(&record.config) {
                Ok(template) => templates = templates.with(template),
                Err(problem) => {
                    let error = problem.detail;
                    tracing::error!(template = record.name, error, "unreadable in the database");
                }
            }
        }
        Ok(templates)
    }

    pub(crate) fn templates(&self) -> Arc<Templates> {
        let templates = self.templates.read();
        Arc::clone(&templates.unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_templates(&self, templates: Templates) {
        let mut held = self
            .templates
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(templates);
    }

    /// What a record says with the templates as they are. It was checked when it was saved, so
    /// what is wrong with it now is for the log.
    pub(crate) fn definition_of(&self, record: &Record) -> Option<Definition> {
        let read = Definition::read(&record.config, &self.templates());
        let told = read.inspect_err(|problem| {
            let (field, error) = (&problem.field, &problem.detail);
            tracing::error!(
                stream = record.name,
                ?field,
                error,
                "unreadable in the database"
            );
        });
        told.ok()
    }

    async fn start(&self, config: StreamConfig, restored: Option<Restored>) {
        let name = config.name.clone();
        self.set_guard(&name, config.on_play.as_ref());
        let shared = (&self.hub, &self.outputs, &self.ledger, &self.events);
        match Stream::start(config, restored, shared, &self.means).await {
            Ok(stream) => {
                self.set(&name, Some(stream));
                self.events.tell(&name, &Event::StreamStarted {});
            }
            Err(error) => {
                tracing::error!(stream = name, %error, "not started");
                self.set(&name, None);
            }
        }
    }

    /// What this machine can encode with.
    pub(crate) async fn capabilities(&self) -> Result<Arc<ladder::Capabilities>, Problem> {
        self.probed.capabilities().await
    }

    /// A ladder that this machine cannot make is refused.
    async fn check_ladder(&self, config: &StreamConfig) -> Result<(), Problem> {
        match config.ladder().filter(ladder::Ladder::encodes) {
            Some(ladder) => check_capabilities(&ladder, &*self.capabilities().await?),
            None => Ok(()),
        }
    }

    /// Reads what a stream goes on from, if this configuration will start it.
    pub(crate) async fn prepare(&self, config: &StreamConfig) -> Result<Prepared, Problem> {
        self.check_ladder(config).await?;
        if !config.is_enabled() || self.get(&config.name).is_some() {
            return Ok(Prepared::default());
        }
        // What it numbered before may still be on its way to the store.
        if !self.ledger.flush(&self.store).await {
            return Err(Problem::database());
        }
        Ok(Prepared(numbering::load(&self.store, &config.name).await?))
    }

    /// Makes what runs follow a configuration that was saved. One that was born is kept from now on.
    pub(crate) async fn apply(&self, config: StreamConfig, Prepared(restored): Prepared) {
        let name = config.name.clone();
        match (self.get(&name), config.is_enabled()) {
            (Some(stream), true) => {
                let stream = self.adapt(stream, config).await;
                self.set(&name, stream);
            }
            (Some(stream), false) => {
                self.set(&name, None);
                self.stop(&stream, StopReason::Disabled).await;
            }
            (None, true) => self.start(config, restored).await,
            (None, false) => self.set(&name, None),
        }
    }

    /// A stream that runs follows another configuration. With a ladder that comes or goes players
    /// see another presentation: what is numbered goes on, what is connected does not.
    async fn adapt(&self, stream: Arc<Stream>, config: StreamConfig) -> Option<Arc<Stream>> {
        let name = config.name.clone();
        let before = stream.config();
        if before.ladder().is_some() != config.ladder().is_some() {
            let restored = stream.shut_down(&self.outputs, Stop::Freeze).await;
            self.start(config, restored).await;
            return self.get(&name);
        }
        if before != config {
            self.set_guard(&name, config.on_play.as_ref());
            stream.apply(config).await;
        }
        Some(stream)
    }

    fn set_guard(&self, name: &str, callback: Option<&Callback>) {
        let mut guards = self.guards.write().unwrap_or_else(PoisonError::into_inner);
        match callback {
            Some(callback) => guards.insert(name.to_owned(), Arc::new(callback.clone())),
            None => guards.remove(name),
        };
    }

    /// Who is asked before somebody plays a stream over HTTP. Every request for media comes by here.
    pub(crate) fn on_play(&self, name: &str) -> Option<Arc<Callback>> {
        let guards = self.guards.read().unwrap_or_else(PoisonError::into_inner);
        guards.get(name).cloned()
    }

    /// Whether one of these streams would feed itself, by way of each other or of others that run.
    pub(crate) fn cycle<'a>(
        &self,
        changed: impl Iterator<Item = &'a StreamConfig> + Clone,
    ) -> Option<&'a str> {
        let planned: BTreeMap<&str, Vec<String>> =
            changed.map(|c| (c.name.as_str(), c.feeders())).collect();
        let feeders = |name: &str| match planned.get(name) {
            Some(feeders) => feeders.clone(),
            None => self
                .get(name)
                .map_or_else(Vec::new, |s| s.config().feeders()),
        };
        // Depth first; who is met again on the way there feeds itself.
        let mut done: BTreeSet<String> = BTreeSet::new();
        for &start in planned.keys() {
            if done.contains(start) {
                continue;
            }
            let mut way: Vec<(String, Vec<String>)> = vec![(start.to_owned(), feeders(start))];
            while let Some((name, ahead)) = way.last_mut() {
                let Some(next) = ahead.pop() else {
                    done.insert(std::mem::take(name));
                    way.pop();
                    continue;
                };
                if way.iter().any(|(met, _)| *met == next) {
                    return Some(start);
                }
                if !done.contains(&next) {
                    let ahead = feeders(&next);
                    way.push((next, ahead));
                }
            }
        }
        None
    }

    /// Ends a stream that is no longer in the store.
    pub(crate) async fn remove(&self, name: &str, reason: StopReason) {
        let entry = self.write().remove(name);
        if let Some(stream) = entry.and_then(|entry| entry.stream) {
            self.stop(&stream, reason).await;
        }
    }

    /// What it numbered is written, should it come back.
    async fn stop(&self, stream: &Stream, reason: StopReason) {
        stream.shut_down(&self.outputs, Stop::End).await;
        self.set_guard(stream.name(), None);
        self.ledger.flush(&self.store).await;
        self.events
            .tell(stream.name(), &Event::StreamStopped { reason });
    }

    /// Publishers leave and playlists freeze: players wait for the next start. Tells whether there
    /// is anything for them to look at.
    pub(crate) async fn freeze_all(&self) -> bool {
        self.stopping.store(true, Relaxed);
        let _change = self.changes.lock().await;
        let streams = std::mem::take(&mut *self.write());
        let running: Vec<_> = streams.values().filter_map(|e| e.stream.as_ref()).collect();
        let served = running.iter().any(|s| s.output.snapshot().is_live());
        let frozen = running
            .iter()
            .map(|s| s.shut_down(&self.outputs, Stop::Freeze));
        join_all(frozen).await;
        served
    }

    /// The database did not say whether it made a change.
    pub(crate) fn doubt(&self) {
        self.doubtful.store(true, Relaxed);
    }

    /// Once the database answers again, what runs is made to follow it. Called every second or so.
    pub(crate) async fn settle_doubts(&self) {
        if !self.doubtful.load(Relaxed) || self.ledger.is_away() {
            return;
        }
        let _change = self.changes.lock().await;
        let settled = !self.is_stopping() && self.follow_store().await.is_ok();
        self.doubtful.store(!settled, Relaxed);
    }

    async fn follow_store(&self) -> Result<(), Problem> {
        let templates = self.read_templates().await?;
        self.set_templates(templates);
        self.hooks.load(&self.store).await?;
        for born in self.all_born() {
            if let Ok(followed) = born.definition().with(&self.templates()) {
                self.rear(followed).await;
            }
        }
        let records = self.store.all(Kind::Stream).await?;
        for found in records.iter().filter_map(|r| self.definition_of(r)) {
            let config = found.config();
            let same = match self.get(&config.name) {
                Some(running) => running.config() == *config && self.born(&config.name).is_none(),
                None => self.knows(&config.name) && !config.is_enabled(),
            };
            if !same {
                tracing::info!(stream = config.name, "follows the database");
                let prepared = self.prepare(config).await?;
                self.apply(config.clone(), prepared).await;
            }
        }
        let kept = |name: &String| records.iter().any(|r| r.name == *name);
        let known = self.read().clone().into_iter();
        let gone = known.filter(|(name, entry)| entry.born.is_none() && !kept(name));
        for (name, _) in gone {
            tracing::info!(stream = name, "removed, as in the database");
            self.remove(&name, StopReason::Deleted).await;
        }
        Ok(())
    }

    /// Whether what is changed now would only be undone.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// A stream that runs.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Stream>> {
        self.read().get(name)?.stream.clone()
    }

    /// Where an encoder's coming made this stream.
    pub(crate) fn born(&self, name: &str) -> Option<Arc<Born>> {
        self.read().get(name)?.born.clone()
    }

    /// All that encoders made, by name.
    pub(crate) fn all_born(&self) -> Vec<Arc<Born>> {
        self.read()
            .values()
            .filter_map(|e| e.born.clone())
            .collect()
    }

    /// A stream that an encoder brought: it is in no store.
    pub(super) async fn bear(&self, born: Born) -> Result<Arc<Stream>, Problem> {
        let config = born.definition().config().clone();
        let name = config.name.clone();
        let Prepared(restored) = self.prepare(&config).await?;
        self.start(config, restored).await;
        let stream = self.get(&name).ok_or_else(Problem::internal)?;
        let entry = Entry {
            stream: Some(Arc::clone(&stream)),
            born: Some(Arc::new(born)),
        };
        self.write().insert(name, entry);
        Ok(stream)
    }

    /// It follows its template.
    pub(crate) async fn rear(&self, definition: Definition) {
        let (Some(stream), Some(born)) =
            (self.get(definition.name()), self.born(definition.name()))
        else {
            return;
        };
        let name = definition.name().to_owned();
        if !definition.config().is_enabled() {
            return self.remove(&name, StopReason::Disabled).await;
        }
        let stream = self.adapt(stream, definition.config().clone()).await;
        let entry = Entry {
            stream,
            born: Some(Arc::new(born.following(definition))),
        };
        self.write().insert(name, entry);
    }

    /// Whether there is such a stream, running or not.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.read().contains_key(name)
    }

    /// All that run.
    pub(crate) fn all(&self) -> Vec<Arc<Stream>> {
        self.read()
            .values()
            .filter_map(|e| e.stream.clone())
            .collect()
    }

    /// Called every second or so.
    pub(crate) fn sample(&self) {
        clock::follow();
        let now = Instant::now();
        for stream in self.all() {
            stream.sample(now);
        }
    }

    fn set(&self, name: &str, stream: Option<Arc<Stream>>) {
        let entry = Entry { stream, born: None };
        self.write().insert(name.to_owned(), entry);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Entry>> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Entry>> {
        self.streams.write().unwrap_or_else(PoisonError::into_inner)
    }
}
