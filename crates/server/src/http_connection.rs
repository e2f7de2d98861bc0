//! What a connection may cost: a peer that asks nothing or takes nothing is let go.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use prometheus::IntCounter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::runtime::lock;

/// Requests of one connection: how many are under way, since when there are none, and how the
/// answers get on.
#[derive(Debug)]
pub(crate) struct Activity {
    under_way: AtomicUsize,
    asked: AtomicBool,
    since: Mutex<Instant>,
    answers: Mutex<Answers>,
}

/// When each answer that is under way was taken from last.
#[derive(Debug, Default)]
struct Answers {
    serial: u64,
    taken: BTreeMap<u64, Instant>,
}

/// Why a connection has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Nothing was asked for too long.
    Idle,
    /// An answer was not taken for too long: it holds segments that everybody else is done with.
    Stalled,
}

/// A request, until its answer is taken.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        *lock(&self.0.since) = Instant::now();
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

impl Activity {
    /// Of a connection that came at `begun`.
    pub(crate) fn new(begun: Instant) -> Arc<Self> {
        Arc::new(Self {
            under_way: AtomicUsize::new(0),
            asked: AtomicBool::new(false),
            since: Mutex::new(begun),
            answers: Mutex::default(),
        })
    }

    /// Whether there was a request yet.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.asked.store(true, Relaxed);
        self.under_way.fetch_add(1, Relaxed);
        Busy(Arc::clone(self))
    }

    /// Returns once nothing was asked for too long (`first` for the first request, `later` after),
    /// or an answer was not taken for as long as `stall`.
    pub(crate) async fn over(&self, first: Duration, later: Duration, stall: Duration) -> Over {
        loop {
            let most = if self.was_asked() { later } else { first };
            let now = Instant::now();
            let slowest = lock(&self.answers).taken.values().min().copied();
            let stalled = slowest.map(|at| at + stall);
            if stalled.is_some_and(|at| at <= now) {
                return Over::Stalled;
            }
            let idle = *lock(&self.since) + most;
            let busy = self.under_way.load(Relaxed) > 0;
            if !busy && idle <= now {
                return Over::Idle;
            }
            let next = if busy { now + most.min(stall) } else { idle };
            sleep_until(stalled.map_or(next, |at| at.min(next))).await;
        }
    }
}

/// A body that tells when it is taken from.
pub(crate) struct Answer {
    body: Body,
    busy: Busy,
    serial: u64,
}

impl Answer {
    pub(crate) fn new(body: Body, busy: Busy) -> Self {
        let mut answers = lock(&busy.0.answers);
        answers.serial += 1;
        let serial = answers.serial;
        answers.taken.insert(serial, Instant::now());
        drop(answers);
        Self { body, busy, serial }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let serial = self.serial;
        let next = Pin::new(&mut self.body).poll_frame(cx);
        let mut answers = lock(&self.busy.0.answers);
        // Where nothing is there to be taken, nobody is slow.
        match next.is_pending() {
            true => answers.taken.remove(&serial),
            false => answers.taken.insert(serial, Instant::now()),
        };
        drop(answers);
        next
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        lock(&self.busy.0.answers).taken.remove(&self.serial);
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
    use http_body_util::BodyExt as _;

    use super::*;

    const FIRST: Duration = Duration::from_secs(10);
    const LATER: Duration = Duration::from_secs(60);
    const STALL: Duration = Duration::from_secs(30);

    async fn over(activity: &Activity) -> Over {
        activity.over(FIRST, LATER, STALL).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_nothing_is_idle() {
        let begun = Instant::now();
        assert_eq!(over(&Activity::new(begun)).await, Over::Idle);
        assert!((FIRST..FIRST * 2).contains(&begun.elapsed()));
        // What came before the first request, such as a handshake, is within the same time.
        sleep(FIRST).await;
        let late = Instant::now();
        assert_eq!(over(&Activity::new(begun)).await, Over::Idle);
        assert_eq!(late.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_under_way_is_not_idle_however_long() {
        let activity = Activity::new(Instant::now());
        let busy = activity.begin();
        let asking = async {
            sleep(LATER * 5).await;
            drop(busy);
            Instant::now()
        };
        let begun = Instant::now();
        let (why, answered) = tokio::join!(over(&activity), asking);
        assert_eq!(why, Over::Idle);
        assert!(answered - begun == LATER * 5 && answered.elapsed() >= LATER);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_may_take_long_but_not_stand_still() {
        let activity = Activity::new(Instant::now());
        let frames = (0..20).map(|_| Ok::<_, io::Error>(Bytes::from_static(b"frame")));
        let body = Body::from_stream(futures_util::stream::iter(frames));
        let mut slow = Answer::new(body, activity.begin());
        // Another one that nobody takes from, at first beside the slow one, then alone.
        let taking = async {
            while slow.frame().await.is_some() {
                sleep(STALL / 2).await;
            }
            drop(slow);
            let stuck = Answer::new(Body::from("stuck"), activity.begin());
            (stuck, Instant::now())
        };
        let (why, (_stuck, from)) = tokio::join!(over(&activity), taking);
        assert_eq!(why, Over::Stalled);
        assert!((STALL..STALL * 2).contains(&from.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_has_nothing_to_give_yet_is_not_slow() {
        let activity = Activity::new(Instant::now());
        let frames = (0..3).map(|_| async {
            sleep(STALL * 3).await;
            Ok::<_, io::Error>(Bytes::from_static(b"chunk"))
        });
        let frames = futures_util::StreamExt::buffered(futures_util::stream::iter(frames), 1);
        let mut growing = Answer::new(Body::from_stream(frames), activity.begin());
        let reading = async {
            while growing.frame().await.is_some() {}
            drop(growing);
            Instant::now()
        };
        let (why, read) = tokio::join!(over(&activity), reading);
        assert_eq!(why, Over::Idle);
        assert!(read.elapsed() >= LATER);
    }
}
