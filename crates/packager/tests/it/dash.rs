//! What DASH clients are told.

use media::{Span, Timestamp};
use packager::{Config, Packager};

use crate::source::{AUDIO, EPOCH, Encoder, audio, further, ms, other_audio, video};

fn encoder() -> Encoder {
    let mut e = Encoder::new(Packager::new(Config::default(), None, EPOCH));
    // On the grid of two seconds.
    e.now = Timestamp::from_millis(EPOCH.as_millis() / 2_000 * 2_000);
    e
}

fn mpd(e: &Encoder, low_latency: bool) -> String {
    mpd_at(e, low_latency, e.now)
}

fn mpd_at(e: &Encoder, low_latency: bool, now: Timestamp) -> String {
    let dash = e.packager.dash();
    let view = dash.view(low_latency, now).unwrap();
    dash.mpd(view, now, "../time")
}

/// The values of an attribute, in their order.
fn all<'a>(mpd: &'a str, name: &str) -> Vec<&'a str> {
    let mark = format!(" {name}=\"");
    let values = mpd.split(mark.as_str()).skip(1);
    values.map(|v| v.split('"').next().unwrap()).collect()
}

fn one<'a>(mpd: &'a str, name: &str) -> &'a str {
    let values = all(mpd, name);
    assert_eq!(values.len(), 1, "{name} in {mpd}");
    values[0]
}

fn depth(e: &Encoder, low_latency: bool) -> String {
    one(&mpd(e, low_latency), "timeShiftBufferDepth").to_owned()
}

#[test]
fn the_first_period_begins_with_the_epoch_and_its_numbers_are_those_of_the_playlist() {
    let mut e = encoder();
    e.send(&[60; 5]);
    let mpd = mpd(&e, true);
    assert_eq!(one(&mpd, "availabilityStartTime"), "1970-01-01T00:00:00Z");
    assert!(mpd.contains("<Period id=\"p0\" start=\"PT0S\">"), "{mpd}");
    assert_eq!(all(&mpd, "startNumber"), ["0", "0"]);
    assert_eq!(all(&mpd, "timescale"), ["90000", "48000"]);
    assert_eq!(all(&mpd, "duration"), ["180000", "96000"]);
    assert_eq!(all(&mpd, "availabilityTimeComplete"), ["false", "false"]);
    assert_eq!(all(&mpd, "codecs"), ["avc1.42c01e", "mp4a.40.2"]);
    assert_eq!(all(&mpd, "frameRate"), ["30"]);
    assert_eq!(one(&mpd, "target"), "2500");
    let v0 = e.packager.snapshot().get("v0").unwrap();
    let (first, hash) = (&v0.segments[0], &v0.segments[0].init.hash);
    assert_eq!(
        first.number * 2,
        first.start.as_nanos().unsigned_abs() / 1_000_000_000
    );
    assert!(mpd.contains(&format!("media=\"v0_$Number$.m4s?i={hash}\"")));
    assert!(mpd.contains(&format!("initialization=\"v0_init_{hash}.mp4?i={hash}\"")));
    // A frame, and five frames of sound and one more, before the end.
    assert_eq!(all(&mpd, "availabilityTimeOffset"), ["1.966", "1.878"]);
}

#[test]
fn classic_clients_are_told_nothing_of_low_latency() {
    let mut e = encoder();
    e.send(&[60; 5]);
    let mpd = mpd(&e, false);
    for word in ["availabilityTime", "Latency", "low", "Resync", "Producer"] {
        assert!(!mpd.contains(word), "{word}");
    }
    assert!(
        mpd.contains("<Location>index.mpd?ll=0&amp;r=1</Location>"),
        "{mpd}"
    );
}

#[test]
fn segments_that_begin_off_the_grid_are_there_later() {
    let mut e = encoder();
    e.now += ms(720);
    e.send(&[60; 5]);
    let mpd = mpd(&e, true);
    assert!(mpd.contains("start=\"PT0S\""));
    assert_eq!(all(&mpd, "availabilityTimeOffset")[0], "1.216");
}

