//! From messages to frames: what comes late, changes or is broken.

use std::sync::Arc;

use container::ingest::{Figures, Stats};
use hub::{EndReason, Event, Hub, Limits, Options, Presentation, Subscriber};
use media::CodecConfig;
use rtmp::{Config, Error, Listener, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use crate::client::{
    AVCC, Client, aac, config_body, frame_body, h264, listener, object, stats, text,
};

/// An accepted publisher with one reader.
struct Live {
    client: Client,
    reader: Subscriber,
    run: JoinHandle<Result<EndReason, Error>>,
    stats: Arc<Stats>,
    _presentation: Presentation,
    _listener: Listener,
}

impl Live {
    async fn new() -> Self {
        let (listener, _) = listener(Config::default()).await;
        let (mut client, server) = Client::connect(&listener).await;
        client.ask_to_publish("live", "news").await;
        let Ok(Request::Publish(request)) = server.await.unwrap() else {
            panic!("a publish request");
        };
        let presentation = Hub::new().announce("news").unwrap();
        let (publisher, relay) = presentation.add("source", Limits::default()).unwrap();
        tokio::spawn(relay.run());
        let reader = publisher.broadcast().subscribe(Options::default());
        let stats = stats();
        let run = tokio::spawn(request.accept().run(publisher, Arc::clone(&stats)));
        Self {
            client,
            reader,
            run,
            stats,
            _presentation: presentation,
            _listener: listener,
        }
    }

    /// Announces what will come, so that nothing else is waited for.
    async fn announce(&mut self, member: &str) {
        self.describe(&[(member, rml_amf0::Amf0Value::Number(7.0))])
            .await;
    }

    async fn describe(&mut self, members: &[(&str, rml_amf0::Amf0Value)]) {
        let values = vec![text("@setDataFrame"), text("onMetaData"), object(members)];
        let body = rml_amf0::serialize(&values).unwrap();
        self.client.send(18, 0, &body).await;
    }

    async fn video_config(&mut self, config: &CodecConfig) {
        let body = config_body(config);
        self.client.send(9, 0, &body).await;
    }

    async fn picture(&mut self, at: u32, key: bool) {
        let nal = [0, 0, 0, 2, if key { 0x65 } else { 0x41 }, 1];
        let body = frame_body(&h264(), key, &nal);
        self.client.send(9, at, &body).await;
    }

    async fn sound(&mut self, at: u32) {
        let body = frame_body(&CodecConfig::Aac(aac()), true, &[1, 2, 3]);
        self.client.send(8, at, &body).await;
    }

    /// Hangs up and tells all that arrived: per group its number of tracks, per frame its track.
    async fn finish(mut self) -> (Vec<usize>, Vec<(u16, i64)>, Figures) {
        // What was answered is read first: a close with bytes unread is a reset.
        let mut stream = self.client.stream;
        stream.shutdown().await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        drop(stream);
        let (mut groups, mut frames, mut events) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            self.reader.next(&mut events).await;
            for event in events.drain(..) {
                match event {
                    Event::Group { tracks, .. } => groups.push(tracks.len()),
                    Event::Frame(f) => frames.push((f.track.0, f.dts.as_millis())),
                    Event::Skipped { .. } => {}
                    Event::End(_) => {
                        assert_eq!(self.run.await.unwrap().unwrap(), EndReason::Dropped);
                        return (groups, frames, self.stats.figures());
                    }
                }
            }
        }
    }
}

fn ignored(figures: &Figures, reason: &str) -> u64 {
    let found = figures.ignored.iter().find(|(r, _)| *r == reason);
    found.map_or(0, |(_, n)| *n)
}

#[tokio::test]
async fn sound_that_comes_late_joins_at_the_next_group() {
    let mut live = Live::new().await;
    live.announce("videocodecid").await;
    live.video_config(&h264()).await;
    live.picture(0, true).await;
    live.client
        .send(8, 10, &config_body(&CodecConfig::Aac(aac())))
        .await;
    live.sound(10).await;
    live.picture(33, false).await;
    live.picture(66, true).await;
    live.sound(70).await;
    let (groups, frames, figures) = live.finish().await;
    assert_eq!(groups, [1, 2]);
    assert_eq!(frames.len(), 4);
    assert_eq!(
        ignored(&figures, "new configuration before its keyframe"),
        1
    );
}

