//! A platform that is asked before encoders and players are let in, with real ones of both.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::api::Api;
use super::receiver::{Receiver, Reply};
use crate::actors::{Attempt, Encoder, Weir};
use crate::soak::stage::say;

const SHORT: Duration = Duration::from_secs(3);
/// Less than the answer of a platform that is too slow takes.
const TIMEOUT_MS: u64 = 500;
pub(super) const CACHE: Duration = Duration::from_secs(4);
const NAME: &str = "door";
const OTHER: &str = "other";

pub(super) async fn run(binary: &Path) -> anyhow::Result<()> {
    let mut room = Room::set(binary).await?;
    say("| who | platform | on_failure | let in | questions | what the peer heard |");
    say("|---|---|---|---|--:|---|");
    room.publishers().await?;
    room.players().await?;
    room.failures().await?;
    say("");
    room.once().await?;
    room.viewers().await?;
    let said = room.told().await;
    room.wrong.extend(said.err().map(|e| format!("{e:#}")));
    ensure!(room.wrong.is_empty(), "{}", room.wrong.join("; "));
    Ok(())
}

pub(super) struct Room {
    pub(super) weir: Weir,
    pub(super) api: Api,
    pub(super) platform: Receiver,
    /// Feeds what players play.
    _encoder: Encoder,
    pub(super) wrong: Vec<String>,
    credential: u32,
}

/// Who comes, and what is expected of that.
struct Case {
    who: &'static str,
    answer: &'static str,
    on_failure: &'static str,
    enters: bool,
    words: &'static str,
}

impl Room {
    async fn set(binary: &Path) -> anyhow::Result<Self> {
        let weir = Weir::start_set(binary, None, &[("EGRESS__HOOKS", "127.0.0.1")]).await?;
        let api = Api::of(&weir)?;
        for name in [NAME, OTHER, "stage"] {
            api.create(name).await?;
        }
        let encoder = Encoder::push(&weir.publish_url("stage")?, "320x180", 15)?;
        weir.until("stage", "live").await?;
        weir.until_growing("stage").await?;
        Ok(Self {
            platform: Receiver::start(|_| Reply::status(200)).await?,
            weir,
            api,
            _encoder: encoder,
            wrong: Vec::new(),
            credential: 0,
        })
    }

    /// Both callbacks of a stream.
    pub(super) async fn ask_at(
        &self,
        name: &str,
        url: &str,
        on_failure: &str,
    ) -> anyhow::Result<()> {
        let callback = json!({"url": url, "on_failure": on_failure, "timeout_ms": TIMEOUT_MS,
            "cache_s": CACHE.as_secs(), "secret": "a-secret-of-the-room"});
        let change = json!({"on_publish": callback, "on_play": callback});
        let path = format!("streams/{name}");
        self.api.patch(&path, &change).await.map(drop)
    }

    /// A credential that was never seen.
    fn query(&mut self) -> String {
        self.credential += 1;
        format!("?user={}", self.credential)
    }

    /// Comes, sees, and writes it down.
    async fn case(&mut self, case: Case) -> anyhow::Result<()> {
        let name = if case.who == "encoder" { NAME } else { "stage" };
        let url = self.platform.url(name);
        self.ask_at(name, &url, case.on_failure).await?;
        let before = self.platform.count(name);
        let url = format!("{}{}", self.weir.publish_url(name)?, self.query());
        let attempt = match case.who {
            "encoder" => Attempt::push(&url, SHORT).await?,
            _ => Attempt::play(&url, SHORT).await?,
        };
        let asked = self.platform.count(name) - before;
        let heard = attempt.said.lines().find(|l| l.contains(case.words));
        let heard = heard.or_else(|| attempt.said.lines().next());
        let heard = heard.unwrap_or_default().replace('|', "/");
        say(&format!(
            "| {} | {} | {} | {} | {asked} | {heard} |",
            case.who, case.answer, case.on_failure, attempt.ok
        ));
        if attempt.ok != case.enters || (!case.enters && !attempt.said.contains(case.words)) {
            let (who, answer) = (case.who, case.answer);
            self.wrong
                .push(format!("{who}, {answer}: {}", attempt.said.trim()));
        }
        Ok(())
    }

