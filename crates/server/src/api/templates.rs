//! `/api/v1/templates/{name}`: parts of streams that many have. A change is applied at once to all
//! streams that have the template, and touches nothing of them that it does not change.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Kind, Record};
use utoipa::ToSchema;

use super::change::{begin, check_match, merging, replacing, to_the_end};
use super::document::{TemplatePatch, TemplateUpdate, TemplateWritten};
use super::extract::{Asked, Named, Sent, page_limit};
use super::kept::{self, Document};
use super::plan::Plan;
use super::streams::{Shown, created, tagged};
use super::{Api, Problem};
use crate::model::Template;

/// Which template.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TemplatePath {
    #[param(pattern = "^[A-Za-z0-9_-]+$", max_length = 64)]
    name: String,
}

/// A template: what was written, then what the server adds. The additions are ignored on write.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TemplateResource {
    #[serde(flatten)]
    #[schema(value_type = TemplateWritten)]
    written: Value,
    runtime: TemplateRuntime,
    /// Grows with every change.
    version: i64,
    /// Unix milliseconds.
    created_ms: i64,
    /// Unix milliseconds.
    updated_ms: i64,
}

/// Who has it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TemplateRuntime {
    /// Streams that were made with it.
    streams: usize,
    /// Streams that encoders made of it.
    runtime_streams: usize,
}

/// One page of templates.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TemplatePage {
    /// By name.
    items: Vec<TemplateResource>,
    /// Pass it as `cursor` for the next page; null at the end.
    next: Option<String>,
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Paged {
    /// At most so many, 1..=1000; default 100.
    #[param(minimum = 1, maximum = 1000)]
    pub(super) limit: Option<u32>,
    /// `next` of the page before.
    pub(super) cursor: Option<String>,
}

impl Paged {
    /// A page of records, and where the next one begins.
    pub(super) async fn read(
        &self,
        api: &Api,
        kind: Kind,
    ) -> Result<(Vec<Record>, Option<String>), Problem> {
        let limit = page_limit(self.limit)?;
        let store = &api.manager.store;
        let records = store.list(kind, self.cursor.as_deref(), "", limit + 1);
        let mut records = records.await?;
        let more = records.len() > limit as usize;
        records.truncate(limit as usize);
        let next = records.last().filter(|_| more).map(|r| r.name.clone());
        Ok((records, next))
    }
}

/// All templates, by name.
#[utoipa::path(get, path = "/templates", operation_id = "list_templates", tag = "templates", params(Paged),
    responses((status = 200, body = TemplatePage)))]
pub(super) async fn list(
    State(api): State<Api>,
    Asked(asked): Asked<Paged>,
) -> Result<Json<TemplatePage>, Problem> {
    let (records, next) = asked.read(&api, Kind::Template).await?;
    let streams = having(&api).await?;
    let items = records.iter().filter_map(|record| {
        let template = kept::parsed(record).ok()?;
        Some(resource(&api, &streams, (record, &template), false))
    });
    let items = items.collect();
    Ok(Json(TemplatePage { items, next }))
}

/// Makes a template.
#[utoipa::path(post, path = "/templates", operation_id = "create_template", tag = "templates", params(Shown),
    request_body = TemplateWritten,
    responses((status = 201, body = TemplateResource, headers(("Location" = String))), (status = 409, response = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    Asked(shown): Asked<Shown>,
    Sent(body): Sent,
) -> Result<Response, Problem> {
    let (record, template) = kept::create(api.clone(), body).await?;
    let response = respond(&api, (&record, &template), &shown).await?;
    Ok(created(response, &format!("templates/{}", record.name)))
}

/// One template.
#[utoipa::path(get, path = "/templates/{name}", operation_id = "read_template", tag = "templates",
    params(TemplatePath, Shown), responses((status = 200, body = TemplateResource)))]
pub(super) async fn read(
    State(api): State<Api>,
    Named(TemplatePath { name }): Named<TemplatePath>,
    Asked(shown): Asked<Shown>,
) -> Result<Response, Problem> {
    let (record, template) = kept::find(&api, &name).await?;
    respond(&api, (&record, &template), &shown).await
}

/// Replaces a template, for all streams that have it.
#[utoipa::path(put, path = "/templates/{name}", operation_id = "replace_template", tag = "templates",
    params(TemplatePath, Shown), request_body = TemplateUpdate,
    responses((status = 200, body = TemplateResource), (status = 409, response = Problem), (status = 412, response = Problem)))]
