//! Many publishers and players on one port: what a server does, without what is in the media.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::bail;
use bytes::Bytes;
use srt::{Mode, Passphrase, Reject, Request, Session, Terms};
use tokio::sync::broadcast::{self, error::RecvError};

use super::end::{self, End};

/// Payloads that a player may be behind; then it loses them.
const BEHIND: usize = 4_096;
/// Streams whose names begin with this have the passphrase of the address, or this one.
const SECRET: &str = "secret";
const PASSPHRASE: &str = "over-hill-and-dale";

type Streams = Arc<Mutex<HashMap<String, broadcast::Sender<Bytes>>>>;

/// Takes publishers and players on the port of `srt://:PORT?mode=listener`.
///
/// # Errors
/// An address that means nothing, or a port that fails.
pub async fn relay(address: &str) -> anyhow::Result<()> {
    let End::Listener(at) = end::parse(address)? else {
        bail!("{address}: not srt://:PORT?mode=listener");
    };
    let mut listener = at.listen()?;
    let secret = at.passphrase().or_else(|| Passphrase::new(PASSPHRASE));
    let streams = Streams::default();
    loop {
        let request = listener.accept().await?;
        enter(request, &streams, secret.as_ref());
    }
}

fn enter(mut request: Request, streams: &Streams, secret: Option<&Passphrase>) {
    let name = request.target().name.clone();
    let secret = secret.filter(|_| name.starts_with(SECRET)).cloned();
    if let Err(why) = request.unlock(secret) {
        return request.reject(why);
    }
    let terms = Terms::default();
    let known = lock(streams).get(&name).cloned();
    match (request.target().mode, known) {
        (Mode::Publish, None) => {
            if let Ok(session) = request.accept(terms) {
                let (sender, _) = broadcast::channel(BEHIND);
                lock(streams).insert(name.clone(), sender.clone());
                tokio::spawn(publish(session, sender, name, Arc::clone(streams)));
            }
        }
        (Mode::Publish, Some(_)) => request.reject(Reject::Busy),
        (Mode::Read, Some(stream)) => {
            if let Ok(session) = request.accept(terms) {
                tokio::spawn(play(session, stream.subscribe()));
            }
        }
        (Mode::Read, None) => request.reject(Reject::NotFound),
        _ => request.reject(Reject::BadRequest),
    }
}

async fn publish(
    mut session: Session,
    to: broadcast::Sender<Bytes>,
    name: String,
    streams: Streams,
) {
    let mut played = Vec::new();
    while let Ok(true) = session.next(&mut played).await {
        for payload in played.drain(..) {
            // Nobody may be there to play it.
            let _ = to.send(payload);
        }
    }
    lock(&streams).remove(&name);
}

async fn play(mut session: Session, mut from: broadcast::Receiver<Bytes>) {
    let mut played = Vec::new();
    loop {
        tokio::select! {
            payload = from.recv() => match payload {
                Ok(payload) => session.send(payload),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return session.close().await,
            },
            open = session.next(&mut played) => if !matches!(open, Ok(true)) {
                return;
            },
        }
        while let Ok(payload) = from.try_recv() {
            session.send(payload);
        }
        played.clear();
    }
}

fn lock(streams: &Streams) -> MutexGuard<'_, HashMap<String, broadcast::Sender<Bytes>>> {
    streams.lock().unwrap_or_else(PoisonError::into_inner)
}
