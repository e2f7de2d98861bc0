use std::time::Duration;

use hub::EndReason;
use media::Span;

use crate::fixture::{count, make, run, source};

const LONG: Duration = Duration::from_secs(60);
const PICTURE: Span = Span::from_millis(40);

#[tokio::test(start_paused = true)]
async fn every_format_is_played_at_its_pace() {
    let root = tempfile::tempdir().unwrap();
    make(&root, &source("3", "3", "a.mp4"));
    make(&root, "-i a.mp4 -c copy -movflags +faststart fast.mp4");
    make(
        &root,
        "-i a.mp4 -c copy -movflags +frag_keyframe+empty_moov+default_base_moof frag.mp4",
    );
    make(&root, "-i a.mp4 -c copy a.ts");
    make(&root, "-i a.mp4 -c copy a.flv");
    for name in ["a.mp4", "fast.mp4", "frag.mp4", "a.ts", "a.flv"] {
        let played = run(&root, &format!("file://{name}"), false, LONG).await;
        assert!(
            matches!(played.result, Some(Ok(EndReason::Finished))),
            "{name}"
        );
        let file = root.path().join(name);
        let figures = played.stats.figures();
        assert_eq!(played.of_track(0).len(), count(&file, "v:0"), "{name}");
        // What precedes the first picture in decoding order is no part of any group.
        let early = figures
            .ignored
            .iter()
            .map(|(_, n)| usize::try_from(*n).unwrap())
            .sum::<usize>();
        assert!(early <= 5, "{name}: {figures:?}");
        assert_eq!(
            played.of_track(1).len() + early,
            count(&file, "a:0"),
            "{name}"
        );
        assert!(
            figures.fixes.iter().all(|(_, n)| *n == 0),
            "{name}: {figures:?}"
        );
        assert!(figures.bytes > 10_000, "{name}");
        let lag = |(f, at): &(media::Frame, media::Timestamp)| *at - f.dts;
        let lags: Vec<_> = played.frames.iter().skip(20).map(lag).collect();
        let (least, most) = (lags.iter().min().unwrap(), lags.iter().max().unwrap());
        assert!(
            *most - *least < Span::from_millis(30),
            "{name}: {least:?} {most:?}"
        );
        assert!(
            played.frames.windows(2).all(|w| w[0].0.dts <= w[1].0.dts),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn time_goes_on_over_the_edge() {
    for (audio, name) in [
        ("2", "a.mp4"),
        ("2.5", "a.mp4"),
        ("2.5", "a.ts"),
        ("2.5", "a.flv"),
        ("1.5", "a.mp4"),
    ] {
        let root = tempfile::tempdir().unwrap();
        make(&root, &source("2", audio, name));
        let played = run(&root, name, true, Duration::from_secs(9)).await;
        assert!(played.result.is_none(), "it repeats for ever");
        let steps = played.steps(0);
        assert!(steps.len() > 200, "{name}: {}", steps.len());
        let exact = |s: &Span| (*s - PICTURE).abs() <= Span::from_millis(1);
        assert!(steps.iter().all(exact), "{name} {audio}: {steps:?}");
        // Sound never overlaps; at an edge it misses less than a frame, or what the file has not.
        let missing = if audio == "1.5" {
            Span::from_millis(560)
        } else {
            Span::from_millis(43)
        };
        let steps = played.steps(1);
        let frame = Span::from_millis(20);
        assert!(
            steps.iter().all(|s| *s >= frame && *s <= missing),
            "{name} {audio}: {steps:?}"
        );
        let edges = steps.iter().filter(|s| **s > Span::from_millis(23)).count();
        assert!(edges <= 4, "{name} {audio}: {edges}");
        let figures = played.stats.figures();
        assert!(
            figures.fixes.iter().all(|(_, n)| *n == 0),
            "{name} {audio}: {figures:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn pictures_alone_and_sound_alone() {
    let root = tempfile::tempdir().unwrap();
    make(&root, &source("2", "2", "a.mp4"));
    for (map, name) in [
        ("0:v", "v.mp4"),
        ("0:a", "a2.mp4"),
        ("0:v", "v.ts"),
        ("0:a", "a.ts"),
    ] {
        make(&root, &format!("-i a.mp4 -map {map} -c copy {name}"));
        let played = run(&root, name, true, Duration::from_secs(5)).await;
        let track = u16::from(map == "0:a");
        let steps = played.steps(track);
        assert!(steps.len() > 80, "{name}: {}", steps.len());
        let most = if track == 0 { 41 } else { 23 };
        assert!(
            steps.iter().all(|s| *s <= Span::from_millis(most)),
            "{name}: {steps:?}"
        );
    }
}
