//! Who plays is listed.

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{OLD, PATIENCE, clip, counts, play, play_by_libsrt, send, started, stream};
use crate::server::{Running, pause};

async fn page(s: &Running, query: &str) -> Value {
    let path = format!("/streams/n/players{query}");
    let answer = s.api("GET", &path, &Value::Null).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_listed_while_they_play() {
    let (dir, file) = clip().await;
    let s = Running::start(&dir).await;
    stream(&s, "n", json!("k1"), json!({})).await;
    stream(&s, "off", json!("k1"), json!({"enabled": false})).await;
    assert_eq!(page(&s, "").await, json!({"items": [], "next": null}));
    let _encoder = send(OLD, &s, &file, "publish:n:k1");
    s.until("/n/index.m3u8", |a| a.status == 200).await;
    let play_url = |url: &str| started(OLD, &format!("-v error -i {url} -c copy -f null -"));
    let first = play_by_libsrt(&s, "read:n");
    counts(&s, "n", "weir_srt_players", 1).await;
    let second = play(OLD, &s, "read:n");
    counts(&s, "n", "weir_srt_players", 2).await;
    let _rtmp = play_url(&format!("rtmp://{}/live/n", s.rtmp));
    counts(&s, "n", "weir_rtmp_players", 1).await;
    let _http = play_url(&format!("http://{}/n/mpegts", s.http));
    counts(&s, "n", "weir_http_ts_players", 1).await;

    let mut found = Vec::new();
    let mut query = "?limit=3".to_owned();
    for size in [3, 1] {
        let page = page(&s, &query).await;
        let items = page["items"].as_array().unwrap().clone();
        assert_eq!(items.len(), size, "{page:#}");
        found.extend(items);
        query = format!("?limit=3&cursor={}", page["next"]);
    }
    assert!(query.ends_with("=null"), "{query}");
    let protocols: Vec<_> = found.iter().map(|player| &player["protocol"]).collect();
    assert_eq!(protocols, ["srt", "srt", "rtmp", "http_ts"]);
    assert!(found[3]["agent"].as_str().unwrap().contains("Lavf"));
    // Each has figures of its own, and the stream their sums.
    let well = |page: &Value| {
        let players = page["items"].as_array().unwrap();
        players.iter().all(|p| p["bytes"].as_u64() > Some(10_000))
            && players[..2].iter().all(|p| {
                let counts = &p["counters"];
                counts["srt_rtt_us"].as_u64() > Some(0) && counts["srt_packets"].as_u64() > Some(8)
            })
            && players[2]["counters"] == json!({})
    };
    let waiting = async {
        while !well(&page(&s, "").await) {
            pause().await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
    let rtt = |a: &str, quantile: &str| {
        let line = format!("weir_srt_player_rtt_seconds{{stream=\"n\",quantile=\"{quantile}\"}} ");
        let value = a.lines().find_map(|l| l.strip_prefix(&line)).unwrap();
        value.parse::<f64>().unwrap()
    };
    let metrics = s.get("/metrics").await.body;
    let (median, longest) = (rtt(&metrics, "0.5"), rtt(&metrics, "1"));
    assert!(0.0 < median && median <= longest && longest < 1.0);

    // What they were sent stays counted.
    let sent = |a: &str| {
        let line = "weir_srt_packets_total{stream=\"n\",kind=\"sent\"} ";
        let value = a.lines().find_map(|l| l.strip_prefix(line)).unwrap();
        value.parse::<u64>().unwrap()
    };
    let before = sent(&metrics);
    drop((first, second));
    counts(&s, "n", "weir_srt_players", 0).await;
    let metrics = s.get("/metrics").await.body;
    assert!(sent(&metrics) >= before);
    assert!(!metrics.contains("weir_srt_player_rtt_seconds{"));
    assert_eq!(page(&s, "").await["items"].as_array().unwrap().len(), 2);
    let off = s.api("GET", "/streams/off/players", &Value::Null).await;
    let nobody = s.api("GET", "/streams/nobody/players", &Value::Null).await;
    assert_eq!((off.status, nobody.status), (409, 404));
    s.stop().await;
}
