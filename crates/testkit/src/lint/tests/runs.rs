//! Longer runs: what is excused in which state, and nothing else.

use super::*;

/// Frozen at 42 parts with segment 104 completed early, then a jump to 110 at 25 s.
fn absence(linter: &mut Linter) {
    for name in ['a', 'v'] {
        let frozen = frozen(name);
        let asked = Directives::part(104, 2);
        let held = answer(200, frozen, (8_450, 10_400));
        linter.playlist(&Live::new(name, 0).uri(), asked, &held);
    }
    for name in ['a', 'v'] {
        let live = Live {
            first: 110,
            other: 110,
            ..Live::new(name, 110)
        };
        let jumped = live.text();
        show(linter, name, &jumped, 25_000);
    }
}

fn frozen(name: char) -> String {
    let live = Live {
        hold: true,
        ..Live::new(name, 42)
    };
    let text = live.text();
    let (list, tail) = text.split_at(text.find("#EXT-X-RENDITION").unwrap());
    format!("{list}#EXTINF:0.40000,\n{}_104.m4s\n{tail}", live.id())
}

#[test]
fn an_absence_is_excused_while_it_is_told() {
    let mut linter = watching(42);
    linter.state(at(8_450), State::HOLD);
    absence(&mut linter);
    linter.state(at(25_000), State::NORMAL);
    let report = linter.finish(at(25_100));
    assert_eq!(report.violations, []);
    for rule in [Rule::H6, Rule::H9, Rule::H10, Rule::H18] {
        assert!(report.excused.contains_key(&rule), "{rule}");
    }
}

#[test]
fn an_absence_that_nobody_told_of_is_found() {
    let mut linter = watching(42);
    absence(&mut linter);
    let found = broken(linter, 25_100);
    assert_eq!(found, [Rule::H6, Rule::H9, Rule::H10, Rule::H18]);
}

#[test]
fn a_restart_excuses_removal_and_silence_of_the_server() {
    let go = |state: State| {
        let mut linter = watching(42);
        linter.state(at(8_450), state);
        let mut refused = answer(404, "", (8_500, 8_501));
        refused.status = None;
        linter.playlist("v0.m3u8", Directives::part(104, 2), &refused);
        absence(&mut linter);
        linter.state(at(25_000), State::NORMAL);
        broken(linter, 25_100)
    };
    assert_eq!(go(State::RESTART.and(State::HOLD)), []);
    assert_eq!(go(State::RESTART), [Rule::H6, Rule::H10, Rule::H18]);
    assert_eq!(go(State::HOLD), [Rule::Serve]);
}

#[test]
fn a_forced_cut_excuses_a_missing_keyframe() {
    let mut linter = watching(0);
    linter.state(at(0), State::FORCED_CUT);
    let text = Live::new('v', 42).text().replace(",INDEPENDENT=YES", "");
    show(&mut linter, 'v', &text, 8_400);
    assert_eq!(broken(linter, 8_450), []);
}

#[test]
fn a_steady_run_of_a_minute() {
    let mut linter = watching(1);
    for parts in 2..300_u64 {
        let ms = i64::try_from(parts).unwrap() * 200;
        let first = FIRST + (parts / 10).saturating_sub(12);
        for name in ['a', 'v'] {
            let live = Live {
                first,
                ..Live::new(name, parts)
            };
            let (msn, part) = linter.next(&live.uri()).unwrap();
            let list = answer(200, live.text(), (ms - 190, ms));
            linter.playlist(&live.uri(), Directives::part(msn, part), &list);
        }
    }
    let report = linter.finish(at(60_000));
    assert_eq!(report.violations, []);
    assert_eq!(
        report.figures["v0.m3u8"].gap_ms,
        Quantiles {
            p50: 200,
            p99: 200,
            max: 200
        }
    );
    assert!(
        report
            .to_string()
            .ends_with("weir-lint: OK, 0 violations, 0 excused")
    );
    assert_eq!(
        report.json()["violations"].as_array().map(Vec::len),
        Some(0)
    );
}
