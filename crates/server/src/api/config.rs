//! `/api/v1/config`: templates, streams and hooks as one document, which can live in git. It is
//! applied as a whole or not at all.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Kind, Record};
use utoipa::ToSchema;

use super::change::{begin, to_the_end};
use super::extract::{Asked, Text};
use super::lines::line_of;
use super::plan::{Plan, differences, members_that_differ};
use super::streams::Shown;
use super::{Api, Problem};
use crate::events::Event;
use crate::model::{Definition, HookDefinition, Template, Templates, typed};

/// The version of the document.
const VERSION: u32 = 1;
/// Whole configurations are books.
pub(super) const BODY: usize = 32 << 20;

/// All that is configured over the API, by name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    /// 1.
    #[schema(minimum = 1, maximum = 1)]
    version: u32,
    /// Each as it is made at `/templates`.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    templates: Vec<Value>,
    /// Each as it is made at `/streams`.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    streams: Vec<Value>,
    /// Each as it is made at `/hooks`.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    hooks: Vec<Value>,
}

/// What applying a document does.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Diff {
    /// Whether it was only looked at.
    dry_run: bool,
    templates: Changes,
    streams: Changes,
    hooks: Changes,
}

/// What becomes of one kind of things, by name.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Changes {
    created: Vec<String>,
    /// With the members that differ in what holds.
    changed: BTreeMap<String, Vec<String>>,
    removed: Vec<String>,
}

/// How a document is applied.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Applied {
    /// Only tells what would change.
    #[serde(default)]
    dry_run: bool,
}

/// The whole configuration: templates, streams and hooks, by name. Those that encoders made of
/// templates are not in it.
#[utoipa::path(get, path = "/config", operation_id = "export_config", tag = "config", params(Shown),
    responses((status = 200, body = Document)))]
pub(super) async fn export(
    State(api): State<Api>,
    Asked(shown): Asked<Shown>,
) -> Result<Response, Problem> {
    let _change = api.manager.changes.lock().await;
    let present = Present::read(&api).await?;
    let reveal = shown.reveal;
    // A backup that leaves something out is none.
    if let Some((_, record)) = present.unreadable.first() {
        let why = format!("{} cannot be read: the log says why", record.name);
        let status = http::StatusCode::INTERNAL_SERVER_ERROR;
        return Err(Problem::new(status, "unreadable", &why));
    }
    let document = Document {
        version: VERSION,
        templates: present
            .templates
            .values()
            .map(|(_, t)| t.shown(reveal))
            .collect(),
        streams: present
            .streams
            .values()
            .map(|(_, s)| s.shown(reveal))
            .collect(),
        hooks: present
            .hooks
            .values()
            .map(|(_, h)| h.shown(reveal))
            .collect(),
    };
    // For people and for diffs: one member a line, always in the same order.
    let mut text = serde_json::to_string_pretty(&document).map_err(|_| Problem::internal())?;
    text.push('\n');
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// Makes the configuration what the document says: what it leaves out is removed. What is refused
/// changes nothing, and says on which line it is wrong. Streams that do not change are not touched.
#[utoipa::path(put, path = "/config", operation_id = "apply_config", tag = "config", params(Applied),
    request_body = Document, responses((status = 200, body = Diff)))]
pub(super) async fn apply(
    State(api): State<Api>,
    Asked(asked): Asked<Applied>,
    Text(text): Text,
) -> Result<Json<Diff>, Problem> {
    let diff = to_the_end(async move {
        let _change = begin(&api).await?;
        let worked = work_out(&api, &text)
            .await
            .map_err(|p| p.on_lines_of(&text));
        let (mut plan, mut diff) = worked?;
        diff.dry_run = asked.dry_run;
        if diff.dry_run {
            plan.check_cycles(&api)?;
            return Ok(diff);
        }
        let (created, changed, removed) = diff.counts();
        if created + changed + removed > 0 {
            plan.tell_all(Event::ConfigApplied {
                created,
                changed,
                removed,
            });
        }
        plan.carry_out(&api).await?;
        tracing::info!(created, changed, removed, "configuration applied");
        Ok(diff)
    });
    Ok(Json(diff.await?))
}

impl Diff {
    fn counts(&self) -> (usize, usize, usize) {
        let all = [&self.templates, &self.streams, &self.hooks];
        let sum = |of: fn(&Changes) -> usize| all.iter().map(|changes| of(changes)).sum();
        (
            sum(|c| c.created.len()),
            sum(|c| c.changed.len()),
            sum(|c| c.removed.len()),
        )
    }
}

impl Problem {
    /// Says on which lines of the document it is wrong.
    fn on_lines_of(mut self, text: &str) -> Self {
        let line = self.field.as_ref().and_then(|field| line_of(text, field));
        self.line = self.line.or(line);
        for wrong in &mut self.errors {
            wrong.line = line_of(text, &wrong.field);
        }
        self
    }
}

/// What is configured now.
struct Present {
    templates: BTreeMap<String, (Record, Template)>,
    streams: BTreeMap<String, (Record, Definition)>,
    hooks: BTreeMap<String, (Record, HookDefinition)>,
    /// Those that cannot be read, of any kind.
    unreadable: Vec<(Kind, Record)>,
}

