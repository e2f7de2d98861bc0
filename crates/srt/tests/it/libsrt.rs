//! `srt-live-transmit`, with numbered payloads through its standard input and output.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UdpSocket;
use tokio::process::{Child, Command};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// What one packet carries.
pub(crate) const PAYLOAD: usize = 1316;
/// Nothing here takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A port that nobody uses now.
pub(crate) async fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.local_addr().unwrap().port()
}

/// A payload with its number.
pub(crate) fn numbered(number: u32) -> Vec<u8> {
    let mut payload = vec![0x47; PAYLOAD];
    payload[4..8].copy_from_slice(&number.to_be_bytes());
    payload
}

pub(crate) fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(*payload[4..].first_chunk().unwrap())
}

fn transmit(from: &str, to: &str) -> Child {
    Command::new("srt-live-transmit")
        .args(["-chunk:1316", "-loglevel:warn", from, to])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("srt-live-transmit is there: make setup")
}

/// It sends what it is given.
pub(crate) struct Sender(Child);

impl Sender {
    pub(crate) fn start(to: &str) -> Self {
        Self(transmit("file://con", to))
    }

    /// Sends payloads, one a millisecond. What it reads before it knows that it is connected it drops,
    /// ten payloads at a time: the first numbers may never come.
    pub(crate) async fn send(&mut self) -> Infallible {
        let input = self.0.stdin.as_mut().unwrap();
        let mut clock = interval(Duration::from_millis(1));
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for n in 0.. {
            clock.tick().await;
            input.write_all(&numbered(n)).await.unwrap();
        }
        unreachable!("numbers last longer than tests")
    }

    /// Waits until it complains of this.
    pub(crate) async fn complains(mut self, of: &str) {
        let errors = BufReader::new(self.0.stderr.take().unwrap());
        let mut lines = errors.lines();
        let complaint = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains(of) {
                    return;
                }
            }
            panic!("it never complained of {of}");
        };
        timeout(PATIENCE, complaint).await.unwrap();
    }
}

/// It receives.
pub(crate) struct Receiver(Child);

impl Receiver {
    pub(crate) fn start(from: &str) -> Self {
        Self(transmit(from, "file://con"))
    }

    /// So many bytes.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let output = self.0.stdout.as_mut().unwrap();
        let mut bytes = vec![0; count];
        let read = timeout(PATIENCE, output.read_exact(&mut bytes)).await;
        read.unwrap().unwrap();
        bytes
    }

    /// The numbers of the next payloads.
    pub(crate) async fn receive(&mut self, count: usize) -> Vec<u32> {
        let output = self.0.stdout.as_mut().unwrap();
        let mut numbers = Vec::new();
        let mut payload = vec![0; PAYLOAD];
        for _ in 0..count {
            let read = timeout(PATIENCE, output.read_exact(&mut payload)).await;
            read.unwrap_or_else(|_| panic!("silent after {numbers:?}"))
                .unwrap();
            numbers.push(number(&payload));
        }
        numbers
    }
}

pub(crate) fn address(addr: SocketAddr, query: &str) -> String {
    format!("srt://{addr}?{query}")
}
