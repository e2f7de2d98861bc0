//! Every bad peer at one server, one after the other; an honest publisher and its player go on.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::ensure;

use super::callers::{CALLERS, call, insist};
use super::honest::{Honest, Server};
use super::raid::{Raider, Tally};
use crate::soak::failover::ticker::Ticker;
use crate::soak::stage::say;

/// Of `hostile`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Options {
    /// Of `hostile`: which server is started for it.
    #[arg(long, value_enum, default_value = "relay")]
    server: Server,
    /// Of `hostile`: one that runs already and passes on datagrams as they are, `news` in the clear and
    /// what begins with `secret` under a passphrase, as `weir-srt --relay` does.
    #[arg(long)]
    target: Option<SocketAddr>,
    /// Of `hostile`: its process, for its memory.
    #[arg(long, requires = "target")]
    process: Option<u32>,
    /// Of `hostile`: handshakes that are begun and left.
    #[arg(long, default_value_t = 10_000)]
    half_open: usize,
    /// Of `hostile`: what attackers would play.
    #[arg(long, default_value = "read:news")]
    play: String,
    /// Of `hostile`: what attackers would publish.
    #[arg(long, default_value = "publish:guest")]
    publish: String,
    /// Of `hostile`: what attackers would publish where there is a passphrase.
    #[arg(long, default_value = "publish:secret-too")]
    secret: String,
}

pub(super) async fn run(options: &Options, binary: &Path) -> anyhow::Result<()> {
    let honest = match options.target {
        Some(target) => Honest::at(target, options.process).await?,
        None => Honest::with(options.server, binary).await?,
    };
    let raider = Raider {
        target: honest.target,
        seed: 1,
        play: options.play.clone(),
        publish: options.publish.clone(),
        secret: options.secret.clone(),
    };
    let mut siege = Siege {
        honest,
        ticker: Ticker::start(),
        lost: 0,
    };
    siege.lay(&raider, options.half_open).await?;
    ensure!(siege.lost == 0, "honest ones lost {}", siege.lost);
    Ok(())
}

struct Siege {
    honest: Honest,
    ticker: Ticker,
    lost: u64,
}

impl Siege {
    async fn lay(&mut self, raider: &Raider, half_open: usize) -> anyhow::Result<()> {
        say(
            "\n| what comes | datagrams | answers | what is made of it | lost by honest ones \
             | MB resident | CPU s | ticker ms |\n|---|--:|--:|---|--:|--:|--:|--:|",
        );
        for (name, deed) in raider.deeds(half_open) {
            let raider = raider.clone();
            let at = self.honest.mark();
            let before = self.honest.footprint();
            let tally = tokio::task::spawn_blocking(move || deed(&raider)).await??;
            self.row(&name, &tally, at, before).await?;
        }
        for (name, stream, options) in CALLERS {
            let at = self.honest.mark();
            let before = self.honest.footprint();
            let verdict = call(self.honest.target, stream, options).await?;
            let tally = Tally {
                verdict,
                ..Tally::default()
            };
            self.row(&format!("libsrt, {stream}: {name}"), &tally, at, before)
                .await?;
        }
        let (at, before) = (self.honest.mark(), self.honest.footprint());
        insist(self.honest.target).await?;
        self.row("libsrt: two that insist", &Tally::default(), at, before)
            .await?;
        let (at, before) = (self.honest.mark(), self.honest.footprint());
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
        self.row("nothing any more", &Tally::default(), at, before)
            .await
    }

    async fn row(
        &mut self,
        name: &str,
        tally: &Tally,
        at: u64,
        before: Option<(u64, u64)>,
    ) -> anyhow::Result<()> {
        let lost = self.honest.lost(at).await?;
        self.lost += lost;
        let print = self
            .honest
            .footprint()
            .zip(before)
            .map(|((resident, cpu), (_, then))| {
                let spent = cpu.saturating_sub(then) as f64 / 1e9;
                format!("{:.1} | {spent:.2}", resident as f64 / 1e6)
            });
        let print = print.unwrap_or_else(|| "– | –".to_owned());
        let (sent, heard, verdict) = (tally.sent, tally.heard, &tally.verdict);
        let ticker = self.ticker.take().as_millis();
        say(&format!(
            "| {name} | {sent} | {heard} | {verdict} | {lost} | {print} | {ticker} |"
        ));
        Ok(())
    }
}
