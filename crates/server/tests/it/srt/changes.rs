//! What is changed while encoders and players are there.

use serde_json::{Value, json};
use tokio::process::Child;

use super::{
    OLD, clip, code, counts, current, leaves, play, play_by_libsrt, send, stream, told_of,
};
use crate::events::told;
use crate::server::Running;

const IN: &str = "passphrase=geheim-hinein";
const OUT: &str = "passphrase=geheim-heraus";

/// An encoder, and players.
struct There {
    encoder: Child,
    players: Vec<Child>,
}

impl There {
    /// All of them have to go, and the server says why.
    async fn leave(mut self, s: &Running, name: &str) {
        leaves(name, &mut self.encoder).await;
        for player in &mut self.players {
            leaves(name, player).await;
        }
        told_of(s, name, "publish.stopped", json!({"reason": "kicked"})).await;
        let over = json!({"protocol": "srt", "reason": "over"});
        told_of(s, name, "session.closed", over).await;
    }

    fn stay(&mut self) {
        assert!(self.encoder.try_wait().unwrap().is_none());
        self.players_stay();
    }

    fn players_stay(&mut self) {
        for player in &mut self.players {
            assert!(player.try_wait().unwrap().is_none());
        }
    }
}

async fn patch(s: &Running, path: &str, body: Value) {
    let answer = s.api("PATCH", path, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_must_go_is_told_and_the_others_stay() {
    let (dir, file) = clip().await;
    let s = Running::start(&dir).await;
    let both = json!({"publish_passphrase": "geheim-hinein", "play_passphrase": "geheim-heraus"});
    let secret = json!({"srt": both});
    for (name, more) in [
        ("key", json!({})),
        ("secret", secret),
        ("off", json!({})),
        ("gone", json!({})),
    ] {
        stream(&s, name, json!("k1"), more).await;
    }
    let publish = |program: &str, name: &str, more: &str| {
        send(program, &s, &file, &format!("publish:{name}:k1{more}"))
    };
    let mut key = There {
        encoder: publish(OLD, "key", ""),
        players: vec![play(OLD, &s, "read:key")],
    };
    let mut secret = There {
        encoder: publish(&current(), "secret", &format!("&{IN}")),
        players: vec![play(&current(), &s, &format!("read:secret&{OUT}"))],
    };
    let off = There {
        encoder: publish(&current(), "off", ""),
        players: vec![play_by_libsrt(&s, "read:off")],
    };
    let gone = There {
        encoder: publish(OLD, "gone", ""),
        players: vec![
            play(&current(), &s, "read:gone"),
            play_by_libsrt(&s, "read:gone"),
        ],
    };
    for (name, players) in [("key", 1), ("secret", 1), ("off", 1), ("gone", 2)] {
        counts(&s, name, "weir_srt_players", players).await;
        let path = format!("/{name}/index.m3u8");
        s.until(&path, |a| a.status == 200).await;
    }

    // Another key: the encoder leaves, players wait for the next one.
    patch(&s, "/streams/key/inputs/main", json!({"key": "k2"})).await;
    leaves("an encoder whose key is no longer one", &mut key.encoder).await;
    told_of(&s, "key", "publish.stopped", json!({"reason": "kicked"})).await;
    assert_eq!(code(&s, "streamid=publish:key:k1").await, Some(1401));
    key.encoder = send(OLD, &s, &file, "publish:key:k2");

    // Other passphrases are for those who come.
    let other = json!({"srt": {"publish_passphrase": "geheim-hinein-2", "play_passphrase": null}});
    patch(&s, "/streams/secret", other).await;
    let player = |more: &str| format!("streamid=read:secret{more}");
    assert_eq!(code(&s, &player(&format!("&{OUT}"))).await, Some(11));
    assert_eq!(code(&s, &player("")).await, None);

    patch(&s, "/streams/off", json!({"enabled": false})).await;
    off.leave(&s, "off").await;
    assert_eq!(code(&s, "streamid=publish:off:k1").await, Some(1503));
    assert_eq!(code(&s, "streamid=read:off").await, Some(1503));
    let deleted = s.api("DELETE", "/streams/gone", &Value::Null).await;
    assert_eq!(deleted.status, 204);
    gone.leave(&s, "gone").await;
    assert_eq!(code(&s, "streamid=publish:gone:k1").await, Some(1404));
    assert_eq!(code(&s, "streamid=read:gone").await, Some(1404));

    told_of(&s, "key", "input.recovered", json!({"input": "main"})).await;
    key.stay();
    secret.stay();
    stop(s, &dir, [("key", key), ("secret", secret)]).await;
}

/// The server stops in time, takes all of them along, and tells the next one of it.
async fn stop(s: Running, dir: &tempfile::TempDir, there: [(&str, There); 2]) {
    let stopping = std::time::Instant::now();
    s.stop().await;
    let took = stopping.elapsed();
    assert!(took.as_secs() < 8, "{took:?}");
    let s = Running::start(dir).await;
    told(&s, "server.started", 2).await;
    for (name, there) in there {
        there.leave(&s, name).await;
    }
    s.stop().await;
}