    async fn publishers(&mut self) -> anyhow::Result<()> {
        self.answers("encoder", OTHER).await?;
        let bytes = self.weir.stream(OTHER).await?;
        let sessions = self.published(OTHER).await?;
        say(&format!(
            "| | | | | | the other stream had {sessions} publisher(s), status {} |",
            bytes["runtime"]["status"]
        ));
        if sessions != 1 {
            self.wrong.push("nobody was led to the other stream".into());
        }
        Ok(())
    }

    /// How often somebody published a stream.
    async fn published(&self, name: &str) -> anyhow::Result<usize> {
        let filter = format!("type=publish.started&stream={name}");
        Ok(self.api.history(&filter).await?.len())
    }

    async fn players(&mut self) -> anyhow::Result<()> {
        // What is played instead must be there.
        self.answers("player", "show").await
    }

    async fn answers(&mut self, who: &'static str, to: &str) -> anyhow::Result<()> {
        let mut _show = None;
        if to == "show" {
            self.api.create(to).await?;
            _show = Some(Encoder::push(&self.weir.publish_url(to)?, "160x90", 15)?);
            self.weir.until(to, "live").await?;
        }
        let allow = Reply::status(204);
        let words = Reply::json(&json!({"allow": false, "reason": "not before eight"}));
        let status = Reply {
            body: json!({"reason": "your account is closed"}).to_string(),
            ..Reply::status(403)
        };
        let led = Reply::json(&json!({"redirect": to}));
        let nowhere = Reply::json(&json!({"redirect": "nowhere"}));
        for (answer, reply, enters, words) in [
            ("204", allow, true, ""),
            ("allow: false", words, false, "not before eight"),
            ("403", status, false, "your account is closed"),
            ("redirect", led, true, ""),
            ("redirect to nothing", nowhere, false, ""),
        ] {
            self.platform.behave(move |_| reply.clone());
            self.case(Case {
                who,
                answer,
                on_failure: "deny",
                enters,
                words,
            })
            .await?;
        }
        Ok(())
    }

    /// Platforms that do not answer in time, or not at all, or not with an answer.
    async fn failures(&mut self) -> anyhow::Result<()> {
        for who in ["encoder", "player"] {
            for (on_failure, enters) in [("deny", false), ("allow", true)] {
                for answer in ["too slow", "500", "302", "dead"] {
                    let reply = match answer {
                        "too slow" => Reply::status(200).after(SHORT),
                        "302" => {
                            Reply::status(302).with("location", &self.platform.url("elsewhere"))
                        }
                        _ => Reply::status(500),
                    };
                    self.platform.behave(move |_| reply.clone());
                    if answer == "dead" {
                        self.platform.kill();
                    }
                    self.case(Case {
                        who,
                        answer,
                        on_failure,
                        enters,
                        words: "nobody can say whether you may",
                    })
                    .await?;
                    if answer == "dead" {
                        self.platform.resume().await?;
                    }
                }
            }
        }
        let followed = self.platform.count("elsewhere");
        ensure!(followed == 0, "a redirect of the platform was followed");
        Ok(())
    }

    /// One question for the same credential, within the time that its answer holds.
    async fn once(&mut self) -> anyhow::Result<()> {
        self.platform.behave(|_| Reply::status(200));
        self.ask_at("stage", &self.platform.url("once"), "deny")
            .await?;
        let url = format!("{}{}", self.weir.publish_url("stage")?, self.query());
        let begun = Instant::now();
        let mut players = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let url = url.clone();
            players.spawn(async move { Attempt::play(&url, Duration::from_secs(1)).await });
        }
        let all = players.join_all().await;
        let entered = all
            .iter()
            .filter(|a| a.as_ref().is_ok_and(|a| a.ok))
            .count();
        let (first, took) = (self.platform.count("once"), begun.elapsed());
        sleep((CACHE + Duration::from_secs(1)).saturating_sub(took)).await;
        let later = Attempt::play(&url, Duration::from_secs(1)).await?;
        let second = self.platform.count("once");
        say(&format!(
            "- 5 players of one credential at once: {entered} let in, {first} question(s); another one after cache_s ({CACHE:?}): let in: {}, {second} in all",
            later.ok
        ));
        let question = self.platform.asked("once").remove(0).json();
        say(&format!("- a question: {question}"));
        if (entered, first, second, later.ok) != (5, 1, 2, true) {
            self.wrong.push("questions".to_owned());
        }
        Ok(())
    }
}
