//! What proves to an ACME server that names are ours, while an order is open.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::ClientHello;
use tokio_rustls::rustls::sign::CertifiedKey;

use super::provider;
use crate::runtime::lock;

/// The protocol that a validation names, and nobody else (RFC 8737 §6.2).
pub(super) const ALPN: &[u8] = b"acme-tls/1";

#[derive(Debug, Default)]
pub(super) struct Challenges(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    /// By name.
    tls: BTreeMap<String, Arc<CertifiedKey>>,
    /// By token.
    http: BTreeMap<String, String>,
}

/// Proofs are withdrawn with it.
pub(super) struct Offer<'a>(&'a Challenges);

impl Drop for Offer<'_> {
    fn drop(&mut self) {
        *lock(&self.0.0) = Open::default();
    }
}

/// Whether a handshake is a validation.
pub(super) fn asked(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|offered| offered.eq([ALPN]))
}

impl Challenges {
    pub(super) fn offer(&self) -> Offer<'_> {
        Offer(self)
    }

    pub(super) fn over_tls(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        lock(&self.0).tls.get(name).cloned()
    }

    pub(super) fn over_http(&self, token: &str) -> Option<String> {
        lock(&self.0).http.get(token).cloned()
    }
}

impl Offer<'_> {
    /// A certificate for `name` that carries the digest (RFC 8737 §3).
    pub(super) fn prove_over_tls(&self, name: &str, digest: &[u8]) -> Result<()> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let key = provider().key_provider.load_private_key(key)?;
        // `from_der` would refuse the extension, which it does not know.
        let proof = CertifiedKey::new(vec![certificate], key);
        let name = name.to_ascii_lowercase();
        lock(&self.0.0).tls.insert(name, Arc::new(proof));
        Ok(())
    }

    pub(super) fn prove_over_http(&self, token: &str, answer: &str) {
        let mut open = lock(&self.0.0);
        open.http.insert(token.to_owned(), answer.to_owned());
    }
}
