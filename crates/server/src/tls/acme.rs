//! A certificate that is ordered over ACME (RFC 8555), kept in the data directory and renewed in
//! time.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use sha2::{Digest as _, Sha256};
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::ParsedCertificate;

use super::challenge::Offer;
use super::{Certificate, Loaded, Validity};
use crate::config::{self, Challenge};
use crate::private;

/// An order that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(300);
/// After a failure, doubled by each further one: authorities count failures by the hour.
const FIRST_RETRY: Duration = Duration::from_secs(60);
const LAST_RETRY: Duration = Duration::from_secs(6 * 3600);
/// A clock that was set, or a machine that slept, is noticed after this.
const LOOK: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Acme {
    config: config::Acme,
    /// Account and certificate of this directory: a test authority's stay apart.
    dir: PathBuf,
}

impl Acme {
    pub(super) fn new(config: &config::Acme, data: &Path) -> Result<Self> {
        let digest = Sha256::digest(config.directory.as_bytes());
        let name: String = digest[..8].iter().map(|b| format!("{b:02x}")).collect();
        let dir = data.join("acme").join(name);
        private::make_dir(&dir)?;
        let config = config.clone();
        Ok(Self { config, dir })
    }

    fn file(&self) -> PathBuf {
        self.dir.join("certificate.pem")
    }

    /// What was ordered before, where it still holds.
    pub(super) fn kept(&self) -> Option<Loaded> {
        let pem = std::fs::read(self.file()).ok()?;
        let loaded = Loaded::from_pem(&pem, &pem);
        let loaded = loaded.inspect_err(|error| {
            let error = format!("{error:#}");
            tracing::warn!(error, path = %self.file().display(), "not used");
        });
        loaded.ok().filter(|loaded| now() < loaded.validity.until)
    }

    /// Whether it is for all names.
    fn covers(&self, loaded: &Loaded) -> Result<()> {
        let parsed = ParsedCertificate::try_from(&loaded.key.cert[0])?;
        for domain in &self.config.domains {
            let name = ServerName::try_from(domain.as_str())?;
            verify_server_name(&parsed, &name)
                .with_context(|| format!("the certificate is not for {domain}"))?;
        }
        Ok(())
    }

    /// Orders where there is none and renews in time, for ever.
    pub(super) async fn keep(&self, certificate: &Certificate) {
        let mut retry = FIRST_RETRY;
        // What was kept may be for other names: it serves until there is a better one.
        let kept = certificate.loaded();
        let mut due = kept.is_some_and(|kept| self.covers(&kept).is_err());
        loop {
            if !due {
                until_due(certificate).await;
            }
            let ordered = timeout(LONGEST, self.renew(certificate)).await;
            let ordered = ordered.unwrap_or_else(|_| Err(anyhow!("no answer in {LONGEST:?}")));
            let Err(error) = ordered else {
                (retry, due) = (FIRST_RETRY, false);
                continue;
            };
            certificate.failed();
            tracing::error!(
                error = format!("{error:#}"),
                retry_s = retry.as_secs(),
                "no certificate from the ACME server"
            );
            sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    async fn renew(&self, certificate: &Certificate) -> Result<()> {
        let pem = self.order(certificate).await?;
        let loaded = Loaded::from_pem(pem.as_bytes(), pem.as_bytes())?;
        self.covers(&loaded)?;
        // It would be ordered again at once, and over and over.
        ensure!(
            now() < loaded.validity.renewal(),
            "the certificate is due for renewal as it comes: is the clock right?"
        );
        let until = loaded.validity.until;
        private::write(&self.file(), &pem).with_context(|| self.file().display().to_string())?;
        certificate.install(loaded);
        let domains = self.config.domains.join(" ");
        tracing::info!(domains, until, "certificate issued");
        Ok(())
    }

    /// The key and the chain.
    async fn order(&self, certificate: &Certificate) -> Result<String> {
        let account = self.account().await.context("account")?;
        let names = self.config.domains.iter().cloned().map(Identifier::Dns);
        let names: Vec<_> = names.collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await?;
        let offer = certificate.challenges.offer();
        self.prove(&mut order, &offer).await?;
        let retries = RetryPolicy::default();
        let ready = order.poll_ready(&retries).await;
        if !matches!(ready, Ok(OrderStatus::Ready)) {
            let why = why(&mut order).await;
            bail!("{}", why.unwrap_or_else(|| format!("{ready:?}")));
        }
        drop(offer);
        let key = order.finalize().await?;
        let chain = order.poll_certificate(&retries).await?;
        Ok(format!("{key}\n{chain}"))
    }

    async fn prove(&self, order: &mut Order, offer: &Offer<'_>) -> Result<()> {
        let kind = match self.config.challenge {
            Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
            Challenge::Http01 => ChallengeType::Http01,
        };
        let mut authorizations = order.authorizations();
        while let Some(one) = authorizations.next().await {
            let mut one = one?;
            if one.status == AuthorizationStatus::Valid {
                continue;
            }
            let challenge = one.challenge(kind.clone());
            let mut challenge = challenge.with_context(|| format!("no {kind:?} is offered"))?;
            let answer = challenge.key_authorization();
            match self.config.challenge {
                Challenge::TlsAlpn01 => {
                    let name = challenge.identifier().to_string();
                    offer.prove_over_tls(&name, answer.digest().as_ref())?;
                }
                Challenge::Http01 => offer.prove_over_http(&challenge.token, answer.as_str()),
            }
            challenge.set_ready().await?;
        }
        Ok(())
    }

    /// The account that was made, or a new one: who names a directory agrees to its terms.
    async fn account(&self) -> Result<Account> {
        let builder = match &self.config.ca_file {
            Some(file) => Account::builder_with_root(file)
                .with_context(|| format!("tls.acme.ca_file {}", file.display()))?,
            None => Account::builder()?,
        };
        let path = self.dir.join("account.json");
        if let Ok(text) = std::fs::read_to_string(&path) {
            let known: AccountCredentials =
                serde_json::from_str(&text).with_context(|| path.display().to_string())?;
            return Ok(builder.from_credentials(known).await?);
        }
        let contact: Vec<_> = self.config.contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let directory = self.config.directory.clone();
        let (account, known) = builder.create(&new, directory, None).await?;
        private::write(&path, &serde_json::to_string(&known)?)
            .with_context(|| path.display().to_string())?;
        Ok(account)
    }
}

impl Validity {
    /// A third of its life before the end.
    fn renewal(self) -> i64 {
        self.until - (self.until - self.from) / 3
    }
}

/// What the authority says went wrong with the names.
async fn why(order: &mut Order) -> Option<String> {
    let mut said = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut one)) = authorizations.next().await {
        let name = one.identifier().to_string();
        let state = one.refresh().await.ok()?;
        let errors = state.challenges.iter().filter_map(|c| c.error.as_ref());
        said.extend(errors.map(|error| format!("{name}: {error}")));
    }
    (!said.is_empty()).then(|| said.join("; "))
}

async fn until_due(certificate: &Certificate) {
    while let Some(loaded) = certificate.loaded() {
        let left = u64::try_from(loaded.validity.renewal() - now()).unwrap_or(0);
        if left == 0 {
            return;
        }
        sleep(Duration::from_secs(left).min(LOOK)).await;
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |t| t.as_secs().try_into().unwrap_or(i64::MAX))
}
