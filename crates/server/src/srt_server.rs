//! SRT peers come in: callers are bounded, requests decided, refusals told and counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use srt::{Listener, Mode, Playing, Publishing, Request, Target, Terms};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, field};

use crate::access::Action;
use crate::config::Srt;
use crate::crowd::{Admission, Bounds, Crowd};
use crate::door::{Door, Refusal, Reject, Wish};
use crate::model::StreamConfig;
use crate::runtime::{Failure, Guest, Stopper};

const SRT: &str = "srt";
/// A pause where the socket fails.
const BREATH: Duration = Duration::from_millis(50);

/// What all sessions share.
struct Shared {
    crowd: Arc<Crowd>,
    door: Door,
    read_timeout: Duration,
    write_timeout: Duration,
}

/// Takes callers until told to stop, then carries the others on until all have left.
pub(crate) async fn serve(
    mut listener: Listener,
    config: Srt,
    door: Door,
    stop: CancellationToken,
) {
    let shared = Arc::new(Shared {
        crowd: Crowd::new(Bounds {
            all: config.max_connections,
            pending: config.max_connections,
            per_address: config.max_per_address,
        }),
        door,
        read_timeout: Duration::from_secs(config.read_timeout_s),
        write_timeout: Duration::from_secs(config.write_timeout_s),
    });
    let sessions = TaskTracker::new();
    let mut serial: u64 = 0;
    loop {
        let request = tokio::select! {
            request = listener.accept() => request,
            () = stopped(&stop, &sessions) => return,
        };
        let Ok(request) = request else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        if stop.is_cancelled() {
            request.reject(srt::Reject::Disabled);
            continue;
        }
        serial += 1;
        let peer = request.peer();
        let span = tracing::info_span!("srt", session = serial, %peer, stream = field::Empty);
        let mine = Arc::clone(&shared);
        sessions.spawn(async move { session(request, &mine).await }.instrument(span));
    }
}

/// Sessions get what comes for them as long as somebody asks the listener for more.
async fn stopped(stop: &CancellationToken, sessions: &TaskTracker) {
    stop.cancelled().await;
    sessions.close();
    sessions.wait().await;
}

async fn session(request: Request, shared: &Shared) {
    let admission = shared.crowd.enter(request.peer().ip());
    let Admission::In(place) = &admission else {
        shared.door.metrics.refused(SRT, Reject::Overload.name());
        tracing::info!("refused: the server is at its limit");
        return request.reject(srt::Reject::Overload);
    };
    // It has said what it wants.
    place.settle();
    let _open = shared.door.metrics.session(SRT);
    let wish = wish(request.target());
    match request.target().mode {
        // Steps that pass have a memory of their own.
        Mode::Publish if !wish.name.is_empty() => publish(request, wish, shared).await,
        Mode::Read if !wish.name.is_empty() => play(request, wish, shared).await,
        _ => {
            let why = srt::Reject::BadRequest;
            shared.door.metrics.refused(SRT, why.name());
            tracing::info!("refused: {why}");
            request.reject(why);
        }
    }
}

fn wish(target: &Target) -> Wish {
    Wish {
        protocol: SRT,
        name: target.name.clone(),
        key: target.key.clone(),
        input: target.input.clone(),
        query: target.query(),
    }
}

impl Shared {
    fn refuse(&self, action: Action, wish: &Wish, request: Request, refusal: &Refusal) {
        self.door.note(action, wish, request.peer(), refusal);
        request.reject(refusal.why.into());
    }

    /// Its keys cannot be; it was told so.
    fn note_keys(&self, action: Action, wish: &Wish, peer: SocketAddr, why: srt::Reject) {
        let refusal = Reject::Secret(why).into();
        self.door.note(action, wish, peer, &refusal);
    }
}

async fn publish(mut request: Request, wish: Wish, shared: &Shared) {
    let peer = request.peer();
    let mut unlock = |config: &StreamConfig| unlock(&mut request, config, Action::Publish);
    let opened = Box::pin(shared.door.open(&wish, peer, &mut unlock)).await;
    let (stream, opened) = match opened {
        Ok(found) => found,
        Err(refusal) => return shared.refuse(Action::Publish, &wish, request, &refusal),
    };
    let terms = Terms {
        latency: stream.config().srt_latency(),
        ..Terms::default()
    };
    let session = match request.accept(terms) {
        Ok(session) => session,
        Err(why) => return shared.note_keys(Action::Publish, &wish, peer, why),
    };
    let publishing =
        Publishing::new(session, shared.read_timeout).of_programme(opened.input().program);
    let stopper = publishing.stopper();
    let guest = Guest {
        protocol: SRT,
        peer,
        stopper: Stopper::new(move || stopper.stop()),
    };
    let run = |publisher, stats| async {
        let ended = publishing.run(publisher, stats).await;
        ended.map_err(|error| Failure::new(&error, &error.kind))
    };
    stream.take(opened, guest, run).await;
}

async fn play(mut request: Request, wish: Wish, shared: &Shared) {
    let peer = request.peer();
    let seated = Box::pin(async {
        let (stream, rung) = shared.door.seat(&wish, peer).await?;
        unlock(&mut request, &stream.config(), Action::Play)?;
        let packets = stream.ts(rung.as_deref()).await?;
        Ok::<_, Refusal>((stream, packets))
    });
    let (stream, packets) = match seated.await {
        Ok(found) => found,
        Err(refusal) => return shared.refuse(Action::Play, &wish, request, &refusal),
    };
    let terms = Terms {
        latency: stream.config().srt_latency(),
        ..Terms::default()
    };
    let link = Arc::clone(&terms.stats);
    match request.accept(terms) {
        Ok(session) => {
            let playing = Playing::new(session, shared.write_timeout);
            stream.play_srt(playing, &packets, (peer, link)).await;
        }
        Err(why) => shared.note_keys(Action::Play, &wish, peer, why),
    }
}

fn unlock(request: &mut Request, config: &StreamConfig, action: Action) -> Result<(), Reject> {
    let passphrase = config.srt_passphrase(action);
    request.unlock(passphrase).map_err(Reject::Secret)
}
