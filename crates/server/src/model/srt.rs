//! How a stream is reached over SRT.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use srt::Passphrase;
use utoipa::ToSchema;

use super::StreamConfig;
use super::check::within;
use super::forms::SecretForm;
use crate::access::Action;
use crate::api::Problem;

/// How encoders and players reach it over SRT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Srt {
    /// What encoders encrypt with, 10 to 79 bytes; AES-128, -192 and -256 are taken. Without
    /// it they must not encrypt. Reads `{"set": true}`, which on write means keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SecretForm>)]
    pub(crate) publish_passphrase: Option<String>,
    /// The same for players.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SecretForm>)]
    pub(crate) play_passphrase: Option<String>,
    /// How long lost packets have to come again at least, in milliseconds, 20..=10000; default
    /// `srt.latency_ms` of the server. A peer may ask for more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 20, maximum = 10000)]
    pub(crate) latency_ms: Option<u32>,
}

/// The members that are secrets.
pub(super) const SECRETS: [&str; 2] = ["publish_passphrase", "play_passphrase"];

pub(super) fn check(srt: &Srt) -> Result<(), Problem> {
    let passphrases = [&srt.publish_passphrase, &srt.play_passphrase];
    for (name, passphrase) in SECRETS.iter().zip(passphrases) {
        let Some(text) = passphrase else { continue };
        if Passphrase::new(text.as_str()).is_none() {
            let why = "10 to 79 bytes";
            let field = format!("srt.{name}");
            return Err(Problem::invalid("passphrase_invalid", &field, why));
        }
    }
    within("srt.latency_ms", srt.latency_ms.unwrap_or(120), 20, 10_000)
}

impl StreamConfig {
    /// What encoders or players must know over SRT.
    pub(crate) fn srt_passphrase(&self, action: Action) -> Option<Passphrase> {
        let srt = self.srt.as_ref()?;
        let text = match action {
            Action::Publish => srt.publish_passphrase.as_deref(),
            Action::Play => srt.play_passphrase.as_deref(),
        };
        text.and_then(Passphrase::new)
    }

    /// The least latency over SRT, where it is another than the server's.
    pub(crate) fn srt_latency(&self) -> Option<Duration> {
        let millis = self.srt.as_ref()?.latency_ms?;
        Some(Duration::from_millis(millis.into()))
    }
}
