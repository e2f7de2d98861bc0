//! What readers want, as the writer hears of it. Time stands still but where a test moves it.

use std::time::Duration;

use hub::{Demand, Limits, Options, Wanted};
use tokio::time::{Instant, timeout};

use crate::fixture::{key, stage};

const UNWANTED: Options = Options {
    join: hub::Join::Newest,
    max_latency: media::Span::from_secs(10),
    wanted: false,
};

async fn is_quiet(demand: &mut Demand) -> bool {
    let minute = Duration::from_secs(60);
    timeout(minute, demand.keyframe()).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn wanted_while_somebody_who_wants_it_subscribes() {
    let s = stage(Limits::default());
    let mut demand = s.publisher.demand();
    let _recorder = s.publisher.broadcast().subscribe(UNWANTED);
    assert_eq!(demand.now(), Wanted::default());
    let first = s.publisher.broadcast().subscribe(Options::default());
    let second = s.publisher.broadcast().subscribe(Options::default());
    assert!(demand.wanted().await);
    drop(first);
    assert!(demand.now().wanted);
    drop(second);
    assert!(!demand.wanted().await);
    assert_eq!(s.publisher.counters().subscribers, 1);
}

#[tokio::test(start_paused = true)]
async fn coming_and_going_unheard_is_nothing() {
    let s = stage(Limits::default());
    let mut demand = s.publisher.demand();
    drop(s.publisher.broadcast().subscribe(Options::default()));
    let minute = Duration::from_secs(60);
    assert!(timeout(minute, demand.wanted()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_even_if_it_came_between_two_waits() {
    let s = stage(Limits::default());
    let mut demand = s.publisher.demand();
    let reader = s.publisher.broadcast().subscribe(Options::default());
    assert!(demand.wanted().await);
    drop(reader);
    assert!(!demand.wanted().await);
}

#[tokio::test(start_paused = true)]
async fn many_requests_for_a_keyframe_are_one() {
    let mut s = stage(Limits::default());
    let mut demand = s.publisher.demand();
    let reader = s.publisher.broadcast().subscribe(Options::default());
    for _ in 0..100 {
        reader.ask_keyframe();
    }
    demand.keyframe().await;
    s.publisher.push(key(0)).unwrap();
    assert!(!demand.now().keyframe);
    assert!(is_quiet(&mut demand).await);
}

#[tokio::test(start_paused = true)]
async fn requests_go_up_twice_a_second_until_a_group_answers() {
    let mut s = stage(Limits::default());
    let mut demand = s.publisher.demand();
    let reader = s.publisher.broadcast().subscribe(Options::default());
    let began = Instant::now();
    reader.ask_keyframe();
    demand.keyframe().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    demand.keyframe().await;
    assert_eq!(began.elapsed().as_millis() / 10, 50);
    s.publisher.push(key(0)).unwrap();
    assert!(is_quiet(&mut demand).await);
}

#[tokio::test(start_paused = true)]
async fn an_answer_while_the_rate_is_limited_cancels_the_request() {
    let mut s = stage(Limits::default());
    let mut demand = s.publisher.demand();
    let reader = s.publisher.broadcast().subscribe(Options::default());
    reader.ask_keyframe();
    demand.keyframe().await;
    let soon = Duration::from_millis(100);
    assert!(timeout(soon, demand.keyframe()).await.is_err());
    s.publisher.push(key(0)).unwrap();
    assert!(is_quiet(&mut demand).await);
}
