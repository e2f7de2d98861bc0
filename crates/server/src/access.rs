//! Asks servers of the operator whether an encoder or a player may come in.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderValue;
use prometheus::{IntCounterVec, Opts};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout_at};
use webhook::{Answer, Client, Request, Verdict};

use crate::events::{Event, Events, Seldom};
use crate::model::{Callback, OnFailure, check_name};
use crate::runtime::lock;
use crate::{secret, signed};

/// Answers that are remembered, and viewers whose credential is.
const REMEMBERED: usize = 100_000;
/// A failure to answer is not remembered for longer.
const FAILED: Duration = Duration::from_secs(5);
/// Nor is a no: anybody can make one up.
const DENIED: Duration = Duration::from_secs(60);
/// Requests at a time, to all callbacks.
const AT_A_TIME: usize = 256;
/// The same to one of them, so that one that is slow leaves room for the others.
const AT_ONE: usize = 32;
/// Callbacks whose places are counted.
const CALLBACKS: usize = 1_000;
/// Of a reason that is passed on.
const REASON: usize = 256;

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Publish,
    Play,
}

impl Action {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Play => "play",
        }
    }
}

/// Who wants what.
#[derive(Debug, Clone)]
pub(crate) struct Visitor<'a> {
    pub(crate) action: Action,
    pub(crate) stream: &'a str,
    /// `rtmp`, `srt`, `hls`, `dash` or `http_ts`.
    pub(crate) protocol: &'static str,
    pub(crate) peer: SocketAddr,
    /// What it brings: the query, without what belongs to the protocol.
    pub(crate) query: &'a str,
    pub(crate) agent: Option<&'a str>,
}

/// Somebody who was turned away.
#[derive(Debug)]
pub(crate) struct Refused<'a> {
    pub(crate) action: Action,
    pub(crate) protocol: &'static str,
    /// Empty where it is no stream of ours.
    pub(crate) stream: &'a str,
    pub(crate) peer: SocketAddr,
    pub(crate) reason: &'static str,
    /// In whose words, where they are not ours.
    pub(crate) detail: Option<&'a str>,
}

/// What the operator's server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    /// Why, for the peer.
    Deny(String),
    /// The stream that it gets instead.
    Redirect(String),
}

/// What is answered in JSON, where there is an answer in JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    allow: Option<bool>,
    reason: Option<String>,
    redirect: Option<String>,
}

type Known = Arc<OnceCell<(Decision, Instant)>>;

/// Asks, and remembers the answers.
pub(crate) struct Access {
    client: Client,
    answers: Mutex<HashMap<Key, Known>>,
    /// The credential that an HTTP viewer came with: it is not in every request.
    viewers: Mutex<HashMap<Key, (String, Instant)>>,
    places: Semaphore,
    places_of: Mutex<HashMap<String, Arc<Semaphore>>>,
    seldom: Mutex<Seldom>,
    pub(crate) asked: IntCounterVec,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access")
    }
}

/// Who hung up before there was an answer leaves nothing behind.
struct Unanswered<'a>(&'a Access, Key, Known);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let Self(access, key, known) = self;
        if known.get().is_some() {
            return;
        }
        let mut answers = lock(&access.answers);
        // Others may wait for the same answer: the last one of them clears up.
        if answers
            .get(key)
            .is_some_and(|held| Arc::ptr_eq(held, known))
            && Arc::strong_count(known) <= 3
        {
            answers.remove(key);
        }
    }
}

impl Access {
    pub(crate) fn new(client: Client) -> prometheus::Result<Self> {
        let help = "Questions to callbacks, by action and how they ended";
        let asked = Opts::new("weir_access_callbacks_total", help);
        Ok(Self {
            client,
            answers: Mutex::default(),
            viewers: Mutex::default(),
            places: Semaphore::new(AT_A_TIME),
            places_of: Mutex::default(),
            seldom: Mutex::default(),
            asked: IntCounterVec::new(asked, &["action", "result"])?,
        })
    }

    /// What is said of a visitor; remembered for the same credential from the same address. Of many
    /// who ask the same at once, one asks.
    pub(crate) async fn decide(&self, callback: &Callback, visitor: &Visitor<'_>) -> Decision {
        let key = key_of(callback, visitor);
        let known = self.known(key);
        let _unless = Unanswered(self, key, Arc::clone(&known));
        let decided = known.get_or_init(|| async {
            let (decision, holds) = self.ask(callback, visitor).await;
            (decision, Instant::now() + holds)
        });
        decided.await.0.clone()
    }

