use shuttle::future::{block_on, spawn};
use shuttle::{check_pct, check_random, thread};

use bytes::Bytes;
use media::{Frame, Timestamp, TrackId};

use crate::event::{EndReason, Event};
use crate::presentation::Hub;
use crate::publisher::Publisher;
use crate::subscriber::{Options, Subscriber};
use crate::window::Limits;

const SCHEDULES: usize = 500;

fn check(scenario: fn()) {
    check_random(scenario, SCHEDULES);
    check_pct(scenario, SCHEDULES, 3);
}

/// Two groups of two frames.
fn publish(publisher: &mut Publisher) {
    for ms in 0..4 {
        let frame = Frame {
            track: TrackId(0),
            dts: Timestamp::from_millis(ms * 1000),
            pts: Timestamp::from_millis(ms * 1000),
            duration: None,
            random_access: ms % 2 == 0,
            leading: false,
            payload: Bytes::from_static(&[7; 100]),
        };
        publisher.push(frame).unwrap();
    }
}

/// What a reader got until the end: frames in order, and why it ended.
async fn follow(mut reader: Subscriber) -> (Vec<i64>, EndReason) {
    let mut batch = Vec::new();
    let mut frames = Vec::new();
    loop {
        reader.next(&mut batch).await;
        for event in batch.drain(..) {
            match event {
                Event::Frame(frame) => frames.push(frame.dts.as_millis() / 1000),
                Event::Group { .. } => {}
                Event::Skipped { .. } => panic!("nobody is late"),
                Event::End(reason) => return (frames, reason),
            }
        }
    }
}

#[test]
fn every_reader_hears_of_every_frame_and_of_the_end() {
    check(|| {
        let presentation = Hub::new().announce("a").unwrap();
        let (mut publisher, relay) = presentation.add("b", Limits::default()).unwrap();
        let relay = spawn(relay.run());
        let broadcast = publisher.broadcast();
        let readers = [0, 1].map(|_| spawn(follow(broadcast.subscribe(Options::default()))));
        let writer = thread::spawn(move || {
            publish(&mut publisher);
            publisher.end(EndReason::Finished);
        });
        for reader in readers {
            let all = (vec![0, 1, 2, 3], EndReason::Finished);
            assert_eq!(block_on(reader).unwrap(), all);
        }
        writer.join().unwrap();
        block_on(relay).unwrap();
    });
}

#[test]
fn one_that_joins_and_one_that_leaves_meanwhile() {
    check(|| {
        let presentation = Hub::new().announce("a").unwrap();
        let (mut publisher, relay) = presentation.add("b", Limits::default()).unwrap();
        let relay = spawn(relay.run());
        let broadcast = publisher.broadcast();
        let leaving = broadcast.subscribe(Options::default());
        let writer = thread::spawn(move || publish(&mut publisher));
        let leaver = thread::spawn(move || drop(leaving));
        let (frames, reason) = block_on(follow(broadcast.subscribe(Options::default())));
        assert_eq!(frames, [0, 1, 2, 3][4 - frames.len()..]);
        assert_eq!(reason, EndReason::Dropped);
        writer.join().unwrap();
        leaver.join().unwrap();
        block_on(relay).unwrap();
        assert_eq!(broadcast.counters().subscribers, 0);
    });
}

#[test]
fn a_relay_that_is_dropped_strands_nobody() {
    check(|| {
        let presentation = Hub::new().announce("a").unwrap();
        let (mut publisher, relay) = presentation.add("b", Limits::default()).unwrap();
        let relay = spawn(relay.run());
        let reader = spawn(follow(publisher.broadcast().subscribe(Options::default())));
        let writer = thread::spawn(move || publish(&mut publisher));
        relay.abort();
        let all = (vec![0, 1, 2, 3], EndReason::Dropped);
        assert_eq!(block_on(reader).unwrap(), all);
        writer.join().unwrap();
    });
}

#[test]
fn a_presentation_dropped_while_its_publisher_writes() {
    check(|| {
        let hub = Hub::new();
        let presentation = hub.announce("a").unwrap();
        let (publisher, relay) = presentation.add("b", Limits::default()).unwrap();
        let relay = spawn(relay.run());
        let reader = spawn(follow(publisher.broadcast().subscribe(Options::default())));
        let owner = thread::spawn(move || drop(presentation));
        let writer = thread::spawn(move || publisher.end(EndReason::Finished));
        block_on(reader).unwrap();
        owner.join().unwrap();
        writer.join().unwrap();
        block_on(relay).unwrap();
        assert!(hub.announce("a").is_ok());
    });
}
