//! A caller that says by hand what is said; it waits a second for each answer.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::hostile::Standing;
use super::kind::Kind;
use super::packet::data;
use super::shake::{Answer, Shake, request};

const ANSWERED: Duration = Duration::from_secs(1);
const LARGEST: usize = 2_048;

/// One end of a connection, or of what may become one.
#[derive(Debug)]
pub struct Caller {
    socket: UdpSocket,
    id: u32,
}

impl Caller {
    /// From any port of an address of this host.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn from(address: IpAddr, target: SocketAddr, id: u32) -> io::Result<Self> {
        let socket = UdpSocket::bind((address, 0))?;
        socket.connect(target)?;
        socket.set_read_timeout(Some(ANSWERED))?;
        Ok(Self { socket, id })
    }

    /// Says it. Nobody may be there, or the buffers full: that is as good as said.
    pub fn say(&self, datagram: &[u8]) {
        let _ = self.socket.send(datagram);
    }

    /// The next datagram of that kind; none within a second.
    #[must_use]
    pub fn hear(&self, wanted: impl Fn(Kind) -> bool) -> Option<Vec<u8>> {
        let begin = Instant::now();
        let mut buffer = [0; LARGEST];
        while begin.elapsed() < ANSWERED {
            if let Ok(length) = self.socket.recv(&mut buffer)
                && wanted(Kind::of(&buffer[..length]))
            {
                return Some(buffer[..length].to_vec());
            }
        }
        None
    }

    /// How many datagrams have come until now.
    #[must_use]
    pub fn heard(&self) -> u64 {
        let mut buffer = [0; LARGEST];
        let mut all = 0;
        let _ = self.socket.set_nonblocking(true);
        while self.socket.recv(&mut buffer).is_ok() {
            all += 1;
        }
        let _ = self.socket.set_nonblocking(false);
        all
    }

    fn answer(&self) -> Option<Answer> {
        Shake::answer(&self.hear(|kind| kind == Kind::Handshake)?)
    }

    /// The first half of a handshake: the cookie, where there is an answer.
    #[must_use]
    pub fn induct(&self) -> Option<Answer> {
        self.say(&Shake::induction(self.id).bytes());
        self.answer()
    }

    /// The second half, however it is twisted: what came of it, where there is an answer.
    #[must_use]
    pub fn conclude(&self, stream_id: &str, twist: impl FnOnce(Shake) -> Shake) -> Option<Answer> {
        let cookie = self.induct()?.cookie;
        self.say(&twist(Shake::conclusion(self.id, cookie, stream_id)).bytes());
        self.answer()
    }

    /// An honest handshake: the connection, where it is accepted.
    #[must_use]
    pub fn stand(&self, stream_id: &str) -> Option<Standing> {
        let answer = self.conclude(stream_id, |shake| shake)?;
        (answer.request == request::CONCLUSION).then_some(Standing {
            socket: answer.socket,
            theirs: answer.isn,
            ours: Shake::induction(0).isn,
        })
    }

    /// Whether the other end still takes this one for connected: payload is acknowledged, or flows.
    #[must_use]
    pub fn lives(&self, standing: &Standing) -> bool {
        let _ = self.heard();
        self.say(&data(standing.ours, 0, standing.socket, &[0x47; 188]));
        let alive = [Kind::Ack, Kind::LightAck, Kind::Plain, Kind::Retransmitted];
        self.hear(|kind| alive.contains(&kind)).is_some()
    }
}
