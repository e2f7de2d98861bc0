//! Events as receivers get them.

use serde::Serialize;
use serde_json::{Value, json};
use store::EventRecord;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::Event;

/// The version of all payloads, until one of them changes in a way that breaks its readers.
const VERSION: u32 = 1;

/// An event that was committed: it is never lost, and never changes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Committed {
    /// Grows by one with each event of this server.
    pub(crate) id: i64,
    /// Version of the payload's shape.
    version: u32,
    /// When it happened, Unix milliseconds.
    pub(crate) time_ms: i64,
    /// Absent: it is about the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<String>,
    /// Counts the events of the stream, or of the server, from 1.
    pub(crate) seq: i64,
    #[serde(flatten)]
    #[schema(value_type = Event)]
    what: What,
}

/// Type and payload, as they were stored.
#[derive(Debug, Clone, Serialize)]
struct What {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

impl Committed {
    /// One that is kept nowhere.
    pub(crate) fn test(event: &Event, time_ms: i64) -> Self {
        let mut value = json!(event);
        Self {
            id: 0,
            version: VERSION,
            time_ms,
            stream: None,
            seq: 0,
            what: What {
                kind: value["type"].as_str().unwrap_or_default().to_owned(),
                data: value["data"].take(),
            },
        }
    }

    pub(crate) fn kind(&self) -> &str {
        &self.what.kind
    }

    /// As a CloudEvent (1.0, JSON): `source` names this database.
    pub(crate) fn cloud_event(&self, instance: &str) -> Value {
        let mut event = json!({
            "specversion": "1.0",
            "id": self.id.to_string(),
            "source": format!("/weir/{instance}"),
            "type": format!("weir.{}", self.kind()),
            "time": rfc3339(self.time_ms),
            "datacontenttype": "application/json",
            "dataschema": format!("/api/v1/openapi.json#/components/schemas/Event?version={VERSION}"),
            // https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/sequence.md
            "sequence": format!("{:020}", self.seq),
            "data": self.what.data,
        });
        if let Some(stream) = &self.stream {
            event["subject"] = json!(stream);
        }
        event
    }
}

impl From<EventRecord> for Committed {
    fn from(record: EventRecord) -> Self {
        Self {
            id: record.id,
            version: VERSION,
            time_ms: record.time_ms,
            stream: Some(record.stream).filter(|stream| !stream.is_empty()),
            seq: record.seq,
            what: What {
                kind: record.kind,
                data: serde_json::from_str(&record.data).unwrap_or_default(),
            },
        }
    }
}

/// In whole milliseconds.
pub(crate) fn rfc3339(time_ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(time_ms) * 1_000_000);
    let text = time.ok().and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_event_is_one() {
        let record = EventRecord {
            id: 7,
            stream: "a/news".to_owned(),
            seq: 3,
            kind: "input.up".to_owned(),
            time_ms: 1_700_000_000_123,
            data: r#"{"input":"main"}"#.to_owned(),
        };
        let event = Committed::from(record);
        let plain = json!({
            "id": 7, "version": 1, "time_ms": 1_700_000_000_123_i64, "stream": "a/news", "seq": 3,
            "type": "input.up", "data": {"input": "main"},
        });
        assert_eq!(json!(event), plain);
        let cloud = event.cloud_event("f00");
        assert_eq!(cloud["time"], "2023-11-14T22:13:20.123Z");
        assert_eq!(
            (&cloud["type"], &cloud["subject"]),
            (&json!("weir.input.up"), &json!("a/news"))
        );
        assert_eq!(cloud["source"], "/weir/f00");
    }
}
