//! What is not as it should be costs itself.

use std::sync::Arc;

use bytes::Bytes;
use container::wire::Message;
use ladder::{AudioCodec, Output};
use media::TrackKind;

use crate::actor::Worker;
use crate::media::{Clip, is_even, ladder, pictures, rung, sound};

const TOP: Output = Output::Video(0);

fn damaged(clip: &Clip, how: impl Fn(usize, &[u8]) -> Vec<u8>) -> Clip {
    let mut clip = clip.clone();
    for (n, frame) in clip.frames.iter_mut().enumerate() {
        frame.payload = how(n, &frame.payload).into();
    }
    clip
}

#[test]
fn damage_is_counted_and_the_pace_is_kept() {
    let source = pictures("320x180", 25, 4, "");
    let zeroed = damaged(&source, |n, payload| {
        let mut payload = payload.to_vec();
        if n % 3 == 1 {
            let half = payload.len() / 2;
            payload[half..].fill(0);
        }
        payload
    });
    let cut = damaged(&source, |n, payload| match n % 4 {
        1 => payload[..payload.len() / 2].to_vec(),
        2 => Vec::new(),
        _ => payload.to_vec(),
    });
    let mut worker = Worker::with(ladder(
        vec![rung("180p", 180)],
        vec![sound("aac", AudioCodec::Aac)],
    ));
    let mut sent = source.send(&mut worker, 0, 0..4_000);
    sent += zeroed.send(&mut worker, 4_000, 0..4_000);
    sent += cut.send(&mut worker, 8_000, 0..4_000);
    sent += source.send(&mut worker, 12_000, 0..4_000);
    worker.settle(sent);
    assert!(
        worker.got.health.undecodable > 50,
        "{:?}",
        worker.got.health
    );
    let frames = worker.got.of(TOP);
    assert!(is_even(frames, 25));
    assert!(frames.len() > 395, "{}", frames.len());
}

#[test]
fn parameter_sets_of_another_stream_recover() {
    let small = pictures("320x180", 25, 2, "");
    let large = pictures("640x360", 25, 2, "-profile:v high -preset medium");
    let mixed = Clip {
        tracks: Arc::clone(&small.tracks),
        frames: large.frames,
    };
    let mut worker = Worker::with(ladder(vec![rung("180p", 180)], vec![]));
    let mut sent = small.send(&mut worker, 0, 0..2_000);
    sent += mixed.send(&mut worker, 2_000, 0..2_000);
    sent += small.send(&mut worker, 4_000, 0..2_000);
    worker.settle(sent);
    let frames = worker.got.of(TOP);
    assert!(is_even(frames, 25));
    assert!(frames.len() >= 149, "{}", frames.len());
}

#[test]
fn tiny_pictures_and_single_ones() {
    let tiny = pictures("16x16", 25, 2, "");
    let mut worker = Worker::with(ladder(vec![rung("180p", 180)], vec![]));
    // One picture, then nothing, then others.
    let mut sent = tiny.send(&mut worker, 0, 0..39);
    sent += tiny.send(&mut worker, 1_000, 0..2_000);
    sent += pictures("320x180", 25, 2, "").send(&mut worker, 3_000, 0..2_000);
    worker.settle(sent);
    assert!(is_even(worker.got.of(TOP), 25));
    let video = worker.got.track(TOP).config.video().expect("pictures");
    assert_eq!(
        (video.width, video.height),
        (16, 16),
        "as large as the first source"
    );
}

#[test]
fn sound_may_be_alone_and_pictures_too() {
    let source = pictures("320x180", 25, 2, "");
    let mut worker = Worker::with(ladder(
        vec![rung("180p", 180)],
        vec![sound("aac", AudioCodec::Aac)],
    ));
    let mut sent = source
        .clone()
        .only(TrackKind::Audio)
        .send(&mut worker, 0, 0..2_000);
    sent += source
        .clone()
        .only(TrackKind::Video)
        .send(&mut worker, 2_000, 0..2_000);
    sent += source.send(&mut worker, 4_000, 0..2_000);
    worker.settle(sent);
    assert!(worker.got.of(TOP).len() >= 99);
    assert!(is_even(worker.got.of(TOP), 25));
    assert!(worker.got.of(Output::Audio(0, 0)).len() > 150);
}

#[test]
fn nonsense_on_the_socket_ends_the_worker_and_says_why() {
    let mut worker = Worker::start();
    worker.send(&Message::Control(Bytes::from_static(b"{\"dance\":{}}")));
    let ended = worker.close();
    assert_eq!(ended.code(), Some(1));
}
