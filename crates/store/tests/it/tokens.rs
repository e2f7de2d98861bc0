//! Tokens: created, listed, used, deleted.

use store::{Error, TokenRecord};

use crate::engine::Database;

on_both_engines!(
    tokens_are_created_listed_and_deleted,
    the_last_use_never_goes_back,
    a_token_that_cannot_be_is_refused,
);

fn token(id: &str, role: &str, created_ms: i64) -> TokenRecord {
    TokenRecord {
        id: id.to_owned(),
        name: "ci".to_owned(),
        role: role.to_owned(),
        hash: format!("hash of {id}"),
        created_ms,
        last_used_ms: None,
    }
}

async fn tokens_are_created_listed_and_deleted(db: Database) {
    let store = db.open().await;
    let (old, new) = (token("b", "admin", 1), token("a", "read", 2));
    store.create_token(&new).await.unwrap();
    store.create_token(&old).await.unwrap();
    assert_eq!(store.tokens().await.unwrap(), [old, new.clone()]);

    store.delete_token("b").await.unwrap();
    assert_eq!(store.tokens().await.unwrap(), [new]);
    let again = store.delete_token("b").await;
    assert!(matches!(again, Err(Error::NotFound)));
}

async fn the_last_use_never_goes_back(db: Database) {
    let store = db.open().await;
    store.create_token(&token("a", "read", 1)).await.unwrap();
    for (at, kept) in [(5, 5), (3, 5), (9, 9)] {
        let uses = [("a".to_owned(), at), ("gone".to_owned(), at)];
        store.used_tokens(&uses).await.unwrap();
        assert_eq!(store.tokens().await.unwrap()[0].last_used_ms, Some(kept));
    }
}

async fn a_token_that_cannot_be_is_refused(db: Database) {
    let store = db.open().await;
    let first = token("a", "read", 1);
    store.create_token(&first).await.unwrap();
    let same_secret = TokenRecord {
        id: "b".to_owned(),
        ..first.clone()
    };
    for refused in [first.clone(), same_secret, token("c", "root", 1)] {
        let refused = store.create_token(&refused).await;
        assert!(refused.is_err_and(|error| !error.is_away()));
    }
    assert_eq!(store.tokens().await.unwrap(), [first]);
}
