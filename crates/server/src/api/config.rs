//! `/api/v1/config`: templates, streams and hooks as one document, which can live in git. It is
//! applied as a whole or not at all.

use std::collections::{BTreeMap, BTreeSet};

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
    let document = Document {
        version: VERSION,
        templates: present.templates.shown(|template| template.shown(reveal))?,
        streams: present.streams.shown(|stream| stream.shown(reveal))?,
        hooks: present.hooks.shown(|hook| hook.shown(reveal))?,
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
    templates: All<Template>,
    streams: All<Definition>,
    hooks: All<HookDefinition>,
}

impl Present {
    async fn read(api: &Api) -> Result<Self, Problem> {
        let store = &api.manager.store;
        Ok(Self {
            templates: All::of(store.all(Kind::Template).await?, |record| {
                Template::read(&record.config).ok()
            }),
            streams: All::of(store.all(Kind::Stream).await?, |record| {
                api.manager.definition_of(record)
            }),
            hooks: All::of(store.all(Kind::Hook).await?, |record| {
                HookDefinition::read(&record.config).ok()
            }),
        })
    }
}

/// All of a kind, by name; `None` where what is kept cannot be read.
struct All<T>(BTreeMap<String, (Record, Option<T>)>);

/// One of the changes that make them what is wanted.
enum Step<'a, T> {
    /// The record that is there, what it says, what it is to say.
    Put(Option<&'a Record>, Option<&'a T>, &'a T),
    Remove(&'a Record),
}

impl<T: PartialEq> All<T> {
    fn of(records: Vec<Record>, read: impl Fn(&Record) -> Option<T>) -> Self {
        let found = records.into_iter().map(|record| {
            let value = read(&record);
            (record.name.clone(), (record, value))
        });
        Self(found.collect())
    }

    fn get(&self, name: &str) -> Option<&T> {
        self.0.get(name)?.1.as_ref()
    }

    /// A backup that leaves something out is none.
    fn shown(&self, show: impl Fn(&T) -> Value) -> Result<Vec<Value>, Problem> {
        let each = self.0.iter().map(|(name, (_, value))| {
            let value = value.as_ref().map(&show);
            value.ok_or_else(|| {
                let why = format!("{name} cannot be read: the log says why");
                let status = http::StatusCode::INTERNAL_SERVER_ERROR;
                Problem::new(status, "unreadable", &why)
            })
        });
        each.collect()
    }

    /// What makes them the `wanted` ones, noted in `changes`.
    fn steps<'a>(
        &'a self,
        wanted: &'a [T],
        name: impl Fn(&T) -> &str,
        changes: &mut Changes,
        differ: impl Fn(Option<&T>, &T) -> Vec<String>,
    ) -> Vec<Step<'a, T>> {
        let (mut steps, mut names) = (Vec::new(), BTreeSet::new());
        for after in wanted {
            let name = name(after);
            names.insert(name);
            match self.0.get(name) {
                Some((_, Some(before))) if before == after => {}
                Some((record, before)) => {
                    let before = before.as_ref();
                    let differ = differ(before, after);
                    changes.changed.insert(name.to_owned(), differ);
                    steps.push(Step::Put(Some(record), before, after));
                }
                None => {
                    changes.created.push(name.to_owned());
                    steps.push(Step::Put(None, None, after));
                }
            }
        }
        for (name, (record, _)) in &self.0 {
            if !names.contains(name.as_str()) {
                changes.removed.push(name.clone());
                steps.push(Step::Remove(record));
            }
        }
        steps
    }
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

/// The members that differ; which those are of what cannot be read nobody knows.
fn shown_differ(before: Option<Value>, after: &Value) -> Vec<String> {
    before.map_or_else(Vec::new, |before| members_that_differ(&before, after))
}

