//! A platform: an HTTP server that takes what comes, or does not, and writes all of it down.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use super::account::Told;

/// What was asked of it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) at: Instant,
    /// Without its first slash.
    pub(super) path: String,
    /// `webhook-id`.
    pub(super) id: String,
    pub(super) timestamp: String,
    pub(super) signature: String,
    pub(super) body: Bytes,
    /// What it was answered, or would have been.
    pub(super) status: u16,
}

/// What it answers.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) header: Option<(&'static str, String)>,
    pub(super) body: String,
    pub(super) after: Duration,
}

impl Reply {
    pub(super) const fn status(status: u16) -> Self {
        Self {
            status,
            header: None,
            body: String::new(),
            after: Duration::ZERO,
        }
    }

    pub(super) fn json(value: &Value) -> Self {
        Self {
            body: value.to_string(),
            ..Self::status(200)
        }
    }

    pub(super) fn with(self, name: &'static str, value: &str) -> Self {
        let header = Some((name, value.to_owned()));
        Self { header, ..self }
    }

    pub(super) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

type Manner = Box<dyn FnMut(&Asked) -> Reply + Send>;

struct Shared {
    manner: Mutex<Manner>,
    asked: Mutex<Vec<Asked>>,
}

/// It ends with the value.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a receiver at {}", self.address)
    }
}

impl Receiver {
    pub(super) async fn start(
        manner: impl FnMut(&Asked) -> Reply + Send + 'static,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let shared = Arc::new(Shared {
            manner: Mutex::new(Box::new(manner)),
            asked: Mutex::default(),
        });
        Ok(Self {
            address: listener.local_addr()?,
            serving: Some(tokio::spawn(serve(listener, Arc::clone(&shared)))),
            shared,
        })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// From now on it answers like that.
    pub(super) fn behave(&self, manner: impl FnMut(&Asked) -> Reply + Send + 'static) {
        *lock(&self.shared.manner) = Box::new(manner);
    }

    /// Every connection is gone, and nobody listens.
    pub(super) fn kill(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }

    /// It is back where it was.
    pub(super) async fn resume(&mut self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.address).await;
        let listener = listener.context("the receiver's port")?;
        self.serving = Some(tokio::spawn(serve(listener, Arc::clone(&self.shared))));
        Ok(())
    }

    /// Everything, or what came to one path.
    pub(super) fn asked(&self, path: &str) -> Vec<Asked> {
        let all = lock(&self.shared.asked);
        let ours = |asked: &&Asked| path.is_empty() || asked.path == path;
        all.iter().filter(ours).cloned().collect()
    }

    pub(super) fn count(&self, path: &str) -> usize {
        let all = lock(&self.shared.asked);
        let ours = |asked: &&Asked| path.is_empty() || asked.path == path;
        all.iter().filter(ours).count()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Asked {
    /// The event in it, or the events.
    pub(super) fn events(&self) -> anyhow::Result<Vec<Told>> {
        match serde_json::from_slice(&self.body)? {
            Value::Array(all) => all.iter().map(Told::read).collect(),
            one => Ok(vec![Told::read(&one)?]),
        }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(super) const fn is_taken(&self) -> bool {
        self.status < 300
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Those that are connected end with this.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, &shared));
            // Whoever asked notices.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let mut asked = Asked {
        at: Instant::now(),
        path: head.uri.path().trim_start_matches('/').to_owned(),
        id: header(&head.headers, "webhook-id"),
        timestamp: header(&head.headers, "webhook-timestamp"),
        signature: header(&head.headers, "webhook-signature"),
        body: body.collect().await?.to_bytes(),
        status: 0,
    };
    let reply = lock(&shared.manner)(&asked);
    asked.status = reply.status;
    lock(&shared.asked).push(asked);
    sleep(reply.after).await;
    Ok(respond(reply))
}

fn respond(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    if let Ok(status) = reply.status.try_into() {
        *response.status_mut() = status;
    }
    if let Some((name, value)) = reply.header
        && let Ok(value) = value.parse()
    {
        response.headers_mut().insert(name, value);
    }
    response
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
