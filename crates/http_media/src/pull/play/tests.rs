use std::future::pending;

use container::ingest::video_track;
use hub::{Hub, Limits, Presentation};
use media::Frame;
use tokio::time::{Duration, timeout};

use super::*;

const SILENCE: Span = Span::from_secs(20);

fn player(pace: Pace, lanes: Vec<mpsc::Receiver<Batch>>) -> (Player, Presentation) {
    let presentation = Hub::new().announce("news").unwrap();
    let (publisher, _) = presentation.add("source", Limits::default()).unwrap();
    let stats = Arc::new(Stats::new(|| Timestamp::ZERO));
    let player = Player::new(publisher, stats, pace, Instant::now(), lanes);
    (player.at_most(SILENCE), presentation)
}

/// Pictures 40 ms apart.
fn batch(from_ms: i64, frames: i64, origin: Instant) -> Batch {
    let frame = |n| {
        Item::Frame(Frame {
            track: video_track(0),
            dts: Timestamp::from_millis(from_ms + n * 40),
            pts: Timestamp::from_millis(from_ms + n * 40),
            duration: None,
            random_access: true,
            leading: false,
            payload: Bytes::from_static(&[0]),
        })
    };
    Batch {
        items: (0..frames).map(frame).collect(),
        region: (0, 0),
        arrived: since(origin),
        utc: None,
        edge: false,
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_at_all_is_an_error_after_a_while() {
    for pace in [
        Pace::File,
        Pace::Segments(Span::from_secs(6)),
        Pace::Parts(Span::from_secs(1)),
    ] {
        let (_sender, receiver) = mpsc::channel(1);
        let (player, _presentation) = player(pace, vec![receiver]);
        let began = Instant::now();
        let playing = player.play_while(pending::<Result<(), Error>>());
        let ended = timeout(Duration::from_secs(60), playing).await.unwrap();
        let error = ended.unwrap_err();
        assert!(matches!(error, Error::Stalled { seconds: 20 }), "{error}");
        assert!(!error.is_refusal());
        assert_eq!(began.elapsed().as_secs(), 20);
    }
}

/// No edge is ever told: parts leave all the same, after the grace or once there are enough.
#[tokio::test(start_paused = true)]
async fn the_edge_is_not_waited_for_without_end() {
    for batches in [1, 30] {
        let (sender, receiver) = mpsc::channel(1);
        let pace = Pace::Parts(Span::from_secs(1));
        let (mut player, _presentation) = player(pace, vec![receiver]);
        let origin = Instant::now();
        let bringing = async {
            for n in 0..batches {
                sender.send(batch(n * 1_000, 25, origin)).await.unwrap();
            }
            pending::<()>().await;
        };
        let both = async { tokio::join!(player.play(), bringing) };
        let ended = timeout(Duration::from_secs(10), both).await;
        assert!(ended.is_err(), "it plays, or waits for more");
        assert!(!player.joining && player.left > Timestamp::ZERO);
    }
}

#[test]
fn no_playlist_makes_the_buffer_longer_than_it_may_be() {
    let hour = Span::from_secs(3_600);
    for pace in [Pace::Segments(hour), Pace::Parts(hour)] {
        assert_eq!(pace.buffer(), Span::from_secs(30));
        assert!(pace.ahead() <= Span::from_secs(60));
    }
    assert_eq!(
        Pace::Segments(Span::from_secs(6)).buffer(),
        Span::from_secs(6)
    );
}

#[tokio::test(start_paused = true)]
async fn too_much_at_once_is_an_error() {
    let (sender, receiver) = mpsc::channel(1);
    let (player, _presentation) = player(Pace::File, vec![receiver]);
    let many = i64::try_from(LANE_ITEMS).unwrap() + 1;
    sender.send(batch(0, many, Instant::now())).await.unwrap();
    let playing = player.play_while(pending::<Result<(), Error>>());
    let error = playing.await.unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error}");
}
