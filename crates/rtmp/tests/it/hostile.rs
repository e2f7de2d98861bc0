//! Peers that break rules: an error for them alone.

use rml_amf0::Amf0Value;
use rtmp::{Config, Event, Session};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::client::{Client, listener, text};

#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_dropped_in_time() {
    let (listener, addr) = listener(Config::default()).await;
    let _idle = TcpStream::connect(addr).await.unwrap();
    let error = listener
        .accept()
        .await
        .unwrap()
        .request()
        .await
        .unwrap_err();
    assert_eq!(error.kind.name(), "timeout");
}

#[tokio::test]
async fn noise_is_no_handshake() {
    let (listener, addr) = listener(Config::default()).await;
    let mut noise = TcpStream::connect(addr).await.unwrap();
    noise
        .write_all(&b"GET / HTTP/1.1\r\n\r\n".repeat(200))
        .await
        .unwrap();
    let error = listener
        .accept()
        .await
        .unwrap()
        .request()
        .await
        .unwrap_err();
    assert_eq!(error.kind.name(), "handshake");
}

#[tokio::test]
async fn an_amf_bomb_ends_its_session() {
    let (listener, _) = listener(Config::default()).await;
    let (mut client, server) = Client::connect(&listener).await;
    let bomb = [0x03, 0, 1, b'a'].repeat(3000);
    client.send(20, 0, &bomb).await;
    assert_eq!(server.await.unwrap().unwrap_err().kind.name(), "command");
}

/// AMF3 is a legal way to say things that no encoder uses: values behind the marker that switches
/// to it are refused, AMF0 in the messages of AMF3 is read.
#[tokio::test]
async fn amf3_values_end_their_session() {
    let (listener, _) = listener(Config::default()).await;
    let (mut client, server) = Client::connect(&listener).await;
    // "connect", 1, and an anonymous dynamic object {app: "live"} as AMF3.
    let name = rml_amf0::serialize(&vec![text("connect"), Amf0Value::Number(1.0)]).unwrap();
    let object = b"\x11\x0a\x0b\x01\x07app\x06\x09live\x01";
    client
        .send(17, 0, &[&[0], &name[..], object].concat())
        .await;
    let error = server.await.unwrap().unwrap_err();
    assert_eq!(error.kind.name(), "command");
    assert!(error.to_string().contains("AMF0 type 0x11"), "{error}");

    let (mut client, _server) = Client::connect(&listener).await;
    // Data that cannot be read costs nothing but itself.
    let name = rml_amf0::serialize(&vec![text("onMetaData")]).unwrap();
    client
        .send(15, 0, &[&[0], &name[..], object].concat())
        .await;
    let app = crate::client::object(&[("app", text("live"))]);
    let connect = vec![text("connect"), Amf0Value::Number(1.0), app];
    let connect = rml_amf0::serialize(&connect).unwrap();
    client.send(17, 0, &[&[0], &connect[..]].concat()).await;
    assert_eq!(client.reply().await[0], text("_result"));
}

#[tokio::test]
async fn a_long_message_before_a_request_is_refused() {
    let (listener, _) = listener(Config::default()).await;
    let (mut client, server) = Client::connect(&listener).await;
    client.send(9, 0, &[0; 20_000]).await;
    assert_eq!(server.await.unwrap().unwrap_err().kind.name(), "chunk");
}

#[tokio::test]
async fn endless_small_talk_is_refused() {
    let (listener, _) = listener(Config::default()).await;
    let (mut client, server) = Client::connect(&listener).await;
    for _ in 0..200 {
        let small = [
            text("nothing"),
            Amf0Value::Number(0.0),
            Amf0Value::Null,
            text(&"x".repeat(400)),
        ];
        let body = rml_amf0::serialize(&small.to_vec()).unwrap();
        let mut out = bytes::BytesMut::new();
        client.writer.write(&mut out, 3, (20, 0, 0), &body);
        if client.stream.write_all(&out).await.is_err() {
            break;
        }
    }
    assert_eq!(server.await.unwrap().unwrap_err().kind.name(), "too_much");
}

#[test]
fn a_session_survives_any_bytes_after_the_handshake() {
    let mut seed = 7_u64;
    for _ in 0..200 {
        let mut session = Session::new(Config::default());
        let mut hello = vec![3];
        hello.resize(1 + 1536 * 2, 0);
        session.input().extend_from_slice(&hello);
        session.received(hello.len());
        let _ = session.poll();
        for _ in 0..40 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            session.input().extend_from_slice(&seed.to_be_bytes());
            session.received(8);
            match session.poll() {
                Ok(Some(Event::Publish(_))) => session.accept_publish(),
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
}
