//! Both sides of the handshake, over sockets of this machine; time is our own.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::UdpSocket;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::{change, record};
use crate::cipher::Passphrase;
use crate::config::Config;
use crate::dial::{Allowed, DialError, dial};
use crate::error::Reject;
use crate::handshake::{Handshake, MAGIC, Request};
use crate::listen::{Listener, Terms};
use crate::session::Session;
use crate::stats::Stats;
use crate::url::Url;

/// Datagrams of one input.
const MOST: usize = 8;
const PASSPHRASE: &str = "not-to-be-guessed";
/// Nothing more happens when this has passed: a datagram is there as soon as it was sent.
const MOMENT: Duration = Duration::from_millis(1);
/// In a packet: where it goes, who sent it, and its cookie.
const DESTINATION: usize = 12;
const SOCKET: usize = 40;
const COOKIE: usize = 44;

/// Which side encrypts, and whether keys are looked at twice, then datagrams: how, length in two bytes, body. A listener gets them, then
/// a caller does.
pub fn handshake(data: &[u8]) {
    let Some((who, mut data)) = data.split_first() else {
        return;
    };
    let next = || record::<3>(&mut data).map(|(head, body)| (head[0], body));
    let datagrams: Vec<(u8, &[u8])> = std::iter::from_fn(next).take(MOST).collect();
    datagrams.iter().for_each(|(_, d)| comes_back(d));
    let secret = |flag: u8| (who & flag > 0).then_some(PASSPHRASE);
    runtime().block_on(async {
        listened(&datagrams, secret(1), who & 4 > 0).await;
        called(&datagrams, secret(2)).await;
    });
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.expect("a runtime")
}

/// What is read is written as it was, and no longer.
fn comes_back(packet: &[u8]) {
    if let Ok(shake) = Handshake::read(packet) {
        let again = shake.write([10, 0, 0, 1].into());
        assert!(again.len() <= packet.len());
        assert_eq!(Handshake::read(&again), Ok(shake));
    }
}

async fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await;
    socket.expect("a port of this machine")
}

/// A caller that asked a listener once, and may send anything now.
struct Caller {
    listener: Listener,
    socket: UdpSocket,
    cookie: [u8; 4],
    sessions: Vec<Session>,
    /// Bytes in either direction before a session.
    asked: usize,
    answered: usize,
}

async fn listened(datagrams: &[(u8, &[u8])], secret: Option<&'static str>, twice: bool) {
    let secret = secret.and_then(Passphrase::new);
    let mut caller = Caller::new().await;
    for (how, datagram) in datagrams {
        caller.sends(*how, datagram, &secret, twice).await;
    }
}

impl Caller {
    async fn new() -> Self {
        let listener = Listener::new(socket().await, Config::default());
        let socket = socket().await;
        let address = listener.local_addr().expect("an address");
        socket.connect(address).await.expect("a way");
        let mut caller = Self {
            listener,
            socket,
            cookie: [0; 4],
            sessions: Vec::new(),
            asked: 0,
            answered: 0,
        };
        let mut question = BytesMut::zeroed(64);
        change(&mut question, &[0x80]);
        change(&mut question[16..], &[0, 0, 0, 4]);
        change(&mut question[36..], &[0, 0, 0, 1]);
        assert!(caller.send(&question).await.is_none());
        let answers = caller.answers().await;
        let shake = answers.first().map(|a| Handshake::read(a));
        let shake = shake.expect("an answer").expect("a handshake");
        assert_eq!(
            (shake.request, shake.extension),
            (Request::Induction, MAGIC)
        );
        caller.cookie = shake.cookie.to_be_bytes();
        caller
    }

    async fn send(&mut self, packet: &[u8]) -> Option<crate::listen::Request> {
        self.asked += packet.len();
        let _ = self.socket.send(packet).await;
        let request = timeout(MOMENT, self.listener.accept()).await;
        request.ok().and_then(Result::ok)
    }

    /// All that has come, which is not more than was asked.
    async fn answers(&mut self) -> Vec<BytesMut> {
        let mut all = Vec::new();
        let mut packet = BytesMut::with_capacity(2048);
        while let Ok(Ok(len)) = timeout(MOMENT, self.socket.recv_buf(&mut packet)).await {
            self.answered += len;
            all.push(std::mem::replace(
                &mut packet,
                BytesMut::with_capacity(2048),
            ));
        }
        assert!(!self.sessions.is_empty() || self.answered <= self.asked);
        all
    }

