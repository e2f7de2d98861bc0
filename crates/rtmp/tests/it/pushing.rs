//! Pushes to ourselves, and to servers that say what real ones seldom do.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use hub::{EndReason, Event, Hub, Limits, Options, Presentation, Publisher};
use media::codec::OpusConfig;
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId};
use rml_amf0::Amf0Value;
use rtmp::{
    Allowed, Config, DialError, Error, ErrorKind, Gone, Push, PushStats, Pushing, Reject, Request,
    Url, push,
};
use tokio::net::TcpListener;

use crate::client::{aac, h264, listener, object, stats, text};
use crate::pulling::{certificate, programme};
use crate::pulls::{Scripted, info, trust};

const VIDEO: u8 = 9;
const DATA: u8 = 18;
const CONTROL: u8 = 4;
const PATIENT: Span = Span::from_secs(3600);

pub fn to(url: &str, key: Option<&str>) -> Push {
    Push {
        url: match key {
            Some(key) => Url::keyed(url, key).unwrap(),
            None => url.parse().unwrap(),
        },
        allowed: Allowed::new(|_| true),
        tls: trust(&[]),
        connect_timeout: Duration::from_secs(10),
        session: Config::default(),
    }
}

/// Something that can be pushed.
pub fn stage() -> (Presentation, Publisher) {
    let presentation = Hub::new().announce("news").unwrap();
    let (publisher, relay) = presentation.add("source", Limits::default()).unwrap();
    tokio::spawn(relay.run());
    (presentation, publisher)
}

fn frame(track: u16, at: i64, random_access: bool, payload: Bytes) -> Frame {
    let dts = Timestamp::from_millis(1_700_000_000_000 + at);
    Frame {
        track: TrackId(track),
        dts,
        pts: dts,
        duration: None,
        random_access,
        leading: false,
        payload,
    }
}

/// A server of ours that takes one publisher: what it was sent.
async fn take(
    listener: &rtmp::Listener,
    tls: Option<tokio_rustls::TlsAcceptor>,
) -> (Vec<Track>, Vec<Frame>, EndReason) {
    let mut connection = listener.accept().await.unwrap();
    if let Some(tls) = tls {
        connection = connection.layered(|s| tls.accept(s)).await.unwrap();
    }
    let Ok(Request::Publish(request)) = connection.request().await else {
        panic!("a publish request");
    };
    let target = request.target();
    assert_eq!(
        (target.name.as_str(), target.key.as_deref()),
        ("news", Some("k1"))
    );
    let (_presentation, publisher) = stage();
    let mut reader = publisher.broadcast().subscribe(Options {
        max_latency: PATIENT,
        ..Options::default()
    });
    let run = tokio::spawn(request.accept().run(publisher, stats()));
    let (mut tracks, mut frames, mut batch) = (Vec::new(), Vec::new(), Vec::new());
    'all: loop {
        reader.next(&mut batch).await;
        for event in batch.drain(..) {
            match event {
                Event::Group { tracks: told, .. } => tracks = told.to_vec(),
                Event::Frame(frame) => frames.push(frame),
                Event::Skipped { .. } => panic!("nothing is skipped"),
                Event::End(_) => break 'all,
            }
        }
    }
    (tracks, frames, run.await.unwrap().unwrap())
}

async fn arrives(what: Push, listener: &rtmp::Listener, tls: Option<tokio_rustls::TlsAcceptor>) {
    let (_presentation, mut publisher) = stage();
    let (tracks, sent) = programme();
    publisher.set_tracks(tracks.clone().into());
    let stats = PushStats::default();
    let pushing = async {
        let mut pushing = push(what).await.unwrap();
        let broadcast = publisher.broadcast();
        let feed = async {
            for frame in sent.clone() {
                publisher.push(frame).unwrap();
                tokio::task::yield_now().await;
            }
            publisher.end(EndReason::Finished);
        };
        let (gone, ()) = tokio::join!(pushing.run(&broadcast, PATIENT, &stats), feed);
        assert_eq!(gone.unwrap(), Gone::Over);
        pushing.close().await;
    };
    let ((), (found, frames, ended)) = tokio::join!(pushing, take(listener, tls));
    assert_eq!(ended, EndReason::Finished, "it said goodbye");
    let configs =
        |tracks: &[Track]| -> Vec<_> { tracks.iter().map(|t| (t.id, t.config.clone())).collect() };
    assert_eq!(configs(&found), configs(&tracks));
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
        "{} of {}",
        frames.len(),
        sent.len()
    );
    assert!(stats.sent.bytes.load(Relaxed) > 450_000 && stats.left_out().is_empty());
}