#[test]
fn an_mpd_is_the_same_while_nothing_changes() {
    let mut e = encoder();
    e.send(&[60; 40]);
    let (dash, now) = (e.packager.dash().clone(), e.now);
    e.send(&[60; 4]);
    assert_eq!(dash.view(true, now), e.packager.dash().view(true, e.now));
    assert_eq!(
        dash.mpd(dash.view(true, now).unwrap(), now, ""),
        mpd_at_same(&e, now)
    );
    assert_eq!(depth(&e, true), "PT1M");
}

fn mpd_at_same(e: &Encoder, now: Timestamp) -> String {
    let dash = e.packager.dash();
    dash.mpd(dash.view(true, e.now).unwrap(), now, "")
}

#[test]
fn numbers_of_a_hole_are_given_up_one_by_one_and_clients_keep_what_was_before() {
    let mut e = encoder();
    e.send(&[60; 10]);
    let last = e.packager.state().unwrap().highest;
    let (began, ended) = (
        e.packager.snapshot().get("v0").unwrap().segments[0].start,
        e.now,
    );
    // Silence is a hole after a segment's duration; a number is given up half a second after its
    // segment could begin at the latest.
    for (at, given_up) in [(1_900, 0), (1_980, 1), (3_499, 1), (3_501, 2), (9_600, 5)] {
        e.wait_until(ended + ms(at));
        let closed = e.packager.dash().closed;
        match given_up {
            0 => assert!(closed < Some(last)),
            n => assert_eq!(closed, Some(last + n), "{at}"),
        }
    }
    let age = (e.now - began).as_millis() / 1_000;
    assert_eq!(depth(&e, true), format!("PT{age}S"));
    assert_eq!(e.packager.dash().joinable_at(true, e.now), None);

    e.wait_until(ended + ms(12_000));
    let back = e.now;
    e.send(&[60; 1]);
    let joins = |low_latency| e.packager.dash().joinable_at(low_latency, back);
    assert_eq!(joins(true), Some(back + ms(2_250)));
    assert_eq!(joins(false), Some(back + ms(7_750)));
    let long = |low_latency, at| {
        let mpd = mpd_at(&e, low_latency, back + ms(at));
        let depth = one(&mpd, "timeShiftBufferDepth").to_owned();
        depth != "PT4S" && depth != "PT7S"
    };
    assert!(long(true, 1_990) && !long(true, 2_010));
    assert!(long(false, 7_490) && !long(false, 7_510));
    // The same Period, and the numbers are those of the grid.
    assert_eq!(all(&mpd(&e, true), "start"), ["PT0S"]);
    assert_eq!(e.packager.state().unwrap().highest, last + 7);
}

#[test]
fn other_parameters_begin_another_period_where_they_begin() {
    let mut e = encoder();
    e.send(&[60; 5]);
    e.with_audio = false;
    let changed = e.now;
    let mut audio_sent = e.now;
    for i in 0..240 {
        if i == 0 {
            e.group(&[video(), other_audio()]);
        }
        let at = changed + Span::from_nanos(i * 1_000_000_000 / 30);
        e.wait_until(at);
        e.frame(crate::source::VIDEO, at, i % 60 == 0, 900);
        while audio_sent <= at {
            e.frame(AUDIO, audio_sent, true, 90);
            audio_sent += Span::from_nanos(1024 * 1_000_000_000 / 44_100);
        }
    }
    let mpd = mpd(&e, true);
    let number = e.packager.snapshot().get("v0").unwrap().segments.iter();
    let number = number
        .map(|s| (s.number, s.start))
        .find(|(_, at)| *at >= changed - ms(20));
    let (number, _) = number.unwrap();
    let ends = all(&mpd, "endNumber");
    let last = (number - 1).to_string();
    assert_eq!(ends, [last.as_str(), last.as_str()], "{mpd}");
    assert!(mpd.contains(&format!("<Period id=\"p{number}\"")), "{mpd}");
    let start = (changed.as_millis() - 10).to_string();
    let offsets = all(&mpd, "presentationTimeOffset");
    assert_eq!(offsets[..2], ["1", "1"]);
    assert_eq!(
        offsets[2],
        format!("{}", start.parse::<i64>().unwrap() * 90)
    );
    assert_eq!(all(&mpd, "audioSamplingRate"), ["48000", "44100"]);
    // What a Period has is called the same, whatever Periods there are beside it.
    assert_eq!(mpd.matches("<AdaptationSet id=\"1\"").count(), 2);
    // Classic clients hear of it a second later.
    let view = |at| e.packager.dash().view(false, changed + ms(at)).unwrap();
    assert!(view(900) != view(1_100));
}

