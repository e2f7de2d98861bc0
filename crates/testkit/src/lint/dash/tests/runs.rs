//! Longer runs: what is excused in which state, and nothing else.

use super::programme::FILLER;
use super::world::reply;
use super::*;
use crate::lint::tests::header;

#[test]
fn a_steady_run() {
    let report = watch(&World::default(), 40_000, &[]);
    assert_eq!(report.violations, []);
    assert!(report.excused.is_empty());
    let unseen = |r: &&Rule| !report.checked.contains_key(r);
    let all = Rule::DASH.iter().chain(Rule::BOTH);
    assert_eq!(all.filter(unseen).collect::<Vec<_>>(), Vec::<&Rule>::new());
    let chunks = report.chunks["v0"];
    assert_eq!(
        (chunks.fillers, chunks.gap_ms.p50, chunks.behind_ms.max),
        (0, 100, 20)
    );
    assert!(
        chunks.segments >= 19 && chunks.chunks >= 19 * 18,
        "{chunks}"
    );
}

#[test]
fn a_steady_run_without_low_latency() {
    let report = watch(&World::classic(), 40_000, &[]);
    assert_eq!(report.violations, []);
}

fn absence() -> World {
    World {
        hole: Some((6_000, 12_000)),
        ..World::default()
    }
}

#[test]
fn an_absence_is_excused_while_it_is_told() {
    let told = [
        (0, State::NORMAL),
        (6_000, State::HOLD),
        (12_000, State::NORMAL),
    ];
    let report = watch(&absence(), 30_000, &told);
    assert_eq!(report.violations, []);
    assert_eq!(report.excused.keys().collect::<Vec<_>>(), [&Rule::Media]);
    assert_eq!(report.chunks["v0"].fillers, 3);
    assert_eq!(rules(&watch(&absence(), 30_000, &[])), [Rule::Media]);
}

#[test]
fn another_initialisation_comes_with_the_media() {
    for mode in [Mode::Low, Mode::Classic] {
        let world = World {
            mode,
            switch: Some(3),
            ..World::default()
        };
        let report = watch(&world, 30_000, &[]);
        assert_eq!(report.violations, [], "{mode:?}");
    }
}

#[test]
fn who_does_not_know_of_another_initialisation_gets_media_if_that_is_of_use() {
    let go = |codec: &'static str| {
        let world = World {
            switch: Some(3),
            ..World::default()
        };
        let world = world.text(move |text| match text.split_once("</Period>") {
            Some((first, next)) => format!("{first}</Period>{}", next.replace("avc1", codec)),
            None => text,
        });
        broken(&world.answered(no_media))
    };
    assert_eq!(go("avc1"), [Rule::Media]);
    assert_eq!(go("hvc1"), [Rule::Codecs]);
}

/// For who asks for the first number of another initialisation with the old one.
fn no_media(w: &Wanted, a: &mut Answer) {
    if is(w, What::Segment, "v0", 3) {
        let filler = reply(Some(200), &[(a.last, FILLER.into())], a.sent);
        *a = header(filler, "cache-control", "no-store");
    }
}

#[test]
fn d6_the_initialisation_in_front_is_that_of_the_period() {
    let world = World {
        switch: Some(3),
        ..World::default()
    };
    let other = world.answered(|w, a| {
        if is(w, What::Segment, "v0", 3) {
            let mut bytes = a.body.to_vec();
            bytes[15] ^= 1;
            a.body = bytes.into();
        }
    });
    assert_eq!(broken(&other), [Rule::D6]);
}

#[test]
fn an_initialisation_that_nobody_tells_of() {
    let world = World {
        switch: Some(3),
        ..World::default()
    };
    let never = world.text(|text| {
        let (head, rest) = text.split_once("</Period>").unwrap();
        let tail = rest.split_once("</Period>").map_or(rest, |(_, tail)| tail);
        format!("{head}</Period>{tail}").replace(" endNumber=\"897613202\"", "")
    });
    let found = broken(&never);
    assert!(found.contains(&Rule::D10), "{found:?}");
}

#[test]
fn a_restart_excuses_a_server_that_is_away() {
    let go = |state: State| {
        let world = World {
            away: Some((6_500, 8_500)),
            ..World::default()
        };
        let told = [(0, State::NORMAL), (6_500, state), (9_000, State::NORMAL)];
        rules(&watch(&world, 30_000, &told))
    };
    assert_eq!(go(State::RESTART.and(State::HOLD)), []);
    assert_eq!(go(State::RESTART), []);
    let without = go(State::NORMAL);
    assert_eq!(without, [Rule::D12, Rule::Mpd, Rule::Media]);
}

#[test]
fn a_forced_cut_excuses_a_missing_keyframe() {
    let go = |told: &[(i64, State)]| {
        let world = World::default().answered(|w, a| {
            if w.representation == "v0" && w.number == FIRST + 2 && w.what != What::Far {
                // Size and flags of a sample.
                let (key, other) = (b"\0\0\0\x0a\x02\0\0\0", b"\0\0\0\x0a\x01\x01\0\0");
                let mut bytes = a.body.to_vec();
                let at = bytes.windows(8).position(|w| w == key).unwrap();
                bytes[at..at + 8].copy_from_slice(other);
                a.body = bytes.into();
            }
        });
        rules(&watch(&world, 16_000, told))
    };
    assert_eq!(go(&[]), [Rule::D9, Rule::Sap]);
    assert_eq!(
        go(&[(3_000, State::FORCED_CUT), (6_000, State::NORMAL)]),
        []
    );
}
