//! A stream's definition: from what a client sent to what is kept, and to what holds with its
//! template.

use serde_json::{Value, json};

use super::check::check;
use super::edit::typed;
use super::overlay::{overlay, without_nulls};
use super::srt::SECRETS;
use super::{StreamConfig, Template, Templates, secrets};
use crate::api::Problem;
use crate::secret;

/// Members that the server adds to what it shows; on write they are ignored.
const READ_ONLY: [&str; 7] = [
    "effective",
    "runtime",
    "source",
    "urls",
    "version",
    "created_ms",
    "updated_ms",
];

/// A stream as it was written, and what holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    written: Value,
    config: StreamConfig,
}

impl Definition {
    /// The configuration in a request's body, checked. Secrets that are to be kept come from
    /// `current`.
    pub(crate) fn accept(
        mut body: Value,
        current: Option<&Self>,
        templates: &Templates,
    ) -> Result<Self, Problem> {
        trim(&mut body)?;
        secrets::keep(&mut body, current.map(|c| &c.written))?;
        let template = templates.of(&body)?;
        if template.is_none() {
            without_nulls(&mut body);
            // So that who reads it need not look whether it is there.
            if body.get("inputs").is_none() {
                body["inputs"] = json!([]);
            }
        }
        let base = template.map(Template::base);
        let known = current.map(|c| &c.written);
        give_keys(&mut body, base, known);
        let config = resolved(&body, base, secrets::resolve)?;
        Ok(Self {
            written: body,
            config,
        })
    }

    /// What was kept.
    ///
    /// # Errors
    /// What does not hold with the templates as they are now.
    pub(crate) fn read(text: &str, templates: &Templates) -> Result<Self, Problem> {
        Self::again(parse(text)?, templates)
    }

    /// The same with other templates.
    pub(crate) fn with(&self, templates: &Templates) -> Result<Self, Problem> {
        Self::again(self.written.clone(), templates)
    }

    fn again(written: Value, templates: &Templates) -> Result<Self, Problem> {
        let template = templates.of(&written)?;
        let closing = |document: &mut Value| {
            secrets::resolve_or_close(document);
            Ok(())
        };
        let config = resolved(&written, template.map(Template::base), closing)?;
        Ok(Self { written, config })
    }

    /// What holds.
    pub(crate) const fn config(&self) -> &StreamConfig {
        &self.config
    }

    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// As it is kept.
    pub(crate) fn text(&self) -> String {
        self.written.to_string()
    }

    /// As it is shown: keys only to those who ask and may.
    pub(crate) fn shown(&self, reveal: bool) -> Value {
        shown(self.written.clone(), reveal)
    }

    /// What holds, with every default written out.
    pub(crate) fn effective(&self, reveal: bool) -> Value {
        shown(json!(self.config.effective()), reveal)
    }
}

/// What was kept, as it was written.
pub(super) fn parse(text: &str) -> Result<Value, Problem> {
    let bad = |error: serde_json::Error| Problem::invalid("bad_json", "", &error.to_string());
    serde_json::from_str(text).map_err(bad)
}

pub(super) fn shown(mut value: Value, reveal: bool) -> Value {
    if !reveal {
        secrets::hide(&mut value);
    }
    value
}

/// A JSON object without what the server adds.
pub(super) fn trim(body: &mut Value) -> Result<(), Problem> {
    let members = body
        .as_object_mut()
        .ok_or_else(|| Problem::not_an_object(""))?;
    for name in READ_ONLY {
        members.remove(name);
    }
    Ok(())
}

fn input<'a>(document: Option<&'a Value>, id: &Value) -> Option<&'a Value> {
    let inputs = document?.get("inputs")?.as_array()?;
    inputs.iter().find(|input| input.get("id") == Some(id))
}

/// Where a key is absent: the one of the template, or the one it has, or a random one.
pub(super) fn give_keys(body: &mut Value, base: Option<&Value>, known: Option<&Value>) {
    let inputs = body.get_mut("inputs").and_then(Value::as_array_mut);
    for given in inputs.into_iter().flatten() {
        let id = given.get("id").cloned().unwrap_or_default();
        let inherited = input(base, &id);
        let url = given.get("url").or_else(|| inherited?.get("url"));
        let pushed = url.is_some_and(|url| url == "publish://");
        let has = given.get("key").or_else(|| inherited?.get("key"));
        if !pushed || has.is_some() {
            continue;
        }
        let kept = input(known, &id)
            .and_then(|input| input.get("key"))
            .cloned();
        if let Some(members) = given.as_object_mut() {
            members.insert(
                "key".to_owned(),
                kept.unwrap_or_else(|| json!(secret::random())),
            );
        }
    }
}

