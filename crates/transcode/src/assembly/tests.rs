use std::sync::Arc;

use bytes::Bytes;
use hub::{Event, Hub, Options};
use ladder::{
    AudioCodec, AudioRung, Decision, Deinterlace, Fit, FrameRate, From, Ladder, Output, Rate,
    RateControl, Rung, Source, VideoCodec, VideoRung,
};
use media::codec::{AacConfig, H264Config};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId};
use tokio::time::Instant;

use super::Assembly;

const AVCC: &[u8] = b"\x01\x42\xc0\x1e\xff\xe1\x00\x19\x67\x42\xc0\x1e\xda\x02\x80\xbf\xe5\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x58\xba\x80\x01\x00\x04\x68\xce\x0f\xc8";

fn rung(name: &str, codec: VideoCodec) -> VideoRung {
    VideoRung {
        codec,
        fit: Fit::Fit,
        rate: Rate::Source,
        control: RateControl::Crf {
            crf: 23.0,
            max: None,
        },
        preset: "veryfast".to_owned(),
        ..VideoRung::copy(name.to_owned())
    }
}

fn ladder(video: Vec<VideoRung>) -> Arc<Ladder> {
    let audio = vec![AudioRung {
        name: "aac".to_owned(),
        number: 0,
        codec: AudioCodec::Aac,
        from: From::All,
        kbps: 64,
        sample_rate: None,
        channels: None,
    }];
    let ladder = Ladder {
        gop_ms: 1_000,
        deinterlace: Deinterlace::Auto,
        video,
        audio,
    };
    Arc::new(ladder.numbered(&[]))
}

fn decision(ladder: &Ladder) -> Decision {
    let rungs = ladder.video.iter().filter(|r| r.codec != VideoCodec::Copy);
    let rungs = rungs.map(|r| Rung {
        name: r.name.clone(),
        number: r.number,
        width: 320,
        height: 180,
        rate: FrameRate::whole(25),
    });
    Decision {
        source: Source {
            width: 320,
            height: 180,
            rate: FrameRate::whole(25),
        },
        rungs: rungs.collect(),
    }
}

fn picture() -> Track {
    let config = H264Config::parse(Bytes::from_static(AVCC)).expect("a configuration");
    Track::new(TrackId(0), CodecConfig::H264(config))
}

fn tone() -> Track {
    let config = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).expect("a configuration");
    Track::new(TrackId(1), CodecConfig::Aac(config))
}

fn frame(ms: i64, random_access: bool) -> Frame {
    Frame {
        track: TrackId(0),
        dts: Timestamp::from_millis(ms),
        pts: Timestamp::from_millis(ms),
        duration: Some(Span::from_millis(20)),
        random_access,
        leading: false,
        payload: Bytes::from_static(b"x"),
    }
}

fn assembly(ladder: &Arc<Ladder>) -> (Hub, Assembly) {
    let hub = Hub::new();
    let presentation = hub.announce("n").expect("a free name");
    (hub, Assembly::new(presentation, Arc::clone(ladder), drop))
}

/// One that knows its source, with pictures and sound, and what the ladder became.
fn begun(ladder: &Arc<Ladder>) -> (Hub, Assembly, Instant) {
    let (hub, mut assembly) = assembly(ladder);
    let now = Instant::now();
    assembly.follow(&[picture(), tone()].into(), now);
    assembly.decide(decision(ladder), now);
    (hub, assembly, now)
}

fn names(hub: &Hub) -> Vec<String> {
    let listing = hub.get("n").map(|mut l| l.renditions());
    listing.map_or_else(Vec::new, |r| r.iter().map(|r| r.id.to_string()).collect())
}

/// Tracks and times of what a reader of this rendition gets.
fn read(hub: &Hub, name: &str) -> Vec<(u16, i64)> {
    let renditions = hub.get("n").expect("announced").renditions();
    let found = renditions
        .iter()
        .find(|r| *r.id == *name)
        .expect("a rendition");
    let mut batch = Vec::new();
    found
        .broadcast
        .subscribe(Options::default())
        .try_next(&mut batch);
    let frames = batch.into_iter().filter_map(|event| match event {
        Event::Frame(frame) => Some((frame.track.0, frame.dts.as_millis())),
        _ => None,
    });
    frames.collect()
}

