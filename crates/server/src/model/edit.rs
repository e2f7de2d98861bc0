//! From what a client sent to what is kept, and back to what is shown.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::check::check;
use super::scheme::redacted;
use super::{Input, StreamConfig};
use crate::api::Problem;
use crate::secret;

/// Members that the server adds to what it shows; on write they are ignored.
const READ_ONLY: [&str; 6] = [
    "effective",
    "runtime",
    "urls",
    "version",
    "created_ms",
    "updated_ms",
];

/// The configuration in a request's body, checked. Keys that are to be kept come from `current`.
pub(crate) fn accept(
    mut body: Value,
    current: Option<&StreamConfig>,
) -> Result<StreamConfig, Problem> {
    let Some(members) = body.as_object_mut() else {
        return Err(Problem::invalid(
            "not_an_object",
            "",
            "a JSON object is expected",
        ));
    };
    for name in READ_ONLY {
        members.remove(name);
    }
    if let Some(Value::Array(inputs)) = members.get_mut("inputs") {
        for (i, input) in inputs.iter_mut().enumerate() {
            resolve(i, input, current)?;
        }
    }
    let config: StreamConfig = typed(&body)?;
    check(&config)?;
    Ok(config)
}

/// A body as what it should be, or which member of it is not.
pub(crate) fn typed<T: DeserializeOwned + Serialize>(body: &Value) -> Result<T, Problem> {
    let read: T = serde_path_to_error::deserialize(body).map_err(|e| {
        let why = e.inner().to_string();
        let code = if why.starts_with("unknown field") {
            "unknown_field"
        } else {
            "invalid_field"
        };
        Problem::invalid(code, &e.path().to_string(), &why)
    })?;
    match array_for_object(body, &json!(read), "") {
        None => Ok(read),
        Some(field) => {
            let why = "a JSON object is expected";
            Err(Problem::invalid("not_an_object", &field, why))
        }
    }
}

/// Where an array stands for an object: serde would take its items for the members in their order.
fn array_for_object(given: &Value, read: &Value, path: &str) -> Option<String> {
    match (given, read) {
        (Value::Array(_), Value::Object(_)) => Some(path.to_owned()),
        (Value::Object(given), Value::Object(read)) => given.iter().find_map(|(name, given)| {
            let dot = if path.is_empty() { "" } else { "." };
            array_for_object(given, read.get(name)?, &format!("{path}{dot}{name}"))
        }),
        (Value::Array(given), Value::Array(read)) => {
            let pairs = given.iter().zip(read).enumerate();
            pairs
                .map(|(i, (given, read))| array_for_object(given, read, &format!("{path}[{i}]")))
                .find_map(std::convert::identity)
        }
        _ => None,
    }
}

/// Puts back what an input keeps.
fn resolve(i: usize, input: &mut Value, current: Option<&StreamConfig>) -> Result<(), Problem> {
    let id = input.get("id").and_then(Value::as_str).unwrap_or_default();
    let known = current.and_then(|c| c.inputs.iter().find(|i| i.id == id));
    if let Some(known) = known {
        keep_secrets(input, known);
    }
    resolve_key(i, input, known)
}

/// What is written as it was shown is what it was.
fn keep_secrets(input: &mut Value, known: &Input) {
    if input.get("url").and_then(Value::as_str) == Some(&redacted(&known.url)) {
        input["url"] = json!(known.url);
    }
    let Some(Value::Object(headers)) = input.get_mut("headers") else {
        return;
    };
    for (name, value) in headers {
        let kept = known.headers.as_ref().and_then(|headers| headers.get(name));
        if let Some(kept) = kept.filter(|_| is_set(value)) {
            *value = json!(kept);
        }
    }
}

fn is_set(value: &Value) -> bool {
    *value == json!({"set": true})
}

/// Absent: the one it has, or a random one. `{"set": true}`: the one it has. Null: none.
fn resolve_key(i: usize, input: &mut Value, known: Option<&Input>) -> Result<(), Problem> {
    let Some(members) = input.as_object_mut() else {
        return Ok(());
    };
    let kept = known.map(|i| json!(i.key));
    let pushed = members.get("url") == Some(&json!("publish://"));
    let key = match members.get("key") {
        None if !pushed => Value::Null,
        None => kept.unwrap_or_else(|| json!(secret::random())),
        Some(given) if is_set(given) => kept.ok_or_else(|| {
            let why = "there is no key to keep";
            Problem::invalid("key_invalid", &format!("inputs[{i}].key"), why)
        })?,
        Some(key) => key.clone(),
    };
    members.insert("key".to_owned(), key);
    Ok(())
}

/// The configuration as it is shown: keys only to those who ask and may.
pub(crate) fn shown(config: &StreamConfig, reveal: bool) -> Value {
    let mut value = json!(config);
    let inputs = value.get_mut("inputs").and_then(Value::as_array_mut);
    for input in inputs.into_iter().flatten() {
        if let Some(key) = input.get_mut("key").filter(|k| !reveal && k.is_string()) {
            *key = json!({"set": true});
        }
        if reveal {
            continue;
        }
        if let Some(Value::String(url)) = input.get_mut("url") {
            *url = redacted(url);
        }
        let headers = input.get_mut("headers").and_then(Value::as_object_mut);
        for (_, value) in headers.into_iter().flatten() {
            *value = json!({"set": true});
        }
    }
    value
}

/// RFC 7396.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(members) = target.as_object_mut() else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(inputs: &Value) -> Result<StreamConfig, Problem> {
        accept(json!({"name": "news", "inputs": inputs}), None)
    }

    #[test]
    fn a_key_is_made_kept_opened_and_hidden() {
        let made = stream(&json!([{"id": "main", "url": "publish://"}])).unwrap();
        let key = made.inputs[0].key.clone().unwrap();
        assert_eq!(key.len(), 32);
        assert_eq!(
            shown(&made, false)["inputs"][0]["key"],
            json!({"set": true})
        );
        assert_eq!(shown(&made, true)["inputs"][0]["key"], json!(key));
        assert_eq!(accept(shown(&made, false), Some(&made)).unwrap(), made);
        let open = stream(&json!([{"id": "main", "url": "publish://", "key": null}])).unwrap();
        assert_eq!(open.inputs[0].key, None);
        assert_eq!(accept(shown(&open, false), Some(&open)).unwrap(), open);
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
                json!({"name": "a", "inputs": [{"id": "m", "url": "srt://x"}]}),
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
        let all = config.tolerances();
        let silent = |id: &str| all[id].silent;
        let after = |ms| failover::Limit::After(media::Span::from_millis(ms));
        assert_eq!((silent("a"), silent("b")), (after(800), after(5_000)));
        assert_eq!(all["b"].no_keyframe, failover::Limit::Never);
        assert_eq!(all["a"].frozen, failover::Limit::Learned);
        assert_eq!(all["a"].damaged, after(20_000));
        assert_eq!(json!(config.effective())["failover"]["rules"], rules);
    }

    #[test]
    fn merging_removes_with_null() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "d": 3});
        merge(&mut target, &json!({"a": {"b": null, "e": 4}, "d": [1]}));
        assert_eq!(target, json!({"a": {"c": 2, "e": 4}, "d": [1]}));
    }
}
