//! What is not as it should be costs itself.

use std::sync::Arc;

use bytes::Bytes;
use container::wire::Message;
use ladder::{
    AudioCodec, Decision, FrameRate, Job, Ladder, Order, Output, RateControl, Source, VideoCodec,
    VideoRung,
};
use media::codec::AacConfig;
use media::{CodecConfig, Timestamp, Track, TrackKind};

use crate::actor::{Worker, job};
use crate::media::{Clip, at, clip, is_even, ladder, pictures, rung, sound};

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

/// Pictures that are quick to make, whatever their size.
fn flat(size: &str, seconds: f32) -> Clip {
    clip(&format!(
        "-f lavfi -i color=gray:s={size}:r=25 -t {seconds} -c:v libx264 -preset ultrafast -g 25"
    ))
}

#[test]
fn from_the_least_size_to_8k_and_back() {
    let mut worker = Worker::with(ladder(vec![rung("180p", 180)], vec![]));
    let mut sent = flat("16x16", 1.0).send(&mut worker, 0, 0..1_000);
    sent += flat("7680x4320", 0.2).send(&mut worker, 1_000, 0..200);
    sent += flat("1280x720", 0.8).send(&mut worker, 1_200, 0..800);
    worker.settle(sent);
    let frames = worker.got.of(TOP);
    assert!(is_even(frames, 25));
    assert!((48..=50).contains(&frames.len()), "{}", frames.len());
    assert_eq!(worker.got.health.undecodable, 0);
}

#[test]
fn every_encoder_makes_the_least_size() {
    let h265 = VideoRung {
        codec: VideoCodec::H265,
        ..rung("h265", 180)
    };
    let av1 = VideoRung {
        codec: VideoCodec::Av1,
        preset: "13".to_owned(),
        tune: None,
        ..rung("av1", 180)
    };
    let mut worker = Worker::with(ladder(vec![rung("h264", 180), h265, av1], vec![]));
    let sent = flat("16x16", 3.0).send(&mut worker, 0, 0..3_000);
    worker.settle(sent);
    for (place, size) in [(0, 16), (1, 64), (2, 64)] {
        let output = Output::Video(place);
        assert!(worker.got.of(output).len() > 20, "{output:?}");
        let video = worker.got.track(output).config.video().expect("pictures");
        assert_eq!((video.width, video.height), (size, size));
    }
}

#[test]
fn a_programme_of_8k_is_made_smaller_in_bounded_memory() {
    let source = flat("7680x4320", 0.8);
    let mut worker = Worker::with(ladder(vec![rung("720p", 720), rung("180p", 180)], vec![]));
    let sent = source.send(&mut worker, 0, 0..800);
    worker.settle(sent);
    assert!(worker.got.of(TOP).len() >= 19);
    let video = worker.got.track(TOP).config.video().expect("pictures");
    assert_eq!((video.width, video.height), (1_280, 720));
    let most = worker.most_memory();
    assert!(most < 1_500 << 20, "{} MiB", most >> 20);
}

#[test]
fn larger_pictures_are_refused_in_words_and_cost_themselves() {
    let source = flat("320x180", 2.0);
    let mut worker = Worker::with(ladder(vec![rung("180p", 180)], vec![]));
    let mut sent = source.send(&mut worker, 0, 0..1_000);
    sent += flat("16384x64", 1.0).send(&mut worker, 1_000, 0..1_000);
    sent += source.send(&mut worker, 2_000, 0..2_000);
    worker.settle(sent);
    let complaints = &worker.got.complaints;
    let of_size = complaints.iter().filter(|c| c.contains("16384x64"));
    assert_eq!(of_size.count(), 1, "said once: {complaints:?}");
    assert_eq!(worker.got.health.undecodable, 25);
    let frames = worker.got.of(TOP);
    assert!(is_even(frames, 25), "the picture before it was held");
    assert!(frames.len() >= 99, "{}", frames.len());
}

#[test]
fn pixels_of_no_likely_shape_are_taken_for_squares() {
    let mut worker = Worker::with(ladder(vec![rung("180p", 180)], vec![]));
    let source = pictures("320x180", 25, 1, "-vf setsar=200/1");
    let sent = source.send(&mut worker, 0, 0..1_000);
    worker.settle(sent);
    let decision = worker.got.decision.as_ref().expect("decided");
    assert_eq!((decision.source.width, decision.source.height), (320, 180));
}

