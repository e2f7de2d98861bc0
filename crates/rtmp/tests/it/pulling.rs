//! Pulls from ourselves, and from servers that nobody should run.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hub::{EndReason, Hub, Limits, Publisher, Sent};
use media::codec::OpusConfig;
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId};
use rml_amf0::Amf0Value;
use rtmp::{Allowed, Config, DialError, ErrorKind, Listener, Reject, Request};
use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::client::{aac, config_body, frame_body, h264, listener, text};
use crate::pulls::{Run, Scripted, info, to, trust};

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const AGGREGATE: u8 = 22;
const CONTROL: u8 = 4;

/// Something to play: pictures in another order than they are shown, and two tracks of sound.
pub fn programme() -> (Vec<Track>, Vec<Frame>) {
    let opus = CodecConfig::Opus(OpusConfig::new(2));
    let tracks = [(0, h264()), (1, CodecConfig::Aac(aac())), (3, opus)];
    let tracks = tracks.map(|(id, config)| Track::new(TrackId(id), config));
    let frame = |track, at, shown, key, payload: Vec<u8>| {
        let dts = Timestamp::from_millis(1_700_000_000_000 + at);
        Frame {
            track: TrackId(track),
            dts,
            pts: dts + Span::from_millis(shown),
            duration: None,
            random_access: key,
            leading: false,
            payload: Bytes::from(payload),
        }
    };
    let mut frames = Vec::new();
    for i in 0..60 {
        let key = i % 20 == 0;
        let first = if key { 0x65 } else { 0x41 };
        let len = if key { 150_000 } else { 900 };
        let mut picture = u32::try_from(len).unwrap().to_be_bytes().to_vec();
        picture.push(first);
        picture.resize(len + 4, i as u8);
        frames.push(frame(0, i * 40, (i % 3) * 40, key, picture));
        frames.push(frame(1, i * 40 + 7, 0, true, vec![i as u8; 200]));
        frames.push(frame(3, i * 40 + 9, 0, true, vec![i as u8 ^ 0xff; 90]));
    }
    (tracks.to_vec(), frames)
}

/// Takes one player, over TLS where there is an acceptor, and plays it the programme.
async fn serve(listener: Listener, tls: Option<TlsAcceptor>, mut publisher: Publisher) {
    let mut connection = listener.accept().await.unwrap();
    if let Some(tls) = tls {
        connection = connection
            .layered(|stream| tls.accept(stream))
            .await
            .unwrap();
    }
    let Ok(Request::Play(request)) = connection.request().await else {
        panic!("a play request");
    };
    assert_eq!(request.target().name, "news");
    assert_eq!(request.target().key.as_deref(), Some("k1"));
    let (tracks, frames) = programme();
    publisher.set_tracks(tracks.into());
    let broadcast = publisher.broadcast();
    let playing = request.accept();
    let sent = Sent::default();
    let run = playing.run(&broadcast, Span::from_secs(3600), &sent);
    let feed = async {
        for frame in frames {
            publisher.push(frame).unwrap();
            tokio::task::yield_now().await;
        }
        publisher.end(EndReason::Finished);
    };
    let (played, ()) = tokio::join!(run, feed);
    played.unwrap();
}

async fn compare(mut run: Run) {
    let (tracks, sent) = programme();
    let frames = run.frames(usize::MAX).await;
    assert_eq!(
        run.tracks.iter().map(|t| t.id).collect::<Vec<_>>(),
        [TrackId(0), TrackId(1), TrackId(3)]
    );
    for (found, track) in run.tracks.iter().zip(&tracks) {
        assert_eq!(found.config, track.config);
    }
    let plain = |frames: &[Frame]| -> Vec<_> {
        let base = frames[0].dts;
        let one = |f: &Frame| {
            (
                f.track,
                f.dts - base,
                f.pts - f.dts,
                f.random_access,
                f.payload.clone(),
            )
        };
        frames.iter().map(one).collect()
    };
    assert!(
        plain(&frames) == plain(&sent),
        "{} of {} frames",
        frames.len(),
        sent.len()
    );
    assert_eq!(run.stats.figures().video_frames, 60);
    assert_eq!(run.end().await.unwrap(), EndReason::Finished);
}

