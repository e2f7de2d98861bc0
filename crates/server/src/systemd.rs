//! What systemd gives and what it is told: sockets that listen already, readiness, signs of life.
//! Elsewhere nothing is inherited and nobody is told.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::http_server;

/// For what is between the last write and the end of the process.
const MARGIN: Duration = Duration::from_secs(2);

/// Sockets that outlive a process: who connects while none runs waits for the next one.
#[derive(Debug, Default)]
pub struct Inherited(BTreeMap<&'static str, TcpListener>);

/// What `FileDescriptorName=` may say.
const NAMES: [&str; 4] = ["http", "https", "rtmp", "rtmps"];

impl Inherited {
    /// Takes what `LISTEN_FDS` tells of. It clears the environment: there must be no threads yet.
    ///
    /// # Errors
    /// A socket of another kind or name than `http`, `https`, `rtmp` and `rtmps`.
    pub fn from_env() -> Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self::named(ListenFd::from_env(), &names)
    }

    fn named(mut sockets: ListenFd, names: &str) -> Result<Self> {
        let mut inherited = Self::default();
        let mut names = names.split(':');
        for place in 0..sockets.len() {
            let name = names.next().unwrap_or_default();
            let socket = sockets
                .take_tcp_listener(place)
                .with_context(|| format!("inherited socket {name:?}"))?;
            let ours = NAMES.into_iter().find(|ours| *ours == name);
            let ours = ours.with_context(|| {
                format!("inherited socket {name:?}: FileDescriptorName= is one of {NAMES:?}")
            })?;
            ensure!(
                !inherited.0.contains_key(ours),
                "inherited socket {name:?}: there are two"
            );
            inherited.0.extend(socket.map(|socket| (ours, socket)));
        }
        Ok(inherited)
    }

    /// The socket of a name, or one that is bound now.
    pub(crate) fn socket(
        &mut self,
        name: &str,
        addr: SocketAddr,
    ) -> io::Result<tokio::net::TcpListener> {
        or_bind(self.0.remove(name), addr)
    }
}

impl Drop for Inherited {
    /// Who connects to one that nobody serves waits for ever: an operator should know.
    fn drop(&mut self) {
        for name in self.0.keys() {
            tracing::warn!(
                socket = name,
                "inherited, but not configured: nobody serves it"
            );
        }
    }
}

/// A socket that listens already wins over the configured address.
fn or_bind(
    inherited: Option<TcpListener>,
    addr: SocketAddr,
) -> io::Result<tokio::net::TcpListener> {
    let Some(socket) = inherited else {
        return http_server::bind(addr);
    };
    socket.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(socket)?;
    tracing::info!(addr = %listener.local_addr()?, "listens on a socket of systemd's");
    Ok(listener)
}

/// Start-up is done. From now on a watchdog, where there is one, hears of us.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
    if let Some(most) = sd_notify::watchdog_enabled() {
        tokio::spawn(alive(most / 3));
    }
}

/// Stopping takes as long as it was configured to, whatever the unit's time-out is.
pub(crate) fn stopping(longest: Duration) {
    let micros = (longest + MARGIN).as_micros();
    let micros = u32::try_from(micros).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::Stopping,
        NotifyState::ExtendTimeoutUsec(micros),
    ]);
}

/// Only a runtime whose tasks run says so.
async fn alive(every: Duration) {
    let mut tick = tokio::time::interval(every.max(Duration::from_millis(100)));
    loop {
        tick.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!(%error, "systemd was not told");
    }
}