#[tokio::test]
async fn what_is_pushed_arrives() {
    let (listener, addr) = listener(Config::default()).await;
    for (url, key) in [
        (format!("rtmp://{addr}/live/news?key=k1"), None),
        (format!("rtmp://{addr}/live"), Some("news?key=k1")),
        (format!("rtmp://{addr}/live?key=k1"), Some("news")),
    ] {
        arrives(to(&url, key), &listener, None).await;
    }
}

#[tokio::test]
async fn over_tls_too() {
    let (listener, addr) = listener(Config::default()).await;
    let (acceptor, certificate) = certificate();
    let url = format!("rtmps://localhost:{}/live", addr.port());
    let mut what = to(&url, Some("news?key=k1"));
    what.tls = trust(&[certificate]);
    arrives(what, &listener, Some(acceptor)).await;
}

#[tokio::test]
async fn refusals_of_ours_are_refusals_and_keys_are_not_told() {
    for (why, words) in [
        (
            Reject::Unauthorised,
            "NetStream.Publish.Unauthorized: wrong or missing key",
        ),
        (
            Reject::Busy,
            "NetStream.Publish.BadName: the stream has a publisher already",
        ),
        (
            Reject::Overload,
            "NetStream.Publish.Rejected: the server is at its limit",
        ),
    ] {
        let (listener, addr) = listener(Config::default()).await;
        let what = to(&format!("rtmp://{addr}/live"), Some("news?key=k1"));
        let refusing = async {
            let connection = listener.accept().await.unwrap();
            let Ok(Request::Publish(request)) = connection.request().await else {
                panic!("a publish request");
            };
            request.reject(why).await.unwrap();
        };
        let (refused, ()) = tokio::join!(push(what), refusing);
        let error = refused.unwrap_err();
        assert!(
            error.is_refusal() && error.to_string().ends_with(words),
            "{error}"
        );
    }
}

/// Up to where it waits for the answer to `publish`; `connected` is what `connect` is answered.
async fn asked(socket: &TcpListener, connected: Amf0Value) -> Scripted {
    let mut server = Scripted::accept(socket).await;
    let connect = server.heard().await;
    let Amf0Value::Object(members) = &connect[2] else {
        panic!("no command object");
    };
    assert_eq!(
        (&members["app"], &members["type"]),
        (&text("live"), &text("nonprivate"))
    );
    assert!(matches!(&members["flashVer"], Amf0Value::Utf8String(v) if v.starts_with("FMLE/3.0")));
    let connected = vec![
        text("_result"),
        Amf0Value::Number(1.0),
        Amf0Value::Null,
        connected,
    ];
    server.command(connected).await;
    for name in ["releaseStream", "FCPublish"] {
        let heard = server.heard().await;
        assert_eq!((&heard[0], &heard[3]), (&text(name), &text("x?key=k3y")));
        // As most servers answer to what they do not know.
        let no = info("error", "NetConnection.Call.Failed", "no").into();
        server
            .command(vec![text("_error"), heard[1].clone(), Amf0Value::Null, no])
            .await;
    }
    let create = server.heard().await;
    assert_eq!(create[0], text("createStream"));
    let Amf0Value::Number(transaction) = create[1] else {
        panic!("no transaction");
    };
    server.result(transaction, Amf0Value::Number(7.0)).await;
    let publish = server.heard().await;
    let (name, how) = (text("x?key=k3y"), text("live"));
    assert_eq!(
        (&publish[0], &publish[3], &publish[4]),
        (&text("publish"), &name, &how)
    );
    server
}

/// A push that runs against a script, with a picture every now and then.
struct Run {
    server: Scripted,
    publisher: Publisher,
    stats: Arc<PushStats>,
    ends: tokio::task::JoinHandle<(Pushing, Result<Gone, Error>)>,
    _presentation: Presentation,
}