const TOP: Output = Output::Video(0);
const LOW: Output = Output::Video(1);
const AAC: Output = Output::Audio(0, 0);

#[tokio::test(start_paused = true)]
async fn what_comes_before_all_is_there_is_kept() {
    let ladder = ladder(vec![
        rung("high", VideoCodec::H264),
        rung("low", VideoCodec::H264),
    ]);
    let (hub, mut assembly) = assembly(&ladder);
    let now = Instant::now();
    assembly.follow(&[picture(), tone()].into(), now);
    assembly.track(AAC, tone(), now);
    assembly.decide(decision(&ladder), now);
    assembly.track(TOP, picture(), now);
    assembly.frame(TOP, &frame(0, true), now);
    assembly.frame(AAC, &frame(20, true), now);
    assert!(names(&hub).is_empty(), "the other rung is still to come");
    assembly.track(LOW, picture(), now);
    assembly.frame(LOW, &frame(0, true), now);
    assert_eq!(names(&hub), ["high", "low"]);
    for (output, name) in [(TOP, "high"), (LOW, "low")] {
        assembly.frame(output, &frame(40, false), now);
        assert_eq!(read(&hub, name), [(0, 0), (1, 20), (0, 40)], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_is_not_waited_for_for_ever() {
    let ladder = ladder(vec![
        rung("high", VideoCodec::H264),
        rung("low", VideoCodec::H264),
    ]);
    let (hub, mut assembly, now) = begun(&ladder);
    assembly.track(TOP, picture(), now);
    assembly.frame(TOP, &frame(0, true), now);
    assembly.frame(TOP, &frame(40, false), now + super::PATIENCE);
    assert_eq!(names(&hub), ["high"]);
    assert_eq!(read(&hub, "high"), [(0, 0), (0, 40)]);
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_no_measure_of_the_worker() {
    let ladder = ladder(vec![
        rung("source", VideoCodec::Copy),
        rung("low", VideoCodec::H264),
    ]);
    let (hub, mut assembly, now) = begun(&ladder);
    for output in [TOP, LOW, AAC] {
        let track = if output == AAC { tone() } else { picture() };
        assembly.track(output, track, now);
    }
    assembly.frame(LOW, &frame(0, true), now);
    assembly.frame(TOP, &frame(0, true), now);
    assembly.frame(TOP, &frame(400, false), now);
    assert_eq!(names(&hub), ["source", "low"]);
    assert_eq!(assembly.video_until, Some(Timestamp::ZERO));
}

#[tokio::test(start_paused = true)]
async fn an_edit_takes_away_what_it_changes_and_nothing_else() {
    let first = ladder(vec![
        rung("high", VideoCodec::H264),
        rung("low", VideoCodec::H264),
    ]);
    let (hub, mut assembly, now) = begun(&first);
    for output in [TOP, LOW, AAC] {
        let track = if output == AAC { tone() } else { picture() };
        assembly.track(output, track, now);
        assembly.frame(output, &frame(0, true), now);
    }
    let second = ladder(vec![
        rung("high", VideoCodec::H264),
        rung("other", VideoCodec::H264),
    ]);
    assembly.set_ladder(Arc::clone(&second), now);
    assert_eq!(names(&hub), ["high"]);
    assembly.decide(decision(&second), now);
    assembly.frame(TOP, &frame(40, false), now);
    assembly.frame(AAC, &frame(20, true), now);
    assembly.track(LOW, picture(), now);
    assembly.frame(LOW, &frame(40, true), now);
    assert_eq!(names(&hub), ["high", "other"]);
    assert_eq!(read(&hub, "high"), [(0, 0), (1, 0), (0, 40), (1, 20)]);
    assert_eq!(read(&hub, "other"), [(0, 40)]);
}

#[tokio::test(start_paused = true)]
async fn rungs_that_stay_go_on_wherever_they_stand() {
    let named = |names: &[&str]| {
        let rungs = names.iter().map(|n| rung(n, VideoCodec::H264));
        ladder(rungs.collect())
    };
    let after = |before: &Arc<Ladder>, names: &[&str]| {
        let ladder = Ladder::clone(&named(names)).numbered(&[Arc::clone(before)]);
        Arc::new(ladder)
    };
    let first = named(&["high", "low"]);
    let (hub, mut assembly, now) = begun(&first);
    for output in [TOP, LOW, AAC] {
        let track = if output == AAC { tone() } else { picture() };
        assembly.track(output, track, now);
        assembly.frame(output, &frame(0, true), now);
    }
    let more = after(&first, &["best", "high", "low"]);
    assembly.set_ladder(Arc::clone(&more), now);
    assembly.decide(decision(&more), now);
    for output in [TOP, LOW] {
        assembly.frame(output, &frame(40, false), now);
    }
    let best = Output::Video(more.video[0].number);
    assembly.track(best, picture(), now);
    assembly.frame(best, &frame(40, true), now);
    assert_eq!(names(&hub), ["best", "high", "low"], "best first");
    let less = after(&more, &["low", "best"]);
    assembly.set_ladder(Arc::clone(&less), now);
    assembly.decide(decision(&less), now);
    for output in [best, LOW] {
        assembly.frame(output, &frame(80, false), now);
    }
    assert_eq!(names(&hub), ["low", "best"]);
    assert_eq!(read(&hub, "low"), [(0, 0), (1, 0), (0, 40), (0, 80)]);
    assert_eq!(read(&hub, "best"), [(0, 40), (0, 80)]);
}

#[tokio::test(start_paused = true)]
async fn another_ladder_altogether_does_not_leave_sound_alone() {
    let first = ladder(vec![rung("high", VideoCodec::H264)]);
    let (hub, mut assembly, now) = begun(&first);
    for output in [TOP, AAC] {
        let track = if output == AAC { tone() } else { picture() };
        assembly.track(output, track, now);
        assembly.frame(output, &frame(0, true), now);
    }
    let mut other = Ladder::clone(&ladder(vec![rung("other", VideoCodec::H264)]));
    let opus = AudioRung {
        name: "first".to_owned(),
        ..other.audio[0].clone()
    };
    other.audio.insert(0, opus);
    let other = Arc::new(other.numbered(&[Arc::clone(&first)]));
    assembly.set_ladder(Arc::clone(&other), now);
    // The worker has not heard of it, or is gone; the source goes on.
    let later = now + super::PATIENCE;
    assembly.follow(&[picture(), tone()].into(), later);
    assembly.frame(AAC, &frame(20, true), later);
    assert!(names(&hub).is_empty(), "{:?}", names(&hub));
    assembly.decide(decision(&other), later);
    let new = Output::Video(other.video[0].number);
    let preferred = Output::Audio(other.audio[0].number, 0);
    let label = |name: &str| Some(name.to_owned());
    assembly.track(
        preferred,
        Track {
            label: label("first"),
            ..tone()
        },
        later,
    );
    assembly.track(new, picture(), later);
    assembly.frame(new, &frame(40, true), later);
    assert_eq!(names(&hub), ["other"]);
    let renditions = hub.get("n").expect("announced").renditions();
    let tracks = renditions[0].broadcast.tracks();
    let labels: Vec<_> = tracks.iter().map(|t| t.label.as_deref()).collect();
    assert_eq!(
        labels,
        [None, Some("first"), None],
        "in the order of the ladder"
    );
}

#[tokio::test(start_paused = true)]
async fn the_next_worker_never_goes_back() {
    let ladder = ladder(vec![rung("high", VideoCodec::H264)]);
    let (hub, mut assembly) = assembly(&ladder);
    let now = Instant::now();
    assembly.follow(&[picture()].into(), now);
    assembly.decide(decision(&ladder), now);
    assembly.track(TOP, picture(), now);
    assembly.frame(TOP, &frame(0, true), now);
    assembly.frame(TOP, &frame(40, false), now);
    assembly.frame(TOP, &frame(20, false), now);
    // Its first DTS lies before what is there, its PTS behind.
    let late = Frame {
        dts: Timestamp::from_millis(30),
        ..frame(80, false)
    };
    assembly.frame(TOP, &late, now);
    assert_eq!(read(&hub, "high"), [(0, 0), (0, 40), (0, 40)]);
}

#[tokio::test(start_paused = true)]
async fn an_encoder_that_was_changed_is_told_with_its_first_keyframe() {
    let first = ladder(vec![
        rung("high", VideoCodec::H264),
        rung("low", VideoCodec::H264),
    ]);
    let (hub, mut assembly, now) = begun(&first);
    for output in [TOP, LOW, AAC] {
        let track = if output == AAC { tone() } else { picture() };
        assembly.track(output, track, now);
        assembly.frame(output, &frame(0, true), now);
    }
    let second = ladder(vec![
        rung("high", VideoCodec::H265),
        rung("low", VideoCodec::H265),
    ]);
    assembly.set_ladder(Arc::clone(&second), now);
    assembly.decide(decision(&second), now);
    // The other one's encoder is not open yet.
    let label = Some("new".to_owned());
    let new = Track { label, ..picture() };
    assembly.track(TOP, new.clone(), now);
    assembly.frame(TOP, &frame(1_000, true), now);
    let renditions = hub.get("n").expect("announced").renditions();
    let tracks = renditions[0].broadcast.tracks();
    assert_eq!(tracks[0].label, new.label);
}

#[tokio::test(start_paused = true)]
async fn what_a_ladder_made_before_it_was_edited_is_not_kept_for_another() {
    let first = ladder(vec![rung("high", VideoCodec::H264)]);
    let (hub, mut assembly, now) = begun(&first);
    assembly.track(TOP, picture(), now);
    assembly.frame(TOP, &frame(0, true), now);
    let second = ladder(vec![rung("other", VideoCodec::H265)]);
    assembly.set_ladder(Arc::clone(&second), now);
    assembly.frame(TOP, &frame(40, false), now);
    assembly.decide(decision(&second), now);
    assembly.track(TOP, picture(), now);
    assembly.track(AAC, tone(), now);
    assembly.frame(TOP, &frame(1_000, true), now);
    assert_eq!(read(&hub, "other"), [(0, 1_000)]);
}

#[tokio::test(start_paused = true)]
async fn sound_of_another_encoder_waits_for_the_group_that_tells_of_it() {
    let first = ladder(vec![rung("high", VideoCodec::H264)]);
    let (hub, mut assembly, now) = begun(&first);
    assembly.track(AAC, tone(), now);
    assembly.track(TOP, picture(), now);
    for ms in [0, 100] {
        assembly.frame(AAC, &frame(ms, true), now);
        assembly.frame(TOP, &frame(ms, ms == 0), now);
    }
    let label = Some("new".to_owned());
    assembly.track(AAC, Track { label, ..tone() }, now);
    for ms in [200, 300] {
        assembly.frame(AAC, &frame(ms, true), now);
        assembly.frame(TOP, &frame(ms, false), now);
    }
    assembly.frame(TOP, &frame(400, true), now);
    assembly.frame(AAC, &frame(400, true), now);
    let joined = read(&hub, "high");
    assert_eq!(joined, [(0, 400), (1, 400)], "of the newest group");
    let renditions = hub.get("n").expect("announced").renditions();
    let groups = renditions[0].broadcast.recent(2);
    let times = |track| groups[0].frames.iter().filter(move |f| f.track.0 == track);
    assert_eq!(times(1).count(), 1, "that of the first alone");
    assert_eq!(times(0).count(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_the_next_worker_begins_with_opens_a_group_only_where_one_is_due() {
    let ladder = ladder(vec![rung("high", VideoCodec::H264)]);
    let (hub, mut assembly) = assembly(&ladder);
    let now = Instant::now();
    assembly.follow(&[picture()].into(), now);
    assembly.decide(decision(&ladder), now);
    assembly.track(TOP, picture(), now);
    let mut played = |pictures: &[(i64, bool)]| {
        for (ms, key) in pictures {
            assembly.frame(TOP, &frame(*ms, *key), now);
        }
        read(&hub, "high")[0]
    };
    assert_eq!(played(&[(0, true), (20, false)]), (0, 0));
    assert_eq!(played(&[(40, true)]), (0, 0), "it goes on");
    assert_eq!(played(&[(200, true)]), (0, 200), "pictures are missing");
    let due = [(980, true), (1_000, true)];
    assert_eq!(played(&due), (0, 1_000));
}
