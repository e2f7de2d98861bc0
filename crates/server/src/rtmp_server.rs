//! RTMP peers come in: connections are bounded, requests decided, refusals told and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use rtmp::{Connection, Listener, PlayRequest, PublishRequest, Reject, Request, Target};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, field};

use crate::config::Rtmp;
use crate::crowd::{Admission, Bounds, Crowd};
use crate::metrics::Metrics;
use crate::runtime::{Manager, Stream};

/// A pause where accepting fails for want of descriptors.
const BREATH: Duration = Duration::from_millis(50);
/// The one application that encoders name.
const APP: &str = "live";
/// What a log line says of a name that is none.
const SHOWN: usize = 128;

/// Where connections come in.
pub(crate) struct Door {
    pub(crate) listener: Listener,
    /// Whether they speak TLS.
    pub(crate) tls: Option<TlsAcceptor>,
}

/// What all sessions share.
struct Shared {
    crowd: Arc<Crowd>,
    serial: AtomicU64,
    sessions: TaskTracker,
    manager: Arc<Manager>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

/// Takes peers until told to stop, then waits for those that were told to leave.
pub(crate) async fn serve(
    doors: Vec<Door>,
    config: Rtmp,
    manager: Arc<Manager>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let shared = Arc::new(Shared {
        crowd: Crowd::new(Bounds {
            all: config.max_connections,
            pending: config.max_pending,
            per_address: config.max_per_address,
        }),
        serial: AtomicU64::new(0),
        sessions: TaskTracker::new(),
        manager,
        metrics,
        stop,
    });
    join_all(doors.into_iter().map(|door| accept(door, &shared))).await;
    shared.sessions.close();
    shared.sessions.wait().await;
}

async fn accept(door: Door, shared: &Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            accepted = door.listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        let Ok(connection) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let peer = connection.peer();
        let admission = shared.crowd.enter(peer.ip());
        if let Admission::Shut = admission {
            shared.metrics.refused(Reject::Overload.name());
            continue;
        }
        let serial = shared.serial.fetch_add(1, Relaxed) + 1;
        let span = tracing::info_span!("rtmp", session = serial, %peer, stream = field::Empty);
        let (mine, tls) = (Arc::clone(shared), door.tls.clone());
        let session = async move {
            let _open = mine.metrics.rtmp_session();
            session(connection, tls, admission, &mine).await;
        };
        shared.sessions.spawn(session.instrument(span));
    }
}

async fn session(
    connection: Connection,
    tls: Option<TlsAcceptor>,
    admission: Admission,
    shared: &Shared,
) {
    // Steps that pass have a memory of their own, given back before a player stays for hours.
    let Some(request) = Box::pin(opening(connection, tls, &admission, shared)).await else {
        return;
    };
    let (manager, metrics) = (&shared.manager, &shared.metrics);
    if !matches!(admission, Admission::In(_)) {
        return Box::pin(turn_away(request, metrics)).await;
    }
    match request {
        Request::Publish(request) => Box::pin(publish(request, manager, metrics)).await,
        Request::Play(request) => play(request, manager, metrics).await,
    }
}

/// Until the peer has said what it wants.
async fn opening(
    connection: Connection,
    tls: Option<TlsAcceptor>,
    admission: &Admission,
    shared: &Shared,
) -> Option<Request> {
    let metrics = &shared.metrics;
    let request = tokio::select! {
        request = request(connection, tls) => request,
        () = outstayed(admission) => {
            metrics.refused(Reject::Overload.name());
            return None;
        }
        () = shared.stop.cancelled() => return None,
    };
    if let Admission::In(place) = admission {
        place.settle();
    }
    request
        .inspect_err(|error| {
            metrics.refused(error.kind.name());
            tracing::info!(%error, "no request");
        })
        .ok()
}

async fn outstayed(admission: &Admission) {
    match admission {
        Admission::In(place) => place.outstayed().await,
        _ => std::future::pending().await,
    }
}

async fn request(
    mut connection: Connection,
    tls: Option<TlsAcceptor>,
) -> Result<Request, rtmp::Error> {
    if let Some(tls) = tls {
        connection = connection.layered(|stream| tls.accept(stream)).await?;
    }
    connection.request().await
}

async fn turn_away(request: Request, metrics: &Metrics) {
    metrics.refused(Reject::Overload.name());
    tracing::info!("refused: the server is at its limit");
    // A peer that does not wait for the answer has its own.
    let _ = match request {
        Request::Publish(request) => request.reject(Reject::Overload).await,
        Request::Play(request) => request.reject(Reject::Overload).await,
    };
}

async fn publish(request: PublishRequest, manager: &Manager, metrics: &Metrics) {
    let (why, request) = match find(request.target(), manager) {
        Ok(stream) => match Box::pin(stream.publish(request)).await {
            Ok(()) => return,
            Err(refused) => refused,
        },
        Err(why) => (why, request),
    };
    metrics.refused(why.name());
    tracing::info!(reason = why.name(), "publish refused");
    // A peer that does not wait for the answer has its own.
    let _ = Box::pin(request.reject(why)).await;
}

async fn play(request: PlayRequest, manager: &Manager, metrics: &Metrics) {
    let (why, request) = match find(request.target(), manager) {
        Ok(stream) => match stream.play(request).await {
            Ok(()) => return,
            Err(request) => (Reject::Disabled, request),
        },
        Err(why) => (why, request),
    };
    metrics.refused(why.name());
    tracing::info!(reason = why.name(), "play refused");
    let _ = Box::pin(request.reject(why)).await;
}

/// The stream that a request is for.
fn find(target: &Target, manager: &Manager) -> Result<Arc<Stream>, Reject> {
    let known = manager.knows(&target.name);
    // What is no stream may hold a key that was mistyped into the name.
    if known {
        Span::current().record("stream", shown(&target.name));
    }
    if target.app != APP || !known {
        return Err(Reject::NotFound);
    }
    manager.get(&target.name).ok_or(Reject::Disabled)
}

fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(SHOWN)]
}
