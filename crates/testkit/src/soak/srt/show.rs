//! Cells as rows of a table.

use std::time::Duration;

use clap::ValueEnum as _;

use super::cell::{Cell, Figures};
use super::table::Row;
use super::{Pair, Way};
use crate::handmade::Kind;
use crate::soak::stage::say;

/// Delays of a cell say nothing where nobody ran for so long.
const UNDISTURBED: Duration = Duration::from_millis(50);

/// What stands above all rows.
pub(super) fn head() {
    say(
        "\n| loss % | RTT ms | latency ms | key | sends | pair | sent | lost | twice | late | damaged \
         | datagrams forth | per packet | again | bytes forth | datagrams back | ack | nak | CPU s sender | receiver \
         | MB sender | receiver | added ms p50 | p99 | most | even, odd, keys | link late ms p99 | pacer late ms | rig dropped | ticker ms |",
    );
    say(&format!("|--:|--:|--:|---|---|---|{}", "--:|".repeat(24)));
}

/// One measurement.
pub(super) fn row(cell: &Cell, pair: Pair, figures: &Figures, ticker: Duration) {
    let of = |n: u64| n as f64 / figures.arrivals.sent.max(1) as f64;
    let ms = |micros: i64| format!("{:.1}", micros as f64 / 1e3);
    let megabytes = |n: u64| format!("{:.1}", n as f64 / 1e6);
    let (forth, back) = (&figures.forth, &figures.back);
    let arrivals = &figures.arrivals;
    let mark = if ticker > UNDISTURBED { " (!)" } else { "" };
    let cells = [
        pair.name().to_owned(),
        arrivals.sent.to_string(),
        arrivals.missing.to_string(),
        arrivals.duplicate.to_string(),
        arrivals.reordered.to_string(),
        arrivals.damaged.to_string(),
        forth.taken.to_string(),
        format!("{:.4}", of(forth.taken)),
        forth.kind(Kind::Retransmitted).to_string(),
        forth.bytes.to_string(),
        back.taken.to_string(),
        (back.kind(Kind::Ack) + back.kind(Kind::LightAck)).to_string(),
        back.kind(Kind::Nak).to_string(),
        format!("{:.2}", figures.cpu[0]),
        format!("{:.2}", figures.cpu[1]),
        megabytes(figures.resident[0]),
        megabytes(figures.resident[1]),
        ms(figures.added.p50),
        ms(figures.added.p99),
        ms(figures.added.max),
        format!(
            "{}, {}, {}",
            forth.kind(Kind::Even),
            forth.kind(Kind::Odd),
            forth.kind(Kind::Key)
        ),
        format!("{:.2}", figures.link.p99.as_secs_f64() * 1e3),
        figures.pacer.as_millis().to_string(),
        figures.dropped.to_string(),
        format!("{}{mark}", ticker.as_millis()),
    ];
    say(&format!("| {} | {} |", place(cell), cells.join(" | ")));
    if !figures.said.is_empty() {
        say(&format!("<!-- {} -->", figures.said));
    }
}

/// One that could not be made.
pub(super) fn failed(cell: &Cell, pair: Pair, why: &anyhow::Error) {
    say(&format!(
        "| {} | {} | FAILED: {why:#} |",
        place(cell),
        pair.name()
    ));
}

fn place(cell: &Cell) -> String {
    let key = match cell.key {
        0 => "–".to_owned(),
        bytes => format!("AES-{}", u32::from(bytes) * 8),
    };
    let sends = match cell.way {
        Way::Publish => "caller",
        Way::Play => "listener",
    };
    let (rtt, latency) = (cell.rtt.as_millis(), cell.latency.as_millis());
    format!(
        "{} | {rtt} | {latency} | {key} | {sends}",
        cell.loss * 100.0
    )
}

type Figure = fn(&Figures) -> f64;

/// Ours beside libsrt's own, over all cells: what may be no more than so much.
pub(super) fn beside(all: &[Row]) {
    let sum = |pair: Pair, of: Figure| -> Option<f64> {
        let mut cells = all
            .iter()
            .flat_map(|row| row.iter().filter(|(p, _)| *p == pair));
        // A sum of some cells is no sum of all.
        cells.try_fold(0.0, |sum, (_, f)| f.as_ref().map(|f| sum + of(f)))
    };
    let figures: [(&str, Figure); 6] = [
        ("lost", |f| f.arrivals.missing as f64),
        ("datagrams forth", |f| f.forth.taken as f64),
        ("datagrams back", |f| f.back.taken as f64),
        ("datagrams both ways", |f| {
            (f.forth.taken + f.back.taken) as f64
        }),
        ("CPU s sender", |f| f.cpu[0]),
        ("CPU s receiver", |f| f.cpu[1]),
    ];
    say("\n| all cells | pair | sum | of libsrt's |\n|---|---|--:|--:|");
    for (name, of) in figures {
        for pair in Pair::value_variants() {
            let Some(ours) =
                sum(*pair, of).filter(|_| all.iter().flatten().any(|(p, _)| p == pair))
            else {
                continue;
            };
            let ratio = sum(Pair::Libsrt, of).filter(|theirs| *theirs > 0.0);
            let ratio =
                ratio.map_or_else(|| "–".to_owned(), |theirs| format!("{:.3}", ours / theirs));
            say(&format!(
                "| {name} | {} | {ours:.2} | {ratio} |",
                pair.name()
            ));
        }
    }
}
