//! Players: what they get, in which order, and what slow ones miss.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use hub::{EndReason, Hub, Limits, Presentation, Publisher, Sent};
use media::codec::OpusConfig;
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId};
use rml_amf0::Amf0Value;
use rtmp::{Config, Error, Gone, Listener, Reject, Request};
use tokio::task::JoinHandle;

use crate::client::{Client, aac, config_body, h264, listener, text};

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const DATA: u8 = 18;
const LATENCY: Span = Span::from_secs(2);

struct Stage {
    listener: Listener,
    publisher: Publisher,
    stats: Arc<Sent>,
    _presentation: Presentation,
}

impl Stage {
    async fn new(tracks: Vec<Track>) -> Self {
        Self::with(Config::default(), tracks).await
    }

    async fn with(config: Config, tracks: Vec<Track>) -> Self {
        let (listener, _) = listener(config).await;
        let presentation = Hub::new().announce("news").unwrap();
        let (mut publisher, relay) = presentation.add("source", Limits::default()).unwrap();
        tokio::spawn(relay.run());
        publisher.set_tracks(tracks.into());
        Self {
            listener,
            publisher,
            stats: Arc::default(),
            _presentation: presentation,
        }
    }

    async fn player(
        &self,
        members: &[(&str, Amf0Value)],
    ) -> (Client, JoinHandle<Result<Gone, Error>>) {
        let (mut client, server) = Client::connect(&self.listener).await;
        client.ask_to_play("news", members).await;
        let Ok(Request::Play(request)) = server.await.unwrap() else {
            panic!("a play request");
        };
        assert_eq!(request.target().name, "news");
        let broadcast = self.publisher.broadcast();
        let stats = Arc::clone(&self.stats);
        let playing = request.accept();
        let run = tokio::spawn(async move { playing.run(&broadcast, LATENCY, &stats).await });
        assert_eq!(client.status().await, "NetStream.Play.Reset");
        assert_eq!(client.status().await, "NetStream.Play.Start");
        (client, run)
    }

    fn push(&mut self, track: u16, at: i64, random_access: bool, payload: Bytes) {
        self.push_reordered(track, at, 0, random_access, payload);
    }

    fn push_reordered(&mut self, track: u16, at: i64, shown: i64, key: bool, payload: Bytes) {
        let dts = Timestamp::from_millis(1_700_000_000_000 + at);
        let frame = Frame {
            track: TrackId(track),
            dts,
            pts: dts + Span::from_millis(shown),
            duration: None,
            random_access: key,
            leading: false,
            payload,
        };
        self.publisher.push(frame).unwrap();
    }
}

fn tracks(configs: impl IntoIterator<Item = (u16, CodecConfig)>) -> Vec<Track> {
    let track = |(id, config)| Track::new(TrackId(id), config);
    configs.into_iter().map(track).collect()
}

fn ordinary() -> Vec<Track> {
    tracks([(0, h264()), (1, CodecConfig::Aac(aac()))])
}

/// The next so many messages that carry media or describe it.
async fn media(client: &mut Client, count: usize) -> Vec<(u8, u32, Bytes)> {
    let mut found = Vec::new();
    while found.len() < count {
        let message = client.message().await.expect("the server hung up");
        if matches!(message.kind, AUDIO | VIDEO | DATA) {
            found.push((message.kind, message.timestamp, message.body));
        }
    }
    found
}

#[tokio::test]
async fn sound_of_before_the_first_picture_is_left_out() {
    let mut stage = Stage::new(ordinary()).await;
    stage.push(0, 100, true, Bytes::from_static(&[0x65]));
    for at in [58, 79, 101] {
        stage.push(1, at, true, Bytes::from_static(&[1, 2, 3]));
    }
    let (mut client, _run) = stage.player(&[]).await;
    let found = media(&mut client, 5).await;
    let kinds: Vec<_> = found.iter().map(|(kind, at, _)| (*kind, *at)).collect();
    assert_eq!(kinds[3..], [(VIDEO, 0), (AUDIO, 1)]);
}

