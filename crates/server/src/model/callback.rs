//! Who is asked before an encoder or a player is let in.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::forms::{CallbackUrl, SecretForm};

/// A server of the operator that is asked over HTTP, once for each publisher or player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Callback {
    /// `https://…` or `http://…`. May be left out where a template has it.
    #[schema(value_type = CallbackUrl, required = false)]
    pub(crate) url: String,
    /// What requests are signed with (Standard Webhooks); absent: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SecretForm>)]
    pub(crate) secret: Option<String>,
    /// Sent with every request. Values read `{"set": true}`, which on write means keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, SecretForm>>)]
    pub(crate) headers: Option<BTreeMap<String, String>>,
    /// How long an answer may take; 100..=8000, default 2000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 8000)]
    pub(crate) timeout_ms: Option<u32>,
    /// What holds where no answer comes; default `deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on_failure: Option<OnFailure>,
    /// How long an answer holds for the same credential from the same address; 0..=86400,
    /// default 60. A failure to answer is remembered for 5 s at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 86400)]
    pub(crate) cache_s: Option<u32>,
}

/// What holds where a callback does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnFailure {
    /// Nobody is let in.
    Deny,
    /// Everybody is.
    Allow,
}

impl Callback {
    /// Every default written out.
    pub(super) fn effective(&self) -> Self {
        Self {
            timeout_ms: Some(self.timeout_ms.unwrap_or(2_000)),
            on_failure: Some(self.on_failure()),
            cache_s: Some(self.cache_s.unwrap_or(60)),
            ..self.clone()
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.unwrap_or(2_000).into())
    }

    pub(crate) fn on_failure(&self) -> OnFailure {
        self.on_failure.unwrap_or(OnFailure::Deny)
    }

    /// How long an answer holds.
    pub(crate) fn cached(&self) -> Duration {
        Duration::from_secs(self.cache_s.unwrap_or(60).into())
    }
}
