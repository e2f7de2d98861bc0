//! What a request makes of the configuration: checked as a whole, saved in one transaction, applied
//! to what runs, told as events. What is refused changes nothing.

use serde_json::{Value, json};
use store::{Kind, Record, Write};

use super::change::doubt;
use super::{Api, Problem};
use crate::events::{Event, StopReason};
use crate::model::{Definition, HookDefinition, StreamConfig, Template, Templates};
use crate::runtime::utc_ms;

/// Changes that are made together.
#[derive(Default)]
pub(super) struct Plan {
    writes: Vec<Planned>,
    /// What holds of them changed.
    streams: Vec<Definition>,
    /// Made by encoders, and following their template.
    born: Vec<Definition>,
    removed: Vec<String>,
    templates: Option<Templates>,
    hooks: Vec<HookChange>,
    told: Vec<(String, Event)>,
}

struct Planned {
    kind: Kind,
    name: String,
    /// `None` removes it.
    text: Option<String>,
    /// `None` makes it.
    version: Option<i64>,
}

enum HookChange {
    Put(Box<HookDefinition>),
    Removed(String),
}

impl Planned {
    fn write(&self) -> Write<'_> {
        let (kind, name) = (self.kind, self.name.as_str());
        match (&self.text, self.version) {
            (None, version) => Write::Delete {
                kind,
                name,
                version,
            },
            (Some(config), None) => Write::Create { kind, name, config },
            (Some(config), version) => Write::Update {
                kind,
                name,
                config,
                version,
            },
        }
    }
}

impl Plan {
    fn write(&mut self, kind: Kind, name: &str, text: Option<String>, record: Option<&Record>) {
        self.writes.push(Planned {
            kind,
            name: name.to_owned(),
            text,
            version: record.map(|record| record.version),
        });
    }

    fn tell(&mut self, stream: &str, event: Event) {
        self.told.push((stream.to_owned(), event));
    }

    pub(super) fn create_stream(&mut self, stream: Definition) {
        self.write(Kind::Stream, stream.name(), Some(stream.text()), None);
        let config = stream.config();
        let told = Event::StreamCreated {
            enabled: config.is_enabled(),
            template: config.template.clone(),
        };
        self.tell(stream.name(), told);
        self.streams.push(stream);
    }

    /// `before` is what held; `None` where that could not be read.
    pub(super) fn update_stream(
        &mut self,
        record: &Record,
        before: Option<&Definition>,
        after: Definition,
    ) {
        self.write(Kind::Stream, after.name(), Some(after.text()), Some(record));
        self.follow(before.map(Definition::config), after);
    }

    /// What holds of it changed, whatever was written.
    pub(super) fn follow(&mut self, before: Option<&StreamConfig>, after: Definition) {
        self.tell(after.name(), updated(before, after.config()));
        self.streams.push(after);
    }

    pub(super) fn remove_stream(&mut self, record: &Record) {
        self.write(Kind::Stream, &record.name, None, Some(record));
        self.removed.push(record.name.clone());
        self.tell(&record.name, Event::StreamDeleted {});
    }

    /// The templates as they will be, with the streams that have them.
    pub(super) fn set_templates(&mut self, templates: Templates) {
        self.templates = Some(templates);
    }

    pub(super) fn put_template(&mut self, record: Option<&Record>, template: &Template) {
        let name = template.name();
        self.write(Kind::Template, name, Some(template.text()), record);
        let template = name.to_owned();
        let event = match record {
            None => Event::TemplateCreated { template },
            Some(_) => Event::TemplateUpdated {
                template,
                streams: self.streams.len() + self.born.len(),
            },
        };
        self.tell("", event);
    }

    pub(super) fn remove_template(&mut self, record: &Record) {
        self.write(Kind::Template, &record.name, None, Some(record));
        let template = record.name.clone();
        self.tell("", Event::TemplateDeleted { template });
    }

    /// Streams follow templates that change.
    pub(super) fn follow_templates(
        &mut self,
        api: &Api,
        records: &[Record],
        templates: &Templates,
    ) -> Result<(), Problem> {
        for record in records.iter().filter(|record| names_template(record)) {
            let after = Definition::read(&record.config, templates)
                .map_err(|p| p.within(&format!("streams.{}", record.name)))?;
            let before = api.manager.definition_of(record);
            let before = before.as_ref().map(Definition::config);
            if before != Some(after.config()) {
                self.follow(before, after);
            }
        }
        self.follow_with_born(api, templates)
    }

