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
