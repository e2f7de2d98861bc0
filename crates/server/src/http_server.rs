//! Sockets of HTTP: bounded connections, HTTP/1.1 and HTTP/2, in clear text and over TLS, a drain
//! with an end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use futures_util::future::join_all;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::config::Http;
use crate::crowd::{Admission, Bounds, Crowd, Place};
use crate::http_connection::{Activity, Answer, Over, Unstalled};
use crate::metrics::{Metrics, Open};

const BACKLOG: i32 = 4096;
/// What may wait in a socket for its turn: with megabytes there, who does not read would be noticed
/// minutes later.
const UNSENT: u32 = 256 << 10;
/// A pause where accepting fails for want of descriptors.
const BREATH: Duration = Duration::from_millis(50);
/// Who is turned away has so long to read it; who has not asked yet, so long to ask.
const FAREWELL: Duration = Duration::from_secs(1);
const CROWDED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Type: text/plain\r\n\
    Content-Length: 26\r\nConnection: close\r\n\r\nthe server is at its limit";
/// What a peer may have us hold of a request, before anybody looks at it.
const HELD: usize = 64 << 10;
/// Requests of one HTTP/2 connection at a time.
const STREAMS: u32 = 256;
/// A peer that is gone is noticed, though it waits for media.
const PING: Duration = Duration::from_secs(20);

/// Binds; an unspecified IPv6 address takes IPv4 too.
pub(crate) fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// The same for datagrams.
pub(crate) fn bind_udp(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    UdpSocket::from_std(socket.into())
}

/// Where connections come in.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    /// Whether they speak TLS.
    pub(crate) tls: Option<TlsAcceptor>,
}

/// How a request came in: `http` or `https`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scheme(pub(crate) &'static str);

/// What all connections share.
struct Shared {
    crowd: Arc<Crowd>,
    connections: TaskTracker,
    builder: Builder<TokioExecutor>,
    router: Router,
    config: Http,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
}

/// Serves until told to stop, then until open requests have ended.
pub(crate) async fn serve(
    doors: Vec<Door>,
    router: Router,
    config: Http,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
) {
    let shared = Arc::new(Shared {
        crowd: Crowd::new(Bounds {
            all: config.max_connections,
            pending: config.max_connections.div_ceil(2),
            per_address: config.max_per_address,
        }),
        connections: TaskTracker::new(),
        builder: builder(&config),
        router,
        config,
        stop,
        metrics,
    });
    join_all(doors.into_iter().map(|door| accept(door, &shared))).await;
    shared.connections.close();
    shared.connections.wait().await;
}

async fn accept(door: Door, shared: &Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            accepted = door.listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let (mine, tls) = (Arc::clone(shared), door.tls.clone());
        match shared.crowd.enter(peer.ip()) {
            Admission::In(place) => drop(shared.connections.spawn(async move {
                let _open = Open::one_of(&mine.metrics.http_connections);
                let carried = Box::pin(enter(&mine, stream, tls, (peer, &place)));
                tokio::select! {
                    // How a client's connection ends is no news.
                    _ = carried => {}
                    () = place.outstayed() => mine.metrics.http_refused.inc(),
                }
            })),
            Admission::Away(place) if tls.is_none() => {
                shared.metrics.http_refused.inc();
                drop(shared.connections.spawn(async move {
                    let _place = place;
                    let _ = timeout(FAREWELL, turn_away(stream)).await;
                }));
            }
            _ => shared.metrics.http_refused.inc(),
        }
    }
}

/// Says that there is no room, and waits for the peer to have read it: a close with bytes unread
/// would take the answer back.
async fn turn_away(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(CROWDED).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Shakes hands where that is asked for.
async fn enter(
    shared: &Shared,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    peer: (SocketAddr, &Place),
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT)?;
    let begun = Instant::now();
    let stall = Duration::from_secs(shared.config.write_timeout_s);
    let stream = Unstalled::new(stream, stall, shared.metrics.http_stalled.clone());
    let Some(tls) = tls else {
        return connection(shared, stream, (peer, Scheme("http"), begun)).await;
    };
    let patience = Duration::from_secs(shared.config.header_timeout_s);
    let stream = timeout(patience, tls.accept(stream)).await??;
    connection(shared, stream, (peer, Scheme("https"), begun)).await
}

fn builder(config: &Http) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // It counts from the answer before: a connection that is kept would end in the face of who asks
    // again. The first request's header has `Activity`'s patience.
    let again = config.header_timeout_s.max(config.idle_timeout_s);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(again))
        .max_buf_size(HELD);
    let window = u32::try_from(HELD).unwrap_or(u32::MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(window)
        .initial_connection_window_size(window);
    builder
}

/// Who came just before a stop, and shakes hands or writes yet, still has an answer.
async fn closing(shared: &Shared, activity: &Activity) {
    shared.stop.cancelled().await;
    if !activity.was_asked() {
        tokio::time::sleep(FAREWELL).await;
    }
}

/// Carries one connection to its end; a stop and idleness let open requests finish.
async fn connection(
    shared: &Shared,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ((peer, place), scheme, begun): ((SocketAddr, &Place), Scheme, Instant),
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let activity = Activity::new(begun);
    let service = hyper::service::service_fn(|mut request: hyper::Request<Incoming>| {
        if !activity.was_asked() {
            place.settle();
        }
        let busy = activity.begin();
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(scheme);
        let answer = shared.router.clone().oneshot(request);
        async move {
            let answer = answer.await;
            answer.map(|response| response.map(|body| Answer::new(body, busy)))
        }
    });
    let connection = shared
        .builder
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let config = &shared.config;
    let first = Duration::from_secs(config.header_timeout_s);
    let later = Duration::from_secs(config.idle_timeout_s);
    let stall = Duration::from_secs(config.write_timeout_s);
    let mut over = tokio::select! {
        ended = connection.as_mut() => return ended,
        () = closing(shared, &activity) => Over::Idle,
        over = activity.over(first, later, stall) => over,
    };
    if over == Over::Idle && !activity.was_asked() && !shared.stop.is_cancelled() {
        // Half a header is waited for no longer, and has no answer.
        return Ok(());
    }
    if over == Over::Idle {
        connection.as_mut().graceful_shutdown();
        over = tokio::select! {
            ended = connection => return ended,
            over = activity.over(stall, stall, stall) => over,
        };
    }
    if over == Over::Stalled {
        shared.metrics.http_stalled.inc();
    }
    Ok(())
}
