//! More events than a database takes, and a database that takes none: media must not notice.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use media::Span;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::api::{Api, metric};
use super::flock::land;
use super::receiver::{Receiver, Reply};
use crate::actors::{Decoder, Encoder, Postgres, Viewer, Weir};
use crate::lint::{Limits, Report, State};
use crate::poll::{self, Source};
use crate::soak::failover::ticker::Ticker;
use crate::soak::stage::say;

const NAME: &str = "news";
const EACH_SECOND: u64 = 10_000;
const TIME: Duration = Duration::from_secs(10);
/// Until the sessions of a burst are over: three target durations, and some.
const AFTER: Duration = Duration::from_secs(12);
const PATIENCE: Duration = Duration::from_secs(60);
const FPS: u64 = 30;
const READERS: usize = 10;

pub(super) async fn run(
    binary: &Path,
    postgres: Option<&Postgres>,
    waiting: &str,
) -> anyhow::Result<()> {
    let database = postgres.map(Postgres::database).transpose()?;
    let engine = database.as_ref().map_or("SQLite", |_| "PostgreSQL");
    say(&format!("\nWith {engine}, events.max_waiting = {waiting}"));
    let settings = [
        ("EGRESS__HOOKS", "127.0.0.1"),
        ("EVENTS__MAX_WAITING", waiting),
    ];
    let weir = Weir::start_set(binary, database, &settings).await?;
    let mut stage = Stage::set(&weir).await?;
    say(
        "\n| | sessions asked for a second | events a second | dropped | waited at most | waiting after | parts: gap p50 / p99 / most, ms | published p50 / p99 | edge p50 / p99 | player: longest pause, ms | machine, ms | resident KiB | CPU s |",
    );
    say("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    stage.phase("calm", false).await?;
    stage.phase("a burst", true).await?;
    stage.phase("its sessions end", false).await?;
    if let Some(postgres) = postgres {
        postgres.freeze()?;
        stage.phase("frozen, calm", false).await?;
        stage.phase("frozen, a burst", true).await?;
        stage.phase("frozen, its sessions end", false).await?;
        postgres.thaw()?;
        stage.phase("thawed", false).await?;
        stage.phase("later", false).await?;
    }
    stage.judge().await
}

struct Stage<'a> {
    weir: &'a Weir,
    api: Api,
    platform: Receiver,
    _encoder: Encoder,
    viewer: Viewer,
    decoder: Decoder,
    begun: Instant,
    ticker: Ticker,
    bursts: u32,
    lost: u64,
    broken: Vec<String>,
}

impl<'a> Stage<'a> {
    async fn set(weir: &'a Weir) -> anyhow::Result<Self> {
        let api = Api::of(weir)?;
        let platform = Receiver::start(|_| Reply::status(200)).await?;
        let hook = json!({"id": "news", "url": platform.url("news"), "events": ["stream.*", "input.*", "events.*", "database.*"]});
        api.post("hooks", &hook).await?;
        api.create(NAME).await?;
        let url = weir.publish_url(NAME)?;
        let encoder = Encoder::push(&url, "640x360", FPS as u32)?;
        weir.until(NAME, "live").await?;
        weir.until_growing(NAME).await?;
        let mut decoder = Decoder::play(&url)?;
        decoder.until(FPS, PATIENCE).await?;
        sleep(Duration::from_secs(5)).await;
        Ok(Self {
            weir,
            api,
            platform,
            _encoder: encoder,
            viewer: Viewer::play(&url)?,
            decoder,
            begun: Instant::now(),
            ticker: Ticker::start(),
            bursts: 0,
            lost: lost(weir).await?,
            broken: Vec::new(),
        })
    }

    /// As long as a burst and what comes after it, with or without one.
    async fn phase(&mut self, what: &str, burst: bool) -> anyhow::Result<()> {
        let before = Counts::of(self.weir).await?;
        let (cpu, _) = (self.weir.cpu()?, (self.ticker.take(), self.viewer.pace()));
        let time = if burst { TIME } else { AFTER };
        let config = lint(self.weir, time)?;
        let linting = poll::run(&config, Source::Always(State::NORMAL));
        self.bursts += u32::from(burst);
        let mark = format!("b{}", self.bursts);
        let weir = self.weir;
        let landing = async {
            match burst {
                true => land(weir.http, NAME, &mark, (EACH_SECOND, TIME)).await,
                false => Ok((0, TIME)),
            }
        };
        let (report, landed, most) = tokio::join!(linting, landing, most_waiting(weir, time));
        let (report, (served, took)) = (report?, landed?);
        let (after, most) = (Counts::of(weir).await?, most?);
        let figures = figures(&report);
        self.broken.extend(
            report
                .violations
                .iter()
                .map(|v| format!("{what}: {} {}: {}", v.rule, v.uri, v.seen)),
        );
        let asked = served as f64 / took.as_secs_f64();
        let told = (after.told - before.told) as f64 / time.as_secs_f64();
        let (dropped, waiting) = (after.dropped - before.dropped, after.waiting);
        let (pause, machine) = (
            self.viewer.pace().worst.as_millis(),
            self.ticker.take().as_millis(),
        );
        let rss = weir.footprint().await?.rss_kib;
        let cpu = (weir.cpu()?.saturating_sub(cpu)).as_secs_f64();
        say(&format!(
            "| {what} | {asked:.0} | {told:.0} | {dropped} | {most} | {waiting} | {figures} | {pause} | {machine} | {rss} | {cpu:.1} |"
        ));
        Ok(())
    }

