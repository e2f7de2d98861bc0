//! Events on their way to the database: bounded, and nobody who tells of something waits.

use std::collections::VecDeque;
use std::sync::Mutex;

use store::NewEvent;
use tokio::sync::Notify;

use super::Event;
use crate::runtime::{lock, utc_ms};

/// Bytes that may wait, whatever their number.
const BYTES: usize = 32 << 20;
/// What players do fills at most this much of it, in quarters: the rest is for what matters more.
const SESSIONS: usize = 3;
/// What an event takes beside its payload.
const OVERHEAD: usize = 128;

#[derive(Debug)]
pub(super) struct Queue {
    most: usize,
    /// Whether players that come and go are told of.
    sessions: bool,
    waiting: Mutex<Waiting>,
    pub(super) filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<NewEvent>,
    bytes: usize,
    told: u64,
    dropped: u64,
    /// Of those, the ones that no event told of yet.
    untold: u64,
}

/// What the queue counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueFigures {
    pub(crate) waiting: usize,
    pub(crate) told: u64,
    pub(crate) dropped: u64,
}

impl Queue {
    pub(super) fn new(most: usize, sessions: bool) -> Self {
        Self {
            most,
            sessions,
            waiting: Mutex::default(),
            filled: Notify::new(),
        }
    }

    /// The oldest go where there is no room; what players do goes first.
    pub(super) fn push(&self, event: NewEvent) {
        let is_session = event.kind.starts_with("session.");
        if is_session && !self.sessions {
            return;
        }
        let mut waiting = lock(&self.waiting);
        waiting.told += 1;
        let full = self.most * SESSIONS / 4;
        if waiting.events.len() >= full && is_session {
            waiting.lose(1);
            return;
        }
        while waiting.events.len() >= self.most || waiting.bytes + size(&event) > BYTES {
            let Some(oldest) = waiting.events.pop_front() else {
                break;
            };
            waiting.bytes -= size(&oldest);
            waiting.lose(1);
        }
        waiting.bytes += size(&event);
        waiting.events.push_back(event);
        drop(waiting);
        self.filled.notify_one();
    }

    /// At most so many of the oldest. Where some were lost, that is told after them.
    pub(super) fn take(&self, most: usize) -> Vec<NewEvent> {
        let mut waiting = lock(&self.waiting);
        let taken = waiting.events.len().min(most);
        let mut taken: Vec<_> = waiting.events.drain(..taken).collect();
        waiting.bytes -= taken.iter().map(size).sum::<usize>();
        let count = std::mem::take(&mut waiting.untold);
        if count > 0 {
            taken.push(new("", &Event::EventsDropped { count }));
        }
        taken
    }

    /// Whether at most half of it is full.
    pub(super) fn has_room(&self) -> bool {
        lock(&self.waiting).events.len() <= self.most / 2
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.waiting).events.is_empty()
    }

    pub(super) fn figures(&self) -> QueueFigures {
        let waiting = lock(&self.waiting);
        QueueFigures {
            waiting: waiting.events.len(),
            told: waiting.told,
            dropped: waiting.dropped,
        }
    }
}

impl Waiting {
    const fn lose(&mut self, count: u64) {
        self.dropped += count;
        self.untold += count;
    }
}

fn size(event: &NewEvent) -> usize {
    OVERHEAD + event.stream.len() + event.kind.len() + event.data.len()
}

/// As the store takes it; no hook is named yet.
pub(super) fn new(stream: &str, event: &Event) -> NewEvent {
    let mut value = serde_json::json!(event);
    let kind = match value["type"].take() {
        serde_json::Value::String(kind) => kind,
        _ => String::new(),
    };
    NewEvent {
        stream: stream.to_owned(),
        kind,
        time_ms: utc_ms(),
        data: value["data"].to_string(),
        hooks: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(input: &str) -> NewEvent {
        let input = input.to_owned();
        new("news", &Event::InputUp { input })
    }

    #[test]
    fn the_oldest_go_and_that_is_told() {
        let queue = Queue::new(4, true);
        for n in 0..6 {
            queue.push(up(&n.to_string()));
        }
        let taken = queue.take(10);
        let told: Vec<_> = taken.iter().map(|e| e.data.as_str()).collect();
        let kept = [2, 3, 4, 5].map(|n| format!("{{\"input\":\"{n}\"}}"));
        assert_eq!(told[..4], kept);
        assert_eq!(
            (taken[4].kind.as_str(), told[4]),
            ("events.dropped", "{\"count\":2}")
        );
        assert_eq!(queue.figures().dropped, 2);
        assert!(queue.take(10).is_empty(), "it is told once");
    }

    #[test]
    fn players_make_room() {
        let queue = Queue::new(4, true);
        let closed = || {
            new(
                "news",
                &Event::SessionClosed {
                    session: String::new(),
                    protocol: String::new(),
                    address: String::new(),
                    duration_ms: 0,
                    reason: String::new(),
                },
            )
        };
        for _ in 0..5 {
            queue.push(closed());
        }
        queue.push(up("a"));
        let taken = queue.take(10);
        assert_eq!(taken.len(), 5, "{taken:?}");
        assert_eq!(
            (queue.figures().dropped, taken[3].kind.as_str()),
            (2, "input.up")
        );
    }

    #[test]
    fn bytes_are_bounded_too() {
        let queue = Queue::new(10_000, true);
        let long = "x".repeat(1 << 20);
        for _ in 0..40 {
            queue.push(up(&long));
        }
        assert_eq!(queue.figures().waiting, 31);
    }
}
