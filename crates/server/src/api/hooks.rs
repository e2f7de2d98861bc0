//! `/api/v1/hooks/{id}`: where events are delivered. A change of the target or the secret holds from
//! the next request on.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Delivery, Kind, Record};
use utoipa::ToSchema;

use super::change::{begin, check_match, is_possible, merging, replacing, to_the_end};
use super::document::{HookPatch, HookUpdate, HookWritten};
use super::extract::{Asked, Named, Sent, page_limit};
use super::kept::{self, Document};
use super::plan::Plan;
use super::streams::{Shown, created, tagged};
use super::templates::Paged;
use super::{Api, Problem};
use crate::events::Committed;
use crate::hooks::{HookFigures, Tested};
use crate::model::{self, Hook, HookDefinition};

/// Which hook.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct HookPath {
    #[param(pattern = "^[A-Za-z0-9_-]+$", max_length = 64)]
    id: String,
}

/// A hook: what was written, then what the server adds. The additions are ignored on write.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HookResource {
    #[serde(flatten)]
    #[schema(value_type = HookWritten)]
    written: Value,
    /// What holds: every default written out.
    #[schema(value_type = Hook)]
    effective: Value,
    runtime: Option<HookFigures>,
    /// Grows with every change.
    version: i64,
    /// Unix milliseconds.
    created_ms: i64,
    /// Unix milliseconds.
    updated_ms: i64,
}

/// One page of hooks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HookPage {
    /// By id.
    items: Vec<HookResource>,
    /// Pass it as `cursor` for the next page; null at the end.
    next: Option<String>,
}

/// An event that was not delivered, and is not tried any more.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetter {
    event: Committed,
    /// Requests that failed.
    attempts: i64,
    /// When it was tried first, Unix milliseconds.
    first_ms: Option<i64>,
    /// When it was given up, Unix milliseconds.
    dead_ms: Option<i64>,
    /// What went wrong last.
    error: Option<String>,
}

/// Dead letters, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadPage {
    items: Vec<DeadLetter>,
    /// Pass it as `cursor` for the next page; null at the end.
    next: Option<i64>,
}

/// Which dead letters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeadPaged {
    /// At most so many, 1..=1000; default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<i64>,
}

/// Events by their ids; none at all are all of them.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Chosen {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 10000)]
    events: Option<Vec<i64>>,
}

/// How many there were.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Counted {
    count: u64,
}

/// Each has a worker, and transactions of its own.
const MOST: usize = 100;

/// There are not too many.
pub(super) fn check_number(hooks: usize) -> Result<(), Problem> {
    if hooks <= MOST {
        return Ok(());
    }
    let why = "there may be 100 hooks";
    Err(Problem::new(StatusCode::CONFLICT, "too_many_hooks", why))
}

/// All hooks, by id.
#[utoipa::path(get, path = "/hooks", operation_id = "list_hooks", tag = "hooks", params(Paged),
    responses((status = 200, body = HookPage)))]
pub(super) async fn list(
    State(api): State<Api>,
    Asked(asked): Asked<Paged>,
) -> Result<Json<HookPage>, Problem> {
    let (records, next) = asked.read(&api, Kind::Hook).await?;
    let readable = records.iter().filter_map(|record| {
        let hook = kept::parsed(record).ok()?;
        Some(resource(&api, (record, &hook), false))
    });
    let items = readable.collect();
    Ok(Json(HookPage { items, next }))
}

/// Makes a hook. It gets what happens from now on.
#[utoipa::path(post, path = "/hooks", operation_id = "create_hook", tag = "hooks", params(Shown),
    request_body = HookWritten,
    responses((status = 201, body = HookResource, headers(("Location" = String))), (status = 409, response = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    Asked(shown): Asked<Shown>,
    Sent(body): Sent,
) -> Result<Response, Problem> {
    let (record, hook) = kept::create(api.clone(), body).await?;
    let response = respond(&api, (&record, &hook), &shown);
    Ok(created(response, &format!("hooks/{}", record.name)))
}

/// One hook, and how its deliveries are going.
#[utoipa::path(get, path = "/hooks/{id}", operation_id = "read_hook", tag = "hooks",
    params(HookPath, Shown), responses((status = 200, body = HookResource)))]
pub(super) async fn read(
    State(api): State<Api>,
    Named(HookPath { id }): Named<HookPath>,
    Asked(shown): Asked<Shown>,
) -> Result<Response, Problem> {
    let (record, hook) = kept::find(&api, &id).await?;
    Ok(respond(&api, (&record, &hook), &shown))
}

/// Replaces a hook; what waits for it stays.
#[utoipa::path(put, path = "/hooks/{id}", operation_id = "replace_hook", tag = "hooks",
    params(HookPath, Shown), request_body = HookUpdate,
    responses((status = 200, body = HookResource), (status = 412, response = Problem)))]
pub(super) async fn replace(
    State(api): State<Api>,
    Named(HookPath { id }): Named<HookPath>,
    Asked(shown): Asked<Shown>,
    headers: HeaderMap,
    Sent(body): Sent,
) -> Result<Response, Problem> {
    let edit = replacing(body, "id", &id);
    let (record, hook) = kept::change(api.clone(), id, headers, edit).await?;
    Ok(respond(&api, (&record, &hook), &shown))
}

/// Changes some of a hook (RFC 7396 merge patch); what waits for it stays.
#[utoipa::path(patch, path = "/hooks/{id}", operation_id = "patch_hook", tag = "hooks",
    params(HookPath, Shown),
    request_body(content = HookPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = HookResource), (status = 412, response = Problem)))]
