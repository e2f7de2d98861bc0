//! One place that a stream is pushed to.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StreamConfig;
use super::check::{check_id, within};
use super::destination::Destination;
use super::forms::{DestinationForm, SecretForm};
use crate::api::Problem;

const MOST: usize = 16;
const CONNECT_TIMEOUT_MS: u32 = 5_000;

/// One place that a stream is pushed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Push {
    /// Unique within the stream.
    #[schema(example = "cdn", max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    pub(crate) id: String,
    /// `rtmp(s)://host[:port]/app` with a `key`, or with the stream's name behind the application;
    /// `srt://host:port?streamid=…&passphrase=…&pbkeylen=…&latency=…` (`latency` in ms). A password
    /// and the query read `***`; what is written back as it was read keeps them. May be left out
    /// where a template has it.
    #[schema(value_type = DestinationForm, required = false)]
    pub(crate) url: String,
    /// What the stream is called there, which encoders know as the stream key; with SRT the stream
    /// id. Reads `{"set": true}`, which on write means keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SecretForm>)]
    pub(crate) key: Option<String>,
    /// The rendition of the ladder that is pushed; default: the best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "720p", min_length = 1, max_length = 64)]
    pub(crate) rendition: Option<String>,
    /// Whether it is pushed there; default true. So a stream leaves out one of its template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
    /// Whether the certificate of the server is verified; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls_verify: Option<bool>,
    /// How long connecting may take; 100..=60000, default 5000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 60000)]
    pub(crate) connect_timeout_ms: Option<u32>,
}

impl Push {
    /// Where it goes; `None` for what is not supported, which no configuration holds.
    pub(crate) fn destination(&self) -> Option<Destination> {
        Destination::of(&self.url, self.key.as_deref()).ok()
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// What holds: every default written out.
    pub(super) fn effective(&self) -> Self {
        let secure = self.url.starts_with("rtmps://");
        Self {
            enabled: Some(self.is_enabled()),
            tls_verify: secure.then(|| self.tls_verify.unwrap_or(true)),
            connect_timeout_ms: Some(self.connect_timeout_ms.unwrap_or(CONNECT_TIMEOUT_MS)),
            ..self.clone()
        }
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        let given = self.connect_timeout_ms.unwrap_or(CONNECT_TIMEOUT_MS);
        Duration::from_millis(given.into())
    }
}

pub(super) fn check(config: &StreamConfig) -> Result<(), Problem> {
    let pushes = config.push.as_deref().unwrap_or_default();
    if pushes.len() > MOST {
        let why = format!("at most {MOST}");
        return Err(Problem::invalid("out_of_range", "push", &why));
    }
    let mut ids = BTreeSet::new();
    for (i, push) in pushes.iter().enumerate() {
        let field = |name: &str| format!("push[{i}].{name}");
        check_id(&field("id"), &push.id)?;
        if !ids.insert(&push.id) {
            return Err(Problem::invalid("id_taken", &field("id"), "ids are unique"));
        }
        Destination::of(&push.url, push.key.as_deref())
            .map_err(|wrong| Problem::invalid(wrong.code, &field(wrong.member), &wrong.why))?;
        check_rendition(config, push, &field("rendition"))?;
        let connect = push.connect_timeout_ms.unwrap_or(CONNECT_TIMEOUT_MS);
        within(&field("connect_timeout_ms"), connect, 100, 60_000)?;
    }
    Ok(())
}

fn check_rendition(config: &StreamConfig, push: &Push, field: &str) -> Result<(), Problem> {
    let Some(name) = &push.rendition else {
        return Ok(());
    };
    let ladder = config.ladder();
    if ladder.is_some_and(|ladder| ladder.video.iter().any(|rung| *rung.name == **name)) {
        return Ok(());
    }
    let why = "the stream's ladder (`transcode`) has no rendition of pictures of this name";
    Err(Problem::invalid("rendition_unknown", field, why))
}
