//! What a stream has of its template: objects member by member, inputs and pushes by id, the rest
//! whole.

use serde_json::{Map, Value};

/// Lays what a stream writes over what its template has. Null takes away.
pub(super) fn overlay(base: &Value, over: &Value) -> Value {
    let mut merged = base.clone();
    lay(&mut merged, over);
    without_nulls(&mut merged);
    merged
}

fn lay(base: &mut Value, over: &Value) {
    let (Value::Object(base), Value::Object(over)) = (&mut *base, over) else {
        base.clone_from(over);
        return;
    };
    for (name, value) in over {
        let below = base.entry(name.clone()).or_insert(Value::Null);
        match (name.as_str(), &mut *below, value) {
            ("inputs" | "push", Value::Array(below), Value::Array(over)) => {
                lay_by_id(below, over);
            }
            _ => lay(below, value),
        }
    }
}

/// Those of the template first, in its order. A second one of the same id is one too many, which is
/// for others to say.
fn lay_by_id(base: &mut Vec<Value>, over: &[Value]) {
    let inherited = base.len();
    for (i, item) in over.iter().enumerate() {
        let is_same = |other: &Value| other.get("id") == item.get("id");
        let below = base[..inherited].iter_mut().find(|below| is_same(below));
        match below.filter(|_| !over[..i].iter().any(is_same)) {
            Some(below) => lay(below, item),
            None => base.push(item.clone()),
        }
    }
}

/// A null that has done its work goes; a key that is null is one.
pub(super) fn without_nulls(document: &mut Value) {
    let Some(members) = document.as_object_mut() else {
        return;
    };
    prune(members, false);
    for (list, has_key) in [("inputs", true), ("push", false)] {
        let entries = members.get_mut(list).and_then(Value::as_array_mut);
        let entries = entries.into_iter().flatten();
        for members in entries.filter_map(Value::as_object_mut) {
            prune(members, has_key);
        }
    }
}

fn prune(members: &mut Map<String, Value>, has_key: bool) {
    members.retain(|name, value| !value.is_null() || (has_key && name == "key"));
    for value in members.values_mut() {
        if let Some(members) = value.as_object_mut() {
            prune(members, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_and_inputs_are_laid_over_those_of_the_template() {
        let base = json!({
            "labels": {"tenant": "a", "tier": "1"}, "slate": {"url": "file://s.mp4"}, "hls": {"part_ms": 100},
            "inputs": [{"id": "main", "url": "publish://", "key": "k"}, {"id": "spare", "url": "file://a.ts"}],
            "push": [{"id": "cdn", "url": "rtmp://h/a", "key": "k"}],
        });
        let over = json!({
            "labels": {"tier": null, "own": "1"}, "slate": null, "hls": {"segment_ms": 4000},
            "push": [{"id": "own", "url": "srt://h:1"}, {"id": "cdn", "key": null, "enabled": false}],
            "inputs": [{"id": "own", "url": "file://b.ts"}, {"id": "spare", "enabled": false}, {"id": "main", "key": null}],
        });
        let merged = json!({
            "labels": {"tenant": "a", "own": "1"}, "hls": {"part_ms": 100, "segment_ms": 4000},
            "push": [
                {"id": "cdn", "url": "rtmp://h/a", "enabled": false},
                {"id": "own", "url": "srt://h:1"},
            ],
            "inputs": [
                {"id": "main", "url": "publish://", "key": null},
                {"id": "spare", "url": "file://a.ts", "enabled": false},
                {"id": "own", "url": "file://b.ts"},
            ],
        });
        assert_eq!(overlay(&base, &over), merged);
    }
}
