//! Sockets: connections, requests before any media flows, and the loop that reads a publisher.

use std::fmt::Debug;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use container::ingest::Stats;
use hub::{EndReason, Publisher};
use media::{Span, Timestamp};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::bridge::Bridge;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::play::Playing;
use crate::reply::Reject;
use crate::session::{Event, Session};
use crate::target::Target;

/// One read takes at most this much of a publisher, or of a server.
pub(crate) const READ: usize = 64 << 10;
/// Before media less is enough.
pub(crate) const READ_REQUEST: usize = 4 << 10;
/// What players say is little, and comes seldom.
const READ_WORDS: usize = 2 << 10;
/// After a minute at most nobody is taken to be there.
pub(crate) const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);
/// What may wait in a socket for its turn: with megabytes there, who does not read would be noticed
/// minutes later.
pub(crate) const UNSENT: u32 = 256 << 10;
/// A goodbye is given this long to arrive before the connection closes.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// Accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    config: Config,
}

impl Listener {
    /// Listens on a bound socket.
    #[must_use]
    pub const fn new(socket: TcpListener, config: Config) -> Self {
        Self { socket, config }
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// As the socket says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next connection. Nothing of it was read yet.
    ///
    /// # Errors
    /// As the socket says; most pass, such as a want of file descriptors.
    pub async fn accept(&self) -> io::Result<Connection> {
        let (stream, peer) = self.socket.accept().await?;
        stream.set_nodelay(true)?;
        // A player is sent nothing while its stream holds: a dead one must be noticed all the same.
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(&KEEPALIVE)?;
        socket.set_tcp_notsent_lowat(UNSENT)?;
        Ok(Connection {
            stream: Box::new(stream),
            peer,
            config: self.config,
            session: Session::new(self.config),
            deadline: Instant::now() + self.config.request_timeout,
        })
    }
}

/// What a session runs over: TCP, or TLS on it.
pub trait Transport: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> Transport for T {}

/// Appends what has come; 0 where the peer has hung up.
pub(crate) async fn read(
    stream: &mut Box<dyn Transport>,
    input: &mut BytesMut,
    most: usize,
) -> io::Result<usize> {
    input.reserve(most);
    hung_up(stream.read_buf(input).await)
}

/// Sends answers, all of them within `patience`.
pub(crate) async fn send(
    stream: &mut Box<dyn Transport>,
    output: &[u8],
    patience: Duration,
) -> Result<(), ErrorKind> {
    if output.is_empty() {
        return Ok(());
    }
    // What TLS holds back is out only with a flush.
    let send = async {
        stream.write_all(output).await?;
        stream.flush().await
    };
    let sent = timeout(patience, send).await;
    sent.map_err(|_| ErrorKind::TimedOut("answering"))??;
    Ok(())
}

/// A connection whose peer has not said what it wants.
#[derive(Debug)]
pub struct Connection {
    pub(crate) stream: Box<dyn Transport>,
    peer: SocketAddr,
    pub(crate) config: Config,
    pub(crate) session: Session,
    /// For the request, whatever comes before it.
    deadline: Instant,
}

/// What a peer wants.
#[derive(Debug)]
pub enum Request {
    /// To send media.
    Publish(PublishRequest),
    /// To receive it.
    Play(PlayRequest),
}

impl Connection {
    /// The other end.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Puts a layer between the socket and the session, such as TLS, within the time for a request.
    ///
    /// # Errors
    /// As the layer says.
    pub async fn layered<T, F>(
        self,
        layer: impl FnOnce(Box<dyn Transport>) -> F,
    ) -> Result<Self, Error>
    where
        T: Transport + 'static,
        F: Future<Output = io::Result<T>>,
    {
        let Self {
            stream,
            peer,
            config,
            session,
            deadline,
        } = self;
        let error = |kind| Error {
            peer,
            position: 0,
            kind,
        };
        let layered = timeout_at(deadline, layer(stream)).await;
        let stream = layered
            .map_err(|_| error(ErrorKind::TimedOut("shaking hands")))?
            .map_err(|e| error(ErrorKind::Io(e)))?;
        Ok(Self {
            stream: Box::new(stream),
            peer,
            config,
            session,
            deadline,
        })
    }

