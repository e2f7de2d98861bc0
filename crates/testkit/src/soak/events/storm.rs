//! A storm of encoders whose streams are made of a template: limits hold, others get in, all of it goes.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::api::{Api, metric};
use super::nursery::{Limits, Lives};
use super::push::{Rage, Script};
use crate::actors::{Decoder, Detour, Encoder, Weir};
use crate::soak::stage::say;

const PREFIX: &str = "storm";
const NAMES: usize = 1_000;
const AT_ONCE: usize = 200;
const IDLE_S: u64 = 5;
const LIMITS: Limits = Limits {
    per_address: 20,
    in_all: 40,
    per_minute: 100,
};
/// New ones a minute, where that is what limits.
const FEW: usize = 20;
const HONEST: u8 = 3;
/// How long one address storms; then many do.
const STORM: Duration = Duration::from_secs(40);
const MANY: Duration = Duration::from_secs(20);
/// A silent encoder is let go after ten seconds, its stream after its idle time.
const GONE: Duration = Duration::from_secs(10 + IDLE_S + 5);
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn run(binary: &Path) -> anyhow::Result<()> {
    let weir = Weir::start(binary).await?;
    let api = Api::of(&weir)?;
    create(&api).await?;
    let script = Script::take(&weir, PREFIX).await?;
    sleep(Duration::from_secs(IDLE_S + 2)).await;
    let calm = weir.footprint().await?;
    let Limits {
        per_address,
        in_all,
        per_minute,
    } = LIMITS;
    say(&format!(
        "- limits: {per_address} of an address, {in_all} in all, {per_minute} new ones a minute; {NAMES} names, {AT_ONCE} at once"
    ));
    let rage = Rage {
        script: &script,
        at: weir.rtmp,
        names: NAMES,
        at_once: AT_ONCE,
    };
    let one = rage.storm(STORM, |_| IpAddr::V4(Ipv4Addr::LOCALHOST));
    let (one, honest, first) = tokio::join!(one, Honest::come(&weir), peak(&weir, STORM));
    one.tell("one address");
    let mut honest = honest?;
    let second = many(&weir, &rage).await?;
    honest.judge()?;
    drop(one);
    after(&weir, &api, honest).await?;
    slowly(&weir, &api, &rage).await?;
    let third = many(&weir, &rage).await?;
    sleep(GONE).await;
    let end = weir.footprint().await?;
    say(&format!(
        "- before {calm:?}; of one address {} KiB at most, of many {second}, of many again {third}; at the end {end:?}",
        first?
    ));
    ensure!(
        third < second + second / 5,
        "memory grows with each storm: {second} KiB, {third} KiB"
    );
    ensure!(!weir.log()?.contains("panicked"), "a panic is in the log");
    let lives = Lives::of(&api.history("").await?);
    say(&lives.line());
    lives.hold(LIMITS)
}

/// From as many addresses as there are; tells how much memory that took.
async fn many(weir: &Weir, rage: &Rage<'_>) -> anyhow::Result<u64> {
    let storm = rage.storm(MANY, |n| {
        let last = u8::try_from(n % 250).unwrap_or(0) + 1;
        IpAddr::V4(Ipv4Addr::new(127, 0, 1, last))
    });
    let (tally, most) = tokio::join!(storm, peak(weir, MANY));
    tally.tell("250 addresses");
    most
}

/// Nobody makes more than so many a minute, whoever asks.
async fn slowly(weir: &Weir, api: &Api, rage: &Rage<'_>) -> anyhow::Result<()> {
    limit(api, FEW).await?;
    let births = || async { anyhow::Ok(api.history("type=stream.runtime_created").await?.len()) };
    let (before, begun) = (births().await?, Instant::now());
    many(weir, rage).await?;
    let (made, seconds) = (births().await? - before, begun.elapsed().as_secs_f64());
    say(&format!(
        "- with {FEW} new ones a minute: {made} were made in {seconds:.0} s"
    ));
    let most = FEW as f64 * (1.0 + seconds / 60.0);
    ensure!(made as f64 <= most && made > 0, "{made} were made");
    limit(api, LIMITS.per_minute).await?;
    sleep(GONE).await;
    Ok(())
}

async fn limit(api: &Api, per_minute: usize) -> anyhow::Result<()> {
    let change = json!({"auto_publish": {"max_per_minute": per_minute}});
    api.patch("templates/auto", &change).await.map(drop)
}