    /// The same of those that encoders made.
    pub(super) fn follow_with_born(
        &mut self,
        api: &Api,
        templates: &Templates,
    ) -> Result<(), Problem> {
        for born in api.manager.all_born() {
            let before = born.definition();
            let after = before
                .with(templates)
                .map_err(|p| p.within(&format!("streams.{}", before.name())))?;
            if after != *before {
                let told = updated(Some(before.config()), after.config());
                self.tell(after.name(), told);
                self.born.push(after);
            }
        }
        Ok(())
    }

    pub(super) fn put_hook(&mut self, record: Option<&Record>, hook: HookDefinition) {
        self.write(Kind::Hook, hook.id(), Some(hook.text()), record);
        let id = hook.id().to_owned();
        let event = match record {
            None => Event::HookCreated { hook: id },
            Some(_) => Event::HookUpdated { hook: id },
        };
        self.tell("", event);
        self.hooks.push(HookChange::Put(Box::new(hook)));
    }

    pub(super) fn remove_hook(&mut self, record: &Record) {
        self.write(Kind::Hook, &record.name, None, Some(record));
        let hook = record.name.clone();
        self.hooks.push(HookChange::Removed(hook.clone()));
        self.tell("", Event::HookDeleted { hook });
    }

    pub(super) fn tell_all(&mut self, event: Event) {
        self.tell("", event);
    }

    /// What the store refused, said of the kind of thing that it is about.
    fn about(&self, mut problem: Problem) -> Problem {
        let kind = match self.writes.first().map(|write| write.kind) {
            Some(Kind::Template) => "template",
            Some(Kind::Hook) => "hook",
            _ => "stream",
        };
        if problem.code == "stream_exists" {
            problem.code = format!("{kind}_exists");
            problem.detail = format!("a {kind} of this name exists");
        }
        problem
    }

    /// No stream feeds itself.
    pub(super) fn check_cycles(&self, api: &Api) -> Result<(), Problem> {
        let all = self.streams.iter().chain(&self.born);
        let Some(name) = api.manager.cycle(all.map(Definition::config)) else {
            return Ok(());
        };
        let why = format!("the stream {name} would feed itself");
        Err(Problem::invalid("stream_cycle", "inputs", &why))
    }

    /// Saves and applies it all. Answers the records in the order of the writes; those that were
    /// removed are `None`.
    pub(super) async fn carry_out(self, api: &Api) -> Result<Vec<Option<Record>>, Problem> {
        let manager = &api.manager;
        self.check_cycles(api)?;
        let mut prepared = Vec::with_capacity(self.streams.len());
        for stream in &self.streams {
            prepared.push(manager.prepare(stream.config()).await?);
        }
        let writes: Vec<_> = self.writes.iter().map(Planned::write).collect();
        let written = manager.store.write(&writes, utc_ms()).await;
        drop(writes);
        let records = doubt(api, written).map_err(|p| self.about(p))?;
        if let Some(templates) = self.templates {
            manager.set_templates(templates);
        }
        let applied = self.streams.into_iter().zip(prepared);
        for (stream, prepared) in applied {
            manager.apply(stream.config().clone(), prepared).await;
            manager.events.room().await;
        }
        for stream in self.born {
            manager.rear(stream).await;
        }
        for name in &self.removed {
            manager.remove(name, StopReason::Deleted).await;
            manager.events.room().await;
        }
        for change in self.hooks {
            match change {
                HookChange::Put(hook) => manager.hooks.put(&hook),
                HookChange::Removed(id) => manager.hooks.remove(&id),
            }
        }
        for (stream, event) in &self.told {
            manager.events.tell(stream, event);
            manager.events.room().await;
        }
        Ok(records)
    }
}

fn names_template(record: &Record) -> bool {
    // Cheaper than reading them all: most streams have none.
    record.config.contains("\"template\"")
}

fn updated(before: Option<&StreamConfig>, after: &StreamConfig) -> Event {
    Event::StreamUpdated {
        enabled: after.is_enabled(),
        changed: differences(before, after),
    }
}

/// The members that differ in what holds, by name.
pub(super) fn differences(before: Option<&StreamConfig>, after: &StreamConfig) -> Vec<String> {
    let before = before.map_or(Value::Null, |config| json!(config));
    members_that_differ(&before, &json!(after))
}

/// The members that differ, by name.
pub(super) fn members_that_differ(before: &Value, after: &Value) -> Vec<String> {
    let members = [before, after].into_iter().filter_map(Value::as_object);
    let mut names: Vec<_> = members
        .flat_map(|members| members.keys().cloned())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| before.get(name) != after.get(name));
    names
}
