//! `kill -9` of the server while events pour in and queues wait: nothing that was told may be lost.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use rand::Rng as _;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::account::{Account, without_holes};
use super::api::Api;
use super::pour::Pouring;
use super::receiver::{Asked, Receiver, Reply};
use crate::actors::{Postgres, Weir};
use crate::soak::stage::say;

const STREAMS: usize = 10;
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(400);
/// How the receiver is, for so long each.
const MOOD: Duration = Duration::from_secs(2);
const SETTINGS: [(&str, &str); 1] = [("EGRESS__HOOKS", "127.0.0.1")];

pub(super) async fn run(
    binary: &Path,
    kills: u32,
    postgres: Option<&Postgres>,
) -> anyhow::Result<()> {
    let database = postgres.map(Postgres::database).transpose()?;
    say(&format!(
        "\n{kills} times, with {}",
        database.as_ref().map_or("SQLite", |_| "PostgreSQL")
    ));
    let mut weir = Weir::start_set(binary, database, &SETTINGS).await?;
    let receiver = Receiver::start(moody()).await?;
    let api = Api::of(&weir)?;
    for (id, batch) in [("single", 1), ("batch", 50)] {
        let hook = json!({"id": id, "url": receiver.url(id), "batch_events": batch, "batch_wait_ms": 100, "timeout_ms": 2000});
        // What was told just before a hook was made may be told to it.
        sleep(PAUSE * 5).await;
        api.post("hooks", &hook).await?;
    }
    let streams: Vec<_> = (0..STREAMS).map(|n| format!("news/{n}")).collect();
    for stream in &streams {
        api.create(stream).await?;
    }
    let pouring = Pouring::start(&api, &streams, PAUSE);
    let (mut waited, mut slowest) = (Vec::new(), Duration::ZERO);
    for _ in 0..kills {
        sleep(Duration::from_millis(rand::rng().random_range(100..1_500))).await;
        waited.extend(waiting(&api).await);
        weir.kill().await?;
        let begun = Instant::now();
        weir.resume().await?;
        slowest = slowest.max(begun.elapsed());
    }
    let changed = pouring.stop().await?;
    receiver.behave(|_| Reply::status(200));
    let after = api.until_delivered(&["single", "batch"], PATIENCE).await?;
    waited.sort_unstable();
    say(&format!(
        "- {changed} changes were answered; when it was killed {} to {} events waited (median {}); ready again after {slowest:.1?} at most; nothing waits {after:.1?} after the last",
        waited.first().copied().unwrap_or(0),
        waited.last().copied().unwrap_or(0),
        waited.get(waited.len() / 2).copied().unwrap_or(0),
    ));
    judge(&api, &receiver, (kills, changed)).await?;
    ensure!(!weir.log()?.contains("panicked"), "a panic is in the log");
    Ok(())
}

/// Events that wait for the first hook.
async fn waiting(api: &Api) -> Option<u64> {
    api.hook("single").await.ok()?["waiting"].as_u64()
}

async fn judge(api: &Api, receiver: &Receiver, (kills, changed): (u32, u64)) -> anyhow::Result<()> {
    let history = api.history("").await?;
    let count = |kind: &str| history.iter().filter(|event| event.kind == kind).count();
    let (told, starts) = (count("stream.updated"), count("server.started"));
    say(&format!(
        "- {} events, ids 1 to {}, server.started {starts} times, stream.updated {told} times",
        history.len(),
        history.last().map_or(0, |event| event.id),
    ));
    say(&format!("\n{}", Account::HEAD));
    let mut broken = Vec::new();
    for id in ["single", "batch"] {
        let made = |e: &&super::account::Told| e.kind == "hook.created" && e.data["hook"] == id;
        let since = history.iter().find(made).map_or(0, |event| event.id);
        let wants = history
            .iter()
            .filter(|e| e.id > since && !e.is_about(id))
            .cloned();
        let wanted: Vec<_> = wants.collect();
        let account = Account::of(&wanted, &receiver.asked(id), &BTreeSet::new())?;
        say(&account.row(id));
        broken.extend(account.holds(id).err());
    }
    without_holes(&history)?;
    ensure!(starts > kills as usize, "{starts} of {} starts", kills + 1);
    let lost = changed.saturating_sub(told as u64);
    say(&format!(
        "\n- changes that were answered and of which no event was committed before a kill: at least {lost}"
    ));
    broken.into_iter().next().map_or(Ok(()), Err)
}

/// By turns quick, slow, failing, and too slow.
fn moody() -> impl FnMut(&Asked) -> Reply + Send + 'static {
    let begun = Instant::now();
    move |_| {
        let turn = begun.elapsed().as_millis() / MOOD.as_millis();
        match turn % 5 {
            0 | 2 => Reply::status(200),
            1 => Reply::status(200).after(PAUSE * 4),
            3 => Reply::status(503),
            _ => Reply::status(200).after(MOOD * 2),
        }
    }
}
