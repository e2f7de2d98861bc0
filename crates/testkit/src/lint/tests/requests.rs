//! Rules over answers.

use super::*;

fn ask(linter: &mut Linter, asked: Directives, answer: &Answer) {
    linter.playlist("v0.m3u8", asked, answer);
}

fn refusal(status: u16, took: i64) -> Answer {
    answer(status, "", (8_410, 8_410 + took))
}

#[test]
fn h10_what_was_asked_for_is_there() {
    let go = |msn, part| {
        let mut linter = watching(42);
        let list = answer(200, Live::new('v', 43).text(), (8_450, 8_600));
        ask(
            &mut linter,
            Directives {
                msn: Some(msn),
                part,
                skip: false,
            },
            &list,
        );
        broken(linter, 8_650)
    };
    assert_eq!(go(104, Some(2)), []);
    assert_eq!(go(103, None), []);
    assert_eq!(
        go(103, Some(10)),
        [],
        "part 10 of ten is the next segment's first"
    );
    assert_eq!(go(104, Some(3)), [Rule::H10]);
    assert_eq!(go(104, None), [Rule::H10]);
    assert_eq!(go(105, Some(0)), [Rule::H10]);
}

#[test]
fn h10_the_next_part_is_not_refused() {
    let mut linter = watching(42);
    ask(&mut linter, Directives::part(104, 2), &refusal(400, 10));
    assert_eq!(broken(linter, 8_450), [Rule::H10]);
}

#[test]
fn h11_h12_h20_refusals() {
    for (probe, rule, status) in [
        (Probe::PartAlone, Rule::H11, 400),
        (Probe::TooFar, Rule::H12, 400),
        (Probe::Unknown, Rule::H20, 404),
    ] {
        let go = |answer: &Answer| {
            let mut linter = watching(42);
            linter.probe("v0.m3u8", probe, answer);
            broken(linter, 8_450)
        };
        assert_eq!(go(&refusal(status, 5)), []);
        assert_eq!(go(&refusal(200, 5)), [rule]);
        assert_eq!(go(&refusal(status, 900)), [rule], "not at once");
    }
}

#[test]
fn h13_nobody_waits_for_ever() {
    let go = |status, took: i64| {
        let mut linter = watching(42);
        let text = Live::new('v', 43).text();
        let list = answer(status, text, (8_420, 8_420 + took));
        ask(&mut linter, Directives::part(104, 2), &list);
        broken(linter, 8_430 + took)
    };
    assert!(go(200, 6_600).contains(&Rule::H13));
    let refused = go(503, 6_000);
    assert!(
        !refused.contains(&Rule::H13) && !refused.contains(&Rule::Serve),
        "{refused:?}"
    );
    assert!(
        go(503, 100).contains(&Rule::Serve),
        "503 before three target durations"
    );
}

#[test]
fn h14_old_numbers_get_it_all() {
    let go = |text: String, took: i64| {
        let mut linter = watching(42);
        linter.old("v0.m3u8", &answer(200, text, (8_410, 8_410 + took)));
        broken(linter, 8_450)
    };
    assert_eq!(go(Live::new('v', 42).text(), 2), []);
    assert_eq!(go(Live::new('v', 42).text(), 600), [Rule::H14]);
    assert_eq!(
        go(Live::new('v', 41).text(), 2),
        [Rule::H14],
        "older than what was known"
    );
}

/// The playlist as a delta update that skips `n` segments.
fn delta(list: &str, n: usize) -> String {
    let map = list.find("#EXT-X-MAP").unwrap();
    let ends: Vec<_> = list
        .match_indices(".m4s\n")
        .map(|(i, m)| i + m.len())
        .collect();
    format!(
        "{}#EXT-X-SKIP:SKIPPED-SEGMENTS={n}\n{}",
        &list[..map],
        &list[ends[n - 1]..]
    )
}

fn compare(plain: &str, zipped: &Answer, delta: &str) -> Vec<Rule> {
    let mut linter = watching(0);
    let plain = answer(200, plain.to_owned(), (20, 30));
    let delta = answer(200, delta.to_owned(), (20, 30));
    linter.same("v0.m3u8", [&plain, zipped, &delta]);
    broken(linter, 40)
}

