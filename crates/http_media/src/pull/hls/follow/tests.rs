use media::{Span, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::pull::hls::playlist::{Playlist, parse};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn media(text: &str) -> Media {
    match parse(&format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n{text}")) {
        Ok(Playlist::Media(media)) => media,
        other => panic!("{other:?}"),
    }
}

/// `n` segments from number `first` on, named by what comes before the number.
fn window(name: &str, first: u64, n: u64) -> Media {
    let mut text = format!("#EXT-X-MEDIA-SEQUENCE:{first}\n");
    for number in first..first + n {
        text.push_str(&format!("#EXTINF:2,\n{name}{number}.ts\n"));
    }
    media(&text)
}

/// Takes all that is there; its names.
fn drain(follow: &mut Follow) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(piece) = follow.next() {
        names.push(piece.at.uri);
        follow.advance();
    }
    names
}

#[test]
fn a_live_playlist_is_joined_at_its_end_and_reloaded_by_the_rule() {
    let mut f = Follow::new(true, 0);
    assert_eq!(f.reload().unwrap().at, Timestamp::ZERO);
    f.playlist(window("s", 5, 4), at(100));
    assert_eq!(drain(&mut f), ["s8.ts"]);
    assert_eq!(
        f.reload(),
        Some(Reload {
            at: at(2_100),
            block: None
        })
    );
    f.playlist(window("s", 5, 4), at(2_100));
    assert_eq!(
        f.reload(),
        Some(Reload {
            at: at(3_100),
            block: None
        })
    );
    assert_eq!(f.news(), at(100));
    f.playlist(window("s", 7, 4), at(3_100));
    assert_eq!(drain(&mut f), ["s9.ts", "s10.ts"]);
    assert_eq!((f.news(), f.take_missed()), (at(3_100), 0));
}

#[test]
fn the_other_rendition_joins_a_segment_earlier() {
    let mut f = Follow::new(true, 1);
    f.playlist(window("s", 5, 4), at(0));
    assert_eq!(drain(&mut f), ["s7.ts", "s8.ts"]);
    let mut f = Follow::new(true, 1);
    f.playlist(window("s", 5, 1), at(0));
    assert_eq!(drain(&mut f), ["s5.ts"]);
}

#[test]
fn what_has_ended_is_played_from_its_beginning() {
    let mut f = Follow::new(true, 0);
    f.playlist(
        media("#EXTINF:2,\na\n#EXTINF:2,\nb\n#EXT-X-ENDLIST\n"),
        at(0),
    );
    assert!(!f.is_done());
    assert_eq!(drain(&mut f), ["a", "b"]);
    assert!(f.is_done() && f.is_vod());
    assert_eq!(f.reload(), None);
}

#[test]
fn what_left_the_playlist_is_missed() {
    let mut f = Follow::new(true, 0);
    f.playlist(window("s", 0, 3), at(0));
    drain(&mut f);
    f.playlist(window("s", 20, 3), at(9_000));
    assert_eq!(drain(&mut f), ["s22.ts"]);
    assert_eq!(f.take_missed(), 19);
}

#[test]
fn an_old_copy_is_no_restart() {
    let mut f = Follow::new(true, 0);
    f.playlist(window("s", 5, 4), at(0));
    drain(&mut f);
    f.playlist(window("s", 4, 4), at(2_000));
    assert_eq!(drain(&mut f), Vec::<String>::new());
    f.playlist(window("s", 6, 4), at(3_000));
    let piece = f.next().unwrap();
    assert_eq!((piece.number, piece.region), (9, (0, 0)));
}

#[test]
fn a_server_that_begins_anew_is_joined_anew() {
    let mut f = Follow::new(true, 0);
    f.playlist(window("s", 500, 4), at(0));
    drain(&mut f);
    f.playlist(window("s", 0, 2), at(2_000));
    let piece = f.next().unwrap();
    assert_eq!((piece.number, piece.region), (1, (1, 0)));
    drain(&mut f);
    // Under the same names it is believed after a while.
    let mut f = Follow::new(true, 0);
    f.playlist(window("s", 0, 4), at(0));
    drain(&mut f);
    for _ in 0..OLD_COPIES {
        f.playlist(window("s", 0, 1), at(2_000));
        assert_eq!(f.next(), None);
    }
    f.playlist(window("s", 0, 1), at(3_000));
    assert_eq!(f.next().unwrap().region, (1, 0));
}

#[test]
fn discontinuities_are_counted_even_where_the_server_forgets() {
    let mut f = Follow::new(true, 0);
    f.playlist(
        media("#EXTINF:2,\na\n#EXT-X-DISCONTINUITY\n#EXTINF:2,\nb\n"),
        at(0),
    );
    assert_eq!(f.next().unwrap().region, (0, 1));
    f.advance();
    let later = "#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF:2,\nb\n#EXTINF:2,\nc\n#EXT-X-DISCONTINUITY\n#EXTINF:2,\nd\n";
    f.playlist(media(later), at(2_000));
    assert_eq!(f.next().unwrap().region, (0, 1));
    f.advance();
    assert_eq!(f.next().unwrap().region, (0, 2));
}

