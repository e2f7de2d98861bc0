//! What is sent of events: one, or a list of them.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::HeaderValue;
use serde_json::{Value, json};
use webhook::Item;

use crate::events::Committed;
use crate::model::{Format, Hook};

/// One event as the hook wants it.
pub(super) fn payload(hook: &Hook, event: &Committed, instance: &str) -> Bytes {
    let mut value = match hook.format() {
        Format::Weir => json!(event),
        Format::Cloudevents => event.cloud_event(instance),
    };
    let metadata = hook.metadata.iter().flatten();
    match hook.format() {
        Format::Weir if hook.metadata.is_some() => value["metadata"] = json!(hook.metadata),
        Format::Weir => {}
        // Attributes of their own, as the specification has it for extensions.
        Format::Cloudevents => {
            for (name, text) in metadata {
                value[name.as_str()] = Value::String(text.clone());
            }
        }
    }
    value.to_string().into()
}

/// The body of a request: where the hook takes several, a list, even of one.
pub(super) fn body(hook: &Hook, items: &[Item]) -> Bytes {
    if let ([one], 1) = (items, hook.batch()) {
        return one.payload.clone();
    }
    let length: usize = items.iter().map(|item| item.payload.len() + 1).sum();
    let mut body = BytesMut::with_capacity(length + 1);
    for (i, item) in items.iter().enumerate() {
        body.put_u8(if i == 0 { b'[' } else { b',' });
        body.put_slice(&item.payload);
    }
    body.put_u8(b']');
    body.freeze()
}

pub(super) fn content_type(hook: &Hook) -> HeaderValue {
    HeaderValue::from_static(match (hook.format(), hook.batch()) {
        (Format::Weir, _) => "application/json",
        (Format::Cloudevents, 1) => "application/cloudevents+json",
        (Format::Cloudevents, _) => "application/cloudevents-batch+json",
    })
}

/// The same however often it is sent.
pub(super) fn delivery_id(hook: &Hook, items: &[Item]) -> String {
    let id = |item: Option<&Item>| item.map_or(0, |item| item.id);
    let first = id(items.first());
    match items.len() {
        0 | 1 => format!("{}.{first}", hook.id),
        n => format!("{}.{first}-{}.{n}", hook.id, id(items.last())),
    }
}
