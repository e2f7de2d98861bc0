use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use media::codec::OpaqueConfig;
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId, TrackKind};
use proptest::prelude::*;

use super::{Assembler, Item, Output, Stats};

thread_local!(static NOW: Cell<i64> = const { Cell::new(0) });

fn clock() -> Timestamp {
    Timestamp::from_millis(NOW.get())
}

fn track(id: u16, version: u8) -> Item {
    let kind = if id.is_multiple_of(2) {
        TrackKind::Video
    } else {
        TrackKind::Audio
    };
    let config = OpaqueConfig {
        kind,
        fourcc: *b"test",
        data: Bytes::copy_from_slice(&[version]),
    };
    Item::Track(Track::new(TrackId(id), CodecConfig::Opaque(config)))
}

fn frame(id: u16, dts: i64, key: bool) -> Item {
    let dts = Timestamp::from_millis(dts);
    Item::Frame(Frame {
        track: TrackId(id),
        dts,
        pts: dts,
        duration: None,
        random_access: key,
        leading: false,
        payload: Bytes::from_static(&[1]),
    })
}

struct Bench {
    assembler: Assembler,
    stats: Arc<Stats>,
    out: Vec<Output>,
}

impl Bench {
    fn new() -> Self {
        NOW.set(0);
        let stats = Arc::new(Stats::new(clock));
        Self {
            assembler: Assembler::new(Arc::clone(&stats)),
            stats,
            out: Vec::new(),
        }
    }

    /// An item at `at` ms; what went on: `T` and the number of tracks, or the frame's track.
    fn at(&mut self, at: i64, item: Item) -> String {
        NOW.set(at);
        self.assembler.item(item, clock(), &mut self.out);
        let told = |o: Output| match o {
            Output::Tracks(tracks) => format!("T{}", tracks.len()),
            Output::Frame(f) => f.track.to_string(),
            Output::Lost => "L".to_owned(),
        };
        self.out.drain(..).map(told).collect()
    }

    fn ignored(&self, reason: &str) -> u64 {
        let figures = self.stats.figures();
        let found = figures.ignored.iter().find(|(r, _)| *r == reason);
        found.map_or(0, |(_, n)| *n)
    }
}

#[test]
fn both_kinds_are_waited_for() {
    let mut b = Bench::new();
    assert_eq!(b.at(0, track(0, 0)), "");
    assert_eq!(b.at(0, frame(0, 0, true)), "");
    assert_eq!(b.at(40, frame(0, 40, false)), "");
    assert_eq!(b.at(40, track(1, 0)), "");
    assert_eq!(b.at(50, frame(1, 20, true)), "T2001");
    assert_eq!(b.at(80, frame(0, 80, false)), "0");
    let figures = b.stats.figures();
    assert_eq!((figures.video_frames, figures.audio_frames), (3, 1));
}

#[test]
fn waiting_ends_by_time_and_by_announcement() {
    let mut b = Bench::new();
    b.at(0, track(0, 0));
    assert_eq!(b.at(0, frame(0, 0, true)), "");
    assert_eq!(b.at(999, frame(0, 999, false)), "");
    assert_eq!(b.at(1_000, frame(0, 1_000, false)), "T1000");

    let mut b = Bench::new();
    b.assembler.announce(true, false);
    b.at(0, track(0, 0));
    assert_eq!(b.at(0, frame(0, 0, true)), "T10");

    let mut b = Bench::new();
    b.assembler.announce(true, true);
    b.at(0, track(0, 0));
    b.at(0, frame(0, 0, true));
    assert_eq!(b.at(2_999, frame(0, 2_999, false)), "");
    assert_eq!(b.at(3_000, frame(0, 3_000, false)), "T1000");
}

#[test]
fn waiting_is_bounded_in_frames() {
    let mut b = Bench::new();
    b.at(0, track(0, 0));
    let told: String = (0..4_096)
        .map(|i| b.at(0, frame(0, i / 100, i == 0)))
        .collect();
    assert_eq!(told.len(), 2 + 4_096);
}

#[test]
fn a_new_configuration_waits_for_the_group_edge() {
    let mut b = Bench::new();
    b.assembler.announce(true, false);
    b.at(0, track(0, 0));
    assert_eq!(b.at(0, frame(0, 0, true)), "T10");
    assert_eq!(b.at(1, track(0, 0)), "", "the same again is no news");
    assert_eq!(b.at(30, track(1, 0)), "T2");
    assert_eq!(b.at(40, frame(1, 40, true)), "");
    assert_eq!(b.ignored("new configuration before its keyframe"), 1);
    assert_eq!(b.at(80, frame(0, 80, true)), "0");
    assert_eq!(b.at(80, frame(1, 80, true)), "1");
    assert_eq!(b.at(90, track(0, 1)), "T2");
    assert_eq!(b.at(120, frame(0, 120, false)), "");
    assert_eq!(b.at(160, frame(0, 160, true)), "0");
}

