//! The programme timeline under sources of every temper.

use failover::{Config, Timeline};
use media::{Frame, Span, Timestamp, TrackId};
use proptest::prelude::*;

const VIDEO: TrackId = TrackId(0);
const AUDIO: TrackId = TrackId(1);
const EPOCH: Timestamp = Timestamp::from_millis(1_795_228_844_312);

const fn ms(v: i64) -> Span {
    Span::from_millis(v)
}

fn frame(track: TrackId, at: Timestamp) -> Frame {
    Frame {
        track,
        dts: at,
        pts: at + ms(40),
        duration: None,
        random_access: true,
        leading: false,
        payload: bytes::Bytes::new(),
    }
}

/// Sends 25 frames per second from source time `from` for `for_ms`, a group each second; tells the
/// programme times that came out.
fn play(t: &mut Timeline, from: i64, now: Timestamp, for_ms: i64) -> Vec<Timestamp> {
    (0..for_ms / 40)
        .filter_map(|i| {
            let at = Timestamp::from_millis(from + i * 40);
            t.map(frame(VIDEO, at), i % 25 == 0, now + ms(i * 40))
        })
        .map(|f| f.dts)
        .collect()
}

/// Another source, whose first random-access point has this time, comes now.
fn change(t: &mut Timeline, from: Timestamp, now: Timestamp) {
    let entry = t.entry(Span::ZERO, now);
    t.enter(from, entry);
}

#[test]
fn a_source_is_put_on_utc() {
    let mut t = Timeline::new(Config::default());
    let out = play(&mut t, 7, EPOCH, 1000);
    assert_eq!((out[0], out.len()), (EPOCH, 25));
    assert_eq!(out[24] - out[0], ms(960));
}

#[test]
fn sound_stays_where_it_was_beside_the_pictures() {
    let mut t = Timeline::new(Config::default());
    let v = t
        .map(frame(VIDEO, Timestamp::from_millis(500)), true, EPOCH)
        .unwrap();
    let a = t
        .map(frame(AUDIO, Timestamp::from_millis(487)), false, EPOCH)
        .unwrap();
    assert_eq!(v.dts - a.dts, ms(13));
    assert_eq!(v.pts - v.dts, ms(40));
}

#[test]
fn a_return_after_an_absence_is_a_declared_gap_on_utc() {
    let mut t = Timeline::new(Config::default());
    play(&mut t, 0, EPOCH, 4000);
    let back = EPOCH + ms(34_000);
    change(&mut t, Timestamp::from_millis(900_000), back);
    let out = play(&mut t, 900_000, back, 1000);
    assert_eq!(out[0], back);
    assert_eq!(t.counters().declared_gaps, 1);
}

#[test]
fn a_short_silence_declares_nothing_and_time_never_goes_back() {
    let mut t = Timeline::new(Config::default());
    let first = play(&mut t, 0, EPOCH, 4000);
    change(&mut t, Timestamp::ZERO, EPOCH + ms(3_990));
    let out = play(&mut t, 0, EPOCH + ms(3_990), 1000);
    assert!(out[0] > *first.last().unwrap());
    assert_eq!(t.counters().declared_gaps, 0);
}

#[test]
fn a_source_faster_than_time_is_held_to_the_lead() {
    let mut t = Timeline::new(Config::default());
    // A minute of media within one second of wall time.
    let mut last = EPOCH;
    for i in 0..1500 {
        let now = EPOCH + ms(i * 1000 / 1500);
        let at = Timestamp::from_millis(i * 40);
        if let Some(f) = t.map(frame(VIDEO, at), i % 25 == 0, now) {
            assert!(f.dts <= now + ms(2_000));
            assert!(f.dts >= last);
            last = f.dts;
        }
    }
    assert!(t.counters().too_fast > 1000);
}

#[test]
fn a_source_that_starts_with_a_burst_is_not_starved() {
    let mut t = Timeline::new(Config::default());
    // Four seconds at once, as a relay sends its cache; then a minute at its pace.
    let out = (0..1600_i64).filter_map(|i| {
        let now = EPOCH + ms((i - 100).max(0) * 40);
        t.map(
            frame(VIDEO, Timestamp::from_millis(i * 40)),
            i % 25 == 0,
            now,
        )
    });
    let out: Vec<_> = out.collect();
    assert!(out.len() > 1500, "{}", out.len());
    assert!(out.windows(2).all(|w| w[1].dts > w[0].dts));
}

