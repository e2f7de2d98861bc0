//! The programme timeline under sources of every temper.

use failover::{Config, Continuity, Timeline};
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

const TRANSCODED: Config = Config {
    max_lead: ms(2_000),
    gap: ms(2_000),
    continuity: Continuity::Transcoded,
};

/// Another source, of which this much of its own time is there behind its random-access point; its
/// newest frame came now.
fn overlap(t: &mut Timeline, (from, cached_ms): (i64, i64), now: Timestamp) {
    let entry = t.overlap(now - ms(cached_ms), ms(cached_ms), now);
    t.enter(Timestamp::from_millis(from), entry);
}

fn transcoded() -> Timeline {
    let mut t = Timeline::new(TRANSCODED);
    t.set_lead_track(Some(VIDEO));
    t
}

#[test]
fn what_a_source_has_of_the_time_before_is_taken_and_moves_no_end() {
    let mut t = transcoded();
    let old = play(&mut t, 0, EPOCH, 4_000);
    let (end, now) = (t.end().unwrap(), EPOCH + ms(4_000));
    assert_eq!(end, *old.last().unwrap() + ms(40));
    // What it has comes at once.
    overlap(&mut t, (500_000, 600), now);
    let mut out = Vec::new();
    for i in 0..=15 {
        assert_eq!((t.overlaps(), t.end()), (true, Some(end)));
        assert_eq!(
            t.shown_until(VIDEO),
            Some(end),
            "as what follows is as if it were not there"
        );
        let at = Timestamp::from_millis(500_000 + i * 40);
        out.extend(t.map(frame(VIDEO, at), i == 0, now));
    }
    assert_eq!((out[0].dts, out.len()), (now - ms(600), 16));
    assert!(out.windows(2).all(|f| f[1].dts - f[0].dts == ms(40)));
    assert_eq!(out[15].dts, end);
    assert_eq!((t.overlaps(), t.end()), (false, Some(end + ms(40))));
    assert_eq!((t.lead(), t.counters().overlapped), (Span::ZERO, 0));
    assert_eq!((t.counters().sources, t.counters().declared_gaps), (2, 0));
}

#[test]
fn of_one_source_time_never_goes_back() {
    let mut t = transcoded();
    play(&mut t, 0, EPOCH, 4_000);
    let now = EPOCH + ms(4_000);
    overlap(&mut t, (0, 400), now);
    let mut map = |at| t.map(frame(VIDEO, Timestamp::from_millis(at)), at == 0, now);
    assert!(map(0).is_some() && map(40).is_some());
    assert!(map(40).is_none() && map(20).is_none());
    assert!(map(80).is_some());
    assert_eq!(t.counters().overlapped, 2);
}

#[test]
fn readers_of_frames_as_they_are_get_none_from_before() {
    let mut t = transcoded();
    let old = play(&mut t, 0, EPOCH, 4_000);
    let now = EPOCH + ms(4_000);
    overlap(&mut t, (0, 2_000), now);
    let before = t.map(frame(VIDEO, Timestamp::ZERO), true, now);
    assert!(before.unwrap().dts < *old.last().unwrap());
    t.configure(Config::default());
    assert_eq!(t.continuity(), Continuity::Passthrough);
    let out = play(&mut t, 40, now, 2_000);
    assert!(out[0] > *old.last().unwrap());
}

#[test]
fn a_hole_longer_than_a_segment_is_declared_wherever_the_source_enters() {
    for (hole, declared) in [(1_900, 0), (2_100, 1)] {
        let mut t = transcoded();
        play(&mut t, 0, EPOCH, 4_000);
        overlap(&mut t, (0, 500), EPOCH + ms(4_000 + hole + 500));
        assert_eq!(t.counters().declared_gaps, declared, "{hole} ms");
    }
}

#[test]
fn what_pictures_that_were_reordered_leave_out_is_not_shown() {
    let mut t = transcoded();
    let mut map = |at: i64, pts: i64, opens| {
        let f = frame(VIDEO, Timestamp::from_millis(at));
        let pts = Timestamp::from_millis(pts);
        t.map(Frame { pts, ..f }, opens, EPOCH + ms(at));
        t.shown_until(VIDEO).unwrap() - EPOCH
    };
    // One is shown after the two that come next.
    map(0, 80, true);
    let shown = [(40, 200), (80, 120), (120, 160), (160, 320)];
    let until = shown.map(|(at, pts)| map(at, pts, false).as_millis());
    assert_eq!(until, [80, 120, 240, 200]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever overlaps: of each source time goes on, the end never goes back for another one, and
    /// a reader that keeps what lies behind what it has sees the rest once.
    #[test]
    fn overlapping_sources_are_bounded(
        steps in prop::collection::vec((1_i64..60, 0_i64..60, 0_u16..2, 0_u8..60), 1..500),
        cached in 0_i64..3_000,
    ) {
        let mut t = transcoded();
        let (mut source, mut now) = (Timestamp::ZERO, EPOCH);
        let mut last = [Timestamp::from_nanos(i64::MIN); 2];
        let (mut end, mut reached) = (None, true);
        for (step, pause, track, kind) in steps {
            source += ms(step);
            now += ms(pause);
            if kind == 0 {
                let origin = i64::from(track) * 77_777;
                source = Timestamp::from_millis(origin);
                (end, reached) = (t.end(), t.end().is_none());
                overlap(&mut t, (origin, cached), now);
                last = [now - ms(cached + 1); 2];
            }
            if let Some(f) = t.map(frame(TrackId(track), source), kind < 4, now) {
                prop_assert!(f.dts > last[usize::from(track)]);
                prop_assert!(f.dts <= now + ms(2_000));
                last[usize::from(track)] = f.dts;
                reached |= track == 0 && Some(f.dts + ms(1)) >= end;
            }
            prop_assert!(t.end() >= end);
            prop_assert_eq!(t.overlaps(), !reached);
        }
    }
}