#[test]
fn what_precedes_the_first_keyframe_is_left_out() {
    let mut b = Bench::new();
    b.at(0, track(0, 0));
    b.at(0, track(1, 0));
    assert_eq!(b.at(0, frame(1, 0, true)), "T2");
    assert_eq!(b.at(10, frame(0, 10, false)), "");
    assert_eq!(b.ignored("before the first keyframe"), 2);
    assert_eq!(b.at(50, frame(0, 50, true)), "0");
    assert_eq!(b.at(55, frame(1, 55, true)), "1");
    b.at(60, frame(3, 60, true));
    assert_eq!(b.ignored("frame without a track"), 1);
}

#[test]
fn a_track_ends_but_the_last() {
    let mut b = Bench::new();
    b.at(0, track(0, 0));
    b.at(0, track(1, 0));
    b.at(0, frame(0, 0, true));
    assert_eq!(b.at(1, Item::End(TrackId(0))), "T1");
    assert_eq!(b.at(2, Item::End(TrackId(1))), "");
    assert_eq!(b.at(20, frame(1, 20, true)), "1");
}

#[test]
fn what_waits_goes_on_at_the_end() {
    let mut b = Bench::new();
    b.at(0, track(1, 0));
    assert_eq!(b.at(0, frame(1, 0, true)), "");
    b.assembler.flush(&mut b.out);
    assert!(matches!(b.out[..], [Output::Tracks(_), Output::Frame(_)]));
}

#[test]
fn figures() {
    let mut b = Bench::new();
    b.assembler.announce(true, false);
    b.at(0, track(0, 0));
    b.at(0, frame(0, 0, true));
    b.at(2_000, frame(0, 2_000, true));
    b.at(2_001, frame(0, 2_000, false));
    b.at(2_002, Item::Ignored("teletext"));
    assert_eq!(b.at(2_002, Item::Lost), "L");
    b.stats.read(188);
    b.stats.add("cc_errors", 2);
    b.stats.add("cc_errors", 1);
    b.stats.set("rtt_ms", 20);
    let figures = b.stats.figures();
    assert_eq!(
        (figures.keyframes, figures.keyframe_interval_ms),
        (2, 2_000)
    );
    assert_eq!((figures.bytes, figures.losses), (188, 1));
    assert_eq!(figures.ignored, [("teletext", 1)]);
    assert_eq!(figures.counters, [("cc_errors", 3), ("rtt_ms", 20)]);
    assert!(figures.fixes.contains(&("duplicate", 1)));
    assert_eq!(figures.tracks.map(|t| t.len()), Some(1));
    NOW.set(2_501);
    assert_eq!(b.stats.silence(), Duration::from_millis(500));
    assert_eq!(b.stats.uptime(), Duration::from_millis(2_501));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever comes: tracks before frames, a keyframe of the lead first, DTS that increase, no
    /// frame under a configuration that its group does not have.
    #[test]
    fn what_goes_on_is_in_order(
        steps in prop::collection::vec((0_u8..8, 0_u16..4, -50_i64..90, any::<bool>()), 1..300)
    ) {
        let mut b = Bench::new();
        let (mut dts, mut now) = (0, 0);
        let mut group: Option<Arc<[Track]>> = None;
        let mut pending: Option<Arc<[Track]>> = None;
        let mut last = [Timestamp::from_nanos(i64::MIN); 4];
        for (what, id, step, key) in steps {
            dts += step;
            now += step.abs();
            let item = match what {
                0 => track(id, u8::from(key)),
                1 => Item::End(TrackId(id)),
                _ => frame(id, dts, key),
            };
            b.assembler.item(item, Timestamp::from_millis(now), &mut b.out);
            for output in b.out.drain(..) {
                match output {
                    Output::Tracks(tracks) => pending = Some(tracks),
                    Output::Lost => prop_assert!(false, "nothing is"),
                    Output::Frame(f) => {
                        let lead = |ts: &Arc<[Track]>| {
                            let video = ts.iter().find(|t| t.kind == TrackKind::Video);
                            video.or_else(|| ts.first()).map(|t| t.id)
                        };
                        let newest = pending.as_ref().or(group.as_ref());
                        if f.random_access && newest.and_then(lead) == Some(f.track) {
                            group = pending.take().or(group);
                        }
                        prop_assert!(group.is_some(), "a frame before any group");
                        let at = usize::from(f.track.0);
                        prop_assert!(f.dts > last[at]);
                        last[at] = f.dts;
                    }
                }
            }
        }
        prop_assert!(b.stats.silence() <= Span::from_millis(now).to_duration());
    }
}