async fn create(api: &Api) -> anyhow::Result<()> {
    let input = json!({"id": "main", "url": "publish://", "key": null});
    let auto = json!({
        "prefixes": [PREFIX],
        "idle_timeout_s": IDLE_S,
        "max_per_address": LIMITS.per_address,
        "max_streams": LIMITS.in_all,
        "max_per_minute": LIMITS.per_minute,
    });
    let template = json!({"name": "auto", "inputs": [input], "auto_publish": auto});
    api.post("templates", &template).await.map(drop)
}

/// The most memory that was resident meanwhile.
async fn peak(weir: &Weir, time: Duration) -> anyhow::Result<u64> {
    let (begun, mut most) = (Instant::now(), 0);
    while begun.elapsed() < time {
        most = weir.footprint().await?.rss_kib.max(most);
        sleep(Duration::from_millis(500)).await;
    }
    Ok(most)
}

/// Encoders of other addresses that come while it storms, and who plays what they send.
struct Honest {
    encoders: Vec<(Encoder, Detour)>,
    decoders: Vec<Decoder>,
    begun: Instant,
}

impl Honest {
    async fn come(weir: &Weir) -> anyhow::Result<Self> {
        sleep(Duration::from_secs(5)).await;
        let all = join_all((0..HONEST).map(|n| Self::one(weir, n))).await;
        let (mut encoders, mut decoders) = (Vec::new(), Vec::new());
        for one in all {
            let (encoder, decoder) = one?;
            encoders.push(encoder);
            decoders.push(decoder);
        }
        Ok(Self {
            encoders,
            decoders,
            begun: Instant::now(),
        })
    }

    /// One that is refused tries again, as encoders do.
    async fn one(weir: &Weir, n: u8) -> anyhow::Result<((Encoder, Detour), Decoder)> {
        let detour = Detour::to(weir.rtmp, IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + n))).await?;
        let name = honest(n);
        let url = format!("rtmp://{}/live/{name}", detour.address);
        let begun = Instant::now();
        for tries in 1.. {
            let mut encoder = Encoder::push(&url, "160x90", 15)?;
            while !encoder.has_ended()? {
                if weir
                    .status(&name)
                    .await
                    .is_ok_and(|status| status == "live")
                {
                    let took = begun.elapsed();
                    say(&format!(
                        "- an honest encoder is live after {took:.1?}, at attempt {tries}"
                    ));
                    let mut decoder = Decoder::play(&weir.publish_url(&name)?)?;
                    decoder.until(15, PATIENCE).await?;
                    return Ok(((encoder, detour), decoder));
                }
                sleep(Duration::from_millis(100)).await;
            }
            ensure!(begun.elapsed() < PATIENCE, "{name} was kept out");
            sleep(Duration::from_secs(1)).await;
        }
        anyhow::bail!("never")
    }

    fn judge(&mut self) -> anyhow::Result<()> {
        let seconds = self.begun.elapsed().as_secs();
        for decoder in &mut self.decoders {
            let report = decoder.report()?;
            let (pictures, errors) = (report.pictures, &report.errors);
            say(&format!(
                "- its player: {pictures} pictures in {seconds} s, errors {errors:?}"
            ));
            ensure!(
                !report.ended && errors.is_empty() && pictures + 45 >= seconds * 15,
                "an honest one was disturbed"
            );
        }
        Ok(())
    }
}

fn honest(n: u8) -> String {
    format!("{PREFIX}/honest{n}")
}

/// All of it goes, but what was promoted.
async fn after(weir: &Weir, api: &Api, honest: Honest) -> anyhow::Result<()> {
    let kept = format!("streams/{}", self::honest(0).replace('/', "%2F"));
    api.post(&format!("{kept}/promote"), &json!({})).await?;
    drop(honest.decoders);
    for (encoder, _) in honest.encoders {
        encoder.kill().await?;
    }
    sleep(GONE).await;
    let page = api
        .get(&format!("streams?prefix={PREFIX}&limit=1000"))
        .await?;
    let items = page["items"].as_array().context("no list")?;
    let names: Vec<_> = items.iter().map(|s| s["name"].to_string()).collect();
    let born = metric(weir, "weir_runtime_streams").await?;
    say(&format!(
        "- {GONE:?} after the last encoder: {names:?}, {born} made by encoders"
    ));
    ensure!(
        names == [format!("\"{}\"", self::honest(0))] && born == 0,
        "streams stay"
    );
    Ok(())
}