/// What holds of what is written, over what the template has.
fn resolved(
    written: &Value,
    base: Option<&Value>,
    resolve: impl FnOnce(&mut Value) -> Result<(), Problem>,
) -> Result<StreamConfig, Problem> {
    is_well_formed(written)?;
    let mut merged = match base {
        Some(base) => overlay(base, written),
        None => written.clone(),
    };
    resolve(&mut merged).map_err(|p| located(p, written, &merged))?;
    let config: StreamConfig = typed(&merged).map_err(|p| located(p, written, &merged))?;
    check(&config)
        .and_then(|()| has_keys(&merged))
        .map_err(|p| located(p, written, &merged))?;
    Ok(config)
}

/// Every member is known, and what it should be. What a template may have need not be there, and
/// null may stand for it.
pub(super) fn is_well_formed(written: &Value) -> Result<(), Problem> {
    let mut probe = written.clone();
    let inputs = probe.get_mut("inputs").and_then(Value::as_array_mut);
    for input in inputs.into_iter().flatten() {
        for name in ["key", "url"] {
            plain(input.get_mut(name));
        }
        strip(input.get_mut("headers"));
        if let Some(members) = input.as_object_mut() {
            members.entry("url").or_insert_with(|| json!("publish://"));
        }
    }
    let pushes = probe.get_mut("push").and_then(Value::as_array_mut);
    for push in pushes.into_iter().flatten() {
        for name in ["key", "url"] {
            plain(push.get_mut(name));
        }
        if let Some(members) = push.as_object_mut() {
            members.entry("url").or_insert_with(|| json!("rtmp://"));
        }
    }
    if let Some(srt) = probe.get_mut("srt") {
        for name in SECRETS {
            plain(srt.get_mut(name));
        }
    }
    strip(probe.get_mut("labels"));
    for name in ["on_publish", "on_play"] {
        let Some(callback) = probe.get_mut(name) else {
            continue;
        };
        for name in ["url", "secret"] {
            plain(callback.get_mut(name));
        }
        strip(callback.get_mut("headers"));
        if let Some(members) = callback.as_object_mut() {
            members.entry("url").or_insert_with(|| json!("http://h"));
        }
    }
    typed::<StreamConfig>(&probe).map(drop)
}

/// A variable of the environment stands for a text.
fn plain(value: Option<&mut Value>) {
    if let Some(value) = value
        && secrets::variable(value).is_some()
    {
        *value = json!("");
    }
}

fn strip(value: Option<&mut Value>) {
    let Some(members) = value.and_then(Value::as_object_mut) else {
        return;
    };
    members.retain(|_, value| !value.is_null());
    for value in members.values_mut() {
        plain(Some(value));
    }
}

/// What has no key is open, and that is said, not left out.
fn has_keys(merged: &Value) -> Result<(), Problem> {
    let inputs = merged.get("inputs").and_then(Value::as_array);
    for (i, input) in inputs.into_iter().flatten().enumerate() {
        if input.get("url") == Some(&json!("publish://")) && input.get("key").is_none() {
            let why = "the template had its key: give it one, or null";
            return Err(Problem::invalid(
                "key_invalid",
                &format!("inputs[{i}].key"),
                why,
            ));
        }
    }
    Ok(())
}