/// What a pull that was given this one list took last.
fn last_of(list: Media) -> Taken {
    let mut f = Follow::new(true, 0);
    f.playlist(list, at(0));
    last(&mut f).unwrap()
}

/// Takes all that is there.
fn last(f: &mut Follow) -> Option<Taken> {
    let mut taken = None;
    while let Some(piece) = f.next() {
        taken = Some(Taken::of(&piece));
        f.advance();
    }
    taken
}

fn resumed(list: Media, taken: &Taken) -> Follow {
    let mut f = Follow::new(true, 0);
    f.playlist(list, at(0));
    f.resume(taken);
    f
}

#[test]
fn what_was_taken_before_is_not_taken_again() {
    let taken = last_of(window("s", 5, 4));
    let mut f = resumed(window("s", 5, 4), &taken);
    assert_eq!(drain(&mut f), Vec::<String>::new());
    f.playlist(window("s", 6, 4), at(2_000));
    assert_eq!(f.next().unwrap().region, (0, 0));
    assert_eq!(drain(&mut f), ["s9.ts"]);
    assert_eq!((f.news(), f.take_missed()), (at(2_000), 0));
    for (list, begins) in [
        (window("s", 6, 4), "s9.ts"),
        // No further behind than who joins.
        (window("s", 6, 6), "s11.ts"),
        (window("s", 20, 3), "s22.ts"),
        // Another run of the packager.
        (window("s", 0, 4), "s3.ts"),
        (window("t", 5, 4), "t8.ts"),
    ] {
        assert_eq!(drain(&mut resumed(list, &taken)), [begins]);
    }
    // Another session of the same.
    let list = "#EXT-X-MEDIA-SEQUENCE:8\n#EXTINF:2,\nhttps://cdn2.example/9f/s8.ts?token=2\n";
    assert_eq!(resumed(media(list), &taken).next(), None);
}

#[test]
fn what_has_ended_is_played_again() {
    let taken = last_of(window("s", 0, 2));
    let list = "#EXTINF:2,\ns0.ts\n#EXTINF:2,\ns1.ts\n#EXT-X-ENDLIST\n";
    let mut f = resumed(media(list), &taken);
    assert_eq!(drain(&mut f), ["s0.ts", "s1.ts"]);
}

const LOW_LATENCY: &str = "#EXT-X-PART-INF:PART-TARGET=0.5\n\
    #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5\n#EXT-X-MEDIA-SEQUENCE:8\n\
    #EXTINF:2,\n8.m4s\n#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:01:00Z\n";

fn low_latency(parts: &[&str], closed: bool, hint: &str) -> Media {
    let mut text = LOW_LATENCY.to_owned();
    for (i, part) in parts.iter().enumerate() {
        let independent = if i % 2 == 0 { ",INDEPENDENT=YES" } else { "" };
        text.push_str(&format!(
            "#EXT-X-PART:DURATION=0.5,URI=\"{part}\"{independent}\n"
        ));
    }
    if closed {
        text.push_str("#EXTINF:2,\n9.m4s\n");
    }
    text.push_str(&format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{hint}\"\n"));
    media(&text)
}

#[test]
fn parts_are_followed_where_reloads_block() {
    let mut f = Follow::new(true, 0);
    f.playlist(low_latency(&["9.0", "9.1", "9.2"], false, "9.3"), at(0));
    assert!(f.is_low_latency());
    let piece = f.next().unwrap();
    assert_eq!(
        (piece.at.uri.as_str(), piece.number, piece.part),
        ("9.2", 9, Some(2))
    );
    assert_eq!(piece.utc, Some(at(61_000)));
    assert_eq!(f.hint(), None);
    f.advance();
    assert_eq!(f.hint().unwrap().uri, "9.3");
    assert_eq!(
        f.reload(),
        Some(Reload {
            at: at(0),
            block: Some((9, Some(3)))
        })
    );
    f.playlist(
        low_latency(&["9.0", "9.1", "9.2", "9.3"], true, "10.0"),
        at(10),
    );
    assert_eq!(drain(&mut f), ["9.3"]);
    assert_eq!(
        f.reload(),
        Some(Reload {
            at: at(10),
            block: Some((10, Some(0)))
        })
    );
    // A server that does not block in fact is not asked without pause.
    f.playlist(
        low_latency(&["9.0", "9.1", "9.2", "9.3"], true, "10.0"),
        at(20),
    );
    assert_eq!(f.reload().unwrap().at, at(270));
    f.failed(at(300));
    assert_eq!(
        f.reload(),
        Some(Reload {
            at: at(1_300),
            block: None
        })
    );
}

