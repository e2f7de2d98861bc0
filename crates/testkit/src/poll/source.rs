//! Where the linter learns what the stream is going through.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::dial::Dial;
use super::http::{Ask, Clock, Http};
use crate::lint::State;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(100);

/// Who tells the state of the stream.
#[derive(Debug)]
pub enum Source {
    /// It never changes.
    Always(State),
    /// A test that acts tells before it acts; when it tells no more, the run is over.
    Told(watch::Receiver<State>),
    /// Words in a file, which a script writes.
    File(PathBuf),
    /// The server's own API, which knows of holds alone: the address of a stream, and a token.
    Api(String, String),
}

impl Source {
    /// Calls `tell` with the state now and at each change.
    pub(super) async fn run(mut self, dial: &Dial, clock: Clock, mut tell: impl FnMut(State)) {
        let api = match &self {
            Self::Api(url, _) => Some(Http::new(url, dial, clock)),
            _ => None,
        };
        loop {
            match &mut self {
                Self::Always(state) => {
                    tell(*state);
                    return std::future::pending().await;
                }
                Self::Told(states) => {
                    tell(*states.borrow_and_update());
                    if states.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                Self::File(path) => {
                    let text = tokio::fs::read_to_string(path).await.unwrap_or_default();
                    // A file that is being written is read again.
                    if let Ok(state) = text.parse() {
                        tell(state);
                    }
                }
                Self::Api(url, token) => {
                    if let Some(state) = ask(api.as_ref(), url, token).await {
                        tell(state);
                    }
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

async fn ask(http: Option<&Http>, url: &str, token: &str) -> Option<State> {
    let ask = Ask {
        bearer: Some(token),
        ..Ask::default()
    };
    let answer = http?.get(url, ask).await;
    let stream: Value = serde_json::from_slice(&answer.body).ok()?;
    let status = stream.get("runtime")?.get("status")?.as_str()?;
    Some(if status == "hold" {
        State::HOLD
    } else {
        State::NORMAL
    })
}
