//! Bearers of the API: digests of their tokens, never the tokens.

use crate::{Error, Store};

/// A token as stored.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct TokenRecord {
    /// What it is revoked by; no secret.
    pub id: String,
    /// What people call it; need not be unique.
    pub name: String,
    /// `admin` or `read`.
    pub role: String,
    /// SHA-256 of the token, 64 hexadecimal digits.
    pub hash: String,
    /// When it was created, Unix milliseconds.
    pub created_ms: i64,
    /// When it was last used, Unix milliseconds; late by as much as uses are collected.
    pub last_used_ms: Option<i64>,
}

const CREATE: &str = "INSERT INTO tokens (id, name, role, hash, created_ms, last_used_ms)
    VALUES ($1, $2, $3, $4, $5, $6)";

const ALL: &str = "SELECT id, name, role, hash, created_ms, last_used_ms FROM tokens
    ORDER BY created_ms, id";

const DELETE: &str = "DELETE FROM tokens WHERE id = $1 RETURNING id";

const USED: &str = "UPDATE tokens SET last_used_ms = $2
    WHERE id = $1 AND (last_used_ms IS NULL OR last_used_ms < $2)";

impl Store {
    /// Creates a token.
    ///
    /// # Errors
    /// When the database fails, the role is none, or its id or hash is there already.
    pub async fn create_token(&self, token: &TokenRecord) -> Result<(), Error> {
        transaction!(self, tx => {
            let query = sqlx::query(CREATE).bind(&token.id).bind(&token.name).bind(&token.role);
            let query = query.bind(&token.hash).bind(token.created_ms).bind(token.last_used_ms);
            query.execute(&mut *tx).await?;
        })
    }

    /// All tokens, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tokens(&self) -> Result<Vec<TokenRecord>, Error> {
        read!(self, pool => Ok(sqlx::query_as(ALL).fetch_all(pool).await?))
    }

    /// Deletes a token.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_token(&self, id: &str) -> Result<(), Error> {
        transaction!(self, tx => {
            let row = sqlx::query_scalar(DELETE).bind(id);
            let gone: Option<String> = row.fetch_optional(&mut *tx).await?;
            gone.map(drop).ok_or(Error::NotFound)?;
        })
    }

    /// Saves when tokens were last used, by id; an earlier time than stored is ignored.
    ///
    /// # Errors
    /// When the database fails; nothing is saved then.
    pub async fn used_tokens(&self, uses: &[(String, i64)]) -> Result<(), Error> {
        // One order for all: see `save_states`.
        let mut uses: Vec<_> = uses.iter().collect();
        uses.sort();
        transaction!(self, tx => for (id, at) in uses {
            sqlx::query(USED).bind(id).bind(at).execute(&mut *tx).await?;
        })
    }
}
