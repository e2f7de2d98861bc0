//! What a stream must be before it is saved.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, header};

use crate::api::Problem;
use crate::model::{
    Callback, Dash, Failover, Hls, Input, SLATE, Scheme, Slate, StreamConfig, push, rules, srt,
    transcode,
};

const NAME: usize = 128;
const LABELS: usize = 32;
const LABEL: usize = 128;
const KEY: usize = 256;
const INPUTS: usize = 16;
const URL: usize = 2_048;
const HEADERS: usize = 32;
/// Paths of our own begin with these.
const RESERVED_FIRST: [&str; 9] = [
    "api", "ingest", "metrics", "healthz", "readyz", "time", "assets", "console", "live",
];
/// Protocols end with these.
const RESERVED_LAST: [&str; 3] = ["whip", "whep", "mpegts"];

/// The grammar of stream names.
pub(crate) fn check_name(name: &str) -> Result<(), Problem> {
    let word = |w: &str| !w.is_empty() && w.bytes().all(is_name_byte);
    if name.len() > NAME || !name.split('/').all(word) {
        let why = "[A-Za-z0-9_-]+ joined by /, at most 128 characters";
        return Err(Problem::invalid("name_invalid", "name", why));
    }
    let first = name.split('/').next().unwrap_or_default();
    let last = name.rsplit('/').next().unwrap_or_default();
    if RESERVED_FIRST.contains(&first) || RESERVED_LAST.contains(&last) {
        let why = "the server uses this path itself";
        return Err(Problem::invalid("name_reserved", "name", why));
    }
    Ok(())
}

/// The grammar of the names of templates and hooks.
pub(super) fn check_template_name(name: &str) -> Result<(), Problem> {
    check_id("name", name)
}

pub(super) fn check_id(field: &str, id: &str) -> Result<(), Problem> {
    if id.is_empty() || id.len() > 64 || !id.bytes().all(is_name_byte) {
        let code = if field == "name" {
            "name_invalid"
        } else {
            "id_invalid"
        };
        let why = "[A-Za-z0-9_-]+, at most 64 characters";
        return Err(Problem::invalid(code, field, why));
    }
    Ok(())
}

const fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
}

pub(super) fn check(config: &StreamConfig) -> Result<(), Problem> {
    check_name(&config.name)?;
    check_labels(config)?;
    check_inputs(config)?;
    config.slate.as_ref().map_or(Ok(()), check_slate)?;
    config.failover.as_ref().map_or(Ok(()), check_failover)?;
    let rules = config.failover.as_ref().and_then(|f| f.rules.as_deref());
    rules::check(config, rules.unwrap_or_default())?;
    for (name, callback) in [
        ("on_publish", &config.on_publish),
        ("on_play", &config.on_play),
    ] {
        if let Some(callback) = callback {
            check_callback(callback).map_err(|p| p.within(name))?;
        }
    }
    config.hls.as_ref().map_or(Ok(()), check_hls)?;
    let dash = config.dash.as_ref();
    dash.map_or(Ok(()), |d| check_dash(d, config.hls.as_ref()))?;
    config.srt.as_ref().map_or(Ok(()), srt::check)?;
    transcode::check(config)?;
    push::check(config)
}

fn check_failover(failover: &Failover) -> Result<(), Problem> {
    // Less would take a source's jitter for a source that runs ahead.
    let lead = failover.max_lead_ms.unwrap_or(2_000);
    within("failover.max_lead_ms", lead, 200, 2_000)?;
    let after = failover.failback_after_ms.unwrap_or(3_000);
    within("failover.failback_after_ms", after, 1_000, 300_000)?;
    let hold = failover.hold_s.unwrap_or_default();
    within("failover.hold_s", hold, 0, 604_800)
}

fn check_labels(config: &StreamConfig) -> Result<(), Problem> {
    let Some(labels) = &config.labels else {
        return Ok(());
    };
    let long = |text: &str| text.chars().count() > LABEL;
    let long = |(k, v): (&String, &String)| k.is_empty() || long(k) || long(v);
    if labels.len() > LABELS || labels.iter().any(long) {
        let why = "at most 32 labels of at most 128 characters";
        return Err(Problem::invalid("out_of_range", "labels", why));
    }
    Ok(())
}

fn check_inputs(config: &StreamConfig) -> Result<(), Problem> {
    let inputs = &config.inputs;
    for (i, input) in inputs.iter().enumerate() {
        let field = |name: &str| format!("inputs[{i}].{name}");
        check_id(&field("id"), &input.id)?;
        if inputs[..i].iter().any(|other| other.id == input.id) {
            return Err(Problem::invalid("id_taken", &field("id"), "ids are unique"));
        }
        if input.id == SLATE {
            let why = "it is what the slate is called";
            return Err(Problem::invalid("id_taken", &field("id"), why));
        }
        check_source(config, input, &field)?;
        let key = input.key.as_deref();
        if !key.is_none_or(is_key) {
            let why = "1 to 256 characters, no control characters, or null";
            return Err(Problem::invalid("key_invalid", &field("key"), why));
        }
    }
    if inputs.len() > INPUTS {
        let why = format!("at most {INPUTS}");
        return Err(Problem::invalid("out_of_range", "inputs", &why));
    }
    Ok(())
}

