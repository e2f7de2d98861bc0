//! Bodies of requests: as types, and as patches of what is there.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::api::Problem;

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
        Some(field) => Err(Problem::not_an_object(&field)),
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

/// RFC 7396. Forms of a secret are no objects with members to merge: one stands for the other.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let patch = match patch {
        Value::Object(members) if !is_kept(target) && !is_kept(patch) => members,
        _ => {
            target.clone_from(patch);
            return;
        }
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

/// A secret that is there, as it is shown. Nothing else has a member of that name and value.
fn is_kept(value: &Value) -> bool {
    *value == json!({"set": true})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_removes_with_null() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "d": 3});
        merge(&mut target, &json!({"a": {"b": null, "e": 4}, "d": [1]}));
        assert_eq!(target, json!({"a": {"c": 2, "e": 4}, "d": [1]}));
    }

    #[test]
    fn one_form_of_a_secret_takes_the_place_of_another() {
        let (kept, env) = (json!({"set": true}), json!({"env": "WEIR_KEY"}));
        for (from, to) in [(&kept, &env), (&env, &kept), (&kept, &kept)] {
            let mut target = json!({"key": from, "id": "main"});
            merge(&mut target, &json!({"key": to}));
            assert_eq!(target, json!({"key": to, "id": "main"}));
        }
        let mut labels = json!({"labels": {"env": "prod"}});
        merge(&mut labels, &json!({"labels": {"set": "3"}}));
        assert_eq!(labels, json!({"labels": {"env": "prod", "set": "3"}}));
    }
}
