//! Waiting: who is woken, and that giving up a wait loses nothing.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use hub::{EndReason, Event, Limits, Options, Subscriber};

use crate::fixture::{Seen, delta, key, stage};

async fn read(subscriber: &mut Subscriber) -> Vec<Seen> {
    let mut batch = Vec::new();
    subscriber.next(&mut batch).await;
    batch.iter().map(Seen::from).collect()
}

#[tokio::test(start_paused = true)]
async fn a_push_wakes_every_reader() {
    let mut s = stage(Limits::default());
    let relay = tokio::spawn(s.relay.run());
    let readers: Vec<_> = (0..100)
        .map(|_| {
            let mut reader = s.publisher.broadcast().subscribe(Options::default());
            tokio::spawn(async move { (read(&mut reader).await, read(&mut reader).await) })
        })
        .collect();
    tokio::task::yield_now().await;
    s.publisher.push(key(0)).unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    s.publisher.end(EndReason::Finished);
    let expected = (
        vec![Seen::Group(0, 0), Seen::Frame(0)],
        vec![Seen::End(EndReason::Finished)],
    );
    for reader in readers {
        assert_eq!(reader.await.unwrap(), expected);
    }
    relay.await.unwrap();
}

/// Begins a wait and gives it up.
fn poll_once(reader: &mut Subscriber, batch: &mut Vec<Event>) -> Poll<()> {
    let wait = pin!(reader.next(batch));
    wait.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_cancelled_wait_loses_nothing() {
    let mut s = stage(Limits::default());
    let mut reader = s.publisher.broadcast().subscribe(Options::default());
    let mut batch = Vec::new();
    for ms in 0..100 {
        assert!(poll_once(&mut reader, &mut batch).is_pending());
        let frame = if ms % 10 == 0 { key(ms) } else { delta(ms) };
        s.publisher.push(frame).unwrap();
        assert!(poll_once(&mut reader, &mut batch).is_ready());
    }
    let frames = batch.iter().filter(|e| matches!(e, Event::Frame(_)));
    assert_eq!(frames.count(), 100);
}

#[tokio::test(start_paused = true)]
async fn without_a_relay_the_writer_wakes_the_readers() {
    let mut s = stage(Limits::default());
    drop(s.relay);
    let mut reader = s.publisher.broadcast().subscribe(Options::default());
    let reading = tokio::spawn(async move { (read(&mut reader).await, read(&mut reader).await) });
    tokio::task::yield_now().await;
    s.publisher.push(key(0)).unwrap();
    tokio::task::yield_now().await;
    drop(s.publisher);
    let (first, last) = reading.await.unwrap();
    assert_eq!(first.len(), 2);
    assert_eq!(last, [Seen::End(EndReason::Dropped)]);
}

#[tokio::test(start_paused = true)]
async fn the_relay_ends_with_a_dropped_presentation() {
    let s = stage(Limits::default());
    let relay = tokio::spawn(s.relay.run());
    let mut reader = s.publisher.broadcast().subscribe(Options::default());
    drop(s.presentation);
    assert_eq!(read(&mut reader).await, [Seen::End(EndReason::Dropped)]);
    relay.await.unwrap();
}

/// A reader with much to catch up with gives way to others on its thread.
#[tokio::test(start_paused = true)]
async fn catching_up_yields() {
    let mut s = stage(Limits::default());
    s.publisher.push(key(0)).unwrap();
    let mut reader = s.publisher.broadcast().subscribe(Options::default());
    let mut gave_way = false;
    for ms in 1..1000 {
        s.publisher.push(delta(ms)).unwrap();
        let mut batch = Vec::new();
        gave_way |= poll_fn(|cx| Poll::Ready(reader.poll_next(cx, &mut batch).is_pending())).await;
    }
    assert!(gave_way);
}