    /// The same for one request of many that a player makes over HTTP: what it brought at first
    /// holds for the others too.
    pub(crate) async fn decide_viewer(
        &self,
        callback: &Callback,
        visitor: &Visitor<'_>,
    ) -> Decision {
        let viewer = viewer_of(visitor);
        let brought = match visitor.query {
            "" => self.credential(viewer, callback.cached()),
            query => query.to_owned(),
        };
        let visitor = Visitor {
            query: &brought,
            ..visitor.clone()
        };
        let decision = self.decide(callback, &visitor).await;
        if decision == Decision::Allow && !brought.is_empty() {
            self.remember(viewer, brought);
        }
        decision
    }

    fn places_of(&self, callback: &str) -> Arc<Semaphore> {
        let mut places = lock(&self.places_of);
        if places.len() >= CALLBACKS {
            places.clear();
        }
        let own = places.entry(callback.to_owned());
        Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(AT_ONE))))
    }

    /// Tells those who listen to events of somebody who was turned away, unless that happened a
    /// moment ago. Whether it did is answered.
    pub(crate) fn tell_refused(&self, events: &Events, refused: &Refused<'_>) -> bool {
        let Refused {
            action,
            protocol,
            stream,
            peer,
            reason,
            detail,
        } = refused;
        let kind = format!("{} {stream} {reason} {}", action.name(), peer.ip());
        let Some(count) = lock(&self.seldom).note(&kind, Instant::now()) else {
            return false;
        };
        let (protocol, peer) = ((*protocol).to_owned(), peer.to_string());
        let reason = (*reason).to_owned();
        let detail = detail.map(str::to_owned);
        let event = match action {
            Action::Publish => Event::PublishRefused {
                protocol,
                peer,
                reason,
                detail,
                count,
            },
            Action::Play => Event::PlayRefused {
                protocol,
                peer,
                reason,
                detail,
                count,
            },
        };
        events.tell(stream, &event);
        true
    }

    fn known(&self, key: Key) -> Known {
        let now = Instant::now();
        let holds = |known: &Known| known.get().is_none_or(|(_, until)| now < *until);
        let mut answers = lock(&self.answers);
        if let Some(known) = answers.get(&key).filter(|known| holds(known)) {
            return Arc::clone(known);
        }
        if answers.len() >= REMEMBERED {
            answers.retain(|_, known| holds(known));
        }
        // Who makes up more than that makes everybody be asked about once more.
        if answers.len() >= REMEMBERED * 9 / 10 {
            answers.clear();
        }
        let fresh = Known::default();
        answers.insert(key, Arc::clone(&fresh));
        fresh
    }

    /// A viewer that was away for longer than answers hold, and a minute, is another one.
    fn credential(&self, viewer: Key, holds: Duration) -> String {
        let mut viewers = lock(&self.viewers);
        let Some((credential, seen)) = viewers.get_mut(&viewer) else {
            return String::new();
        };
        if seen.elapsed() > holds + Duration::from_secs(60) {
            viewers.remove(&viewer);
            return String::new();
        }
        *seen = Instant::now();
        credential.clone()
    }

    fn remember(&self, viewer: Key, credential: String) {
        let mut viewers = lock(&self.viewers);
        if viewers.len() >= REMEMBERED {
            viewers.retain(|_, (_, seen)| seen.elapsed() < Duration::from_secs(60));
        }
        if viewers.len() < REMEMBERED {
            viewers.insert(viewer, (credential, Instant::now()));
        }
    }

    /// Asks, within the callback's time: how long that holds is told too.
    async fn ask(&self, callback: &Callback, visitor: &Visitor<'_>) -> (Decision, Duration) {
        let answered = self.post(callback, visitor).await;
        let result = |name| {
            self.asked
                .with_label_values(&[visitor.action.name(), name])
                .inc()
        };
        match answered.and_then(|answer| read(&answer)) {
            Ok(decision) => {
                result(match decision {
                    Decision::Allow => "allow",
                    Decision::Deny(_) => "deny",
                    Decision::Redirect(_) => "redirect",
                });
                let holds = match decision {
                    Decision::Deny(_) => callback.cached().min(DENIED),
                    _ => callback.cached(),
                };
                // Where it is already there is nowhere to be led.
                let decision = match decision {
                    Decision::Redirect(to) if to == visitor.stream => Decision::Allow,
                    decision => decision,
                };
                (decision, holds)
            }
            Err(error) => {
                result("failure");
                let (stream, action) = (visitor.stream, visitor.action.name());
                tracing::warn!(stream, action, error, "a callback does not answer");
                let decision = match callback.on_failure() {
                    OnFailure::Allow => Decision::Allow,
                    OnFailure::Deny => Decision::Deny("nobody can say whether you may".to_owned()),
                };
                (decision, callback.cached().min(FAILED))
            }
        }
    }

    async fn post(&self, callback: &Callback, visitor: &Visitor<'_>) -> Result<Answer, String> {
        let deadline = Instant::now() + callback.timeout();
        let own = self.places_of(&callback.url);
        let places = async { (own.acquire().await, self.places.acquire().await) };
        let places = timeout_at(deadline, places).await;
        let _places = places.map_err(|_| "too many are asked at once".to_owned())?;
        let body = json!({
            "action": visitor.action.name(),
            "stream": visitor.stream,
            "protocol": visitor.protocol,
            "address": address(visitor),
            "port": visitor.peer.port(),
            "query": visitor.query,
            "agent": visitor.agent,
        });
        let body = body.to_string();
        let headers = signed::headers(
            callback.secret.as_deref(),
            callback.headers.as_ref(),
            (&secret::random(), body.as_bytes()),
            HeaderValue::from_static("application/json"),
        );
        let request = Request {
            url: url::Url::parse(&callback.url).map_err(|error| error.to_string())?,
            headers: headers?,
            body: body.into(),
            timeout: deadline.saturating_duration_since(Instant::now()),
        };
        let answer = self.client.post(request).await;
        answer.map_err(|error| error.to_string())
    }
}

