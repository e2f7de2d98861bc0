//! A certificate out of files, followed as they change.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};

use super::{Certificate, Loaded};
use crate::runtime::lock;

/// How often the files are looked at: whoever renews certificates tells nobody.
const LOOK: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// Of the files that were taken.
    taken: Mutex<Stamp>,
}

/// What tells one state of the files from the next.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Files {
    pub(super) fn open(certificate: &Path, key: &Path) -> Result<(Self, Loaded)> {
        let files = Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            // Before they are read: what changes meanwhile is seen later.
            taken: Mutex::new(stamp(certificate, key)),
        };
        let loaded = files.read()?;
        Ok((files, loaded))
    }

    pub(super) async fn follow(&self, certificate: &Certificate) {
        let mut tick = tokio::time::interval(LOOK);
        let mut failed = None;
        loop {
            tick.tick().await;
            let now = stamp(&self.certificate, &self.key);
            if now != *lock(&self.taken) {
                // What failed may pass, such as a want of descriptors; it is told once.
                let told = failed.replace(now) == Some(now);
                self.reload(certificate, now, told);
            }
        }
    }

    /// Takes what the files hold, or keeps what is there.
    fn reload(&self, certificate: &Certificate, now: Stamp, told: bool) {
        match self.read() {
            Ok(new) => {
                certificate.install(new);
                *lock(&self.taken) = now;
                tracing::info!(certificate = %self.certificate.display(), "certificate loaded");
            }
            Err(_) if told => {}
            Err(error) => {
                certificate.failed();
                tracing::error!(
                    error = format!("{error:#}"),
                    "the certificate in use is kept"
                );
            }
        }
    }

    fn read(&self) -> Result<Loaded> {
        let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
        let (chain, key) = (read(&self.certificate)?, read(&self.key)?);
        Loaded::from_pem(&chain, &key)
            .with_context(|| format!("{} and {}", self.certificate.display(), self.key.display()))
    }
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|path| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len()))
    })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::super::Source;
    use super::*;
    use crate::config::Tls;
    use crate::metrics::Metrics;

    fn write(certificate: &Path, key: &Path) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(certificate, made.cert.pem()).unwrap();
        std::fs::write(key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().to_vec()
    }

    #[test]
    fn the_files_are_followed_and_nonsense_in_them_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| dir.path().join(name));
        let config = Tls {
            certificate: Some(certificate.clone()),
            key: Some(key.clone()),
            acme: None,
        };
        let metrics = Metrics::new().unwrap();
        let load = || Certificate::load(&config, dir.path(), &metrics);
        assert!(load().is_err(), "no files");
        let first = write(&certificate, &key);
        let loaded = load().unwrap();
        let served = || loaded.loaded().unwrap().key.cert[0].to_vec();
        assert_eq!(served(), first);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(loaded.expires().unwrap() > now.as_secs().try_into().unwrap());
        let Source::Files(files) = &loaded.source else {
            panic!("{loaded:?}");
        };
        let second = write(&certificate, &key);
        let now = || stamp(&certificate, &key);
        files.reload(&loaded, now(), false);
        assert_eq!((served(), *lock(&files.taken)), (second.clone(), now()));
        std::fs::write(&key, "half a file").unwrap();
        assert_ne!(*lock(&files.taken), now());
        files.reload(&loaded, now(), false);
        files.reload(&loaded, now(), true);
        assert_eq!(served(), second);
        let counts = ["ok", "failed"].map(|r| metrics.tls_loads.with_label_values(&[r]).get());
        assert_eq!(counts, [2, 1]);
    }
}
