//! A server of our own for each test, and the plainest of HTTP clients.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use server::app::Server;
use server::config::Config;
use server::systemd::Inherited;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const TOKEN: &str = "0123456789abcdef";

pub(crate) struct Running {
    pub(crate) http: SocketAddr,
    pub(crate) rtmp: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) rtmps: Option<SocketAddr>,
    pub(crate) srt: Option<SocketAddr>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines();
        let line = lines.find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// The transcoder's worker lies beside the folder of the tests.
fn worker() -> String {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(std::path::Path::parent).unwrap();
    let worker = folder.join("weir-transcoder");
    assert!(worker.is_file(), "`cargo build -p transcoder` first");
    worker.display().to_string()
}

/// Ports and data of our own, and what else is said.
pub(crate) fn config(dir: &TempDir, more: &[(&str, &str)]) -> Config {
    let data = dir.path().display().to_string();
    let worker = worker();
    let environment = [
        ("WEIR_TRANSCODER__WORKER", worker.as_str()),
        ("WEIR_DATA__DIR", data.as_str()),
        ("WEIR_HTTP__LISTEN", "127.0.0.1:0"),
        ("WEIR_RTMP__LISTEN", "127.0.0.1:0"),
        ("WEIR_SRT__LISTEN", "127.0.0.1:0"),
        ("WEIR_AUTH__ADMIN_TOKEN", TOKEN),
    ];
    let own = |(k, v): &(&str, &str)| (k.into(), v.into());
    let environment = environment.iter().chain(more).map(own);
    Config::load(None, environment, &[]).unwrap()
}

/// Between two looks at something that will come: asking without a pause takes the time that it needs.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

impl Running {
    pub(crate) async fn start(dir: &TempDir) -> Self {
        Self::with(config(dir, &[])).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let server = Server::bind(config, Inherited::default()).await.unwrap();
        let (http, rtmp) = (server.http_addr().unwrap(), server.rtmp_addr().unwrap());
        let (https, rtmps) = (server.https_addr(), server.rtmps_addr());
        let srt = server.srt_addr();
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.serve(stop.clone()));
        Self {
            http,
            rtmp,
            https,
            rtmps,
            srt,
            stop,
            task,
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", "").await
    }

    /// Asks until the answer is what is waited for; the time-out is the test's own.
    pub(crate) async fn until(&self, path: &str, good: impl Fn(&Answer) -> bool) -> Answer {
        let mut last = self.get(path).await;
        let ask = async {
            while !good(&last) {
                pause().await;
                last = self.get(path).await;
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(30), ask).await;
        assert!(done.is_ok(), "{path}: {} {}", last.status, last.body);
        last
    }

    pub(crate) async fn api(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.api_as(TOKEN, method, path, body).await
    }

    pub(crate) async fn api_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers =
            format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
        self.send(method, &format!("/api/v1{path}"), &headers, &body)
            .await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut socket = TcpStream::connect(self.http).await.unwrap();
        let len = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\nContent-Length: {len}\r\n{headers}\r\n{body}"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        socket.read_to_end(&mut all).await.unwrap();
        let all = String::from_utf8_lossy(&all).into_owned();
        let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
        Answer {
            status: head
                .split(' ')
                .nth(1)
                .and_then(|s| s.parse().ok())
                .unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }
}
