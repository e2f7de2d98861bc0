//! What `weir-srt` does: carries datagrams between UDP and SRT as libsrt's srt-live-transmit does, or
//! passes on what publishers send to players of the same name. On the crate of the server.

mod end;
mod relay;

use std::sync::Arc;

use anyhow::Context as _;
use srt::{Reject, Session, Terms};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use self::end::{Caller, Datagrams, End};
pub use self::relay::relay;

/// Carries what comes from one address to the other, until one of them fails.
///
/// # Errors
/// Addresses that mean nothing, sockets that fail, and peers of ours that end; who listens goes on.
pub async fn transmit(from: &str, to: &str) -> anyhow::Result<()> {
    match (end::parse(from)?, end::parse(to)?) {
        (End::Datagrams(from), End::Caller(to)) => send(&from, to.dial().await?).await,
        (End::Caller(from), End::Datagrams(to)) => receive(from.dial().await?, &to).await,
        (End::Datagrams(from), End::Listener(at)) => {
            let mut callers = callers(&at)?;
            loop {
                let (session, _only) = callers.next().await?;
                // The next one may come.
                let _ = send(&from, session).await;
            }
        }
        (End::Listener(at), End::Datagrams(to)) => {
            let mut callers = callers(&at)?;
            loop {
                let (session, _only) = callers.next().await?;
                let _ = receive(session, &to).await;
            }
        }
        _ => anyhow::bail!("one end is udp://, the other srt://"),
    }
}

async fn send(from: &Datagrams, mut session: Session) -> anyhow::Result<()> {
    let mut played = Vec::new();
    // What came while nobody called.
    while from.take().is_some() {}
    loop {
        tokio::select! {
            first = from.receive() => {
                session.send(first?);
                while let Some(next) = from.take() {
                    session.send(next);
                }
            }
            open = session.next(&mut played) => anyhow::ensure!(open?, "the peer said goodbye"),
        }
        played.clear();
    }
}

async fn receive(mut session: Session, to: &Datagrams) -> anyhow::Result<()> {
    let mut played = Vec::new();
    while session.next(&mut played).await? {
        for payload in played.drain(..) {
            to.send(&payload).await;
        }
    }
    anyhow::bail!("the peer said goodbye")
}

/// Those that call a port, one after the other; who comes meanwhile is told that there is no room.
struct Callers {
    sessions: mpsc::Receiver<Only>,
    port: JoinHandle<anyhow::Result<()>>,
}

/// A session, and what keeps others out.
type Only = (Session, OwnedSemaphorePermit);

impl Callers {
    async fn next(&mut self) -> anyhow::Result<Only> {
        if let Some(session) = self.sessions.recv().await {
            return Ok(session);
        }
        (&mut self.port).await??;
        anyhow::bail!("the port is closed")
    }
}

fn callers(at: &Caller) -> anyhow::Result<Callers> {
    let mut listener = at.listen()?;
    let secret = at.passphrase();
    let (sender, sessions) = mpsc::channel(1);
    let room = Arc::new(Semaphore::new(1));
    let port = tokio::spawn(async move {
        loop {
            let mut request = listener.accept().await.context("the port")?;
            let Ok(only) = Arc::clone(&room).try_acquire_owned() else {
                request.reject(Reject::Overload);
                continue;
            };
            if let Err(why) = request.unlock(secret.clone()) {
                request.reject(why);
                continue;
            }
            if let Ok(session) = request.accept(Terms::default()) {
                sender.send((session, only)).await?;
            }
        }
    });
    Ok(Callers { sessions, port })
}
