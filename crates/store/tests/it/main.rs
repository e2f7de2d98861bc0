//! The store against real SQLite files.

#![allow(clippy::unwrap_used)]

mod numbering;
mod opening;
mod streams;

use store::{NewRow, Store};
use tempfile::TempDir;

/// The directory goes when the test ends, so it is handed out with the URL.
fn database() -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let url = url(&dir);
    (dir, url)
}

fn url(dir: &TempDir) -> String {
    format!("sqlite:{}", dir.path().join("weir.db").display())
}

async fn memory() -> Store {
    Store::open("sqlite::memory:").await.unwrap()
}

fn row(n0: i64) -> NewRow {
    NewRow {
        t0_ns: n0 * 2_000_000_000,
        n0,
        d_ns: 2_000_000_000,
        target_duration: 2,
        regular: true,
        segment_ns: 2_000_000_000,
    }
}
