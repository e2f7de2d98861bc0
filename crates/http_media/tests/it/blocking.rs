//! Blocking reloads and hinted parts (RFC 8216bis 6.2.5.2, rules H10 to H13, H19, H20).

use std::time::Duration;

use http_media::{Output, Outputs};
use tokio::task::JoinHandle;

use crate::source::{Answer, Live, get};

fn spawn(outputs: &Outputs, target: String) -> JoinHandle<Answer> {
    let outputs = outputs.clone();
    tokio::spawn(async move { get(&outputs, &target).await })
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_waits_for_its_part() {
    let mut live = Live::new();
    live.play(309);
    let (msn, parts) = live.edge();
    let there = format!("a/news/v0.m3u8?_HLS_msn={msn}&_HLS_part={}", parts - 1);
    assert_eq!(get(&live.outputs, &there).await.status, 200);
    let waiting = spawn(
        &live.outputs,
        format!("a/news/v0.m3u8?_HLS_msn={msn}&_HLS_part={parts}"),
    );
    settle().await;
    assert!(!waiting.is_finished());
    live.play(6);
    let answer = waiting.await.unwrap();
    assert!(answer.text().contains(&format!("v0_{msn}.{parts}.m4s\"\n")));
}

#[tokio::test(start_paused = true)]
async fn a_segment_is_waited_for_and_a_part_beyond_its_last_is_the_next_ones_first() {
    let mut live = Live::new();
    live.play(309);
    let (msn, _) = live.edge();
    let segment = spawn(&live.outputs, format!("a/news/v0.m3u8?_HLS_msn={msn}"));
    let beyond = spawn(
        &live.outputs,
        format!("a/news/v0.m3u8?_HLS_msn={msn}&_HLS_part=10"),
    );
    let file = spawn(&live.outputs, format!("a/news/v0_{msn}.m4s"));
    live.play(52);
    settle().await;
    assert!(segment.is_finished() && file.is_finished() && !beyond.is_finished());
    assert_eq!(file.await.unwrap().status, 200);
    live.play(7);
    assert_eq!(beyond.await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn directives_that_make_no_sense_are_refused() {
    let mut live = Live::new();
    live.play(309);
    let (msn, _) = live.edge();
    for query in [
        "_HLS_part=1".to_owned(),
        "_HLS_msn=x".to_owned(),
        format!("_HLS_msn={}", msn + 3),
        format!("_HLS_msn={msn}&_HLS_part=99"),
    ] {
        let answer = get(&live.outputs, &format!("a/news/v0.m3u8?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_source_is_told_after_three_target_durations() {
    let mut live = Live::new();
    live.play(309);
    let (msn, _) = live.edge();
    let start = tokio::time::Instant::now();
    let answer = get(
        &live.outputs,
        &format!("a/news/v0.m3u8?_HLS_msn={}", msn + 1),
    )
    .await;
    assert_eq!((answer.status, start.elapsed().as_secs()), (503, 6));
}

#[tokio::test(start_paused = true)]
async fn a_hinted_part_is_awaited_and_a_hold_releases_everybody() {
    let mut live = Live::new();
    live.play(309);
    let (msn, parts) = live.edge();
    let hinted = spawn(&live.outputs, format!("a/news/v0_{msn}.{parts}.m4s"));
    settle().await;
    assert!(!hinted.is_finished());
    live.play(6);
    assert_eq!(hinted.await.unwrap().status, 200);
    let (msn, parts) = live.edge();
    let reload = spawn(
        &live.outputs,
        format!("a/news/v0.m3u8?_HLS_msn={}", msn + 1),
    );
    let abandoned = spawn(&live.outputs, format!("a/news/v0_{msn}.{}.m4s", parts + 1));
    settle().await;
    live.fall_silent();
    let frozen = reload.await.unwrap();
    assert_eq!(frozen.status, 200);
    assert!(!frozen.text().contains("PRELOAD-HINT"));
    assert_eq!(abandoned.await.unwrap().status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_cost_one_rendering() {
    let mut live = Live::new();
    live.play(309);
    let (msn, parts) = live.edge();
    let target = format!("a/news/v0.m3u8?_HLS_msn={msn}&_HLS_part={parts}");
    let waiting: Vec<_> = (0..1000)
        .map(|_| spawn(&live.outputs, target.clone()))
        .collect();
    settle().await;
    let before = live.output.figures();
    assert_eq!(before.blocked, 1000);
    live.play(6);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    assert_eq!(live.output.figures().renders - before.renders, 1);
}

/// Shaka, which holds parts of a segment, waits for its end whatever else is listed.
#[tokio::test(start_paused = true)]
async fn players_that_outlived_a_server_are_led_from_what_it_lost_to_what_is() {
    let mut live = Live::with(Output::resumed());
    live.play(309);
    let first = get(&live.outputs, "a/news/v0.m3u8").await;
    let sequence = |text: &str| -> u64 {
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
        line.unwrap().parse().unwrap()
    };
    let first = sequence(&first.text());
    for number in first - 3..first {
        let reload = format!("a/news/v0.m3u8?_HLS_msn={number}&_HLS_part=4");
        let after_loss = get(&live.outputs, &reload).await.text();
        assert_eq!(sequence(&after_loss), number);
        let gaps = after_loss.matches("#EXT-X-GAP").count() as u64;
        assert_eq!(gaps, first - number);
        assert!(after_loss.contains(&format!("v0_{first}.m4s")) && after_loss.contains("HINT"));
    }
    let ask = async |number: u64| {
        let reload = format!("a/news/v0.m3u8?_HLS_msn={number}");
        sequence(&get(&live.outputs, &reload).await.text())
    };
    assert_eq!(ask(first).await, first);
    assert_eq!(ask(first - 1000).await, first, "nobody waited for so long");
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(
        ask(first - 1).await,
        first,
        "who outlived it has asked by now"
    );
}

#[tokio::test]
async fn a_stream_that_is_new_has_lost_nothing() {
    let mut live = Live::new();
    live.play(309);
    let (msn, _) = live.edge();
    let old = get(
        &live.outputs,
        &format!("a/news/v0.m3u8?_HLS_msn={}", msn - 20),
    )
    .await;
    assert!(!old.text().contains("#EXT-X-GAP"));
}