#[tokio::test]
async fn a_player_begins_with_what_it_needs_and_a_keyframe() {
    let mut stage = Stage::new(ordinary()).await;
    stage.push_reordered(0, 0, 66, true, Bytes::from(vec![0x65; 200_000]));
    stage.push(1, 5, true, Bytes::from_static(&[1, 2, 3]));
    stage.push(0, 33, false, Bytes::from_static(&[0x41]));
    let (mut client, run) = stage.player(&[]).await;
    let found = media(&mut client, 6).await;
    let kinds: Vec<_> = found.iter().map(|(kind, at, _)| (*kind, *at)).collect();
    let expected = [
        (DATA, 0),
        (VIDEO, 0),
        (AUDIO, 0),
        (VIDEO, 0),
        (AUDIO, 5),
        (VIDEO, 33),
    ];
    assert_eq!(kinds, expected);
    let values = rml_amf0::deserialize(&mut &found[0].2[..]).unwrap();
    assert_eq!(values[0], text("onMetaData"));
    let Amf0Value::Object(members) = &values[1] else {
        panic!("no description");
    };
    assert_eq!(members["width"], Amf0Value::Number(640.0));
    assert_eq!(members["audiosamplerate"], Amf0Value::Number(48_000.0));
    assert_eq!(found[1].2, config_body(&h264()));
    assert_eq!(found[3].2[..5], [0x17, 1, 0, 0, 66]);
    assert!(found[3].2.len() == 200_005 && found[3].2[5..].iter().all(|b| *b == 0x65));
    assert_eq!(found[4].2[..], [0xaf, 1, 1, 2, 3]);
    client
        .command(vec![
            text("deleteStream"),
            Amf0Value::Number(4.0),
            Amf0Value::Null,
        ])
        .await;
    assert_eq!(run.await.unwrap().unwrap(), Gone::Left);
}

#[tokio::test]
async fn what_came_just_before_the_end_is_sent_and_a_player_is_small() {
    let mut stage = Stage::new(ordinary()).await;
    stage.push(0, 0, true, Bytes::from_static(&[0x65]));
    let (mut client, server) = Client::connect(&stage.listener).await;
    client.ask_to_play("news", &[]).await;
    let Ok(Request::Play(request)) = server.await.unwrap() else {
        panic!("a play request");
    };
    let broadcast = stage.publisher.broadcast();
    stage.publisher.end(EndReason::Finished);
    let run = request.accept().run(&broadcast, LATENCY, &stage.stats);
    // A thousand of them wait at a time.
    assert!(size_of_val(&run) <= 2048, "{}", size_of_val(&run));
    let (gone, found) = tokio::join!(run, media(&mut client, 4));
    assert_eq!(gone.unwrap(), Gone::Over);
    assert_eq!(found[3].2[5..], [0x65]);
}

#[tokio::test]
async fn a_player_is_told_of_the_end() {
    let mut stage = Stage::new(ordinary()).await;
    stage.push(0, 0, true, Bytes::from_static(&[0x65]));
    let (mut client, run) = stage.player(&[]).await;
    // What came before it is sent before it.
    stage.push(0, 33, false, Bytes::from_static(&[0x41]));
    drop(stage);
    let found = media(&mut client, 5).await;
    assert_eq!((found[4].0, found[4].1), (VIDEO, 33));
    assert_eq!(client.status().await, "NetStream.Play.UnpublishNotify");
    assert_eq!(client.status().await, "NetStream.Play.Stop");
    drop(client);
    assert_eq!(run.await.unwrap().unwrap(), Gone::Over);
}

#[tokio::test]
async fn more_tracks_are_for_those_who_take_them() {
    let opus = CodecConfig::Opus(OpusConfig::new(2));
    let all = tracks([(0, h264()), (1, CodecConfig::Aac(aac())), (3, opus)]);
    let mut stage = Stage::new(all).await;
    stage.push(0, 0, true, Bytes::from_static(&[0x65]));
    stage.push(3, 1, true, Bytes::from_static(&[7]));
    stage.push(1, 2, true, Bytes::from_static(&[8]));
    let codes = Amf0Value::StrictArray(vec![text("*")]);
    let members = [("fourCcList", codes), ("capsEx", Amf0Value::Number(2.0))];
    let (mut able, _run) = stage.player(&members).await;
    let found = media(&mut able, 7).await;
    assert_eq!(found[3].2[..7], *b"\x95\x00Opus\x01");
    assert_eq!(found[5].2[..], *b"\x95\x01Opus\x01\x07");
    let (mut plain, _run) = stage.player(&[]).await;
    let kinds: Vec<_> = media(&mut plain, 5)
        .await
        .into_iter()
        .map(|m| (m.0, m.1))
        .collect();
    assert_eq!(
        kinds,
        [(DATA, 0), (VIDEO, 0), (AUDIO, 0), (VIDEO, 0), (AUDIO, 2)]
    );
}

