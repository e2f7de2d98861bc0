//! Over TLS, to a receiver with a certificate of its own.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};
use webhook::{Client, Error};

use crate::client::{anywhere, tls, to};

struct Receiver {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    roots: RootCertStore,
}

impl Receiver {
    async fn new(names: &[&str]) -> Self {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = config.with_no_client_auth();
        let mut config = config
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        // It would rather speak what we do not.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            roots,
        }
    }

    async fn answer(&self) -> std::io::Result<()> {
        let (stream, _) = self.listener.accept().await?;
        let mut stream = self.acceptor.accept(stream).await?;
        let mut seen = Vec::new();
        while !seen.ends_with(b"{}") {
            stream.read_buf(&mut seen).await?;
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await
    }

    async fn post(&self, host: &str, roots: RootCertStore) -> Result<u16, Error> {
        let port = self.listener.local_addr().unwrap().port();
        let client = Client::new(anywhere(), &tls(roots));
        let request = to(&format!("https://{host}:{port}/?secret"));
        let (_, outcome) = tokio::join!(self.answer(), client.post(request));
        outcome.map(|answer| answer.status.as_u16())
    }
}

#[tokio::test]
async fn a_trusted_receiver_gets_it() {
    let receiver = Receiver::new(&["localhost", "127.0.0.1"]).await;
    for host in ["localhost", "127.0.0.1"] {
        let roots = receiver.roots.clone();
        assert_eq!(receiver.post(host, roots).await.unwrap(), 204);
    }
}

#[tokio::test]
async fn another_one_does_not() {
    let receiver = Receiver::new(&["receiver.example"]).await;
    for roots in [RootCertStore::empty(), receiver.roots.clone()] {
        let outcome = receiver.post("127.0.0.1", roots).await;
        let Err(error @ Error::Tls { .. }) = outcome else {
            panic!("{outcome:?}");
        };
        let text = error.to_string();
        assert!(
            text.contains("certificate") && !text.contains("secret"),
            "{text}"
        );
    }
}
