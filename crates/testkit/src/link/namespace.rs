//! A network namespace without a name: it ends with the processes in it.

use std::net::Ipv4Addr;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Ends when it is dropped, or when this process ends.
#[derive(Debug)]
pub struct Namespace {
    /// Reads from us; when we are gone it goes, too.
    _holder: Child,
    id: String,
}

impl Namespace {
    /// Makes one in which there is nothing.
    ///
    /// # Errors
    /// Without root.
    pub async fn new() -> anyhow::Result<Self> {
        let holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo made; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut holder = holder.context("unshare")?;
        let out = holder.stdout.take().context("no output")?;
        let made = BufReader::new(out).lines().next_line().await?;
        ensure!(made.is_some(), "no network namespace; are we root?");
        let id = holder.id().context("the namespace is gone")?.to_string();
        Ok(Self {
            _holder: holder,
            id,
        })
    }

    /// What runs the program named behind it in here.
    #[must_use]
    pub fn prefix(&self) -> Vec<String> {
        let words = ["nsenter", "--target", &self.id, "--net"];
        words.map(str::to_owned).to_vec()
    }

    /// Moves a device in here and gives it an address of a network of four.
    pub(super) async fn take(&self, device: &str, address: Ipv4Addr) -> anyhow::Result<()> {
        ip(&[], &format!("link set {device} netns {}", self.id)).await?;
        let inside = self.prefix();
        ip(&inside, &format!("address add {address}/30 dev {device}")).await?;
        ip(&inside, &format!("link set {device} up")).await
    }
}

async fn ip(prefix: &[String], args: &str) -> anyhow::Result<()> {
    let mut words = prefix.iter().map(String::as_str).chain(["ip"]);
    let done = Command::new(words.next().unwrap_or_default())
        .args(words)
        .args(args.split(' '))
        .status()
        .await;
    ensure!(done.context("ip")?.success(), "ip {args}");
    Ok(())
}
