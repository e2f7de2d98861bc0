//! Rules over MPDs.

use super::world::published;
use super::*;

#[test]
fn d1_profiles_and_addresses() {
    let low = ",http://www.dashif.org/guidelines/low-latency-live-v5";
    assert_eq!(told(low, ""), [Rule::D1]);
    assert_eq!(told("isoff-live", "isoff-main"), [Rule::D1]);
    assert_eq!(told(">index.mpd?r=1<", ">/news/index.mpd?r=1<"), [Rule::D1]);
    assert_eq!(
        told("initialization=\"a1", "initialization=\"http://o/a1"),
        [Rule::D1]
    );
    let classic = World::classic().told("isoff-live:2011", &concat(low));
    assert_eq!(broken(&classic), [Rule::D1]);
}

fn concat(low: &str) -> String {
    format!("isoff-live:2011{low}")
}

#[test]
fn d2_the_target() {
    assert_eq!(
        told("target=\"2500\"", ""),
        [Rule::D2, Rule::D9],
        "nothing to be near to"
    );
    assert_eq!(told("min=\"1800\"", "min=\"2600\""), [Rule::D2]);
    assert_eq!(
        told("min=\"1\" max=\"1.04\"", "min=\"1.01\" max=\"1.04\""),
        [Rule::D2]
    );
}

#[test]
fn d3_clocks() {
    let unknown = told(
        "utc:http-iso:2014\" value=\"../time\"/></MPD",
        "utc:x\"/></MPD",
    );
    assert_eq!(
        unknown,
        [Rule::D3, Rule::D4],
        "and the references have another one"
    );
}

#[test]
fn d4_references() {
    let one = "type=\"encoder\" inband=\"true\"";
    assert_eq!(
        told(one, "type=\"application\" inband=\"true\""),
        [Rule::D4]
    );
    assert_eq!(told(one, "type=\"encoder\" inband=\"false\""), [Rule::D4]);
    let clock = "wallClockTime=\"1970-01-01T00:00:00Z\"";
    assert_eq!(
        told(clock, "wallClockTime=\"1970-01-01T00:00:00.020Z\""),
        [Rule::D4]
    );
    assert_eq!(
        told("presentationTime=\"0\"", "presentationTime=\"9\""),
        [Rule::D4]
    );
    assert_eq!(
        told("Time id=\"1\"", "Time id=\"0\""),
        [Rule::D4],
        "an id twice"
    );
    let none = World::default().text(|text| {
        let (head, rest) = text.split_once("<ProducerReferenceTime").unwrap();
        let tail = rest.split_once("</ProducerReferenceTime>").unwrap().1;
        format!("{head}{tail}")
    });
    assert_eq!(broken(&none), [Rule::D4]);
}

#[test]
fn d5_templates() {
    let timeline = " initialization=\"v0_init_a\" media=\"v0_$Number$.m4s?i=a\">\
        <SegmentTimeline/></SegmentTemplate>";
    let plain = " initialization=\"v0_init_a\" media=\"v0_$Number$.m4s?i=a\"/>";
    assert_eq!(told(plain, timeline), [Rule::D5]);
    assert_eq!(
        told("maxSegmentDuration=\"PT2S\"", "maxSegmentDuration=\"PT3S\""),
        [Rule::D5]
    );
}

#[test]
fn d7_offsets() {
    assert_eq!(told("Offset=\"1.9\"", "Offset=\"1.7\""), [Rule::D7]);
    let early = told("Offset=\"1.893\"", "Offset=\"2.1\"");
    assert_eq!(early, [Rule::D7], "promised before it can be there");
    assert_eq!(told("availabilityTimeComplete=\"false\"", ""), [Rule::D7]);
}

#[test]
fn d8_the_classic_face() {
    let offset = " availabilityTimeOffset=\"1.9\" initialization=\"v0";
    let classic = World::classic().told(" initialization=\"v0", offset);
    assert_eq!(broken(&classic), [Rule::D8]);
    let other = answered(|w, a| {
        if w.what == What::Classic {
            let text = a
                .text()
                .unwrap()
                .replace("v0_$Number$.m4s", "v0_$Number$.mp4");
            a.body = text.into();
        }
    });
    assert_eq!(other, [Rule::D8]);
}

