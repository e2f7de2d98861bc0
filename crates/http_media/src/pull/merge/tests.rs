use bytes::Bytes;
use container::ingest::{audio_track, video_track};
use proptest::prelude::*;

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn batch(track: TrackId, region: Region, times: &[i64]) -> Batch {
    let frame = |ms: &i64| {
        Item::Frame(Frame {
            track,
            dts: at(*ms),
            pts: at(*ms),
            duration: None,
            random_access: true,
            leading: false,
            payload: Bytes::new(),
        })
    };
    Batch {
        items: times.iter().map(frame).collect(),
        region,
        arrived: at(0),
        utc: None,
        edge: false,
    }
}

fn drain(merge: &mut Merge, regardless: bool) -> Vec<(u16, i64)> {
    let ready = std::iter::from_fn(|| merge.pop(regardless));
    let told = ready.filter_map(|r| match r.item {
        Item::Frame(f) => Some((f.track.0, f.dts.as_millis())),
        _ => None,
    });
    told.collect()
}

#[test]
fn lanes_are_interleaved_and_wait_for_each_other() {
    let mut m = Merge::new(2);
    m.push(0, batch(video_track(0), (0, 0), &[100, 140, 180]));
    assert_eq!(drain(&mut m, false), []);
    m.push(1, batch(audio_track(0), (0, 0), &[60, 90, 120, 150]));
    // Sound before the first picture is of no use.
    assert_eq!(
        drain(&mut m, false),
        [(0, 100), (1, 120), (0, 140), (1, 150)]
    );
    assert_eq!(m.level(0), Span::ZERO);
    assert_eq!(drain(&mut m, true), [(0, 180)]);
    m.end(1);
    m.push(0, batch(video_track(0), (0, 0), &[220]));
    assert_eq!(drain(&mut m, false), [(0, 220)]);
}

#[test]
fn time_goes_on_over_a_discontinuity() {
    let mut m = Merge::new(2);
    m.push(0, batch(video_track(0), (0, 4), &[1_000, 1_040]));
    m.push(1, batch(audio_track(0), (0, 4), &[1_000, 1_020, 1_041]));
    m.push(0, batch(video_track(0), (0, 5), &[90_000, 90_040]));
    m.push(1, batch(audio_track(0), (0, 5), &[90_002, 90_023]));
    let told = drain(&mut m, true);
    let of = |track| told.iter().filter(move |t| t.0 == track).map(|t| t.1);
    assert_eq!(of(0).collect::<Vec<_>>(), [1_000, 1_040, 1_080, 1_120]);
    assert_eq!(
        of(1).collect::<Vec<_>>(),
        [1_000, 1_020, 1_041, 1_082, 1_103]
    );
    // What comes late keeps the place of its region.
    m.push(1, batch(audio_track(0), (0, 4), &[1_062]));
    assert_eq!(drain(&mut m, true), [(1, 1_062)]);
}

#[test]
fn a_wrap_between_the_lanes_is_none() {
    let wrap = WRAP.as_millis();
    let mut m = Merge::new(2);
    m.push(0, batch(video_track(0), (0, 0), &[wrap - 10]));
    m.push(1, batch(audio_track(0), (0, 0), &[5]));
    assert_eq!(drain(&mut m, true), [(0, wrap - 10), (1, wrap + 5)]);
}

#[test]
fn the_wall_clock_is_that_of_the_first_keyframe() {
    let mut m = Merge::new(1);
    let mut b = batch(video_track(0), (0, 0), &[0, 40, 80]);
    // The first one was held back from the segment before.
    if let Item::Frame(frame) = &mut b.items[0] {
        frame.random_access = false;
    }
    b.utc = Some(at(77_000));
    m.push(0, b);
    let told: Vec<_> = std::iter::from_fn(|| m.pop(false)).map(|r| r.utc).collect();
    assert_eq!(told, [None, Some(at(77_000)), None]);
}

#[test]
fn lumps_of_sound_go_to_their_place() {
    let mut m = Merge::new(1);
    m.push(0, batch(video_track(0), (0, 0), &[0, 40, 80]));
    m.push(0, batch(audio_track(0), (0, 0), &[10, 31, 52]));
    m.push(0, batch(video_track(0), (0, 1), &[500]));
    m.push(0, batch(audio_track(0), (0, 0), &[73]));
    assert_eq!(
        drain(&mut m, false)[..6],
        [(0, 0), (1, 10), (1, 31), (0, 40), (1, 52), (0, 80)]
    );
}

