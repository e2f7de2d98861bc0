//! Encoders come in: connections are bounded, requests decided, refusals told and counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rtmp::{Connection, Listener, PlayRequest, PublishRequest, Reject, Request};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, field};

use crate::config::Rtmp;
use crate::metrics::Metrics;
use crate::runtime::Manager;

/// A pause where accepting fails for want of descriptors.
const BREATH: Duration = Duration::from_millis(50);
/// The one application that encoders name.
const APP: &str = "live";
/// What a log line says of a name that is none.
const SHOWN: usize = 128;

/// How many connections there are, of whom, and how many of them have not said what they want.
#[derive(Debug, Default)]
struct Crowd {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    pending: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place among the connections, given back when it goes.
struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
    pending: bool,
}

impl Crowd {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, address: IpAddr, config: &Rtmp) -> Option<Place> {
        let mut counts = self.counts();
        let mine = counts.by_address.get(&address).copied().unwrap_or(0);
        if counts.all >= config.max_connections
            || counts.pending >= config.max_pending
            || mine >= config.max_per_address
        {
            return None;
        }
        counts.all += 1;
        counts.pending += 1;
        counts.by_address.insert(address, mine + 1);
        Some(Place {
            crowd: Arc::clone(self),
            address,
            pending: true,
        })
    }
}

impl Place {
    /// It said what it wants.
    fn settle(&mut self) {
        if std::mem::take(&mut self.pending) {
            self.crowd.counts().pending -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.settle();
        let mut counts = self.crowd.counts();
        counts.all -= 1;
        if let Some(mine) = counts.by_address.get_mut(&self.address) {
            *mine -= 1;
            if *mine == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

/// Takes encoders until told to stop, then waits for those that were told to leave.
pub(crate) async fn serve(
    listener: Listener,
    config: Rtmp,
    manager: Arc<Manager>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let crowd = Arc::new(Crowd::default());
    let sessions = TaskTracker::new();
    let mut serial = 0_u64;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let Ok(connection) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let peer = connection.peer();
        let Some(place) = crowd.enter(peer.ip().to_canonical(), &config) else {
            metrics.refused("overload");
            continue;
        };
        serial += 1;
        let span = tracing::info_span!("rtmp", session = serial, %peer, stream = field::Empty);
        let (manager, metrics) = (Arc::clone(&manager), Arc::clone(&metrics));
        let stop = stop.clone();
        let session = async move {
            let _open = metrics.rtmp_session();
            Box::pin(session(connection, place, &manager, &metrics, &stop)).await;
        };
        sessions.spawn(session.instrument(span));
    }
    sessions.close();
    sessions.wait().await;
}

async fn session(
    connection: Connection,
    mut place: Place,
    manager: &Manager,
    metrics: &Metrics,
    stop: &CancellationToken,
) {
    let request = tokio::select! {
        request = connection.request() => request,
        () = stop.cancelled() => return,
    };
    place.settle();
    match request {
        Ok(Request::Publish(request)) => Box::pin(publish(request, manager, metrics)).await,
        Ok(Request::Play(request)) => Box::pin(refuse_play(request, metrics)).await,
        Err(error) => {
            metrics.refused(error.kind.name());
            tracing::info!(%error, "no request");
        }
    }
}

async fn publish(request: PublishRequest, manager: &Manager, metrics: &Metrics) {
    let target = request.target();
    // What is no stream may hold a key that was mistyped into the name.
    if manager.knows(&target.name) {
        Span::current().record("stream", shown(&target.name));
    }
    let stream = manager.get(&target.name).filter(|_| target.app == APP);
    let (why, request) = match stream {
        Some(stream) => match Box::pin(stream.publish(request)).await {
            Ok(()) => return,
            Err(refused) => refused,
        },
        None if target.app == APP && manager.knows(&target.name) => (Reject::Disabled, request),
        None => (Reject::NotFound, request),
    };
    metrics.refused(why.name());
    tracing::info!(reason = why.name(), "publish refused");
    // A peer that does not wait for the answer has its own.
    let _ = request.reject(why).await;
}

async fn refuse_play(request: PlayRequest, metrics: &Metrics) {
    Span::current().record("stream", shown(&request.target().name));
    metrics.refused(Reject::Unsupported.name());
    tracing::info!("play refused: not supported");
    let _ = request.reject(Reject::Unsupported).await;
}

fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(SHOWN)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_has_bounds_and_places_come_back() {
        let config = Rtmp {
            max_connections: 3,
            max_pending: 2,
            max_per_address: 2,
            ..Rtmp::default()
        };
        let crowd = Arc::new(Crowd::default());
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut first = crowd.enter(a, &config).unwrap();
        let mut second = crowd.enter(a, &config).unwrap();
        assert!(crowd.enter(b, &config).is_none(), "two are pending");
        first.settle();
        assert!(crowd.enter(a, &config).is_none(), "two of one address");
        let third = crowd.enter(b, &config).unwrap();
        second.settle();
        assert!(crowd.enter(b, &config).is_none(), "three in all");
        drop((first, second, third));
        let counts = crowd.counts();
        assert_eq!(
            (counts.all, counts.pending, counts.by_address.len()),
            (0, 0, 0)
        );
    }
}
