//! Rules over playlists.

use super::*;

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(alone(|t| t), []);
    assert_eq!(after(|t| t), []);
}

#[test]
fn h1_parts_need_a_part_target() {
    let found = alone(edit("#EXT-X-PART-INF:PART-TARGET=0.21500\n", ""));
    assert!(found.contains(&Rule::H1), "{found:?}");
}

#[test]
fn h2_and_h3_part_hold_back() {
    assert_eq!(
        alone(edit("PART-HOLD-BACK=0.64500", "PART-HOLD-BACK=0.6")),
        [Rule::H3]
    );
    assert_eq!(
        alone(edit("PART-HOLD-BACK=0.64500", "PART-HOLD-BACK=0.4")),
        [Rule::H2, Rule::H3]
    );
    assert_eq!(
        alone(edit(",PART-HOLD-BACK=0.64500", "")),
        [Rule::H2, Rule::H3]
    );
}

#[test]
fn h3_looks_at_all_renditions() {
    let mut linter = watching(0);
    let slow = edit("PART-TARGET=0.21500", "PART-TARGET=0.235")(Live::new('a', 42).text());
    show(&mut linter, 'a', &slow, 8_400);
    show(&mut linter, 'v', &Live::new('v', 42).text(), 8_400);
    let found = broken(linter, 8_500);
    assert!(found.contains(&Rule::H3), "{found:?}");
}

#[test]
fn h4_hold_back_and_skip_boundary() {
    assert_eq!(alone(edit(",HOLD-BACK=6.0", ",HOLD-BACK=5.9")), [Rule::H4]);
    assert_eq!(
        alone(edit("CAN-SKIP-UNTIL=12.0", "CAN-SKIP-UNTIL=11.9")),
        [Rule::H4]
    );
}

#[test]
fn h5_part_durations() {
    let part = |n: u32| format!("DURATION=0.20000,URI=\"v0_103.{n}.m4s\"");
    let made = |n: u32, d: &str| part(n).replace("0.20000", d);
    assert!(alone(edit(&part(3), &made(3, "0.21600"))).contains(&Rule::H5));
    assert!(alone(edit(&part(3), &made(3, "0.18200"))).contains(&Rule::H5));
    let spared = alone(edit(&part(0), &made(0, "0.1")));
    assert!(
        !spared.contains(&Rule::H5),
        "an independent part may be short: {spared:?}"
    );
    let spared = alone(edit(&part(9), &made(9, "0.1")));
    assert!(
        !spared.contains(&Rule::H5),
        "the last of its segment may be short: {spared:?}"
    );
    let gap = format!("{},GAP=YES", part(4));
    let spared = alone(|t| edit(&part(3), &made(3, "0.1"))(edit(&part(4), &gap)(t)));
    assert!(
        !spared.contains(&Rule::H5),
        "the one before a gap may be short: {spared:?}"
    );
}

#[test]
fn h6_parts_come_in_time() {
    let mut linter = watching(42);
    show(&mut linter, 'a', &Live::new('a', 43).text(), 8_600);
    show(&mut linter, 'v', &Live::new('v', 43).text(), 8_400 + 266);
    assert_eq!(broken(linter, 8_700), [Rule::H6]);
    // Nothing more until the run ends.
    assert_eq!(broken(watching(42), 8_400 + 500), [Rule::H6]);
}

#[test]
fn h7_a_segment_lasts_as_long_as_its_parts() {
    let found = alone(edit("#EXTINF:2.00000,\nv0_103", "#EXTINF:1.98,\nv0_103"));
    assert_eq!(found, [Rule::H7]);
}

#[test]
fn h8_parts_leave_the_list() {
    let part =
        "#EXT-X-PART:DURATION=2.0,URI=\"v0_100.0.m4s\",INDEPENDENT=YES\n#EXTINF:2.00000,\nv0_100";
    let old = Live {
        parts: 52,
        ..Live::new('v', 52)
    }
    .text();
    let mut linter = watching(0);
    show(
        &mut linter,
        'v',
        &edit("#EXTINF:2.00000,\nv0_100", part)(old),
        10_400,
    );
    let found = broken(linter, 10_500);
    assert!(found.contains(&Rule::H8), "{found:?}");
}

#[test]
fn h9_removal_is_in_order() {
    let part = |n: u32| format!("#EXT-X-PART:DURATION=0.20000,URI=\"v0_103.{n}.m4s\"\n");
    let lost = move |t: String| (1..10).fold(t, |t, n| t.replace(&part(n), ""));
    let first = "#EXT-X-PART:DURATION=0.20000,URI=\"v0_103.0.m4s\",INDEPENDENT=YES\n";
    let found = after(|t| lost(edit(first, "")(t)));
    assert!(found.contains(&Rule::H9), "{found:?}");
    let jump = |t: String| t.replace("SEQUENCE:100", "SEQUENCE:110");
    assert!(after(jump).contains(&Rule::H9), "numbers were left out");
    let short = Live {
        first: 103,
        ..Live::new('v', 43)
    }
    .text();
    assert!(
        after(|_| short).contains(&Rule::H9),
        "less than three target durations are left"
    );
}