impl Run {
    async fn start(tracks: Vec<Track>, connected: Amf0Value) -> Self {
        Self::within(Config::default(), tracks, connected).await
    }

    async fn within(session: Config, tracks: Vec<Track>, connected: Amf0Value) -> Self {
        let (socket, url) = Scripted::listen().await;
        let script = async {
            let mut server = asked(&socket, connected).await;
            server.status("status", "NetStream.Publish.Start", "").await;
            server
        };
        let what = Push {
            session,
            ..to(&url, None)
        };
        let (pushing, server) = tokio::join!(push(what), script);
        let mut pushing = pushing.unwrap();
        let (_presentation, mut publisher) = stage();
        publisher.set_tracks(tracks.into());
        let (broadcast, stats) = (publisher.broadcast(), Arc::new(PushStats::default()));
        let counted = Arc::clone(&stats);
        let ends = tokio::spawn(async move {
            let gone = pushing.run(&broadcast, Span::from_secs(2), &counted).await;
            (pushing, gone)
        });
        Self {
            server,
            publisher,
            stats,
            ends,
            _presentation,
        }
    }

    fn picture(&mut self, at: i64) {
        let payload = Bytes::from_static(&[0, 0, 0, 2, 0x65, 1]);
        self.publisher.push(frame(0, at, true, payload)).unwrap();
    }
}

fn pictures() -> Vec<Track> {
    vec![Track::new(TrackId(0), h264())]
}

#[tokio::test]
async fn a_server_is_given_what_it_asked_for_and_told_when_it_is_over() {
    let mut run = Run::start(pictures(), Amf0Value::Null).await;
    run.picture(0);
    let description = run.server.hear(DATA).await.unwrap();
    let values = rml_amf0::deserialize(&mut &description[..]).unwrap();
    assert_eq!(values[..2], [text("@setDataFrame"), text("onMetaData")]);
    assert_eq!(run.server.hear(VIDEO).await.unwrap()[..2], [0x17, 0]);
    assert_eq!(run.server.hear(VIDEO).await.unwrap()[..2], [0x17, 1]);
    run.server.send(CONTROL, 0, &[0, 6, 1, 2, 3, 4]).await;
    while run.server.hear(CONTROL).await.unwrap()[..] != [0, 7, 1, 2, 3, 4] {}
    run.publisher.end(EndReason::Finished);
    let (pushing, gone) = run.ends.await.unwrap();
    assert_eq!(gone.unwrap(), Gone::Over);
    let hearing = async {
        for (name, argument) in [
            ("FCUnpublish", text("x?key=k3y")),
            ("deleteStream", Amf0Value::Number(7.0)),
        ] {
            let heard = run.server.heard().await;
            assert_eq!((&heard[0], &heard[3]), (&text(name), &argument));
        }
        drop(run.server);
    };
    tokio::join!(pushing.close(), hearing);
}

/// Three kinds of servers: one that says nothing of codecs, one that lists them, one that takes
/// several tracks.
#[tokio::test]
async fn what_a_server_does_not_take_is_left_out() {
    let opus = CodecConfig::Opus(OpusConfig::new(2));
    let tracks = [(0, h264()), (1, opus), (3, CodecConfig::Aac(aac()))];
    let tracks = tracks
        .map(|(id, config)| Track::new(TrackId(id), config))
        .to_vec();
    let list = |codes: &[&str]| Amf0Value::StrictArray(codes.iter().map(|c| text(c)).collect());
    let codes = ("fourCcList", list(&["hvc1"]));
    let any = ("fourCcList", list(&["*"]));
    let several = ("capsEx", Amf0Value::Number(2.0));
    for (connected, left_out) in [
        (Amf0Value::Null, &[3][..]),
        (object(&[codes]), &[1, 3]),
        (object(&[any, several]), &[]),
    ] {
        let mut run = Run::start(tracks.clone(), connected).await;
        run.picture(0);
        run.server.hear(VIDEO).await.unwrap();
        let found: Vec<_> = run.stats.left_out().iter().map(|t| t.id.0).collect();
        assert_eq!(found, left_out);
    }
}

