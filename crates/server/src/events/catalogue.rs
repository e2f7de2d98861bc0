//! What can happen: every type of event with what it tells. Payloads hold nothing secret.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An event: its type, and what there is to say about it (version 1 of each).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub(crate) enum Event {
    /// The server is up.
    #[serde(rename = "server.started")]
    ServerStarted { version: String, streams: usize },
    /// The server was told to stop.
    #[serde(rename = "server.stopping")]
    ServerStopping {},
    /// The database does not take what it is given. Events wait meanwhile.
    #[serde(rename = "database.degraded")]
    DatabaseDegraded {},
    /// The database takes what it is given again.
    #[serde(rename = "database.recovered")]
    DatabaseRecovered { after_ms: u64 },
    /// The certificate in use ends soon: told 14, 7, 3 and 1 days before, and when it has ended.
    #[serde(rename = "certificate.expiring")]
    CertificateExpiring { expires_ms: i64, days: i64 },
    /// Events that nobody will ever see: there were too many while the database was away or slow.
    #[serde(rename = "events.dropped")]
    EventsDropped { count: u64 },
    /// A whole configuration was applied.
    #[serde(rename = "config.applied")]
    ConfigApplied {
        created: usize,
        changed: usize,
        removed: usize,
    },
    /// A token of the API was made.
    #[serde(rename = "token.created")]
    TokenCreated {
        token: String,
        name: String,
        role: String,
    },
    /// A token of the API was removed.
    #[serde(rename = "token.deleted")]
    TokenDeleted { token: String },
    #[serde(rename = "template.created")]
    TemplateCreated { template: String },
    /// Its streams follow at once: `streams` of them changed.
    #[serde(rename = "template.updated")]
    TemplateUpdated { template: String, streams: usize },
    #[serde(rename = "template.deleted")]
    TemplateDeleted { template: String },
    #[serde(rename = "hook.created")]
    HookCreated { hook: String },
    #[serde(rename = "hook.updated")]
    HookUpdated { hook: String },
    #[serde(rename = "hook.deleted")]
    HookDeleted { hook: String },
    /// A hook's receiver failed five times in a row; it is tried again and again.
    #[serde(rename = "hook.failing")]
    HookFailing { hook: String, error: String },
    /// A hook's receiver takes events again.
    #[serde(rename = "hook.recovered")]
    HookRecovered { hook: String },
    /// Events that a hook's receiver refused for good, or did not take for too long.
    #[serde(rename = "hook.dead_letters")]
    HookDeadLetters {
        hook: String,
        count: u64,
        error: String,
    },
    /// Events that a hook will not deliver, because too many wait.
    #[serde(rename = "hook.dropped")]
    HookDropped { hook: String, count: u64 },
    /// Sent by the test call of a hook alone; it is kept nowhere, and its id is 0.
    #[serde(rename = "hook.test")]
    HookTest { hook: String },
    /// Players or connections were turned away of late, because there are as many as there may be.
    #[serde(rename = "viewers.limit_reached")]
    ViewersLimitReached {
        /// `http_connections`, `blocked_requests` or `rtmp_connections`.
        limit: String,
        refused: u64,
    },

    /// A stream was made; `enabled` ones start.
    #[serde(rename = "stream.created")]
    StreamCreated {
        enabled: bool,
        template: Option<String>,
    },
    /// Its configuration changed, by itself or with its template: these members of what holds.
    #[serde(rename = "stream.updated")]
    StreamUpdated { enabled: bool, changed: Vec<String> },
    #[serde(rename = "stream.deleted")]
    StreamDeleted {},
    /// It takes encoders and players from now on.
    #[serde(rename = "stream.started")]
    StreamStarted {},
    #[serde(rename = "stream.stopped")]
    StreamStopped { reason: StopReason },
    #[serde(rename = "stream.restarted")]
    StreamRestarted {},
    /// A stream was made of a template because an encoder brought its name.
    #[serde(rename = "stream.runtime_created")]
    StreamRuntimeCreated { template: String, peer: String },
    /// Such a stream went: nobody published it for `idle_timeout_s`.
    #[serde(rename = "stream.runtime_expired")]
    StreamRuntimeExpired { template: String },
    /// Such a stream was made one that stays.
    #[serde(rename = "stream.promoted")]
    StreamPromoted { template: String },
    /// The programme is fed by another input, or by its first one.
    #[serde(rename = "stream.switched")]
    StreamSwitched {
        /// Counts the switches of a stream, from 1.
        number: u64,
        from: Option<String>,
        to: String,
        reason: String,
        /// Of free will, rather than because the one before failed.
        voluntary: bool,
        /// `equal`, `overlap`, `cached`, `next` or `clock`: how it was entered.
        class: String,
        /// From the last frame of the one before to the decision.
        detection_ms: i64,
        /// For how long nothing was written to the programme.
        wall_silence_ms: i64,
        /// Media of the new input that was there already and is replayed.
        replayed_ms: i64,
        lead_ms: i64,
        /// Whether a gap in programme time lies before it.
        gap: bool,
    },
    /// Playlists said that the stream has ended: there was no media for `hold_s`.
    #[serde(rename = "stream.ended")]
    StreamEnded { hold_s: u64 },
    /// No media: playlists stand still.
    #[serde(rename = "hold.started")]
    HoldStarted {},
    #[serde(rename = "hold.ended")]
    HoldEnded { after_ms: u64 },
    /// The slate is shown.
    #[serde(rename = "slate.started")]
    SlateStarted {},
    #[serde(rename = "slate.ended")]
    SlateEnded { after_ms: u64 },
    /// A worker was started for the ladder.
    #[serde(rename = "transcoder.started")]
    TranscoderStarted {},
    /// A worker ended that had lived for so long; the next one is started at once, or later where
    /// they fail as soon as they start. `reason` is one of start, exit, signal, stall, failed and
    /// protocol.
    #[serde(rename = "transcoder.ended")]
    TranscoderEnded {
        reason: String,
        detail: String,
        lived_ms: u64,
        restart_after_ms: u64,
    },
    /// The programme runs as far ahead of UTC as it may: the next switch waits for a keyframe.
    #[serde(rename = "lead.limit_reached")]
    LeadLimitReached { lead_ms: i64, max_lead_ms: i64 },
    /// Segments are numbered anew from `first` on, with another duration.
    #[serde(rename = "numbering.changed")]
    NumberingChanged {
        first: u64,
        segment_ms: i64,
        target_duration_s: u32,
        /// Whether keyframe intervals are regular.
        regular: bool,
    },
    /// Segments that begin without a keyframe, because none came in time; in the last second.
    #[serde(rename = "segment.forced_cut")]
    SegmentForcedCut { count: u64 },

    /// An input is connected, by an encoder or by us; it may not deliver yet.
    #[serde(rename = "input.connected")]
    InputConnected {
        input: String,
        /// Who publishes; absent where it is pulled.
        peer: Option<String>,
    },
    /// A pull failed and will be tried again. Told when what fails changes, and once a minute.
    #[serde(rename = "input.reconnecting")]
    InputReconnecting {
        input: String,
        error: String,
        retry_in_ms: u64,
    },
    /// An input delivers, for the first time since it was configured.
    #[serde(rename = "input.up")]
    InputUp { input: String },
    /// An input delivers, but loses media again and again.
    #[serde(rename = "input.suspect")]
    InputSuspect { input: String, fault: String },
    /// An input does not deliver.
    #[serde(rename = "input.down")]
    InputDown { input: String, fault: String },
    /// An input delivers without fault again.
    #[serde(rename = "input.recovered")]
    InputRecovered {
        input: String,
        fault: String,
        after_ms: u64,
    },

    #[serde(rename = "publish.started")]
    PublishStarted {
        input: String,
        protocol: String,
        peer: String,
    },
    #[serde(rename = "publish.stopped")]
    PublishStopped {
        input: String,
        protocol: String,
        peer: String,
        reason: String,
        duration_ms: u64,
        bytes: u64,
    },
    /// A far end that the stream is pushed to takes media; it was the `attempt`th try since it last
    /// was well.
    #[serde(rename = "push.started")]
    PushStarted {
        push: String,
        protocol: String,
        attempt: u32,
    },
    #[serde(rename = "push.stopped")]
    PushStopped {
        push: String,
        reason: String,
        duration_ms: u64,
        bytes: u64,
    },
    /// A push was lost, or the far end cannot be reached; it will be tried again. Told when what fails
    /// changes, and once a minute.
    #[serde(rename = "push.failed")]
    PushFailed {
        push: String,
        error: String,
        retry_in_ms: u64,
    },
    /// The far end does not want it, and will be asked again; told like failures.
    #[serde(rename = "push.refused")]
    PushRefused {
        push: String,
        error: String,
        retry_in_ms: u64,
    },
    /// Publishers that were not let in. Of one address and reason it is told once in ten seconds,
    /// with how many there were since.
    #[serde(rename = "publish.refused")]
    PublishRefused {
        protocol: String,
        peer: String,
        reason: String,
        /// What a callback said.
        detail: Option<String>,
        count: u64,
    },
    /// Players that were not let in; told like publishers.
    #[serde(rename = "play.refused")]
    PlayRefused {
        protocol: String,
        peer: String,
        reason: String,
        detail: Option<String>,
        count: u64,
    },
    /// Somebody plays. An HTTP viewer is one (address, agent).
    #[serde(rename = "session.opened")]
    SessionOpened {
        session: String,
        protocol: String,
        address: String,
        agent: Option<String>,
    },
    /// An HTTP viewer has gone when nothing was asked for three target durations.
    #[serde(rename = "session.closed")]
    SessionClosed {
        session: String,
        protocol: String,
        address: String,
        duration_ms: u64,
        reason: String,
    },
}

