//! The server as a process of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{Secure, free, free_udp};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server on ports and data of its own, which outlive the process.
#[derive(Debug)]
pub struct Weir {
    binary: PathBuf,
    data: TempDir,
    /// `None`: a file in its data.
    database: Option<String>,
    /// What its environment says beside.
    settings: Vec<(String, String)>,
    /// Where it speaks TLS, if it does.
    pub secure: Option<Secure>,
    /// Where it serves.
    pub http: SocketAddr,
    /// Where encoders push.
    pub rtmp: SocketAddr,
    /// Where it serves over TLS.
    pub https: SocketAddr,
    /// Where encoders push over TLS.
    pub rtmps: SocketAddr,
    /// Where it speaks SRT.
    pub srt: SocketAddr,
    process: Child,
}

/// A database by its URL, TLS, and what else its environment says.
type Given = (Option<String>, Option<Secure>, Vec<(String, String)>);

/// What the process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Resident memory in KiB.
    pub rss_kib: u64,
    /// Open files.
    pub files: usize,
    /// Tasks of the runtime.
    pub tasks: u64,
}

impl Weir {
    /// Of its administrator.
    pub const TOKEN: &str = "a-token-for-scenarios";

    /// Starts a server with nothing in its database.
    ///
    /// # Errors
    /// A binary that is not there or does not get ready.
    pub async fn start(binary: &Path) -> anyhow::Result<Self> {
        Self::start_with(binary, tempfile::tempdir()?, None, None).await
    }

