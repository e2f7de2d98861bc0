//! Tokens of the API: known in memory, so that no request waits for SQL, lost database or not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::{Error, Store, TokenRecord};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::runtime::utc_ms;
use crate::secret;

/// How long a token that another process made or revoked may be unknown here.
const REFRESH: Duration = Duration::from_secs(5);
/// A later use than the stored one is worth writing after so long.
const WRITE_AFTER_MS: i64 = 10_000;

/// What a bearer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Everything.
    Admin,
    /// GET and HEAD, and no keys shown.
    Read,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Read => "read",
        }
    }

    fn named(name: &str) -> Option<Self> {
        let all = [Self::Admin, Self::Read];
        all.into_iter().find(|role| role.name() == name)
    }
}

/// One that is known; the token itself is not.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) created_ms: i64,
    /// 0: never.
    used_ms: AtomicI64,
    stored_ms: AtomicI64,
}

impl Token {
    /// `None` for a role of another version's.
    fn new(record: &TokenRecord) -> Option<Self> {
        Some(Self {
            id: record.id.clone(),
            name: record.name.clone(),
            role: Role::named(&record.role)?,
            created_ms: record.created_ms,
            used_ms: AtomicI64::new(0),
            stored_ms: AtomicI64::new(0),
        })
    }

    /// When it was last used, by what is known here.
    pub(crate) fn last_used_ms(&self) -> Option<i64> {
        Some(self.used_ms.load(Relaxed)).filter(|at| *at > 0)
    }

    fn is_stored_at(&self, at: i64) {
        self.used_ms.fetch_max(at, Relaxed);
        self.stored_ms.fetch_max(at, Relaxed);
    }

    /// The last use, if it is so much later than the stored one.
    fn unwritten(&self, by_ms: i64) -> Option<(String, i64)> {
        let used = self.used_ms.load(Relaxed);
        let late = used.saturating_sub(self.stored_ms.load(Relaxed));
        (late > by_ms).then(|| (self.id.clone(), used))
    }
}

/// A token that was just made, with what its bearer must say. It is not to be had again.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) record: TokenRecord,
    pub(crate) secret: String,
}

/// Makes a token, straight in the database.
pub(crate) async fn make(store: &Store, name: &str, role: Role) -> Result<Made, Error> {
    let secret = secret::random();
    let record = TokenRecord {
        id: secret::random(),
        name: name.to_owned(),
        role: role.name().to_owned(),
        hash: secret::digest(&secret),
        created_ms: utc_ms(),
        last_used_ms: None,
    };
    store.create_token(&record).await?;
    Ok(Made { record, secret })
}

/// Whether a token may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

/// All tokens, by their digests.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    known: RwLock<Arc<HashMap<String, Arc<Token>>>>,
    /// What is read from the database must not undo what was changed meanwhile.
    changes: tokio::sync::Mutex<()>,
}

impl Tokens {
    /// What the bearer of a token may do; that is a use of it.
    pub(crate) fn admit(&self, secret: &str) -> Option<Role> {
        let known = self.known();
        let token = known.get(&secret::digest(secret))?;
        token.used_ms.fetch_max(utc_ms(), Relaxed);
        Some(token.role)
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Token>> {
        let mut all: Vec<_> = self.known().values().cloned().collect();
        all.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        all
    }

    /// Makes one, which counts at once.
    pub(crate) async fn create(
        &self,
        store: &Store,
        name: &str,
        role: Role,
    ) -> Result<Made, Error> {
        let _change = self.changes.lock().await;
        let made = make(store, name, role).await?;
        self.change(|known| {
            let token = Token::new(&made.record).map(Arc::new);
            known.extend(token.map(|token| (made.record.hash.clone(), token)));
        });
        Ok(made)
    }

    /// Revokes one, which counts at once.
    pub(crate) async fn revoke(&self, store: &Store, id: &str) -> Result<(), Error> {
        let _change = self.changes.lock().await;
        let gone = store.delete_token(id).await;
        // One that somebody else has revoked is no longer known, either.
        if matches!(gone, Ok(()) | Err(Error::NotFound)) {
            self.change(|known| known.retain(|_, token| token.id != id));
        }
        gone
    }

    /// Writes down uses and takes over what others made and revoked, until told to stop.
    pub(crate) async fn run(self: Arc<Self>, store: Store, stop: CancellationToken) {
        let mut tick = tokio::time::interval(REFRESH);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            match self.follow(&store).await {
                Ok(()) => {}
                // That it is lost is said once, by the ledger.
                Err(error) if error.is_away() => tracing::debug!(%error, "tokens are as they were"),
                Err(error) => tracing::warn!(%error, "tokens are as they were"),
            }
        }
        let _ = self.write_uses(&store, 0).await;
    }

