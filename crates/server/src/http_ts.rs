//! HTTP-TS: who is given the packets of which stream, and what the others are told.

use std::net::SocketAddr;

use axum::response::Response;
use http::{HeaderMap, Method, header};
use http_media::Refusal;
use http_media::mpegts::{self, Packets};

use crate::door::Reject;
use crate::runtime::{Manager, NotPlayed, Stream};

/// Answers a request for `/{name}/mpegts`; `?rung=` names one of a ladder.
pub(crate) async fn answer(
    manager: &Manager,
    name: &str,
    query: &str,
    (method, headers, peer): (&Method, &HeaderMap, SocketAddr),
) -> Response {
    let output = manager.outputs.get(name);
    let rung = query.split('&').find_map(|pair| pair.strip_prefix("rung="));
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    let stream = manager.get(name);
    let seat = async |looks: bool| {
        let stream = stream.as_deref().ok_or(Refusal::UnknownStream)?;
        let seated = seat(stream, rung, (peer, agent, looks)).await;
        seated.map_err(refusal)
    };
    mpegts::answer(output.as_deref(), method, seat).await
}

async fn seat(
    stream: &Stream,
    rung: Option<&str>,
    (peer, agent, looks): (SocketAddr, Option<&str>, bool),
) -> Result<Option<Packets>, NotPlayed> {
    if looks {
        return stream.shows_ts(rung).await.map(|()| None);
    }
    stream.play_ts(rung, (peer, agent)).await.map(Some)
}

const fn refusal(why: NotPlayed) -> Refusal {
    match why {
        NotPlayed::Rejected(Reject::Unsupported) => Refusal::NotCarried,
        NotPlayed::Rejected(Reject::Disabled) => Refusal::UnknownStream,
        NotPlayed::Rejected(_) => Refusal::NotFound,
        NotPlayed::NotLive => Refusal::NotLive,
        NotPlayed::Stalled => Refusal::Stalled,
    }
}
