//! What this database is called.

use crate::{Error, Store};

// The identifier is the column's default: each engine has its own source of chance.
const MAKE: &str = "INSERT INTO instance (one) VALUES (1) ON CONFLICT (one) DO NOTHING";

const READ: &str = "SELECT id FROM instance";

impl Store {
    /// 32 random hexadecimal digits that are this database's own, made when first asked for.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn instance(&self) -> Result<String, Error> {
        transaction!(self, tx => {
            sqlx::query(MAKE).execute(&mut *tx).await?;
            sqlx::query_scalar(READ).fetch_one(&mut *tx).await?
        })
    }
}