pub(super) async fn patch(
    State(api): State<Api>,
    Named(HookPath { id }): Named<HookPath>,
    Asked(shown): Asked<Shown>,
    headers: HeaderMap,
    Sent(patch): Sent,
) -> Result<Response, Problem> {
    let edit = merging(patch, "id", &id);
    let (record, hook) = kept::change(api.clone(), id, headers, edit).await?;
    Ok(respond(&api, (&record, &hook), &shown))
}

/// Removes a hook, and what waits for it.
#[utoipa::path(delete, path = "/hooks/{id}", operation_id = "remove_hook", tag = "hooks",
    params(HookPath), responses((status = 204), (status = 412, response = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Named(HookPath { id }): Named<HookPath>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    to_the_end(async move {
        let _change = begin(&api).await?;
        let record = kept::record::<HookDefinition>(&api, &id).await?;
        check_match(&headers, &record)?;
        let mut plan = Plan::default();
        plan.remove_hook(&record);
        plan.carry_out(&api).await?;
        tracing::info!(hook = id, "removed");
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Sends an event of no meaning (`hook.test`), and tells what the receiver answered.
#[utoipa::path(post, path = "/hooks/{id}/test", operation_id = "test_hook", tag = "hooks",
    params(HookPath), responses((status = 200, body = Tested), (status = 409, response = Problem)))]
pub(super) async fn test(
    State(api): State<Api>,
    Named(HookPath { id }): Named<HookPath>,
) -> Result<Json<Tested>, Problem> {
    kept::record::<HookDefinition>(&api, &id).await?;
    let tested = api.manager.hooks.test(&id).await;
    let why = "the hook is disabled";
    let disabled = || Problem::new(StatusCode::CONFLICT, "hook_disabled", why);
    tested.map(Json).ok_or_else(disabled)
}

/// Events that were given up: refused for good, or not taken for too long.
#[utoipa::path(get, path = "/hooks/{id}/dead", operation_id = "list_dead_letters", tag = "hooks",
    params(HookPath, DeadPaged), responses((status = 200, body = DeadPage)))]
pub(super) async fn dead(
    State(api): State<Api>,
    Named(HookPath { id }): Named<HookPath>,
    Asked(asked): Asked<DeadPaged>,
) -> Result<Json<DeadPage>, Problem> {
    let limit = page_limit(asked.limit)?;
    kept::record::<HookDefinition>(&api, &id).await?;
    let after = asked.cursor.unwrap_or(0);
    let mut found = api.manager.store.dead(&id, after, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|d| d.event.id);
    let items = found.into_iter().map(DeadLetter::from).collect();
    Ok(Json(DeadPage { items, next }))
}

/// Tries dead letters again, before what waits.
#[utoipa::path(post, path = "/hooks/{id}/dead/replay", operation_id = "replay_dead_letters", tag = "hooks",
    params(HookPath), request_body = Chosen, responses((status = 200, body = Counted)))]
pub(super) async fn replay(
    State(api): State<Api>,
    Named(HookPath { id }): Named<HookPath>,
    Sent(body): Sent,
) -> Result<Json<Counted>, Problem> {
    is_possible(&api)?;
    let Chosen { events } = model::typed(&body)?;
    kept::record::<HookDefinition>(&api, &id).await?;
    let count = api.manager.store.revive(&id, events.as_deref()).await?;
    api.manager.hooks.reload(&id).await;
    tracing::info!(hook = id, count, "dead letters are tried again");
    Ok(Json(Counted { count }))
}

/// Removes all dead letters.
#[utoipa::path(delete, path = "/hooks/{id}/dead", operation_id = "discard_dead_letters", tag = "hooks",
    params(HookPath), responses((status = 200, body = Counted)))]
pub(super) async fn discard(
    State(api): State<Api>,
    Named(HookPath { id }): Named<HookPath>,
) -> Result<Json<Counted>, Problem> {
    is_possible(&api)?;
    kept::record::<HookDefinition>(&api, &id).await?;
    let count = api.manager.store.discard(&id, None).await?;
    api.manager.hooks.reload(&id).await;
    tracing::info!(hook = id, count, "dead letters removed");
    Ok(Json(Counted { count }))
}

impl From<Delivery> for DeadLetter {
    fn from(delivery: Delivery) -> Self {
        Self {
            event: delivery.event.into(),
            attempts: delivery.attempts,
            first_ms: delivery.first_ms,
            dead_ms: delivery.dead_ms,
            error: delivery.error,
        }
    }
}

impl Document for HookDefinition {
    const KIND: Kind = Kind::Hook;
    const WORD: &'static str = "hook";

    fn accept(body: Value, current: Option<&Self>) -> Result<Self, Problem> {
        Self::accept(body, current)
    }

    fn read(text: &str) -> Result<Self, Problem> {
        Self::read(text)
    }

    fn shown(&self, reveal: bool) -> Value {
        self.shown(reveal)
    }

    async fn plan(&self, api: &Api, before: Option<&Record>) -> Result<Plan, Problem> {
        if before.is_none() {
            check_number(api.manager.hooks.count() + 1)?;
        }
        let mut plan = Plan::default();
        plan.put_hook(before, self.clone());
        Ok(plan)
    }
}

fn resource(api: &Api, (record, hook): (&Record, &HookDefinition), reveal: bool) -> HookResource {
    HookResource {
        written: hook.shown(reveal),
        effective: hook.effective(reveal),
        runtime: api.manager.hooks.figures(&record.name),
        version: record.version,
        created_ms: record.created_ms,
        updated_ms: record.updated_ms,
    }
}

fn respond(api: &Api, found: (&Record, &HookDefinition), shown: &Shown) -> Response {
    let resource = resource(api, found, shown.reveal);
    tagged(Json(json!(resource)).into_response(), found.0)
}
