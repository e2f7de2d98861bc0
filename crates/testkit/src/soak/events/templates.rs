//! Many streams of one template, some of them live: the template changes, all follow, nobody notices.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::account::Told;
use super::api::Api;
use crate::actors::{Decoder, Encoder, Kind, Postgres, Weir, Witness};
use crate::soak::failover::ticker::Ticker;
use crate::soak::stage::say;

const STREAMS: usize = 500;
const LIVE: usize = 6;
const PATCHES: usize = 20;
const TEMPLATE: &str = "base";
/// From the request until all of them have it.
const MOST: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);
const FPS: u64 = 15;

pub(super) async fn run(binary: &Path, postgres: Option<&Postgres>) -> anyhow::Result<()> {
    let database = postgres.map(Postgres::database).transpose()?;
    say(&format!(
        "\nWith {}",
        database.as_ref().map_or("SQLite", |_| "PostgreSQL")
    ));
    let weir = Weir::start_set(binary, database, &[]).await?;
    let api = Api::of(&weir)?;
    create(&api).await?;
    let mut live = Live::set(&weir).await?;
    let ticker = Ticker::start();
    let (print, begun) = (weir.footprint().await?, Instant::now());
    let mut rows = Vec::new();
    for n in 0..PATCHES {
        let (change, pointer, value) = change(n);
        rows.push(patch(&api, &change, pointer, &value).await?);
        sleep(Duration::from_millis(1_500)).await;
    }
    let took = begun.elapsed();
    tell(&rows);
    say(&ticker.line());
    let after = weir.footprint().await?;
    say(&format!("- the server: {print:?}, then {after:?}"));
    live.judge(&api, took).await?;
    let slowest = rows.iter().map(|row| row.all).max();
    ensure!(
        slowest.is_some_and(|s| s < MOST),
        "all of them had it after {slowest:?}"
    );
    Ok(())
}

/// The streams say nothing but their name and their template.
async fn create(api: &Api) -> anyhow::Result<()> {
    let input = json!({"id": "main", "url": "publish://", "key": null});
    let template = json!({"name": TEMPLATE, "inputs": [input], "hls": {"window_s": 60}});
    api.post("templates", &template).await?;
    let begun = Instant::now();
    let making = (0..STREAMS).map(|n| async move {
        let made = json!({"name": name(n), "template": TEMPLATE});
        api.post("streams", &made).await.map(drop)
    });
    stream::iter(making)
        .buffer_unordered(8)
        .try_collect::<()>()
        .await?;
    say(&format!(
        "- {STREAMS} streams were made in {:.1?}",
        begun.elapsed()
    ));
    Ok(())
}

fn name(n: usize) -> String {
    format!("t/{n}")
}

/// What is changed, and where all of them then show it.
fn change(n: usize) -> (Value, &'static str, Value) {
    match n % 4 {
        0 => {
            let value = json!(61 + n);
            let change = json!({"hls": {"window_s": value}});
            (change, "/effective/hls/window_s", value)
        }
        1 => {
            let value = json!(3_000 + n);
            let change = json!({"failover": {"failback_after_ms": value}});
            (change, "/effective/failover/failback_after_ms", value)
        }
        2 => {
            let value = json!(n.to_string());
            let change = json!({"labels": {"n": value}});
            (change, "/effective/labels/n", value)
        }
        _ => {
            let value = json!(1_000 + n);
            let change = json!({"failover": {"max_lead_ms": value}});
            (change, "/effective/failover/max_lead_ms", value)
        }
    }
}

struct Row {
    what: String,
    reply: Duration,
    /// Until every one of them shows it.
    all: Duration,
    streams: Value,
}

async fn patch(api: &Api, change: &Value, pointer: &str, value: &Value) -> anyhow::Result<Row> {
    let begun = Instant::now();
    let path = format!("templates/{TEMPLATE}");
    let answer = api.patch(&path, change).await?;
    let reply = begun.elapsed();
    loop {
        let page = api.get("streams?prefix=t/&limit=1000").await?;
        let items = page["items"].as_array().context("no list")?;
        let shown = items.iter().filter(|s| s.pointer(pointer) == Some(value));
        if shown.count() == STREAMS {
            break;
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "{pointer} is not {value} everywhere: {}",
            items[0]["effective"]
        );
    }
    Ok(Row {
        what: change.to_string().replace('"', ""),
        reply,
        all: begun.elapsed(),
        streams: answer["runtime"]["streams"].clone(),
    })
}

