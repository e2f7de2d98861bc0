//! One source of a stream.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Scheme;
use super::forms::{SecretForm, UrlForm};

/// One source of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Unique within the stream.
    #[schema(example = "main", max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    pub(crate) id: String,
    /// `publish://`: an encoder pushes. Or what is pulled: `rtmp(s)://`,
    /// `srt://host:port?streamid=…&passphrase=…&pbkeylen=…&latency=…` (`latency` in ms),
    /// `http(s)://….m3u8` (HLS), `http(s)://….ts` (MPEG-TS), `file://` (MP4, MPEG-TS or FLV below the root for files),
    /// `stream://` with the name of another stream. A password and the query read `***`; what is
    /// written back as it was read keeps them. May be left out where a template has it.
    #[schema(value_type = UrlForm, required = false)]
    pub(crate) url: String,
    /// Whether it is used; default true. So a stream leaves out an input of its template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
    /// Lower wins; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "int64", maximum = 4_294_967_295_i64)]
    pub(crate) priority: Option<u32>,
    /// What an encoder must know; absent takes that of the template, or makes a random one; null lets
    /// everybody publish. Reads `{"set": true}`, which on write means keep.
    #[serde(default)]
    #[schema(value_type = Option<SecretForm>)]
    pub(crate) key: Option<String>,
    /// Whether a pull is connected all the time; default `hot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) standby: Option<Standby>,
    /// Whether a pull is connected without viewers; default `always`. Beside inputs that are always
    /// connected, one on demand fills in for them without viewers too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<Start>,
    /// How long a pull on demand stays connected after its last viewer; 0..=3600000, default 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 3600000)]
    pub(crate) idle_timeout_ms: Option<u32>,
    /// Whether the wall clock that a source tells (the dates of an HLS playlist) is believed; default
    /// `auto`. Between two inputs that are, the programme goes on at the point of equal time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) clock: Option<Clock>,
    /// Sent with every request of a pull over HTTP. Values read `{"set": true}`, which on write
    /// means keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, SecretForm>>)]
    pub(crate) headers: Option<BTreeMap<String, String>>,
    /// Which variant of a multivariant playlist; default `highest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<Variant>,
    /// Whether the certificate of the server is verified; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls_verify: Option<bool>,
    /// Of several programmes in one MPEG-TS the one with this number; default the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 65535)]
    pub(crate) program: Option<u16>,
    /// Whether a file begins again when it ends; default false.
    #[serde(default, rename = "loop", skip_serializing_if = "Option::is_none")]
    pub(crate) repeat: Option<bool>,
    /// How long connecting may take; 100..=60000, default 5000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 60000)]
    pub(crate) connect_timeout_ms: Option<u32>,
    /// How long a connection that is pulled from may say nothing; 500..=60000, default 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 500, maximum = 60000)]
    pub(crate) silence_timeout_ms: Option<u32>,
}

/// Whether a pull is connected all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standby {
    /// All the time.
    Hot,
    /// Only while nothing better delivers.
    Cold,
}

/// Whether a pull is connected without viewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Start {
    /// From the beginning.
    Always,
    /// From the first viewer on, until there are none for a while.
    OnDemand,
}

/// Whether the wall clock of a source is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Clock {
    /// Where it is steady, and within 10 s of UTC.
    Auto,
    /// Always.
    Trust,
    /// Never.
    Ignore,
}

/// Which variant of a multivariant playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Variant {
    /// The one with the most bits.
    Highest,
    /// The one with the fewest.
    Lowest,
    /// The best of at most so many kilobits per second, or else the lowest.
    MaxKbps(u32),
}

impl Input {
    /// With nothing but what it must have.
    pub(crate) fn new(id: &str, url: &str) -> Self {
        Self {
            id: id.to_owned(),
            url: url.to_owned(),
            enabled: None,
            priority: None,
            key: None,
            standby: None,
            start: None,
            idle_timeout_ms: None,
            clock: None,
            headers: None,
            variant: None,
            tls_verify: None,
            program: None,
            repeat: None,
            connect_timeout_ms: None,
            silence_timeout_ms: None,
        }
    }

    /// How it comes; `None` for what is not supported.
    pub(crate) fn scheme(&self) -> Option<Scheme> {
        Scheme::of(&self.url)
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// What holds: every default that matters to its kind written out.
    pub(super) fn effective(&self) -> Self {
        let pulled = self.scheme() != Some(Scheme::Publish);
        let ms = |given: Option<u32>, default| pulled.then(|| given.unwrap_or(default));
        Self {
            enabled: Some(self.is_enabled()),
            priority: Some(self.priority.unwrap_or(0)),
            standby: pulled.then(|| self.standby.unwrap_or(Standby::Hot)),
            start: pulled.then(|| self.start.unwrap_or(Start::Always)),
            idle_timeout_ms: self
                .is_on_demand()
                .then(|| self.idle_timeout_ms.unwrap_or(10_000)),
            clock: (self.scheme() == Some(Scheme::Hls)).then(|| self.clock.unwrap_or(Clock::Auto)),
            connect_timeout_ms: ms(self.connect_timeout_ms, 5_000),
            silence_timeout_ms: ms(self.silence_timeout_ms, 10_000),
            ..self.clone()
        }
    }

    /// What of it a connection depends on: the rest may change while it lasts.
    pub(crate) fn connection(&self) -> Self {
        Self {
            priority: None,
            standby: None,
            clock: None,
            ..self.clone()
        }
    }

    /// How the programme takes it.
    pub(crate) fn role(&self) -> failover::Role {
        failover::Role::Source {
            priority: self.priority.unwrap_or(0),
            cold: self.standby == Some(Standby::Cold),
            on_demand: self.is_on_demand(),
            clock: match self.clock {
                None | Some(Clock::Auto) => failover::Belief::Auto,
                Some(Clock::Trust) => failover::Belief::Trust,
                Some(Clock::Ignore) => failover::Belief::Ignore,
            },
        }
    }

    pub(crate) fn is_on_demand(&self) -> bool {
        self.start == Some(Start::OnDemand)
    }

    /// How long it stays connected when nobody needs it.
    pub(crate) fn idle_timeout(&self) -> Duration {
        let given = self.idle_timeout_ms.unwrap_or(10_000);
        Duration::from_millis(given.into())
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms.unwrap_or(5_000).into())
    }

    pub(crate) fn silence_timeout(&self) -> Duration {
        Duration::from_millis(self.silence_timeout_ms.unwrap_or(10_000).into())
    }
}
