//! What the playlists do when media is away, and when it comes back.

use packager::{Config, Packager};

use crate::source::{EPOCH, Encoder, ms};

fn encoder() -> Encoder {
    Encoder::new(Packager::new(Config::default(), None, EPOCH))
}

#[test]
fn an_absence_freezes_and_the_return_jumps() {
    for away in [2_500, 10_000, 60_000, 300_000] {
        let mut e = encoder();
        e.send(&[60, 60, 60, 60, 37]);
        e.absent(ms(away));
        let held = e.packager.snapshot().get("v0").cloned().unwrap();
        assert!(held.hold && held.segments.iter().all(|s| s.complete));
        let first = held.media_sequence();
        e.send(&[59]);
        let still = e.packager.snapshot().get("v0").unwrap();
        assert_eq!((still.hold, still.media_sequence()), (true, first));
        e.send(&[60, 60]);
        let v = e.packager.snapshot().get("v0").unwrap();
        assert!(!v.hold);
        assert!(v.media_sequence() > held.edge().unwrap().msn);
        let grid = e.packager.state().unwrap().row.index(v.segments[0].start);
        assert_eq!(v.media_sequence(), grid, "on the grid after {away} ms");
        assert!(
            v.segment(held.edge().unwrap().msn).is_some(),
            "old media is still served"
        );
        assert_eq!(e.packager.counters().jumps, 1);
    }
}

#[test]
fn a_shorter_silence_declares_nothing() {
    let mut e = encoder();
    e.send(&[60, 60, 60, 20]);
    e.absent(ms(700));
    assert!(!e.packager.snapshot().get("v0").unwrap().hold);
    e.send(&[60; 4]);
    assert_eq!(e.packager.counters().holds, 0);
    assert_eq!(e.packager.counters().discontinuities, 0);
}

#[test]
fn returns_within_one_window_never_reuse_a_number() {
    let mut e = encoder();
    e.send(&[60, 60, 60]);
    for _ in 0..100 {
        e.send(&[20]);
        e.absent(ms(2_100));
    }
    e.send(&[60; 4]);
    assert!(e.packager.snapshot().is_live());
}

#[test]
fn a_hint_that_a_hold_withdrew_names_nothing_later() {
    for frames in 1..=60 {
        let mut e = encoder();
        e.send(&[60, 60, 60, frames]);
        let hinted = e.packager.snapshot().get("v0").unwrap().next_part;
        // What comes late goes on where the last picture was.
        e.packager.tick(e.now + ms(2_500));
        let held = e.packager.snapshot().get("v0").cloned().unwrap();
        assert!(held.hold);
        e.send(&[60, 30]);
        let v = e.packager.snapshot().get("v0").unwrap();
        let listed = (held.part(hinted).is_some(), v.part(hinted).is_some());
        assert!(listed.0 == listed.1, "{hinted:?} after {frames} pictures");
    }
}

#[test]
fn the_end_is_told() {
    let mut e = encoder();
    e.send(&[60; 4]);
    e.packager.end();
    let snapshot = e.packager.snapshot();
    assert!(snapshot.media.iter().all(|m| m.ended));
    let v = snapshot.get("v0").unwrap();
    assert!(
        snapshot
            .playlist(v, packager::Form::default())
            .ends_with("#EXT-X-ENDLIST\n")
    );
}
