//! A ladder that changes, and a worker that goes on where another stopped.

use std::sync::Arc;

use ladder::{AudioCodec, Job, Order, Output, VideoRung};

use crate::actor::{Worker, job};
use crate::media::{at, decoded, is_even, keys, ladder, pictures, rung, sound};

const TOP: Output = Output::Video(0);
const LOW: Output = Output::Video(1);

#[test]
fn an_edit_begins_only_the_rungs_that_changed() {
    let source = pictures("320x180", 25, 3, "");
    let mut worker = Worker::with(ladder(vec![rung("180p", 180), rung("low", 90)], vec![]));
    let mut sent = source.send(&mut worker, 0, 0..3_000);
    worker.settle(sent);
    let edited = ladder(vec![rung("180p", 180), rung("low", 120)], vec![]);
    worker.order(&Order::Job(Box::new(job(edited))));
    sent += source.send(&mut worker, 3_000, 0..3_000);
    worker.settle(sent);
    // `track` asserts that the encoder was opened once.
    assert_eq!(decoded(worker.got.track(TOP), worker.got.of(TOP)), 150);
    let low = &worker.got.tracks[&LOW];
    let heights: Vec<_> = low
        .iter()
        .filter_map(|t| t.config.video())
        .map(|v| v.height)
        .collect();
    assert_eq!(heights, [90, 120]);
    let outputs = worker.got.health.outputs.iter().map(|o| o.output);
    assert_eq!(outputs.collect::<Vec<_>>(), [0, 1], "both are counted");
    assert_eq!(worker.got.of(LOW).len(), 150);
}

#[test]
fn rungs_that_stay_go_on_wherever_they_stand() {
    let source = pictures("320x180", 25, 3, "");
    let first = ladder(
        vec![rung("180p", 180), rung("low", 90)],
        vec![sound("aac", AudioCodec::Aac)],
    );
    let mut worker = Worker::with(first.clone());
    let mut sent = source.send(&mut worker, 0, 0..3_000);
    worker.settle(sent);
    let other = ladder(
        vec![rung("120p", 120), rung("low", 90)],
        vec![
            sound("opus", AudioCodec::Opus),
            sound("aac", AudioCodec::Aac),
        ],
    )
    .numbered(&[Arc::new(first)]);
    worker.order(&Order::Job(Box::new(job(other))));
    sent += source.send(&mut worker, 3_000, 0..3_000);
    worker.settle(sent);
    assert_eq!(decoded(worker.got.track(LOW), worker.got.of(LOW)), 150);
    let new = Output::Video(2);
    assert_eq!(decoded(worker.got.track(new), worker.got.of(new)), 75);
    assert_eq!(worker.got.of(TOP).len(), 75, "it ended");
    let sounds = [0, 1].map(|rung| worker.got.of(Output::Audio(rung, 0)).len());
    assert!(sounds[0] > 275 && sounds[1] > 145, "{sounds:?}");
}

/// A rung beside one that passes the source on has its keyframes where the source's are.
#[test]
fn a_copy_beside_them_begins_rungs_anew() {
    let source = pictures("320x180", 25, 3, "-g 40");
    let first = ladder(vec![rung("90p", 90)], vec![]);
    let mut worker = Worker::with(first.clone());
    let mut sent = source.send(&mut worker, 0, 0..3_000);
    worker.settle(sent);
    let copy = VideoRung::copy("source".to_owned());
    let other = ladder(vec![copy, rung("90p", 90)], vec![]).numbered(&[Arc::new(first)]);
    worker.order(&Order::Job(Box::new(job(other))));
    sent += source.send(&mut worker, 3_000, 0..3_000);
    worker.settle(sent);
    let behind: Vec<i64> = keys(worker.got.of(TOP))
        .into_iter()
        .filter(|at| *at > 3_000)
        .collect();
    let [first, second] = behind[..] else {
        panic!("{behind:?}");
    };
    assert_eq!(second - first, 1_600, "40 pictures");
}

#[test]
fn the_next_worker_goes_on_behind_the_last_picture_with_the_same_parameters() {
    let source = pictures("320x180", 25, 6, "");
    let wanted = || {
        let audio = vec![
            sound("aac", AudioCodec::Aac),
            sound("opus", AudioCodec::Opus),
        ];
        ladder(vec![rung("180p", 180), rung("low", 90)], audio)
    };
    let mut first = Worker::with(wanted());
    let sent = source.send(&mut first, 0, 0..3_300);
    first.settle(sent);
    let outputs = [TOP, LOW, Output::Audio(0, 0), Output::Audio(1, 0)];
    let end = |output| {
        first
            .got
            .of(output)
            .last()
            .map(|f| (f.pts + f.duration.expect("a duration")).as_nanos())
    };
    let last = first.got.of(TOP).last().expect("pictures").pts.as_nanos();

    let mut second = Worker::start();
    second.order(&Order::Job(Box::new(Job {
        decision: first.got.decision.clone(),
        video_until: Some(last),
        audio_until: end(Output::Audio(0, 0)),
        ..job(wanted())
    })));
    // The group that was being sent when the first one ended comes again.
    let sent = source.send(&mut second, 0, 3_000..6_000);
    second.settle(sent);
    for output in outputs {
        assert_eq!(first.got.track(output), second.got.track(output));
    }
    for output in [TOP, LOW] {
        let both = [first.got.of(output), second.got.of(output)].concat();
        assert!(is_even(&both, 25), "neither hole nor repeat");
        assert!(keys(&both).iter().filter(|k| *k % 1_000 == 0).count() >= 5);
        assert_eq!(decoded(first.got.track(output), &both), both.len());
    }
    let both = [first.got.of(outputs[2]), second.got.of(outputs[2])].concat();
    let steps: Vec<i64> = both
        .windows(2)
        .map(|w| w[1].pts.to_ticks(48_000) - w[0].pts.to_ticks(48_000))
        .collect();
    assert!(steps.iter().all(|s| *s == 1_024), "{steps:?}");
    assert!(first.got.of(TOP).first().expect("pictures").pts <= at(50));
}
