//! Ten minutes over a bad link, with keys that change on the way.

use std::time::Duration;

use super::Args;
use super::cell::Cell;
use super::table::{BITS, measure};

const MEASURED: u64 = 600;
/// A key lasts 13 s at 8 Mb/s, and the next is announced 1.3 s before.
const REFRESH: (u32, u32) = (10_000, 1_000);

pub(super) async fn run(args: &Args) -> anyhow::Result<()> {
    let seconds = args.seconds.unwrap_or(MEASURED);
    let of = |key| {
        args.ways().iter().map(move |&way| Cell {
            loss: 0.02,
            rtt: Duration::from_millis(40),
            latency: Duration::from_millis(200),
            key,
            way,
            refresh: Some(REFRESH),
            bits: BITS,
            burst: args.burst,
            measured: Duration::from_secs(seconds),
            seed: args.seed,
        })
    };
    let cells: Vec<_> = args.key.iter().flat_map(|&key| of(key)).collect();
    measure(&cells, args.pairs(), args.parallel).await
}
