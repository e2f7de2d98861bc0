//! A server with one stream, and where that is reached.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::{Output, Row, Transport};
use crate::actors::Weir;

pub(super) const NAME: &str = "m";
/// The same under a passphrase.
pub(super) const SECRET: &str = "secret";
/// Of encoders and of players.
pub(super) const PASSPHRASE: &str = "over-hill-and-dale";
/// Senders begin so long before readers, at most, and end so long behind them.
pub(super) const EARLY: Duration = Duration::from_secs(45);
/// Segments that players of HLS begin with.
const WINDOW: usize = 3;
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);

pub(super) struct Ground {
    pub(super) weir: Weir,
    /// Where it speaks SRT.
    pub(super) srt: Option<u16>,
    urls: Value,
}

impl Ground {
    /// None where the server does not have the row's transport.
    pub(super) async fn prepare(binary: &Path, row: Row) -> anyhow::Result<Option<Self>> {
        let srt = speaks_srt(binary).await?;
        if row.transport != Transport::Rtmp && srt.is_none() {
            return Ok(None);
        }
        let port = srt.map(|port| format!("127.0.0.1:{port}"));
        let settings: Vec<_> = port.iter().map(|at| ("SRT__LISTEN", at.as_str())).collect();
        let weir = Weir::start_set(binary, None, &settings).await?;
        for stream in streams(row.transport, srt.is_some()) {
            weir.create_as(&stream).await?;
        }
        let urls = weir.stream(NAME).await?["urls"].clone();
        Ok(Some(Self { weir, srt, urls }))
    }

    /// Waits until there is what players begin with.
    pub(super) async fn until_live(&self) -> anyhow::Result<()> {
        self.weir.until(NAME, "live").await?;
        if self.srt.is_some() {
            self.weir.until(SECRET, "live").await?;
        }
        let path = format!("/{NAME}/v0.m3u8");
        let filling = async {
            let segments = |list: String| list.matches("#EXTINF").count();
            while self.weir.get(&path).await.map_or(0, segments) < WINDOW {
                sleep(LOOK).await;
            }
        };
        let filled = timeout(PATIENCE, filling).await;
        filled.context("no segments")
    }

    /// Where it is read; none where the server has none of it.
    pub(super) fn output(&self, output: Output) -> Option<String> {
        let path = |name: &str| self.urls["play"][name].as_str().map(|_| ());
        let http = self.weir.http;
        match output {
            Output::Hls => Some(format!("http://{http}/{NAME}/index.m3u8")),
            Output::HlsTs => path("hls_ts").map(|()| format!("http://{http}/{NAME}/ts.m3u8")),
            Output::Dash => Some(format!("http://{http}/{NAME}/index.mpd")),
            Output::Rtmp => Some(format!("rtmp://{}/live/{NAME}", self.weir.rtmp)),
            Output::HttpTs => path("mpegts").map(|()| format!("http://{http}/{NAME}/mpegts")),
            Output::Srt | Output::SrtKey => {
                path("srt")?;
                Some(format!("srt://127.0.0.1:{}", self.srt?))
            }
        }
    }
}

/// The stream, with all that players may want, and another that shows it under a passphrase.
fn streams(transport: Transport, srt: bool) -> Vec<Value> {
    let publisher = json!({"id": "main", "url": "publish://", "key": null});
    let mut stream = json!({"name": NAME, "inputs": [publisher], "hls": {"container": "both"}});
    if matches!(transport, Transport::Srt128 | Transport::Srt256) {
        stream["srt"] = json!({"publish_passphrase": PASSPHRASE});
    }
    let shown = json!({"id": "main", "url": format!("stream://{NAME}")});
    let secret = json!({"name": SECRET, "inputs": [shown], "srt": {"play_passphrase": PASSPHRASE}});
    std::iter::once(stream)
        .chain(srt.then_some(secret))
        .collect()
}

/// A port for SRT, where the server knows of that.
async fn speaks_srt(binary: &Path) -> anyhow::Result<Option<u16>> {
    let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
    let checked = Command::new(binary)
        .arg("check-config")
        .env("WEIR_SRT__LISTEN", format!("127.0.0.1:{port}"))
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let checked = checked.await.context("the server cannot be run")?;
    Ok(checked.success().then_some(port))
}