#[tokio::test]
async fn pictures_that_come_late_wait_for_their_keyframe() {
    let mut live = Live::new().await;
    live.announce("audiocodecid").await;
    live.client
        .send(8, 0, &config_body(&CodecConfig::Aac(aac())))
        .await;
    live.sound(0).await;
    live.video_config(&h264()).await;
    live.picture(10, false).await;
    live.sound(21).await;
    live.picture(43, true).await;
    live.sound(44).await;
    let (groups, frames, _) = live.finish().await;
    assert_eq!(groups, [1, 2]);
    assert_eq!(frames.len(), 4);
}

#[tokio::test]
async fn sound_without_a_configuration_is_left_out() {
    let mut live = Live::new().await;
    live.announce("videocodecid").await;
    live.video_config(&h264()).await;
    live.sound(0).await;
    live.picture(0, true).await;
    live.sound(20).await;
    live.picture(33, false).await;
    let (groups, frames, figures) = live.finish().await;
    assert_eq!((groups, frames.len()), (vec![1], 2));
    assert_eq!(ignored(&figures, "audio before its configuration"), 2);
}

#[tokio::test]
async fn a_new_configuration_takes_effect_at_its_keyframe() {
    let mut live = Live::new().await;
    live.announce("videocodecid").await;
    live.video_config(&h264()).await;
    live.picture(0, true).await;
    // The same again changes nothing.
    live.video_config(&h264()).await;
    live.picture(33, false).await;
    let mut other = AVCC.to_vec();
    other[3] = 0x1f;
    *other.last_mut().unwrap() = 0xc9;
    let other = media::codec::H264Config::parse(other.into()).unwrap();
    live.video_config(&CodecConfig::H264(other)).await;
    live.picture(66, false).await;
    live.picture(100, true).await;
    let (groups, frames, figures) = live.finish().await;
    assert_eq!(groups, [1, 1]);
    let times: Vec<i64> = frames.iter().map(|(_, dts)| *dts).collect();
    assert_eq!(times, [0, 33, 100]);
    assert_eq!(
        ignored(&figures, "new configuration before its keyframe"),
        1
    );
}

#[tokio::test]
async fn a_broken_message_costs_only_itself() {
    let mut live = Live::new().await;
    live.announce("videocodecid").await;
    live.video_config(&h264()).await;
    live.picture(0, true).await;
    live.client
        .send(9, 20, &[0x27, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])
        .await;
    live.picture(33, false).await;
    let (_, frames, figures) = live.finish().await;
    assert_eq!(frames.len(), 2);
    assert_eq!(ignored(&figures, "unreadable message"), 1);
}

#[tokio::test]
async fn nothing_but_broken_messages_end_the_session() {
    let mut live = Live::new().await;
    live.video_config(&h264()).await;
    for _ in 0..60 {
        live.client.send(9, 20, &[0x27, 1, 0, 0, 0, 9]).await;
    }
    let error = live.run.await.unwrap().unwrap_err();
    assert_eq!(error.kind.name(), "media");
}

#[tokio::test]
async fn tracks_are_named_by_what_describes_them() {
    let mut live = Live::new().await;
    let second = object(&[("language", text("fra")), ("title", text("Voix"))]);
    let both = [
        ("videocodecid", rml_amf0::Amf0Value::Number(7.0)),
        ("audiocodecid", rml_amf0::Amf0Value::Number(10.0)),
        ("audioTrackIdInfoMap", object(&[("1", second)])),
    ];
    live.describe(&both).await;
    live.video_config(&h264()).await;
    let sound = CodecConfig::Aac(aac());
    for number in [0, 1] {
        let mux = container::flv::Mux::new(&sound, number).unwrap();
        let config = mux.config(&sound).unwrap();
        live.client.send(8, 0, &config).await;
    }
    live.picture(0, true).await;
    live.picture(33, false).await;
    // What is told later holds from the next group on.
    let later = [&both[..], &[("language", text("eng"))]].concat();
    live.describe(&later).await;
    live.picture(66, true).await;
    let (groups, frames, figures) = live.finish().await;
    assert_eq!((groups, frames.len()), (vec![3, 3], 3));
    let tracks = figures.tracks.unwrap();
    let told: Vec<_> = tracks
        .iter()
        .map(|t| (t.id.0, t.language.as_deref(), t.label.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (0, None, None),
            (1, Some("en"), None),
            (3, Some("fr"), Some("Voix"))
        ]
    );
}
