//! Viewers over HTTP whose token comes with their first request alone.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::callbacks::{CACHE, Room};
use super::receiver::{Asked, Reply};
use crate::actors::{Attempt, Encoder};
use crate::soak::stage::say;

impl Room {
    /// HLS: the token comes with the first request alone.
    pub(super) async fn viewers(&mut self) -> anyhow::Result<()> {
        let good = |asked: &Asked| {
            let question = asked.json();
            let query = question["query"].as_str().unwrap_or_default();
            let good = query.contains("token=good");
            Reply::status(if good { 200 } else { 403 })
        };
        self.platform.behave(good);
        self.ask_at("stage", &self.platform.url("hls"), "deny")
            .await?;
        let playlist = self.weir.get("/stage/v0.m3u8").await;
        if playlist.is_ok() {
            self.wrong.push("a playlist without a token".to_owned());
        }
        let mut look = Look {
            origin: self.weir.origin()?,
            wrong: Vec::new(),
        };
        let home = "127.0.0.1";
        look.at("no token", "a", home, "index.m3u8", 403).await?;
        look.at("a bad token", "a", home, "index.m3u8?token=bad", 403)
            .await?;
        look.at("the token", "a", home, "index.m3u8?token=good", 200)
            .await?;
        let list = look
            .at("the same agent without it", "a", home, "v0.m3u8", 200)
            .await?;
        let segment = list.lines().rfind(|l| l.ends_with(".m4s"));
        let segment = segment.unwrap_or("no segment").to_owned();
        look.at("a segment", "a", home, &segment, 200).await?;
        look.at("a segment, another agent", "b", home, &segment, 403)
            .await?;
        look.at(
            "a segment, another address",
            "a",
            "127.0.0.2",
            &segment,
            403,
        )
        .await?;
        let before = self.platform.count("hls");
        for _ in 0..20 {
            look.quiet("a", home, "v0.m3u8").await?;
        }
        let url = format!("{}/stage/index.m3u8?token=good", self.weir.origin()?);
        let played = Attempt::play(&url, CACHE * 2).await?;
        let asked = self.platform.count("hls") - before;
        say(&format!(
            "- 20 requests of one viewer, and ffmpeg for {:?} with the token in its first: ended well: {}, {asked} question(s)",
            CACHE * 2,
            played.ok
        ));
        if !played.ok {
            self.wrong.push(format!("ffmpeg: {}", played.said));
        }
        self.platform.behave(|_| Reply::status(403));
        let begun = Instant::now();
        while look.quiet("a", home, "v0.m3u8").await? == 200 {
            sleep(Duration::from_millis(100)).await;
            ensure!(begun.elapsed() < CACHE * 3, "a viewer stays for ever");
        }
        let out = begun.elapsed();
        say(&format!(
            "- thrown out {out:.1?} after the platform changed its mind (cache_s {CACHE:?})"
        ));
        if out > CACHE + Duration::from_secs(1) {
            self.wrong.push("it stayed for too long".to_owned());
        }
        self.led(&mut look).await?;
        self.wrong.append(&mut look.wrong);
        Ok(())
    }

    /// A viewer that is led elsewhere is not asked about there again.
    async fn led(&self, look: &mut Look) -> anyhow::Result<()> {
        let led = json!({"redirect": "led"});
        self.api.create("led").await?;
        let _encoder = Encoder::push(&self.weir.publish_url("led")?, "160x90", 15)?;
        self.weir.until("led", "live").await?;
        self.weir.until_growing("led").await?;
        self.platform
            .behave(move |asked| match asked.path.as_str() {
                "hls" => Reply::json(&led),
                _ => Reply::status(403),
            });
        self.ask_at("led", &self.platform.url("led"), "deny")
            .await?;
        sleep(CACHE + Duration::from_secs(1)).await;
        look.at("led elsewhere", "c", "127.0.0.1", "index.m3u8?token=x", 302)
            .await?;
        let follow = look.follow("c", "index.m3u8?token=x").await?;
        let asked = self.platform.count("led");
        say(&format!(
            "- who follows that gets {follow}; the other stream's callback was asked {asked} time(s)"
        ));
        // Over HTTP the other stream asks for itself.
        if (follow, asked) != (403, 1) {
            look.wrong
                .push("the other stream's callback was not asked for who was led there".into());
        }
        Ok(())
    }

    /// Refusals are events.
    pub(super) async fn told(&self) -> anyhow::Result<()> {
        let history = self
            .api
            .history("type=publish.refused,play.refused")
            .await?;
        let of = |kind: &str, protocol: &str| {
            let ours = history
                .iter()
                .filter(|e| e.kind == kind && e.data["protocol"] == protocol);
            ours.count()
        };
        let told = [
            of("publish.refused", "rtmp"),
            of("play.refused", "rtmp"),
            of("play.refused", "hls"),
        ];
        say(&format!(
            "- events of refusals: {told:?} (publish rtmp, play rtmp, play hls)"
        ));
        ensure!(
            told.iter().all(|n| *n > 0),
            "refusals are not told: {told:?}"
        );
        Ok(())
    }
}

/// curl, as players of several agents and addresses.
struct Look {
    origin: String,
    wrong: Vec<String>,
}

impl Look {
    async fn at(
        &mut self,
        what: &str,
        agent: &str,
        from: &str,
        path: &str,
        wanted: u16,
    ) -> anyhow::Result<String> {
        let (status, body) = self.curl(&[], agent, from, path).await?;
        say(&format!("- HLS, {what}: {status}"));
        if status != wanted {
            self.wrong
                .push(format!("HLS, {what}: {status}, not {wanted}"));
        }
        Ok(body)
    }

    async fn quiet(&self, agent: &str, from: &str, path: &str) -> anyhow::Result<u16> {
        Ok(self.curl(&[], agent, from, path).await?.0)
    }

    async fn follow(&self, agent: &str, path: &str) -> anyhow::Result<u16> {
        Ok(self.curl(&["-L"], agent, "127.0.0.1", path).await?.0)
    }

    async fn curl(
        &self,
        more: &[&str],
        agent: &str,
        from: &str,
        path: &str,
    ) -> anyhow::Result<(u16, String)> {
        let url = format!("{}/stage/{path}", self.origin);
        let output = Command::new("curl")
            .args([
                "-s",
                "-A",
                agent,
                "--interface",
                from,
                "-w",
                "\n%{http_code}",
            ])
            .args(more)
            .arg(url)
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = said.rsplit_once('\n').unwrap_or_default();
        Ok((status.parse()?, body.to_owned()))
    }
}