    /// Starts a server that takes encoders on every address of the machine.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_wide(binary: &Path) -> anyhow::Result<Self> {
        let rtmp = SocketAddr::from(([0, 0, 0, 0], free()?.port()));
        let given = (None, None, Vec::new());
        Self::start_at(binary, tempfile::tempdir()?, given, rtmp).await
    }

    /// Starts a server with some of its configuration said otherwise (`EGRESS__HOOKS`), on a file or
    /// on a database by its URL.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_set(
        binary: &Path,
        database: Option<String>,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let own = |(name, value): &(&str, &str)| (format!("WEIR_{name}"), (*value).to_owned());
        let given = (database, None, settings.iter().map(own).collect());
        Self::start_at(binary, tempfile::tempdir()?, given, free()?).await
    }

    /// Starts a server that speaks TLS too, on sockets that outlive it.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_secure(binary: &Path) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let secure = Secure::new(data.path())?;
        Self::start_with(binary, data, None, Some(secure)).await
    }

    /// Starts a server on a database of its own, by its URL.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_on(binary: &Path, database: String) -> anyhow::Result<Self> {
        Self::start_with(binary, tempfile::tempdir()?, Some(database), None).await
    }

    async fn start_with(
        binary: &Path,
        data: TempDir,
        database: Option<String>,
        secure: Option<Secure>,
    ) -> anyhow::Result<Self> {
        let given = (database, secure, Vec::new());
        Self::start_at(binary, data, given, free()?).await
    }

    async fn start_at(
        binary: &Path,
        data: TempDir,
        (database, secure, settings): Given,
        rtmp: SocketAddr,
    ) -> anyhow::Result<Self> {
        if secure.is_none() {
            certify(data.path())?;
        }
        let http = secure.as_ref().map_or_else(free, Secure::http)?;
        let doors = [http, rtmp, free()?, free()?, free_udp()?];
        let given = (database.as_deref(), secure.as_ref(), &settings[..]);
        let process = run(binary, data.path(), given, doors)?;
        let [http, rtmp, https, rtmps, srt] = doors;
        let weir = Self {
            binary: binary.to_owned(),
            data,
            database,
            settings,
            secure,
            http,
            rtmp,
            https,
            rtmps,
            srt,
            process,
        };
        weir.ready().await?;
        Ok(weir)
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// Of the operating system.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }

    /// Asks it to stop, as a service manager does, and waits until it has.
    ///
    /// # Errors
    /// A server that does not stop, or says that it failed.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let id = self.process.id().context("the server is gone")?;
        let asked = Command::new("kill").arg(id.to_string()).status().await?;
        ensure!(asked.success(), "kill {id}");
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        let status = ended.context("the server does not stop")??;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }

    /// Starts it again after `kill` or `stop`, on the same ports and data.
    ///
    /// # Errors
    /// As `start`.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        let given = (
            self.database.as_deref(),
            self.secure.as_ref(),
            &self.settings[..],
        );
        let doors = [self.http, self.rtmp, self.https, self.rtmps, self.srt];
        self.process = run(&self.binary, self.data.path(), given, doors)?;
        self.ready().await
    }

    /// The folder that inputs and slates play files from.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn files(&self) -> anyhow::Result<PathBuf> {
        let folder = self.data.path().join("files");
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Makes a stream to which everybody may push.
    ///
    /// # Errors
    /// What the API says.
    pub async fn create(&self, name: &str) -> anyhow::Result<()> {
        let input = json!({"id": "main", "url": "publish://", "key": null});
        self.create_as(&json!({"name": name, "inputs": [input]}))
            .await
    }

    /// Holds a stream on an input by hand; `None` ends that.
    ///
    /// # Errors
    /// What the API says.
    pub async fn switch(&self, name: &str, input: Option<&str>) -> anyhow::Result<()> {
        let path = format!("/api/v1/streams/{name}/switch");
        let (method, body) = match input {
            Some(input) => (Method::POST, json!({"input": input}).to_string()),
            None => (Method::DELETE, String::new()),
        };
        let (status, answer) = self.ask(method, &path, &body).await?;
        ensure!(status == 204, "{status}: {answer}");
        Ok(())
    }

    /// Makes a stream.
    ///
    /// # Errors
    /// What the API says.
    pub async fn create_as(&self, stream: &Value) -> anyhow::Result<()> {
        let (status, answer) = self
            .ask(Method::POST, "/api/v1/streams", &stream.to_string())
            .await?;
        ensure!(status == 201, "{status}: {answer}");
        Ok(())
    }

    /// A stream's configuration as it can be written back, with what it does.
    ///
    /// # Errors
    /// As `get`.
    pub async fn stream(&self, name: &str) -> anyhow::Result<Value> {
        let name = name.replace('/', "%2F");
        let told = self.get(&format!("/api/v1/streams/{name}")).await?;
        Ok(serde_json::from_str(&told)?)
    }

    /// Writes a stream's whole configuration anew.
    ///
    /// # Errors
    /// What the API says.
    pub async fn put(&self, stream: &Value) -> anyhow::Result<()> {
        let name = stream["name"].as_str().context("no name")?;
        let path = format!("/api/v1/streams/{name}");
        let (status, answer) = self.ask(Method::PUT, &path, &stream.to_string()).await?;
        ensure!(status == 200, "{status}: {answer}");
        Ok(())
    }

    /// A page of the server's, with the rights of the administrator.
    ///
    /// # Errors
    /// A server that is not there, and any answer but 200.
    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        let (status, answer) = self.ask(Method::GET, path, "").await?;
        ensure!(status == 200, "{path}: {status}: {answer}");
        Ok(answer)
    }

    /// The same for what is no text.
    ///
    /// # Errors
    /// As `get`.
    pub async fn bytes(&self, path: &str) -> anyhow::Result<Bytes> {
        let (status, answer) = self.fetch(Method::GET, path, "").await?;
        ensure!(status == 200, "{path}: {status}");
        Ok(answer)
    }

    /// `waiting`, `live`, `hold` …
    ///
    /// # Errors
    /// As `get`.
    pub async fn status(&self, name: &str) -> anyhow::Result<String> {
        let stream = self.stream(name).await?;
        let status = stream.pointer("/runtime/status").and_then(Value::as_str);
        Ok(status.unwrap_or_default().to_owned())
    }

    /// Waits until a stream is what is wanted.
    ///
    /// # Errors
    /// Where it is not in 20 s.
    pub async fn until(&self, name: &str, wanted: &str) -> anyhow::Result<()> {
        let asking = async {
            while self.status(name).await.ok().as_deref() != Some(wanted) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let done = tokio::time::timeout(PATIENCE, asking).await;
        done.with_context(|| format!("{name} is not {wanted}"))
    }

    /// Waits until the playlist of a stream's pictures grows.
    ///
    /// # Errors
    /// Where it does not in 20 s.
    pub async fn until_growing(&self, name: &str) -> anyhow::Result<()> {
        let path = format!("/{name}/v0.m3u8");
        let growing = async {
            while !self
                .get(&path)
                .await
                .is_ok_and(|p| p.contains("PRELOAD-HINT"))
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let done = tokio::time::timeout(PATIENCE, growing).await;
        done.context("not live")
    }

    /// Where an encoder pushes; over TLS where that is spoken.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn publish_url(&self, name: &str) -> anyhow::Result<String> {
        Ok(match &self.secure {
            Some(secure) => format!("rtmps://{}/live/{name}", secure.rtmps()?),
            // Where it listens everywhere, here.
            None if self.rtmp.ip().is_unspecified() => {
                format!("rtmp://127.0.0.1:{}/live/{name}", self.rtmp.port())
            }
            None => format!("rtmp://{}/live/{name}", self.rtmp),
        })
    }

    /// Where an encoder pushes over SRT, as ffmpeg takes it, which counts latency in microseconds.
    #[must_use]
    pub fn srt_publish_url(&self, name: &str) -> String {
        let at = self.srt;
        format!("srt://{at}?mode=caller&latency=120000&pkt_size=1316&streamid=publish:{name}")
    }

    /// Where players go; over TLS where that is spoken.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn origin(&self) -> anyhow::Result<String> {
        Ok(match &self.secure {
            Some(secure) => format!("https://{}", secure.https()?),
            None => format!("http://{}", self.http),
        })
    }

    /// Of the process, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// What the process holds now.
    ///
    /// # Errors
    /// A process that is gone.
    pub async fn footprint(&self) -> anyhow::Result<Footprint> {
        let id = self.process.id().context("the server is gone")?;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let rss = rss.and_then(|r| r.split_whitespace().next());
        let metrics = self.get("/metrics").await?;
        let tasks = metrics.lines().find_map(|l| l.strip_prefix("weir_tasks "));
        Ok(Footprint {
            rss_kib: rss.context("VmRSS")?.parse()?,
            files: fs::read_dir(format!("/proc/{id}/fd"))?.count(),
            tasks: tasks.context("weir_tasks")?.parse()?,
        })
    }

    /// What the process used of the processors until now.
    ///
    /// # Errors
    /// A process that is gone.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let id = self.process.id().context("the server is gone")?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        let (_, rest) = stat.rsplit_once(')').context("stat")?;
        let mut times = rest.split_whitespace().skip(11).take(2);
        let ticks = times.try_fold(0, |sum, n| anyhow::Ok(sum + n.parse::<u64>()?))?;
        Ok(Duration::from_millis(ticks * 10))
    }

    /// The process's log until now.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.data.path().join("log"))?)
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let asking = async {
            while self.get("/readyz").await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, asking).await.is_err() {
            bail!("the server does not get ready:\n{}", self.log()?);
        }
        Ok(())
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> anyhow::Result<(u16, String)> {
        let (status, body) = self.fetch(method, path, body).await?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn fetch(&self, method: Method, path: &str, body: &str) -> anyhow::Result<(u16, Bytes)> {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.http))
            .header("authorization", format!("Bearer {}", Self::TOKEN))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
        let asking = tokio::time::timeout(PATIENCE, client.request(request));
        let answer = asking.await.context("no answer")??;
        let status = answer.status().as_u16();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}

