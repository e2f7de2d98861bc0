//! DASH: segments that are read as they grow, numbers that come later or never, the MPD.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use container::fmp4::{EMPTY_SEGMENT, read_chunks};
use futures_util::FutureExt as _;
use http::{HeaderMap, Method};
use http_body_util::BodyExt as _;
use http_media::{Output, Outputs};
use media::CodecConfig;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::source::{Answer, Live, ask, get, open, other_aac};

fn spawn(outputs: &Outputs, target: &str) -> JoinHandle<Answer> {
    let (outputs, target) = (outputs.clone(), target.to_owned());
    tokio::spawn(async move { get(&outputs, &target).await })
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn segment(live: &Live, media: &str, number: u64) -> String {
    let snapshot = live.output.snapshot();
    let hash = &snapshot.get(media).unwrap().segments[0].init.hash;
    format!("a/news/{media}_{number}.m4s?i={hash}")
}

/// All that is there at once.
fn there(body: &mut Body) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(Some(frame)) = body.frame().now_or_never() {
        all.extend(frame.unwrap().into_data().unwrap());
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_growing_segment_is_read_picture_by_picture_and_is_that_of_the_playlist() {
    let mut live = Live::new();
    live.play(309);
    let (number, _) = live.edge();
    let url = segment(&live, "v0", number);
    let response = open(&live.outputs, Method::GET, &url, HeaderMap::new()).await;
    assert!(response.headers().get("content-length").is_none());
    let mut body = response.into_body();
    let mut whole = there(&mut body);
    let chunks = |bytes: &[u8]| read_chunks(&Bytes::copy_from_slice(bytes)).unwrap();
    assert_eq!(chunks(&whole).len(), 9);
    for _ in 0..51 {
        live.play(1);
        let more = there(&mut body);
        assert_eq!(chunks(&more)[0].samples.len(), 1);
        whole.extend(more);
    }
    assert!(body.frame().now_or_never().is_none());
    live.play(1);
    assert!(matches!(body.frame().now_or_never(), Some(None)));
    let hls = get(&live.outputs, &format!("a/news/v0_{number}.m4s")).await;
    assert_eq!(hls.body, whole);
    // A slow reader gets all of it much later.
    let again = get(&live.outputs, &url).await;
    assert_eq!(
        (again.body, again.headers.get("etag").is_some()),
        (hls.body, true)
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_has_its_segment_however_late_it_reads() {
    let mut live = Live::new();
    live.play(309);
    let (number, _) = live.edge();
    let url = segment(&live, "v0", number);
    let response = open(&live.outputs, Method::GET, &url, HeaderMap::new()).await;
    live.play(60 * 200);
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(read_chunks(&bytes).unwrap().len(), 60);
}

#[tokio::test(start_paused = true)]
async fn the_next_numbers_are_waited_for_and_no_others() {
    let mut live = Live::new();
    live.play(309);
    let (number, _) = live.edge();
    let next = spawn(&live.outputs, &segment(&live, "v0", number + 1));
    let later = spawn(&live.outputs, &segment(&live, "a1", number + 2));
    let beyond = get(&live.outputs, &segment(&live, "v0", number + 4)).await;
    assert_eq!(
        (beyond.status, beyond.header("cache-control")),
        (404, "no-store")
    );
    settle().await;
    assert!(!next.is_finished());
    live.play(60 * 3);
    settle().await;
    assert_eq!(
        (next.await.unwrap().status, later.await.unwrap().status),
        (200, 200)
    );
    let unknown = get(
        &live.outputs,
        &format!("a/news/v7_{number}.m4s?i=0123456789abcdef"),
    )
    .await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test(start_paused = true)]
async fn what_will_never_be_is_an_empty_segment() {
    let mut live = Live::new();
    live.play(300);
    let (last, _) = live.edge();
    let url = |live: &Live, n| segment(live, "v0", n);
    let first = spawn(&live.outputs, &url(&live, last + 1));
    settle().await;
    assert!(!first.is_finished());
    live.fall_silent();
    settle().await;
    assert!(first.is_finished());
    let first = first.await.unwrap();
    assert_eq!(first.body, &EMPTY_SEGMENT[..]);
    assert_eq!(
        (first.status, first.header("cache-control")),
        (200, "no-store")
    );
    // The media goes on behind numbers that were not given up one by one.
    live.skip(60 * 6);
    live.play(150);
    let (now, _) = live.edge();
    assert!(now > last + 5);
    for number in last + 1..=last + 5 {
        let answer = get(&live.outputs, &url(&live, number)).now_or_never();
        assert_eq!(answer.unwrap().body, &EMPTY_SEGMENT[..], "{number}");
    }
    assert!(
        get(&live.outputs, &url(&live, now))
            .now_or_never()
            .is_none()
    );
    // One that nobody told of before stays what it was for a playlist: nothing.
    let name = format!("a/news/v0_{}.m4s", last + 1);
    assert_eq!(get(&live.outputs, &name).await.status, 404);
    live.end();
    let over = get(&live.outputs, &url(&live, now + 9)).await;
    assert_eq!(over.body, &EMPTY_SEGMENT[..]);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_comes_nobody_waits_for_ever() {
    let mut live = Live::new();
    live.play(309);
    let (number, _) = live.edge();
    let began = Instant::now();
    let answer = get(&live.outputs, &segment(&live, "v0", number + 1)).await;
    assert_eq!(answer.body, &EMPTY_SEGMENT[..]);
    // The last number that may be asked for would have begun by then, or been given up.
    assert_eq!(began.elapsed().as_secs(), 9);
    // Another process goes on with it.
    let waiting = spawn(&live.outputs, &segment(&live, "v0", number + 2));
    settle().await;
    live.outputs.leave();
    let told = waiting.await.unwrap();
    assert_eq!((told.status, told.header("retry-after")), (503, "1"));
}

#[tokio::test(start_paused = true)]
async fn who_knows_another_initialisation_section_gets_the_new_one_with_the_media() {
    let mut live = Live::new();
    live.play(300);
    let (last, _) = live.edge();
    let old = segment(&live, "a1", last + 1);
    live.change_sound(other_aac());
    // Told of with the first picture, before any sound has come behind it.
    live.play_picture();
    let mpd = get(&live.outputs, "a/news/index.mpd?r=1").await.text();
    let told = mpd.rsplit("initialization=\"a1_").next().unwrap();
    let told = told.split('"').next().unwrap();
    let init = get(&live.outputs, &format!("a/news/a1_{told}")).await;
    assert_eq!(init.status, 200, "{told}");
    assert!(!old.ends_with(told.rsplit('=').next().unwrap()));
    live.play(90);
    let response = open(&live.outputs, Method::GET, &old, HeaderMap::new()).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let bytes = there(&mut response.into_body());
    let snapshot = live.output.snapshot();
    let init = &snapshot.get("a1").unwrap().segments.last().unwrap().init;
    assert!(!old.ends_with(&init.hash));
    let rest = Bytes::from(bytes).split_off(init.bytes.len());
    assert!(!read_chunks(&rest).unwrap().is_empty());
    live.play(60);
    let whole = get(&live.outputs, &old).await;
    assert_eq!(whole.body[..init.bytes.len()], init.bytes);
    // A decoder of another codec could do nothing with it.
    let (last, _) = live.edge();
    let old = segment(&live, "a1", last + 1);
    let opus = media::codec::OpusConfig::parse(OPUS).unwrap();
    live.change_sound(CodecConfig::Opus(opus));
    live.play(90);
    assert_eq!(get(&live.outputs, &old).await.body, &EMPTY_SEGMENT[..]);
}

const OPUS: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";

#[tokio::test(start_paused = true)]
async fn a_head_tells_and_a_range_of_what_grows_is_ignored() {
    let mut live = Live::new();
    live.play(309);
    let (number, _) = live.edge();
    let url = segment(&live, "v0", number);
    let head = open(&live.outputs, Method::HEAD, &url, HeaderMap::new()).await;
    // The HTTP server tells a length that it can know.
    let size = http_body::Body::size_hint(head.body());
    assert_eq!((head.status().as_u16(), size.exact()), (200, None));
    assert!(there(&mut head.into_body()).is_empty());
    let mut range = HeaderMap::new();
    range.insert("range", "bytes=0-9".parse().unwrap());
    let response = open(&live.outputs, Method::GET, &url, range).await;
    assert_eq!(response.status(), 200);
    assert!(there(&mut response.into_body()).len() > 10);
    let whole = segment(&live, "v0", number - 1);
    let part = ask(
        &live.outputs,
        Method::GET,
        &whole,
        &[("range", "bytes=0-9")],
    )
    .await;
    assert_eq!((part.status, part.body.len()), (206, 10));
}

#[tokio::test(start_paused = true)]
async fn who_joins_waits_until_there_is_media_where_it_looks_and_who_refreshes_does_not() {
    let mut live = Live::new();
    let none = get(&live.outputs, "a/news/index.mpd").await;
    assert_eq!(none.status, 404);
    live.play(130);
    let refreshed = get(&live.outputs, "a/news/index.mpd?r=1").now_or_never();
    let refreshed = refreshed.unwrap();
    assert_eq!(refreshed.header("content-type"), "application/dash+xml");
    assert!(refreshed.text().contains("value=\"../../time\""));
    for (query, least) in [("", 0), ("?ll=0", 3)] {
        let began = Instant::now();
        let joined = get(&live.outputs, &format!("a/news/index.mpd{query}")).await;
        assert_eq!(joined.status, 200);
        assert_eq!(began.elapsed().as_secs(), least);
    }
    live.play(60 * 10);
    live.fall_silent();
    // In front of the hole there is something to play, for a while.
    let joins = |outputs: &Outputs| get(outputs, "a/news/index.mpd").now_or_never();
    assert!(joins(&live.outputs).is_some());
    tokio::time::advance(Duration::from_secs(3)).await;
    assert!(joins(&live.outputs).is_none());
    assert_eq!(get(&live.outputs, "a/news/index.mpd?r=1").await.status, 200);
    let began = Instant::now();
    assert_eq!(get(&live.outputs, "a/news/index.mpd").await.status, 503);
    assert_eq!(began.elapsed().as_secs(), 60);
}

/// The first one of every programme here.
fn first_segment(media: &str) -> String {
    let mut other = Live::new();
    other.play(130);
    let snapshot = other.output.snapshot();
    let first = snapshot.get(media).unwrap().segments[0].number;
    segment(&other, media, first)
}

#[tokio::test(start_paused = true)]
async fn a_player_of_an_earlier_process_waits_for_the_first_media() {
    let mut live = Live::with(Output::resumed());
    let refresh = spawn(&live.outputs, "a/news/index.mpd?r=1");
    let segment = spawn(&live.outputs, &first_segment("v0"));
    settle().await;
    assert!(!refresh.is_finished() && !segment.is_finished());
    live.play(130);
    settle().await;
    assert_eq!(refresh.await.unwrap().status, 200);
    assert!(segment.is_finished());
    assert!(
        !read_chunks(&segment.await.unwrap().body)
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_track_that_is_new_is_woken_by_its_first_chunk() {
    let mut live = Live::new();
    live.play(300);
    let (last, _) = live.edge();
    let urls: Vec<_> = (last..last + 9).map(|n| segment(&live, "a1", n)).collect();
    let mut live = live.restarted();
    live.skip(180);
    let begin = |url: String| {
        let outputs = live.outputs.clone();
        tokio::spawn(async move { open(&outputs, Method::GET, &url, HeaderMap::new()).await })
    };
    let sound: Vec<_> = urls.into_iter().map(begin).collect();
    settle().await;
    let waiting: Vec<_> = sound.into_iter().filter(|s| !s.is_finished()).collect();
    assert!(!waiting.is_empty());
    while !waiting.iter().any(JoinHandle::is_finished) {
        live.play(1);
        settle().await;
    }
    // Nobody was told of anything else.
    let mpd = get(&live.outputs, "a/news/index.mpd?r=1").now_or_never();
    assert!(mpd.is_none());
}

#[tokio::test(start_paused = true)]
async fn numbers_are_given_up_by_who_goes_on_before_it_has_any() {
    let mut live = Live::new();
    live.play(300);
    let (last, _) = live.edge();
    let url = segment(&live, "v0", last + 3);
    let soon = spawn(&live.outputs, &url);
    settle().await;
    assert!(!soon.is_finished());
    live.repackage(30);
    settle().await;
    assert!(soon.is_finished());
    assert_eq!(soon.await.unwrap().body, &EMPTY_SEGMENT[..]);
    let later = get(&live.outputs, &segment(&live, "v0", last + 12)).now_or_never();
    assert_eq!(later.unwrap().body, &EMPTY_SEGMENT[..]);
    // What was there before stays.
    let mpd = get(&live.outputs, "a/news/index.mpd?r=1").await;
    assert_eq!(mpd.status, 200);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_finished_is_not_taken_for_the_whole() {
    let mut live = Live::new();
    live.play(309);
    let (number, _) = live.edge();
    let url = segment(&live, "v0", number);
    let response = open(&live.outputs, Method::GET, &url, HeaderMap::new()).await;
    let mut body = response.into_body();
    assert!(!there(&mut body).is_empty());
    live.break_off();
    assert!(body.frame().now_or_never().unwrap().unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn who_joins_after_the_end_is_told_so_at_once() {
    let mut live = Live::new();
    live.play(300);
    live.fall_silent();
    live.end();
    let mpd = get(&live.outputs, "a/news/index.mpd").now_or_never();
    assert!(mpd.unwrap().text().contains("mediaPresentationDuration"));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_called_as_the_initialisation_section_is_none() {
    let mut live = Live::new();
    live.play(309);
    let (number, _) = live.edge();
    let name = format!("a/news/v0_{}.m4s", number - 1);
    let plain = get(&live.outputs, &name).await;
    let with = get(&live.outputs, &format!("{name}?i=a-token")).await;
    assert_eq!((with.status, with.body), (200, plain.body));
}

#[tokio::test(start_paused = true)]
async fn a_track_that_is_gone_leaves_what_it_had_and_has_no_more() {
    let mut live = Live::new();
    live.play(600);
    let (last, _) = live.edge();
    let sound = segment(&live, "a1", last);
    let url = |n: u64| sound.replace(&last.to_string(), &n.to_string());
    let old = get(&live.outputs, &url(last - 6)).await;
    live.drop_sound();
    let next = spawn(&live.outputs, &url(last + 1));
    settle().await;
    assert!(!next.is_finished());
    // Told of with the first picture: nobody was told before that it is gone.
    live.play(1);
    settle().await;
    assert!(next.is_finished());
    assert_eq!(next.await.unwrap().body, &EMPTY_SEGMENT[..]);
    live.play(299);
    let still = get(&live.outputs, &url(last - 6)).now_or_never();
    assert_eq!(still.unwrap().body, old.body);
    let (now, _) = live.edge();
    for number in last + 1..now {
        let none = get(&live.outputs, &url(number)).now_or_never();
        assert_eq!(none.unwrap().body, &EMPTY_SEGMENT[..], "{number}");
    }
    // It may be back with the next segment.
    let next = spawn(&live.outputs, &url(now + 1));
    settle().await;
    assert!(!next.is_finished());
    live.change_sound(other_aac());
    // The pictures of the next segment come before its sound.
    live.play_picture();
    settle().await;
    assert!(!next.is_finished());
    live.play(120);
    settle().await;
    assert!(next.await.unwrap().body.len() > EMPTY_SEGMENT.len());
    // Nothing of it is kept for ever.
    live.play(30 * 200);
    live.fall_silent();
    let old = get(&live.outputs, &url(last - 6)).now_or_never();
    assert_eq!(old.unwrap().body, &EMPTY_SEGMENT[..]);
}