/// A group begins with the first video's keyframe alone; what else there is waits for its own.
#[tokio::test]
async fn more_pictures_begin_with_their_own_keyframe_and_are_described() {
    let sound = || CodecConfig::Aac(aac());
    let mut all = tracks([(0, h264()), (1, sound()), (2, h264()), (3, sound())]);
    all[1].language = Some("eng".to_owned());
    all[3].language = Some("fra".to_owned());
    all[3].label = Some("Voix".to_owned());
    let mut stage = Stage::new(all).await;
    stage.push(0, 0, true, Bytes::from_static(&[0x65]));
    stage.push(2, 1, false, Bytes::from_static(&[0x41]));
    stage.push(1, 2, true, Bytes::from_static(&[8]));
    stage.push(2, 33, true, Bytes::from_static(&[0x65]));
    let codes = Amf0Value::StrictArray(vec![text("*")]);
    let members = [("fourCcList", codes), ("capsEx", Amf0Value::Number(2.0))];
    let (mut able, _run) = stage.player(&members).await;
    let found = media(&mut able, 8).await;
    let frames: Vec<_> = found[5..].iter().map(|m| (m.0, m.1)).collect();
    assert_eq!(frames, [(VIDEO, 0), (AUDIO, 2), (VIDEO, 33)]);
    assert_eq!(found[7].2[..], *b"\x96\x03avc1\x01\x65");
    let values = rml_amf0::deserialize(&mut &found[0].2[..]).unwrap();
    let member = |value: &Amf0Value, name: &str| match value {
        Amf0Value::Object(members) => members[name].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(member(&values[1], "language"), text("eng"));
    let sound = member(&member(&values[1], "audioTrackIdInfoMap"), "1");
    assert_eq!(member(&sound, "language"), text("fra"));
    assert_eq!(member(&sound, "title"), text("Voix"));
    let pictures = member(&member(&values[1], "videoTrackIdInfoMap"), "1");
    assert_eq!(member(&pictures, "width"), Amf0Value::Number(640.0));
    let (mut plain, _run) = stage.player(&[]).await;
    let found = media(&mut plain, 5).await;
    let frames: Vec<_> = found[3..].iter().map(|m| (m.0, m.1)).collect();
    assert_eq!(frames, [(VIDEO, 0), (AUDIO, 2)]);
}

/// Whole groups are left out, so that what arrives can be decoded.
#[tokio::test]
async fn a_slow_player_goes_on_with_a_keyframe() {
    let mut stage = Stage::new(ordinary()).await;
    let (mut client, _run) = stage.player(&[]).await;
    let stats = Arc::clone(&stage.stats);
    // More than sockets hold, with nobody reading.
    let pushed = 1000;
    for i in 0..pushed {
        let key = i % 10 == 0;
        let first = if key { 0x65 } else { 0x41 };
        stage.push(0, i * 100, key, Bytes::from(vec![first; 100_000]));
        tokio::task::yield_now().await;
    }
    let mut pictures = Vec::new();
    let mut last = 0;
    while i64::from(last) < (pushed - 1) * 100 {
        let found = media(&mut client, 1).await.remove(0);
        if found.0 == VIDEO && found.2[1] == 1 {
            last = found.1;
            pictures.push((found.1, found.2[0] == 0x17, found.2[5]));
        }
    }
    assert!(stats.skips.load(Relaxed) > 0, "{} pictures", pictures.len());
    for pair in pictures.windows(2) {
        let ((before, ..), (now, key, first)) = (pair[0], pair[1]);
        assert!(
            now == before + 100 || key,
            "a hole before {now} without a keyframe"
        );
        assert_eq!(key, first == 0x65);
    }
}

#[tokio::test]
async fn a_player_that_takes_nothing_is_let_go() {
    let config = Config {
        write_timeout: Duration::from_millis(100),
        ..Config::default()
    };
    let mut stage = Stage::with(config, ordinary()).await;
    let (_client, run) = stage.player(&[]).await;
    for i in 0..600 {
        stage.push(0, i * 10, i % 60 == 0, Bytes::from(vec![1; 100_000]));
        tokio::task::yield_now().await;
    }
    let error = run.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("sending"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_refused() {
    let stage = Stage::new(ordinary()).await;
    let (mut client, server) = Client::connect(&stage.listener).await;
    client.ask_to_play("nothing", &[]).await;
    let Ok(Request::Play(request)) = server.await.unwrap() else {
        panic!("a play request");
    };
    let refusal = tokio::spawn(request.reject(Reject::NotFound));
    assert_eq!(client.status().await, "NetStream.Play.StreamNotFound");
    drop(client);
    refusal.await.unwrap().unwrap();
}
