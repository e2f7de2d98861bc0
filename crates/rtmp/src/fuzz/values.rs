//! What commands hold: values, addresses.

use crate::amf::{self, Value};
use crate::capabilities::Capabilities;
use crate::metadata::Metadata;
use crate::target::Target;
use crate::url::Url;

/// The values of a command or a data message.
pub fn amf0(data: &[u8]) {
    let Ok(values) = amf::read(data) else {
        return;
    };
    let again = amf::read(&amf::write(&values));
    let again = again.expect("what is written is read");
    assert!(all_same(&values, &again), "{values:?}\n{again:?}");
    if let Some(metadata) = Metadata::read(&values) {
        assert!(metadata.members.len() <= 64);
    }
    for value in &values {
        if let Value::Object(members) = value {
            let _ = Capabilities::read(members);
        }
    }
}

fn all_same(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

/// Equal, with numbers that are none equal to themselves.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.to_bits() == b.to_bits(),
        (Value::StrictArray(a), Value::StrictArray(b)) => all_same(a, b),
        (Value::Object(a), Value::Object(b)) => {
            let known = |(name, value)| b.get(name).is_some_and(|other| same(value, other));
            a.len() == b.len() && a.iter().all(known)
        }
        (a, b) => a == b,
    }
}

/// Addresses with queries: an application and a stream, a line each.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (app, stream) = text.split_once('\n').unwrap_or(("live", text));
    let target = Target::new(app, stream);
    if target.app.is_empty() {
        return;
    }
    let mut address = format!("{}?", escaped(&target.name));
    for (name, value) in [("key", &target.key), ("input", &target.input)] {
        if let Some(value) = value {
            address.push_str(&format!("{name}={}&", escaped(value)));
        }
    }
    let mut again = Target::new(&target.app, &address);
    // Written in our way, it says the same.
    again.query.clone_from(&target.query);
    assert_eq!(again, target);
}

fn escaped(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

/// Addresses of streams elsewhere.
pub fn url(data: &[u8]) {
    // Written again it is a little longer, and addresses are bounded; the word below is to be ours.
    if data.len() > 2_000 || data.windows(6).any(|w| w == b"g3h3im") {
        return;
    }
    let Some(url) = std::str::from_utf8(data)
        .ok()
        .and_then(|t| t.parse::<Url>().ok())
    else {
        return;
    };
    assert!(!url.host().is_empty() && url.port() != 0);
    let keyed = Url::keyed(url.application().as_str(), "g3h3im").expect("an application");
    assert_eq!((keyed.app(), keyed.stream()), (url.app(), "g3h3im"));
    assert!(!format!("{keyed} {keyed:?}").contains("g3h3im"));
    // An application of two parts says itself where the stream begins.
    let slash = if url.app().contains('/') { "/" } else { "//" };
    let again = format!("{}{slash}{}", url.application(), url.stream());
    let colon = url
        .stream()
        .split('/')
        .next()
        .is_some_and(|s| s.contains(':'));
    if !colon {
        assert_eq!(again.parse(), Ok(url));
    }
}
