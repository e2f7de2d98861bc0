//! Pebble: an ACME server of Let's Encrypt's own, for tests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::free;

const PATIENCE: Duration = Duration::from_secs(20);

/// An authority that validates names on ports of ours.
#[derive(Debug)]
pub struct Pebble {
    // Killed when dropped.
    _process: Child,
    dir: TempDir,
    listen: SocketAddr,
    management: SocketAddr,
}

impl Pebble {
    /// Starts one that asks for proofs on `http` and `https`, and whose certificates hold for
    /// `validity_s`.
    ///
    /// # Errors
    /// Where `make setup` did not run.
    pub async fn start(http: u16, https: u16, validity_s: u64) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let (listen, management) = (free()?, free()?);
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        std::fs::write(dir.path().join("cert.pem"), own.cert.pem())?;
        std::fs::write(dir.path().join("key.pem"), own.signing_key.serialize_pem())?;
        let config = json!({"pebble": {
            "listenAddress": listen.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": "cert.pem",
            "privateKey": "key.pem",
            "httpPort": http,
            "tlsPort": https,
            "certificateValidityPeriod": validity_s,
        }});
        std::fs::write(dir.path().join("config.json"), config.to_string())?;
        let process = Command::new("pebble")
            .args(["-config", "config.json"])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("pebble cannot be run: `make setup`")?;
        let pebble = Self {
            _process: process,
            dir,
            listen,
            management,
        };
        let asking = async {
            while pebble.fetch_root().await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let up = tokio::time::timeout(PATIENCE, asking).await;
        up.context("pebble does not start")?;
        Ok(pebble)
    }

    /// Where its directory is.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.listen)
    }

    /// Who vouches for the directory's own certificate.
    #[must_use]
    pub fn directory_authority(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// Who vouches for the certificates that it issues.
    #[must_use]
    pub fn issuer(&self) -> PathBuf {
        self.dir.path().join("root.pem")
    }

    async fn fetch_root(&self) -> anyhow::Result<()> {
        let fetched = Command::new("curl")
            .args(["-sSf", "-k", "-o"])
            .arg(self.issuer())
            .arg(format!("https://{}/roots/0", self.management))
            .output()
            .await?;
        ensure!(fetched.status.success(), "{fetched:?}");
        Ok(())
    }
}