#[tokio::test]
async fn what_we_serve_is_what_we_pull() {
    let (listener, addr) = listener(Config::default()).await;
    let presentation = Hub::new().announce("news").unwrap();
    let (publisher, relay) = presentation.add("source", Limits::default()).unwrap();
    tokio::spawn(relay.run());
    let run = Run::start(to(&format!("rtmp://{addr}/live/news?key=k1")));
    tokio::join!(serve(listener, None, publisher), compare(run));
}

pub fn certificate() -> (TlsAcceptor, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), certificate)
}

#[tokio::test]
async fn over_tls_too() {
    let (listener, addr) = listener(Config::default()).await;
    let presentation = Hub::new().announce("news").unwrap();
    let (publisher, relay) = presentation.add("source", Limits::default()).unwrap();
    tokio::spawn(relay.run());
    let (acceptor, certificate) = certificate();
    let mut what = to(&format!(
        "rtmps://localhost:{}/live/news?key=k1",
        addr.port()
    ));
    what.tls = trust(&[certificate]);
    let run = Run::start(what);
    tokio::join!(serve(listener, Some(acceptor), publisher), compare(run));
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_a_refusal() {
    let (listener, addr) = listener(Config::default()).await;
    let (acceptor, _) = certificate();
    let run = Run::start(to(&format!("rtmps://localhost:{}/live/news", addr.port())));
    let connection = listener.accept().await.unwrap();
    assert!(
        connection
            .layered(|stream| acceptor.accept(stream))
            .await
            .is_err()
    );
    let error = run.end().await.unwrap_err();
    assert!(
        matches!(error, DialError::Tls { .. }) && error.is_refusal(),
        "{error}"
    );
}

#[tokio::test]
async fn what_does_not_speak_tls_is_a_refusal() {
    let (socket, url) = Scripted::listen().await;
    let run = Run::start(to(&url.replace("rtmp:", "rtmps:")));
    let (mut stream, _) = socket.accept().await.unwrap();
    let mut hello = [0; 1];
    stream.read_exact(&mut hello).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &[3; 1537])
        .await
        .unwrap();
    let error = run.end().await.unwrap_err();
    assert!(
        matches!(error, DialError::Tls { .. }) && error.is_refusal(),
        "{error}"
    );
}

#[tokio::test]
async fn addresses_that_are_not_allowed_are_never_called() {
    let (socket, url) = Scripted::listen().await;
    let port = socket.local_addr().unwrap().port();
    let hosts = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"];
    for url in hosts
        .map(|host| format!("rtmp://{host}:{port}/live/x"))
        .iter()
        .chain([&url])
    {
        let by_address = Allowed::new(|address| !address.ip().is_loopback());
        let by_port = Allowed::new(move |address| address.port() != port);
        for allowed in [by_address, by_port] {
            let mut what = to(url);
            what.allowed = allowed;
            let error = Run::start(what).end().await.unwrap_err();
            assert!(
                matches!(error, DialError::Forbidden { .. }) && error.is_refusal(),
                "{error}"
            );
        }
    }
    let waiting = tokio::time::timeout(Duration::ZERO, socket.accept()).await;
    assert!(waiting.is_err(), "somebody called");
}