#[test]
fn sound_at_an_absurd_rate_is_silence() {
    let source = pictures("320x180", 25, 2, "");
    // AAC-LC in stereo whose rate is told in 24 bits: 1 Hz.
    let record = Bytes::from_static(&[0x17, 0x80, 0x00, 0x00, 0x90]);
    let config = CodecConfig::Aac(AacConfig::parse(record).expect("readable"));
    let tracks = source.tracks.iter().map(|track| match track.kind {
        TrackKind::Audio => Track::new(track.id, config.clone()),
        _ => track.clone(),
    });
    let absurd = Clip {
        tracks: tracks.collect(),
        frames: source.frames.clone(),
    };
    let mut worker = Worker::with(ladder(
        vec![rung("180p", 180)],
        vec![sound("aac", AudioCodec::Aac)],
    ));
    let mut sent = source.send(&mut worker, 0, 0..2_000);
    sent += absurd.send(&mut worker, 2_000, 0..2_000);
    sent += source.send(&mut worker, 4_000, 0..2_000);
    worker.settle(sent);
    assert!(worker.got.health.undecodable >= 90);
    let samples = worker.got.of(Output::Audio(0, 0));
    let ends = (samples[0].pts, samples[samples.len() - 1].pts);
    assert!((ends.1 - ends.0).as_millis() > 5_800);
    let even = samples
        .windows(2)
        .all(|w| (w[1].pts - w[0].pts).as_millis() < 23);
    assert!(even, "no hole");
}

#[test]
fn times_from_end_to_end_of_the_clock_cost_neither_time_nor_memory() {
    let source = pictures("320x180", 25, 2, "");
    let mut worker = Worker::with(ladder(
        vec![rung("180p", 180)],
        vec![sound("aac", AudioCodec::Aac)],
    ));
    let sent = source.send(&mut worker, 0, 0..2_000);
    worker.settle(sent);
    let wild = [i64::MIN, -1, 0, i64::MAX - 1, i64::MAX].map(Timestamp::from_nanos);
    let mut wilder = source.clone();
    for (frame, time) in wilder.frames.iter_mut().zip(wild.iter().cycle()) {
        (frame.dts, frame.pts) = (*time, *time);
    }
    for frame in &wilder.frames {
        let frame = frame.clone();
        worker.send(&Message::Frame {
            rendition: 0,
            frame,
        });
    }
    for until in wild {
        worker.hold(TrackKind::Video, until);
        worker.hold(TrackKind::Audio, until);
    }
    worker.settle(sent + u64::try_from(wilder.frames.len()).expect("few"));
    // Two seconds each time that a clock goes forward, and no more.
    let most = 50 * 60;
    assert!(
        worker.got.of(TOP).len() < most,
        "{}",
        worker.got.of(TOP).len()
    );
    assert!(worker.most_memory() < 1_000 << 20);
    assert_eq!(worker.close().code(), Some(0));
}

#[test]
fn a_rung_that_does_not_open_costs_itself() {
    // SVT-AV1 wants the most above the mean.
    let av1 = VideoRung {
        codec: VideoCodec::Av1,
        preset: "13".to_owned(),
        tune: None,
        control: RateControl::Bitrate {
            kbps: 400,
            max_kbps: 400,
            buffer_kbits: 400,
        },
        ..rung("av1", 180)
    };
    let mut worker = Worker::with(ladder(vec![av1, rung("h264", 90)], vec![]));
    let sent = pictures("320x180", 25, 2, "").send(&mut worker, 0, 0..2_000);
    worker.settle(sent);
    assert!(worker.got.of(TOP).is_empty());
    assert!(worker.got.of(Output::Video(1)).len() > 20);
    let complaints = &worker.got.complaints;
    assert!(
        complaints.iter().any(|c| c.starts_with("av1: ")),
        "{complaints:?}"
    );
    assert_eq!(worker.close().code(), Some(0));
}

#[test]
fn jobs_that_contradict_themselves_are_refused() {
    let wanted = ladder(vec![rung("180p", 180)], vec![]);
    let source = Source {
        width: 320,
        height: 180,
        rate: FrameRate::whole(25),
    };
    let decided = |change: fn(&mut Decision)| {
        let mut decision = Decision::of(&wanted, source);
        change(&mut decision);
        Job {
            decision: Some(decision),
            ..job(wanted.clone())
        }
    };
    let laddered = |change: fn(&mut Ladder)| {
        let mut ladder = wanted.clone();
        change(&mut ladder);
        job(ladder)
    };
    let jobs = [
        decided(|d| d.rungs[0].number = 7),
        decided(|d| d.rungs.extend_from_within(..)),
        decided(|d| d.rungs[0].width = 0),
        decided(|d| d.rungs[0].height = u32::MAX),
        decided(|d| d.rungs[0].rate.num = 0),
        decided(|d| d.source.rate.den = 0),
        decided(|d| d.source.rate.num = u32::MAX),
        laddered(|l| l.gop_ms = 0),
        laddered(|l| l.video = vec![l.video[0].clone(); 300]),
        laddered(|l| l.video[0].preset = "fast\0".to_owned()),
    ];
    for job in jobs {
        let mut worker = Worker::start();
        worker.order(&Order::Job(Box::new(job.clone())));
        assert_eq!(worker.close().code(), Some(1), "{job:?}");
    }
    let mut worker = Worker::start();
    worker.order(&Order::Job(Box::new(decided(|_| {}))));
    let sent = pictures("320x180", 25, 1, "").send(&mut worker, 0, 0..1_000);
    worker.settle(sent);
    assert!(worker.got.of(TOP).iter().all(|f| f.pts >= at(0)));
    assert_eq!(worker.close().code(), Some(0));
}