#[test]
fn clients_go_on_with_their_period_over_a_restart() {
    let mut e = encoder();
    // Its own Period, which no other process could guess.
    e.send(&[60; 3]);
    e.with_audio = false;
    e.send(&[60; 3]);
    e.with_audio = true;
    e.send(&[60; 6]);
    let told = mpd(&e, true);
    let before = all(&told, "id");
    let last = before.iter().rfind(|id| id.starts_with('p')).unwrap();
    let (state, now) = (e.packager.state(), e.now);
    let mut same = Encoder::new(Packager::new(Config::default(), state, now + ms(800)));
    same.now = now + ms(1_000);
    same.send(&[60; 4]);
    let again = mpd(&same, true);
    assert_eq!(
        all(&again, "id")
            .iter()
            .filter(|id| id.starts_with('p'))
            .collect::<Vec<_>>(),
        [last]
    );
    assert_eq!(one(&mpd(&same, true), "timeShiftBufferDepth"), "PT6S");

    let mut other = Encoder::new(Packager::new(Config::default(), state, now + ms(800)));
    (other.now, other.with_audio) = (now + ms(1_000), false);
    other.send(&[60; 4]);
    let again = mpd(&other, true);
    let ids: Vec<_> = all(&again, "id")
        .into_iter()
        .filter(|id| id.starts_with('p'))
        .collect();
    assert_eq!((ids.len(), ids[0]), (2, *last), "{again}");
    let first = other.packager.snapshot().get("v0").unwrap().segments[0].number;
    assert_eq!(ids[1], format!("p{first}"));
    assert_eq!(all(&again, "endNumber"), [(first - 1).to_string()]);
}

#[test]
fn an_ended_stream_has_an_end() {
    let mut e = encoder();
    e.send(&[60; 5]);
    e.packager.end();
    let mpd = mpd(&e, true);
    assert!(!mpd.contains("minimumUpdatePeriod"));
    // Whether there was a hole before the end or not.
    let joinable = e.packager.dash().joinable_at(true, e.now + ms(99_000));
    assert_eq!(joinable, Some(e.now + ms(99_000)));
    assert!(one(&mpd, "mediaPresentationDuration").starts_with("PT49"));
    assert_eq!(e.packager.dash().closed, Some(u64::MAX));
}

#[test]
fn languages_are_sets_of_their_own() {
    let mut e = encoder();
    e.with_audio = false;
    let mut other = audio();
    other.id = crate::source::FURTHER;
    (other.language, other.label) = (
        Some("de".to_owned()),
        Some("<Deutsch>\u{1}\u{fffe}".to_owned()),
    );
    let tracks = [video(), audio(), other];
    e.group(&tracks);
    let start = e.now;
    for i in 0..300 {
        let at = start + Span::from_nanos(i * 1_000_000_000 / 30);
        e.wait_until(at);
        e.frame(crate::source::VIDEO, at, i % 60 == 0, 900);
        for track in [AUDIO, crate::source::FURTHER] {
            for k in 0..2 {
                let at = start + Span::from_nanos((i * 2 + k) * 1_000_000_000 / 60);
                e.frame(track, at, true, 90);
            }
        }
    }
    let mpd = mpd(&e, true);
    assert_eq!(mpd.matches("<AdaptationSet").count(), 3);
    assert_eq!(all(&mpd, "lang"), ["de"]);
    assert!(mpd.contains("&lt;Deutsch&gt;</Label>"), "{mpd}");
}

