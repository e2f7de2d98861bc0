//! Errors as RFC 9457 problem documents, each with a stable code.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The status in words.
    pub(crate) title: &'static str,
    /// A stable name of the problem, for programs.
    #[schema(example = "name_reserved")]
    pub(crate) code: String,
    /// What is wrong, for people.
    pub(crate) detail: String,
    /// The path of the member that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "inputs[0].url")]
    pub(crate) field: Option<String>,
    /// The line of the document that is wrong, from 1; of whole configurations alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    /// All that is wrong, where that is known at once.
    #[serde(skip_serializing_if = "no_more")]
    #[schema(value_type = Vec<Wrong>, required = false)]
    pub(crate) errors: Box<[Wrong]>,
}

const fn no_more(errors: &[Wrong]) -> bool {
    errors.is_empty()
}

/// One of several things that are wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Wrong {
    /// The path of the member that is wrong.
    pub(crate) field: String,
    /// What is wrong, for people.
    pub(crate) detail: String,
    /// Its line in the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &str, detail: &str) -> Self {
        Self {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default(),
            code: code.to_owned(),
            detail: detail.to_owned(),
            field: None,
            line: None,
            errors: Box::default(),
        }
    }

    /// Secrets that are written as kept, where there are none to keep.
    pub(crate) fn missing(fields: &[String]) -> Self {
        let why = "there is no secret to keep";
        let wrong = |field: &String| Wrong {
            field: field.clone(),
            detail: why.to_owned(),
            line: None,
        };
        Self {
            errors: fields.iter().map(wrong).collect(),
            ..Self::invalid("secret_missing", fields.first().map_or("", |f| f), why)
        }
    }

    /// The same of a document that this one stands in, at `path`.
    pub(crate) fn within(mut self, path: &str) -> Self {
        let deeper = |field: &str| match field {
            "" | "." => path.to_owned(),
            field => format!("{path}.{field}"),
        };
        self.field = Some(deeper(self.field.as_deref().unwrap_or_default()));
        for wrong in &mut self.errors {
            wrong.field = deeper(&wrong.field);
        }
        self
    }

    /// A member of the body that cannot be.
    pub(crate) fn invalid(code: &str, field: &str, detail: &str) -> Self {
        Self {
            field: Some(field.to_owned()),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
        }
    }

    /// Something else where an object belongs.
    pub(crate) fn not_an_object(field: &str) -> Self {
        Self::invalid("not_an_object", field, "a JSON object is expected")
    }

    pub(crate) fn not_found(what: &str) -> Self {
        let detail = format!("no such {what}");
        Self::new(StatusCode::NOT_FOUND, &format!("{what}_not_found"), &detail)
    }

    pub(crate) fn stale() -> Self {
        let why = "the resource has changed since it was read";
        Self::new(StatusCode::PRECONDITION_FAILED, "stale", why)
    }

    /// Something of ours broke; what, is for the log.
    pub(crate) fn internal() -> Self {
        let why = "the server failed; its log says how";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", why)
    }

    pub(crate) fn stopping() -> Self {
        let why = "the server is stopping";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", why)
    }

    pub(crate) fn database() -> Self {
        let why = "the database is not available";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", why)
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Exists => {
                let why = "a stream of this name exists";
                Self::new(StatusCode::CONFLICT, "stream_exists", why)
            }
            store::Error::NotFound => Self::not_found("stream"),
            store::Error::Stale { .. } => Self::stale(),
            other => {
                tracing::error!(error = %other, "database");
                Self::database()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