#[test]
fn h15_and_h16_delta_updates() {
    let skip = "#EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n";
    let from = "#EXT-X-DISCONTINUITY-SEQUENCE:0\n";
    let found = alone(edit(from, skip));
    assert!(found.contains(&Rule::H15), "nobody asked for it: {found:?}");
    let old = |t: String| edit("VERSION:9", "VERSION:8")(edit(from, skip)(t));
    assert!(alone(old).contains(&Rule::H16));
    let twice = skip.to_owned() + "#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n";
    assert!(alone(edit(from, &twice)).contains(&Rule::H15));
}

#[test]
fn h17_long_windows_offer_delta_updates() {
    let mut text = Live {
        ..Live::new('v', 700)
    }
    .text();
    text = edit("CAN-SKIP-UNTIL=12.0,", "")(text);
    let mut linter = watching(0);
    show(&mut linter, 'v', &text, 140_000);
    let found = broken(linter, 140_100);
    assert!(found.contains(&Rule::H17), "{found:?}");
    let dated = edit(
        "#EXT-X-INDEPENDENT",
        "#EXT-X-DATERANGE:ID=\"x\",START-DATE=\"2026-11-21T02:00:00Z\"\n#EXT-X-INDEPENDENT",
    );
    assert_eq!(alone(dated), [Rule::H17]);
}

#[test]
fn h18_the_hint() {
    let hint = "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"v0_104.2.m4s\"\n";
    assert_eq!(alone(edit(hint, "")), [Rule::H18]);
    assert_eq!(alone(edit(hint, &hint.repeat(2))), [Rule::H18]);
    assert_eq!(alone(|t| t + "#EXT-X-ENDLIST\n"), [Rule::H18]);
    let other = "URI=\"v0_104.x.m4s\"";
    assert_eq!(after(edit("URI=\"v0_104.2.m4s\"", other)), [Rule::H18]);
}

#[test]
fn h18_what_is_hinted_at_comes_behind_no_map_that_was_not() {
    let next = "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"v0_other.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-11-21T02:00:10";
    let changed = |t: String| edit("#EXT-X-PROGRAM-DATE-TIME:2026-11-21T02:00:10", next)(t);
    let go = |hinted: bool, name: &str| {
        let mut linter = watching(0);
        let map = "#EXT-X-PRELOAD-HINT:TYPE=MAP,URI=\"v0_other.mp4\"\n";
        let before = Live::new('v', 50).text() + if hinted { map } else { "" };
        show(&mut linter, 'v', &before, 10_000);
        show(
            &mut linter,
            'v',
            &changed(Live::new('v', 51).text()).replace("v0_105.0.m4s", name),
            10_200,
        );
        broken(linter, 10_300)
    };
    let same = "v0_105.0.m4s";
    assert_eq!(go(true, same), []);
    assert_eq!(go(false, same), [Rule::H18]);
    assert_eq!(go(false, "v0_105.x.m4s"), []);
}

#[test]
fn h21_reports() {
    let report = "#EXT-X-RENDITION-REPORT:URI=\"a1.m3u8\",LAST-MSN=104,LAST-PART=1\n";
    assert_eq!(alone(edit(report, "")), [Rule::H21]);
    assert_eq!(alone(edit(report, &report.repeat(2))), [Rule::H21]);
    assert_eq!(alone(edit("a1.m3u8", "/news/a1.m3u8")), [Rule::H21]);
    assert_eq!(alone(edit(",LAST-PART=1", "")), [Rule::H21]);
    let stale = edit("LAST-MSN=104,LAST-PART=2", "LAST-MSN=103,LAST-PART=9");
    assert_eq!(after(stale), [Rule::H21]);
}

#[test]
fn h22_independent_parts() {
    let found = alone(edit("v0_103.0.m4s\",INDEPENDENT=YES", "v0_103.0.m4s\""));
    assert_eq!(found, [Rule::H22]);
}

#[test]
fn h23_renditions_keep_step() {
    let mut linter = watching(42);
    for (parts, ms) in [(43, 8_600), (44, 8_800), (45, 9_000), (46, 9_200)] {
        show(&mut linter, 'a', &Live::new('a', parts).text(), ms);
    }
    show(&mut linter, 'v', &Live::new('v', 44).text(), 9_250);
    let found = broken(linter, 9_300);
    assert!(found.contains(&Rule::H23), "{found:?}");
}

#[test]
fn h31_no_parts_of_i_frames() {
    let found = alone(edit("#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-I-FRAMES-ONLY"));
    assert_eq!(found, [Rule::H31]);
}