    /// With our cookie, to a session of ours, or just so.
    async fn sends(&mut self, how: u8, datagram: &[u8], secret: &Option<Passphrase>, twice: bool) {
        let mut packet = BytesMut::from(datagram);
        if how & 1 > 0
            && let Some(place) = packet.get_mut(COOKIE..COOKIE + 4)
        {
            place.copy_from_slice(&self.cookie);
        }
        if how & 2 > 0
            && let Some(place) = packet.get_mut(DESTINATION..DESTINATION + 4)
        {
            place.fill(0);
        }
        let request = self.send(&packet).await;
        if let Some(request) = request {
            assert_eq!(packet.get(COOKIE..COOKIE + 4), Some(&self.cookie[..]));
            assert!(self.answers().await.is_empty());
            self.decided(how, request, (secret, twice)).await;
        }
        for session in &mut self.sessions {
            let _ = timeout(MOMENT, session.next(&mut Vec::new())).await;
        }
        self.answers().await;
    }

    async fn decided(
        &mut self,
        how: u8,
        mut request: crate::listen::Request,
        (secret, twice): (&Option<Passphrase>, bool),
    ) {
        assert!(request.target().text.len() <= 512);
        if how & 4 > 0 {
            request.reject(Reject::Busy);
        } else {
            let encrypted = request.is_encrypted();
            if twice {
                // Another one was asked about before.
                let other = request.unlock(Passphrase::new("quite-another-one"));
                assert!(other.is_err());
            }
            let unlocked = request.unlock(secret.clone());
            assert!(unlocked.is_err() || encrypted == secret.is_some());
            let session = match unlocked {
                Ok(()) => request.accept(Terms::default()),
                Err(why) => {
                    request.reject(why);
                    Err(why)
                }
            };
            self.sessions.extend(session);
        }
        let answers = self.answers().await;
        let [answer] = &answers[..] else {
            panic!("{} answers", answers.len());
        };
        comes_back(answer);
        let shake = Handshake::read(answer).expect("a handshake");
        let let_in = shake.request == Request::Conclusion;
        assert!(let_in || matches!(shake.request, Request::Refused(1000..)));
        assert_eq!(shake.extensions.delays.is_some(), let_in);
    }
}

/// A server that answers as it likes.
async fn called(datagrams: &[(u8, &[u8])], secret: Option<&'static str>) {
    let server = socket().await;
    let port = server.local_addr().map_or(0, |a| a.port());
    let secret = secret.map_or(String::new(), |s| format!("&passphrase={s}"));
    let url = format!("srt://127.0.0.1:{port}?streamid=%23!::r=news{secret}");
    let url: Url = url.parse().expect("an address");
    let allowed = Allowed::new(|_| true);
    let stats = Arc::<Stats>::default();
    let mut dialled = pin!(dial(&url, &allowed, Config::default(), stats));
    let mut datagrams = datagrams.iter();
    let ended = tokio::select! {
        ended = &mut dialled => ended,
        never = answer(&server, &mut datagrams) => match never {},
    };
    let mut session = match ended {
        Ok(session) => session,
        Err(DialError::Session(error)) => {
            assert!(!error.kind.to_string().is_empty());
            return;
        }
        Err(error) => panic!("{error}"),
    };
    assert!(session.receive_latency() >= Config::default().latency);
    for (_, datagram) in datagrams {
        let _ = server.send_to(datagram, session.peer()).await;
        let _ = timeout(MOMENT, session.next(&mut Vec::new())).await;
    }
}

/// Each question gets the next datagram: as it is, for the caller's socket, or an honest answer
/// that is changed by it.
async fn answer(
    server: &UdpSocket,
    datagrams: &mut std::slice::Iter<'_, (u8, &[u8])>,
) -> std::convert::Infallible {
    loop {
        let mut question = BytesMut::with_capacity(2048);
        let Ok((_, caller)) = server.recv_buf_from(&mut question).await else {
            continue;
        };
        comes_back(&question);
        let Some((how, datagram)) = datagrams.next() else {
            continue;
        };
        let mut packet = BytesMut::from(*datagram);
        if how & 4 > 0 {
            packet = honest(&question);
            change(&mut packet, datagram);
        }
        if how & 8 > 0
            && let Some(place) = packet.get_mut(DESTINATION..DESTINATION + 4)
        {
            place.copy_from_slice(&question[SOCKET..SOCKET + 4]);
        }
        let _ = server.send_to(&packet, caller).await;
    }
}

/// What a listener says to it.
fn honest(question: &[u8]) -> BytesMut {
    let asked = Handshake::read(question).expect("a question of ours");
    let mut answer = Handshake {
        destination: asked.socket,
        version: 5,
        extension: MAGIC,
        ..asked
    };
    if answer.request == Request::Conclusion {
        answer.extensions.stream_id = None;
        answer.extensions.answers = true;
        answer.extension = answer.extensions.flags();
    }
    answer.write(Ipv4Addr::LOCALHOST.into())
}
