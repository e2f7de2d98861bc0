//! Secrets in configurations: kept where they are written back as shown, hidden where they are
//! shown, taken from the environment where that is what is written.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::scheme::{redacted, redacted_path};
use super::srt::SECRETS;
use crate::api::Problem;
use crate::config::is_setting;
use crate::secret;

/// Where a secret stands.
struct Place {
    /// As problems name it: `inputs[0].key`.
    path: String,
    /// The same whatever order lists are in: `inputs/main/key`.
    identity: String,
    form: Form,
}

/// What of it may be seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nothing.
    Text,
    /// All but password and query.
    Url,
    /// The same, of where something is pushed to.
    Destination,
    /// Scheme and host: the path of a webhook is a secret with many.
    Webhook,
}

impl Form {
    fn shown(self, url: &str) -> String {
        match self {
            Self::Webhook => redacted_path(url),
            _ => redacted(url),
        }
    }

    /// Nobody's password, query or path is three asterisks.
    fn is_shown(self, url: &str) -> bool {
        let parts = url.contains(":***@") || url.contains("://***@") || url.ends_with("?***");
        match self {
            Self::Webhook => url.ends_with("/***"),
            Self::Url | Self::Destination => parts && redacted(url) == url,
            Self::Text => false,
        }
    }
}

type Visit<'a> = &'a mut dyn FnMut(&Place, &mut Value);

/// Every secret of a stream, a template or a hook that is written there.
fn each(document: &mut Value, visit: Visit<'_>) {
    // Of those, a hook alone has an address of its own.
    block(document, &Prefix::default(), Form::Webhook, visit);
    for name in ["on_publish", "on_play"] {
        if let Some(callback) = document.get_mut(name) {
            block(callback, &Prefix::of(name, name), Form::Webhook, visit);
        }
    }
    if let Some(srt) = document.get_mut("srt") {
        let prefix = Prefix::of("srt", "srt");
        for name in SECRETS {
            if let Some(found) = srt.get_mut(name) {
                visit(&prefix.place(name, Form::Text), found);
            }
        }
    }
    for (list, url) in [("inputs", Form::Url), ("push", Form::Destination)] {
        let entries = document.get_mut(list).and_then(Value::as_array_mut);
        for (i, entry) in entries.into_iter().flatten().enumerate() {
            let id = entry.get("id").and_then(Value::as_str).unwrap_or_default();
            let prefix = Prefix::of(&format!("{list}[{i}]"), &format!("{list}/{id}"));
            block(entry, &prefix, url, visit);
        }
    }
}

/// What its members are called with.
#[derive(Default)]
struct Prefix {
    path: String,
    identity: String,
}

impl Prefix {
    fn of(path: &str, identity: &str) -> Self {
        Self {
            path: format!("{path}."),
            identity: format!("{identity}/"),
        }
    }

    fn place(&self, name: &str, form: Form) -> Place {
        Place {
            path: format!("{}{name}", self.path),
            identity: format!("{}{name}", self.identity),
            form,
        }
    }
}

/// Whatever has them has them under the same names.
fn block(value: &mut Value, prefix: &Prefix, url: Form, visit: Visit<'_>) {
    for (name, form) in [("url", url), ("key", Form::Text), ("secret", Form::Text)] {
        if let Some(found) = value.get_mut(name) {
            visit(&prefix.place(name, form), found);
        }
    }
    let headers = value.get_mut("headers").and_then(Value::as_object_mut);
    for (name, found) in headers.into_iter().flatten() {
        visit(&prefix.place(&format!("headers.{name}"), Form::Text), found);
    }
}

/// Puts back what is written as it was shown.
///
/// # Errors
/// Every place where there is nothing to put back.
pub(super) fn keep(written: &mut Value, known: Option<&Value>) -> Result<(), Problem> {
    let mut kept = BTreeMap::new();
    if let Some(known) = known {
        each(&mut known.clone(), &mut |place, value| {
            kept.insert(place.identity.clone(), value.clone());
        });
    }
    let mut missing = Vec::new();
    each(written, &mut |place, value| {
        let known = kept.get(&place.identity);
        match known.filter(|known| stands_for(value, known, place.form)) {
            Some(known) => value.clone_from(known),
            None if is_shown(value, place.form) => missing.push(place.path.clone()),
            None => {}
        }
    });
    if missing.is_empty() {
        return Ok(());
    }
    Err(Problem::missing(&missing))
}

/// Whether what is written is what is shown of what is known.
fn stands_for(written: &Value, known: &Value, form: Form) -> bool {
    if form == Form::Text {
        return *written == json!({"set": true});
    }
    let both = written.as_str().zip(known.as_str());
    both.is_some_and(|(written, known)| form.shown(known) == written)
}

/// Whether it can only be what is shown of something.
fn is_shown(written: &Value, form: Form) -> bool {
    match written.as_str() {
        Some(url) => form.is_shown(url),
        None => form == Form::Text && *written == json!({"set": true}),
    }
}

/// What everybody who may read may see of it.
pub(super) fn hide(document: &mut Value) {
    each(document, &mut |place, value| match value {
        Value::String(url) if place.form != Form::Text => *url = place.form.shown(url),
        Value::String(_) => *value = json!({"set": true}),
        _ => {}
    });
}