/// Where what is wrong stands in what was written, if it stands there.
fn located(mut problem: Problem, written: &Value, merged: &Value) -> Problem {
    let Some((list, at, rest)) = problem.field.as_deref().and_then(|field| {
        let (list, rest) = field.split_once('[')?;
        let list = ["inputs", "push"]
            .into_iter()
            .find(|known| *known == list)?;
        let (at, rest) = rest.split_once(']')?;
        Some((list, at.parse::<usize>().ok()?, rest.to_owned()))
    }) else {
        return problem;
    };
    let Some(id) = merged.pointer(&format!("/{list}/{at}/id")) else {
        return problem;
    };
    let entries = written.get(list).and_then(Value::as_array);
    // The last one, should two have the same id: it is the one too many.
    let own = entries.and_then(|all| all.iter().rposition(|entry| entry.get("id") == Some(id)));
    problem.field = Some(match own {
        Some(own) => format!("{list}[{own}]{rest}"),
        None => format!("template.{list}[{at}]{rest}"),
    });
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(body: Value, current: Option<&Definition>) -> Result<Definition, Problem> {
        Definition::accept(body, current, &Templates::default())
    }

    fn stream(inputs: &Value) -> Result<Definition, Problem> {
        accept(json!({"name": "news", "inputs": inputs}), None)
    }

    #[test]
    fn a_key_is_made_kept_opened_and_hidden() {
        let made = stream(&json!([{"id": "main", "url": "publish://"}])).unwrap();
        let key = made.config().inputs[0].key.clone().unwrap();
        assert_eq!(key.len(), 32);
        assert_eq!(made.shown(false)["inputs"][0]["key"], json!({"set": true}));
        assert_eq!(made.shown(true)["inputs"][0]["key"], json!(key));
        assert_eq!(accept(made.shown(false), Some(&made)).unwrap(), made);
        let open = stream(&json!([{"id": "main", "url": "publish://", "key": null}])).unwrap();
        assert_eq!(open.config().inputs[0].key, None);
        assert_eq!(accept(open.shown(false), Some(&open)).unwrap(), open);
    }

    fn sports() -> Templates {
        let base = json!({
            "name": "sports", "slate": {"url": "file://s.mp4"}, "hls": {"segment_ms": 4000},
            "inputs": [{"id": "main", "url": "publish://", "key": "k1"}],
        });
        let template = Template::accept(base, None).unwrap();
        Templates::default().with(template)
    }

    #[test]
    fn a_stream_has_what_its_template_has() {
        let body =
            json!({"name": "a", "template": "sports", "hls": {"part_ms": 400}, "slate": null});
        let made = Definition::accept(body.clone(), None, &sports()).unwrap();
        assert_eq!(made.shown(true), body, "as it was written");
        let config = made.config();
        let hls = config.hls.as_ref().unwrap();
        assert_eq!((hls.segment_ms, hls.part_ms), (Some(4_000), Some(400)));
        assert_eq!(
            (config.inputs[0].key.as_deref(), &config.slate),
            (Some("k1"), &None)
        );
        assert_eq!(
            made.effective(false)["inputs"][0]["key"],
            json!({"set": true})
        );
        assert_eq!(Definition::read(&made.text(), &sports()).unwrap(), made);
    }

    #[test]
    fn what_is_wrong_is_named_where_it_stands() {
        let refused = |more: Value| {
            let mut body = json!({"name": "a", "template": "sports"});
            super::super::merge(&mut body, &more);
            let p = Definition::accept(body, None, &sports()).unwrap_err();
            (p.code, p.field.unwrap_or_default())
        };
        for (more, code, field) in [
            (json!({"template": "nope"}), "template_unknown", "template"),
            (
                json!({"hls": {"part_ms": 2500}}),
                "out_of_range",
                "hls.part_ms",
            ),
            (
                json!({"inputs": [{"id": "x", "url": "srt://x"}]}),
                "url_invalid",
                "inputs[0].url",
            ),
            (
                json!({"inputs": [{"id": "x"}]}),
                "invalid_field",
                "inputs[0]",
            ),
            (json!({"push": [{"id": "own"}]}), "invalid_field", "push[0]"),
            (
                json!({"push": [{"id": "own", "url": "rtmp://h/app"}]}),
                "push_url_invalid",
                "push[0].url",
            ),
            (
                json!({"push": [{"id": "own", "url": "rtmp://h/a/b", "rendition": "720p"}]}),
                "rendition_unknown",
                "push[0].rendition",
            ),
            (
                json!({"inputs": [{"id": "main"}, {"id": "main", "url": "publish://"}]}),
                "id_taken",
                "inputs[1].id",
            ),
        ] {
            assert_eq!(refused(more), (code.to_owned(), field.to_owned()));
        }
        let kept = json!({"name": "a", "inputs": [{"id": "m", "url": "publish://", "key": {"set": true}}]});
        let p = accept(kept, None).unwrap_err();
        assert_eq!(
            (p.code.as_str(), p.field.as_deref()),
            ("secret_missing", Some("inputs[0].key"))
        );
    }

    /// A template that loses an input leaves nobody's door open.
    #[test]
    fn a_key_that_went_with_the_template_is_missed() {
        let body = json!({"name": "a", "template": "sports", "inputs": [{"id": "main", "url": "publish://"}]});
        let made = Definition::accept(body, None, &sports()).unwrap();
        let bare = Template::accept(json!({"name": "sports"}), None).unwrap();
        let p = made.with(&sports().with(bare)).unwrap_err();
        assert_eq!(
            (p.code.as_str(), p.field.as_deref()),
            ("key_invalid", Some("inputs[0].key"))
        );
    }

    #[test]
    fn refusals_name_the_field() {
        let refused = |body: Value| {
            let p = accept(body, None).unwrap_err();
            (p.code, p.field.unwrap_or_default())
        };
        for (body, code, field) in [
            (json!({"name": "api/x"}), "name_reserved", "name"),
            (json!({"name": "x/whip"}), "name_reserved", "name"),
            (json!({"name": "a//b"}), "name_invalid", "name"),
            (json!({"name": "a", "nope": 1}), "unknown_field", "nope"),
            (
                json!({"name": "a", "failover": {"rules": [{"when": "cc_errors", "ignore": true}]}}),
                "invalid_field",
                "failover.rules[0].when",
            ),
            (
                json!({"name": "a", "failover": {"rules": [{"when": "silent"}]}}),
                "invalid_field",
                "failover.rules[0].after_ms",
            ),
            (
                json!({"name": "a", "failover": {"rules": [{"when": "silent", "after_ms": 50}]}}),
                "out_of_range",
                "failover.rules[0].after_ms",
            ),
            (
                json!({"name": "a", "failover": {"rules": [{"when": "frozen", "input": "x", "ignore": true}]}}),
                "input_unknown",
                "failover.rules[0].input",
            ),
            (
                json!({"name": "a", "hls": [500, 100]}),
                "not_an_object",
                "hls",
            ),
            (
                json!({"name": "a", "inputs": [["m", "publish://"]]}),
                "not_an_object",
                "inputs[0]",
            ),
            (
                json!({"name": "a", "hls": {"part_ms": 50}}),
                "out_of_range",
                "hls.part_ms",
            ),
            (
                json!({"name": "a", "hls": {"window_s": 8}, "dash": {"latency_ms": 6_001}}),
                "out_of_range",
                "dash.latency_ms",
            ),
            (
                json!({"name": "a", "dash": {"latency_ms": 999}}),
                "out_of_range",
                "dash.latency_ms",
            ),
            (
                json!({"name": "a", "inputs": [{"id": "m", "url": "udp://x:1"}]}),
                "input_scheme_unsupported",
                "inputs[0].url",
            ),
            (
                json!({"name": "a", "inputs": [{"id": "m", "url": "publish://"}, {"id": "m", "url": "publish://"}]}),
                "id_taken",
                "inputs[1].id",
            ),
        ] {
            assert_eq!(refused(body), (code.to_owned(), field.to_owned()));
        }
    }

    #[test]
    fn the_last_rule_that_fits_holds() {
        let inputs = json!([{"id": "a", "url": "file://a.ts"}, {"id": "b", "url": "file://b.ts"}]);
        let rules = json!([
            {"when": "silent", "after_ms": 800},
            {"when": "no_keyframe", "ignore": true},
            {"when": "silent", "input": "b", "after_ms": 5000},
            {"when": "damaged", "after_ms": 20000},
        ]);
        let config = json!({"name": "x", "inputs": inputs, "failover": {"rules": rules}});
        let config = accept(config, None).unwrap();
        let config = config.config();
        let all = config.tolerances();
        let silent = |id: &str| all[id].silent;
        let after = |ms| failover::Limit::After(media::Span::from_millis(ms));
        assert_eq!((silent("a"), silent("b")), (after(800), after(5_000)));
        assert_eq!(all["b"].no_keyframe, failover::Limit::Never);
        assert_eq!(all["a"].frozen, failover::Limit::Learned);
        assert_eq!(all["a"].damaged, after(20_000));
        assert_eq!(json!(config.effective())["failover"]["rules"], rules);
    }
}