#[tokio::test]
async fn refusals_of_ours_are_refusals() {
    let told = [
        (
            Reject::NotFound,
            "NetStream.Play.StreamNotFound: no such stream",
        ),
        (
            Reject::Unauthorised,
            "NetStream.Play.Failed: wrong or missing key",
        ),
    ];
    for (why, words) in told {
        let (listener, addr) = listener(Config::default()).await;
        let run = Run::start(to(&format!("rtmp://{addr}/live/news")));
        let Ok(Request::Play(request)) = listener.accept().await.unwrap().request().await else {
            panic!("a play request");
        };
        let (refused, error) = tokio::join!(request.reject(why), run.end());
        refused.unwrap();
        let error = error.unwrap_err();
        assert!(
            error.is_refusal() && error.to_string().ends_with(words),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_refused_connect_tells_why_and_a_redirect_is_not_followed() {
    let rejected = || info("error", "NetConnection.Connect.Rejected", "no x?key=k3y");
    let ex = info("", "", "").with("redirect", text("rtmp://other/live/x?key=k3y"));
    for (info, words) in [
        (rejected(), "NetConnection.Connect.Rejected: …"),
        (
            rejected().with("ex", ex.into()),
            "redirects to other, which is not followed",
        ),
    ] {
        let (socket, url) = Scripted::listen().await;
        let run = Run::start(to(&url));
        let mut server = Scripted::accept(&socket).await;
        let connect = server.heard().await;
        let Amf0Value::Object(members) = &connect[2] else {
            panic!("no command object");
        };
        assert_eq!(
            (&members["app"], &members["capsEx"]),
            (&text("live"), &Amf0Value::Number(6.0))
        );
        assert_eq!(
            members["tcUrl"],
            text(url.strip_suffix("/x?key=k3y").unwrap())
        );
        server
            .command(vec![
                text("_error"),
                Amf0Value::Number(1.0),
                Amf0Value::Null,
                info.into(),
            ])
            .await;
        let error = run.end().await.unwrap_err();
        assert!(
            error.is_refusal() && error.to_string().ends_with(words),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_is_no_rtmp_is_a_refusal() {
    let (socket, url) = Scripted::listen().await;
    let run = Run::start(to(&url));
    let (mut stream, _) = socket.accept().await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .await
        .unwrap();
    let error = run.end().await.unwrap_err();
    assert!(
        error.is_refusal() && error.to_string().contains("handshake"),
        "{error}"
    );
}

fn picture(key: bool) -> Vec<u8> {
    frame_body(
        &h264(),
        key,
        &[0, 0, 0, 2, if key { 0x65 } else { 0x41 }, 1],
    )
}

#[tokio::test]
async fn a_server_that_hangs_up_in_mid_stream_has_dropped_it() {
    let (socket, url) = Scripted::listen().await;
    let mut run = Run::start(to(&url));
    // It plays without having said so.
    let mut server = Scripted::asked(&socket).await;
    let aac = CodecConfig::Aac(aac());
    server.send(VIDEO, 0, &config_body(&h264())).await;
    server.send(AUDIO, 0, &config_body(&aac)).await;
    server.send(VIDEO, 0, &picture(true)).await;
    server.send(VIDEO, 40, &picture(false)).await;
    drop(server);
    assert_eq!(run.frames(usize::MAX).await.len(), 2);
    assert_eq!(run.end().await.unwrap(), EndReason::Dropped);
}

#[tokio::test]
async fn a_server_that_hangs_up_before_its_answer_is_an_error() {
    let (socket, url) = Scripted::listen().await;
    let run = Run::start(to(&url));
    drop(Scripted::asked(&socket).await);
    let error = run.end().await.unwrap_err();
    assert!(
        !error.is_refusal() && error.to_string().contains("closed before"),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_there_is_no_refusal() {
    let (socket, url) = Scripted::listen().await;
    drop(socket);
    let error = Run::start(to(&url)).end().await.unwrap_err();
    assert!(
        matches!(error, DialError::Connect { .. }) && !error.is_refusal(),
        "{error}"
    );
}

fn impatient(url: &str) -> rtmp::Pull {
    let mut what = to(url);
    what.session.request_timeout = Duration::from_millis(200);
    what.session.read_timeout = Duration::from_millis(200);
    what
}

fn timed_out(error: &DialError) -> &'static str {
    match error {
        DialError::Session(rtmp::Error {
            kind: ErrorKind::TimedOut(what),
            ..
        }) => what,
        _ => panic!("{error}"),
    }
}

/// Pings are no media: what answers them has nothing to show for it.
#[tokio::test]
async fn silence_ends_a_pull_whatever_else_is_said() {
    let (socket, url) = Scripted::listen().await;
    let run = Run::start(impatient(&url));
    let mut server = Scripted::playing(&socket).await;
    server.send(VIDEO, 0, &config_body(&h264())).await;
    let mut pings = 0_u64;
    loop {
        server.send(CONTROL, 0, &[0, 6, 0, 0, 0, 1]).await;
        match server.hear(CONTROL).await {
            Some(pong) if pong[..2] == [0, 7] => pings += 1,
            Some(_) => {}
            None => break,
        }
        if run.ends.is_finished() {
            break;
        }
    }
    assert!(pings > 1);
    assert_eq!(
        timed_out(&run.end().await.unwrap_err()),
        "waiting for media"
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let (socket, url) = Scripted::listen().await;
    let run = Run::start(impatient(&url));
    let (_silent, _) = socket.accept().await.unwrap();
    assert_eq!(
        timed_out(&run.end().await.unwrap_err()),
        "waiting for the answer to play"
    );
    let run = Run::start(impatient(&url));
    let _silent = Scripted::asked(&socket).await;
    assert_eq!(
        timed_out(&run.end().await.unwrap_err()),
        "waiting for the answer to play"
    );
    let mut what = to(&url.replace("rtmp:", "rtmps:"));
    what.connect_timeout = Duration::from_millis(200);
    let error = Run::start(what).end().await.unwrap_err();
    assert!(matches!(error, DialError::TimedOut { .. }), "{error}");
}

/// As Flash Media Server and Wowza send them.
#[tokio::test]
async fn aggregate_messages_are_taken_apart() {
    let (socket, url) = Scripted::listen().await;
    let mut run = Run::start(to(&url));
    let mut server = Scripted::playing(&socket).await;
    let part = |kind: u8, time: u8, body: &[u8]| {
        let len = u8::try_from(body.len()).unwrap();
        let head = [kind, 0, 0, len, 0, 0, time, 0, 0, 0, 0];
        [&head[..], body, &[0, 0, 0, len + 11]].concat()
    };
    let aac = CodecConfig::Aac(aac());
    let all = [
        part(VIDEO, 10, &config_body(&h264())),
        part(AUDIO, 10, &config_body(&aac)),
        part(VIDEO, 10, &picture(true)),
        part(AUDIO, 20, &frame_body(&aac, true, &[1, 2])),
        part(VIDEO, 50, &picture(false)),
    ];
    server.send(AGGREGATE, 5_000, &all.concat()).await;
    server
        .status("status", "NetStream.Play.UnpublishNotify", "")
        .await;
    let frames = run.frames(usize::MAX).await;
    let times = frames
        .iter()
        .map(|f| (f.track.0, (f.dts - frames[0].dts).as_millis()));
    assert_eq!(times.collect::<Vec<_>>(), [(0, 0), (1, 10), (0, 40)]);
    assert_eq!(run.end().await.unwrap(), EndReason::Finished);
    let goodbye = server.heard().await;
    assert_eq!(
        (&goodbye[0], &goodbye[3]),
        (&text("deleteStream"), &Amf0Value::Number(7.0))
    );
}

/// Bounds are those of the server's side.
#[tokio::test]
async fn messages_that_are_too_long_end_it() {
    let (socket, url) = Scripted::listen().await;
    let run = Run::start(to(&url));
    let mut server = Scripted::accept(&socket).await;
    server.send(VIDEO, 0, &[0; 20_000]).await;
    let error = run.end().await.unwrap_err();
    assert!(
        error.to_string().contains("a message of 20000 bytes"),
        "{error}"
    );
    let run = Run::start(to(&url));
    let mut server = Scripted::accept(&socket).await;
    for _ in 0..20 {
        server.send(VIDEO, 0, &[0; 4_000]).await;
    }
    let error = run.end().await.unwrap_err();
    assert!(
        error.to_string().contains("before media was agreed on"),
        "{error}"
    );
}
