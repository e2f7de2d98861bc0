//! Numbers across restarts: never one twice, never one below another.

use media::Span;
use packager::{Config, Effect, Packager, Restored};

use crate::source::{EPOCH, Encoder, ms};

/// What a store holds that was told every change at once, and the highest number never.
#[derive(Default)]
struct Store(Option<Restored>);

impl Store {
    fn drain(&mut self, packager: &mut Packager) {
        while let Some(effect) = packager.next_effect() {
            match effect {
                Effect::State(state) => {
                    self.0 = Some(Restored {
                        highest: self.0.map_or(0, |s| s.highest),
                        ..state
                    })
                }
                Effect::Row(row) => {
                    let old = self.0;
                    self.0 = Some(Restored {
                        row,
                        run_ahead: 0,
                        discontinuity: old.map_or(0, |s| s.discontinuity),
                        highest: old.map_or(0, |s| s.highest),
                        as_of: None,
                        period: old.and_then(|s| s.period),
                    });
                }
            }
        }
    }
}

#[test]
fn numbers_never_repeat_over_many_kills() {
    let mut store = Store::default();
    let mut now = EPOCH;
    let mut last = 0;
    for round in 0..40_i64 {
        let mut e = Encoder::new(Packager::new(Config::default(), store.0, now));
        e.now = now + ms(137 * round % 1900);
        e.send(&[60, 60, 60, 31]);
        if round % 3 == 0 {
            e.absent(ms(2_100));
            e.send(&[60, 60]);
        }
        store.drain(&mut e.packager);
        if let Some(v) = e.packager.snapshot().get("v0") {
            assert!(v.media_sequence() > last, "round {round}");
        }
        last = e.packager.state().map_or(last, |s| s.highest.max(last));
        now = e.now + ms(61);
    }
    assert!(store.0.unwrap().run_ahead < 40);
}

#[test]
fn a_restart_begins_at_the_next_whole_window_beyond_the_lead() {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    e.send(&[60; 6]);
    let state = e.packager.state();
    let now = e.now + ms(500);
    let mut e = Encoder::new(Packager::new(Config::default(), state, now));
    e.now = now;
    e.send(&[60; 6]);
    let v = e.packager.snapshot().get("v0").unwrap();
    let wait = v.segments[0].start - now;
    assert!(wait <= Span::from_millis(5_000), "{wait:?}");
    assert_eq!(
        v.media_sequence(),
        state.unwrap().row.index(v.segments[0].start)
    );
}

#[test]
fn a_clock_that_stepped_back_appends_a_row() {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    e.send(&[60; 6]);
    let state = e.packager.state().unwrap();
    let back = EPOCH - Span::from_secs(3600);
    let mut e = Encoder::new(Packager::new(Config::default(), Some(state), back));
    e.now = back;
    e.send(&[60; 6]);
    let v = e.packager.snapshot().get("v0").unwrap();
    assert!(v.media_sequence() > state.highest);
    assert!(e.packager.state().unwrap().row.n0 > state.highest);
}

#[test]
fn another_segment_duration_appends_a_row() {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    e.send(&[60; 6]);
    let state = e.packager.state().unwrap();
    let config = Config {
        segment: ms(4000),
        ..Config::default()
    };
    let now = e.now;
    let mut e = Encoder::new(Packager::new(config, Some(state), now));
    e.now = now;
    e.send(&[60; 6]);
    let v = e.packager.snapshot().get("v0").unwrap();
    assert_eq!(v.target_duration, 4);
    assert!(v.media_sequence() > state.highest);
}
