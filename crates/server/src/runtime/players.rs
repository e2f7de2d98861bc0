//! Who plays one stream over a connection of its own: listed, counted by protocol, and told of.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::{AddAssign, Bound};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};

use hub::Sent;
use media::Span;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{clock, lock, millis};
use crate::events::{Event, Events};
use crate::secret;

/// Who is further behind than this goes on with the newest group.
pub(super) const MAX_LATENCY: Span = Span::from_secs(4);

/// What players connect by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    Rtmp,
    HttpTs,
    Srt,
}

/// Those who play one stream.
#[derive(Debug, Default)]
pub(crate) struct Players(Mutex<Seats>);

#[derive(Debug, Default)]
struct Seats {
    /// By the order that they came in.
    here: BTreeMap<u64, Arc<Player>>,
    came: u64,
    past: BTreeMap<Protocol, PlayFigures>,
}

/// One of them. Its counters are its own: a stream's are sums.
#[derive(Debug)]
pub(crate) struct Player {
    /// As events name its session.
    pub(crate) id: String,
    pub(crate) protocol: Protocol,
    pub(crate) address: IpAddr,
    pub(crate) agent: Option<String>,
    /// When it came, Unix milliseconds.
    pub(crate) since_ms: i64,
    pub(crate) sent: Arc<Sent>,
    /// What an SRT connection is like.
    pub(crate) link: Option<Arc<srt::Stats>>,
}

/// Counters of those who play by one protocol, at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct PlayFigures {
    pub(crate) now: u64,
    pub(crate) ever: u64,
    pub(crate) bytes: u64,
    pub(crate) skips: u64,
    pub(crate) skipped_frames: u64,
    /// Of SRT, by what became of them.
    pub(crate) packets: BTreeMap<&'static str, u64>,
}

/// One of them, as long as it plays; listeners to events are told.
#[derive(Debug)]
pub(super) struct Session {
    stream: String,
    events: Events,
    players: Arc<Players>,
    place: u64,
    player: Arc<Player>,
    began: Instant,
    /// How it ended; where nobody said, the server did.
    reason: String,
}

impl Protocol {
    /// As events, metrics and answers spell it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::HttpTs => "http_ts",
            Self::Srt => "srt",
        }
    }
}

impl Players {
    /// One more, who says who it is.
    pub(super) fn enter(
        self: &Arc<Self>,
        (stream, events): (&str, &Events),
        protocol: Protocol,
        (peer, agent): (SocketAddr, Option<&str>),
        link: Option<Arc<srt::Stats>>,
    ) -> Session {
        let player = Arc::new(Player {
            id: secret::random(),
            protocol,
            address: peer.ip().to_canonical(),
            agent: agent.map(ToOwned::to_owned),
            since_ms: clock::utc_ms(),
            sent: Arc::default(),
            link,
        });
        let told = Event::SessionOpened {
            session: player.id.clone(),
            protocol: protocol.name().to_owned(),
            address: player.address.to_string(),
            agent: player.agent.clone(),
        };
        let mut seats = self.seats();
        seats.came += 1;
        let place = seats.came;
        seats.here.insert(place, Arc::clone(&player));
        seats.past.entry(protocol).or_default().ever += 1;
        drop(seats);
        events.tell(stream, &told);
        Session {
            stream: stream.to_owned(),
            events: events.clone(),
            players: Arc::clone(self),
            place,
            player,
            began: Instant::now(),
            reason: "stopped".to_owned(),
        }
    }

    pub(crate) fn figures(&self, protocol: Protocol) -> PlayFigures {
        let seats = self.seats();
        let mut sum = seats.past.get(&protocol).cloned().unwrap_or_default();
        for player in seats.of(protocol) {
            sum += player;
            sum.now += 1;
        }
        sum
    }

    pub(crate) fn now(&self, protocol: Protocol) -> usize {
        self.seats().of(protocol).count()
    }

    /// Round trips to those who play over SRT, in microseconds, the shortest first.
    pub(crate) fn round_trips(&self) -> Vec<u64> {
        let seats = self.seats();
        let links = seats.here.values().filter_map(|p| p.link.as_ref());
        let all = links.map(|link| link.rtt_us.load(Relaxed));
        // Of who has just come none is known.
        let mut all: Vec<_> = all.filter(|rtt| *rtt > 0).collect();
        all.sort_unstable();
        all
    }

    /// Up to `limit` of them, in the order that they came in, behind a place, with their places.
    pub(crate) fn page(&self, after: u64, limit: usize) -> Vec<(u64, Arc<Player>)> {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let seats = self.seats();
        let page = seats.here.range(behind).take(limit);
        page.map(|(&place, player)| (place, Arc::clone(player)))
            .collect()
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        lock(&self.0)
    }
}

impl Seats {
    fn of(&self, protocol: Protocol) -> impl Iterator<Item = &Player> {
        let all = self.here.values().map(AsRef::as_ref);
        all.filter(move |player| player.protocol == protocol)
    }
}

impl AddAssign<&Player> for PlayFigures {
    fn add_assign(&mut self, player: &Player) {
        self.bytes += player.sent.bytes.load(Relaxed);
        self.skips += player.sent.skips.load(Relaxed);
        self.skipped_frames += player.sent.skipped_frames.load(Relaxed);
        for (name, packets) in player.link.iter().flat_map(|link| link.sent_packets()) {
            *self.packets.entry(name).or_default() += packets;
        }
    }
}

impl Session {
    /// Where what it is sent counts.
    pub(super) fn sent(&self) -> &Arc<Sent> {
        &self.player.sent
    }

    /// It has ended, well or with an error's kind and its words.
    pub(super) fn tell(mut self, ended: Result<impl std::fmt::Debug, (String, String)>) {
        match ended {
            Ok(gone) => {
                tracing::info!(?gone, "playing ended");
                self.ends(&format!("{gone:?}").to_lowercase());
            }
            Err((kind, error)) => {
                tracing::info!(%error, "playing failed");
                self.ends(&kind);
            }
        }
    }

    /// What will be said of its end.
    pub(super) fn ends(&mut self, reason: &str) {
        reason.clone_into(&mut self.reason);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut seats = self.players.seats();
        seats.here.remove(&self.place);
        *seats.past.entry(self.player.protocol).or_default() += &*self.player;
        drop(seats);
        let told = Event::SessionClosed {
            session: self.player.id.clone(),
            protocol: self.player.protocol.name().to_owned(),
            address: self.player.address.to_string(),
            duration_ms: millis(self.began.elapsed()),
            reason: std::mem::take(&mut self.reason),
        };
        self.events.tell(&self.stream, &told);
    }
}
