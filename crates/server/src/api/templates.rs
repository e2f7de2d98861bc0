//! `/api/v1/templates/{name}`: parts of streams that many have. A change is applied at once to all
//! streams that have the template, and touches nothing of them that it does not change.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Kind, Record};
use utoipa::ToSchema;

use super::change::{begin, check_match, editable, named, only, to_the_end};
use super::document::{TemplatePatch, TemplateUpdate, TemplateWritten};
use super::extract::{Asked, Named, Sent, bad_query};
use super::plan::Plan;
use super::streams::{Shown, tagged};
use super::{Api, Problem};
use crate::model::{self, Template};

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
        let limit = self.limit.unwrap_or(100);
        if !(1..=1000).contains(&limit) {
            return Err(bad_query("limit is 1..=1000"));
        }
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
        let template = read_record(record).ok()?;
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
    let own = api.clone();
    let (record, template) = to_the_end(async move {
        let _change = begin(&own).await?;
        let template = Template::accept(body, None)?;
        let record = put(&own, None, &template).await?;
        Ok((record, template))
    })
    .await?;
    let mut response = respond(&api, (&record, &template), &shown).await?;
    *response.status_mut() = StatusCode::CREATED;
    let location = format!("/api/v1/templates/{}", record.name);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// One template.
#[utoipa::path(get, path = "/templates/{name}", operation_id = "read_template", tag = "templates",
    params(TemplatePath, Shown), responses((status = 200, body = TemplateResource)))]
pub(super) async fn read(
    State(api): State<Api>,
    Named(TemplatePath { name }): Named<TemplatePath>,
    Asked(shown): Asked<Shown>,
) -> Result<Response, Problem> {
    let (record, template) = find(&api, &name).await?;
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
    let own = name.clone();
    let edit = move |_| named(body, "name", &own);
    let (record, template) = change(api.clone(), name, headers, edit).await?;
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
    let own = name.clone();
    let edit = move |template| {
        let mut template = editable(template)?;
        model::merge(&mut template, &named(patch, "name", &own)?);
        Ok(template)
    };
    let (record, template) = change(api.clone(), name, headers, edit).await?;
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
        let record = kept(&api, &name).await?;
        check_match(&headers, &record)?;
        let mut users = having(&api).await?;
        users.retain(|user| user.template == name);
        let born = api.manager.all_born();
        let born = born.iter().filter(|born| born.template() == name);
        if let Some(user) = users
            .into_iter()
            .map(|u| u.name)
            .chain(born.map(|b| b.definition().name().to_owned()))
            .next()
        {
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

async fn kept(api: &Api, name: &str) -> Result<Record, Problem> {
    let record = api.manager.store.get(Kind::Template, name).await?;
    record.ok_or_else(|| Problem::not_found("template"))
}

async fn find(api: &Api, name: &str) -> Result<(Record, Template), Problem> {
    let record = kept(api, name).await?;
    let template = read_record(&record)?;
    Ok((record, template))
}

fn read_record(record: &Record) -> Result<Template, Problem> {
    Template::read(&record.config).map_err(|problem| {
        let error = problem.detail;
        tracing::error!(template = record.name, error, "unreadable in the database");
        Problem::internal()
    })
}

async fn change(
    api: Api,
    name: String,
    headers: HeaderMap,
    edit: impl FnOnce(Option<Value>) -> Result<Value, Problem> + Send + 'static,
) -> Result<(Record, Template), Problem> {
    to_the_end(async move {
        let _change = begin(&api).await?;
        let record = kept(&api, &name).await?;
        let current = read_record(&record).ok();
        let current = current.as_ref();
        check_match(&headers, &record)?;
        let edited = edit(current.map(|current| current.shown(false)))?;
        let template = Template::accept(edited, current)?;
        if Some(&template) == current {
            return Ok((record, template));
        }
        let record = put(&api, Some(&record), &template).await?;
        Ok((record, template))
    })
    .await
}

/// Saves a template, and makes the streams that have it follow.
async fn put(api: &Api, before: Option<&Record>, template: &Template) -> Result<Record, Problem> {
    let templates = api.manager.templates().with(template.clone());
    templates.check_prefixes()?;
    let mut plan = Plan::default();
    if before.is_some() {
        let records = api.manager.store.all(Kind::Stream).await?;
        plan.follow_templates(api, &records, &templates)?;
    }
    plan.put_template(before, template);
    plan.set_templates(templates);
    let record = only(plan.carry_out(api).await?)?;
    tracing::info!(template = record.name, version = record.version, "kept");
    Ok(record)
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
