//! Peers that mean no good: garbage of every kind, and connections that never say what they want.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::actors::Weir;

/// Connections of a flood that are made at a time.
const AT_ONCE: usize = 200;
/// Peers that send garbage at the same time.
const TALKERS: u64 = 48;
/// How long one of them listens for an answer.
const LISTEN: Duration = Duration::from_millis(500);
/// How a TLS client begins: a handshake record of 512 bytes with a ClientHello in it.
const HELLO: [u8; 11] = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whence connections come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The address of everybody else.
    Ours,
    /// Another one.
    Other,
    /// Two hundred and fifty others.
    Many,
}

impl Origin {
    pub(super) const ALL: [Self; 3] = [Self::Ours, Self::Other, Self::Many];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "our address",
            Self::Other => "another address",
            Self::Many => "250 addresses",
        }
    }

    fn address(self, n: usize) -> IpAddr {
        let last = u8::try_from(n % 250).unwrap_or_default() + 1;
        IpAddr::V4(match self {
            Self::Ours => Ipv4Addr::LOCALHOST,
            Self::Other => Ipv4Addr::new(127, 0, 0, 2),
            Self::Many => Ipv4Addr::new(127, 0, 1, last),
        })
    }
}

/// Half of what a peer would have to say, and where.
#[derive(Debug, Clone)]
pub(super) struct Half {
    pub(super) name: &'static str,
    at: SocketAddr,
    says: Vec<u8>,
}

/// Every kind there is.
pub(super) fn halves(weir: &Weir) -> Vec<Half> {
    let half = |name, at, says: &[u8]| Half {
        name,
        at,
        says: says.to_vec(),
    };
    let post = format!(
        "POST /api/v1/streams HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{\"na",
        Weir::TOKEN
    );
    vec![
        half("RTMP, nothing", weir.rtmp, b""),
        half("RTMP, half a handshake", weir.rtmp, &[3; 700]),
        half("RTMPS, half a hello", weir.rtmps, &HELLO),
        half("HTTPS, half a hello", weir.https, &HELLO),
        half("HTTP, half a request line", weir.http, b"GET /news/index"),
        half(
            "HTTP, half a header",
            weir.http,
            b"GET / HTTP/1.1\r\nHost: we",
        ),
        half("HTTP, half a body", weir.http, post.as_bytes()),
        half("HTTP/2, a preface", weir.http, PREFACE),
    ]
}

/// Connections that stay where they are.
#[derive(Debug, Default)]
pub(super) struct Flood {
    sockets: Vec<TcpStream>,
    /// Those that could not be made.
    pub(super) failed: usize,
}

impl Flood {
    /// Makes so many.
    pub(super) async fn of(half: &Half, origin: Origin, connections: usize) -> Self {
        let making = (0..connections).map(|n| open(half, origin.address(n)));
        let made: Vec<_> = stream::iter(making)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let sockets: Vec<_> = made.into_iter().flatten().collect();
        let failed = connections - sockets.len();
        Self { sockets, failed }
    }

    /// How many the server has not closed.
    pub(super) fn held(&self) -> usize {
        let open = |socket: &&TcpStream| {
            let mut said = [0; 4096];
            loop {
                match socket.try_read(&mut said) {
                    Ok(0) => return false,
                    Ok(_) => {}
                    Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
                }
            }
        };
        self.sockets.iter().filter(open).count()
    }
}

async fn open(half: &Half, from: IpAddr) -> io::Result<TcpStream> {
    let mut socket = connect(half.at, from).await?;
    socket.write_all(&half.says).await?;
    Ok(socket)
}

async fn connect(at: SocketAddr, from: IpAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    let connecting = timeout(Duration::from_secs(5), socket.connect(at));
    connecting.await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// Peers that send garbage to every port until they are dropped.
#[derive(Debug)]
pub(super) struct Garbage {
    _talkers: JoinSet<()>,
    sent: Arc<AtomicU64>,
}

impl Garbage {
    pub(super) fn to(weir: &Weir) -> Self {
        let ports = [weir.rtmp, weir.rtmps, weir.http, weir.https];
        let sent = Arc::new(AtomicU64::new(0));
        let mut talkers = JoinSet::new();
        for n in 0..TALKERS {
            let sent = Arc::clone(&sent);
            talkers.spawn(async move {
                let mut noise = Noise(n + 1);
                for port in ports.into_iter().cycle() {
                    // What becomes of it is the server's affair.
                    let _ = talk(port, &mut noise).await;
                    sent.fetch_add(1, Relaxed);
                }
            });
        }
        Self {
            _talkers: talkers,
            sent,
        }
    }

    /// Connections so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }
}

async fn talk(at: SocketAddr, noise: &mut Noise) -> io::Result<()> {
    let from = Origin::Many.address(noise.below(250));
    let mut socket = connect(at, from).await?;
    let kind = noise.below(8);
    if kind == 7 {
        for byte in PREFACE.iter().take(20) {
            socket.write_all(&[*byte]).await?;
            sleep(Duration::from_millis(100)).await;
        }
        return Ok(());
    }
    let len = noise.below(40_000);
    socket.write_all(&beginning(kind)).await?;
    socket.write_all(&noise.bytes(len)).await?;
    let mut answer = [0; 4096];
    let listening = async {
        while socket.read(&mut answer).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(LISTEN, listening).await;
    Ok(())
}

/// What makes garbage look like something for a moment.
fn beginning(kind: usize) -> Vec<u8> {
    match kind {
        0 => Vec::new(),
        // A whole handshake of RTMP, then chunks that are none.
        1 => [&[3][..], &[0; 3072]].concat(),
        2 => HELLO.to_vec(),
        3 => PREFACE.to_vec(),
        4 => [&b"GET /"[..], &[b'a'; 100_000]].concat(),
        5 => b"X: y\r\n".repeat(20_000),
        _ => b"GET / HTTP/1.1\r\nHost: weir\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n"
            .to_vec(),
    }
}

/// Numbers that are the same in each run (xorshift).
#[derive(Debug)]
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or_default() % most
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len.div_ceil(8))
            .flat_map(|_| self.next().to_le_bytes())
            .collect()
    }
}
