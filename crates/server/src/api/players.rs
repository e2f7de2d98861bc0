//! `/api/v1/streams/{name}/players`: who plays a stream over a connection of its own.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::change::running;
use super::extract::{Asked, Named, page_limit};
use super::streams::StreamPath;
use super::{Api, Problem};
use crate::runtime::{Player, Protocol};

/// Which of them.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// At most so many, 1..=1000; default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    #[serde(default)]
    cursor: u64,
}

/// Players, who came first first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlayerPage {
    items: Vec<PlayerView>,
    /// Pass it as `cursor` for the next page; null at the end.
    next: Option<u64>,
}

/// How one player is.
#[derive(Debug, Serialize, ToSchema)]
struct PlayerView {
    /// As `session.opened` and `session.closed` name it.
    session: String,
    protocol: Protocol,
    address: String,
    /// `User-Agent`, where its protocol has one.
    agent: Option<String>,
    /// Unix milliseconds when it came.
    since_ms: i64,
    /// Bytes that were sent.
    bytes: u64,
    /// Times that it was too slow and was sent the newest group next.
    skips: u64,
    /// Frames that it did not get by that.
    skipped_frames: u64,
    /// What its protocol counts: `srt_rtt_us`, `srt_lost_packets`, …
    counters: BTreeMap<&'static str, u64>,
}

/// Who plays a stream over RTMP, SRT or HTTP-TS. Those of HLS and DASH have no connection of their
/// own: `viewers` of `runtime` counts them.
#[utoipa::path(get, path = "/streams/{name}/players", operation_id = "list_players", tag = "streams",
    params(StreamPath, Wanted),
    responses((status = 200, body = PlayerPage), (status = 409, response = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    Named(StreamPath { name }): Named<StreamPath>,
    Asked(Wanted { limit, cursor }): Asked<Wanted>,
) -> Result<Json<PlayerPage>, Problem> {
    let limit = page_limit(limit)?;
    let stream = running(&api, &name).await?;
    // One more than wanted tells whether there is a next page.
    let mut page = stream.players().page(cursor, limit + 1);
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|&(place, _)| place);
    let items = page.iter().map(|(_, player)| PlayerView::from(&**player));
    Ok(Json(PlayerPage {
        items: items.collect(),
        next,
    }))
}

impl From<&Player> for PlayerView {
    fn from(player: &Player) -> Self {
        let link = player.link.as_ref();
        Self {
            session: player.id.clone(),
            protocol: player.protocol,
            address: player.address.to_string(),
            agent: player.agent.clone(),
            since_ms: player.since_ms,
            bytes: player.sent.bytes.load(Relaxed),
            skips: player.sent.skips.load(Relaxed),
            skipped_frames: player.sent.skipped_frames.load(Relaxed),
            counters: link.into_iter().flat_map(|link| link.sent()).collect(),
        }
    }
}
