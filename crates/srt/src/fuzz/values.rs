//! Text: stream ids, and addresses of streams elsewhere.

use crate::target::{Mode, Target};
use crate::url::Url;

const SECRET: &str = "g3h3im-g3h3im";

/// Stream ids, in every form.
pub fn stream_id(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let target = Target::parse(text);
    assert!(!target.name.starts_with('/') && !target.name.ends_with('/'));
    let (standard, query) = (text.starts_with("#!::"), target.query());
    let mut pairs = query.split('&').filter_map(|p| p.split_once('='));
    if let Some(key) = target.key.as_deref().filter(|k| !k.contains('&')) {
        let is = |(name, value)| (name == "key" || name == "s" && standard) && value == key;
        assert!(pairs.any(is), "{text} lost its key: {query}");
    }
    standardly(&target);
    shortly(&target);
    let secret = Target::parse(&format!("publish:news:{SECRET}"));
    assert!(!format!("{secret:?}").contains(SECRET));
}

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Read => "request",
        Mode::Publish => "publish",
        Mode::Other => "bidirectional",
    }
}

/// Written in the standard's form it says the same.
fn standardly(target: &Target) {
    let mut text = format!("#!::r={},m={}", target.name, word(target.mode));
    for (name, value) in [("s", &target.key), ("input", &target.input)] {
        if let Some(value) = value {
            text.push_str(&format!(",{name}={value}"));
        }
    }
    let values = [&target.key, &target.input].into_iter().flatten();
    if !values.chain([&target.name]).any(|v| v.contains(',')) {
        is_same(&text, target);
    }
}

/// And in a short one.
fn shortly(target: &Target) {
    let mut text = format!("read:{}?mode={}", target.name, word(target.mode));
    for (name, value) in [("key", &target.key), ("input", &target.input)] {
        if let Some(value) = value {
            text.push_str(&format!("&{name}={value}"));
        }
    }
    let values = [&target.key, &target.input].into_iter().flatten();
    let cut = values.into_iter().any(|v| v.contains('&'));
    if !cut && !target.name.contains([':', '?']) {
        is_same(&text, target);
    }
}

fn is_same(text: &str, target: &Target) {
    let mut again = Target::parse(text);
    again.text.clone_from(&target.text);
    assert_eq!(again, *target, "{text}");
}

/// Addresses.
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(url) = text.parse::<Url>() else {
        return;
    };
    assert!(!url.host.is_empty() && url.port != 0 && url.stream_id.len() <= 512);
    let brackets = if url.host.contains(':') {
        ("[", "]")
    } else {
        ("", "")
    };
    let mut again = format!(
        "srt://{}{}{}:{}?",
        brackets.0, url.host, brackets.1, url.port
    );
    if !url.stream_id.is_empty() {
        again.push_str(&format!("streamid={}&", escaped(&url.stream_id)));
    }
    if let Some(latency) = url.latency {
        again.push_str(&format!("latency={}&", latency.as_millis()));
    }
    again.push_str(&format!("pbkeylen={}&", url.key_length.bytes()));
    // What was escaped may have become longer than an address may be.
    if again.len() > 1_900 {
        return;
    }
    let plain = Url {
        passphrase: None,
        ..url
    };
    assert_eq!(again.parse(), Ok(plain), "{again}");
    let secret = format!("{again}passphrase={SECRET}").parse::<Url>();
    let secret = secret.expect("an address with a passphrase");
    assert!(secret.passphrase.is_some() && !format!("{secret:?}").contains(SECRET));
}

fn escaped(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}
