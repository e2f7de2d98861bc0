//! One certificate for all that speaks TLS: out of files that are followed, or ordered over ACME.

mod acme;
mod challenge;
mod files;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, Result, ensure};
use prometheus::IntCounterVec;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ServerConfig, version};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use self::acme::Acme;
use self::challenge::Challenges;
use self::files::Files;
use crate::config::{self, Origin};
use crate::metrics::Metrics;

/// The certificate that handshakes get now.
#[derive(Debug)]
pub(crate) struct Certificate {
    current: RwLock<Option<Loaded>>,
    challenges: Challenges,
    source: Source,
    /// By what came of them.
    loads: IntCounterVec,
}

#[derive(Debug)]
enum Source {
    Files(Files),
    Acme(Acme),
}

/// A certificate with its key, and when it holds (RFC 5280 §4.1.2.5).
#[derive(Debug, Clone)]
struct Loaded {
    key: Arc<CertifiedKey>,
    validity: Validity,
}

/// Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Validity {
    from: i64,
    until: i64,
}

impl Certificate {
    /// Reads the files; or what was ordered before, if there is any.
    ///
    /// # Errors
    /// Files that cannot be read, or a key that is not the certificate's.
    pub(crate) fn load(config: &config::Tls, data: &Path, metrics: &Metrics) -> Result<Arc<Self>> {
        let (source, current) = match config.origin()? {
            Origin::Files { certificate, key } => {
                let (files, loaded) = Files::open(certificate, key)?;
                (Source::Files(files), Some(loaded))
            }
            Origin::Acme(acme) => {
                let acme = Acme::new(acme, data)?;
                let kept = acme.kept();
                (Source::Acme(acme), kept)
            }
        };
        let this = Arc::new(Self {
            current: RwLock::new(None),
            challenges: Challenges::default(),
            source,
            loads: metrics.tls_loads.clone(),
        });
        this.loads.with_label_values(&["failed"]).inc_by(0);
        if let Some(loaded) = current {
            this.install(loaded);
        }
        Ok(this)
    }

    /// Accepts connections that speak one of `protocols` (ALPN), or any where there are none.
    pub(crate) fn acceptor(self: &Arc<Self>, protocols: &[&[u8]]) -> TlsAcceptor {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .expect("ring has ciphers for both")
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        if protocols.is_empty() {
            // librtmp takes a ticket for the end of the connection; who streams for hours needs none.
            config.send_tls13_tickets = 0;
        } else if matches!(self.source, Source::Acme(_)) {
            config.alpn_protocols.push(challenge::ALPN.to_vec());
        }
        TlsAcceptor::from(Arc::new(config))
    }

    /// Follows the files, or orders and renews, for ever. Connections that are open keep what they
    /// began with.
    pub(crate) async fn follow(self: Arc<Self>) {
        match &self.source {
            Source::Files(files) => files.follow(&self).await,
            Source::Acme(acme) => acme.keep(&self).await,
        }
    }

    /// The answer to a challenge over HTTP (RFC 8555 §8.3), while an order is open.
    pub(crate) fn challenge(&self, token: &str) -> Option<String> {
        self.challenges.over_http(token)
    }

    /// When the certificate in use ends, in Unix seconds.
    pub(crate) fn expires(&self) -> Option<i64> {
        self.loaded().map(|loaded| loaded.validity.until)
    }

    fn loaded(&self) -> Option<Loaded> {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn install(&self, loaded: Loaded) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(loaded);
        self.loads.with_label_values(&["ok"]).inc();
    }

    fn failed(&self) {
        self.loads.with_label_values(&["failed"]).inc();
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if challenge::asked(&hello) {
            return self.challenges.over_tls(hello.server_name()?);
        }
        self.loaded().map(|loaded| loaded.key)
    }
}

impl Loaded {
    /// Reads a chain and its key, both PEM.
    fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>()?;
        ensure!(!chain.is_empty(), "no certificate");
        let key = PrivateKeyDer::from_pem_slice(key)?;
        let (_, first) = X509Certificate::from_der(&chain[0]).context("no certificate")?;
        let validity = Validity {
            from: first.validity().not_before.timestamp(),
            until: first.validity().not_after.timestamp(),
        };
        let key = Arc::new(CertifiedKey::from_der(chain, key, &provider())?);
        Ok(Self { key, validity })
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
