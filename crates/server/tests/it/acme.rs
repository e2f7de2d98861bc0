//! Certificates that are ordered, from Let's Encrypt's own test server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use server::config::Config;
use tempfile::TempDir;
use testkit::actors::{Pebble, free};
use testkit::poll::Trust;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::server::{Running, config};

const PATIENCE: Duration = Duration::from_secs(60);

struct Place {
    dir: TempDir,
    http: SocketAddr,
    https: SocketAddr,
    pebble: Pebble,
}

impl Place {
    async fn with(validity_s: u64) -> Self {
        let (http, https) = (free().unwrap(), free().unwrap());
        let pebble = Pebble::start(http.port(), https.port(), validity_s).await;
        Self {
            dir: TempDir::new().unwrap(),
            http,
            https,
            pebble: pebble.unwrap(),
        }
    }

    fn config(&self, challenge: &str) -> Config {
        let [http, https] = [self.http, self.https].map(|a| a.to_string());
        let directory = self.pebble.directory();
        let authority = self.pebble.directory_authority().display().to_string();
        config(
            &self.dir,
            &[
                ("WEIR_HTTP__LISTEN", &http),
                ("WEIR_HTTP__TLS_LISTEN", &https),
                ("WEIR_RTMP__TLS_LISTEN", "127.0.0.1:0"),
                ("WEIR_TLS__ACME__DOMAINS", "localhost"),
                ("WEIR_TLS__ACME__CONTACT", "mailto:ops@example.org"),
                ("WEIR_TLS__ACME__DIRECTORY", &directory),
                ("WEIR_TLS__ACME__CHALLENGE", challenge),
                ("WEIR_TLS__ACME__CA_FILE", &authority),
            ],
        )
    }
}

/// The certificate that a client gets who trusts the authority alone.
async fn shown(addr: SocketAddr, issuer: PathBuf) -> Option<Vec<u8>> {
    let config = Trust::Authority(issuer).client().unwrap();
    let stream = TcpStream::connect(addr).await.ok()?;
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = connecting.await.ok()?;
    Some(stream.get_ref().1.peer_certificates()?.first()?.to_vec())
}

/// One that is not `old`.
async fn issued(addr: SocketAddr, pebble: &Pebble, old: Option<&[u8]>) -> Vec<u8> {
    let asking = async {
        loop {
            if let Some(new) = shown(addr, pebble.issuer()).await
                && Some(new.as_slice()) != old
            {
                return new;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let issued = timeout(PATIENCE, asking).await;
    issued.expect("no certificate was issued")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_ordered_and_renewed() {
    let place = Place::with(15).await;
    let s = Running::with(place.config("tls-alpn-01")).await;
    let first = issued(place.https, &place.pebble, None).await;
    issued(s.rtmps.unwrap(), &place.pebble, Some(&first)).await;
    let metrics = s.get("/metrics").await.body;
    assert!(metrics.contains("\nweir_tls_certificate_expiry_timestamp_seconds 1"));
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_proved_over_http_and_the_certificate_is_kept() {
    let place = Place::with(3600).await;
    let s = Running::with(place.config("http-01")).await;
    let first = issued(place.https, &place.pebble, None).await;
    let unknown = s.get("/.well-known/acme-challenge/none").await;
    assert_eq!(unknown.status, 404);
    s.stop().await;
    let s = Running::with(place.config("http-01")).await;
    let kept = shown(place.https, place.pebble.issuer()).await;
    assert_eq!(kept.as_deref(), Some(first.as_slice()));
    s.stop().await;
}