    /// Shakes hands and waits for a request, within the bounds of time and bytes.
    ///
    /// # Errors
    /// A peer that breaks the protocol or a bound, or hangs up.
    pub async fn request(mut self) -> Result<Request, Error> {
        let event = timeout_at(self.deadline, self.next_request())
            .await
            .unwrap_or(Err(ErrorKind::TimedOut("waiting for a request")));
        match event {
            Ok(Event::Publish(target)) => Ok(Request::Publish(PublishRequest {
                connection: self,
                target,
            })),
            Ok(Event::Play(target)) => Ok(Request::Play(PlayRequest {
                connection: self,
                target,
            })),
            Ok(_) => Err(self.error(ErrorKind::Closed)),
            Err(kind) => Err(self.error(kind)),
        }
    }

    async fn next_request(&mut self) -> Result<Event, ErrorKind> {
        loop {
            while let Some(event) = self.poll().await? {
                match event {
                    Event::Publish(_) | Event::Play(_) | Event::Finished => {
                        self.flush().await?;
                        return Ok(event);
                    }
                    _ => {}
                }
            }
            if poll_fn(|cx| self.poll_words(cx)).await? == 0 {
                return Err(ErrorKind::Closed);
            }
        }
    }

    /// The next event, with all answers sent before anything is waited for.
    async fn poll(&mut self) -> Result<Option<Event>, ErrorKind> {
        let event = self.session.poll()?;
        if event.is_none() {
            self.flush().await?;
        }
        Ok(event)
    }

    /// As `poll`, but an answer that cannot be sent is no end: an encoder that has hung up leaves
    /// its last media and its goodbye to be read.
    async fn poll_media(&mut self) -> Result<Option<Event>, ErrorKind> {
        match self.poll().await {
            Err(ErrorKind::Io(_)) => Ok(None),
            polled => polled,
        }
    }

    async fn fill(&mut self) -> Result<usize, ErrorKind> {
        let input = self.session.input();
        let len = read(&mut self.stream, input, READ).await?;
        self.session.received(len);
        Ok(len)
    }

    /// Reads what a peer says beside media.
    pub(crate) fn poll_words(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorKind>> {
        let session = &mut self.session;
        poll_words(&mut self.stream, cx, |words| {
            session.input().extend_from_slice(words);
            session.received(words.len());
        })
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        let output = self.session.output();
        send(&mut self.stream, &output, self.config.write_timeout).await
    }

    async fn refuse(mut self, why: Reject, words: Option<&str>) -> Result<(), Error> {
        self.session.reject(why, words);
        self.say_goodbye().await.map_err(|kind| self.error(kind))
    }

    /// Sends what is left and closes, so that the peer reads the answer and not a reset: what it
    /// sent meanwhile must be taken from the socket first.
    pub(crate) async fn say_goodbye(&mut self) -> Result<(), ErrorKind> {
        let goodbye = async {
            self.flush().await?;
            self.stream.shutdown().await?;
            self.drain().await;
            Ok(())
        };
        // One that takes nothing holds its place no longer than that.
        timeout(LINGER, goodbye).await.unwrap_or(Ok(()))
    }

    /// Sends what is left and lets the peer close: some take it for a failure if we do.
    async fn hear_goodbye(&mut self) -> Result<(), ErrorKind> {
        let goodbye = async {
            self.flush().await?;
            self.drain().await;
            Ok(())
        };
        timeout(LINGER, goodbye).await.unwrap_or(Ok(()))
    }

    async fn drain(&mut self) {
        let mut read = async || poll_fn(|cx| poll_words(&mut self.stream, cx, |_| ())).await;
        while read().await.is_ok_and(|len| len > 0) {}
    }

    pub(crate) const fn error(&self, kind: ErrorKind) -> Error {
        Error {
            peer: self.peer,
            position: self.session.position(),
            kind,
        }
    }
}

/// Reads a little. While the peer is silent nothing is held for what it may say.
pub(crate) fn poll_words(
    stream: &mut Box<dyn Transport>,
    cx: &mut Context<'_>,
    take: impl FnOnce(&[u8]),
) -> Poll<Result<usize, ErrorKind>> {
    let mut room = [MaybeUninit::uninit(); READ_WORDS];
    let mut room = ReadBuf::uninit(&mut room);
    let polled = ready!(Pin::new(stream).poll_read(cx, &mut room));
    let len = hung_up(polled.map(|()| room.filled().len()))?;
    take(room.filled());
    Poll::Ready(Ok(len))
}

/// Many hang up without a word, under TLS too.
fn hung_up(read: io::Result<usize>) -> io::Result<usize> {
    use io::ErrorKind::{ConnectionReset, UnexpectedEof};
    match read {
        Err(e) if matches!(e.kind(), ConnectionReset | UnexpectedEof) => Ok(0),
        read => read,
    }
}

/// A request to publish.
#[derive(Debug)]
pub struct PublishRequest {
    connection: Connection,
    target: Target,
}

impl PublishRequest {
    /// What is to be published.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The other end.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.connection.peer
    }

