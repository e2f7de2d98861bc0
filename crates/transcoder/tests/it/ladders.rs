//! Ladders of one source.

use ladder::{Fit, FrameRate, Output, Rate, RateControl, VideoCodec, VideoRung};
use media::CodecConfig;

use crate::actor::Worker;
use crate::media::{decoded, is_even, keys, ladder, pictures, rung, settled, shown};

const TOP: Output = Output::Video(0);
const LOW: Output = Output::Video(1);

#[test]
fn keyframes_of_all_rungs_lie_on_the_grid_of_the_epoch() {
    let source = pictures("640x360", 30, 4, "");
    let mut worker = Worker::with(ladder(vec![rung("360p", 360), rung("180p", 180)], vec![]));
    // Its own keyframes lie elsewhere, its pictures between ours.
    let sent = source.send(&mut worker, 417, 0..4_000);
    worker.settle(sent);
    for (output, height) in [(TOP, 360), (LOW, 180)] {
        let frames = worker.got.of(output);
        assert_eq!(frames.len(), 120);
        assert!(is_even(frames, 30));
        assert_eq!(keys(frames)[1..], [1_000, 2_000, 3_000, 4_000]);
        let track = worker.got.track(output);
        assert_eq!(track.config.video().map(|v| v.height), Some(height));
        assert_eq!(decoded(track, frames), 120);
    }
    assert_eq!(keys(worker.got.of(TOP)), keys(worker.got.of(LOW)));
    assert!(
        worker.got.complaints.is_empty(),
        "{:?}",
        worker.got.complaints
    );
    assert!(worker.close().success());
}

#[test]
fn rates_of_1001_and_halves_keep_the_grid() {
    let source = pictures("320x180", 30, 4, "-r 30000/1001");
    let half = VideoRung {
        rate: Rate::Half,
        ..rung("half", 90)
    };
    let fixed = VideoRung {
        rate: Rate::Fixed(FrameRate::whole(30)),
        ..rung("fixed", 120)
    };
    let mut worker = Worker::with(ladder(vec![rung("full", 180), half, fixed], vec![]));
    let sent = source.send(&mut worker, 0, 0..4_000);
    worker.settle(sent);
    let made = worker.got.decision.clone().expect("decided");
    assert_eq!(
        made.source.rate,
        FrameRate {
            num: 30_000,
            den: 1_001
        }
    );
    let full = keys(worker.got.of(TOP));
    assert!(full.len() >= 4, "{full:?}");
    for other in [1, 2] {
        let other = keys(worker.got.of(Output::Video(other)));
        // The first is where each began.
        assert_eq!(other[1..], full[1..], "1001 of 1000 milliseconds apart");
    }
    assert_eq!(full[2] - full[1], 1_001);
}

#[test]
fn every_codec_comes_out() {
    let source = pictures("320x180", 25, 3, "");
    let of = |name: &str, codec: VideoCodec| VideoRung {
        codec,
        preset: codec.presets()[0].to_owned(),
        tune: None,
        ..rung(name, 180)
    };
    let rungs = vec![
        of("h264", VideoCodec::H264),
        of("h265", VideoCodec::H265),
        of("av1", VideoCodec::Av1),
    ];
    let mut worker = Worker::with(ladder(rungs, vec![]));
    let mut sent = source.send(&mut worker, 0, 0..3_000);
    // Encoders that look ahead give what they hold with what comes later.
    sent += source.send(&mut worker, 3_000, 0..3_000);
    worker.settle(sent);
    for place in 0..3 {
        let output = Output::Video(place);
        let frames = worker.got.of(output);
        let track = worker.got.track(output);
        assert!(
            frames.len() > 70,
            "{}: {}",
            track.config.name(),
            frames.len()
        );
        assert!(
            is_even(&settled(frames), 25),
            "{}: {:?}",
            track.config.name(),
            shown(frames)
        );
        // The first is where it began.
        let on_grid = keys(frames)[1..].iter().all(|k| k % 1_000 == 0);
        assert!(on_grid && keys(frames).len() > 3, "{:?}", keys(frames));
        assert!(frames.windows(2).all(|w| w[0].dts < w[1].dts));
        assert_eq!(decoded(track, frames), frames.len());
        assert!(track.config.rfc6381().is_some());
    }
    assert!(matches!(
        worker.got.track(Output::Video(2)).config,
        CodecConfig::Av1(_)
    ));
}

