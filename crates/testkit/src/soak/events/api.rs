//! The server's API as a platform uses it: one pool of connections, answers in JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::account::Told;
use crate::actors::Weir;

const PATIENCE: Duration = Duration::from_secs(30);
/// The longest that the API gives.
const PAGE: usize = 1_000;

#[derive(Debug, Clone)]
pub(super) struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    origin: String,
}

impl Api {
    pub(super) fn of(weir: &Weir) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            origin: weir.origin()?,
        })
    }

    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let body = body.map_or_else(String::new, Value::to_string);
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v1/{path}", self.origin))
            .header("authorization", format!("Bearer {}", Weir::TOKEN))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let asking = timeout(PATIENCE, self.client.request(request));
        let answer = asking.await.context("no answer")??;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// The same where nothing but success is an answer.
    pub(super) async fn done(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let (status, answer) = self.ask(method.clone(), path, body).await?;
        ensure!(
            (200..300).contains(&status),
            "{method} {path}: {status}: {answer}"
        );
        Ok(answer)
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.done(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.done(Method::POST, path, Some(body)).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.done(Method::PATCH, path, Some(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.done(Method::DELETE, path, None).await
    }

    /// A stream to which everybody may push, of a template or of none.
    pub(super) async fn create(&self, name: &str) -> anyhow::Result<()> {
        let input = json!({"id": "main", "url": "publish://", "key": null});
        self.post("streams", &json!({"name": name, "inputs": [input]}))
            .await
            .map(drop)
    }

    /// Every event that is kept, the oldest first.
    pub(super) async fn history(&self, filter: &str) -> anyhow::Result<Vec<Told>> {
        let pages = self
            .pages(&format!("events/history?order=oldest&{filter}"))
            .await?;
        pages.iter().map(Told::read).collect()
    }

    pub(super) async fn dead(&self, hook: &str) -> anyhow::Result<Vec<Value>> {
        self.pages(&format!("hooks/{hook}/dead?")).await
    }

    async fn pages(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let mut page = self.get(&format!("{path}&limit={PAGE}{cursor}")).await?;
            if let Value::Array(items) = page["items"].take() {
                all.extend(items);
            }
            let Some(next) = page["next"].as_i64() else {
                return Ok(all);
            };
            cursor = format!("&cursor={next}");
        }
    }

    pub(super) async fn hook(&self, id: &str) -> anyhow::Result<Value> {
        Ok(self.get(&format!("hooks/{id}")).await?["runtime"].take())
    }

    /// Waits until nothing waits for any of these hooks; tells what still did when patience ended.
    pub(super) async fn until_delivered(
        &self,
        hooks: &[&str],
        patience: Duration,
    ) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        loop {
            let mut waiting = BTreeMap::new();
            for id in hooks {
                let runtime = self.hook(id).await?;
                if runtime["waiting"].as_u64() != Some(0) {
                    waiting.insert(*id, runtime);
                }
            }
            if waiting.is_empty() {
                return Ok(begun.elapsed());
            }
            ensure!(
                begun.elapsed() < patience,
                "still waiting after {patience:?}: {waiting:?}"
            );
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// A metric without labels.
pub(super) async fn metric(weir: &Weir, name: &str) -> anyhow::Result<u64> {
    let page = weir.get("/metrics").await?;
    let line = page
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    let value: f64 = line.with_context(|| name.to_owned())?.trim().parse()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count"
    )]
    Ok(value as u64)
}