pub(super) async fn replace(
    State(api): State<Api>,
    Named(TemplatePath { name }): Named<TemplatePath>,
    Asked(shown): Asked<Shown>,
    headers: HeaderMap,
    Sent(body): Sent,
) -> Result<Response, Problem> {
    let edit = replacing(body, "name", &name);
    let (record, template) = kept::change(api.clone(), name, headers, edit).await?;
    respond(&api, (&record, &template), &shown).await
}

/// Changes some of a template (RFC 7396 merge patch), for all streams that have it.
#[utoipa::path(patch, path = "/templates/{name}", operation_id = "patch_template", tag = "templates",
    params(TemplatePath, Shown),
    request_body(content = TemplatePatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = TemplateResource), (status = 409, response = Problem), (status = 412, response = Problem)))]
pub(super) async fn patch(
    State(api): State<Api>,
    Named(TemplatePath { name }): Named<TemplatePath>,
    Asked(shown): Asked<Shown>,
    headers: HeaderMap,
    Sent(patch): Sent,
) -> Result<Response, Problem> {
    let edit = merging(patch, "name", &name);
    let (record, template) = kept::change(api.clone(), name, headers, edit).await?;
    respond(&api, (&record, &template), &shown).await
}

/// Removes a template that no stream has.
#[utoipa::path(delete, path = "/templates/{name}", operation_id = "remove_template", tag = "templates",
    params(TemplatePath),
    responses((status = 204), (status = 409, response = Problem), (status = 412, response = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Named(TemplatePath { name }): Named<TemplatePath>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    to_the_end(async move {
        let _change = begin(&api).await?;
        let record = kept::record::<Template>(&api, &name).await?;
        check_match(&headers, &record)?;
        let users = having(&api).await?;
        let users = users.into_iter().filter(|user| user.template == name);
        let born = api.manager.all_born();
        let born = born.iter().filter(|born| born.template() == name);
        let born = born.map(|born| born.definition().name().to_owned());
        if let Some(user) = users.map(|user| user.name).chain(born).next() {
            let why = format!("the stream {user} has it");
            return Err(Problem::new(StatusCode::CONFLICT, "template_in_use", &why));
        }
        let mut plan = Plan::default();
        plan.remove_template(&record);
        plan.set_templates(api.manager.templates().without(&name));
        plan.carry_out(&api).await?;
        tracing::info!(template = name, "removed");
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

impl Document for Template {
    const KIND: Kind = Kind::Template;
    const WORD: &'static str = "template";

    fn accept(body: Value, current: Option<&Self>) -> Result<Self, Problem> {
        Self::accept(body, current)
    }

    fn read(text: &str) -> Result<Self, Problem> {
        Self::read(text)
    }

    fn shown(&self, reveal: bool) -> Value {
        self.shown(reveal)
    }

    /// The streams that have it follow.
    async fn plan(&self, api: &Api, before: Option<&Record>) -> Result<Plan, Problem> {
        let templates = api.manager.templates().with(self.clone());
        templates.check_prefixes()?;
        let mut plan = Plan::default();
        if before.is_some() {
            let records = api.manager.store.all(Kind::Stream).await?;
            plan.follow_templates(api, &records, &templates)?;
        }
        plan.put_template(before, self);
        plan.set_templates(templates);
        Ok(plan)
    }
}

/// A stream that has a template.
struct User {
    name: String,
    template: String,
}

async fn having(api: &Api) -> Result<Vec<User>, Problem> {
    let records = api.manager.store.all(Kind::Stream).await?;
    let users = records.into_iter().filter_map(|record| {
        let written: Value = serde_json::from_str(&record.config).ok()?;
        let template = written.get("template")?.as_str()?.to_owned();
        let name = record.name;
        Some(User { name, template })
    });
    Ok(users.collect())
}

fn resource(
    api: &Api,
    users: &[User],
    (record, template): (&Record, &Template),
    reveal: bool,
) -> TemplateResource {
    let born = api.manager.all_born();
    TemplateResource {
        written: template.shown(reveal),
        runtime: TemplateRuntime {
            streams: users.iter().filter(|u| u.template == record.name).count(),
            runtime_streams: born.iter().filter(|b| b.template() == record.name).count(),
        },
        version: record.version,
        created_ms: record.created_ms,
        updated_ms: record.updated_ms,
    }
}

async fn respond(
    api: &Api,
    found: (&Record, &Template),
    shown: &Shown,
) -> Result<Response, Problem> {
    let users = having(api).await?;
    let resource = resource(api, &users, found, shown.reveal);
    Ok(tagged(Json(json!(resource)).into_response(), found.0))
}
