//! `onMetaData`: what an encoder says of itself.

use std::collections::BTreeMap;

use crate::amf::Value;

/// What an encoder said, as it said it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    /// Every plain member, numbers and flags written out.
    pub members: BTreeMap<String, String>,
    /// Whether it announces pictures.
    pub video: bool,
    /// Whether it announces sound.
    pub audio: bool,
}

/// An encoder has about twenty members to tell.
const MEMBERS: usize = 64;
const LENGTH: usize = 256;

impl Metadata {
    /// From the values of a data message; `None` where it is another one.
    pub(crate) fn read(values: &[Value]) -> Option<Self> {
        let mut values = values.iter().peekable();
        let is = |v: &&&Value, name: &str| matches!(v, Value::Utf8String(s) if s == name);
        values.next_if(|v| is(&v, "@setDataFrame"));
        values.next_if(|v| is(&v, "onMetaData"))?;
        let Some(Value::Object(members)) = values.next() else {
            return None;
        };
        let has = |name: &str| members.contains_key(name);
        // In order, so that of too many always the same are kept.
        let mut sorted: Vec<_> = members.iter().collect();
        sorted.sort_by_key(|(name, _)| *name);
        Some(Self {
            video: has("videocodecid") || has("width"),
            audio: has("audiocodecid") || has("audiosamplerate"),
            members: sorted.into_iter().filter_map(plain).take(MEMBERS).collect(),
        })
    }
}

fn plain((name, value): (&String, &Value)) -> Option<(String, String)> {
    let text = match value {
        Value::Number(n) => n.to_string(),
        Value::Boolean(b) => b.to_string(),
        Value::Utf8String(s) => s.chars().take(LENGTH).collect(),
        _ => return None,
    };
    Some((name.chars().take(LENGTH).collect(), text))
}
