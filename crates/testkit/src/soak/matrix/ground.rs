//! A server with one stream, and where that is reached.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
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
}

impl Ground {
    pub(super) async fn prepare(binary: &Path, row: Row) -> anyhow::Result<Self> {
        let weir = Weir::start(binary).await?;
        for stream in streams(row.transport) {
            weir.create_as(&stream).await?;
        }
        Ok(Self { weir })
    }

    /// Waits until there is what players begin with.
    pub(super) async fn until_live(&self) -> anyhow::Result<()> {
        self.weir.until(NAME, "live").await?;
        self.weir.until(SECRET, "live").await?;
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

    /// Where it is read.
    pub(super) fn output(&self, output: Output) -> String {
        let http = self.weir.http;
        match output {
            Output::Hls => format!("http://{http}/{NAME}/index.m3u8"),
            Output::HlsTs => format!("http://{http}/{NAME}/ts.m3u8"),
            Output::Dash => format!("http://{http}/{NAME}/index.mpd"),
            Output::Rtmp => format!("rtmp://{}/live/{NAME}", self.weir.rtmp),
            Output::HttpTs => format!("http://{http}/{NAME}/mpegts"),
            Output::Srt | Output::SrtKey => format!("srt://{}", self.weir.srt),
        }
    }
}

/// The stream, with all that players may want, and another that shows it under a passphrase.
fn streams(transport: Transport) -> [Value; 2] {
    let publisher = json!({"id": "main", "url": "publish://", "key": null});
    let mut stream = json!({"name": NAME, "inputs": [publisher], "hls": {"container": "both"}});
    if matches!(transport, Transport::Srt128 | Transport::Srt256) {
        stream["srt"] = json!({"publish_passphrase": PASSPHRASE});
    }
    let shown = json!({"id": "main", "url": format!("stream://{NAME}")});
    let secret = json!({"name": SECRET, "inputs": [shown], "srt": {"play_passphrase": PASSPHRASE}});
    [stream, secret]
}