#[test]
fn b_frames_are_shown_where_they_belong() {
    let source = pictures("320x180", 30, 3, "-bf 2");
    let slow = VideoRung {
        preset: "veryfast".to_owned(),
        tune: None,
        b_frames: Some(2),
        control: RateControl::Crf {
            crf: 28.0,
            max: None,
        },
        ..rung("b", 180)
    };
    let mut worker = Worker::with(ladder(vec![slow], vec![]));
    let mut sent = source.send(&mut worker, 0, 0..3_000);
    sent += source.send(&mut worker, 3_000, 0..3_000);
    worker.settle(sent);
    let frames = worker.got.of(TOP);
    assert!(frames.iter().any(|f| f.pts > f.dts), "B-frames");
    assert!(frames.iter().all(|f| f.pts >= f.dts));
    assert!(frames.windows(2).all(|w| w[0].dts < w[1].dts));
    assert_eq!(decoded(worker.got.track(TOP), frames), frames.len());
}

#[test]
fn every_fit_gives_the_size_that_was_asked_for() {
    let source = pictures("320x180", 25, 1, "");
    let boxed = |fit, n| VideoRung {
        width: Some(160),
        height: Some(160),
        fit,
        ..rung(n, 0)
    };
    let rungs = vec![
        boxed(Fit::Fit, "fit"),
        boxed(Fit::Pad, "pad"),
        boxed(Fit::Crop, "crop"),
        boxed(Fit::Stretch, "stretch"),
    ];
    let mut worker = Worker::with(ladder(rungs, vec![]));
    let sent = source.send(&mut worker, 0, 0..1_000);
    worker.settle(sent);
    let size = |place| {
        let video = worker
            .got
            .track(Output::Video(place))
            .config
            .video()
            .expect("pictures");
        (video.width, video.height)
    };
    assert_eq!(
        [size(0), size(1), size(2), size(3)],
        [(160, 90), (160, 160), (160, 160), (160, 160)]
    );
    assert!(
        worker.got.complaints.is_empty(),
        "{:?}",
        worker.got.complaints
    );
}

#[test]
fn interlaced_pictures_become_whole_ones() {
    let source = pictures("320x180", 25, 2, "-flags +ilme+ildct -x264-params tff=1");
    let mut worker = Worker::with(ladder(vec![rung("180p", 180)], vec![]));
    let sent = source.send(&mut worker, 0, 0..2_000);
    worker.settle(sent);
    let frames = worker.got.of(TOP);
    assert!((48..=50).contains(&frames.len()), "{}", frames.len());
    assert!(is_even(frames, 25));
    assert!(
        worker.got.complaints.is_empty(),
        "{:?}",
        worker.got.complaints
    );
}

#[test]
fn beside_a_copy_keyframes_are_those_of_the_source() {
    let source = pictures("320x180", 30, 3, "-g 20");
    let copy = VideoRung {
        codec: VideoCodec::Copy,
        ..rung("source", 0)
    };
    let half = VideoRung {
        rate: Rate::Half,
        ..rung("half", 90)
    };
    let mut worker = Worker::with(ladder(vec![copy, rung("90p", 90), half], vec![]));
    let sent = source.send(&mut worker, 417, 0..3_000);
    worker.settle(sent);
    let theirs: Vec<_> = source
        .frames
        .iter()
        .filter(|f| f.random_access && f.track.0 == 0)
        .map(|f| f.pts.as_nanos() + 417_000_000)
        .collect();
    for place in [1, 2] {
        let frames = worker.got.of(Output::Video(place));
        let ours: Vec<_> = frames
            .iter()
            .filter(|f| f.random_access)
            .map(|f| (f.pts - crate::media::BASE).as_nanos())
            .collect();
        assert_eq!(ours, theirs, "to the nanosecond");
    }
    assert_eq!(worker.got.of(LOW).len(), 90);
    assert_eq!(worker.got.of(Output::Video(2)).len(), 45);
}
