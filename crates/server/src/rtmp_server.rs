//! RTMP peers come in: connections are bounded, requests decided, refusals told and counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use rtmp::{Connection, Listener, PlayRequest, PublishRequest, Request, Target};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, field};

use crate::access::Action;
use crate::config::Rtmp;
use crate::crowd::{Admission, Bounds, Crowd};
use crate::door::{self, Refusal, Reject, Wish};
use crate::metrics::Metrics;
use crate::runtime::{Failure, Guest, Opened, Stopper, Stream};

/// A pause where accepting fails for want of descriptors.
const BREATH: Duration = Duration::from_millis(50);
/// The one application that encoders name.
const APP: &str = "live";
const RTMP: &str = "rtmp";

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
    door: door::Door,
    stop: CancellationToken,
}

/// Takes peers until told to stop, then waits for those that were told to leave.
pub(crate) async fn serve(
    doors: Vec<Door>,
    config: Rtmp,
    door: door::Door,
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
        door,
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
            shared.door.metrics.refused(RTMP, Reject::Overload.name());
            continue;
        }
        let serial = shared.serial.fetch_add(1, Relaxed) + 1;
        let span = tracing::info_span!("rtmp", session = serial, %peer, stream = field::Empty);
        let (mine, tls) = (Arc::clone(shared), door.tls.clone());
        let session = async move {
            let _open = mine.door.metrics.session(RTMP);
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
    if !matches!(admission, Admission::In(_)) {
        return Box::pin(turn_away(request, &shared.door.metrics)).await;
    }
    match request {
        Request::Publish(request) => Box::pin(publish(request, shared)).await,
        Request::Play(request) => play(request, shared).await,
    }
}

/// Until the peer has said what it wants.
async fn opening(
    connection: Connection,
    tls: Option<TlsAcceptor>,
    admission: &Admission,
    shared: &Shared,
) -> Option<Request> {
    let metrics = &shared.door.metrics;
    let request = tokio::select! {
        request = request(connection, tls) => request,
        () = outstayed(admission) => {
            metrics.refused(RTMP, Reject::Overload.name());
            return None;
        }
        () = shared.stop.cancelled() => return None,
    };
    if let Admission::In(place) = admission {
        place.settle();
    }
    request
        .inspect_err(|error| {
            metrics.refused(RTMP, error.kind.name());
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
    metrics.refused(RTMP, Reject::Overload.name());
    tracing::info!("refused: the server is at its limit");
    // A peer that does not wait for the answer has its own.
    let _ = match request {
        Request::Publish(request) => request.reject(Reject::Overload.into()).await,
        Request::Play(request) => request.reject(Reject::Overload.into()).await,
    };
}

async fn publish(request: PublishRequest, shared: &Shared) {
    let (peer, wish) = (request.peer(), wish(request.target()));
    let found = Box::pin(admit(&wish, request.target(), peer, shared)).await;
    let refusal = match found {
        Ok((stream, opened)) => {
            let publishing = request.accept();
            let stopper = publishing.stopper();
            let guest = Guest {
                protocol: RTMP,
                peer,
                stopper: Stopper::new(move || stopper.stop()),
            };
            let run = |publisher, stats| async {
                let ended = publishing.run(publisher, stats).await;
                ended.map_err(|error| Failure::new(&error, &error.kind))
            };
            return Box::pin(stream.take(opened, guest, run)).await;
        }
        Err(refusal) => refusal,
    };
    shared.door.note(Action::Publish, &wish, peer, &refusal);
    // A peer that does not wait for the answer has its own.
    let words = refusal.words.as_deref();
    let _ = Box::pin(request.reject_saying(refusal.why.into(), words)).await;
}

async fn admit(
    wish: &Wish,
    target: &Target,
    peer: SocketAddr,
    shared: &Shared,
) -> Result<(Arc<Stream>, Opened), Refusal> {
    if target.app != APP {
        return Err(Reject::NotFound.into());
    }
    // Its key is all that an encoder knows.
    shared.door.open(wish, peer, &mut |_| Ok(())).await
}

async fn play(request: PlayRequest, shared: &Shared) {
    let (peer, wish) = (request.peer(), wish(request.target()));
    let found = Box::pin(seat(&wish, request.target(), peer, shared)).await;
    let (refusal, request) = match found {
        Ok((stream, rung)) => match stream.play(request, rung.as_deref()).await {
            Ok(()) => return,
            Err((why, request)) => (Refusal::from(why), request),
        },
        Err(refusal) => (refusal, request),
    };
    shared.door.note(Action::Play, &wish, peer, &refusal);
    let words = refusal.words.as_deref();
    let _ = Box::pin(request.reject_saying(refusal.why.into(), words)).await;
}

async fn seat(
    wish: &Wish,
    target: &Target,
    peer: SocketAddr,
    shared: &Shared,
) -> Result<(Arc<Stream>, Option<String>), Refusal> {
    if target.app != APP {
        return Err(Reject::NotFound.into());
    }
    shared.door.seat(wish, peer).await
}

fn wish(target: &Target) -> Wish {
    Wish {
        protocol: RTMP,
        name: target.name.clone(),
        key: target.key.clone(),
        input: target.input.clone(),
        query: target.query.clone(),
    }
}
