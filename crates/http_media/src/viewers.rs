//! Who watches: an HTTP viewer is one (address, agent) seen of late.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

/// Beyond this many nobody is counted any more.
const MOST: usize = 100_000;
/// What is kept of an agent, in bytes.
const AGENT: usize = 128;

/// Somebody who watches over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// Tells one from the other.
    pub id: u64,
    /// Where it is.
    pub address: IpAddr,
    /// What it says it is; the first 128 bytes.
    pub agent: String,
    /// How long it has been there.
    pub age: Duration,
}

/// Who came and who went since somebody asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comings {
    /// They watch now.
    pub opened: Vec<Viewer>,
    /// They were not seen any more.
    pub closed: Vec<Viewer>,
}

#[derive(Debug, Default)]
pub(crate) struct Viewers {
    seen: Mutex<HashMap<u64, Seen>>,
}

#[derive(Debug)]
struct Seen {
    address: IpAddr,
    agent: Box<[u8]>,
    since: Instant,
    last: Instant,
    told: bool,
}

impl Seen {
    fn viewer(&self, id: u64) -> Viewer {
        Viewer {
            id,
            address: self.address,
            agent: String::from_utf8_lossy(&self.agent).into_owned(),
            age: self.last - self.since,
        }
    }
}

impl Viewers {
    pub(crate) fn note(&self, address: IpAddr, agent: &[u8], now: Instant) {
        let mut hasher = DefaultHasher::new();
        (address, agent).hash(&mut hasher);
        let viewer = hasher.finish();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen.get_mut(&viewer) {
            seen.last = now;
        } else if seen.len() < MOST {
            let agent = agent.get(..AGENT).unwrap_or(agent).into();
            let (since, last, told) = (now, now, false);
            let new = Seen {
                address,
                agent,
                since,
                last,
                told,
            };
            seen.insert(viewer, new);
        }
    }

    /// How many were seen within `window`.
    pub(crate) fn count(&self, window: Duration, now: Instant) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let present = |seen: &&Seen| now.duration_since(seen.last) <= window;
        seen.values().filter(present).count()
    }

    /// Who came since the last time, and who was not seen within `window`: they are forgotten.
    pub(crate) fn turn_over(&self, window: Duration, now: Instant) -> Comings {
        let mut comings = Comings::default();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|id, seen| {
            if !std::mem::replace(&mut seen.told, true) {
                comings.opened.push(seen.viewer(*id));
            }
            let present = now.duration_since(seen.last) <= window;
            if !present {
                comings.closed.push(seen.viewer(*id));
            }
            present
        });
        comings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_once_and_goes_once() {
        let (viewers, start) = (Viewers::default(), Instant::now());
        let (here, window) = (IpAddr::from([127, 0, 0, 1]), Duration::from_secs(6));
        for seconds in 0..4 {
            viewers.note(here, b"vlc", start + Duration::from_secs(seconds));
        }
        viewers.note(here, b"mpv", start);
        let mut first = viewers.turn_over(window, start);
        first.opened.sort_by(|a, b| a.agent.cmp(&b.agent));
        let agents: Vec<_> = first.opened.iter().map(|v| v.agent.as_str()).collect();
        assert_eq!((agents, first.closed.len()), (vec!["mpv", "vlc"], 0));
        let later = start + Duration::from_secs(7);
        let then = viewers.turn_over(window, later);
        assert_eq!((then.opened.len(), then.closed.len()), (0, 1));
        assert_eq!(
            (viewers.count(window, later), then.closed[0].agent.as_str()),
            (1, "mpv")
        );
        let last = viewers.turn_over(window, later + window);
        assert_eq!(last.closed[0].age, Duration::from_secs(3));
    }
}
