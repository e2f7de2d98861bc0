//! What a server that speaks TLS is given: an authority of its own, certificates that change, and
//! sockets that outlive its process, as systemd's do.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::net::TcpSocket;
use tokio::process::Command;

/// Three sockets arrive where a process has its standard ones; its id stays over `exec`.
const AS_SYSTEMD: &str = "exec 3<&0 4<&1 5<&2 </dev/null >/dev/null 2>>log; \
    export LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=http:https:rtmps; exec \"$0\" serve";
/// Who connects while no process runs waits there.
const BACKLOG: u32 = 4096;

/// Sockets and certificates of a server.
#[derive(Debug)]
pub struct Secure {
    http: TcpListener,
    https: TcpListener,
    rtmps: TcpListener,
    dir: PathBuf,
    authority: Authority,
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Secure {
    /// Listens, and puts an authority and a first certificate into `dir`.
    pub(super) fn new(dir: &Path) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "an authority for scenarios");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        std::fs::write(dir.join("ca.pem"), authority.pem())?;
        let secure = Self {
            http: listen()?,
            https: listen()?,
            rtmps: listen()?,
            dir: dir.to_owned(),
            authority: Authority(authority),
        };
        secure.issue()?;
        Ok(secure)
    }

    /// Whose certificates a client of the server has to take.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// Where it speaks HTTPS.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn https(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.https.local_addr()?)
    }

    /// Where it speaks RTMPS.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn rtmps(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.rtmps.local_addr()?)
    }

    pub(super) fn http(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.http.local_addr()?)
    }

    /// Puts another certificate where the server reads one.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn issue(&self) -> anyhow::Result<()> {
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.authority.0)?;
        std::fs::write(self.dir.join("key.pem"), key.serialize_pem())?;
        std::fs::write(self.dir.join("cert.pem"), certificate.pem())?;
        Ok(())
    }

    /// The server with the sockets.
    pub(super) fn command(&self, binary: &Path) -> anyhow::Result<Command> {
        let give =
            |socket: &TcpListener| anyhow::Ok(Stdio::from(OwnedFd::from(socket.try_clone()?)));
        let mut command = Command::new("bash");
        command
            .args(["-c", AS_SYSTEMD])
            .arg(binary)
            .env("WEIR_TLS__CERTIFICATE", self.dir.join("cert.pem"))
            .env("WEIR_TLS__KEY", self.dir.join("key.pem"))
            .stdin(give(&self.http)?)
            .stdout(give(&self.https)?)
            .stderr(give(&self.rtmps)?);
        Ok(command)
    }
}

fn listen() -> anyhow::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    socket.listen(BACKLOG)?.into_std().context("socket")
}
