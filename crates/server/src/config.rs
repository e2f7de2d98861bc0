//! The server's configuration: `weir.toml`, then `WEIR_SECTION__KEY` from the environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// Everything an operator may set before start. Works as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// API, players, metrics.
    pub http: Http,
    /// Encoders.
    pub rtmp: Rtmp,
    /// Where streams are kept.
    pub database: Database,
    /// Files of our own.
    pub data: Data,
    /// What is said of it all.
    pub log: Log,
    /// Who may use the API.
    pub auth: Auth,
    /// How the server stops.
    pub shutdown: Shutdown,
}

/// `[http]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port; `[::]` takes IPv4 too.
    pub listen: SocketAddr,
    /// Connections at a time.
    pub max_connections: usize,
    /// Seconds for a request's header to arrive.
    pub header_timeout_s: u64,
    /// Requests that may wait for media at a time.
    pub max_blocked: usize,
}

/// `[rtmp]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rtmp {
    /// Whether to listen.
    pub enabled: bool,
    /// Address and port.
    pub listen: SocketAddr,
    /// Connections at a time.
    pub max_connections: usize,
    /// Connections of one address at a time.
    pub max_per_address: usize,
    /// Seconds from connecting to a request.
    pub request_timeout_s: u64,
    /// Seconds an encoder may be silent.
    pub read_timeout_s: u64,
    /// The longest message of a publisher, in bytes.
    pub max_message_bytes: usize,
}

/// `[database]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite:PATH`; by default `weir.db` in the data directory.
    pub url: Option<String>,
}

/// `[data]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// The directory of the database and the admin token.
    pub dir: PathBuf,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text` or `json`.
    pub format: LogFormat,
    /// As `tracing` filters: `info`, `weir=debug`, …
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

/// `[auth]`
#[derive(Clone, Default, Deserialize)]
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
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// Seconds that open requests have to end.
    pub drain_s: u64,
}

fn anywhere(port: u16) -> SocketAddr {
    SocketAddr::from(([0_u16; 8], port))
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: anywhere(8080),
            max_connections: 20_000,
            header_timeout_s: 10,
            max_blocked: 50_000,
        }
    }
}

impl Default for Rtmp {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: anywhere(1935),
            max_connections: 10_000,
            max_per_address: 2_000,
            request_timeout_s: 10,
            read_timeout_s: 10,
            max_message_bytes: 8 << 20,
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

impl Default for Shutdown {
    fn default() -> Self {
        Self { drain_s: 10 }
    }
}

/// The file that is read where none is named, if it is there.
const DEFAULT_FILE: &str = "weir.toml";

impl Config {
    /// Reads the file, then what the environment says otherwise.
    ///
    /// # Errors
    /// A named file that is not there, a key that is unknown, a value that makes no sense.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self> {
        let mut table = read_file(file)?;
        for (name, value) in environment {
            if let Some(path) = setting(&name) {
                set(&mut table, &path, &value).with_context(|| name.clone())?;
            }
        }
        let config: Self = serde_path_to_error::deserialize(toml::Value::Table(table))
            .map_err(|e| anyhow::anyhow!("{}: {}", e.path(), e.inner().message()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let token = self.auth.admin_token.as_deref();
        if token.is_some_and(|t| t.len() < 16) {
            bail!("auth.admin_token: at least 16 characters");
        }
        if self.rtmp.max_message_bytes < 64 << 10 {
            bail!("rtmp.max_message_bytes: at least 65536");
        }
        Ok(())
    }

    /// The database's URL.
    #[must_use]
    pub fn database_url(&self) -> String {
        let default = || format!("sqlite:{}", self.data.dir.join("weir.db").display());
        self.database.url.clone().unwrap_or_else(default)
    }
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

/// `WEIR_HTTP__LISTEN` is `http.listen`; names without `__` are not ours: orchestrators inject
/// `WEIR_PORT` and the like.
fn setting(name: &str) -> Option<Vec<String>> {
    let path = name.strip_prefix("WEIR_")?;
    path.contains("__")
        .then(|| path.split("__").map(str::to_lowercase).collect())
}

fn set(table: &mut toml::Table, path: &[String], value: &str) -> Result<()> {
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
    table.insert(key.clone(), scalar(value));
    Ok(())
}

/// Numbers and flags as such; all else is text.
fn scalar(value: &str) -> toml::Value {
    if let Ok(flag) = value.parse() {
        return toml::Value::Boolean(flag);
    }
    value.parse().map_or_else(
        |_| toml::Value::String(value.to_owned()),
        toml::Value::Integer,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Result<Config> {
        let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        let none = tempfile::tempdir().unwrap();
        let file = none.path().join("weir.toml");
        std::fs::write(&file, "[log]\nlevel = \"warn\"\n").unwrap();
        Config::load(Some(&file), pairs.iter().map(own))
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = env(&[
            ("WEIR_HTTP__LISTEN", "127.0.0.1:9"),
            ("WEIR_LOG__LEVEL", "debug"),
            ("WEIR_RTMP__ENABLED", "false"),
            ("WEIR_PORT", "tcp://10.0.0.1:80"),
        ])
        .unwrap();
        assert_eq!(config.http.listen.port(), 9);
        assert_eq!(
            (config.log.level.as_str(), config.rtmp.enabled),
            ("debug", false)
        );
    }

    #[test]
    fn what_is_unknown_is_an_error_with_its_path() {
        let error = env(&[("WEIR_HTTP__LISTNE", "x")]).unwrap_err().to_string();
        assert!(
            error.contains("http") && error.contains("listne"),
            "{error}"
        );
        assert!(env(&[("WEIR_NOPE__X", "1")]).is_err());
        assert!(env(&[("WEIR_AUTH__ADMIN_TOKEN", "short")]).is_err());
    }

    #[test]
    fn the_sample_is_valid_and_says_the_defaults() {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../weir.toml");
        let read = Config::load(Some(Path::new(sample)), std::iter::empty()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", Config::default()));
    }
}