#[test]
fn h32_tags_before_the_first_part() {
    let part = "#EXT-X-PART:DURATION=0.20000,URI=\"v0_103.1.m4s\"\n";
    for tag in [
        "#EXT-X-MAP:URI=\"v0_init.mp4\"",
        "#EXT-X-KEY:METHOD=NONE",
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T02:00:06.000Z",
    ] {
        assert_eq!(
            alone(edit(part, &format!("{part}{tag}\n"))),
            [Rule::H32],
            "{tag}"
        );
    }
}

#[test]
fn grammar() {
    for (from, to) in [
        ("#EXTM3U\n", ""),
        ("#EXTINF:2.00000,\nv0_103.m4s", "v0_103.m4s"),
        ("#EXTINF:2.00000,\nv0_103", "#EXTINF:x,\nv0_103"),
        ("#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n#EXT-X-VERSION:9\n"),
        ("PART-TARGET=0.21500", "PART-TARGET=0.21500,"),
        ("URI=\"v0_104.2.m4s\"", "URI=v0_104.2.m4s"),
        ("TARGETDURATION:2", "TARGETDURATION:two"),
    ] {
        let found = alone(edit(from, to));
        assert!(found.contains(&Rule::Grammar), "{to}: {found:?}");
    }
}

#[test]
fn rounding() {
    let longer = |t: String| edit("#EXTINF:2.00000,\nv0_100", "#EXTINF:2.50000,\nv0_100")(t);
    let found = alone(longer);
    assert!(found.contains(&Rule::Rounding), "{found:?}");
}

#[test]
fn constants() {
    assert!(after(edit("TARGETDURATION:2", "TARGETDURATION:3")).contains(&Rule::Constant));
    assert!(after(edit("PART-TARGET=0.21500", "PART-TARGET=0.21")).contains(&Rule::Constant));
}

#[test]
fn numbers_and_contradictions() {
    let back = Live {
        first: FIRST,
        ..Live::new('v', 41)
    }
    .text();
    assert!(after(|_| back).contains(&Rule::Sequence));
    for (from, to) in [
        ("v0_103.m4s", "v0_other.m4s"),
        ("v0_103.4.m4s", "v0_other.4.m4s"),
        ("02:00:06.000Z", "02:00:06.001Z"),
        ("SEQUENCE:100\n", "SEQUENCE:99\n"),
    ] {
        let found = after(edit(from, to));
        assert!(found.contains(&Rule::Sequence), "{to}: {found:?}");
    }
    let mut linter = watching(0);
    let end = |parts| {
        Live {
            hold: true,
            ..Live::new('v', parts)
        }
        .text()
            + "#EXT-X-ENDLIST\n"
    };
    show(&mut linter, 'v', &end(40), 8_000);
    show(&mut linter, 'v', &end(41), 8_200);
    assert!(broken(linter, 8_300).contains(&Rule::Sequence));
}

#[test]
fn discontinuities() {
    assert!(
        after(edit("DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:1"))
            .contains(&Rule::Discontinuity)
    );
    let date = "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T02:00:06";
    let bare = alone(edit(date, &format!("#EXT-X-DISCONTINUITY\n{date}")));
    assert!(
        bare.contains(&Rule::Discontinuity),
        "without a MAP: {bare:?}"
    );
    let map = format!("#EXT-X-MAP:URI=\"v0_other.mp4\"\n{date}");
    let silent = alone(edit(date, &map));
    assert!(
        silent.contains(&Rule::Discontinuity),
        "another MAP without it: {silent:?}"
    );
    let hole = format!(
        "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"v0_other.mp4\"\n{}",
        date.replace(":06", ":07")
    );
    let over = alone(edit(date, &hole));
    assert!(over.contains(&Rule::Discontinuity), "over a hole: {over:?}");
}

#[test]
fn dates() {
    let date = "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T02:00:06.000Z\n";
    assert_eq!(alone(edit(date, "")), [Rule::Dates]);
    assert_eq!(alone(edit("02:00:06.000", "02:00:06.060")), [Rule::Dates]);
}

#[test]
fn alignment() {
    let mut linter = watching(42);
    let shifted = Live::new('v', 43).text().replace(".000Z", ".300Z");
    show(&mut linter, 'v', &shifted, 8_600);
    let found = broken(linter, 8_700);
    assert!(found.contains(&Rule::Aligned), "{found:?}");
}

#[test]
fn the_multivariant_playlist() {
    for (from, to) in [
        ("BANDWIDTH=9,", ""),
        (",CODECS=\"avc1.42c01e,mp4a.40.2\"", ""),
        ("GROUP-ID=\"a\"", "GROUP-ID=\"b\""),
        ("\nv0.m3u8", "\n/news/v0.m3u8"),
        ("#EXT-X-STREAM-INF", "#EXT-X-X"),
    ] {
        let mut linter = Linter::default();
        linter.multivariant(
            "index.m3u8",
            &answer(200, edit(from, to)(INDEX.to_owned()), (0, 1)),
        );
        let found = broken(linter, 2);
        assert!(found.contains(&Rule::Index), "{to}: {found:?}");
    }
}
