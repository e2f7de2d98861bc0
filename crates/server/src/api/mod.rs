//! The REST API (`/api/v1`), described by OpenAPI.

mod auth;
mod change;
mod config;
mod document;
mod entries;
mod events;
mod extract;
mod failing;
mod hooks;
mod inputs;
mod kept;
mod lines;
mod list;
mod plan;
mod players;
mod problem;
mod pushes;
mod pushing;
mod request;
mod streams;
mod switch;
mod templates;
mod tokens;
mod transcoding;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::StatusCode;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

pub(crate) use auth::Auth;
pub(crate) use problem::Problem;

use self::document::Security;
use crate::events::Event;
use crate::model::AutoPublish;
use crate::runtime::Manager;

/// A stream's configuration is a page, not a book.
const BODY: usize = 256 << 10;

/// What handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) manager: Arc<Manager>,
    pub(crate) auth: Arc<Auth>,
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Weir", description = "High-availability live media server", license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    components(schemas(Problem, AutoPublish, Event), responses(Problem)),
    modifiers(&Security),
    security(("token" = [])),
    tags(
        (name = "streams", description = "Streams: what they are and what they are doing"),
        (name = "inputs", description = "Where a stream's media comes from"),
        (name = "push", description = "Where a stream is pushed to"),
        (name = "templates", description = "Parts of streams that many have"),
        (name = "hooks", description = "Where events are delivered"),
        (name = "events", description = "What happens, and what happened"),
        (name = "config", description = "All of it as one document"),
        (name = "tokens", description = "Who may use the API")
    )
)]
struct Document;

fn described() -> (Router<Api>, utoipa::openapi::OpenApi) {
    let config = OpenApiRouter::new()
        .routes(routes!(config::export, config::apply))
        .layer(DefaultBodyLimit::max(config::BODY));
    let v1 = OpenApiRouter::new()
        .routes(routes!(list::list, streams::create))
        .routes(routes!(
            streams::read,
            streams::replace,
            streams::patch,
            streams::remove
        ))
        .routes(routes!(streams::restart))
        .routes(routes!(players::list))
        .routes(routes!(switch::hold, switch::release))
        .routes(routes!(
            inputs::read,
            inputs::replace,
            inputs::patch,
            inputs::remove
        ))
        .routes(routes!(
            pushes::read,
            pushes::replace,
            pushes::patch,
            pushes::remove
        ))
        .routes(routes!(streams::promote))
        .routes(routes!(transcoding::capabilities))
        .routes(routes!(templates::list, templates::create))
        .routes(routes!(
            templates::read,
            templates::replace,
            templates::patch,
            templates::remove
        ))
        .routes(routes!(hooks::list, hooks::create))
        .routes(routes!(
            hooks::read,
            hooks::replace,
            hooks::patch,
            hooks::remove
        ))
        .routes(routes!(hooks::test))
        .routes(routes!(hooks::dead, hooks::discard))
        .routes(routes!(hooks::replay))
        .routes(routes!(events::follow))
        .routes(routes!(events::history))
        .merge(config)
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::remove));
    let (routes, mut openapi) = OpenApiRouter::with_openapi(Document::openapi())
        .nest("/api/v1", v1)
        .split_for_parts();
    document::complete(&mut openapi);
    (routes, openapi)
}

/// The description as text.
pub(crate) fn openapi_json() -> String {
    let (_, document) = described();
    document.to_pretty_json().unwrap_or_default()
}

/// The API with its description and the page to browse it.
pub(crate) fn router(api: Api) -> Router {
    let (routes, document) = described();
    let guarded = routes
        .route("/api/{*rest}", any(unknown))
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(Arc::clone(&api.auth), auth::guard))
        .layer(from_fn(request::accompany))
        .with_state(api);
    guarded.merge(SwaggerUi::new("/api/docs").url("/api/v1/openapi.json", document))
}

async fn unknown() -> Problem {
    Problem::not_found("resource")
}

async fn not_allowed() -> Response {
    let why = "the resource does not know this method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", why).into_response()
}