/// Pictures every 30th of a second, a further track beside them where `further` says so.
fn send_beside(e: &mut Encoder, seconds: i64, further: impl Fn(i64) -> bool) {
    let start = e.now;
    e.group(&[video(), crate::source::further()]);
    for i in 0..seconds * 30 {
        let at = start + Span::from_nanos(i * 1_000_000_000 / 30);
        e.wait_until(at);
        e.frame(crate::source::VIDEO, at, i % 60 == 0, 900);
        if further(i) {
            e.frame(crate::source::FURTHER, at, i % 60 == 0, 300);
        }
    }
}

#[test]
fn a_track_that_does_not_come_any_more_is_no_longer_told_of_and_its_numbers_are_given_up() {
    let mut e = encoder();
    let of = |mpd: &str| {
        let last = mpd.rfind("<Period").unwrap();
        mpd[last..].matches("<Representation").count()
    };
    e.checker.dead = 2;
    send_beside(&mut e, 30, |i| !(300..600).contains(&i));
    let told = mpd(&e, true);
    let periods: Vec<_> = told.split("<Period").skip(1).collect();
    let tracks = periods.iter().map(|p| p.matches("<Representation").count());
    assert_eq!(tracks.collect::<Vec<_>>(), [2, 1, 2], "{told}");
    assert_eq!(of(&told), 2);
    assert!(e.packager.counters().unaligned > 2);
}

#[test]
fn a_source_that_changes_all_the_time_has_few_periods() {
    let mut e = encoder();
    e.send(&[60; 3]);
    e.absent(ms(9_000));
    let start = e.now;
    for i in 0..60 * 60 {
        let at = start + Span::from_nanos(i * 1_000_000_000 / 30);
        e.wait_until(at);
        if i % 60 == 0 {
            let mut sound = audio();
            sound.label = Some(i.to_string());
            e.group(&[video(), sound]);
        }
        e.frame(crate::source::VIDEO, at, i % 60 == 0, 900);
        e.frame(AUDIO, at, true, 90);
    }
    let periods = mpd(&e, true).matches("<Period").count();
    assert!((20..=32).contains(&periods), "{periods}");
}

#[test]
fn who_has_a_longer_window_from_now_on_is_not_told_of_what_is_gone() {
    let mut e = encoder();
    e.packager.set_window(Span::from_secs(10));
    e.send(&[60; 30]);
    assert_eq!(depth(&e, true), "PT10S");
    e.packager.set_window(Span::from_secs(40));
    assert_eq!(depth(&e, true), "PT10S");
    e.send(&[60; 10]);
    assert_eq!(depth(&e, true), "PT30S");
}

#[test]
fn irregular_keyframes_promise_no_start() {
    let mut e = encoder();
    e.send(&[47, 93, 20, 110, 35, 75, 61, 88, 13, 140, 33]);
    let told = mpd(&e, true);
    let told = &told[told.rfind("<Period").unwrap()..];
    let (video, sound) = told.split_once("contentType=\"audio\"").unwrap();
    assert!(
        !video.contains("startWithSAP") && !video.contains("<Resync"),
        "{told}"
    );
    assert!(
        sound.contains("startWithSAP") && sound.contains("<Resync"),
        "{told}"
    );
}

