//! The whole server: what is started, in which order, and how it ends.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, Result};
use http_media::{Limits, Outputs};
use rtmp::Listener;
use store::Store;
use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::api::{Api, Auth};
use crate::config::{self, Config};
use crate::door::Door;
use crate::egress::Egress;
use crate::events::{Event, Events, Journal, Keep, Subscribers};
use crate::hooks::{self, Hooks};
use crate::metrics::Metrics;
use crate::pages::{self, Pages};
use crate::runtime::{Manager, Means, Ports, utc};
use crate::sentinel::Sentinel;
use crate::systemd::{self, Inherited};
use crate::tls::Certificate;
use crate::tokens::Tokens;
use crate::{http_server, private, rtmp_server, secret, srt_server};

/// After the drain: for what is still to be written.
const WRITING: Duration = Duration::from_secs(5);
/// Players that poll see the frozen playlists before the door closes: one that still hopes for a
/// hinted part when the next process starts asks for that part for ever (Shaka).
const LAST_LOOK: Duration = Duration::from_millis(1_500);

/// Runs until SIGTERM or SIGINT, then drains; a second one ends it at once.
///
/// # Errors
/// A port, a directory or a database that cannot be had.
pub async fn run(config: Config, inherited: Inherited) -> Result<()> {
    let mut signals = Signals::new()?;
    let longest = Duration::from_secs(config.shutdown.drain_s) + WRITING;
    let server = Server::bind(config, inherited).await?;
    systemd::ready();
    let stop = CancellationToken::new();
    let mut serving = std::pin::pin!(server.serve(stop.clone()));
    tokio::select! {
        () = serving.as_mut() => return Ok(()),
        () = signals.next() => {}
    }
    tracing::info!("stopping");
    systemd::stopping(longest);
    stop.cancel();
    tokio::select! {
        () = serving => Ok(()),
        () = signals.next() => anyhow::bail!("stopped before the drain ended"),
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Two processes on one directory would give the same numbers to different bytes.
fn lock_dir(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    let locked = file.try_lock();
    locked.with_context(|| format!("{}: another process uses this directory", dir.display()))?;
    Ok(file)
}

/// The database. Where it is a file of ours, it is there before SQLite makes one that others can read.
pub(crate) async fn open_store(config: &Config) -> Result<Store> {
    if config.database.url.is_none() {
        private::make_dir(&config.data.dir)?;
        private::make_file(&config.data.dir.join("weir.db"))?;
    }
    let store = Store::open(&config.database_url()).await;
    store.context("database")
}

/// A server whose ports are bound and whose streams are loaded.
pub struct Server {
    config: Config,
    http: Listeners,
    rtmp: Option<Listeners>,
    srt: Option<UdpSocket>,
    certificate: Option<Arc<Certificate>>,
    manager: Arc<Manager>,
    auth: Arc<Auth>,
    metrics: Arc<Metrics>,
    access: Arc<Access>,
    /// Held until the process ends.
    _lock: File,
}

impl Server {
    /// Opens what is needed: data directory, database, token, ports that were not inherited. Then
    /// brings back the streams.
    ///
    /// # Errors
    /// Whatever of that cannot be had.
    pub async fn bind(config: Config, mut inherited: Inherited) -> Result<Self> {
        private::make_dir(&config.data.dir)?;
        let lock = lock_dir(&config.data.dir)?;
        let store = open_store(&config).await?;
        let tokens = Arc::new(Tokens::default());
        tokens.refresh(&store).await.context("database")?;
        let admin_token = admin_token(&config)?;
        let metrics = Arc::new(Metrics::new()?);
        let load = |tls| Certificate::load(tls, &config.data.dir, &metrics);
        let certificate = config.tls.as_ref().map(load).transpose()?;
        let secure = certificate.is_some();
        let (plain, tls) = (config.http.listen, config.http.tls_listen);
        let http = Listeners::bind(&mut inherited, "http", plain, secure.then_some(tls))?;
        let (plain, tls) = (config.rtmp.listen, config.rtmp.tls_listen);
        let rtmp = config.rtmp.enabled;
        let rtmp =
            rtmp.then(|| Listeners::bind(&mut inherited, "rtmp", plain, secure.then_some(tls)));
        let rtmp = rtmp.transpose()?;
        let srt = config.srt.enabled.then(|| bind_udp(config.srt.listen));
        let srt = srt.transpose()?;
        let outputs = Outputs::new(
            Limits {
                blocked: config.http.max_blocked,
                blocked_per_stream: config.http.max_blocked,
            },
            utc,
        );
        let ports = Ports {
            rtmp: rtmp.as_ref().and_then(|l| port(&l.plain)),
            rtmps: rtmp.as_ref().and_then(|l| port(l.tls.as_ref()?)),
            srt: srt
                .as_ref()
                .and_then(|s| s.local_addr().ok())
                .map(|a| a.port()),
        };
        let mut own_ports = vec![http.plain.local_addr()?.port()];
        own_ports.extend(http.tls.as_ref().and_then(port));
        own_ports.extend([ports.rtmp, ports.rtmps, ports.srt].into_iter().flatten());
        let egress = Arc::new(Egress {
            strict: config.egress.strict,
            hooks: config.egress.hooks.clone(),
            own_ports,
        });
        let client = hooks_client(&egress)?;
        let access = Arc::new(Access::new(client.clone())?);
        metrics.register(access.asked.clone())?;
        let told = hear(&config, &store, client).await.context("database")?;
        let means = Means {
            egress,
            files: config.files_root(),
            srt: config.srt.bounds(),
            transcoder: config.worker(),
        };
        let manager = Arc::new(Manager::new(store, outputs, ports, means, told));
        manager
            .hooks
            .load(&manager.store)
            .await
            .context("database")?;
        let streams = manager.load().await.context("database")?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        manager
            .events
            .tell_all(&Event::ServerStarted { version, streams });
        tracing::info!(streams, http = %http.plain.local_addr()?, "started");
        Ok(Self {
            auth: Arc::new(Auth {
                admin_token,
                trust_loopback: config.auth.trust_loopback,
                tokens,
            }),
            metrics,
            access,
            config,
            http,
            rtmp,
            srt,
            certificate,
            manager,
            _lock: lock,
        })
    }

    /// The address of HTTP.
    ///
    /// # Errors
    /// As the socket says.
    pub fn http_addr(&self) -> std::io::Result<SocketAddr> {
        self.http.plain.local_addr()
    }

    /// The address of HTTPS, where there is a certificate.
    #[must_use]
    pub fn https_addr(&self) -> Option<SocketAddr> {
        self.http.tls.as_ref().and_then(|l| l.local_addr().ok())
    }

    /// The address of RTMP, where it listens.
    #[must_use]
    pub fn rtmp_addr(&self) -> Option<SocketAddr> {
        self.rtmp.as_ref().and_then(|l| l.plain.local_addr().ok())
    }

    /// The address of RTMPS, where it listens.
    #[must_use]
    pub fn rtmps_addr(&self) -> Option<SocketAddr> {
        let tls = self.rtmp.as_ref()?.tls.as_ref();
        tls.and_then(|l| l.local_addr().ok())
    }

    /// The address of SRT, where it listens.
    #[must_use]
    pub fn srt_addr(&self) -> Option<SocketAddr> {
        self.srt.as_ref().and_then(|s| s.local_addr().ok())
    }

    /// Serves until told to stop; then encoders are let go, players answered, numbers written.
    pub async fn serve(mut self, stop: CancellationToken) {
        let drain = Duration::from_secs(self.config.shutdown.drain_s);
        let manager = Arc::clone(&self.manager);
        let ready = Arc::new(AtomicBool::new(true));
        let written = CancellationToken::new();
        let ledger = Arc::clone(&manager.ledger);
        let ledger = tokio::spawn(ledger.run(manager.store.clone(), written.clone()));
        let tokens = Arc::clone(&self.auth.tokens);
        let tokens = tokio::spawn(tokens.run(manager.store.clone(), written.clone()));
        let journal = Journal {
            events: manager.events.clone(),
            store: manager.store.clone(),
            hooks: Arc::clone(&manager.hooks) as Arc<dyn Subscribers>,
            keep: Keep {
                days: self.config.events.keep_days,
                events: self.config.events.keep_events,
            },
        };
        let journal = tokio::spawn(journal.run(written.clone()));
        let sentinel = Sentinel::new(
            Arc::clone(&manager),
            Arc::clone(&self.metrics),
            self.certificate.clone(),
        );
        let sampling = tokio::spawn(sample(Arc::clone(&manager), sentinel));
        let tidying = tokio::spawn(tidy(Arc::clone(&manager)));
        let certificate = self.certificate.clone();
        let following = certificate.map(|c| tokio::spawn(c.follow()));
        let rtmp = self.rtmp(&stop);
        let srt = self.srt(&stop);
        let closing = CancellationToken::new();
        let http = self.http(&ready, &closing);
        stop.cancelled().await;
        manager.events.tell_all(&Event::ServerStopping {});
        ready.store(false, Relaxed);
        sampling.abort();
        tidying.abort();
        let drained = timeout(drain, async {
            if manager.freeze_all().await {
                tokio::time::sleep(LAST_LOOK).await;
            }
            manager.events.end();
            closing.cancel();
            manager.outputs.leave();
            let _ = http.await;
            for serving in rtmp.into_iter().chain(srt) {
                let _ = serving.await;
            }
        });
        if drained.await.is_err() {
            closing.cancel();
            tracing::warn!("somebody was still there when the drain ended");
        }
        written.cancel();
        let writing = timeout(WRITING, async {
            let _ = ledger.await;
            let _ = tokens.await;
            let _ = journal.await;
            manager.hooks.end();
            manager.store.close().await;
        });
        if writing.await.is_err() {
            tracing::warn!("the database did not close in time");
        }
        if let Some(following) = following {
            following.abort();
        }
        tracing::info!("stopped");
    }

    fn rtmp(&mut self, stop: &CancellationToken) -> Option<JoinHandle<()>> {
        let config = self.config.rtmp.clone();
        let doors = self.rtmp.take()?.doors(self.certificate.as_ref(), &[]);
        let doors = doors.map(|(socket, tls)| rtmp_server::Door {
            listener: Listener::new(socket, rtmp_bounds(&config)),
            tls,
        });
        let doors = doors.collect();
        let serving = rtmp_server::serve(doors, config, self.door(), stop.clone());
        Some(tokio::spawn(serving))
    }

    fn srt(&mut self, stop: &CancellationToken) -> Option<JoinHandle<()>> {
        let config = self.config.srt.clone();
        let listener = srt::Listener::new(self.srt.take()?, config.bounds());
        self.metrics.srt_port(Arc::clone(listener.stats()));
        let serving = srt_server::serve(listener, config, self.door(), stop.clone());
        Some(tokio::spawn(serving))
    }

    fn door(&self) -> Door {
        Door {
            manager: Arc::clone(&self.manager),
            metrics: Arc::clone(&self.metrics),
            access: Arc::clone(&self.access),
        }
    }

    fn http(self, ready: &Arc<AtomicBool>, stop: &CancellationToken) -> JoinHandle<()> {
        let pages = Pages {
            manager: Arc::clone(&self.manager),
            metrics: Arc::clone(&self.metrics),
            ready: Arc::clone(ready),
            access: self.access,
            certificate: self.certificate.clone(),
        };
        let api = Api {
            manager: self.manager,
            auth: self.auth,
        };
        let router = pages::router(pages, api);
        let doors = self
            .http
            .doors(self.certificate.as_ref(), &[b"h2", b"http/1.1"]);
        let doors = doors.map(|(listener, tls)| http_server::Door { listener, tls });
        let (doors, config) = (doors.collect(), self.config.http);
        let serving = http_server::serve(doors, router, config, stop.clone(), self.metrics);
        tokio::spawn(serving)
    }
}

fn bind_udp(addr: SocketAddr) -> Result<UdpSocket> {
    http_server::bind_udp(addr).with_context(|| format!("srt.listen {addr}/udp"))
}

/// What hooks and callbacks are asked with.
fn hooks_client(egress: &Arc<Egress>) -> Result<webhook::Client> {
    let tls = http_media::pull::tls(true).context("certificates of the system")?;
    Ok(webhook::Client::new(egress.check_hooks(), &tls))
}

/// Where events are told and heard.
async fn hear(
    config: &Config,
    store: &Store,
    client: webhook::Client,
) -> Result<(Events, Arc<Hooks>), store::Error> {
    let last = store.last_event().await?;
    let limits = &config.events;
    let (waiting, seats) = (limits.max_waiting, limits.max_subscribers);
    let sessions = limits.sessions;
    let events = Events::new(store.clone(), last, (waiting, sessions), seats);
    let means = hooks::Means {
        client,
        files: config.hooks_root(),
        instance: store.instance().await?.into(),
    };
    let hooks = Hooks::new(store.clone(), events.clone(), means);
    Ok((events, Arc::new(hooks)))
}

fn port(socket: &TcpListener) -> Option<u16> {
    socket.local_addr().ok().map(|addr| addr.port())
}

/// The sockets of one protocol.
struct Listeners {
    plain: TcpListener,
    tls: Option<TcpListener>,
}

impl Listeners {
    fn bind(
        inherited: &mut Inherited,
        name: &str,
        plain: SocketAddr,
        tls: Option<SocketAddr>,
    ) -> Result<Self> {
        let mut bind = |socket: &str, key: &str, addr| {
            let bound = inherited.socket(socket, addr);
            bound.with_context(|| format!("{name}.{key} {addr}"))
        };
        Ok(Self {
            plain: bind(name, "listen", plain)?,
            tls: tls
                .map(|addr| bind(&format!("{name}s"), "tls_listen", addr))
                .transpose()?,
        })
    }

    /// Each with what accepts TLS on it.
    fn doors(
        self,
        certificate: Option<&Arc<Certificate>>,
        protocols: &[&[u8]],
    ) -> impl Iterator<Item = (TcpListener, Option<TlsAcceptor>)> {
        let acceptor = certificate.map(|c| c.acceptor(protocols));
        let secure = self.tls.zip(acceptor);
        let secure = secure.map(|(socket, acceptor)| (socket, Some(acceptor)));
        std::iter::once((self.plain, None)).chain(secure)
    }
}

/// Rates are read off what was counted a moment ago.
async fn sample(manager: Arc<Manager>, mut sentinel: Sentinel) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        manager.sample();
        sentinel.look();
    }
}

/// What waits for other changes waits by itself.
async fn tidy(manager: Arc<Manager>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        manager.let_go().await;
        manager.settle_doubts().await;
    }
}

fn rtmp_bounds(config: &config::Rtmp) -> rtmp::Config {
    rtmp::Config {
        message_bytes: config.max_message_bytes,
        request_timeout: Duration::from_secs(config.request_timeout_s),
        read_timeout: Duration::from_secs(config.read_timeout_s),
        ..rtmp::Config::default()
    }
}

/// The token that was given, or the one in the data directory, made at first start.
fn admin_token(config: &Config) -> Result<String> {
    if let Some(token) = &config.auth.admin_token {
        return Ok(token.clone());
    }
    let path = config.data.dir.join("admin.token");
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= 16 => return Ok(text.trim().to_owned()),
        Ok(_) => anyhow::bail!("{}: no token in it", path.display()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e).with_context(|| path.display().to_string()),
    }
    let token = secret::random();
    private::write(&path, &token).with_context(|| path.display().to_string())?;
    tracing::info!(path = %path.display(), "admin token made");
    Ok(token)
}