#[tokio::test]
async fn a_server_that_changes_its_mind_refuses_and_one_that_goes_does_not() {
    let mut run = Run::start(pictures(), Amf0Value::Null).await;
    run.picture(0);
    run.server
        .status("error", "NetStream.Publish.Denied", "x?key=k3y")
        .await;
    let (_, gone) = run.ends.await.unwrap();
    let error = DialError::from(gone.unwrap_err());
    let told = error.to_string();
    assert!(
        error.is_refusal() && told.ends_with("NetStream.Publish.Denied: …"),
        "{told}"
    );

    for leaves in [true, false] {
        let mut run = Run::start(pictures(), Amf0Value::Null).await;
        run.picture(0);
        run.server.hear(VIDEO).await.unwrap();
        if leaves {
            run.server
                .status("status", "NetStream.Unpublish.Success", "")
                .await;
        } else {
            drop(run.server);
        }
        assert_eq!(run.ends.await.unwrap().1.unwrap(), Gone::Left);
    }
}

#[tokio::test]
async fn who_does_not_answer_is_given_up_and_who_wants_a_password_is_told_of() {
    let (socket, url) = Scripted::listen().await;
    let mut what = to(&url, None);
    what.session.request_timeout = Duration::from_millis(200);
    let (error, _server) = tokio::join!(push(what), asked(&socket, Amf0Value::Null));
    let error = error.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("waiting for the answer to publish"),
        "{error}"
    );
    assert!(!error.is_refusal());

    let hangs_up = async { drop(asked(&socket, Amf0Value::Null).await) };
    let (error, ()) = tokio::join!(push(to(&url, None)), hangs_up);
    let error = error.unwrap_err();
    assert!(
        error.to_string().contains("closed before") && !error.is_refusal(),
        "{error}"
    );

    let refuses = async {
        let mut server = Scripted::accept(&socket).await;
        server.heard().await;
        let words = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
        let no = info("error", "NetConnection.Connect.Rejected", words).into();
        let one = Amf0Value::Number(1.0);
        server
            .command(vec![text("_error"), one, Amf0Value::Null, no])
            .await;
    };
    let (error, ()) = tokio::join!(push(to(&url, None)), refuses);
    let error = error.unwrap_err();
    assert!(
        error.is_refusal() && error.to_string().contains("a user and a password"),
        "{error}"
    );
}

/// Whole groups are left out, so that what arrives can be decoded.
#[tokio::test]
async fn a_slow_server_goes_on_with_a_keyframe() {
    let mut run = Run::start(pictures(), Amf0Value::Null).await;
    // More than sockets hold, with nobody reading.
    let count = 1_000_u16;
    for n in 0..count {
        let mut payload = n.to_be_bytes().to_vec();
        payload.resize(100_000, 0x41);
        let sent = frame(0, i64::from(n) * 100, n % 10 == 0, payload.into());
        run.publisher.push(sent).unwrap();
        tokio::task::yield_now().await;
    }
    run.server.hear(VIDEO).await.unwrap();
    let (mut last, mut holes) = (None::<u16>, 0);
    while last != Some(count - 1) {
        let body = run.server.hear(VIDEO).await.unwrap();
        let n = u16::from_be_bytes([body[5], body[6]]);
        let follows = last.is_none_or(|last| n == last + 1);
        assert!(
            follows || body[0] == 0x17,
            "a hole before {n} without a keyframe"
        );
        holes += u64::from(!follows);
        last = Some(n);
    }
    assert!(holes > 0 && holes <= run.stats.sent.skips.load(Relaxed));
}

#[tokio::test]
async fn a_server_that_takes_nothing_is_left() {
    let session = Config {
        write_timeout: Duration::from_millis(100),
        ..Config::default()
    };
    let mut run = Run::within(session, pictures(), Amf0Value::Null).await;
    for n in 0..600 {
        let payload = Bytes::from(vec![1; 100_000]);
        run.publisher
            .push(frame(0, n * 10, n % 60 == 0, payload))
            .unwrap();
        tokio::task::yield_now().await;
    }
    let (_, gone) = run.ends.await.unwrap();
    let error = gone.unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::TimedOut("sending")),
        "{error}"
    );
}
