//! The server's configuration: `weir.toml`, then `WEIR_SECTION__KEY` from the environment.

use std::ffi::OsString;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

mod tls;

pub(crate) use self::tls::Origin;
pub use self::tls::{Acme, Challenge, Tls};
pub use crate::egress::Range;

/// Everything an operator may set before start. Works as it is.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// API, players, metrics.
    pub http: Http,
    /// Encoders and players.
    pub rtmp: Rtmp,
    /// The same over SRT.
    pub srt: Srt,
    /// The certificate of all that speaks TLS; without it nothing does.
    pub tls: Option<Tls>,
    /// Where streams are kept.
    pub database: Database,
    /// Files of our own.
    pub data: Data,
    /// Files that inputs play.
    pub files: Files,
    /// Where connections of ours may go.
    pub egress: Egress,
    /// What happens, and how long that is known.
    pub events: Events,
    /// Where events are delivered in files.
    pub hooks: Hooks,
    /// The child processes that transcode.
    pub transcoder: Transcoder,
    /// What is said of it all.
    pub log: Log,
    /// Who may use the API.
    pub auth: Auth,
    /// How the server stops.
    pub shutdown: Shutdown,
}

/// `[http]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port; `[::]` takes IPv4 too.
    pub listen: SocketAddr,
    /// The same over TLS, where there is a certificate.
    pub tls_listen: SocketAddr,
    /// Connections at a time.
    pub max_connections: usize,
    /// Connections of one address at a time; a proxy in front is one.
    pub max_per_address: usize,
    /// Seconds for a request's header to arrive; a connection that asks nothing ends then, too.
    pub header_timeout_s: u64,
    /// Seconds that an HTTP/2 connection may ask nothing after its first request.
    pub idle_timeout_s: u64,
    /// Seconds that a client may take nothing of what is sent to it.
    pub write_timeout_s: u64,
    /// Requests that may wait for media at a time.
    pub max_blocked: usize,
}

/// `[rtmp]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rtmp {
    /// Whether to listen.
    pub enabled: bool,
    /// Address and port.
    pub listen: SocketAddr,
    /// The same over TLS (RTMPS), where there is a certificate.
    pub tls_listen: SocketAddr,
    /// Connections at a time.
    pub max_connections: usize,
    /// Connections of one address at a time.
    pub max_per_address: usize,
    /// Connections that have not said what they want, at a time.
    pub max_pending: usize,
    /// Seconds from connecting to a request.
    pub request_timeout_s: u64,
    /// Seconds an encoder may be silent.
    pub read_timeout_s: u64,
    /// The longest message of a publisher, in bytes.
    pub max_message_bytes: usize,
}

/// `[srt]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Srt {
    /// Whether to listen.
    pub enabled: bool,
    /// Address and port (UDP).
    pub listen: SocketAddr,
    /// Milliseconds that lost packets have to come again, at least; a peer may ask for more.
    pub latency_ms: u16,
    /// Connections at a time.
    pub max_connections: usize,
    /// Connections of one address at a time.
    pub max_per_address: usize,
    /// Callers that wait for a decision, at a time.
    pub max_pending: usize,
    /// Packets of one session that are held, in either direction: latency times bitrate has to fit.
    pub buffer_packets: usize,
    /// Seconds an encoder may send no media.
    pub read_timeout_s: u64,
    /// Seconds a player may take or acknowledge nothing.
    pub write_timeout_s: u64,
    /// Seconds a peer may say nothing at all.
    pub idle_timeout_s: u64,
    /// What one player is sent at most, in Mb/s: a group at once when it joins, and what was lost.
    pub max_mbps: u32,
}

/// `[database]`
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite:PATH` or `postgres://…`; by default `weir.db` in the data directory.
    pub url: Option<String>,
}

/// The URL holds a password, which stays out of logs.
impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("url", &self.url.as_ref().map(|_| "…"))
            .finish()
    }
}

/// `[data]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// The directory of the database and the admin token.
    pub dir: PathBuf,
}

/// `[files]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// Inputs and slates play files from below here alone; by default `files` in the data directory.
    pub root: Option<PathBuf>,
}