impl Wanted {
    fn of(document: Document, present: &Present) -> Result<Self, Problem> {
        let mut missed = Vec::new();
        let templates = each("templates", document.templates, &mut missed, |value| {
            let current = present.templates.get(string(&value, "name"));
            Template::accept(value, current)
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
            Definition::accept(value, current, &shelf)
        })?;
        let hooks = each("hooks", document.hooks, &mut missed, |value| {
            let current = present.hooks.get(string(&value, "id"));
            HookDefinition::accept(value, current)
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
        let differ = |before: Option<&Definition>, after: &Definition| {
            differences(before.map(Definition::config), after.config())
        };
        let present = &present.streams;
        for step in present.steps(&self.streams, Definition::name, changes, differ) {
            match step {
                Step::Put(None, _, stream) => plan.create_stream(stream.clone()),
                // Another template makes something else of the same words.
                Step::Put(_, Some(before), stream) if before.text() == stream.text() => {
                    plan.follow(Some(before.config()), stream.clone());
                }
                Step::Put(Some(record), before, stream) => {
                    plan.update_stream(record, before, stream.clone());
                }
                Step::Remove(record) => plan.remove_stream(record),
            }
        }
    }

    fn plan_templates(&self, present: &Present, plan: &mut Plan, changes: &mut Changes) {
        let differ = |before: Option<&Template>, after: &Template| {
            shown_differ(before.map(|t| t.shown(true)), &after.shown(true))
        };
        let present = &present.templates;
        for step in present.steps(&self.templates, Template::name, changes, differ) {
            match step {
                Step::Put(record, _, template) => plan.put_template(record, template),
                Step::Remove(record) => plan.remove_template(record),
            }
        }
    }

    fn plan_hooks(&self, present: &Present, plan: &mut Plan, changes: &mut Changes) {
        let differ = |before: Option<&HookDefinition>, after: &HookDefinition| {
            shown_differ(before.map(|h| h.shown(true)), &after.shown(true))
        };
        let present = &present.hooks;
        for step in present.steps(&self.hooks, HookDefinition::id, changes, differ) {
            match step {
                Step::Put(record, _, hook) => plan.put_hook(record, hook.clone()),
                Step::Remove(record) => plan.remove_hook(record),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_replaced_or_removed_as_the_rest_is() {
        let record = |(name, config): (&str, &str)| Record {
            name: name.to_owned(),
            config: config.to_owned(),
            version: 1,
            created_ms: 0,
            updated_ms: 0,
        };
        let kept = [("a", "a1"), ("b", "b1"), ("c", ""), ("d", ""), ("e", "e1")];
        let read = |record: &Record| Some(record.config.clone()).filter(|text| !text.is_empty());
        let present = All::of(kept.map(record).into(), read);
        assert_eq!(present.get("a"), Some(&"a1".to_owned()));
        assert_eq!(present.get("c"), None);
        let refused = present.shown(|text| text.as_str().into());
        assert!(refused.unwrap_err().detail.starts_with("c cannot be read"));

        let wanted = ["a1", "b2", "c2", "f2"].map(str::to_owned);
        let mut changes = Changes::default();
        let differ = |before: Option<&String>, _: &String| before.cloned().into_iter().collect();
        let steps = present.steps(&wanted, |text| &text[..1], &mut changes, differ);
        let steps = steps.iter().map(|step| match step {
            Step::Put(record, before, after) => format!(
                "{:?} {before:?} {after}",
                record.map(|record| record.name.as_str())
            ),
            Step::Remove(record) => format!("- {}", record.name),
        });
        let expected = [
            r#"Some("b") Some("b1") b2"#,
            r#"Some("c") None c2"#,
            "None None f2",
            "- d",
            "- e",
        ];
        assert_eq!(steps.collect::<Vec<_>>(), expected);
        assert_eq!(changes.created, ["f"]);
        let changed = json!({"b": ["b1"], "c": []});
        assert_eq!(json!(changes.changed), changed);
        assert_eq!(changes.removed, ["d", "e"]);
    }
}