fn check_source(
    config: &StreamConfig,
    input: &Input,
    field: &impl Fn(&str) -> String,
) -> Result<(), Problem> {
    let invalid = |code, name: &str, why| Err(Problem::invalid(code, &field(name), why));
    let Some(scheme) = input.scheme().filter(|_| input.url.chars().count() <= URL) else {
        if let Some(why) = Scheme::fault(&input.url) {
            return invalid("url_invalid", "url", &why);
        }
        let why = "publish://, rtmp(s)://, srt://, http(s)://….m3u8, http(s)://….ts, file:// or stream://";
        return invalid("input_scheme_unsupported", "url", why);
    };
    if scheme == Scheme::Stream(config.name.clone()) {
        return invalid("stream_cycle", "url", "a stream cannot feed itself");
    }
    if scheme != Scheme::Publish && input.key.is_some() {
        return invalid("key_invalid", "key", "only publish:// has a key");
    }
    if scheme == Scheme::Publish && input.is_on_demand() {
        return invalid(
            "invalid_field",
            "start",
            "only what is pulled starts on demand",
        );
    }
    let program = input.program.unwrap_or(1);
    within(&field("program"), program.into(), 1, u32::from(u16::MAX))?;
    let idle = input.idle_timeout_ms.unwrap_or_default();
    within(&field("idle_timeout_ms"), idle, 0, 3_600_000)?;
    check_headers(&field("headers"), input.headers.as_ref())?;
    let connect = input.connect_timeout_ms.unwrap_or(5_000);
    within(&field("connect_timeout_ms"), connect, 100, 60_000)?;
    let silence = input.silence_timeout_ms.unwrap_or(10_000);
    within(&field("silence_timeout_ms"), silence, 500, 60_000)
}

fn check_callback(callback: &Callback) -> Result<(), Problem> {
    check_http_url("url", &callback.url)?;
    check_secret("secret", callback.secret.as_deref())?;
    check_webhook_headers(callback.headers.as_ref())?;
    within(
        "timeout_ms",
        callback.timeout_ms.unwrap_or(2_000),
        100,
        8_000,
    )?;
    within("cache_s", callback.cache_s.unwrap_or(60), 0, 86_400)
}

/// Something that can be asked or told over HTTP.
pub(super) fn check_http_url(field: &str, url: &str) -> Result<(), Problem> {
    let read = url::Url::parse(url).ok().filter(url::Url::has_host);
    let over_http = read.is_some_and(|url| matches!(url.scheme(), "http" | "https"));
    if over_http && url.chars().count() <= URL {
        return Ok(());
    }
    let why = "http:// or https://";
    Err(Problem::invalid("url_invalid", field, why))
}

/// What requests are signed with.
pub(super) fn check_secret(field: &str, secret: Option<&str>) -> Result<(), Problem> {
    if secret.is_none_or(|secret| is_key(secret) && webhook::sign::is_secret(secret)) {
        return Ok(());
    }
    let why = "1 to 256 characters, no control characters; whsec_ and base64";
    Err(Problem::invalid("key_invalid", field, why))
}

pub(super) fn check_headers(
    field: &str,
    headers: Option<&BTreeMap<String, String>>,
) -> Result<(), Problem> {
    let headers = headers.into_iter().flatten();
    if headers.clone().count() <= HEADERS && headers.clone().all(|(n, v)| is_header(n, v)) {
        return Ok(());
    }
    let why = "too many, not a header of HTTP, or one that the connection itself makes";
    Err(Problem::invalid("header_invalid", field, why))
}

/// Headers of a webhook: not those that it has itself.
pub(super) fn check_webhook_headers(
    headers: Option<&BTreeMap<String, String>>,
) -> Result<(), Problem> {
    let own = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.starts_with("webhook-") || name == "content-type"
    };
    if headers.into_iter().flatten().any(|(name, _)| own(name)) {
        let why = "requests have headers of these names already";
        return Err(Problem::invalid("header_invalid", "headers", why));
    }
    check_headers("headers", headers)
}

fn is_header(name: &str, value: &str) -> bool {
    const OWN: [HeaderName; 4] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::HOST,
        header::TRANSFER_ENCODING,
    ];
    let name = HeaderName::try_from(name).is_ok_and(|name| !OWN.contains(&name));
    name && HeaderValue::try_from(value).is_ok()
}

fn check_slate(slate: &Slate) -> Result<(), Problem> {
    if Scheme::of(&slate.url) == Some(Scheme::File) && slate.url.chars().count() <= URL {
        return Ok(());
    }
    let why = "a slate is a file: file://";
    Err(Problem::invalid(
        "input_scheme_unsupported",
        "slate.url",
        why,
    ))
}

fn is_key(key: &str) -> bool {
    (1..=KEY).contains(&key.chars().count()) && !key.chars().any(char::is_control)
}

fn check_hls(hls: &Hls) -> Result<(), Problem> {
    let segment = hls.segment_ms.unwrap_or(2_000);
    let part = hls.part_ms.unwrap_or(200);
    within("hls.segment_ms", segment, 500, 12_000)?;
    within("hls.part_ms", part, 100, 2_000.min(segment / 2))?;
    let window = hls.window_s.unwrap_or(60);
    within("hls.window_s", window, 6.max(segment * 4 / 1_000), 21_600)
}

/// Who stays further behind than media is served finds none.
fn check_dash(dash: &Dash, hls: Option<&Hls>) -> Result<(), Problem> {
    let window = hls.and_then(|hls| hls.window_s).unwrap_or(60) * 1_000;
    let segment = hls.and_then(|hls| hls.segment_ms).unwrap_or(2_000);
    let most = window.saturating_sub(segment).min(30_000);
    within(
        "dash.latency_ms",
        dash.latency_ms.unwrap_or(2_500),
        1_000,
        most,
    )
}

pub(super) fn within(field: &str, value: u32, least: u32, most: u32) -> Result<(), Problem> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let why = format!("{value} is not within {least}..={most}");
    Err(Problem::invalid("out_of_range", field, &why))
}