#[test]
fn a_segment_that_has_begun_is_of_one_configuration_in_every_track() {
    let mut e = encoder();
    e.with_audio = false;
    let (start, mut sent) = (e.now, e.now);
    e.group(&[video(), audio()]);
    for i in 0..301 {
        let at = start + Span::from_nanos(i * 1_000_000_000 / 30);
        e.wait_until(at);
        e.frame(crate::source::VIDEO, at, i % 60 == 0, 900);
        // The sound of the last segment does not come any more.
        while sent <= at && i < 300 {
            e.frame(AUDIO, sent, true, 90);
            sent += Span::from_nanos(1024 * 1_000_000_000 / 48_000);
        }
    }
    let old = e.packager.snapshot().get("a1").unwrap().segments[0]
        .init
        .hash
        .clone();
    let begun = e.packager.state().unwrap().highest;
    e.group(&[video(), other_audio()]);
    let later = e.now + ms(300);
    for i in 0..150 {
        let at = later + Span::from_nanos(i * 1_000_000_000 / 30);
        e.wait_until(at);
        e.frame(crate::source::VIDEO, at, i % 60 == 0, 900);
        e.frame(AUDIO, at, true, 90);
    }
    let sound = e.packager.snapshot().get("a1").unwrap().clone();
    let init = |n| sound.segment(n).map(|s| s.init.hash == old);
    assert_eq!((init(begun), init(begun + 1)), (Some(true), Some(false)));
}

#[test]
fn a_picture_that_was_dropped_makes_no_chunks_overlap() {
    let mut e = encoder();
    let start = e.now;
    e.group(&[video()]);
    for i in (0..900).filter(|i| i % 97 != 13) {
        let at = start + Span::from_nanos(i * 1_000_000_000 / 30);
        e.wait_until(at);
        e.frame(crate::source::VIDEO, at, i % 60 == 0, 900);
    }
    let snapshot = e.packager.snapshot();
    let segments = &snapshot.get("v0").unwrap().segments;
    let buffers = segments
        .iter()
        .flat_map(|s| &s.parts)
        .flat_map(|p| &p.buffers);
    let bytes: Vec<u8> = buffers.flat_map(|b| b.to_vec()).collect();
    let chunks = container::fmp4::read_chunks(&bytes.into()).unwrap();
    assert!(chunks.len() > 600);
    for pair in chunks.windows(2) {
        let end = pair[0].base_media_decode_time + pair[0].duration();
        let next = pair[1].base_media_decode_time;
        assert!(end <= next + 90, "{} ticks", end - next);
        // What is missing is a picture, or nothing.
        assert!((0..20).contains(&next.saturating_sub(end)) || next - end > 2_900);
    }
}

#[test]
fn numbers_that_left_the_grid_before_players_were_told_of_any_are_told_of_as_they_are() {
    let mut e = encoder();
    e.send(&[60; 3]);
    let (state, now) = (e.packager.state(), e.now);
    let mut e = Encoder::new(Packager::new(Config::default(), state, now));
    e.now = now + ms(5_700);
    // A track that does not come is waited for, over the first keyframe on the grid.
    e.group(&[video(), further()]);
    let start = e.now;
    for i in 0..249 {
        let at = start + Span::from_nanos(i * 1_000_000_000 / 30);
        e.wait_until(at);
        e.frame(crate::source::VIDEO, at, (i + 51) % 60 == 0 || i == 0, 900);
    }
    let segments = &e.packager.snapshot().get("v0").unwrap().segments;
    let short = segments.iter().find(|s| s.duration < ms(400)).unwrap();
    let mpd = mpd(&e, true);
    let (last, next) = (short.number, short.number + 1);
    assert!(mpd.contains(&format!("<Period id=\"p{next}\"")), "{mpd}");
    assert_eq!(all(&mpd, "endNumber").last(), Some(&&*last.to_string()));
}

#[test]
fn what_lies_elsewhere_behind_a_hole_is_another_period() {
    let mut e = encoder();
    // A Period of its own, 0.9 s before the grid; then 0.4 s behind it.
    e.now += ms(700);
    e.send(&[60; 3]);
    e.with_audio = false;
    e.now += ms(900);
    e.send(&[60; 3]);
    let first = mpd(&e, true);
    let starts = |mpd: &str| mpd.matches("<Period").count();
    e.absent(ms(9_300));
    e.send(&[60; 5]);
    let second = mpd(&e, true);
    assert!(starts(&second) > starts(&first), "{second}");
    let offset = all(&second, "availabilityTimeOffset");
    let least = offset.last().unwrap().parse::<f64>().unwrap();
    assert!(least > 0.9, "{second}");
}