impl Present {
    async fn read(api: &Api) -> Result<Self, Problem> {
        let store = &api.manager.store;
        let mut unreadable = Vec::new();
        let templates = by_name(
            Kind::Template,
            store.all(Kind::Template).await?,
            &mut unreadable,
            |r| Template::read(&r.config).ok(),
        );
        let streams = by_name(
            Kind::Stream,
            store.all(Kind::Stream).await?,
            &mut unreadable,
            |r| api.manager.definition_of(r),
        );
        let hooks = by_name(
            Kind::Hook,
            store.all(Kind::Hook).await?,
            &mut unreadable,
            |r| HookDefinition::read(&r.config).ok(),
        );
        Ok(Self {
            templates,
            streams,
            hooks,
            unreadable,
        })
    }
}

impl Present {
    fn unreadable(&self, kind: Kind, name: &str) -> Option<&Record> {
        let mut all = self.unreadable.iter();
        let found = all.find(|(k, record)| *k == kind && record.name == name);
        found.map(|(_, record)| record)
    }
}

fn by_name<T>(
    kind: Kind,
    records: Vec<Record>,
    unreadable: &mut Vec<(Kind, Record)>,
    read: impl Fn(&Record) -> Option<T>,
) -> BTreeMap<String, (Record, T)> {
    let mut found = BTreeMap::new();
    for record in records {
        match read(&record) {
            Some(value) => {
                found.insert(record.name.clone(), (record, value));
            }
            None => unreadable.push((kind, record)),
        }
    }
    found
}

/// What the document asks for.
struct Wanted {
    templates: Vec<Template>,
    streams: Vec<Definition>,
    hooks: Vec<HookDefinition>,
    shelf: Templates,
}

async fn work_out(api: &Api, text: &str) -> Result<(Plan, Diff), Problem> {
    let document = read(text)?;
    let present = Present::read(api).await?;
    let wanted = Wanted::of(document, &present)?;
    wanted.shelf.check_prefixes()?;
    let (mut plan, mut diff) = (Plan::default(), Diff::default());
    wanted.plan_streams(&present, &mut plan, &mut diff.streams);
    plan.follow_with_born(api, &wanted.shelf)?;
    check_born(api, &wanted.shelf)?;
    wanted.plan_templates(&present, &mut plan, &mut diff.templates);
    wanted.plan_hooks(&present, &mut plan, &mut diff.hooks);
    for (kind, record) in &present.unreadable {
        match kind {
            Kind::Stream if !wanted.streams.iter().any(|s| s.name() == record.name) => {
                plan.remove_stream(record);
                diff.streams.removed.push(record.name.clone());
            }
            Kind::Template if wanted.shelf.get(&record.name).is_none() => {
                plan.remove_template(record);
                diff.templates.removed.push(record.name.clone());
            }
            Kind::Hook if !wanted.hooks.iter().any(|h| h.id() == record.name) => {
                plan.remove_hook(record);
                diff.hooks.removed.push(record.name.clone());
            }
            _ => {}
        }
    }
    plan.set_templates(wanted.shelf);
    Ok((plan, diff))
}

/// Streams that encoders made keep their template.
fn check_born(api: &Api, shelf: &Templates) -> Result<(), Problem> {
    let born = api.manager.all_born();
    let orphan = born
        .iter()
        .find(|born| shelf.get(born.template()).is_none());
    let Some(orphan) = orphan else {
        return Ok(());
    };
    let (name, template) = (orphan.definition().name(), orphan.template());
    let why = format!("the stream {name}, which an encoder made, has the template {template}");
    Err(Problem::new(
        http::StatusCode::CONFLICT,
        "template_in_use",
        &why,
    ))
}

fn read(text: &str) -> Result<Document, Problem> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let why = error.to_string();
        let mut problem = Problem::new(http::StatusCode::BAD_REQUEST, "bad_json", &why);
        problem.line = u32::try_from(error.line()).ok();
        problem
    })?;
    let document: Document = typed(&value)?;
    if document.version != VERSION {
        let why = "only version 1 is known";
        return Err(Problem::invalid("version_unknown", "version", why));
    }
    Ok(document)
}

/// Each at its place in the document; all secrets that are missed are told at once.
fn each<T>(
    list: &str,
    values: Vec<Value>,
    missed: &mut Vec<String>,
    accept: impl Fn(Value) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    let mut accepted = Vec::with_capacity(values.len());
    for (i, value) in values.into_iter().enumerate() {
        match accept(value) {
            Ok(item) => accepted.push(item),
            Err(problem) => {
                let problem = problem.within(&format!("{list}[{i}]"));
                if problem.errors.is_empty() {
                    return Err(problem);
                }
                missed.extend(problem.errors.into_iter().map(|wrong| wrong.field));
            }
        }
    }
    Ok(accepted)
}

