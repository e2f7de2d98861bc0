//! The whole server: what is started, in which order, and how it ends.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, Result};
use http_media::{Limits, Outputs};
use rtmp::Listener;
use store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::api::{Api, Auth};
use crate::config::{self, Config};
use crate::metrics::Metrics;
use crate::pages::{self, Pages};
use crate::runtime::Manager;
use crate::{http_server, ingest, secret};

/// Runs until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// A port, a directory or a database that cannot be had.
pub async fn run(config: Config) -> Result<()> {
    let stop = CancellationToken::new();
    let server = Server::bind(config).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stopper = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping");
        stopper.cancel();
    });
    server.serve(stop).await;
    Ok(())
}

/// A server whose ports are bound and whose streams are loaded.
pub struct Server {
    config: Config,
    http: TcpListener,
    rtmp: Option<TcpListener>,
    manager: Arc<Manager>,
    auth: Arc<Auth>,
    metrics: Arc<Metrics>,
}

impl Server {
    /// Opens what is needed: data directory, database, token, ports. Then brings back the streams.
    ///
    /// # Errors
    /// Whatever of that cannot be had.
    pub async fn bind(config: Config) -> Result<Self> {
        let dir = &config.data.dir;
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let store = Store::open(&config.database_url())
            .await
            .context("database")?;
        let admin_token = admin_token(&config)?;
        let http = http_server::bind(config.http.listen)
            .with_context(|| format!("http.listen {}", config.http.listen))?;
        let rtmp = config.rtmp.enabled.then(|| {
            http_server::bind(config.rtmp.listen)
                .with_context(|| format!("rtmp.listen {}", config.rtmp.listen))
        });
        let rtmp = rtmp.transpose()?;
        let outputs = Outputs::new(Limits {
            blocked: config.http.max_blocked,
            ..Limits::default()
        });
        let manager = Arc::new(Manager::new(store, outputs));
        let streams = manager.load().await.context("database")?;
        tracing::info!(streams, http = %http.local_addr()?, "started");
        Ok(Self {
            auth: Arc::new(Auth {
                admin_token,
                trust_loopback: config.auth.trust_loopback,
            }),
            metrics: Arc::new(Metrics::new()?),
            config,
            http,
            rtmp,
            manager,
        })
    }

    /// The address of HTTP.
    ///
    /// # Errors
    /// As the socket says.
    pub fn http_addr(&self) -> std::io::Result<std::net::SocketAddr> {
        self.http.local_addr()
    }

    /// The address of RTMP, where it listens.
    #[must_use]
    pub fn rtmp_addr(&self) -> Option<std::net::SocketAddr> {
        self.rtmp.as_ref().and_then(|l| l.local_addr().ok())
    }

    /// Serves until told to stop; then encoders are let go, players told, numbers written.
    pub async fn serve(self, stop: CancellationToken) {
        let ready = Arc::new(AtomicBool::new(true));
        let ledger_stop = CancellationToken::new();
        let ledger = Arc::clone(&self.manager.ledger);
        let ledger = tokio::spawn(ledger.run(self.manager.store.clone(), ledger_stop.clone()));
        let pages = Pages {
            manager: Arc::clone(&self.manager),
            metrics: Arc::clone(&self.metrics),
            ready: Arc::clone(&ready),
        };
        let api = Api {
            manager: Arc::clone(&self.manager),
            auth: self.auth,
        };
        let rtmp = self.rtmp.map(|socket| {
            let listener = Listener::new(socket, rtmp_bounds(&self.config.rtmp));
            let (manager, metrics) = (Arc::clone(&self.manager), Arc::clone(&self.metrics));
            let config = self.config.rtmp.clone();
            tokio::spawn(ingest::serve(
                listener,
                config,
                manager,
                metrics,
                stop.clone(),
            ))
        });
        let drain = Duration::from_secs(self.config.shutdown.drain_s);
        let router = pages::router(pages, api);
        let http = (stop.clone(), drain);
        let serving = http_server::serve(self.http, router, self.config.http, http, self.metrics);
        let serving = tokio::spawn(serving);
        stop.cancelled().await;
        ready.store(false, Relaxed);
        self.manager.stop_all().await;
        let _ = serving.await;
        if let Some(rtmp) = rtmp {
            let _ = rtmp.await;
        }
        ledger_stop.cancel();
        let _ = ledger.await;
        self.manager.store.close().await;
        tracing::info!("stopped");
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
    write_private(&path, &token).with_context(|| path.display().to_string())?;
    tracing::info!(path = %path.display(), "admin token made");
    Ok(token)
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}
