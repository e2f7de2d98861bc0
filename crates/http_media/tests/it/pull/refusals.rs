//! Servers that say no, lie, dawdle, or point elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use http_media::pull::hls::Pull;
use http_media::pull::{Error, Source};

use super::site::Site;
use super::{Seen, anywhere, pull_hls};

const SHORT: Duration = Duration::from_secs(20);

fn answer(status: u16, body: &str) -> Option<Response> {
    Some((StatusCode::from_u16(status).unwrap(), body.to_owned()).into_response())
}

fn to(target: &str) -> Option<Response> {
    Some((StatusCode::FOUND, [(header::LOCATION, target.to_owned())]).into_response())
}

async fn failed(source: Source) -> Error {
    let Seen { end, .. } = pull_hls(Pull::new(source), SHORT).await;
    end.unwrap_err()
}

#[tokio::test]
async fn statuses() {
    for (status, refusal) in [
        (401, true),
        (403, true),
        (404, true),
        (500, false),
        (503, false),
    ] {
        let site = Site::with(move |_, _| answer(status, "")).await;
        let error = failed(anywhere(&site.url("i.m3u8?key=secret"))).await;
        assert_eq!(error.is_refusal(), refusal, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn credentials_open_the_door() {
    let site = Site::with(|_, headers| {
        let told = headers.get(header::AUTHORIZATION).map(|v| v.as_bytes());
        let own = headers.get("x-own").is_some();
        (told != Some(b"Basic dTpw") || !own).then(|| StatusCode::UNAUTHORIZED.into_response())
    })
    .await;
    let url = format!("http://u:p@{}/i.m3u8", site.address);
    let error = failed(anywhere(&url)).await;
    assert!(
        matches!(error, Error::Status { status: 401, .. }),
        "{error}"
    );
    let mut source = anywhere(&url);
    source.headers.insert("x-own", "1".parse().unwrap());
    let error = failed(source).await;
    assert!(
        matches!(error, Error::Status { status: 404, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn redirects_are_asked_about() {
    let site = Site::with(|path, _| match path {
        "/a" => to("/b/../i.m3u8"),
        "/loop" => to("/loop"),
        "/file" => to("file:///etc/passwd"),
        "/metadata" => to("http://169.254.169.254/latest"),
        "/mapped" => to("http://[::ffff:169.254.169.254]/latest"),
        _ => None,
    })
    .await;
    let policy = |address: std::net::SocketAddr| address.ip().is_loopback();
    let source = |path| Source::new(&site.url(path), Arc::new(policy)).unwrap();
    let error = failed(source("a")).await;
    assert!(
        matches!(error, Error::Status { status: 404, .. }),
        "{error}"
    );
    for path in ["metadata", "mapped"] {
        let error = failed(source(path)).await;
        assert!(
            matches!(error, Error::Egress { .. }) && error.is_refusal(),
            "{error}"
        );
    }
    for path in ["loop", "file"] {
        let error = failed(source(path)).await;
        assert!(matches!(error, Error::Redirect(_)), "{error}");
    }
    let nobody = Source::new(&site.url("a"), Arc::new(|_| false)).unwrap();
    let error = failed(nobody).await;
    assert!(matches!(error, Error::Egress { .. }), "{error}");
    let name = format!("http://localhost:{}/a", site.address.port());
    let error = failed(Source::new(&name, Arc::new(|_| false)).unwrap()).await;
    assert!(matches!(error, Error::Egress { .. }), "{error}");
}

/// A redirect, a variant, a segment, a key and a MAP, each to a port that is out of bounds.
#[tokio::test]
async fn every_hop_is_asked_about_with_its_port() {
    let closed = Site::with(|_, _| answer(200, "0123456789abcdef")).await;
    let (port, there) = (closed.address.port(), closed.url("x"));
    let list = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n";
    let end = "#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n";
    let texts = [
        format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{there}\n"),
        format!("{list}#EXTINF:1,\n{there}\n#EXT-X-ENDLIST\n"),
        format!("{list}#EXT-X-KEY:METHOD=AES-128,URI=\"{there}\"\n{end}"),
        format!("{list}#EXT-X-MAP:URI=\"{there}\"\n{end}"),
    ];
    let open = Site::with(move |path, _| match path {
        "/redirect" => to(&there),
        _ => None,
    })
    .await;
    open.write("a.ts", [0x47; 1_880]);
    let policy = move |address: std::net::SocketAddr| address.port() != port;
    let source = |path| Source::new(&open.url(path), Arc::new(policy)).unwrap();
    let refused = |error: &Error| match error {
        Error::Segments { last, .. } => matches!(**last, Error::Egress { .. }),
        error => matches!(error, Error::Egress { address, .. } if address.port() == port),
    };
    let error = failed(source("redirect")).await;
    assert!(refused(&error), "{error}");
    for text in texts {
        let text = text.replace("#EXT-X-ENDLIST", "#EXTINF:1,\nb.ts\n#EXTINF:1,\nc.ts\n");
        open.write("i.m3u8", format!("{text}#EXT-X-ENDLIST\n"));
        let Seen { end, .. } = pull_hls(Pull::new(source("i.m3u8")), SHORT).await;
        let asked = closed.asked.lock().unwrap().clone();
        assert!(asked.is_empty(), "{text}: {asked:?}, {end:?}");
    }
}

#[tokio::test]
async fn headers_stay_with_their_origin() {
    let told = |headers: &http::HeaderMap| headers.contains_key("x-key");
    let other = Site::with(move |_, headers| {
        let status = if told(headers) { 418 } else { 410 };
        answer(status, "")
    })
    .await;
    let there = other.url("x");
    let own = Site::with(move |_, headers| match told(headers) {
        true => to(&there),
        false => answer(401, ""),
    })
    .await;
    let mut source = anywhere(&own.url("i.m3u8"));
    source.headers.insert("x-key", "secret".parse().unwrap());
    let error = failed(source).await;
    assert!(
        matches!(error, Error::Status { status: 410, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn garbage_is_refused() {
    for text in [
        "",
        "<html>",
        "#EXTM3U\n",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfile:///x\n",
    ] {
        let site = Site::with(move |_, _| answer(200, text)).await;
        let error = failed(anywhere(&site.url("i.m3u8"))).await;
        assert!(
            error.is_refusal() || matches!(error, Error::Status { .. }),
            "{error}"
        );
    }
    let key = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\"\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n";
    let site = Site::with(move |_, _| answer(200, key)).await;
    let error = failed(anywhere(&site.url("i.m3u8"))).await;
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("SAMPLE-AES"), "{error}");
}

#[tokio::test]
async fn bodies_are_bounded() {
    let zeros = vec![b'\n'; 1 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut gzip, b"#EXTM3U\n").unwrap();
    for _ in 0..8 {
        std::io::Write::write_all(&mut gzip, &zeros).unwrap();
    }
    let bomb = gzip.finish().unwrap();
    let site = Site::with(move |path, _| {
        let body = Body::from(bomb.clone());
        (path == "/bomb").then(|| ([(header::CONTENT_ENCODING, "gzip")], body).into_response())
    })
    .await;
    let error = failed(anywhere(&site.url("bomb"))).await;
    assert!(
        matches!(
            error,
            Error::Body {
                what: "longer than its bound",
                ..
            }
        ),
        "{error}"
    );
    site.write("i.m3u8", format!("#EXTM3U\n{}", "#\n".repeat(3 << 20)));
    let error = failed(anywhere(&site.url("i.m3u8"))).await;
    assert!(matches!(error, Error::Body { .. }), "{error}");
}

fn gzipped(plain: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut gzip, plain).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test]
async fn a_playlist_is_one_member_of_gzip() {
    let end = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-ENDLIST\n";
    let whole = gzipped(end.as_bytes());
    let members = [gzipped(b"").repeat(150_000), whole.clone()].concat();
    let site = Site::with(move |path, _| {
        let body = if path == "/whole" { &whole } else { &members };
        let body = Body::from(body.clone());
        Some(([(header::CONTENT_ENCODING, "gzip")], body).into_response())
    })
    .await;
    let seen = pull_hls(Pull::new(anywhere(&site.url("whole"))), SHORT).await;
    assert!(seen.end.is_ok(), "{:?}", seen.end);
    let error = failed(anywhere(&site.url("members"))).await;
    let what = "does not decompress";
    assert!(
        matches!(error, Error::Body { what: w, .. } if w == what),
        "{error}"
    );
}

#[tokio::test]
async fn segments_that_come_compressed_are_refused() {
    let site = Site::with(|path, _| {
        let body = Body::from(gzipped(&[0x47; 1_880]));
        let coded = || ([(header::CONTENT_ENCODING, "gzip")], body).into_response();
        path.ends_with(".ts").then(coded)
    })
    .await;
    let list = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n";
    let segments = "#EXTINF:1,\na.ts\n#EXTINF:1,\nb.ts\n#EXTINF:1,\nc.ts\n";
    site.write("i.m3u8", format!("{list}{segments}#EXT-X-ENDLIST\n"));
    let error = failed(anywhere(&site.url("i.m3u8"))).await;
    let what = "compressed in a way that was not asked for";
    assert!(error.to_string().contains(what), "{error}");
}

#[tokio::test]
async fn who_dawdles_is_left() {
    let site = Site::with(|path, _| match path {
        "/drip" => {
            let drip = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Some((Ok::<_, std::io::Error>("x"), ()))
            });
            Some(Body::from_stream(drip).into_response())
        }
        _ => None,
    })
    .await;
    let mut source = anywhere(&site.url("drip"));
    source.timeouts.silence = Duration::from_millis(300);
    let error = failed(source).await;
    assert!(
        matches!(error, Error::TimedOut { .. }) && !error.is_refusal(),
        "{error}"
    );
    // Takes connections and never says a word.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut source = anywhere(&format!("http://{}/", mute.local_addr().unwrap()));
    source.timeouts.first_byte = Duration::from_millis(300);
    let error = failed(source).await;
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    drop(mute);
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = failed(anywhere(&format!("http://{gone}/"))).await;
    assert!(matches!(error, Error::Connect { .. }), "{error}");
}

#[tokio::test]
async fn a_playlist_that_stands_still_is_stale() {
    let site = Site::start().await;
    site.ffmpeg(
        "-f lavfi -i testsrc2=s=160x90:r=25:d=1 -c:v libx264 -preset ultrafast -f mpegts a.ts",
    )
    .await;
    site.write(
        "i.m3u8",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n",
    );
    let mut source = anywhere(&site.url("i.m3u8"));
    source.timeouts.silence = Duration::from_secs(1);
    let seen = pull_hls(Pull::new(source), SHORT).await;
    assert_eq!(seen.of(0).len(), 25, "what there was is played");
    assert!(
        matches!(seen.end, Err(Error::Stale { .. })),
        "{:?}",
        seen.end
    );
}

#[tokio::test]
async fn a_playlist_that_stands_still_is_played_once() {
    const LIST: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n";
    let still = Arc::new(AtomicUsize::new(1_000));
    let left = Arc::clone(&still);
    let site = Site::with(move |path, _| {
        let stands = || left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
        (path == "/i.m3u8").then(|| match stands() {
            Ok(_) => LIST.into_response(),
            Err(_) => format!("{LIST}#EXTINF:1,\nb.ts\n#EXT-X-ENDLIST\n").into_response(),
        })
    })
    .await;
    for name in ["a.ts", "b.ts"] {
        let source = "-f lavfi -i testsrc2=s=160x90:r=25:d=1 -c:v libx264 -preset ultrafast";
        site.ffmpeg(&format!("{source} -f mpegts {name}")).await;
    }
    let mut source = anywhere(&site.url("i.m3u8"));
    source.timeouts.silence = Duration::from_secs(1);
    let config = Pull::new(source);
    // Who is let go before all was played has played nothing.
    let begun = pull_hls(config.clone(), Duration::from_millis(500)).await;
    assert!(begun.end.is_ok(), "{:?}", begun.end);
    for pictures in [25, 0, 0] {
        let seen = pull_hls(config.clone(), SHORT).await;
        assert_eq!(seen.of(0).len(), pictures);
        let stale = matches!(seen.end, Err(Error::Stale { .. }));
        assert!(stale, "{:?}", seen.end);
    }
    still.store(2, Relaxed);
    let seen = pull_hls(config, SHORT).await;
    assert!(seen.end.is_ok(), "{:?}", seen.end);
    assert_eq!(seen.of(0).len(), 25, "what is new");
}

#[tokio::test]
async fn segments_that_cannot_be_had_end_it_after_some() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let site = Site::with(move |path, _| {
        path.ends_with(".ts").then(|| {
            counted.fetch_add(1, Relaxed);
            StatusCode::BAD_GATEWAY.into_response()
        })
    })
    .await;
    let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n".to_owned();
    for n in 0..6 {
        text.push_str(&format!("#EXTINF:1,\n{n}.ts\n"));
    }
    site.write("i.m3u8", format!("{text}#EXT-X-ENDLIST\n"));
    let error = failed(anywhere(&site.url("i.m3u8"))).await;
    assert!(
        matches!(error, Error::Segments { failed: 3, .. }),
        "{error}"
    );
    assert!(tries.load(Relaxed) > 3, "each was tried again");
}

#[tokio::test]
async fn certificates_are_verified_unless_told_otherwise() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(mut tls) = acceptor.accept(tcp).await else {
                continue;
            };
            let mut request = [0; 1024];
            let _ = tokio::io::AsyncReadExt::read(&mut tls, &mut request).await;
            let answer = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut tls, answer).await;
        }
    });
    let url = format!("https://localhost:{}/i.m3u8", address.port());
    let error = failed(anywhere(&url)).await;
    assert!(
        matches!(error, Error::Tls { .. }) && error.is_refusal(),
        "{error}"
    );
    let mut source = anywhere(&url);
    source.tls_verify = false;
    let error = failed(source).await;
    assert!(
        matches!(error, Error::Status { status: 410, .. }),
        "{error}"
    );
    server.abort();
}
