//! `/api/v1/tokens`: who else may use the API.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Named, Sent};
use super::{Api, Problem, change};
use crate::events::Event;
use crate::model;
use crate::tokens::{self, Role, Token};

/// All are held in memory.
const MOST: usize = 1_000;

/// A token to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// 1 to 128 characters, no control characters; need not be unique.
    #[schema(
        example = "grafana",
        min_length = 1,
        max_length = 128,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$"
    )]
    name: String,
    role: Role,
}

/// A token, without what its bearer says.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenView {
    /// What it is revoked by.
    id: String,
    name: String,
    role: Role,
    /// Unix milliseconds.
    created_ms: i64,
    /// Unix milliseconds; a use elsewhere is known up to 15 s late.
    last_used_ms: Option<i64>,
}

/// A token that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedToken {
    #[serde(flatten)]
    made: TokenView,
    /// What its bearer says. It is shown this once.
    token: String,
}

/// All tokens, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenList {
    items: Vec<TokenView>,
    /// Always null: there is one page.
    next: Option<String>,
}

impl TokenView {
    fn of(token: &Token) -> Self {
        Self {
            id: token.id.clone(),
            name: token.name.clone(),
            role: token.role,
            created_ms: token.created_ms,
            last_used_ms: token.last_used_ms(),
        }
    }
}

/// Makes a token. The answer shows it this once.
#[utoipa::path(post, path = "/tokens", operation_id = "create_token", tag = "tokens", request_body = NewToken, responses(
    (status = 201, body = CreatedToken), (status = 409, response = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    Sent(body): Sent,
) -> Result<(StatusCode, Json<CreatedToken>), Problem> {
    let NewToken { name, role } = model::typed(&body)?;
    if !tokens::is_name(&name) {
        let why = "1 to 128 characters, no control characters";
        return Err(Problem::invalid("out_of_range", "name", why));
    }
    let made = change::to_the_end(async move {
        change::is_possible(&api)?;
        let tokens = &api.auth.tokens;
        if tokens.all().len() >= MOST {
            let why = "there are 1000 tokens: revoke some";
            return Err(Problem::new(StatusCode::CONFLICT, "too_many_tokens", why));
        }
        let made = tokens.create(&api.manager.store, &name, role).await?;
        api.manager.events.tell_all(&Event::TokenCreated {
            token: made.record.id.clone(),
            name: name.clone(),
            role: made.record.role.clone(),
        });
        tracing::info!(token = made.record.id, name, ?role, "token created");
        Ok(made)
    });
    let tokens::Made { record, secret } = made.await?;
    let created = CreatedToken {
        made: TokenView {
            id: record.id,
            name: record.name,
            role,
            created_ms: record.created_ms,
            last_used_ms: None,
        },
        token: secret,
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// All tokens but the one of the configuration or the data directory.
#[utoipa::path(get, path = "/tokens", operation_id = "list_tokens", tag = "tokens", responses(
    (status = 200, body = TokenList)))]
pub(super) async fn list(State(api): State<Api>) -> Json<TokenList> {
    let all = api.auth.tokens.all();
    Json(TokenList {
        items: all.iter().map(|token| TokenView::of(token)).collect(),
        next: None,
    })
}

/// Revokes a token, at once.
#[utoipa::path(delete, path = "/tokens/{id}", operation_id = "remove_token", tag = "tokens", params(("id" = String, Path)), responses(
    (status = 204)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    change::to_the_end(async move {
        change::is_possible(&api)?;
        let tokens = &api.auth.tokens;
        if !tokens.all().iter().any(|token| token.id == id) {
            return Err(Problem::not_found("token"));
        }
        let gone = tokens.revoke(&api.manager.store, &id).await;
        gone.map_err(|error| match error {
            store::Error::NotFound => Problem::not_found("token"),
            other => other.into(),
        })?;
        let token = id.clone();
        api.manager.events.tell_all(&Event::TokenDeleted { token });
        tracing::info!(token = id, "token revoked");
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
