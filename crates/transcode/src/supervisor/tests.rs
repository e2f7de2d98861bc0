use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use hub::{Hub, Limits};
use ladder::{Deinterlace, VideoCodec, VideoRung};

use super::*;

/// One that is defective once.
struct Defective(AtomicU32);

impl Observer for Defective {
    fn started(&self, _: Option<u32>) {}
    fn ended(&self, _: &Ended, _: Duration, _: Duration) {
        assert!(self.0.fetch_add(1, Relaxed) > 0, "a defect");
    }
    fn warned(&self, _: &str) {}
    fn decided(&self, _: &Decision) {}
}

#[tokio::test(start_paused = true)]
async fn a_defect_costs_a_moment() {
    let hub = Hub::new();
    let source = hub.announce("source").expect("a free name");
    let (publisher, _relay) = source.add("main", Limits::default()).expect("a free name");
    let presentation = hub.announce("n").expect("a free name");
    let ladder = Ladder {
        gop_ms: 1_000,
        deinterlace: Deinterlace::Auto,
        video: vec![VideoRung {
            codec: VideoCodec::H264,
            ..VideoRung::copy("high".to_owned())
        }],
        audio: Vec::new(),
    };
    let (_edit, wanted) = watch::channel(Arc::new(ladder));
    let (_hold, hold) = watch::channel(true);
    let board = Arc::new(Board::default());
    let transcode = Transcode::new(
        PathBuf::from("/is/not/there"),
        (publisher.broadcast(), presentation),
        (wanted, hold, Arc::default()),
        (Arc::clone(&board), drop),
        (|| Timestamp::ZERO, Defective(AtomicU32::new(0))),
    );
    let ran = timeout(Duration::from_secs(3), transcode.run()).await;
    assert!(ran.is_err(), "it goes on");
    let restarts = board.state().restarts;
    let times = |why| {
        restarts
            .iter()
            .find(|(w, _)| *w == why)
            .map_or(0, |(_, n)| *n)
    };
    assert_eq!(times("defect"), 1, "{restarts:?}");
    assert!(times("start") > 2, "{restarts:?}");
}