fn tell(rows: &[Row]) {
    say(
        "\n| change | streams | reply, ms | effective on all, ms (with reading the list) |\n|---|--:|--:|--:|",
    );
    for row in rows {
        let (reply, all) = (row.reply.as_millis(), row.all.as_millis());
        say(&format!(
            "| {} | {} | {reply} | {all} |",
            row.what, row.streams
        ));
    }
    say("");
}

/// Encoders and players of some of them.
struct Live {
    _encoders: Vec<Encoder>,
    /// Of HLS, then of RTMP.
    decoders: Vec<Decoder>,
    before: Vec<u64>,
    witnesses: Vec<Witness>,
}

impl Live {
    async fn set(weir: &Weir) -> anyhow::Result<Self> {
        let (mut encoders, mut decoders, mut witnesses) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..LIVE {
            let url = weir.publish_url(&name(n))?;
            encoders.push(Encoder::push(&url, "320x180", FPS as u32)?);
        }
        for n in 0..LIVE {
            weir.until(&name(n), "live").await?;
            weir.until_growing(&name(n)).await?;
        }
        for n in 0..LIVE {
            let rtmp = weir.publish_url(&name(n))?;
            let hls = format!("{}/{}/index.m3u8", weir.origin()?, name(n));
            if n % 2 == 0 {
                decoders.push(Decoder::play(&hls)?);
            } else {
                decoders.push(Decoder::play(&rtmp)?);
                witnesses.push(Witness::play(&rtmp, Kind::Video)?);
            }
        }
        let mut before = Vec::new();
        for decoder in &mut decoders {
            before.push(decoder.until(30, PATIENCE).await?.pictures);
        }
        Ok(Self {
            _encoders: encoders,
            decoders,
            before,
            witnesses,
        })
    }

    async fn judge(&mut self, api: &Api, took: Duration) -> anyhow::Result<()> {
        sleep(Duration::from_secs(3)).await;
        let due = took.as_secs() * FPS;
        let (mut least, mut errors) = (u64::MAX, Vec::new());
        for (decoder, before) in self.decoders.iter_mut().zip(&self.before) {
            let report = decoder.report()?;
            ensure!(!report.ended, "a player gave up: {report:?}");
            least = least.min(report.pictures - before);
            errors.extend(report.errors);
        }
        let (mut frames, mut back) = (0, 0);
        for witness in &mut self.witnesses {
            let seen = witness.take()?;
            frames += seen.len();
            back += seen.windows(2).filter(|w| w[1].dts <= w[0].dts).count();
        }
        let filter = "type=publish.*,input.*,session.closed,stream.stopped,stream.restarted,hold.*";
        let history = api.history(filter).await?;
        // Playlists that this room asked for are sessions too.
        let told = |e: &&Told| match e.kind.as_str() {
            "publish.started" | "input.up" | "input.connected" => false,
            "session.closed" => e.data["protocol"] == "rtmp",
            _ => true,
        };
        let again = history.iter().filter(told);
        let again: Vec<_> = again.map(|e| format!("{} {}", e.stream, e.kind)).collect();
        say(&format!(
            "- {} players of {LIVE} live streams: {} errors, each decoded {least} pictures or more in {took:.1?} ({due} were due), {frames} frames over RTMP of which {back} went back in time; events of interruptions: {again:?}",
            self.decoders.len() + self.witnesses.len(),
            errors.len(),
        ));
        ensure!(
            errors.is_empty() && back == 0,
            "players noticed: {errors:?}"
        );
        ensure!(least + 3 * FPS >= due, "pictures miss");
        ensure!(again.is_empty(), "streams were interrupted");
        Ok(())
    }
}
