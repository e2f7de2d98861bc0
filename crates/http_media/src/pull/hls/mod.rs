//! HLS in: classic and low-latency playlists, MPEG-TS, fragmented MP4 and packed AAC.

mod crypt;
mod follow;
mod lane;
mod packed;
mod playlist;
mod reader;
mod taken;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

use std::sync::Arc;
use std::time::Duration;

use container::ingest::Stats;
use futures_util::future::try_join_all;
use hub::{EndReason, Publisher};
use media::{Span, TrackKind};
use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

use super::client::{Ask, Client};
use super::error::{Error, Place};
use super::play::{Pace, Player};
use super::source::Source;
pub(crate) use follow::Region;
use lane::{Lane, Shared, Sound};
use playlist::{Media, Multivariant, Playlist};
pub use taken::Played;

/// A pull of HLS.
#[derive(Debug, Clone)]
pub struct Pull {
    /// Where from.
    pub source: Source,
    /// Which variant of several.
    pub choice: Choice,
    /// Whether parts are followed where they are offered.
    pub low_latency: bool,
    /// What pulls of this source played before.
    pub played: Played,
}

impl Pull {
    /// The best variant, in parts where they are offered.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            source,
            choice: Choice::default(),
            low_latency: true,
            played: Played::default(),
        }
    }
}

/// Which variant of a multivariant playlist is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The one with the most bits.
    #[default]
    Highest,
    /// The one with the fewest.
    Lowest,
    /// The best of at most so many kilobits per second, or else the lowest.
    MaxKbps(u32),
}

/// Pulls until the playlist has ended, and all of it was played, at the pace of its timestamps
/// behind a buffer of one target duration; of one segment where reloads block; of three parts where
/// parts are followed; never of more than half a minute. Where the playlist tells dates, the broadcast tells its wall time.
/// Of a live playlist nothing is played that was `played` before.
///
/// # Errors
/// What ended it before: see [`Error`]. What was buffered has been played by then.
pub async fn pull(
    config: Pull,
    publisher: Publisher,
    stats: Arc<Stats>,
) -> Result<EndReason, Error> {
    let source = Arc::new(config.source);
    let shared = Shared {
        client: Arc::new(Client::new(Arc::clone(&source))),
        source,
        stats: Arc::clone(&stats),
        origin: Instant::now(),
    };
    let begun = Box::pin(begin(&shared.client, &shared.source, config.choice)).await?;
    let kinds = match begun.len() {
        1 => [None, None],
        _ => [Some(TrackKind::Video), Some(TrackKind::Audio)],
    };
    let (mut lanes, mut receivers) = (Vec::new(), Vec::new());
    let mut last = config.played.last();
    for ((start, only), taken) in begun.into_iter().zip(kinds).zip(&mut last) {
        let (sender, receiver) = mpsc::channel(1);
        let shared = shared.clone();
        let low_latency = config.low_latency;
        lanes.push(Lane::new(shared, sender, start, low_latency, only, taken));
        receivers.push(receiver);
    }
    let pace = lanes.first().map_or(Pace::File, Lane::pace);
    for lane in &mut lanes {
        lane.set_buffer(pace.buffer());
    }
    let both = lanes.len() > 1;
    let origin = shared.origin;
    let silence = Span::from(shared.source.timeouts.silence);
    let target = lanes.iter().map(Lane::target).max().unwrap_or_default();
    let silence = silence.max(target.times(3) + pace.buffer());
    let player = Player::new(publisher, stats, pace, origin, receivers).at_most(silence);
    let player = if both { player.both_kinds() } else { player };
    let fetching = Box::pin(try_join_all(lanes.into_iter().map(Lane::run)));
    let ended = Box::pin(player.play_while(fetching)).await;
    // Who is dropped before, or kicked, has not played what was buffered.
    if !matches!(ended, Ok(EndReason::Kicked)) {
        config.played.set(last);
    }
    ended
}

/// The playlist of one rendition as it was first loaded.
struct Start {
    /// What is asked for.
    url: Url,
    /// Where it was found.
    base: Url,
    media: Media,
    asked: Instant,
    sound: Option<Sound>,
}

/// Loads the playlists that are to be followed: the variant, and its sound where that is apart.
async fn begin(client: &Client, source: &Source, choice: Choice) -> Result<Vec<Start>, Error> {
    let url = source.url.clone();
    let asked = Instant::now();
    let (base, playlist) = load(client, source, url.clone(), Duration::ZERO).await?;
    match playlist {
        Playlist::Media(media) => Ok(vec![Start {
            url,
            base,
            media,
            asked,
            sound: None,
        }]),
        Playlist::Multivariant(playlist) => {
            let picked = pick(&base, &playlist, choice)?;
            let loads = picked.into_iter().map(|(url, sound)| async move {
                let asked = Instant::now();
                let loaded = load(client, source, url.clone(), Duration::ZERO).await?;
                match loaded {
                    (base, Playlist::Media(media)) => Ok(Start {
                        url,
                        base,
                        media,
                        asked,
                        sound,
                    }),
                    (base, Playlist::Multivariant(_)) => Err(Error::Playlist {
                        place: Place::of(&base),
                        what: "a multivariant playlist inside of another",
                    }),
                }
            });
            try_join_all(loads).await
        }
    }
}

fn pick(
    base: &Url,
    playlist: &Multivariant,
    choice: Choice,
) -> Result<Vec<(Url, Option<Sound>)>, Error> {
    let wrong = |what| Error::Playlist {
        place: Place::of(base),
        what,
    };
    let join = |uri: &str| base.join(uri).map_err(|_| wrong("an address that is none"));
    let (variant, sound) = playlist.pick(choice).ok_or_else(|| wrong("no variant"))?;
    let mut picked = vec![(join(&variant.uri)?, None)];
    if let Some((sound, uri)) = sound.and_then(|s| Some((s, s.uri.as_ref()?)))
        && variant.video
        && *uri != variant.uri
    {
        let told = Sound {
            name: sound.name.clone(),
            language: sound.language.clone(),
        };
        picked.push((join(uri)?, Some(told)));
    }
    Ok(picked)
}

/// Loads and reads a playlist; `extra` is how long the server may hold the answer back.
async fn load(
    client: &Client,
    source: &Source,
    url: Url,
    extra: Duration,
) -> Result<(Url, Playlist), Error> {
    let answer = client
        .get(Ask {
            url,
            range: None,
            limit: source.limits.playlist,
            extra,
            whole: Some(extra + source.timeouts.first_byte + source.timeouts.silence),
            gzip: true,
        })
        .await?;
    let text = String::from_utf8_lossy(&answer.body);
    let playlist = playlist::parse(&text).map_err(|what| Error::Playlist {
        place: Place::of(&answer.url),
        what,
    })?;
    Ok((answer.url, playlist))
}
