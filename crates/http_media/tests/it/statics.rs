//! What is there is answered at once, with the right words around it.

use std::io::Read as _;

use flate2::read::GzDecoder;
use http::Method;

use crate::source::{Live, ask, get};

#[tokio::test]
async fn unknown_and_unborn_streams() {
    let live = Live::new();
    assert_eq!(get(&live.outputs, "nope/index.m3u8").await.status, 404);
    let unborn = get(&live.outputs, "a/news/index.m3u8").await;
    assert_eq!((unborn.status, unborn.header("retry-after")), (404, "1"));
    assert_eq!(unborn.text(), "stream is not live yet\n");
}

#[tokio::test]
async fn playlists_say_what_they_are() {
    let mut live = Live::new();
    live.play(300);
    let index = get(&live.outputs, "a/news/index.m3u8").await;
    assert_eq!(
        index.header("content-type"),
        "application/vnd.apple.mpegurl"
    );
    assert_eq!(index.header("access-control-allow-origin"), "*");
    assert!(index.text().contains("\nv0.m3u8\n"));
    let classic = get(&live.outputs, "a/news/index.m3u8?ll=0").await;
    assert!(classic.text().contains("\nv0.m3u8?ll=0\n"));
    let media = get(&live.outputs, "a/news/v0.m3u8?ll=0").await;
    assert!(!media.text().contains("EXT-X-PART"));
    assert_eq!(media.header("content-length"), media.body.len().to_string());
}

#[tokio::test]
async fn gzip_is_the_same_text() {
    let mut live = Live::new();
    live.play(300);
    let plain = get(&live.outputs, "a/news/v0.m3u8").await;
    let headers = [("accept-encoding", "gzip, br")];
    let packed = ask(&live.outputs, Method::GET, "a/news/v0.m3u8", &headers).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(packed.header("vary"), "Accept-Encoding");
    let mut text = String::new();
    GzDecoder::new(&packed.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, plain.text());
}

#[tokio::test]
async fn a_segment_is_its_parts() {
    let mut live = Live::new();
    live.play(300);
    let (msn, _) = live.edge();
    let name = msn - 1;
    let whole = get(&live.outputs, &format!("a/news/v0_{name}.m4s")).await;
    assert_eq!(
        (whole.status, whole.header("content-type")),
        (200, "video/mp4")
    );
    let mut parts = Vec::new();
    for part in 0..10 {
        let part = get(&live.outputs, &format!("a/news/v0_{name}.{part}.m4s")).await;
        assert_eq!(part.status, 200);
        parts.extend_from_slice(&part.body);
    }
    assert_eq!(whole.body, parts);
    assert!(whole.header("cache-control").contains("immutable"));
}

#[tokio::test]
async fn ranges_heads_and_tags() {
    let mut live = Live::new();
    live.play(300);
    let (msn, _) = live.edge();
    let url = format!("a/news/v0_{}.m4s", msn - 1);
    let whole = get(&live.outputs, &url).await;
    let range = [("range", "bytes=100-199")];
    let piece = ask(&live.outputs, Method::GET, &url, &range).await;
    assert_eq!(
        (piece.status, &piece.body[..]),
        (206, &whole.body[100..200])
    );
    let expected = format!("bytes 100-199/{}", whole.body.len());
    assert_eq!(piece.header("content-range"), expected);
    let beyond = [("range", "bytes=99999999-")];
    let beyond = ask(&live.outputs, Method::GET, &url, &beyond).await;
    let length = format!("bytes */{}", whole.body.len());
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, &length[..])
    );
    let unranged = ask(&live.outputs, Method::HEAD, &url, &range).await;
    assert_eq!(unranged.status, 200, "a range means something to GET alone");
    let head = ask(&live.outputs, Method::HEAD, &url, &[]).await;
    assert_eq!(head.header("content-length"), whole.body.len().to_string());
    assert!(head.body.is_empty());
    let tag = [("if-none-match", whole.header("etag"))];
    assert_eq!(
        ask(&live.outputs, Method::GET, &url, &tag).await.status,
        304
    );
    assert_eq!(
        ask(&live.outputs, Method::POST, &url, &[]).await.status,
        405
    );
    let preflight = ask(&live.outputs, Method::OPTIONS, &url, &[]).await;
    assert_eq!(
        preflight.header("access-control-allow-methods"),
        "GET, HEAD, OPTIONS"
    );
}

#[tokio::test]
async fn what_is_unknown_and_unhinted_is_absent() {
    let mut live = Live::new();
    live.play(300);
    let (msn, parts) = live.edge();
    for url in [
        format!("a/news/v0_{}.m4s", msn + 5),
        format!("a/news/v0_{}.{}.m4s", msn, parts + 3),
        "a/news/v9.m3u8".to_owned(),
        "a/news/v0_init_0000000000000000.mp4".to_owned(),
    ] {
        assert_eq!(get(&live.outputs, &url).await.status, 404, "{url}");
    }
}

#[tokio::test]
async fn viewers_are_addresses_and_agents() {
    let mut live = Live::new();
    live.play(300);
    for agent in ["hls.js", "hls.js", "vlc"] {
        let headers = [("user-agent", agent)];
        ask(&live.outputs, Method::GET, "a/news/v0.m3u8", &headers).await;
    }
    assert_eq!(live.output.figures().viewers, 2);
}
