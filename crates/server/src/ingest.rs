//! Encoders come in: connections are bounded, requests decided, refusals told and counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rtmp::{Connection, Listener, PublishRequest, Reject, Request};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Rtmp;
use crate::metrics::Metrics;
use crate::runtime::Manager;

const BREATH: Duration = Duration::from_millis(50);
/// The one application that encoders name.
const APP: &str = "live";

/// How many connections each address has.
#[derive(Debug, Default)]
struct Crowd {
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A place among the connections, given back when it goes.
struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Crowd {
    fn enter(self: &Arc<Self>, address: IpAddr, config: &Rtmp) -> Option<Place> {
        let mut by_address = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all: usize = by_address.values().sum();
        let mine = by_address.entry(address).or_default();
        if all >= config.max_connections || *mine >= config.max_per_address {
            return None;
        }
        *mine += 1;
        Some(Place {
            crowd: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_address = self
            .crowd
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = by_address.get_mut(&self.address) {
            *mine -= 1;
            if *mine == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// Takes encoders until told to stop.
pub(crate) async fn serve(
    listener: Listener,
    config: Rtmp,
    manager: Arc<Manager>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let crowd = Arc::new(Crowd::default());
    let sessions = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok(connection) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let address = connection.peer().ip().to_canonical();
        let Some(place) = crowd.enter(address, &config) else {
            metrics.refused("overload");
            continue;
        };
        let (manager, metrics) = (Arc::clone(&manager), Arc::clone(&metrics));
        sessions.spawn(async move {
            metrics.rtmp_sessions.inc();
            Box::pin(session(connection, &manager, &metrics)).await;
            metrics.rtmp_sessions.dec();
            drop(place);
        });
    }
}

async fn session(connection: Connection, manager: &Manager, metrics: &Metrics) {
    match connection.request().await {
        Ok(Request::Publish(request)) => Box::pin(publish(request, manager, metrics)).await,
        Ok(Request::Play(request)) => {
            let peer = request.peer();
            metrics.refused(Reject::Unsupported.name());
            tracing::info!(%peer, stream = request.target().name, "play refused: not supported");
            let _ = request.reject(Reject::Unsupported).await;
        }
        Err(error) => {
            metrics.refused(error.kind.name());
            tracing::info!(%error, "no request");
        }
    }
}

async fn publish(request: PublishRequest, manager: &Manager, metrics: &Metrics) {
    let target = request.target();
    let stream = manager.get(&target.name).filter(|_| target.app == APP);
    let refused = match stream {
        Some(stream) => match stream.publish(request).await {
            Ok(()) => return,
            Err(refused) => refused,
        },
        None => {
            let known = manager.store.get(&target.name).await;
            let disabled = target.app == APP && known.is_ok_and(|r| r.is_some());
            let why = if disabled {
                Reject::Disabled
            } else {
                Reject::NotFound
            };
            (why, request)
        }
    };
    let (why, request) = refused;
    let (peer, name) = (request.peer(), &request.target().name);
    metrics.refused(why.name());
    tracing::info!(%peer, stream = name, reason = why.name(), "publish refused");
    // A peer that does not wait for the answer has its own.
    let _ = request.reject(why).await;
}
