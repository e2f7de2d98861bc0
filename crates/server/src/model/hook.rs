//! Hooks: where events are delivered, and which.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::check::{check_http_url, check_id, check_secret, check_webhook_headers, within};
use super::definition::{parse, shown, trim};
use super::edit::typed;
use super::forms::{HookUrl, SecretForm, Words};
use super::overlay::without_nulls;
use super::secrets;
use crate::api::Problem;
use crate::events::{self, any_fits};

const PATTERNS: usize = 64;
const PATTERN: usize = 128;
const METADATA: usize = 32;
/// What every CloudEvent of ours has.
const ATTRIBUTES: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "subject",
    "datacontenttype",
    "dataschema",
    "sequence",
    "data",
];

/// A receiver of events, over HTTP or in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hook {
    #[schema(example = "platform", max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    pub(crate) id: String,
    /// `https://…` or `http://…`: events are posted there. `file://` with a path: they are appended
    /// there as lines of JSON, below the root for hooks.
    #[schema(value_type = HookUrl)]
    pub(crate) url: String,
    /// Whether events are delivered, and kept for it; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
    /// What requests are signed with (Standard Webhooks: HMAC-SHA256 over id, time and body).
    /// `whsec_…` is base64, others are taken as they are. Reads `{"set": true}`, which on write
    /// means keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SecretForm>)]
    pub(crate) secret: Option<String>,
    /// Sent with every request. Values read `{"set": true}`, which on write means keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, SecretForm>>)]
    pub(crate) headers: Option<BTreeMap<String, String>>,
    /// Types of events, `*` for any run of characters: `input.*`. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 64)]
    pub(crate) events: Option<Vec<String>>,
    /// Of which streams; default: all, and what is about the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) streams: Option<Streams>,
    /// Sent with every event, as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Words>)]
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    /// Default `weir`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<Format>,
    /// Events of one request; 1..=1000, default 1: the body is an event. Where it is more, the body
    /// is a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub(crate) batch_events: Option<u32>,
    /// How long a batch that is not full waits; 0..=60000, default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 60000)]
    pub(crate) batch_wait_ms: Option<u32>,
    /// How long an answer may take; 100..=60000, default 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 60000)]
    pub(crate) timeout_ms: Option<u32>,
    /// How long an event is tried before it is a dead letter; 10..=2592000, default 86400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 10, maximum = 2592000)]
    pub(crate) retry_for_s: Option<u32>,
    /// Events that may wait; 100..=200000, default 50000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 200000)]
    pub(crate) max_waiting: Option<u32>,
    /// Which events go where more wait; default `drop_oldest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) overflow: Option<Overflow>,
    /// Of a file: how long it grows before it is put aside, in bytes; 1048576..=10737418240,
    /// default 104857600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1_048_576, maximum = 10_737_418_240_i64)]
    pub(crate) rotate_bytes: Option<u64>,
    /// Of a file: how many that were put aside are kept; 0..=1000, default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1000)]
    pub(crate) rotate_keep: Option<u32>,
}

/// Streams by name; `*` is any run of characters without a slash, `**` any run at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Streams {
    /// None: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    only: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    except: Vec<String>,
}

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// As the API shows it.
    Weir,
    /// As a CloudEvent 1.0 in JSON.
    Cloudevents,
}

/// Which events go where too many wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Overflow {
    DropOldest,
    DropNewest,
}

/// Where it is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Http(url::Url),
    /// A path below the root for hooks.
    File(String),
}

/// A hook as it was written, and what holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HookDefinition {
    written: Value,
    hook: Hook,
}

impl HookDefinition {
    /// The hook in a request's body, checked.
    pub(crate) fn accept(mut body: Value, current: Option<&Self>) -> Result<Self, Problem> {
        trim(&mut body)?;
        without_nulls(&mut body);
        secrets::keep(&mut body, current.map(|c| &c.written))?;
        let mut document = body.clone();
        secrets::resolve(&mut document)?;
        Self::of(body, &document)
    }

    /// What was kept.
    pub(crate) fn read(text: &str) -> Result<Self, Problem> {
        let written = parse(text)?;
        let mut document = written.clone();
        secrets::resolve_or_close(&mut document);
        Self::of(written, &document)
    }

    fn of(written: Value, document: &Value) -> Result<Self, Problem> {
        let hook: Hook = typed(document)?;
        hook.check()?;
        Ok(Self { written, hook })
    }

    pub(crate) const fn hook(&self) -> &Hook {
        &self.hook
    }

    pub(crate) fn id(&self) -> &str {
        &self.hook.id
    }

    pub(crate) fn text(&self) -> String {
        self.written.to_string()
    }

    pub(crate) fn shown(&self, reveal: bool) -> Value {
        shown(self.written.clone(), reveal)
    }

