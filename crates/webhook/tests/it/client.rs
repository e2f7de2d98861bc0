//! Posts to real servers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request as Incoming;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use url::Url;
use webhook::{Answer, Check, Client, Error, Request, Verdict, verdict};

const LONG: Duration = Duration::from_secs(20);

pub(crate) fn anywhere() -> Check {
    Arc::new(|_| true)
}

pub(crate) fn tls(roots: RootCertStore) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

fn client(check: Check) -> Client {
    Client::new(check, &tls(RootCertStore::empty()))
}

pub(crate) fn to(url: &str) -> Request {
    Request {
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )]),
        body: Bytes::from_static(b"{}"),
        timeout: LONG,
    }
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    address
}

/// Answers one request on a connection; false where the peer closed it instead.
async fn answer(stream: &mut TcpStream, answer: &[u8]) -> bool {
    let mut seen = Vec::new();
    while !seen.ends_with(b"{}") {
        if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    stream.write_all(answer).await.unwrap();
    true
}

const EMPTY: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

#[tokio::test]
async fn what_is_posted_arrives_and_the_answer_is_read() {
    let echo = post(async |incoming: Incoming| {
        let (head, body) = incoming.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let mut answer = (StatusCode::TOO_MANY_REQUESTS, body).into_response();
        let headers = answer.headers_mut();
        headers.extend([(header::RETRY_AFTER, HeaderValue::from_static("7"))]);
        for (name, seen) in [
            (header::CONTENT_TYPE, "x-type"),
            (header::AUTHORIZATION, "x-credentials"),
            (header::HOST, "x-host"),
        ] {
            assert!(head.headers.contains_key(&name), "{seen}");
        }
        assert_eq!(head.headers[header::AUTHORIZATION], "Basic bWU6cCBz");
        assert_eq!(head.uri, "/a?b=c");
        answer
    });
    let address = serve(Router::new().route("/a", echo)).await;
    let request = to(&format!("http://me:p%20s@{address}/a?b=c#d"));
    let answer = client(anywhere()).post(request).await.unwrap();
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(answer.body, "{}");
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let hits = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&hits);
    let inside = post(async move || *seen.lock().unwrap() += 1);
    let inside = serve(Router::new().route("/", inside)).await;
    let moved = move || async move {
        let headers = [(header::LOCATION, format!("http://{inside}/"))];
        (StatusCode::TEMPORARY_REDIRECT, headers).into_response() as Response
    };
    let outside = serve(Router::new().route("/", post(moved))).await;
    let answer = client(anywhere())
        .post(to(&format!("http://{outside}/")))
        .await;
    assert_eq!(verdict(&answer), Verdict::Again { after: None });
    assert_eq!(answer.unwrap().status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(*hits.lock().unwrap(), 0);
}

#[tokio::test]
async fn policy_is_asked_of_every_address_after_resolving() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let address = serve(Router::new().route("/", post(async || ()))).await;
    let port = address.port();
    let check: Check = Arc::new(move |address| {
        seen.lock().unwrap().push(address);
        !address.ip().is_loopback()
    });
    let client = client(check);
    let hosts = [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
    ];
    for host in hosts {
        let refused = client
            .post(to(&format!("http://u:p@{host}:{port}/s?q=1")))
            .await;
        let Err(Error::Egress { address, .. }) = &refused else {
            panic!("{host}: {refused:?}");
        };
        assert!(address.ip().is_loopback() && address.port() == port);
        let text = refused.unwrap_err().to_string();
        assert!(!text.contains("u:p") && !text.contains("q=1"), "{text}");
    }
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|a| a.ip() == a.ip().to_canonical()));
}

#[tokio::test]
async fn of_the_addresses_of_a_name_only_allowed_ones_are_used() {
    let address = serve(Router::new().route("/", post(async || "v4"))).await;
    let check: Check = Arc::new(|address| address.is_ipv4());
    let url = format!("http://localhost:{}/", address.port());
    assert_eq!(client(check).post(to(&url)).await.unwrap().body, "v4");
}