    async fn follow(&self, store: &Store) -> Result<(), Error> {
        self.write_uses(store, WRITE_AFTER_MS).await?;
        self.refresh(store).await
    }

    /// Reads them all anew.
    pub(crate) async fn refresh(&self, store: &Store) -> Result<(), Error> {
        let _change = self.changes.lock().await;
        let records = store.tokens().await?;
        let old = self.known();
        let token = |record: TokenRecord| {
            let known = old.get(&record.hash).cloned();
            let token = known.or_else(|| Token::new(&record).map(Arc::new))?;
            token.is_stored_at(record.last_used_ms.unwrap_or_default());
            Some((record.hash, token))
        };
        let fresh = records.into_iter().filter_map(token).collect();
        self.change(|known| *known = fresh);
        Ok(())
    }

    async fn write_uses(&self, store: &Store, late_by_ms: i64) -> Result<(), Error> {
        let known = self.known();
        let late = known.values().filter_map(|t| t.unwritten(late_by_ms));
        let uses: Vec<_> = late.collect();
        if !uses.is_empty() {
            store.used_tokens(&uses).await?;
        }
        for (id, at) in uses {
            let mut tokens = known.values();
            if let Some(token) = tokens.find(|token| token.id == id) {
                token.is_stored_at(at);
            }
        }
        Ok(())
    }

    fn known(&self) -> Arc<HashMap<String, Arc<Token>>> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<String, Arc<Token>>)) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut known));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store() -> Store {
        Store::open("sqlite::memory:").await.unwrap()
    }

    #[tokio::test]
    async fn what_was_made_is_admitted_until_it_is_revoked() {
        let (store, tokens) = (store().await, Tokens::default());
        let made = tokens.create(&store, "ci", Role::Read).await.unwrap();
        assert_eq!(tokens.admit(&made.secret), Some(Role::Read));
        assert_eq!(tokens.admit(&made.record.hash), None);
        assert_eq!(tokens.admit(""), None);
        tokens.revoke(&store, &made.record.id).await.unwrap();
        assert_eq!(tokens.admit(&made.secret), None);
        let again = tokens.revoke(&store, &made.record.id).await;
        assert!(matches!(again, Err(Error::NotFound)));
    }

    #[tokio::test]
    async fn what_others_change_is_taken_over_and_uses_are_kept() {
        let (store, tokens) = (store().await, Tokens::default());
        let mine = tokens.create(&store, "mine", Role::Admin).await.unwrap();
        tokens.admit(&mine.secret);
        let mine_used = || {
            let all = tokens.all();
            let mine = all.iter().find(|token| token.name == "mine");
            mine.and_then(|token| token.last_used_ms())
        };
        let used = mine_used();
        let other = make(&store, "other", Role::Read).await.unwrap();
        assert_eq!(tokens.admit(&other.secret), None);
        tokens.refresh(&store).await.unwrap();
        assert_eq!(tokens.admit(&other.secret), Some(Role::Read));
        assert!(used.is_some() && mine_used() == used);

        store.delete_token(&mine.record.id).await.unwrap();
        tokens.refresh(&store).await.unwrap();
        assert_eq!(tokens.admit(&mine.secret), None);
    }

    #[tokio::test]
    async fn uses_are_written_when_they_are_late_enough() {
        let (store, tokens) = (store().await, Tokens::default());
        let made = tokens.create(&store, "ci", Role::Read).await.unwrap();
        let stored = async || store.tokens().await.unwrap()[0].last_used_ms;
        tokens.write_uses(&store, 0).await.unwrap();
        assert_eq!(stored().await, None);
        tokens.admit(&made.secret);
        tokens.write_uses(&store, WRITE_AFTER_MS).await.unwrap();
        let first = stored().await;
        assert_eq!(first, tokens.all()[0].last_used_ms());
        tokens.all()[0].used_ms.fetch_add(5, Relaxed);
        tokens.write_uses(&store, WRITE_AFTER_MS).await.unwrap();
        assert_eq!(stored().await, first);
        tokens.write_uses(&store, 0).await.unwrap();
        assert_eq!(stored().await, first.map(|at| at + 5));
    }

    #[tokio::test]
    async fn a_lost_database_locks_nobody_out() {
        let (store, tokens) = (store().await, Tokens::default());
        let made = tokens.create(&store, "ci", Role::Admin).await.unwrap();
        store.close().await;
        assert!(tokens.refresh(&store).await.unwrap_err().is_away());
        assert!(tokens.revoke(&store, &made.record.id).await.is_err());
        assert_eq!(tokens.admit(&made.secret), Some(Role::Admin));
    }
}
