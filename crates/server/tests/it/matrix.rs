//! Encoders and players that we did not write: each sender, transport, codec and output at least once.

use std::path::Path;

/// `make matrix` has every combination, for longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_sends_plays_everywhere() {
    let weir = Path::new(env!("CARGO_BIN_EXE_weir"));
    testkit::soak::short_matrix(weir).await.unwrap();
}
