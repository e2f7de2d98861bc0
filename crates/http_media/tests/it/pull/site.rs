//! A small web server: files of a folder, and what a test makes of requests to them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use tempfile::TempDir;
use tokio::process::{Child, Command};

type Hook = Arc<dyn Fn(&str, &HeaderMap) -> Option<Response> + Send + Sync>;

/// Serves for as long as it lives.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) folder: Arc<TempDir>,
    /// Paths asked for, with queries.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(|_, _| None).await
    }

    /// Answers what the hook answers, and files otherwise.
    pub(crate) async fn with(
        hook: impl Fn(&str, &HeaderMap) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (root, log, hook) = (
            Arc::clone(&folder),
            Arc::clone(&asked),
            Arc::new(hook) as Hook,
        );
        let serve = move |request: Request| {
            let (root, hook, log) = (root.path().to_owned(), Arc::clone(&hook), Arc::clone(&log));
            async move {
                let path = request.uri().to_string();
                log.lock().unwrap().push(path.clone());
                match hook(&path, request.headers()) {
                    Some(response) => response,
                    None => file(&root, request.uri().path(), request.headers()),
                }
            }
        };
        Self::serving(Router::new().fallback(serve), folder, asked).await
    }

    /// Any router at all.
    pub(crate) async fn serving(
        router: Router,
        folder: Arc<TempDir>,
        asked: Arc<Mutex<Vec<String>>>,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            folder,
            asked,
            task,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs ffmpeg in the folder to its end.
    pub(crate) async fn ffmpeg(&self, args: &str) {
        let output = command(self.folder.path(), args).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }

    /// Starts ffmpeg in the folder and waits until this file is there.
    pub(crate) async fn ffmpeg_until(&self, args: &str, file: &str) -> Child {
        let child = command(self.folder.path(), args).spawn().unwrap();
        while !self.path(file).exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        child
    }
}

pub(crate) fn command(folder: &Path, args: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command
        .args("-nostdin -v error -y".split(' '))
        .args(args.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn file(root: &Path, path: &str, headers: &HeaderMap) -> Response {
    let Ok(content) = std::fs::read(root.join(path.trim_start_matches('/'))) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let range = headers.get(header::RANGE).map(|v| v.to_str().unwrap());
    let Some(range) = range.and_then(|r| r.strip_prefix("bytes=")?.split_once('-')) else {
        return content.into_response();
    };
    let (from, to): (usize, usize) = (range.0.parse().unwrap(), range.1.parse().unwrap());
    let part = content[from..content.len().min(to + 1)].to_vec();
    (StatusCode::PARTIAL_CONTENT, Body::from(part)).into_response()
}