/// What the body says. One that looks like JSON and is not what it should be says nothing that may
/// be acted upon; one that does not look like it is of no meaning.
fn said(body: &[u8]) -> Result<Said, String> {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match text.trim_ascii_start().first() {
        Some(b'[' | b'"') => Err("the body of the answer is no JSON object".to_owned()),
        Some(b'{') => {
            serde_json::from_slice(text).map_err(|error| format!("the body of the answer: {error}"))
        }
        _ => Ok(Said::default()),
    }
}

/// 2xx allows, unless its body says otherwise; other 4xx than those of a server in trouble deny.
fn read(answer: &Answer) -> Result<Decision, String> {
    let verdict = answer.verdict();
    let said = match said(&answer.body) {
        Err(error) if verdict == Verdict::Taken => return Err(error),
        said => said.unwrap_or_default(),
    };
    let reason = said.reason.unwrap_or_else(|| "not allowed".to_owned());
    let reason = reason.chars().filter(|c| !c.is_control()).take(REASON);
    let denied = Decision::Deny(reason.collect());
    match (verdict, said.redirect) {
        (Verdict::Again { .. }, _) => Err(answer.status.to_string()),
        (Verdict::Never, _) => Ok(denied),
        (Verdict::Taken, _) if said.allow == Some(false) => Ok(denied),
        (Verdict::Taken, None) => Ok(Decision::Allow),
        (Verdict::Taken, Some(to)) => check_name(&to)
            .map(|()| Decision::Redirect(to))
            .map_err(|_| "redirected to what is no name of a stream".to_owned()),
    }
}

/// What cannot be made to look like something else.
type Key = [u8; 32];

/// The same credential of the same address, asked about with the same callback.
fn key_of(callback: &Callback, visitor: &Visitor<'_>) -> Key {
    let headers = json!((&callback.headers, callback.cache_s)).to_string();
    key(&[
        visitor.action.name(),
        visitor.stream,
        visitor.protocol,
        visitor.query,
        &address(visitor),
        &callback.url,
        callback.secret.as_deref().unwrap_or_default(),
        &headers,
    ])
}

fn viewer_of(visitor: &Visitor<'_>) -> Key {
    let agent = visitor.agent.unwrap_or_default();
    key(&[visitor.stream, &address(visitor), agent])
}

fn address(visitor: &Visitor<'_>) -> String {
    visitor.peer.ip().to_canonical().to_string()
}

fn key(parts: &[&str]) -> Key {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::StatusCode;

    fn said(status: u16, body: &str) -> Result<Decision, String> {
        read(&Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    #[test]
    fn answers_are_read() {
        assert_eq!(said(204, ""), Ok(Decision::Allow));
        assert_eq!(said(200, "0"), Ok(Decision::Allow), "as for SRS");
        for odd in [
            r#"{"allow": false, "reason": 7}"#,
            r#"{"allow": 0}"#,
            "\u{feff}{\"allow\": \"false\"}",
            r#"{"allow": false, "allow": true}"#,
            r#"{"allow": false"#,
            "[]",
        ] {
            assert!(said(200, odd).is_err(), "{odd}");
            assert_eq!(said(403, odd), Ok(Decision::Deny("not allowed".to_owned())));
        }
        assert_eq!(
            said(200, r#"{"redirect": "a/b"}"#),
            Ok(Decision::Redirect("a/b".to_owned()))
        );
        let no = |reason: &str| Ok(Decision::Deny(reason.to_owned()));
        assert_eq!(
            said(200, r#"{"allow": false, "reason": "paid\nup?"}"#),
            no("paidup?")
        );
        assert_eq!(said(403, r#"{"reason": "banned"}"#), no("banned"));
        assert_eq!(said(401, "nope"), no("not allowed"));
        for (status, body) in [
            (500, ""),
            (429, ""),
            (302, ""),
            (200, r#"{"redirect": "../x"}"#),
        ] {
            assert!(said(status, body).is_err(), "{status} {body}");
        }
    }
}