    async fn judge(mut self) -> anyhow::Result<()> {
        let seconds = self.begun.elapsed().as_secs();
        let report = self.decoder.report()?;
        let lost = lost(self.weir).await? - self.lost;
        say(&format!(
            "\n- the decoder: {} pictures in {seconds} s, {} errors {:?}; media lost by the server: {lost}; rules broken: {}",
            report.pictures,
            report.errors.len(),
            report.errors.first(),
            self.broken.len()
        ));
        self.broken
            .iter()
            .take(10)
            .for_each(|b| say(&format!("  - {b}")));
        let begun = Instant::now();
        while metric(self.weir, "weir_events_waiting").await? > 0 {
            ensure!(begun.elapsed() < PATIENCE, "events wait for ever");
            sleep(Duration::from_millis(200)).await;
        }
        // Those who watched until now go, too.
        sleep(AFTER).await;
        self.account().await?;
        ensure!(
            report.errors.is_empty() && !report.ended,
            "the player noticed"
        );
        ensure!(report.pictures + 3 * FPS >= seconds * FPS, "pictures miss");
        ensure!(lost == 0, "{lost} frames were lost");
        ensure!(
            self.broken.is_empty(),
            "rules of low-latency HLS were broken"
        );
        Ok(())
    }

    /// What was dropped is told, and what was not is there.
    async fn account(&self) -> anyhow::Result<()> {
        let counts = Counts::of(self.weir).await?;
        let history = self.api.history("").await?;
        super::account::without_holes(&history)?;
        let of = |kind: &str| history.iter().filter(|e| e.kind == kind).count() as u64;
        let dropped = history.iter().filter(|e| e.kind == "events.dropped");
        let said: u64 = dropped.filter_map(|e| e.data["count"].as_u64()).sum();
        let heard = self.platform.asked("news");
        let heard = heard.iter().filter_map(|a| a.events().ok()).flatten();
        let heard = heard.filter(|e| e.kind == "events.dropped").count();
        say(&format!(
            "- {} events told, {} in the history ({} session.opened, {} session.closed), {} dropped; events.dropped: {} times, {said} in all, {heard} at the hook; database.degraded {}, database.recovered {}",
            counts.told,
            history.len(),
            of("session.opened"),
            of("session.closed"),
            counts.dropped,
            of("events.dropped"),
            of("database.degraded"),
            of("database.recovered")
        ));
        ensure!(
            said == counts.dropped,
            "{} dropped, {said} told",
            counts.dropped
        );
        let kept = history.len() as u64 - of("events.dropped");
        ensure!(
            kept + counts.dropped == counts.told,
            "{} told, {kept} kept",
            counts.told
        );
        Ok(())
    }
}

/// Of events, at one moment.
struct Counts {
    told: u64,
    dropped: u64,
    waiting: u64,
}

impl Counts {
    async fn of(weir: &Weir) -> anyhow::Result<Self> {
        Ok(Self {
            told: metric(weir, "weir_events_total").await?,
            dropped: metric(weir, "weir_events_dropped_total").await?,
            waiting: metric(weir, "weir_events_waiting").await?,
        })
    }
}

async fn most_waiting(weir: &Weir, time: Duration) -> anyhow::Result<u64> {
    let (begun, mut most) = (Instant::now(), 0);
    while begun.elapsed() < time {
        most = metric(weir, "weir_events_waiting").await?.max(most);
        sleep(Duration::from_millis(100)).await;
    }
    Ok(most)
}

async fn lost(weir: &Weir) -> anyhow::Result<u64> {
    Ok(crate::soak::database::Flow::of(weir).await?.lost)
}

fn lint(weir: &Weir, duration: Duration) -> anyhow::Result<poll::Config> {
    Ok(poll::Config {
        duration,
        readers: READERS,
        // Whoever makes the burst takes most of one processor.
        limits: Limits::of_slack(Span::from_secs(1)),
        ..poll::Config::new(&format!("{}/{NAME}/index.m3u8", weir.origin()?))
    })
}

fn figures(report: &Report) -> String {
    let video = report.figures.iter().find(|(uri, _)| uri.contains("v0"));
    let gap = video.map_or_else(String::new, |(_, f)| {
        let gap = f.gap_ms;
        format!("{} / {} / {}", gap.p50, gap.p99, gap.max)
    });
    let of = |name: &str| {
        let q = &report.readers[name];
        format!("{} / {}", q["p50"], q["p99"])
    };
    format!(
        "{gap} | {} | {}",
        of("part_downloaded_after_first_listing_ms"),
        of("part_downloaded_after_its_programme_time_ms")
    )
}
