//! `[tls]`: a certificate in files, or one that is ordered over ACME.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Deserializer, Serialize};
use tokio_rustls::rustls::pki_types::{DnsName, ServerName};

/// `[tls]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate and those above it, PEM. Read again when it changes.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// Who issues one, instead of files.
    pub acme: Option<Acme>,
}

/// `[tls.acme]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    /// The names that the certificate is for; in the environment, commas between them.
    #[serde(deserialize_with = "list")]
    pub domains: Vec<String>,
    /// Whom the authority may write to: `mailto:…`.
    #[serde(default, deserialize_with = "list")]
    pub contact: Vec<String>,
    /// The authority's directory (RFC 8555 §7.1.1).
    #[serde(default = "lets_encrypt")]
    pub directory: String,
    /// How we prove that the names are ours.
    #[serde(default)]
    pub challenge: Challenge,
    /// Authorities that vouch for the directory's own certificate, PEM; the system's by default.
    pub ca_file: Option<PathBuf>,
}

/// How an authority sees that a name is ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Challenge {
    /// A handshake on port 443 (RFC 8737).
    #[default]
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// A request to port 80 (RFC 8555 §8.3).
    #[serde(rename = "http-01")]
    Http01,
}

/// Where the certificate comes from.
pub(crate) enum Origin<'a> {
    Files {
        certificate: &'a Path,
        key: &'a Path,
    },
    Acme(&'a Acme),
}

impl Tls {
    pub(crate) fn origin(&self) -> Result<Origin<'_>> {
        match (&self.certificate, &self.key, &self.acme) {
            (Some(certificate), Some(key), None) => Ok(Origin::Files { certificate, key }),
            (None, None, Some(acme)) => Ok(Origin::Acme(acme)),
            (None, None, None) => bail!("tls: certificate and key, or tls.acme"),
            (_, _, None) => bail!("tls: certificate and key go together"),
            (_, _, Some(_)) => bail!("tls: either certificate and key, or tls.acme"),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.origin()? {
            Origin::Acme(acme) => acme.check(),
            Origin::Files { .. } => Ok(()),
        }
    }
}

impl Acme {
    fn check(&self) -> Result<()> {
        ensure!(!self.domains.is_empty(), "tls.acme.domains: at least one");
        for domain in &self.domains {
            DnsName::try_from(domain.as_str())
                .with_context(|| format!("tls.acme.domains: {domain:?} is no name"))?;
        }
        let unfit = self.contact.iter().find(|c| !c.starts_with("mailto:"));
        if let Some(unfit) = unfit {
            bail!("tls.acme.contact: {unfit:?} does not begin with mailto:");
        }
        let host = self.directory.strip_prefix("https://");
        let host = host.and_then(|rest| rest.split(['/', ':']).next());
        if host.and_then(|h| ServerName::try_from(h).ok()).is_none() {
            bail!(
                "tls.acme.directory: {:?} is no https:// address",
                self.directory
            );
        }
        Ok(())
    }
}

fn lets_encrypt() -> String {
    instant_acme::LetsEncrypt::Production.url().to_owned()
}

/// The environment has strings only.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a list of strings")]
    enum List {
        Many(Vec<String>),
        Joined(String),
    }
    Ok(match List::deserialize(deserializer)? {
        List::Many(many) => many,
        List::Joined(joined) => joined.split(',').map(|s| s.trim().to_owned()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("weir.toml");
        std::fs::write(&file, text).unwrap();
        let own = |(k, v): &(&str, &str)| (k.into(), v.into());
        Config::load(Some(&file), environment.iter().map(own), &[])
    }

    #[test]
    fn an_authority_s_name_is_enough() {
        let config = load("[tls.acme]\ndomains = [\"live.example.org\"]", &[]).unwrap();
        let acme = config.tls.unwrap().acme.unwrap();
        assert_eq!(
            acme.directory,
            "https://acme-v02.api.letsencrypt.org/directory"
        );
        assert_eq!(acme.challenge, Challenge::TlsAlpn01);
        let names = "live.example.org, www.example.org";
        let config = load(
            "",
            &[
                ("WEIR_TLS__ACME__DOMAINS", names),
                ("WEIR_TLS__ACME__CONTACT", "mailto:ops@example.org"),
                ("WEIR_TLS__ACME__CHALLENGE", "http-01"),
            ],
        );
        let acme = config.unwrap().tls.unwrap().acme.unwrap();
        assert_eq!(acme.domains, ["live.example.org", "www.example.org"]);
        assert_eq!(acme.contact, ["mailto:ops@example.org"]);
        assert_eq!(acme.challenge, Challenge::Http01);
    }

    #[test]
    fn what_is_wrong_with_it_is_told() {
        for (text, says) in [
            ("[tls]", "tls: certificate and key, or tls.acme"),
            ("[tls]\nkey = \"k\"", "go together"),
            (
                "[tls]\ncertificate = \"c\"\nkey = \"k\"\nacme.domains = [\"a.b\"]",
                "either",
            ),
            ("[tls.acme]", "domains"),
            ("[tls.acme]\ndomains = []", "tls.acme.domains"),
            ("[tls.acme]\ndomains = 1", "tls.acme.domains"),
            ("[tls.acme]\ndomains = [\"*.a.b\"]", "\"*.a.b\""),
            (
                "[tls.acme]\ndomains = [\"a.b\"]\ncontact = [\"me\"]",
                "tls.acme.contact",
            ),
            (
                "[tls.acme]\ndomains = [\"a.b\"]\nchallenge = \"dns-01\"",
                "tls.acme.challenge",
            ),
            (
                "[tls.acme]\ndomains = [\"a.b\"]\ndirectory = \"http://a\"",
                "tls.acme.directory",
            ),
            (
                "[tls.acme]\ndomains = [\"a.b\"]\ndirectory = \"https://\"",
                "tls.acme.directory",
            ),
        ] {
            let error = format!("{:#}", load(text, &[]).unwrap_err());
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