#[tokio::test]
async fn failures_say_what_failed() {
    let client = client(anywhere());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let outcome = client.post(to(&format!("http://{closed}/"))).await;
    assert!(matches!(outcome, Err(Error::Connect { .. })), "{outcome:?}");
    // Too long for a name: nobody is asked about it.
    let nowhere = format!("http://{}.invalid/", "x".repeat(64));
    let outcome = client.post(to(&nowhere)).await;
    assert!(matches!(outcome, Err(Error::Resolve { .. })), "{outcome:?}");
    let outcome = client.post(to("ftp://127.0.0.1/")).await;
    assert!(matches!(outcome, Err(Error::Address)), "{outcome:?}");
    assert_eq!(verdict(&outcome), Verdict::Again { after: None });
}

#[tokio::test]
async fn what_is_no_http_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        answer(&mut stream, b"SSH-2.0-OpenSSH\r\n\r\n").await
    };
    let client = client(anywhere());
    let (_, outcome) = tokio::join!(server, client.post(to(&url)));
    assert!(matches!(outcome, Err(Error::Http { .. })), "{outcome:?}");
}

/// Once it has answered as much as it does, time runs.
#[tokio::test]
async fn a_slow_receiver_times_out() {
    for (sent, waiting) in [
        (&b""[..], "waiting for the answer"),
        (b"HTTP/1.1 200 OK\r\n", "waiting for the answer"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
            "reading the answer",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let request = to(&format!("http://{}/", listener.local_addr().unwrap()));
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(answer(&mut stream, sent).await);
            tokio::time::pause();
            // It ends when the client hangs up.
            stream.read(&mut [0; 9]).await
        };
        let client = client(anywhere());
        let (_, outcome) = tokio::join!(server, client.post(request));
        tokio::time::resume();
        let Err(Error::TimedOut { doing, .. }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(doing, waiting);
    }
}

#[tokio::test]
async fn of_a_long_answer_the_beginning_is_read() {
    let long = post(async || "x".repeat(1 << 20));
    let address = serve(Router::new().route("/", long)).await;
    let Answer { status, body, .. } = client(anywhere())
        .post(to(&format!("http://{address}/")))
        .await
        .unwrap();
    assert_eq!((status, body.len()), (StatusCode::OK, 16 * 1024));
}

/// It closes the kept connection; the next request goes over a new one, and arrives once.
#[tokio::test]
async fn a_connection_closed_by_the_receiver_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request = to(&format!("http://{}/", listener.local_addr().unwrap()));
    let client = client(anywhere());
    for _ in 0..20 {
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(answer(&mut stream, EMPTY).await);
        };
        let (_, outcome) = tokio::join!(server, client.post(request.clone()));
        assert_eq!(outcome.unwrap().status, StatusCode::NO_CONTENT);
    }
}

/// Whether it was read is not known: only who keeps the order may send it again.
#[tokio::test]
async fn what_went_out_is_not_sent_again_by_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request = to(&format!("http://{}/", listener.local_addr().unwrap()));
    let client = client(anywhere());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(answer(&mut stream, EMPTY).await && answer(&mut stream, b"").await);
    };
    let posts = async {
        client.post(request.clone()).await.unwrap();
        client.post(request.clone()).await
    };
    let ((), outcome) = tokio::join!(server, posts);
    assert!(matches!(outcome, Err(Error::Http { .. })), "{outcome:?}");
    let more = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(more.is_err(), "sent twice");
}

#[tokio::test]
async fn connections_end_with_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request = to(&format!("http://{}/", listener.local_addr().unwrap()));
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(answer(&mut stream, EMPTY).await);
        assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);
    };
    let client = client(anywhere());
    let posts = async move { client.post(request).await.unwrap() };
    tokio::join!(server, posts);
}

#[tokio::test]
async fn a_connection_is_kept_for_half_a_minute() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request = to(&format!("http://{}/", listener.local_addr().unwrap()));
    let client = client(anywhere());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..3 {
            assert!(answer(&mut stream, EMPTY).await);
        }
        stream
    };
    let posts = async {
        for _ in 0..3 {
            client.post(request.clone()).await.unwrap();
        }
    };
    let (mut stream, ()) = tokio::join!(server, posts);
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);
    let kept = begun.elapsed().as_secs();
    assert!((29..=61).contains(&kept), "{kept} s");
}