    pub(crate) fn effective(&self, reveal: bool) -> Value {
        shown(json!(self.hook.effective()), reveal)
    }
}

impl Hook {
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// Whether it wants events of this type of this stream; what is about the server has none.
    pub(crate) fn wants(&self, stream: &str, kind: &str) -> bool {
        let kinds = self.events.as_deref().unwrap_or_default();
        if !self.is_enabled() || !any_fits(kinds, kind) {
            return false;
        }
        let Some(streams) = &self.streams else {
            return true;
        };
        let excluded = streams.except.iter().any(|p| events::fits(p, stream));
        any_fits(&streams.only, stream) && !excluded
    }

    pub(crate) fn target(&self) -> Option<Target> {
        if let Some(path) = self.url.strip_prefix("file://") {
            return Some(Target::File(path.to_owned()));
        }
        url::Url::parse(&self.url).ok().map(Target::Http)
    }

    pub(crate) fn batch(&self) -> usize {
        self.batch_events.unwrap_or(1) as usize
    }

    pub(crate) fn batch_wait_ms(&self) -> i64 {
        self.batch_wait_ms.unwrap_or(1_000).into()
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.unwrap_or(10_000).into())
    }

    pub(crate) fn retry_for_ms(&self) -> i64 {
        i64::from(self.retry_for_s.unwrap_or(86_400)) * 1_000
    }

    pub(crate) fn max_waiting(&self) -> u64 {
        self.max_waiting.unwrap_or(50_000).into()
    }

    pub(crate) fn overflow(&self) -> Overflow {
        self.overflow.unwrap_or(Overflow::DropOldest)
    }

    pub(crate) fn format(&self) -> Format {
        self.format.unwrap_or(Format::Weir)
    }

    pub(crate) fn rotation(&self) -> (u64, u32) {
        let bytes = self.rotate_bytes.unwrap_or(100 << 20);
        (bytes, self.rotate_keep.unwrap_or(5))
    }

    /// Every default written out.
    fn effective(&self) -> Self {
        let in_file = self.url.starts_with("file://");
        let (bytes, keep) = self.rotation();
        Self {
            enabled: Some(self.is_enabled()),
            events: Some(self.events.clone().unwrap_or_default()),
            streams: Some(self.streams.clone().unwrap_or_default()),
            metadata: Some(self.metadata.clone().unwrap_or_default()),
            format: Some(self.format()),
            batch_events: Some(self.batch_events.unwrap_or(1)),
            batch_wait_ms: Some(self.batch_wait_ms.unwrap_or(1_000)),
            timeout_ms: Some(self.timeout_ms.unwrap_or(10_000)),
            retry_for_s: Some(self.retry_for_s.unwrap_or(86_400)),
            max_waiting: Some(self.max_waiting.unwrap_or(50_000)),
            overflow: Some(self.overflow()),
            rotate_bytes: in_file.then_some(bytes),
            rotate_keep: in_file.then_some(keep),
            ..self.clone()
        }
    }

    fn check(&self) -> Result<(), Problem> {
        check_id("id", &self.id)?;
        self.check_target()?;
        check_secret("secret", self.secret.as_deref())?;
        check_webhook_headers(self.headers.as_ref())?;
        self.check_filters()?;
        let bounds = [
            ("batch_events", self.batch_events, 1, 1_000),
            ("batch_wait_ms", self.batch_wait_ms, 0, 60_000),
            ("timeout_ms", self.timeout_ms, 100, 60_000),
            ("retry_for_s", self.retry_for_s, 10, 2_592_000),
            ("max_waiting", self.max_waiting, 100, 200_000),
            ("rotate_keep", self.rotate_keep, 0, 1_000),
        ];
        for (name, value, least, most) in bounds {
            within(name, value.unwrap_or(least), least, most)?;
        }
        if !(1 << 20..=10 << 30).contains(&self.rotation().0) {
            let why = "not within 1048576..=10737418240";
            return Err(Problem::invalid("out_of_range", "rotate_bytes", why));
        }
        Ok(())
    }

    fn check_target(&self) -> Result<(), Problem> {
        let Some(path) = self.url.strip_prefix("file://") else {
            return check_http_url("url", &self.url);
        };
        if webhook::Sink::is_path(path) {
            return Ok(());
        }
        let why = "file:// and a path of [A-Za-z0-9._-]+, no part of which begins with a dot";
        Err(Problem::invalid("url_invalid", "url", why))
    }

    /// In CloudEvents metadata are attributes, which have a grammar and neighbours.
    fn check_attributes(&self) -> Result<(), Problem> {
        let is_attribute = |name: &str| {
            let bytes = name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            bytes && name.len() <= 20 && !ATTRIBUTES.contains(&name)
        };
        let names = self.metadata.iter().flatten().map(|(name, _)| name);
        if self.format() == Format::Cloudevents && !names.clone().all(|n| is_attribute(n)) {
            let why = "in CloudEvents: at most 20 of a-z and 0-9, and no attribute that is there";
            return Err(Problem::invalid("invalid_field", "metadata", why));
        }
        Ok(())
    }

    fn check_filters(&self) -> Result<(), Problem> {
        let streams = self.streams.clone().unwrap_or_default();
        let kinds = self.events.clone().unwrap_or_default();
        let all = [
            ("events", &kinds),
            ("streams.only", &streams.only),
            ("streams.except", &streams.except),
        ];
        for (field, patterns) in all {
            let long = |p: &String| p.is_empty() || p.chars().count() > PATTERN;
            if patterns.len() > PATTERNS || patterns.iter().any(long) {
                let why = "at most 64 patterns of 1 to 128 characters";
                return Err(Problem::invalid("out_of_range", field, why));
            }
        }
        let unknown = |kind: &&String| !events::KINDS.iter().any(|known| events::fits(kind, known));
        if let Some(at) = kinds.iter().position(|kind| unknown(&kind)) {
            let field = format!("events[{at}]");
            return Err(Problem::invalid(
                "event_unknown",
                &field,
                "no type of event is so called",
            ));
        }
        let metadata = self.metadata.iter().flatten();
        let long = |(k, v): (&String, &String)| {
            k.is_empty() || k.chars().count() > PATTERN || v.chars().count() > 1_024
        };
        if metadata.clone().count() > METADATA || metadata.clone().any(long) {
            let why = "at most 32, of 128 and 1024 characters";
            return Err(Problem::invalid("out_of_range", "metadata", why));
        }
        self.check_attributes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(more: &Value) -> Result<HookDefinition, Problem> {
        let mut body = json!({"id": "a", "url": "https://example.org/hook?t=1"});
        super::super::merge(&mut body, more);
        HookDefinition::accept(body, None)
    }

    #[test]
    fn secrets_are_kept_and_hidden() {
        let made = hook(&json!({"secret": "geheim", "headers": {"X": "geheim"}})).unwrap();
        let shown = made.shown(false);
        assert!(!shown.to_string().contains("geheim") && !shown.to_string().contains("t=1"));
        assert_eq!(HookDefinition::accept(shown, Some(&made)).unwrap(), made);
        assert_eq!(HookDefinition::read(&made.text()).unwrap(), made);
        let effective = made.effective(true);
        assert!(
            HookDefinition::accept(effective, None).is_ok(),
            "defaults are in range"
        );
    }

    #[test]
    fn what_it_wants() {
        let streams = json!({"only": ["news/*"], "except": ["news/test"]});
        let some =
            hook(&json!({"events": ["input.*", "stream.switched"], "streams": streams})).unwrap();
        let some = some.hook();
        assert!(some.wants("news/a", "input.down") && some.wants("news/a", "stream.switched"));
        assert!(!some.wants("news/a", "stream.created") && !some.wants("news/test", "input.up"));
        assert!(
            !some.wants("", "input.up"),
            "it is about a stream of ours alone"
        );
        assert!(hook(&json!({})).unwrap().hook().wants("", "server.started"));
        assert!(
            !hook(&json!({"enabled": false}))
                .unwrap()
                .hook()
                .wants("a", "input.up")
        );
    }

    #[test]
    fn refusals_name_the_field() {
        for (more, code, field) in [
            (json!({"id": "a/b"}), "id_invalid", "id"),
            (json!({"url": "ftp://x"}), "url_invalid", "url"),
            (json!({"url": "file:///etc/passwd"}), "url_invalid", "url"),
            (json!({"url": "file://a/../b"}), "url_invalid", "url"),
            (
                json!({"events": ["input.nope"]}),
                "event_unknown",
                "events[0]",
            ),
            (json!({"events": ["nope.*"]}), "event_unknown", "events[0]"),
            (json!({"secret": "whsec_!"}), "key_invalid", "secret"),
            (
                json!({"headers": {"Webhook-Id": "x"}}),
                "header_invalid",
                "headers",
            ),
            (
                json!({"format": "cloudevents", "metadata": {"id": "x"}}),
                "invalid_field",
                "metadata",
            ),
            (
                json!({"headers": {"Host": "x"}}),
                "header_invalid",
                "headers",
            ),
            (json!({"batch_events": 0}), "out_of_range", "batch_events"),
            (json!({"rotate_bytes": 1}), "out_of_range", "rotate_bytes"),
            (json!({"secret": {"set": true}}), "secret_missing", "secret"),
            (json!({"kind": "http"}), "unknown_field", "kind"),
        ] {
            let p = hook(&more).unwrap_err();
            assert_eq!(
                (p.code.as_str(), p.field.unwrap_or_default().as_str()),
                (code, field)
            );
        }
    }
}