/// Puts in what the environment has.
///
/// # Errors
/// The first variable that is not set, or that is a setting of the server.
pub(super) fn resolve(document: &mut Value) -> Result<(), Problem> {
    let mut wrong = None;
    fill_in(document, &mut |place, name| {
        let why = format!("the environment has no {name} for it");
        wrong.get_or_insert_with(|| Problem::invalid("secret_missing", &place.path, &why));
        None
    });
    wrong.map_or(Ok(()), Err)
}

/// The same where there is nobody to tell: what is missed is in the log, a key is one that nobody
/// knows, and a URL leads nowhere. The rest goes on.
pub(super) fn resolve_or_close(document: &mut Value) {
    fill_in(document, &mut |place, name| {
        let field = &place.path;
        tracing::error!(field, variable = name, "the environment has no such secret");
        Some(match place.form {
            Form::Text => secret::random(),
            Form::Destination => "rtmp://missing.invalid/from/environment".to_owned(),
            _ => "http://missing.invalid/from-environment.ts".to_owned(),
        })
    });
}

/// Every variable becomes what it holds, or what `missed` says, or stays.
fn fill_in(document: &mut Value, missed: &mut dyn FnMut(&Place, &str) -> Option<String>) {
    each(document, &mut |place, value| {
        let found = variable(value).and_then(|name| read(name).or_else(|| missed(place, name)));
        if let Some(found) = found {
            *value = json!(found);
        }
    });
}

/// The variable of the environment that stands for a secret.
pub(super) fn variable(value: &Value) -> Option<&str> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    members.get("env")?.as_str()
}

/// Settings of the server's own are nobody else's secrets.
fn read(name: &str) -> Option<String> {
    let found = std::env::var(name).ok();
    found.filter(|found| !found.is_empty() && !is_setting(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(mut document: Value) -> Value {
        hide(&mut document);
        document
    }

    #[test]
    fn what_is_shown_stands_for_what_was_written() {
        let written = json!({
            "inputs": [
                {"id": "a", "url": "http://u:p@h/x.ts?t=1", "headers": {"X": "geheim"}},
                {"id": "b", "url": "publish://", "key": "geheim"},
                {"id": "c", "url": {"env": "HOME"}, "key": null},
            ],
            "push": [
                {"id": "a", "url": "rtmp://u:geheim@h/app?t=geheim", "key": "geheim"},
                {"id": "b", "url": "srt://h:1?passphrase=geheimgeheim"},
            ],
            "on_play": {"url": "http://h/x?t=geheim", "secret": "geheim"},
        });
        let mut shown = hidden(written.clone());
        assert!(!shown.to_string().contains("geheim"), "{shown}");
        assert_eq!(shown["on_play"]["url"], "http://h/***");
        let mut moved = shown.clone();
        moved["inputs"][0]["url"] = json!("http://u:***@other/x.ts?***");
        assert_eq!(
            keep(&mut moved, Some(&written)).unwrap_err().code,
            "secret_missing"
        );
        let mut turned = shown.clone();
        turned["inputs"].as_array_mut().unwrap().reverse();
        keep(&mut turned, Some(&written)).unwrap();
        turned["inputs"].as_array_mut().unwrap().reverse();
        assert_eq!(turned, written);

        let missing = keep(&mut shown, None).unwrap_err();
        let paths: Vec<_> = missing.errors.iter().map(|e| e.field.as_str()).collect();
        let all = [
            "on_play.url",
            "on_play.secret",
            "inputs[0].url",
            "inputs[0].headers.X",
            "inputs[1].key",
            "push[0].url",
            "push[0].key",
            "push[1].url",
        ];
        assert_eq!(paths, all);
    }

    #[test]
    fn what_is_missed_later_closes_a_door_and_stops_nothing() {
        let missing = json!({"env": "WEIR_NO_SUCH_VARIABLE"});
        let mut document = json!({
            "inputs": [{"id": "a", "url": missing, "key": missing}],
            "push": [{"id": "a", "url": missing}],
        });
        resolve_or_close(&mut document);
        let input = &document["inputs"][0];
        assert_eq!(input["key"].as_str().unwrap().len(), 32);
        assert!(input["url"].as_str().unwrap().contains(".invalid/"));
        let push = document["push"][0]["url"].as_str().unwrap();
        assert!(crate::model::Destination::of(push, None).is_ok());
    }

    #[test]
    fn the_environment_is_asked() {
        let mut document = json!({"inputs": [{"id": "a", "key": {"env": "CARGO_PKG_NAME"}}]});
        resolve(&mut document).unwrap();
        assert_eq!(document["inputs"][0]["key"], "server");
        for name in ["WEIR_NO_SUCH_VARIABLE", "WEIR_AUTH__ADMIN_TOKEN"] {
            let mut document = json!({"secret": {"env": name}});
            let wrong = resolve(&mut document).unwrap_err();
            assert_eq!(
                (wrong.code.as_str(), wrong.field.as_deref()),
                ("secret_missing", Some("secret"))
            );
        }
    }
}
