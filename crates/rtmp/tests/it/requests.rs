//! From connecting to an answer.

use hub::{Event, Hub, Limits, Options};
use rtmp::{Config, Reject, Request};

use crate::client::{Client, aac, config_body, frame_body, h264, listener, stats};

#[tokio::test]
async fn an_obs_like_client_is_accepted_and_its_frames_arrive() {
    let (listener, _) = listener(Config::default()).await;
    let (mut client, server) = Client::connect(&listener).await;
    client.ask_to_publish("live", "news?key=k1").await;
    let Ok(Request::Publish(request)) = server.await.unwrap() else {
        panic!("a publish request");
    };
    assert_eq!(request.target().name, "news");
    assert_eq!(request.target().key.as_deref(), Some("k1"));
    let presentation = Hub::new().announce("news").unwrap();
    let (publisher, relay) = presentation.add("source", Limits::default()).unwrap();
    tokio::spawn(relay.run());
    let mut reader = publisher.broadcast().subscribe(Options::default());
    let run = tokio::spawn(request.accept().run(publisher, stats()));
    assert_eq!(client.status().await, "NetStream.Publish.Start");
    let config = h264();
    client.send(9, 0, &config_body(&config)).await;
    client
        .send(8, 0, &config_body(&media::CodecConfig::Aac(aac())))
        .await;
    // The clock wraps within the group.
    let base = u32::MAX - 20;
    for i in 0..3_u32 {
        let at = base.wrapping_add(i * 33);
        let nal: &[u8] = if i == 0 {
            &[0, 0, 0, 2, 0x65, 1]
        } else {
            &[0, 0, 0, 2, 0x41, 1]
        };
        let body = frame_body(&config, i == 0, nal);
        client.send(9, at, &body).await;
        let sound = frame_body(&media::CodecConfig::Aac(aac()), true, &[1, 2, 3]);
        client.send(8, at, &sound).await;
    }
    let mut events = Vec::new();
    while events.len() < 7 {
        reader.next(&mut events).await;
    }
    let Event::Group { tracks, .. } = &events[0] else {
        panic!("a group begins");
    };
    assert_eq!(tracks.len(), 2);
    let dts: Vec<i64> = events
        .iter()
        .filter_map(|e| match e {
            Event::Frame(f) if f.track.0 == 0 => Some(f.dts.as_millis()),
            _ => None,
        })
        .collect();
    assert_eq!((dts[1] - dts[0], dts[2] - dts[1]), (33, 33));
    client
        .command(vec![
            crate::client::text("deleteStream"),
            rml_amf0::Amf0Value::Number(7.0),
            rml_amf0::Amf0Value::Null,
        ])
        .await;
    assert_eq!(run.await.unwrap().unwrap(), hub::EndReason::Finished);
}

#[tokio::test]
async fn refusals_are_told_before_any_media() {
    for (why, code) in [
        (Reject::NotFound, "NetStream.Publish.BadName"),
        (Reject::Busy, "NetStream.Publish.BadName"),
        (Reject::Unauthorised, "NetStream.Publish.Unauthorized"),
        (Reject::Overload, "NetStream.Publish.Rejected"),
    ] {
        let (listener, _) = listener(Config::default()).await;
        let (mut client, server) = Client::connect(&listener).await;
        client.ask_to_publish("live", "news").await;
        let Ok(Request::Publish(request)) = server.await.unwrap() else {
            panic!("a publish request");
        };
        let reject = tokio::spawn(request.reject(why));
        assert_eq!(client.status().await, code);
        drop(client);
        reject.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_silent_publisher_is_let_go() {
    let (listener, _) = listener(Config::default()).await;
    let (mut client, server) = Client::connect(&listener).await;
    client.ask_to_publish("live", "news").await;
    let Ok(Request::Publish(request)) = server.await.unwrap() else {
        panic!("a publish request");
    };
    let presentation = Hub::new().announce("news").unwrap();
    let (publisher, _relay) = presentation.add("source", Limits::default()).unwrap();
    tokio::time::pause();
    let error = request.accept().run(publisher, stats()).await.unwrap_err();
    assert_eq!(error.kind.name(), "timeout");
}

#[tokio::test]
async fn a_publisher_can_be_told_to_leave() {
    let (listener, _) = listener(Config::default()).await;
    let (mut client, server) = Client::connect(&listener).await;
    client.ask_to_publish("live", "news").await;
    let Ok(Request::Publish(request)) = server.await.unwrap() else {
        panic!("a publish request");
    };
    let presentation = Hub::new().announce("news").unwrap();
    let (publisher, _relay) = presentation.add("source", Limits::default()).unwrap();
    let publishing = request.accept();
    publishing.stopper().stop();
    drop(client);
    assert_eq!(
        publishing.run(publisher, stats()).await.unwrap(),
        hub::EndReason::Kicked
    );
}