/// `[egress]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Egress {
    /// Whether pulls may not reach private ranges either, this host included.
    pub strict: bool,
    /// Private ranges that hooks and callbacks may reach nevertheless: `10.1.0.0/16`, `127.0.0.1`.
    pub hooks: Vec<Range>,
}

/// `[events]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// Events that may wait for the database; beyond them the oldest are dropped.
    pub max_waiting: usize,
    /// Whether players that come and go are events.
    pub sessions: bool,
    /// Clients that may follow along at a time.
    pub max_subscribers: usize,
    /// Days that an event is kept.
    pub keep_days: u32,
    /// Events that are kept.
    pub keep_events: u32,
}

/// `[hooks]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hooks {
    /// Hooks write files below here alone; by default `events` in the data directory.
    pub files_root: Option<PathBuf>,
}

/// `[transcoder]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transcoder {
    /// The worker's binary; by default `weir-transcoder` beside the server's own, else on the PATH.
    pub worker: Option<PathBuf>,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text` or `json`.
    pub format: LogFormat,
    /// As `tracing` filters: `info`, `weir=debug`, …
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

/// `[auth]`
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The admin token; by default one is made at first start and kept in the data directory.
    pub admin_token: Option<String>,
    /// Whether loopback peers need none.
    pub trust_loopback: bool,
}

/// The token stays out of logs.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("admin_token", &self.admin_token.as_ref().map(|_| "…"))
            .field("trust_loopback", &self.trust_loopback)
            .finish()
    }
}

/// `[shutdown]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// Seconds that open requests have to end.
    pub drain_s: u64,
}

impl Transcoder {
    /// The worker's binary, where the server's own is `own`.
    fn worker(&self, own: Option<&Path>) -> PathBuf {
        let beside = own.and_then(|own| Some(own.parent()?.join(WORKER)));
        let beside = || beside.filter(|path| path.is_file());
        let found = self.worker.clone().or_else(beside);
        found.unwrap_or_else(|| PathBuf::from(WORKER))
    }
}

fn anywhere(port: u16) -> SocketAddr {
    SocketAddr::from(([0_u16; 8], port))
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: anywhere(8080),
            tls_listen: anywhere(8443),
            max_connections: 20_000,
            max_per_address: 20_000,
            header_timeout_s: 10,
            idle_timeout_s: 60,
            write_timeout_s: 30,
            max_blocked: 50_000,
        }
    }
}

impl Default for Rtmp {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: anywhere(1935),
            tls_listen: anywhere(1936),
            max_connections: 10_000,
            max_per_address: 2_000,
            max_pending: 4_000,
            request_timeout_s: 10,
            read_timeout_s: 10,
            max_message_bytes: 8 << 20,
        }
    }
}

impl Default for Srt {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: anywhere(8890),
            latency_ms: 120,
            max_connections: 10_000,
            max_per_address: 2_000,
            max_pending: 1_024,
            buffer_packets: 32_768,
            read_timeout_s: 10,
            write_timeout_s: 10,
            idle_timeout_s: 5,
            max_mbps: 200,
        }
    }
}

