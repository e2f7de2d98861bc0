//! MPEG-TS in one endless body.

use std::sync::Arc;

use container::ingest::Stats;
use container::ts;
use hub::{EndReason, Publisher};
use media::Span;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::client::{Ask, Body, Client};
use super::error::{Error, Place};
use super::merge::Batch;
use super::play::{Pace, Player, since};
use super::source::Source;

/// The longest that a stream may take to tell what it carries.
const TABLES: Span = Span::from_secs(5);

/// A pull of MPEG-TS over HTTP.
#[derive(Debug, Clone)]
pub struct Pull {
    /// Where from.
    pub source: Source,
    /// How long media waits, so that what the way did to its pace is undone.
    pub buffer: Span,
    /// The programme's number; the first one where none is given.
    pub programme: Option<u16>,
}

impl Pull {
    /// A fifth of a second.
    #[must_use]
    pub const fn new(source: Source) -> Self {
        Self {
            source,
            buffer: Span::from_millis(200),
            programme: None,
        }
    }
}

/// Pulls until the body ends and all of it was played. A body whose length is told is a file,
/// which goes by the pace of its timestamps alone.
///
/// # Errors
/// What ended it before: see [`Error`].
pub async fn pull(
    config: Pull,
    publisher: Publisher,
    stats: Arc<Stats>,
) -> Result<EndReason, Error> {
    let client = Client::new(Arc::new(config.source.clone()));
    let body = Box::pin(client.open(Ask {
        url: config.source.url.clone(),
        range: None,
        limit: usize::MAX,
        extra: std::time::Duration::ZERO,
        whole: None,
        gzip: false,
    }))
    .await?;
    let origin = Instant::now();
    let (sender, receiver) = mpsc::channel(16);
    let pace = if body.length().is_some() {
        Pace::File
    } else {
        Pace::Stream(config.buffer)
    };
    let lanes = vec![receiver];
    let silence = TABLES.max(config.source.timeouts.silence.into()) + config.buffer;
    let player = Player::new(publisher, Arc::clone(&stats), pace, origin, lanes).at_most(silence);
    let demux = ts::Demux::of_programme(config.programme);
    let reading = Box::pin(read((body, demux), sender, stats, origin));
    Box::pin(player.play_while(reading)).await
}

async fn read(
    (mut body, mut demux): (Body, ts::Demux),
    sender: mpsc::Sender<Batch>,
    stats: Arc<Stats>,
    origin: Instant,
) -> Result<(), Error> {
    /// What comes before the first track of something that is a transport stream.
    const BLIND: usize = 4 << 20;
    let (mut blind, mut seen) = (0, false);
    loop {
        let chunk = body.chunk().await?;
        let mut items = Vec::new();
        let ended = chunk.is_none();
        match chunk {
            Some(chunk) => {
                stats.read(chunk.len());
                blind += chunk.len();
                demux.push(chunk, &mut items);
            }
            None => demux.flush(&mut items),
        }
        demux.counters().tell(&stats);
        seen |= !items.is_empty();
        if !seen && (blind > BLIND || ended) {
            return Err(Error::Unsupported {
                place: Place::of(body.url()),
                what: "no MPEG transport stream, or none with known media".to_owned(),
            });
        }
        if !items.is_empty() {
            let batch = Batch {
                items,
                region: (0, 0),
                arrived: since(origin),
                utc: None,
                edge: false,
            };
            if sender.send(batch).await.is_err() {
                return Ok(());
            }
        }
        if ended {
            return Ok(());
        }
    }
}
