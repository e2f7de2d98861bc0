//! One source after another: encoders stay.

use ladder::Output;
use media::TrackKind;

use crate::actor::Worker;
use crate::media::{Clip, at, clip, decoded, is_even, keys, ladder, pictures, rung, sound};
use ladder::AudioCodec;

const TOP: Output = Output::Video(0);
const AAC: Output = Output::Audio(0, 0);

fn hevc(size: &str, fps: u32, seconds: u32) -> Clip {
    // This ffmpeg writes no HEVC into FLV: pictures of another codec come as VP9 would.
    clip(&format!(
        "-f lavfi -i testsrc2=s={size}:r={fps} -f lavfi -i sine=f=880:r=44100 -t {seconds} \
         -c:v libx264 -preset ultrafast -g {fps} -pix_fmt yuv444p -c:a aac -ac 1 -ar 44100"
    ))
}

#[test]
fn size_rate_format_and_sound_change_and_nothing_breaks() {
    let sources = [
        pictures("640x360", 30, 4, ""),
        pictures("426x240", 25, 4, "-ar 44100 -ac 1"),
        hevc("640x480", 50, 4),
    ];
    let mut worker = Worker::with(ladder(
        vec![rung("180p", 180)],
        vec![sound("aac", AudioCodec::Aac)],
    ));
    let pid = worker.pid();
    let mut sent = 0;
    // Every two seconds another one, whose last second before that is decoded only.
    for n in 0..9_i64 {
        let source = &sources[usize::try_from(n % 3).expect("small")];
        let from = n * 2_000 + n * 7;
        sent += source.send(
            &mut worker,
            from - 1_000,
            if n == 0 { 1_000..3_000 } else { 0..3_000 },
        );
    }
    worker.settle(sent);
    assert_eq!(worker.pid(), pid);
    let frames = worker.got.of(TOP);
    assert!(is_even(frames, 30), "no picture missing, none twice");
    assert!((535..=550).contains(&frames.len()), "{}", frames.len());
    assert!(keys(frames)[1..].iter().all(|k| k % 1_000 == 0));
    assert_eq!(decoded(worker.got.track(TOP), frames), frames.len());
    let samples = worker.got.of(AAC);
    let _ = worker.got.track(AAC);
    let steps: Vec<i64> = samples
        .windows(2)
        .map(|w| w[1].pts.to_ticks(48_000) - w[0].pts.to_ticks(48_000))
        .collect();
    assert!(steps.iter().all(|s| *s == 1_024), "{steps:?}");
    // Sound and pictures end together.
    let apart = samples.last().expect("sound").pts - frames.last().expect("pictures").pts;
    assert!(apart.abs().as_millis() < 100, "{apart:?}");
    assert!(
        worker.got.complaints.is_empty(),
        "{:?}",
        worker.got.complaints
    );
}

#[test]
fn nothing_comes_and_the_picture_is_held() {
    let source = pictures("320x180", 25, 3, "");
    let mut worker = Worker::with(ladder(
        vec![rung("180p", 180)],
        vec![sound("aac", AudioCodec::Aac)],
    ));
    let mut sent = source.send(&mut worker, 0, 0..3_000);
    for ms in (3_100..6_000).step_by(100) {
        worker.hold(TrackKind::Video, at(ms));
        worker.hold(TrackKind::Audio, at(ms));
    }
    sent += source.send(&mut worker, 5_800, 0..3_000);
    worker.settle(sent);
    let frames = worker.got.of(TOP);
    assert!(is_even(frames, 25));
    assert!((218..=221).contains(&frames.len()), "{}", frames.len());
    let held = worker.got.health.outputs.iter().map(|o| o.held);
    assert!(
        held.clone().all(|h| h > 70),
        "{:?}",
        held.collect::<Vec<_>>()
    );
    let samples = worker.got.of(AAC);
    let ends = samples.last().expect("sound").pts - at(8_800);
    assert!(ends.abs().as_millis() < 100, "{ends:?}");
    assert_eq!(decoded(worker.got.track(TOP), frames), frames.len());
}