#[test]
fn d9_resync() {
    let resync = "<Resync type=\"2\" dT=\"180000\" marker=\"true\"/>";
    assert_eq!(told(resync, ""), [Rule::D9]);
    assert_eq!(
        told("dT=\"180000\" marker=\"true\"", "dT=\"180000\""),
        [Rule::D9]
    );
    assert_eq!(
        told("dT=\"180000\"", "dT=\"270000\""),
        [Rule::D9],
        "beyond the target"
    );
    assert_eq!(
        told("dT=\"180000\"", "dT=\"90000\""),
        [Rule::D9],
        "it is less dense"
    );
    assert_eq!(
        told("dT=\"5120\"", "dT=\"1024\""),
        [Rule::D9],
        "chunks of sound as well"
    );
}

#[test]
fn d10_updates() {
    let report = watch(
        &World::default().told("minimumUpdatePeriod=\"PT1S\"", ""),
        3_000,
        &[],
    );
    assert_eq!(rules(&report), [Rule::D10]);
    let world = World::default().told_from(3_000, "PT10S\"", "PT12S\"");
    assert_eq!(broken(&world), []);
    let silent = World::default().text_at(|ms, text| {
        let depth = if ms < 3_000 { "PT10S\"" } else { "PT12S\"" };
        text.replace("PT10S\"", depth)
    });
    assert_eq!(
        broken(&silent),
        [Rule::D10],
        "changed under one publishTime"
    );
}

#[test]
fn d13_the_epoch() {
    let zero = "availabilityStartTime=\"1970-01-01T00:00:00Z\"";
    let late = told(zero, "availabilityStartTime=\"1970-01-01T00:00:01Z\"");
    assert!(late.contains(&Rule::D13), "{late:?}");
    let offset = told(
        "presentationTimeOffset=\"1\"",
        "presentationTimeOffset=\"45\"",
    );
    assert!(offset.contains(&Rule::D13), "{offset:?}");
    let world = || World {
        switch: Some(2),
        ..World::default()
    };
    let start = "start=\"PT1795226404S\"";
    let between = broken(&world().told_from(4_050, start, "start=\"PT1795226404.005S\""));
    assert!(between.contains(&Rule::D13), "{between:?}");
}

#[test]
fn d14_marks() {
    assert_eq!(told("value=\"true\"", "value=\"false\""), [Rule::D14]);
    assert_eq!(
        told("max=\"3600000\"", "max=\"5000\""),
        [Rule::D14],
        "dash.js seeks then"
    );
    assert_eq!(told(" max=\"3600000\"", ""), [Rule::D14]);
}

#[test]
fn mpds_that_cannot_be_read() {
    assert_eq!(
        told("segmentAlignment=\"true\"", "aligned=\"true\""),
        [Rule::Mpd]
    );
    assert_eq!(told("minBufferTime=\"PT2S\"", ""), [Rule::Mpd]);
    assert_eq!(told("min=\"1800\"", "min=\"1.8s\""), [Rule::Mpd]);
    let cut = World::default().text_at(|ms, text| {
        let end = if ms < 3_000 {
            text.len()
        } else {
            text.len() / 2
        };
        text[..end].to_owned()
    });
    let cut = rules(&watch(&cut, 4_900, &[]));
    assert_eq!(cut, [Rule::Mpd]);
}

#[test]
fn periods_follow_each_other() {
    assert_eq!(
        told("start=\"PT0S\"", "start=\"PT0S\" duration=\"PT9H\""),
        [Rule::Periods]
    );
    assert_eq!(told("id=\"p0\"", "id=\"first\""), [Rule::Periods]);
    let ended = told(
        "startNumber=\"0\"",
        "startNumber=\"0\" endNumber=\"999999999\"",
    );
    assert_eq!(ended, [Rule::Periods], "and no Period after it");
    let world = || World {
        switch: Some(2),
        ..World::default()
    };
    let open = " endNumber=\"897613201\"";
    assert_eq!(broken(&world().told_from(4_050, open, "")), [Rule::Periods]);
    let far = broken(&world().told_from(4_050, open, " endNumber=\"897613202\""));
    assert!(far.contains(&Rule::Periods), "{far:?}");
}