#[test]
fn parts_that_were_taken_before_are_not_taken_again() {
    let three = || low_latency(&["9.0", "9.1", "9.2"], false, "9.3");
    let whole = |hint| low_latency(&["9.0", "9.1", "9.2", "9.3"], true, hint);
    let taken = last_of(three());
    let mut f = resumed(three(), &taken);
    assert_eq!((f.next(), f.hint().unwrap().uri.as_str()), (None, "9.3"));
    f.playlist(whole("10.0"), at(10));
    assert_eq!(drain(&mut f), ["9.3"]);
    // No further behind than who joins.
    let five = ["9.0", "9.1", "9.2", "9.3", "9.4"];
    let mut f = resumed(low_latency(&five, false, "9.5"), &taken);
    assert_eq!(drain(&mut f), ["9.4"]);
    // The rest is there as a whole only, or was all.
    assert_eq!(
        drain(&mut resumed(window("", 8, 2), &taken)),
        Vec::<String>::new()
    );
    let taken = last_of(whole("10.0"));
    let mut f = resumed(whole("10.0"), &taken);
    assert_eq!(drain(&mut f), Vec::<String>::new());
    assert_eq!(f.take_missed(), 0);
    f.playlist(window("", 9, 2), at(2_000));
    assert_eq!(
        (drain(&mut f), f.take_missed()),
        (vec!["10.ts".to_owned()], 0)
    );
}

#[test]
fn without_low_latency_whole_segments_are_taken() {
    let mut f = Follow::new(false, 0);
    f.playlist(low_latency(&["9.0", "9.1"], false, "9.2"), at(0));
    assert_eq!(drain(&mut f), ["8.m4s"]);
    assert_eq!((f.hint(), f.is_low_latency()), (None, false));
    assert_eq!(f.reload().unwrap().block, Some((9, None)));
    f.playlist(low_latency(&["9.0", "9.1"], true, "10.0"), at(0));
    assert_eq!(drain(&mut f), ["9.m4s"]);
}

#[test]
fn the_buffer_is_as_long_as_segments_are_late() {
    let uneven = |media| {
        let mut f = Follow::new(false, 0);
        f.playlist(media, at(0));
        f.unevenness()
    };
    let short = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES\n#EXTINF:1.5,\na\n#EXTINF:1,\nb\n";
    assert_eq!(uneven(media(short)), Span::from_millis(1_500));
    assert_eq!(uneven(media("#EXTINF:1,\na\n")), Span::from_secs(2));
}

#[test]
fn parts_that_are_gone_cost_the_rest_of_their_segment() {
    let mut f = Follow::new(true, 0);
    f.playlist(low_latency(&["9.0"], false, "9.1"), at(0));
    drain(&mut f);
    f.playlist(window("", 8, 3), at(0));
    assert_eq!(drain(&mut f), ["10.ts"]);
    assert_eq!(f.take_missed(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// However a server's window moves, grows and restarts: nothing is taken twice, nothing is
    /// taken out of order, and what a patient server listed is taken.
    #[test]
    fn each_segment_once_and_in_order(steps in prop::collection::vec(
        (0_u64..4, 1_u64..6, 0_u8..20, any::<bool>()), 1..60,
    )) {
        let mut f = Follow::new(true, 0);
        let (mut run, mut end, mut now) = (0_u64, 10_u64, 0);
        let mut taken: Vec<(Region, u64)> = Vec::new();
        for (more, length, event, old) in steps {
            now += 1_000;
            if event == 0 {
                (run, end) = (run + 1, 0);
            }
            end += more;
            let (shown, length) = if old && end > 1 { (end - 1, length) } else { (end, length) };
            let first = shown.saturating_sub(length);
            f.playlist(window(&format!("r{run}-"), first, shown - first), at(now));
            while let Some(piece) = f.next() {
                taken.push((piece.region, piece.number));
                f.advance();
                prop_assert!(taken.len() < 10_000);
            }
            let reload = f.reload().unwrap();
            prop_assert!(reload.at > at(now) && reload.at <= at(now) + Span::from_secs(2));
        }
        prop_assert!(taken.is_sorted());
        taken.dedup();
        let count = taken.len();
        taken.dedup_by_key(|t| *t);
        prop_assert_eq!(taken.len(), count);
    }
    /// However often one is pulled anew: nothing is taken twice, and all of a list that grows
    /// slowly is taken.
    #[test]
    fn no_pull_takes_what_another_took(steps in prop::collection::vec(
        (0_u64..4, 1_u64..6, any::<bool>()), 1..60,
    )) {
        let mut f = Follow::new(true, 0);
        let (mut end, mut now, mut slow, mut before) = (10_u64, 0, true, None);
        let mut taken = Vec::new();
        for (more, length, anew) in steps {
            (end, now) = (end + more, now + 1_000);
            slow &= more < 2;
            let list = window("s", end - length, length);
            match &before {
                Some(before) if anew => f = resumed(list, before),
                _ => f.playlist(list, at(now)),
            }
            while let Some(piece) = f.next() {
                taken.push(piece.number);
                before = Some(Taken::of(&piece));
                f.advance();
            }
        }
        prop_assert!(taken.windows(2).all(|w| w[0] < w[1]), "{:?}", taken);
        prop_assert!(!slow || taken.windows(2).all(|w| w[0] + 1 == w[1]), "{:?}", taken);
    }
}