#[test]
fn h15_a_delta_update_stands_for_the_whole() {
    let list = Live::new('v', 142).text();
    let zipped = || {
        header(
            answer(200, list.clone(), (20, 30)),
            "content-encoding",
            "gzip",
        )
    };
    assert_eq!(compare(&list, &zipped(), &delta(&list, 8)), []);
    assert_eq!(
        compare(&list, &zipped(), &delta(&list, 11)),
        [Rule::H15],
        "beyond the boundary"
    );
    let at = list.find("#EXT-X-MAP").unwrap();
    let map = list[at..].lines().next().unwrap();
    let again = |map: &str| {
        let skip = "SKIPPED-SEGMENTS=8\n";
        delta(&list, 8).replace(skip, &format!("{skip}{map}\n"))
    };
    assert_eq!(compare(&list, &zipped(), &again(map)), [], "the same map");
    let other = map.replace("URI=\"", "URI=\"other-");
    assert_eq!(compare(&list, &zipped(), &again(&other)), [Rule::H15]);
    let wrong = delta(&list, 8).replace("v0_109.m4s", "v0_other.m4s");
    assert_eq!(compare(&list, &zipped(), &wrong), [Rule::H15]);
    let never = delta(&list, 8).replace("SEQUENCE:100", "SEQUENCE:90");
    assert_eq!(
        compare(&list, &zipped(), &never),
        [],
        "another state is not compared"
    );
}

#[test]
fn h25_compressed() {
    let list = Live::new('v', 142).text();
    let same = delta(&list, 8);
    let plain = answer(200, list.clone(), (20, 30));
    assert_eq!(compare(&list, &plain, &same), [Rule::H25]);
    let other = answer(200, list.replace("VERSION:9", "VERSION:10"), (20, 30));
    assert_eq!(
        compare(&list, &header(other, "content-encoding", "gzip"), &same),
        [Rule::H25]
    );
}

#[test]
fn h26_ranges_and_age() {
    let whole = Bytes::from_static(b"0123456789");
    let go = |answer: Answer| {
        let mut linter = watching(0);
        linter.range("v0_104.0.m4s", &answer, &whole);
        broken(linter, 50)
    };
    assert_eq!(go(answer(206, "0123", (0, 1))), []);
    assert_eq!(go(answer(200, whole.clone(), (0, 1))), [Rule::H26]);
    assert_eq!(go(answer(206, "1234", (0, 1))), [Rule::H26]);
    let mut linter = watching(42);
    let aged = header(
        answer(200, Live::new('v', 43).text(), (8_450, 8_600)),
        "age",
        "3",
    );
    ask(&mut linter, Directives::part(104, 2), &aged);
    assert_eq!(broken(linter, 8_610), [Rule::H26]);
}

#[test]
fn h27_caching() {
    let go = |age: &str, asked| {
        let mut linter = watching(42);
        let list = answer(200, Live::new('v', 43).text(), (8_450, 8_600));
        ask(&mut linter, asked, &header(list, "cache-control", age));
        broken(linter, 8_610)
    };
    assert_eq!(go("max-age=12", Directives::part(104, 2)), []);
    assert_eq!(go("max-age=13", Directives::part(104, 2)), [Rule::H27]);
    assert_eq!(go("max-age=2", Directives::default()), [Rule::H27]);
    assert_eq!(go("no-store", Directives::default()), [Rule::H27]);
    let mut linter = watching(42);
    let long = header(refusal(404, 1), "cache-control", "max-age=60");
    linter.probe("v0.m3u8", Probe::Unknown, &long);
    assert_eq!(broken(linter, 8_450), [Rule::H27]);
}

#[test]
fn a_live_playlist_answers() {
    for status in [404, 500, 502] {
        let mut linter = watching(42);
        ask(&mut linter, Directives::default(), &refusal(status, 1));
        assert_eq!(broken(linter, 8_450), [Rule::Serve]);
    }
}

#[test]
fn the_classic_face() {
    let classic = |t: String| -> String {
        let tags = [
            "#EXT-X-PART",
            "#EXT-X-PRELOAD",
            "#EXT-X-RENDITION",
            "#EXT-X-SERVER",
        ];
        let kept = t
            .lines()
            .filter(|l| !tags.iter().any(|tag| l.starts_with(tag)));
        let date = kept
            .clone()
            .rfind(|l| l.starts_with("#EXT-X-PROGRAM"))
            .unwrap()
            .to_owned();
        kept.filter(|l| *l != date)
            .fold(String::new(), |all, l| all + l + "\n")
    };
    let go = |text: String| {
        let mut linter = watching(42);
        linter.classic("v0.m3u8", &answer(200, text, (8_410, 8_415)));
        broken(linter, 8_450)
    };
    let good = classic(Live::new('v', 42).text());
    assert_eq!(go(good.clone()), []);
    assert_eq!(go(good.replace("v0_102.m4s", "v0_x.m4s")), [Rule::Classic]);
    assert_eq!(
        go(good + "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"x\"\n"),
        [Rule::Classic]
    );
}
