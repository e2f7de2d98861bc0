//! Fuzz targets: what must hold whatever the API is sent. `crates/testkit/fuzz` runs them under an
//! engine, the tests below over the kept corpora.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

use crate::model::{Definition, HookDefinition, Template, Templates, check_name, merge};

/// Names of streams: what the grammar takes stands in every address as it is, or escaped.
pub fn name(data: &[u8]) {
    let Ok(name) = std::str::from_utf8(data) else {
        return;
    };
    if check_name(name).is_err() {
        return;
    }
    let escaped = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
    for written in [name, &escaped] {
        let address = format!("http://host:8080/{written}/index.m3u8?x=1");
        let uri: http::Uri = address.parse().expect("an address");
        let path = percent_decode_str(uri.path()).decode_utf8_lossy();
        assert_eq!(path, format!("/{name}/index.m3u8"));
        let target = rtmp::Target::new("live", written);
        assert_eq!((target.app.as_str(), target.name.as_str()), ("live", name));
    }
}

/// A stream's body, and behind a line feed a patch of it.
pub fn body(data: &[u8]) {
    let mut parts = data.splitn(2, |b| *b == b'\n');
    let mut json = || serde_json::from_slice::<Value>(parts.next()?).ok();
    let Some(body) = json() else {
        return;
    };
    template_and_hook(&body);
    let Ok(made) = accept(body, None) else {
        return;
    };
    holds(&made);
    let Some(patch) = json() else {
        return;
    };
    let mut patched = made.shown(false);
    merge(&mut patched, &patch);
    if let Ok(patched) = accept(patched, Some(&made)) {
        holds(&patched);
    }
}

/// The same body as a template, and as a hook: what is taken is kept, and hidden.
fn template_and_hook(body: &Value) {
    if let Ok(made) = Template::accept(body.clone(), None) {
        assert_eq!(Template::read(&made.text()).as_ref().ok(), Some(&made));
        let again = Template::accept(made.shown(false), Some(&made));
        assert_eq!(again.as_ref().ok(), Some(&made));
        // What one stream of it cannot be is refused, and nothing worse.
        let _ = made.stream("a/b");
    }
    if let Ok(made) = HookDefinition::accept(body.clone(), None) {
        assert_eq!(
            HookDefinition::read(&made.text()).as_ref().ok(),
            Some(&made)
        );
        let again = HookDefinition::accept(made.shown(false), Some(&made));
        assert_eq!(again.as_ref().ok(), Some(&made));
        let _ = made.hook().wants("a/b", "stream.created");
    }
}

fn accept(body: Value, current: Option<&Definition>) -> Result<Definition, crate::api::Problem> {
    Definition::accept(body, current, &Templates::default())
}

/// GET and PUT change nothing, nor does being kept; what is shown hides the keys.
fn holds(made: &Definition) {
    for reveal in [false, true] {
        let mut value = made.shown(reveal);
        value["effective"] = made.effective(reveal);
        assert_eq!(accept(value, Some(made)).as_ref().ok(), Some(made));
    }
    let shown = made.shown(false);
    let lists = ["inputs", "push"].map(|list| shown[list].as_array());
    for entry in lists.into_iter().flatten().flatten() {
        let key = &entry["key"];
        assert!(key.is_null() || key.get("env").is_some() || *key == json!({"set": true}));
    }
    let read = Definition::read(&made.text(), &Templates::default());
    assert_eq!(read.as_ref().ok(), Some(made));
    let effective = made.effective(true);
    assert!(accept(effective, None).is_ok(), "defaults are in range");
    let _ = made.config().packaging();
    let _ = made.config().ladder();
    let _ = made.config().patience();
}

#[cfg(test)]
mod tests {
    use testkit::fuzz::replay;

    #[test]
    fn kept_corpora() {
        replay("stream_name", super::name);
        replay("api_body", super::body);
    }
}