/// No two of them are called the same.
fn check_names<'a>(
    list: &str,
    member: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), Problem> {
    let mut seen = BTreeMap::new();
    for (i, name) in names.enumerate() {
        if seen.insert(name, i).is_some() {
            let field = format!("{list}[{i}].{member}");
            return Err(Problem::invalid(
                "name_taken",
                &field,
                "another one is called so",
            ));
        }
    }
    Ok(())
}

fn string<'a>(value: &'a Value, member: &str) -> &'a str {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

impl Wanted {
    fn of(document: Document, present: &Present) -> Result<Self, Problem> {
        let mut missed = Vec::new();
        let templates = each("templates", document.templates, &mut missed, |value| {
            let current = present.templates.get(string(&value, "name"));
            Template::accept(value, current.map(|(_, template)| template))
        })?;
        // Streams cannot be read with templates of which something is missed.
        if !missed.is_empty() {
            return Err(Problem::missing(&missed));
        }
        check_names("templates", "name", templates.iter().map(Template::name))?;
        let shelf = templates.iter().cloned();
        let shelf = shelf.fold(Templates::default(), |shelf, template| shelf.with(template));
        let streams = each("streams", document.streams, &mut missed, |value| {
            let current = present.streams.get(string(&value, "name"));
            Definition::accept(value, current.map(|(_, stream)| stream), &shelf)
        })?;
        let hooks = each("hooks", document.hooks, &mut missed, |value| {
            let current = present.hooks.get(string(&value, "id"));
            HookDefinition::accept(value, current.map(|(_, hook)| hook))
        })?;
        if !missed.is_empty() {
            return Err(Problem::missing(&missed));
        }
        check_names("streams", "name", streams.iter().map(Definition::name))?;
        check_names("hooks", "id", hooks.iter().map(HookDefinition::id))?;
        super::hooks::check_number(hooks.len())?;
        Ok(Self {
            templates,
            streams,
            hooks,
            shelf,
        })
    }

    fn plan_streams(&self, present: &Present, plan: &mut Plan, changes: &mut Changes) {
        for stream in &self.streams {
            let name = stream.name();
            let unreadable = present.unreadable(Kind::Stream, name);
            match (present.streams.get(name), unreadable) {
                (Some((_, before)), _) if before == stream => {}
                (Some((_, before)), _) if before.text() == stream.text() => {
                    let differ = differences(Some(before.config()), stream.config());
                    changes.changed.insert(name.to_owned(), differ);
                    plan.follow(Some(before.config()), stream.clone());
                }
                (Some((record, before)), _) => {
                    let differ = differences(Some(before.config()), stream.config());
                    changes.changed.insert(name.to_owned(), differ);
                    plan.update_stream(record, Some(before), stream.clone());
                }
                (None, Some(record)) => {
                    let differ = differences(None, stream.config());
                    changes.changed.insert(name.to_owned(), differ);
                    plan.update_stream(record, None, stream.clone());
                }
                (None, None) => {
                    changes.created.push(name.to_owned());
                    plan.create_stream(stream.clone());
                }
            }
        }
        for (name, (record, _)) in &present.streams {
            if !self.streams.iter().any(|stream| stream.name() == name) {
                changes.removed.push(name.clone());
                plan.remove_stream(record);
            }
        }
    }

    fn plan_templates(&self, present: &Present, plan: &mut Plan, changes: &mut Changes) {
        for template in &self.templates {
            let name = template.name();
            match present.templates.get(name) {
                Some((_, before)) if before == template => {}
                Some((record, before)) => {
                    let differ = members_that_differ(&before.shown(true), &template.shown(true));
                    changes.changed.insert(name.to_owned(), differ);
                    plan.put_template(Some(record), template);
                }
                None => match present.unreadable(Kind::Template, name) {
                    Some(record) => {
                        changes.changed.insert(name.to_owned(), Vec::new());
                        plan.put_template(Some(record), template);
                    }
                    None => {
                        changes.created.push(name.to_owned());
                        plan.put_template(None, template);
                    }
                },
            }
        }
        for (name, (record, _)) in &present.templates {
            if self.shelf.get(name).is_none() {
                changes.removed.push(name.clone());
                plan.remove_template(record);
            }
        }
    }

    fn plan_hooks(&self, present: &Present, plan: &mut Plan, changes: &mut Changes) {
        for hook in &self.hooks {
            let id = hook.id();
            match present.hooks.get(id) {
                Some((_, before)) if before == hook => {}
                Some((record, before)) => {
                    let differ = members_that_differ(&before.shown(true), &hook.shown(true));
                    changes.changed.insert(id.to_owned(), differ);
                    plan.put_hook(Some(record), hook.clone());
                }
                None => match present.unreadable(Kind::Hook, id) {
                    Some(record) => {
                        changes.changed.insert(id.to_owned(), Vec::new());
                        plan.put_hook(Some(record), hook.clone());
                    }
                    None => {
                        changes.created.push(id.to_owned());
                        plan.put_hook(None, hook.clone());
                    }
                },
            }
        }
        for (id, (record, _)) in &present.hooks {
            if !self.hooks.iter().any(|hook| hook.id() == id) {
                changes.removed.push(id.clone());
                plan.remove_hook(record);
            }
        }
    }
}