#[test]
fn periods_leave_with_their_media() {
    let without = |since: i64| {
        let world = World {
            switch: Some(2),
            ..World::default()
        };
        let world = world.text_at(move |ms, text| {
            if ms < since {
                return text;
            }
            let (head, rest) = text.split_once("<Period id=\"p0\"").unwrap();
            let tail = rest.split_once("</Period>").unwrap().1;
            published(&format!("{head}{tail}"), since)
        });
        rules(&watch(&world, 18_000, &[]))
    };
    assert_eq!(without(14_500), []);
    assert_eq!(without(9_000), [Rule::Periods]);
}

#[test]
fn what_a_period_says_lasts() {
    let from = |from, to| broken(&World::default().told_from(3_000, from, to));
    assert_eq!(
        from("bandwidth=\"90000\" w", "bandwidth=\"95000\" w"),
        [],
        "upwards"
    );
    assert_eq!(
        from("bandwidth=\"90000\" w", "bandwidth=\"85000\" w"),
        [Rule::Stable]
    );
    assert_eq!(from("Offset=\"1.9\"", "Offset=\"1.85\""), []);
    assert_eq!(from("lang=\"en\"", "lang=\"de\""), [Rule::Stable]);
    assert_eq!(from("max=\"1.04\"", "max=\"1.05\""), [Rule::Stable]);
    let world = World {
        switch: Some(2),
        ..World::default()
    };
    let world = world.told_from(6_000, "bandwidth=\"90000\"", "bandwidth=\"95000\"");
    assert_eq!(
        broken(&world),
        [Rule::Stable],
        "an ended one does not even rise"
    );
}

#[test]
fn the_window_does_not_shrink() {
    let go = |told: &[(i64, State)]| {
        let world = World::default().told_from(8_000, "Depth=\"PT10S", "Depth=\"PT6S");
        rules(&watch(&world, 12_000, told))
    };
    assert_eq!(go(&[]), [Rule::Window]);
    let away = [(1_000, State::HOLD), (3_000, State::NORMAL)];
    assert_eq!(go(&away), [], "not long after media was away");
}

#[test]
fn languages() {
    assert_eq!(
        told("value=\"main\"", "value=\"alternate\""),
        [Rule::Language]
    );
    assert_eq!(told("lang=\"en\"", "lang=\"en_US\""), [Rule::Language]);
    let twice = World::default().text(|text| {
        let (head, tail) = text.split_once("<AdaptationSet id=\"1\"").unwrap();
        let set = tail.split_once("</AdaptationSet>").unwrap().0;
        let other = set
            .replace("Time id=\"1\"", "Time id=\"2\"")
            .replace("\"a1\"", "\"a2\"");
        format!("{head}<AdaptationSet id=\"2\"{other}</AdaptationSet><AdaptationSet id=\"1\"{tail}")
    });
    let twice = broken(&twice);
    assert!(
        twice.contains(&Rule::Language),
        "two of one kind: {twice:?}"
    );
}

#[test]
fn codecs() {
    assert_eq!(told("avc1.42c01e", "avc1.64001f"), [Rule::Codecs]);
    assert_eq!(told("width=\"640\"", "width=\"641\""), [Rule::Codecs]);
    assert_eq!(told("Rate=\"48000\"", "Rate=\"44100\""), [Rule::Codecs]);
}

#[test]
fn bandwidths() {
    // Ten bytes a frame and boxes around them: 9.6 kb/s.
    assert_eq!(
        told("bandwidth=\"90000\" w", "bandwidth=\"8000\" w"),
        [Rule::Bandwidth]
    );
}