    /// Lets the peer send.
    #[must_use]
    pub fn accept(mut self) -> Publishing {
        self.connection.session.accept_publish();
        Publishing {
            connection: self.connection,
            stop: watch::Sender::new(false),
        }
    }

    /// Tells the peer why not, and closes.
    ///
    /// # Errors
    /// A peer that does not listen.
    pub async fn reject(self, why: Reject) -> Result<(), Error> {
        self.connection.refuse(why, None).await
    }

    /// The same in words of somebody else, where there are some.
    ///
    /// # Errors
    /// A peer that does not listen.
    pub async fn reject_saying(self, why: Reject, words: Option<&str>) -> Result<(), Error> {
        self.connection.refuse(why, words).await
    }
}

/// A request to play.
#[derive(Debug)]
pub struct PlayRequest {
    connection: Connection,
    target: Target,
}

impl PlayRequest {
    /// What is to be played.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The other end.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.connection.peer
    }

    /// Lets the peer listen.
    #[must_use]
    pub fn accept(self) -> Playing {
        Playing::new(self.connection)
    }

    /// Tells the peer why not, and closes.
    ///
    /// # Errors
    /// A peer that does not listen.
    pub async fn reject(self, why: Reject) -> Result<(), Error> {
        self.connection.refuse(why, None).await
    }

    /// The same in words of somebody else, where there are some.
    ///
    /// # Errors
    /// A peer that does not listen.
    pub async fn reject_saying(self, why: Reject, words: Option<&str>) -> Result<(), Error> {
        self.connection.refuse(why, words).await
    }
}

/// Ends a publisher from outside.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Closes the connection. More than once does nothing more.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// An accepted publisher.
#[derive(Debug)]
pub struct Publishing {
    connection: Connection,
    stop: watch::Sender<bool>,
}

impl Publishing {
    /// A handle that ends it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Carries media to `publisher` until either side is done. Dropping the future closes.
    ///
    /// # Errors
    /// A peer that breaks the protocol or a bound, or falls silent. The broadcast has ended then.
    pub async fn run(
        mut self,
        publisher: Publisher,
        stats: Arc<Stats>,
    ) -> Result<EndReason, Error> {
        let mut bridge = Bridge::new(publisher, Arc::clone(&stats));
        let mut stop = self.stop.subscribe();
        let result = tokio::select! {
            result = self.carry(&mut bridge, &stats) => result,
            _ = stop.wait_for(|stop| *stop) => Ok(EndReason::Kicked),
        };
        match result {
            Ok(reason) => {
                bridge.into_publisher().end(reason);
                // A goodbye that is not heard changes nothing.
                let _ = match reason {
                    EndReason::Finished => self.connection.hear_goodbye().await,
                    _ => self.connection.say_goodbye().await,
                };
                Ok(reason)
            }
            Err(kind) => Err(self.connection.error(kind)),
        }
    }

    async fn carry(&mut self, bridge: &mut Bridge, stats: &Stats) -> Result<EndReason, ErrorKind> {
        let start = Instant::now();
        let mut heard = start;
        loop {
            let read = Instant::now();
            let now = Timestamp::ZERO + Span::from(read - start);
            while let Some(event) = self.connection.poll_media().await? {
                match event {
                    Event::Media {
                        kind,
                        timestamp,
                        body,
                    } => {
                        heard = read;
                        stats.heard();
                        bridge.media(kind, timestamp, body, now)?;
                    }
                    Event::Metadata(metadata) => bridge.metadata(metadata, now),
                    Event::Ignored(reason) => stats.ignored(reason),
                    Event::Finished => return Ok(EndReason::Finished),
                    Event::Publish(_) | Event::Play(_) => {}
                }
            }
            let patience = self.connection.config.read_timeout;
            if heard.elapsed() > patience {
                return Err(ErrorKind::TimedOut("waiting for media"));
            }
            let read = timeout(patience, self.connection.fill()).await;
            let len = read.map_err(|_| ErrorKind::TimedOut("waiting for media"))??;
            if len == 0 {
                return Ok(EndReason::Dropped);
            }
            stats.read(len);
        }
    }
}
