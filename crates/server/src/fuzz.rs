//! Fuzz targets: what must hold whatever the API is sent. `crates/testkit/fuzz` runs them under an
//! engine, the tests below over the kept corpora.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

use crate::model::{StreamConfig, accept, check_name, merge, shown};

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
    let Ok(config) = accept(body, None) else {
        return;
    };
    holds(&config);
    let Some(patch) = json() else {
        return;
    };
    let mut patched = shown(&config, false);
    merge(&mut patched, &patch);
    if let Ok(patched) = accept(patched, Some(&config)) {
        holds(&patched);
    }
}

/// GET and PUT change nothing, nor does being kept; what is shown hides the keys.
fn holds(config: &StreamConfig) {
    for reveal in [false, true] {
        let mut value = shown(config, reveal);
        value["effective"] = shown(&config.effective(), reveal);
        assert_eq!(accept(value, Some(config)).as_ref().ok(), Some(config));
    }
    for input in shown(config, false)["inputs"]
        .as_array()
        .into_iter()
        .flatten()
    {
        assert!(input["key"].is_null() || input["key"] == json!({"set": true}));
    }
    let kept = json!(config).to_string();
    let read: StreamConfig = serde_json::from_str(&kept).expect("what was kept");
    assert_eq!(&read, config);
    let effective = shown(&config.effective(), true);
    assert!(accept(effective, None).is_ok(), "defaults are in range");
    let _ = config.packaging();
    let _ = config.patience();
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
