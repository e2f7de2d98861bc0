//! Receivers in every mood: dead for a while, slow, failing, refusing, redirecting, busy.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::account::{Account, Told};
use super::api::Api;
use super::pour::Pouring;
use super::receiver::{Asked, Receiver, Reply};
use super::{loopback, signature};
use crate::actors::Weir;
use crate::soak::stage::say;

/// One of plain text, one as Standard Webhooks writes it.
const SECRETS: [&str; 2] = [
    "a-secret-of-the-room",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
];
const STREAMS: usize = 8;
const PAUSE: Duration = Duration::from_millis(100);
const BEFORE: Duration = Duration::from_secs(10);
/// The last wait of a back-off may be as long as this, and then there is a queue.
const PATIENCE: Duration = Duration::from_secs(400);
const BUSY: Duration = Duration::from_secs(3);
/// What a receiver is asked for with, and its hook's other members.
const HOOKS: [(&str, &str); 9] = [
    ("killed", r#"{"events": ["stream.*"]}"#),
    ("all", "{}"),
    ("slow", r#"{"events": ["stream.*"], "timeout_ms": 1000}"#),
    ("broken", r#"{"events": ["stream.*"]}"#),
    ("refused", r#"{"events": ["stream.*"]}"#),
    ("gone", r#"{"events": ["stream.*"]}"#),
    ("redirected", r#"{"events": ["stream.*"]}"#),
    ("busy", r#"{"events": ["stream.*"]}"#),
    (
        "batch",
        r#"{"events": ["stream.*"], "batch_events": 20, "batch_wait_ms": 200}"#,
    ),
];
/// Those that refuse some for good.
const REFUSING: [&str; 3] = ["refused", "gone", "batch"];

pub(super) async fn run(binary: &Path, seconds: u64) -> anyhow::Result<()> {
    let room = Room::set(binary).await?;
    let done = room.go(Duration::from_secs(seconds)).await;
    let kept_out = loopback::run(binary).await;
    done.and(kept_out)
}

struct Room {
    weir: Weir,
    api: Api,
    platform: Receiver,
    mortal: Receiver,
    /// Where redirects lead.
    elsewhere: Receiver,
    lenient: Arc<AtomicBool>,
}

impl Room {
    async fn set(binary: &Path) -> anyhow::Result<Self> {
        let weir = Weir::start_set(binary, None, &[("EGRESS__HOOKS", "127.0.0.1")]).await?;
        let take = |_: &Asked| Reply::status(200);
        let (mortal, elsewhere) = (Receiver::start(take).await?, Receiver::start(take).await?);
        let lenient = Arc::<AtomicBool>::default();
        let moods = moods(elsewhere.url("here"), Arc::clone(&lenient));
        let room = Self {
            api: Api::of(&weir)?,
            platform: Receiver::start(moods).await?,
            weir,
            mortal,
            elsewhere,
            lenient,
        };
        for (at, (id, members)) in HOOKS.iter().enumerate() {
            let mut hook: Value = serde_json::from_str(members)?;
            hook["id"] = json!(id);
            hook["url"] = json!(room.receiver(id).url(id));
            hook["secret"] = json!(SECRETS[at % 2]);
            // What was told just before a hook was made may be told to it.
            sleep(PAUSE).await;
            room.api.post("hooks", &hook).await?;
        }
        Ok(room)
    }

    fn receiver(&self, hook: &str) -> &Receiver {
        match hook {
            "killed" => &self.mortal,
            _ => &self.platform,
        }
    }

    async fn go(mut self, away: Duration) -> anyhow::Result<()> {
        let streams: Vec<_> = (0..STREAMS).map(|n| format!("news/{n}")).collect();
        for stream in &streams {
            self.api.create(stream).await?;
        }
        let pouring = Pouring::start(&self.api, &streams, PAUSE);
        sleep(BEFORE).await;
        self.mortal.kill();
        sleep(away).await;
        let runtime = self.api.hook("killed").await?;
        ensure!(runtime["failing"] == true, "it is not failing: {runtime}");
        say(&format!(
            "- a receiver that was dead for {away:?}: {} events wait, {} requests failed, {}",
            runtime["waiting"], runtime["failures"], runtime["last_error"]
        ));
        let (back, before) = (Instant::now(), self.mortal.count("killed"));
        self.mortal.resume().await?;
        sleep(BEFORE).await;
        let changed = pouring.stop().await?;
        let ids = HOOKS.map(|(id, _)| id);
        self.api.until_delivered(&ids, PATIENCE).await?;
        let first = self.mortal.asked("killed").get(before).map(|a| a.at - back);
        say(&format!(
            "- back: asked again after {:.1} s, nothing waits for any hook after {:.1} s; {changed} changes were made",
            first.context("never asked again")?.as_secs_f64(),
            back.elapsed().as_secs_f64()
        ));
        self.judge().await
    }

    async fn judge(&self) -> anyhow::Result<()> {
        let mut dead = Vec::new();
        for id in REFUSING {
            dead.push(self.replay(id).await?);
        }
        let history = self.api.history("").await?;
        super::account::without_holes(&history)?;
        say(&format!("\n{}", Account::HEAD));
        let mut broken = Vec::new();
        for (id, _) in HOOKS {
            let asked = self.receiver(id).asked(id);
            let refused = REFUSING.iter().position(|r| *r == id);
            let excused = refused.map_or_else(BTreeSet::new, |at| dead[at].clone());
            let account = Account::of(&wanted(&history, id), &asked, &excused)?;
            say(&account.row(id));
            broken.extend(account.holds(id).err());
        }
        say("");
        let followed = self.elsewhere.count("");
        say(&format!(
            "- redirects: {} answered, {followed} followed",
            answered(&self.platform.asked("redirected"), 300..400)
        ));
        ensure!(followed == 0, "a redirect was followed");
        self.busy()?;
        for (at, (id, _)) in HOOKS.iter().enumerate() {
            let asked = self.receiver(id).asked(id);
            signature::check(id, SECRETS[at % 2], &asked).await?;
        }
        let print = self.weir.footprint().await?;
        say(&format!("- the server at the end: {print:?}"));
        broken.into_iter().next().map_or(Ok(()), Err)
    }

    /// What was refused for good is listed, and arrives once it is tried again.
    async fn replay(&self, hook: &str) -> anyhow::Result<BTreeSet<u64>> {
        let ids = |all: &[Value]| -> BTreeSet<_> {
            let id = |letter: &Value| letter["event"]["id"].as_u64();
            all.iter().filter_map(id).collect()
        };
        let dead = ids(&self.api.dead(hook).await?);
        let history = self.api.history("type=stream.*").await?;
        let refuses = history.iter().filter(|event| is_refused(hook, event));
        let refused: BTreeSet<_> = refuses.map(|event| event.id).collect();
        ensure!(
            dead == refused && !dead.is_empty(),
            "{hook}: {} dead letters, {} refused; in one alone: {:?}",
            dead.len(),
            refused.len(),
            dead.symmetric_difference(&refused).collect::<Vec<_>>()
        );
        self.lenient.store(true, Relaxed);
        self.api
            .post(&format!("hooks/{hook}/dead/replay"), &json!({}))
            .await?;
        self.api.until_delivered(&[hook], PATIENCE).await?;
        let left = self.api.dead(hook).await?.len();
        self.lenient.store(false, Relaxed);
        say(&format!(
            "- {hook}: {} dead letters listed, all replayed, {left} left",
            dead.len()
        ));
        ensure!(left == 0, "{hook}: dead letters stay");
        Ok(dead)
    }

    /// Who says when to come again is not asked before.
    fn busy(&self) -> anyhow::Result<()> {
        let asked = self.platform.asked("busy");
        let mut waits = Vec::new();
        for (at, request) in asked.iter().enumerate().filter(|(_, a)| a.status == 429) {
            let next = asked[at + 1..].iter().find(|later| later.id == request.id);
            waits.push((next.context("never again")?.at - request.at).as_millis());
        }
        waits.sort_unstable();
        say(&format!(
            "- 429 with Retry-After {BUSY:?}: {} times, asked again after {:?} to {:?} ms",
            waits.len(),
            waits.first(),
            waits.last()
        ));
        ensure!(
            waits.first().is_some_and(|w| *w >= BUSY.as_millis()),
            "too early"
        );
        Ok(())
    }
}

fn wanted(history: &[Told], hook: &str) -> Vec<Told> {
    let made = |event: &&Told| event.kind == "hook.created" && event.data["hook"] == hook;
    let since = history.iter().find(made).map_or(0, |event| event.id);
    let all = history.iter().filter(|event| event.id > since);
    all.filter(|event| match hook {
        "all" => !event.is_about(hook),
        _ => event.kind.starts_with("stream."),
    })
    .cloned()
    .collect()
}

fn answered(asked: &[Asked], statuses: std::ops::Range<u16>) -> usize {
    asked
        .iter()
        .filter(|a| statuses.contains(&a.status))
        .count()
}

fn is_refused(hook: &str, event: &Told) -> bool {
    match hook {
        "refused" => event.seq.is_multiple_of(10),
        "gone" => event.seq % 10 == 5,
        "batch" => event.seq.is_multiple_of(50),
        _ => false,
    }
}

/// What each path answers.
fn moods(
    elsewhere: String,
    lenient: Arc<AtomicBool>,
) -> impl FnMut(&Asked) -> Reply + Send + 'static {
    let begun = Instant::now();
    let (mut count, mut known) = (0_usize, HashSet::new());
    move |asked| {
        count += 1;
        let events = asked.events().unwrap_or_default();
        let seq = events.first().map_or(0, |event| event.seq);
        let first = known.insert(asked.id.clone());
        let refused = events.iter().any(|event| is_refused(&asked.path, event));
        match asked.path.as_str() {
            _ if refused && !lenient.load(Relaxed) => {
                Reply::status(if asked.path == "gone" { 410 } else { 400 })
            }
            "slow" if first && seq.is_multiple_of(60) => Reply::status(200).after(BUSY / 2),
            "slow" => Reply::status(200).after(PAUSE / 4),
            "broken" if begun.elapsed() < BEFORE => Reply::status(500),
            "broken" | "batch" if count.is_multiple_of(101) => Reply::status(503),
            "redirected" if first && seq.is_multiple_of(40) => {
                let status = [301, 302, 303, 307, 308][count % 5];
                Reply::status(status).with("location", &elsewhere)
            }
            "busy" if first && seq.is_multiple_of(100) => {
                Reply::status(429).with("retry-after", "3")
            }
            _ => Reply::status(200),
        }
    }
}
