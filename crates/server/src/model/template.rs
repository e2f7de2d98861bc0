//! Templates: parts of streams that many streams have, and streams that are made of them when an
//! encoder comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::check::{check, check_template_name, within};
use super::definition::{give_keys, is_well_formed, parse, shown, trim};
use super::edit::typed;
use super::overlay::without_nulls;
use super::{StreamConfig, secrets};
use crate::api::Problem;

const PREFIXES: usize = 16;
const PREFIX: usize = 128;
/// A stream of the template, as far as checks go.
const SOME_STREAM: &str = "some-stream-of-this-template";

/// A template as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    name: String,
    written: Value,
    /// What streams have of it.
    base: Value,
    auto_publish: Option<AutoPublish>,
}

/// Streams that are made when an encoder comes with a name that begins so, and go with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AutoPublish {
    /// Parts of names up to a slash: `sports` lets `sports/final` in. The longest one of all
    /// templates that fits holds.
    #[schema(min_items = 1, max_items = 16)]
    pub(crate) prefixes: Vec<String>,
    /// At most so many of them at a time; 1..=10000, default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10000)]
    pub(crate) max_streams: Option<u32>,
    /// At most so many at a time that one address made; 1..=10000, default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10000)]
    pub(crate) max_per_address: Option<u32>,
    /// So many new ones a minute, and as many at once after a minute without; 1..=10000, default 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10000)]
    pub(crate) max_per_minute: Option<u32>,
    /// How long one stays without a publisher; 5..=86400, default 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 5, maximum = 86400)]
    pub(crate) idle_timeout_s: Option<u32>,
}

impl AutoPublish {
    pub(crate) fn max_streams(&self) -> usize {
        self.max_streams.unwrap_or(100) as usize
    }

    pub(crate) fn max_per_address(&self) -> usize {
        self.max_per_address.unwrap_or(20) as usize
    }

    pub(crate) fn max_per_minute(&self) -> u32 {
        self.max_per_minute.unwrap_or(60)
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_s.unwrap_or(30).into())
    }

    /// How much of a name one of the prefixes is.
    fn fits(&self, name: &str) -> Option<usize> {
        let fitting = self.prefixes.iter().filter(|prefix| {
            let rest = name.strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
        });
        fitting.map(String::len).max()
    }

    fn check(&self) -> Result<(), Problem> {
        let bounds = [
            ("max_streams", self.max_streams, 1, 10_000),
            ("max_per_address", self.max_per_address, 1, 10_000),
            ("max_per_minute", self.max_per_minute, 1, 10_000),
            ("idle_timeout_s", self.idle_timeout_s, 5, 86_400),
        ];
        for (name, value, least, most) in bounds {
            within(
                &format!("auto_publish.{name}"),
                value.unwrap_or(least),
                least,
                most,
            )?;
        }
        if self.prefixes.is_empty() || self.prefixes.len() > PREFIXES {
            let why = "1 to 16 of them";
            return Err(Problem::invalid(
                "out_of_range",
                "auto_publish.prefixes",
                why,
            ));
        }
        for (i, prefix) in self.prefixes.iter().enumerate() {
            let longest = format!("{prefix}/x");
            if prefix.len() > PREFIX - 2 || super::check_name(&longest).is_err() {
                let why = "the beginning of a name, up to a slash that is not written";
                let field = format!("auto_publish.prefixes[{i}]");
                return Err(Problem::invalid("prefix_invalid", &field, why));
            }
        }
        Ok(())
    }
}

impl Template {
    /// The template in a request's body, checked as far as it goes without a stream.
    pub(crate) fn accept(mut body: Value, current: Option<&Self>) -> Result<Self, Problem> {
        trim(&mut body)?;
        without_nulls(&mut body);
        let known = current.map(|current| &current.written);
        secrets::keep(&mut body, known)?;
        give_keys(&mut body, None, known);
        secrets::resolve(&mut body.clone())?;
        Self::of(body)
    }

    /// What was kept.
    pub(crate) fn read(text: &str) -> Result<Self, Problem> {
        Self::of(parse(text)?)
    }