#[test]
fn a_short_silence_leaves_no_hole() {
    let mut t = Timeline::new(Config::default());
    let first = play(&mut t, 0, EPOCH, 4000);
    change(&mut t, Timestamp::from_millis(700_000), EPOCH + ms(5_300));
    let out = play(&mut t, 700_000, EPOCH + ms(5_300), 1000);
    assert_eq!(out[0] - *first.last().unwrap(), ms(40));
    assert_eq!(t.counters().declared_gaps, 0);
    // The next one counts from where the programme is, so lags do not add up.
    change(&mut t, Timestamp::ZERO, EPOCH + ms(7_500));
    let out = play(&mut t, 0, EPOCH + ms(7_500), 1000);
    assert_eq!(out[0], EPOCH + ms(7_500));
}

#[test]
fn drift_is_repaid_within_200_ppm() {
    let mut t = Timeline::new(Config::default());
    let mut worst = Span::ZERO;
    // A crystal that is 100 ppm slow, for half an hour.
    for i in 0..45_000_i64 {
        let now = EPOCH + Span::from_nanos(i * 40_004_000);
        let f = t
            .map(
                frame(VIDEO, Timestamp::from_millis(i * 40)),
                i % 25 == 0,
                now,
            )
            .unwrap();
        worst = worst.max((f.dts - now).abs());
    }
    assert!(worst <= ms(8), "{worst:?}");
}

#[test]
fn what_was_written_is_not_written_again_where_the_clock_was_led_since() {
    let mut t = Timeline::new(Config::default());
    play(&mut t, 0, EPOCH, 4_000);
    // Half a second late, for long enough to be led towards UTC.
    let out = play(&mut t, 4_000, EPOCH + ms(4_500), 16_000);
    assert_eq!(out.len(), 400);
    t.follow(Span::ZERO);
    let mut again = |at| t.map(frame(VIDEO, at), false, EPOCH + ms(20_500));
    assert!(again(Timestamp::from_millis(19_960)).is_none());
    assert!(again(Timestamp::from_millis(20_000)).is_some());
}

#[test]
fn a_stall_of_the_network_moves_nothing() {
    let mut t = Timeline::new(Config::default());
    play(&mut t, 0, EPOCH, 4000);
    // Five seconds arrive at once.
    let out = (100..225).filter_map(|i| {
        t.map(
            frame(VIDEO, Timestamp::from_millis(i * 40)),
            i % 25 == 0,
            EPOCH + ms(9_000),
        )
    });
    let out: Vec<_> = out.collect();
    assert_eq!(out[0].dts, EPOCH + ms(4_000));
    assert_eq!(out.len(), 125);
}

#[test]
fn a_source_that_paused_its_clock_is_moved_on() {
    let mut t = Timeline::new(Config::default());
    play(&mut t, 0, EPOCH, 4000);
    let out = play(&mut t, 4000, EPOCH + ms(14_000), 8_000);
    let lag = EPOCH + ms(14_000 + 7_960) - *out.last().unwrap();
    assert!(lag.abs() <= ms(50), "{lag:?}");
    assert_eq!(t.counters().reanchored, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_programme_is_monotonic_and_bounded(
        steps in prop::collection::vec((0_i64..200, 0_i64..200, 0_u16..3, 0_u8..40), 1..500)
    ) {
        let mut t = Timeline::new(Config::default());
        let (mut source, mut now) = (Timestamp::ZERO, EPOCH);
        // Pictures, sound and data.
        let mut last = [Timestamp::from_nanos(i64::MIN); 3];
        for (step, pause, track, kind) in steps {
            source += ms(step);
            now += ms(pause);
            if kind == 0 {
                source = Timestamp::from_millis(i64::from(track) * 77_777);
                change(&mut t, source, now);
            }
            if let Some(f) = t.map(frame(TrackId(track), source), kind < 4, now) {
                prop_assert!(f.dts > last[usize::from(track)]);
                prop_assert!(f.dts <= now + ms(2_000));
                last[usize::from(track)] = f.dts;
            }
        }
    }
}
