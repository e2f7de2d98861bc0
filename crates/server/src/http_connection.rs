//! What a connection may cost: a peer that asks nothing or takes nothing is let go.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use prometheus::IntCounter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Requests of one connection: how many are under way, and since when there are none.
#[derive(Debug)]
pub(crate) struct Activity {
    under_way: AtomicUsize,
    asked: AtomicBool,
    since: Mutex<Instant>,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            asked: AtomicBool::new(false),
            since: Mutex::new(Instant::now()),
        }
    }
}

/// A request, until it is answered.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.since() = Instant::now();
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

impl Activity {
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.asked.store(true, Relaxed);
        self.under_way.fetch_add(1, Relaxed);
        Busy(Arc::clone(self))
    }

    fn since(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once nothing was asked for too long: `first` for the first request, `later` after.
    pub(crate) async fn idle(&self, first: Duration, later: Duration) {
        loop {
            let most = if self.asked.load(Relaxed) {
                later
            } else {
                first
            };
            let over = *self.since() + most;
            let busy = self.under_way.load(Relaxed) > 0;
            if !busy && over <= Instant::now() {
                return;
            }
            sleep_until(if busy { Instant::now() + most } else { over }).await;
        }
    }
}

/// A socket whose writes fail once the peer has taken nothing for too long: it holds segments
/// that everybody else is done with.
#[derive(Debug)]
pub(crate) struct Unstalled {
    stream: TcpStream,
    most: Duration,
    stalled: IntCounter,
    /// Made at the first full buffer, then used again.
    patience: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Unstalled {
    pub(crate) const fn new(stream: TcpStream, most: Duration, stalled: IntCounter) -> Self {
        Self {
            stream,
            most,
            stalled,
            patience: None,
            waiting: false,
        }
    }

    fn progress<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.waiting = false;
            return poll;
        }
        let most = self.most;
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(most)));
        if !std::mem::replace(&mut self.waiting, true) {
            patience.as_mut().reset(Instant::now() + most);
        }
        ready!(patience.as_mut().poll(cx));
        self.stalled.inc();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Unstalled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Unstalled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.progress(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.progress(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(10);
    const LATER: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_nothing_is_idle() {
        let begun = Instant::now();
        Activity::default().idle(FIRST, LATER).await;
        assert!((FIRST..FIRST * 2).contains(&begun.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_under_way_is_not_idle_however_long() {
        let activity = Arc::new(Activity::default());
        let busy = activity.begin();
        let asking = async {
            sleep(LATER * 5).await;
            drop(busy);
            Instant::now()
        };
        let begun = Instant::now();
        let ((), answered) = tokio::join!(activity.idle(FIRST, LATER), asking);
        assert!(answered - begun == LATER * 5 && answered.elapsed() >= LATER);
    }
}
