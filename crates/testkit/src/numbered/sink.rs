//! Counts numbered datagrams that come to a port.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::spawn;
use std::time::Duration;

use super::account::{Account, Arrivals};
use crate::link::{prefer, widen};

const LARGEST: usize = 2_048;
/// It is dropped: the thread sees that after this.
const LOOK: Duration = Duration::from_millis(50);

/// Counts until it is dropped.
#[derive(Debug)]
pub struct Sink {
    /// Where it listens.
    pub address: SocketAddr,
    account: Arc<Mutex<Account>>,
}

impl Sink {
    /// Listens on a free port of the loopback.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn open() -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        widen(&socket);
        socket.set_read_timeout(Some(LOOK))?;
        let address = socket.local_addr()?;
        let account = Arc::<Mutex<Account>>::default();
        let of = Arc::clone(&account);
        spawn(move || {
            prefer();
            let mut buffer = [0; LARGEST];
            while Arc::strong_count(&of) > 1 {
                if let Ok(length) = socket.recv(&mut buffer) {
                    lock(&of).take(&buffer[..length], super::now());
                }
            }
        });
        Ok(Self { address, account })
    }

    /// One more than the highest number that came.
    #[must_use]
    pub fn end(&self) -> u64 {
        lock(&self.account).end()
    }

    /// What came of those until now.
    #[must_use]
    pub fn of(&self, range: Range<u64>) -> Arrivals {
        lock(&self.account).of(range)
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::Pacer;
    use super::*;

    #[test]
    fn what_is_sent_at_a_pace_arrives_and_is_counted() {
        let sink = Sink::open().unwrap();
        let pacer = Pacer::start(sink.address, 8_000_000, 4).unwrap();
        while sink.end() < 100 {
            std::thread::yield_now();
        }
        let sent = pacer.end();
        while sink.end() < sent {
            std::thread::yield_now();
        }
        let all = sink.of(0..sent);
        assert_eq!(
            (all.sent, all.missing, all.duplicate, all.damaged),
            (sent, 0, 0, 0)
        );
        assert!(all.delays.iter().all(|d| *d > 0));
    }
}