    fn of(written: Value) -> Result<Self, Problem> {
        let mut base = written.clone();
        let members = base.as_object_mut();
        let take = |name| members.as_ref().and_then(|m| m.get(name)).cloned();
        let name = take("name").unwrap_or_default();
        let auto_publish = take("auto_publish");
        if let Some(members) = base.as_object_mut() {
            members.remove("auto_publish");
            members.remove("name");
            if members.contains_key("template") {
                let why = "a template has no template";
                return Err(Problem::invalid("unknown_field", "template", why));
            }
        }
        let name: String = typed_at("name", &name)?;
        check_template_name(&name)?;
        let auto_publish: Option<AutoPublish> = auto_publish
            .map(|given| typed(&given).map_err(|p| p.within("auto_publish")))
            .transpose()?;
        check_base(&base)?;
        let template = Self {
            name,
            written,
            base,
            auto_publish,
        };
        template.check_auto_publish()?;
        Ok(template)
    }

    fn check_auto_publish(&self) -> Result<(), Problem> {
        let Some(auto_publish) = &self.auto_publish else {
            return Ok(());
        };
        auto_publish.check()?;
        let made = self.stream(SOME_STREAM).map_err(|mut problem| {
            let field = problem.field.take().unwrap_or_default();
            problem.field = Some(field.replace("template.", ""));
            problem
        })?;
        let inputs = made.config().inputs.iter();
        if inputs.clone().any(|input| input.url == "publish://") {
            return Ok(());
        }
        let why = "no input is publish://, so nobody could come";
        Err(Problem::invalid("invalid_field", "auto_publish", why))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn base(&self) -> &Value {
        &self.base
    }

    pub(crate) const fn auto_publish(&self) -> Option<&AutoPublish> {
        self.auto_publish.as_ref()
    }

    /// A stream that has nothing of its own.
    pub(crate) fn stream(&self, name: &str) -> Result<super::Definition, Problem> {
        let body = json!({"name": name, "template": self.name});
        super::Definition::accept(body, None, &Templates::default().with(self.clone()))
    }

    pub(crate) fn text(&self) -> String {
        self.written.to_string()
    }

    pub(crate) fn shown(&self, reveal: bool) -> Value {
        shown(self.written.clone(), reveal)
    }
}

fn typed_at<T>(field: &str, value: &Value) -> Result<T, Problem>
where
    T: serde::de::DeserializeOwned + Serialize,
{
    typed(value).map_err(|p| p.within(field))
}

/// What is there is as it must be in a stream; an input or a push may be only a part of one.
fn check_base(base: &Value) -> Result<(), Problem> {
    let mut probe = base.clone();
    probe["name"] = json!(SOME_STREAM);
    is_well_formed(&probe)?;
    secrets::resolve_or_close(&mut probe);
    for list in ["inputs", "push"] {
        if let Some(entries) = probe.get_mut(list).and_then(Value::as_array_mut) {
            entries.retain(|entry| entry.get("url").is_some());
        }
    }
    // The ladder may be one that only the streams have.
    let pushes = probe.get_mut("push").and_then(Value::as_array_mut);
    for push in pushes.into_iter().flatten() {
        push.as_object_mut().map(|push| push.remove("rendition"));
    }
    let rules = probe.pointer_mut("/failover/rules");
    if let Some(rules) = rules {
        // They may be about inputs that only the streams have.
        *rules = json!([]);
    }
    let callbacks = ["on_publish", "on_play"];
    for name in callbacks {
        if probe.get(name).is_some_and(|c| c.get("url").is_none()) {
            probe[name] = Value::Null;
        }
    }
    let config: StreamConfig = typed(&probe)?;
    check(&config)
}

/// All templates, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Templates(BTreeMap<String, Arc<Template>>);

impl Templates {
    /// These and one more, or another one of its name.
    pub(crate) fn with(&self, template: Template) -> Self {
        let mut all = self.clone();
        all.0.insert(template.name.clone(), Arc::new(template));
        all
    }