#[test]
fn a_loss_keeps_its_place_and_parts_nothing() {
    let mut m = Merge::new(1);
    let mut b = batch(video_track(0), (0, 0), &[0, 40, 80]);
    b.items.insert(2, Item::Lost);
    m.push(0, b);
    m.push(0, batch(audio_track(0), (0, 0), &[10, 31, 52]));
    let ready = std::iter::from_fn(|| m.pop(false)).map(|r| match r.item {
        Item::Frame(f) => Some(f.dts.as_millis()),
        _ => None,
    });
    let told: Vec<_> = ready.collect();
    let times = [Some(0), Some(10), Some(31), Some(40), None, Some(52)];
    assert_eq!(told[..6], times);
}

#[test]
fn a_clock_that_goes_back_unannounced_is_put_into_order_anew() {
    let mut m = Merge::new(1);
    m.push(0, batch(video_track(0), (0, 0), &[10_000, 10_040]));
    m.push(0, batch(audio_track(0), (0, 0), &[10_000]));
    m.push(0, batch(video_track(0), (0, 0), &[0, 40, 80]));
    m.push(0, batch(audio_track(0), (0, 0), &[10, 50]));
    let (before, after) = (
        [(0, 10_000), (1, 10_000), (0, 10_040)],
        [(0, 0), (1, 10), (0, 40), (1, 50), (0, 80)],
    );
    let told = drain(&mut m, true);
    assert_eq!((&told[..3], &told[3..]), (&before[..], &after[..]));
}

#[test]
fn a_lane_is_full_by_bytes_and_by_frames() {
    let mut m = Merge::new(2);
    let mut b = batch(video_track(0), (0, 0), &[0, 40]);
    if let Item::Frame(frame) = &mut b.items[1] {
        frame.payload = vec![0; LANE_BYTES].into();
    }
    m.push(0, b);
    assert!(m.is_full(0) && !m.is_full(1));
    m.end(1);
    assert_eq!(drain(&mut m, true), [(0, 0), (0, 40)]);
    assert!(!m.is_full(0), "what is gone is not held");
    let times: Vec<_> = (0..i64::try_from(LANE_ITEMS).unwrap()).collect();
    m.push(0, batch(video_track(0), (0, 0), &times));
    assert!(m.is_full(0));
}

/// Each sound would go before all pictures: one by one that took minutes.
#[test]
fn a_lump_of_any_size_is_put_into_order_soon() {
    const MANY: i64 = 50_000;
    let mut m = Merge::new(1);
    let times: Vec<_> = (MANY..2 * MANY).collect();
    m.push(0, batch(video_track(0), (0, 0), &times));
    let began = std::time::Instant::now();
    let times: Vec<_> = (0..MANY).collect();
    m.push(0, batch(audio_track(0), (0, 0), &times));
    let took = began.elapsed();
    assert!(took.as_secs() < 10, "{took:?}");
    let told = drain(&mut m, true);
    assert!(told.is_sorted_by_key(|(_, ms)| *ms));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever two renditions bring, over whatever discontinuities: nothing is lost but what
    /// precedes the first picture, and no track goes back or leaps within its own clock.
    #[test]
    fn nothing_is_lost(batches in prop::collection::vec(
        (0_usize..2, 1_i64..8, any::<bool>(), any::<bool>()), 1..60,
    )) {
        let mut m = Merge::new(2);
        let mut regions = [0_u64; 2];
        let mut clocks = [0_i64; 2];
        let (mut sent, mut got) = (0, Vec::new());
        for (lane, n, jump, now) in batches {
            // Both renditions have the same discontinuities at the same times.
            if jump && regions[lane] <= regions[1 - lane] {
                regions[lane] += 1;
                clocks[lane] = i64::try_from(regions[lane]).unwrap() * 1_000_000;
            }
            let times: Vec<_> = (0..n).map(|i| clocks[lane] + i * 20).collect();
            clocks[lane] += n * 20;
            let track = if lane == 0 { video_track(0) } else { audio_track(0) };
            m.push(lane, batch(track, (0, regions[lane]), &times));
            sent += if lane == 0 { times.len() } else { 0 };
            // A rendition that is a discontinuity ahead of one that is late is a guess at best.
            got.extend(drain(&mut m, now && regions[0] == regions[1]));
        }
        got.extend(drain(&mut m, true));
        let pictures: Vec<_> = got.iter().filter(|g| g.0 == 0).map(|g| g.1).collect();
        prop_assert_eq!(pictures.len(), sent);
        for w in pictures.windows(2) {
            prop_assert!(w[1] > w[0], "{:?}", w);
        }
    }
}
