//! RTMP peers come in: connections are bounded, requests decided, refusals told and counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use rtmp::{Connection, Listener, PlayRequest, PublishRequest, Reject, Request, Target};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, field};

use crate::access::{Access, Action, Decision, Refused, Visitor};
use crate::config::Rtmp;
use crate::crowd::{Admission, Bounds, Crowd};
use crate::metrics::Metrics;
use crate::model::Callback;
use crate::runtime::{Barren, Manager, Stream, check_key};

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
    access: Arc<Access>,
    stop: CancellationToken,
}

/// Takes peers until told to stop, then waits for those that were told to leave.
pub(crate) async fn serve(
    doors: Vec<Door>,
    config: Rtmp,
    manager: Arc<Manager>,
    (metrics, access): (Arc<Metrics>, Arc<Access>),
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
        access,
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
    if !matches!(admission, Admission::In(_)) {
        return Box::pin(turn_away(request, &shared.metrics)).await;
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

/// Who is turned away hears why, and so do those who listen to events.
struct Refusal {
    why: Reject,
    /// In whose words, where they are not ours.
    words: Option<String>,
}

impl From<Reject> for Refusal {
    fn from(why: Reject) -> Self {
        Self { why, words: None }
    }
}

async fn publish(request: PublishRequest, shared: &Shared) {
    let found = Box::pin(admit(request.target(), request.peer(), shared)).await;
    let (refusal, request) = match found {
        Ok((stream, redirected)) => match Box::pin(stream.publish(request, redirected)).await {
            Ok(()) => return,
            Err((why, request)) => (Refusal::from(why), request),
        },
        Err(refusal) => (refusal, request),
    };
    shared.note(Action::Publish, request.target(), request.peer(), &refusal);
    // A peer that does not wait for the answer has its own.
    let words = refusal.words.as_deref();
    let _ = Box::pin(request.reject_saying(refusal.why, words)).await;
}

async fn play(request: PlayRequest, shared: &Shared) {
    let found = Box::pin(seat(request.target(), request.peer(), shared)).await;
    let (refusal, request) = match found {
        Ok((stream, rung)) => match stream.play(request, rung.as_deref()).await {
            Ok(()) => return,
            Err((why, request)) => (Refusal::from(why), request),
        },
        Err(refusal) => (refusal, request),
    };
    shared.note(Action::Play, request.target(), request.peer(), &refusal);
    let words = refusal.words.as_deref();
    let _ = Box::pin(request.reject_saying(refusal.why, words)).await;
}

impl Shared {
    fn note(&self, action: Action, target: &Target, peer: SocketAddr, refusal: &Refusal) {
        let reason = refusal.why.name();
        self.metrics.refused(reason);
        // What is no stream may hold a key that was mistyped into the name.
        let known = self.manager.knows(&target.name);
        let refused = Refused {
            action,
            protocol: "rtmp",
            stream: if known { &target.name } else { "" },
            peer,
            reason,
            detail: refusal.words.as_deref(),
        };
        tracing::info!(reason, words = refusal.words, "{} refused", action.name());
        self.access.tell_refused(&self.manager.events, &refused);
    }

    async fn ask(
        &self,
        callback: Option<&Callback>,
        action: Action,
        target: &Target,
        peer: SocketAddr,
    ) -> Result<Option<String>, Refusal> {
        let Some(callback) = callback else {
            return Ok(None);
        };
        let visitor = Visitor {
            action,
            stream: &target.name,
            protocol: "rtmp",
            peer,
            query: &target.query,
            agent: None,
        };
        match self.access.decide(callback, &visitor).await {
            Decision::Allow => Ok(None),
            Decision::Redirect(to) => Ok(Some(to)),
            Decision::Deny(words) => Err(Refusal {
                why: Reject::Denied,
                words: Some(words),
            }),
        }
    }
}

/// The stream that an encoder may publish, and whether it was led there: made now, where a template
/// is for its name. Its key is looked at before anybody is asked.
async fn admit(
    target: &Target,
    peer: SocketAddr,
    shared: &Shared,
) -> Result<(Arc<Stream>, bool), Refusal> {
    let manager = &shared.manager;
    let (config, unborn) = match find(target, manager) {
        Ok(stream) => (stream.config(), false),
        Err(Reject::NotFound) if target.app == APP => {
            let unborn = manager.unborn(&target.name).ok_or(Reject::NotFound)?;
            (unborn.config().clone(), true)
        }
        Err(why) => return Err(why.into()),
    };
    check_key(&config, target)?;
    let callback = config.on_publish.as_ref();
    let led = shared.ask(callback, Action::Publish, target, peer).await?;
    if let Some(name) = led {
        let stream = manager.get(&name).ok_or(Reject::NotFound)?;
        Span::current().record("stream", name);
        return Ok((stream, true));
    }
    if unborn {
        let address = peer.ip().to_canonical();
        let hatched = manager.hatch(&target.name, address).await;
        Span::current().record("stream", shown(&target.name));
        return hatched.map(|stream| (stream, false)).map_err(barren);
    }
    let stream = manager.get(&target.name).ok_or(Reject::Disabled)?;
    Ok((stream, false))
}

fn barren(why: Barren) -> Refusal {
    match why {
        Barren::NoTemplate => Reject::NotFound.into(),
        Barren::Limit => Refusal {
            why: Reject::Overload,
            words: Some("no more streams may be made just now".to_owned()),
        },
        Barren::Failed => Reject::Overload.into(),
    }
}

/// The stream that a player gets, and which of its renditions: `name@rung` names one.
async fn seat(
    target: &Target,
    peer: SocketAddr,
    shared: &Shared,
) -> Result<(Arc<Stream>, Option<String>), Refusal> {
    let manager = &shared.manager;
    let mut target = target.clone();
    let rung = match target.name.split_once('@') {
        Some((name, rung)) => {
            let rung = rung.to_owned();
            target.name = name.to_owned();
            Some(rung)
        }
        None => None,
    };
    let stream = find(&target, manager)?;
    let callback = stream.config().on_play;
    let led = shared
        .ask(callback.as_ref(), Action::Play, &target, peer)
        .await?;
    match led {
        Some(name) => Ok((manager.get(&name).ok_or(Reject::NotFound)?, rung)),
        None => Ok((stream, rung)),
    }
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
