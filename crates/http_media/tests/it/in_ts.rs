//! HLS in MPEG-TS: who may ask for it, and how often it is made.

use futures_util::future::join_all;
use http::Method;
use http_media::Container;
use media::{Span, Timestamp};
use testkit::lint::{self, Directives, Linter, Rule, State};

use crate::source::{Answer, Live, ask, get};

fn live(container: Container) -> Live {
    let mut live = Live::new();
    live.output.set_container(container);
    live.play(300);
    live
}

#[tokio::test]
async fn the_container_decides_what_is_there() {
    let cmaf = live(Container::Cmaf);
    for url in ["a/news/ts.m3u8", "a/news/v0.a1.ts.m3u8"] {
        assert_eq!(get(&cmaf.outputs, url).await.status, 404, "{url}");
    }
    let both = live(Container::Both);
    let index = get(&both.outputs, "a/news/index.m3u8").await.text();
    assert!(index.contains("\nv0.m3u8\n"), "{index}");
    let index = get(&both.outputs, "a/news/ts.m3u8").await;
    assert_eq!(
        index.header("content-type"),
        "application/vnd.apple.mpegurl"
    );
    assert!(index.text().contains("\nv0.a1.ts.m3u8\n"));
    let ts = live(Container::Ts);
    let only = get(&ts.outputs, "a/news/index.m3u8").await;
    assert_eq!(only.text(), get(&ts.outputs, "a/news/ts.m3u8").await.text());
    // What has the segments of fragmented MP4 still has them.
    assert_eq!(get(&ts.outputs, "a/news/index.mpd").await.status, 200);
}

#[tokio::test]
async fn a_segment_is_made_once_however_many_ask() {
    let live = live(Container::Both);
    let (msn, _) = live.edge();
    let url = format!("a/news/v0.a1_{}.ts", msn - 2);
    assert_eq!(live.output.figures().made_ts, 0, "nobody asked");
    let all = join_all((0..20).map(|_| get(&live.outputs, &url))).await;
    let first = &all[0];
    assert_eq!(
        (first.status, first.header("content-type")),
        (200, "video/mp2t")
    );
    assert!(first.header("cache-control").contains("immutable"));
    assert!(first.body.len() % 188 == 0 && all.iter().all(|a| a.body == first.body));
    assert_eq!(live.output.figures().made_ts, 1);
    let range = [("range", "bytes=188-375")];
    let piece = ask(&live.outputs, Method::GET, &url, &range).await;
    assert_eq!(
        (piece.status, &piece.body[..]),
        (206, &first.body[188..376])
    );
    let tag = [("if-none-match", first.header("etag"))];
    assert_eq!(
        ask(&live.outputs, Method::GET, &url, &tag).await.status,
        304
    );
    let head = ask(&live.outputs, Method::HEAD, &url, &[]).await;
    assert_eq!(head.header("content-length"), first.body.len().to_string());
    for url in ["a/news/v0.a1_7.ts", "a/news/v9.a1.ts.m3u8"] {
        assert_eq!(get(&live.outputs, url).await.status, 404, "{url}");
    }
}

#[tokio::test]
async fn a_segment_that_grows_is_awaited() {
    let mut live = live(Container::Ts);
    let (msn, _) = live.edge();
    let (outputs, url) = (live.outputs.clone(), format!("a/news/v0.a1_{msn}.ts"));
    let asked = tokio::spawn(async move { get(&outputs, &url).await });
    tokio::task::yield_now().await;
    assert!(!asked.is_finished());
    live.play(90);
    assert_eq!(asked.await.unwrap().status, 200);
}

/// As the linter has it; what is asked for is there at once.
fn seen(answer: &Answer, at: Timestamp) -> lint::Answer {
    let text = |v: &http::HeaderValue| v.to_str().unwrap().to_owned();
    let headers = answer.headers.iter();
    lint::Answer {
        status: Some(answer.status),
        headers: headers.map(|(n, v)| (n.to_string(), text(v))).collect(),
        body: answer.body.clone(),
        sent: at,
        first: at,
        last: at,
        reads: Vec::new(),
        error: None,
    }
}

#[tokio::test]
async fn the_linter_finds_nothing() {
    let mut live = live(Container::Both);
    let (mut linter, mut at) = (Linter::default(), Timestamp::ZERO);
    linter.state(at, State::NORMAL);
    let index = get(&live.outputs, "a/news/ts.m3u8").await;
    let lists = linter.multivariant("ts.m3u8", &seen(&index, at));
    assert_eq!(lists, ["v0.a1.ts.m3u8"]);
    let mut segments = 0;
    for _ in 0..40 {
        live.play(60);
        at += Span::from_secs(2);
        let list = get(&live.outputs, &format!("a/news/{}", lists[0])).await;
        let asked = Directives::default();
        for wanted in linter.playlist(&lists[0], asked, &seen(&list, at)) {
            let made = get(&live.outputs, &format!("a/news/{}", wanted.uri)).await;
            linter.body(&wanted, &seen(&made, at));
            segments += 1;
        }
    }
    let report = linter.finish(at);
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert!(segments > 40 && report.checked[&Rule::Ts] > 1_000);
}
