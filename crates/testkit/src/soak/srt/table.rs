//! Every cell of loss, delay, latency, key and direction, all pairs of one at the same time.

use std::time::Duration;

use anyhow::ensure;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};

use super::cell::{Cell, Figures};
use super::{Args, Pair, show};
use crate::soak::failover::ticker::Ticker;

/// Of a second of television in good quality.
pub(super) const BITS: u64 = 8_000_000;
const MEASURED: u64 = 60;

pub(super) async fn run(args: &Args) -> anyhow::Result<()> {
    let seconds = args.seconds.unwrap_or(MEASURED);
    measure(
        &cells(args, Duration::from_secs(seconds)),
        args.pairs(),
        args.parallel,
    )
    .await
}

fn cells(args: &Args, measured: Duration) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (&loss, &rtt) in args
        .loss
        .iter()
        .flat_map(|l| args.rtt.iter().map(move |r| (l, r)))
    {
        for (&latency, &key) in args
            .latency
            .iter()
            .flat_map(|l| args.key.iter().map(move |k| (l, k)))
        {
            cells.extend(args.ways().iter().map(|&way| Cell {
                loss: loss / 100.0,
                rtt: Duration::from_millis(rtt),
                latency: Duration::from_millis(latency),
                key,
                way,
                refresh: None,
                bits: BITS,
                burst: args.burst,
                measured,
                seed: args.seed,
            }));
        }
    }
    cells
}

/// So many cells at a time, each with all pairs; then holds our own to libsrt's figures.
pub(super) async fn measure(cells: &[Cell], pairs: &[Pair], parallel: usize) -> anyhow::Result<()> {
    show::head();
    let measured = stream::iter(cells)
        .map(|cell| one(cell, pairs))
        .buffered(parallel.max(1));
    let all: Vec<_> = measured.collect().await;
    let failed = all.iter().flatten().filter(|(_, f)| f.is_none()).count();
    show::beside(&all);
    ensure!(failed == 0, "{failed} measurements could not be made");
    Ok(())
}

/// What a cell's pairs came to; none where one could not be measured.
pub(super) type Row = Vec<(Pair, Option<Figures>)>;

async fn one(cell: &Cell, pairs: &[Pair]) -> Row {
    let ticker = Ticker::start();
    let measured = join_all(pairs.iter().map(|pair| cell.measure(*pair))).await;
    let worst = ticker.take();
    let rows = pairs.iter().zip(measured).map(|(pair, figures)| {
        let figures = figures.map_err(|why| show::failed(cell, *pair, &why)).ok();
        if let Some(figures) = &figures {
            show::row(cell, *pair, figures, worst);
        }
        (*pair, figures)
    });
    rows.collect()
}
