//! One certificate for all that speaks TLS, followed as its files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use prometheus::IntCounterVec;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ServerConfig, version};

use crate::config;
use crate::runtime::lock;

/// How often the files are looked at: whoever renews certificates tells nobody.
const LOOK: Duration = Duration::from_secs(5);

/// The certificate that handshakes get now.
#[derive(Debug)]
pub(crate) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
    /// Of the files that were taken.
    taken: Mutex<Stamp>,
    /// By what came of them.
    loads: IntCounterVec,
}

/// What tells one state of the files from the next.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// Files that cannot be read, or a key that is not the certificate's.
    pub(crate) fn load(config: &config::Tls, loads: IntCounterVec) -> Result<Arc<Self>> {
        // Before they are read: what changes meanwhile is seen later.
        let taken = stamp(&config.certificate, &config.key);
        let current = read(&config.certificate, &config.key)?;
        loads.with_label_values(&["ok"]).inc();
        loads.with_label_values(&["failed"]).inc_by(0);
        Ok(Arc::new(Self {
            certificate: config.certificate.clone(),
            key: config.key.clone(),
            current: RwLock::new(Arc::new(current)),
            taken: Mutex::new(taken),
            loads,
        }))
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
        TlsAcceptor::from(Arc::new(config))
    }

    /// Follows the files for ever. Connections that are open keep what they began with.
    pub(crate) async fn follow(self: Arc<Self>) {
        let mut tick = tokio::time::interval(LOOK);
        let mut failed = None;
        loop {
            tick.tick().await;
            let now = stamp(&self.certificate, &self.key);
            if now != *lock(&self.taken) {
                // What failed may pass, such as a want of descriptors; it is told once.
                let told = failed.replace(now) == Some(now);
                self.reload(now, told);
            }
        }
    }

    /// Takes what the files hold, or keeps what is there.
    fn reload(&self, now: Stamp, told: bool) {
        match read(&self.certificate, &self.key) {
            Ok(new) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                *lock(&self.taken) = now;
                self.loads.with_label_values(&["ok"]).inc();
                tracing::info!(certificate = %self.certificate.display(), "certificate loaded");
            }
            Err(_) if told => {}
            Err(error) => {
                self.loads.with_label_values(&["failed"]).inc();
                tracing::error!(
                    error = format!("{error:#}"),
                    "the certificate in use is kept"
                );
            }
        }
    }
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|path| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len()))
    })
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey> {
    let named = |path: &Path| path.display().to_string();
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| named(certificate))?;
    anyhow::ensure!(!chain.is_empty(), "{}: no certificate", named(certificate));
    let secret = PrivateKeyDer::from_pem_file(key).with_context(|| named(key))?;
    let loaded = CertifiedKey::from_der(chain, secret, &provider());
    loaded.with_context(|| format!("{} and {}", named(certificate), named(key)))
}

#[cfg(test)]
mod tests {
    use prometheus::Opts;

    use super::*;

    fn write(config: &config::Tls) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&config.certificate, made.cert.pem()).unwrap();
        std::fs::write(&config.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().to_vec()
    }

    #[test]
    fn the_files_are_followed_and_nonsense_in_them_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| dir.path().join(name));
        let config = config::Tls { certificate, key };
        let loads = || IntCounterVec::new(Opts::new("loads", "loads"), &["result"]).unwrap();
        assert!(Certificate::load(&config, loads()).is_err(), "no files");
        let first = write(&config);
        let loads = loads();
        let loaded = Certificate::load(&config, loads.clone()).unwrap();
        let served = || loaded.current.read().unwrap().cert[0].to_vec();
        assert_eq!(served(), first);
        let second = write(&config);
        let now = || stamp(&config.certificate, &config.key);
        loaded.reload(now(), false);
        assert_eq!((served(), *lock(&loaded.taken)), (second.clone(), now()));
        std::fs::write(&config.key, "half a file").unwrap();
        assert_ne!(*lock(&loaded.taken), now());
        loaded.reload(now(), false);
        loaded.reload(now(), true);
        assert_eq!(served(), second);
        let counts = ["ok", "failed"].map(|result| loads.with_label_values(&[result]).get());
        assert_eq!(counts, [2, 1]);
    }
}