    pub(crate) fn without(&self, name: &str) -> Self {
        let mut all = self.clone();
        all.0.remove(name);
        all
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Template>> {
        self.0.get(name)
    }

    /// The template that a stream names, if it names one.
    pub(super) fn of(&self, stream: &Value) -> Result<Option<&Template>, Problem> {
        let Some(name) = stream.get("template").and_then(Value::as_str) else {
            return Ok(None);
        };
        let found = self.get(name).map(AsRef::as_ref).map(Some);
        let why = "there is no such template";
        found.ok_or_else(|| Problem::invalid("template_unknown", "template", why))
    }

    /// The template that makes a stream of this name when an encoder brings it.
    pub(crate) fn for_name(&self, name: &str) -> Option<&Arc<Template>> {
        let fitting = self.0.values().filter_map(|template| {
            let length = template.auto_publish.as_ref()?.fits(name)?;
            Some((length, template))
        });
        fitting.max_by_key(|(length, _)| *length).map(|(_, t)| t)
    }

    /// No two of them want the same names.
    pub(crate) fn check_prefixes(&self) -> Result<(), Problem> {
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        for template in self.0.values() {
            let prefixes = template.auto_publish.iter().flat_map(|a| &a.prefixes);
            for prefix in prefixes {
                if let Some(other) = taken.insert(prefix, &template.name) {
                    let why = format!("the templates {other} and {} have it", template.name);
                    return Err(Problem::invalid(
                        "prefix_taken",
                        "auto_publish.prefixes",
                        &why,
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(body: Value) -> Template {
        Template::accept(body, None).unwrap()
    }

    #[test]
    fn the_longest_prefix_makes_the_stream() {
        let auto = |name: &str, prefixes: &[&str]| {
            let inputs = json!([{"id": "main", "url": "publish://"}]);
            template(
                json!({"name": name, "inputs": inputs, "auto_publish": {"prefixes": prefixes}}),
            )
        };
        let all = Templates::default()
            .with(auto("all", &["sports"]))
            .with(auto("cup", &["sports/cup"]));
        let made_of = |name| all.for_name(name).map(|t| t.name().to_owned());
        assert_eq!(made_of("sports/final").as_deref(), Some("all"));
        assert_eq!(made_of("sports/cup/final").as_deref(), Some("cup"));
        assert_eq!((made_of("sports"), made_of("sportsx/a")), (None, None));
        let twice = all.with(auto("other", &["sports"]));
        assert_eq!(twice.check_prefixes().unwrap_err().code, "prefix_taken");
        let made = all.get("all").unwrap().stream("sports/final").unwrap();
        assert!(made.config().inputs[0].key.is_some(), "the template's");
    }

    #[test]
    fn a_template_may_be_a_part_and_no_more_than_that() {
        template(
            json!({"name": "part", "inputs": [{"id": "main", "priority": 3}], "hls": {"part_ms": 300}}),
        );
        for (body, code, field) in [
            (json!({"name": "a/b"}), "name_invalid", "name"),
            (
                json!({"name": "a", "template": "b"}),
                "unknown_field",
                "template",
            ),
            (json!({"name": "a", "nope": 1}), "unknown_field", "nope"),
            (
                json!({"name": "a", "hls": {"part_ms": 1}}),
                "out_of_range",
                "hls.part_ms",
            ),
            (
                json!({"name": "a", "auto_publish": {"prefixes": ["x"]}}),
                "invalid_field",
                "auto_publish",
            ),
            (
                json!({"name": "a", "auto_publish": {"prefixes": ["live"]}}),
                "prefix_invalid",
                "auto_publish.prefixes[0]",
            ),
            (
                json!({"name": "a", "auto_publish": {}}),
                "invalid_field",
                "auto_publish",
            ),
            (
                json!({"name": "a", "auto_publish": {"prefixes": ["x"]}, "inputs": [{"id": "m"}]}),
                "invalid_field",
                "inputs[0]",
            ),
        ] {
            let p = Template::accept(body, None).unwrap_err();
            assert_eq!(
                (p.code.as_str(), p.field.unwrap_or_default().as_str()),
                (code, field)
            );
        }
    }
}