/// Why a stream stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StopReason {
    /// It was switched off.
    Disabled,
    /// It was removed.
    Deleted,
    /// It was made of a template, and nobody published it any more.
    Expired,
}

/// All types.
pub(crate) const KINDS: [&str; 57] = [
    "server.started",
    "server.stopping",
    "database.degraded",
    "database.recovered",
    "certificate.expiring",
    "events.dropped",
    "config.applied",
    "token.created",
    "token.deleted",
    "template.created",
    "template.updated",
    "template.deleted",
    "hook.created",
    "hook.updated",
    "hook.deleted",
    "hook.failing",
    "hook.recovered",
    "hook.dead_letters",
    "hook.dropped",
    "hook.test",
    "viewers.limit_reached",
    "stream.created",
    "stream.updated",
    "stream.deleted",
    "stream.started",
    "stream.stopped",
    "stream.restarted",
    "stream.runtime_created",
    "stream.runtime_expired",
    "stream.promoted",
    "stream.switched",
    "stream.ended",
    "hold.started",
    "hold.ended",
    "slate.started",
    "slate.ended",
    "transcoder.started",
    "transcoder.ended",
    "lead.limit_reached",
    "numbering.changed",
    "segment.forced_cut",
    "input.connected",
    "input.reconnecting",
    "input.up",
    "input.suspect",
    "input.down",
    "input.recovered",
    "publish.started",
    "publish.stopped",
    "push.started",
    "push.stopped",
    "push.failed",
    "push.refused",
    "publish.refused",
    "play.refused",
    "session.opened",
    "session.closed",
];

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use utoipa::PartialSchema as _;

    use super::*;

    #[test]
    fn the_list_is_complete_and_each_type_is_described() {
        let schema = serde_json::json!(Event::schema());
        let variants = schema["oneOf"].as_array().unwrap();
        let types: Vec<_> = variants
            .iter()
            .map(|v| v["properties"]["type"]["enum"][0].as_str().unwrap())
            .collect();
        assert_eq!(types, KINDS);
        let page = include_str!("../../../../docs/events.md");
        for kind in KINDS {
            assert!(
                page.contains(&format!("| `{kind}` |")),
                "not in docs/events.md: {kind}"
            );
        }
        assert_ne!(schema, Value::Null);
    }
}