fn run(
    binary: &Path,
    data: &Path,
    (database, secure, settings): (Option<&str>, Option<&Secure>, &[(String, String)]),
    [http, rtmp, https, rtmps, srt]: [SocketAddr; 5],
) -> anyhow::Result<Child> {
    let mut command = match secure {
        Some(secure) => secure.command(binary)?,
        None => plain(binary, data, [https, rtmps])?,
    };
    command
        .env("WEIR_DATA__DIR", data)
        .env("WEIR_HTTP__LISTEN", http.to_string())
        .env("WEIR_RTMP__LISTEN", rtmp.to_string())
        .env("WEIR_SRT__LISTEN", srt.to_string())
        .env("WEIR_AUTH__ADMIN_TOKEN", Weir::TOKEN)
        .envs(database.map(|url| ("WEIR_DATABASE__URL", url)))
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .current_dir(data)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} cannot be run", binary.display()))
}

fn plain(binary: &Path, data: &Path, doors: [SocketAddr; 2]) -> anyhow::Result<Command> {
    let [https, rtmps] = doors;
    let mut options = fs::OpenOptions::new();
    let log = options.create(true).append(true).open(data.join("log"))?;
    let mut command = Command::new(binary);
    command
        .arg("serve")
        .env("WEIR_HTTP__TLS_LISTEN", https.to_string())
        .env("WEIR_RTMP__TLS_LISTEN", rtmps.to_string())
        .env("WEIR_TLS__CERTIFICATE", data.join("certificate.pem"))
        .env("WEIR_TLS__KEY", data.join("key.pem"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Ok(command)
}

fn certify(data: &Path) -> anyhow::Result<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    fs::write(data.join("certificate.pem"), made.cert.pem())?;
    fs::write(data.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(())
}