impl Srt {
    /// Bounds of sessions.
    pub(crate) fn bounds(&self) -> srt::Config {
        srt::Config {
            latency: Duration::from_millis(self.latency_ms.into()),
            packets: self.buffer_packets,
            idle_timeout: Duration::from_secs(self.idle_timeout_s),
            max_pending: self.max_pending,
            max_bandwidth: u64::from(self.max_mbps) * 1_000_000,
            ..srt::Config::default()
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("data"),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self {
            sessions: true,
            max_waiting: 50_000,
            max_subscribers: 200,
            keep_days: 7,
            keep_events: 1_000_000,
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { drain_s: 10 }
    }
}

/// What the worker's binary is called.
const WORKER: &str = "weir-transcoder";
/// The file that is read where none is named, if it is there.
const DEFAULT_FILE: &str = "weir.toml";

impl Config {
    /// Reads the file, then what the environment says otherwise, then what `flags` say:
    /// `http.listen=127.0.0.1:8080`.
    ///
    /// # Errors
    /// A named file that is not there, a key that is unknown, a value that makes no sense.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
        flags: &[String],
    ) -> Result<Self> {
        let mut table = read_file(file)?;
        for (name, value) in environment {
            let Some(path) = name.to_str().and_then(setting) else {
                continue;
            };
            let name = name.display().to_string();
            let value = value
                .to_str()
                .with_context(|| format!("{name}: not UTF-8"))?;
            set(&mut table, &path, value).context(name)?;
        }
        for flag in flags {
            let pair = flag.split_once('=');
            let (name, value) = pair.with_context(|| format!("--set {flag}: KEY=VALUE"))?;
            let path: Vec<String> = name.split('.').map(str::to_owned).collect();
            set(&mut table, &path, value).with_context(|| format!("--set {name}"))?;
        }
        let config: Self = serde_path_to_error::deserialize(toml::Value::Table(table))
            .map_err(|e| anyhow::anyhow!("{}: {}", e.path(), e.inner().message()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let token = self.auth.admin_token.as_deref();
        if token.is_some_and(|t| t.len() < 16 || !t.bytes().all(|b| b.is_ascii_graphic())) {
            bail!("auth.admin_token: at least 16 characters, ASCII without spaces");
        }
        crate::logging::filter(&self.log)?;
        store::Store::check_url(&self.database_url()).context("database.url")?;
        if let Some(tls) = &self.tls {
            tls.check()?;
        }
        if self.transcoder.worker == Some(PathBuf::new()) {
            bail!("transcoder.worker: a path, or a name on the PATH");
        }
        let (http, rtmp, srt) = (&self.http, &self.rtmp, &self.srt);
        let events = &self.events;
        for (key, value, least, most) in [
            ("events.max_waiting", events.max_waiting, 100, 1 << 20),
            ("events.max_subscribers", events.max_subscribers, 1, 10_000),
            ("http.max_connections", http.max_connections, 1, 1 << 20),
            ("http.max_per_address", http.max_per_address, 1, 1 << 20),
            ("rtmp.max_connections", rtmp.max_connections, 1, 1 << 20),
            ("rtmp.max_per_address", rtmp.max_per_address, 1, 1 << 20),
            ("rtmp.max_pending", rtmp.max_pending, 1, 1 << 20),
            ("srt.max_connections", srt.max_connections, 1, 1 << 20),
            ("srt.max_per_address", srt.max_per_address, 1, 1 << 20),
            ("srt.max_pending", srt.max_pending, 1, 1 << 20),
            ("srt.buffer_packets", srt.buffer_packets, 1_024, 1 << 20),
            (
                "rtmp.max_message_bytes",
                rtmp.max_message_bytes,
                64 << 10,
                256 << 20,
            ),
        ] {
            within(key, value, least, most)?;
        }
        for (key, value, least, most) in [
            ("events.keep_days", events.keep_days.into(), 1, 3_650),
            (
                "events.keep_events",
                events.keep_events.into(),
                1_000,
                100_000_000,
            ),
            ("http.header_timeout_s", http.header_timeout_s, 1, 3_600),
            ("http.idle_timeout_s", http.idle_timeout_s, 1, 3_600),
            ("http.write_timeout_s", http.write_timeout_s, 1, 3_600),
            ("rtmp.request_timeout_s", rtmp.request_timeout_s, 1, 3_600),
            ("rtmp.read_timeout_s", rtmp.read_timeout_s, 1, 3_600),
            ("srt.latency_ms", srt.latency_ms.into(), 20, 10_000),
            ("srt.read_timeout_s", srt.read_timeout_s, 1, 3_600),
            ("srt.write_timeout_s", srt.write_timeout_s, 1, 3_600),
            ("srt.idle_timeout_s", srt.idle_timeout_s, 1, 3_600),
            ("srt.max_mbps", srt.max_mbps.into(), 1, 10_000),
            ("shutdown.drain_s", self.shutdown.drain_s, 3, 3_600),
        ] {
            within(key, value, least, most)?;
        }
        Ok(())
    }

    /// What is below it may be played.
    #[must_use]
    pub fn files_root(&self) -> PathBuf {
        let default = || self.data.dir.join("files");
        self.files.root.clone().unwrap_or_else(default)
    }

    /// Hooks write files below it.
    #[must_use]
    pub fn hooks_root(&self) -> PathBuf {
        let default = || self.data.dir.join("events");
        self.hooks.files_root.clone().unwrap_or_else(default)
    }

    /// What transcodes: a path, or a name that is looked up on the PATH.
    #[must_use]
    pub fn worker(&self) -> PathBuf {
        let own = std::env::current_exe().ok();
        self.transcoder.worker(own.as_deref())
    }

    /// The database's URL.
    #[must_use]
    pub fn database_url(&self) -> String {
        let default = || format!("sqlite:{}", self.data.dir.join("weir.db").display());
        self.database.url.clone().unwrap_or_else(default)
    }
}

fn within<T: Copy + PartialOrd + Display>(key: &str, value: T, least: T, most: T) -> Result<()> {
    if value < least || value > most {
        bail!("{key}: {value} is not within {least}..={most}");
    }
    Ok(())
}

fn read_file(file: Option<&Path>) -> Result<toml::Table> {
    let path = file.unwrap_or_else(|| Path::new(DEFAULT_FILE));
    match std::fs::read_to_string(path) {
        Ok(text) => text.parse().with_context(|| path.display().to_string()),
        Err(e) if file.is_none() && e.kind() == std::io::ErrorKind::NotFound => {
            Ok(toml::Table::new())
        }
        Err(e) => Err(e).with_context(|| path.display().to_string()),
    }
}

/// Whether the environment variable of this name sets something of the server.
pub(crate) fn is_setting(name: &str) -> bool {
    setting(name).is_some()
}

/// `WEIR_HTTP__LISTEN` is `http.listen`; names without `__` are not ours: orchestrators inject
/// `WEIR_PORT` and the like.
fn setting(name: &str) -> Option<Vec<String>> {
    let path = name.strip_prefix("WEIR_")?;
    path.contains("__")
        .then(|| path.split("__").map(str::to_lowercase).collect())
}

fn set(table: &mut toml::Table, path: &[String], value: &str) -> Result<()> {
    let value = typed(path, value)?;
    let Some((key, sections)) = path.split_last() else {
        return Ok(());
    };
    let mut table = table;
    for section in sections {
        let entry = table
            .entry(section.clone())
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let toml::Value::Table(inner) = entry else {
            bail!("{section} is no section");
        };
        table = inner;
    }
    table.insert(key.clone(), value);
    Ok(())
}

/// The default says what a value is: a token of digits is no number.
fn typed(path: &[String], value: &str) -> Result<toml::Value> {
    let defaults = toml::Value::try_from(Config::default())?;
    let default = path.iter().try_fold(&defaults, |at, key| at.get(key));
    Ok(match default {
        Some(toml::Value::Boolean(_)) => toml::Value::Boolean(value.parse()?),
        Some(toml::Value::Integer(_)) => toml::Value::Integer(value.parse()?),
        Some(toml::Value::Array(_)) => {
            let items = value
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            toml::Value::Array(items.map(toml::Value::from).collect())
        }
        _ => toml::Value::String(value.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)], flags: &[&str]) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("weir.toml");
        std::fs::write(&file, "[log]\nlevel = \"warn\"\n").unwrap();
        let own = |(k, v): &(&str, &str)| (k.into(), v.into());
        let flags: Vec<String> = flags.iter().map(|f| (*f).to_owned()).collect();
        Config::load(Some(&file), pairs.iter().map(own), &flags)
    }

    fn error(pairs: &[(&str, &str)], flags: &[&str]) -> String {
        format!("{:#}", load(pairs, flags).unwrap_err())
    }

    #[test]
    fn the_environment_wins_over_the_file_and_flags_over_both() {
        let config = load(
            &[
                ("WEIR_HTTP__LISTEN", "127.0.0.1:9"),
                ("WEIR_LOG__LEVEL", "debug"),
                ("WEIR_RTMP__ENABLED", "false"),
                ("WEIR_HTTP__MAX_CONNECTIONS", "7"),
                ("WEIR_AUTH__ADMIN_TOKEN", "1234567890123456"),
                ("WEIR_PORT", "tcp://10.0.0.1:80"),
            ],
            &["http.listen=[::1]:10"],
        )
        .unwrap();
        assert_eq!(config.http.listen.to_string(), "[::1]:10");
        assert_eq!(
            (config.log.level.as_str(), config.rtmp.enabled),
            ("debug", false)
        );
        assert_eq!(config.http.max_connections, 7);
        let token = config.auth.admin_token.clone().unwrap();
        assert_eq!(token, "1234567890123456");
        assert!(!format!("{config:?}").contains(&token));
    }

    #[test]
    fn what_is_wrong_is_an_error_with_its_path() {
        for (name, value, says) in [
            ("WEIR_HTTP__LISTNE", "x", "listne"),
            ("WEIR_NOPE__X", "1", "nope"),
            ("WEIR_AUTH__ADMIN_TOKEN", "short", "auth.admin_token"),
            ("WEIR_HTTP__LISTEN", "nowhere", "http.listen"),
            (
                "WEIR_HTTP__MAX_CONNECTIONS",
                "many",
                "WEIR_HTTP__MAX_CONNECTIONS",
            ),
            ("WEIR_HTTP__MAX_CONNECTIONS", "0", "http.max_connections"),
            ("WEIR_LOG__FORMAT", "xml", "log.format"),
            ("WEIR_TRANSCODER__WORKERS", "x", "workers"),
            ("WEIR_TRANSCODER__WORKER", "", "transcoder.worker"),
            ("WEIR_LOG__LEVEL", "weir=loud", "log.level"),
            ("WEIR_DATABASE__URL", "mysql://db/weir", "database.url"),
            ("WEIR_DATABASE__URL", "postgres://db:x/weir", "database.url"),
        ] {
            let error = error(&[(name, value)], &[]);
            assert!(error.contains(says), "{name}={value}: {error}");
        }
        assert!(error(&[], &["http.listen"]).contains("KEY=VALUE"));
        assert!(error(&[], &["http.nope=1"]).contains("nope"));
    }

    #[test]
    fn the_database_s_password_is_not_shown() {
        let url = "postgres://weir:s3cret@db/weir";
        let config = load(&[("WEIR_DATABASE__URL", url)], &[]).unwrap();
        assert_eq!(config.database_url(), url);
        assert!(!format!("{config:?}").contains("s3cret"));
        let wrong = error(&[], &["database.url=postgres://weir:s3cret?@db/weir"]);
        assert!(!wrong.contains("s3cret"), "{wrong}");
    }

    #[test]
    fn the_worker_is_the_named_one_or_beside_the_server_or_on_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("weir");
        let none = load(&[], &[]).unwrap().transcoder;
        let on_path = Path::new("weir-transcoder");
        assert_eq!(none.worker(Some(&own)), on_path);
        assert_eq!(none.worker(None), on_path);
        let beside = dir.path().join("weir-transcoder");
        std::fs::write(&beside, "").unwrap();
        assert_eq!(none.worker(Some(&own)), beside);
        let named = load(&[("WEIR_TRANSCODER__WORKER", "/opt/w")], &[]).unwrap();
        assert_eq!(named.transcoder.worker(Some(&own)), Path::new("/opt/w"));
        assert_eq!(named.worker(), Path::new("/opt/w"));
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let none = Path::new("/nonexistent/weir.toml");
        let error = Config::load(Some(none), std::iter::empty(), &[]).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/weir.toml"));
    }

    #[test]
    fn the_sample_is_valid_and_says_the_defaults() {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../weir.toml");
        let text = std::fs::read_to_string(sample).unwrap();
        let read = Config::load(Some(Path::new(sample)), std::iter::empty(), &[]).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", Config::default()));
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        for (section, keys) in defaults {
            for (key, _) in keys.as_table().unwrap() {
                assert!(text.contains(&format!("\n{key} = ")), "{section}.{key}");
            }
        }
    }
}
