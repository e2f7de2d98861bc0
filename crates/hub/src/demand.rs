//! What readers ask of the writer. Demand flows up: a picture on request, a source pulled only
//! while somebody watches.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The sum of what all subscribers want.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Somebody subscribes.
    pub wanted: bool,
    /// How many times a random-access point was asked for.
    pub keyframes: u64,
}

/// Requests for random-access points closer together than this are one.
const KEYFRAME_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Board {
    sender: watch::Sender<Wanted>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            sender: watch::Sender::new(Wanted::default()),
        }
    }
}

impl Board {
    pub(crate) fn set_wanted(&self, wanted: bool) {
        self.sender
            .send_if_modified(|now| std::mem::replace(&mut now.wanted, wanted) != wanted);
    }

    pub(crate) fn ask_keyframe(&self) {
        self.sender.send_modify(|now| now.keyframes += 1);
    }

    pub(crate) fn watch(&self) -> Demand {
        Demand {
            receiver: self.sender.subscribe(),
            keyframes: 0,
            last: None,
        }
    }
}

/// A publisher's view of what is wanted: coalesced, and limited in rate.
#[derive(Debug)]
pub struct Demand {
    receiver: watch::Receiver<Wanted>,
    keyframes: u64,
    last: Option<Instant>,
}

impl Demand {
    /// What is wanted now.
    #[must_use]
    pub fn now(&self) -> Wanted {
        *self.receiver.borrow()
    }

    /// Waits until somebody, or nobody, wants the broadcast; tells which.
    pub async fn wanted(&mut self) -> bool {
        let was = self.receiver.borrow_and_update().wanted;
        let changed = self.receiver.wait_for(|now| now.wanted != was).await;
        changed.is_ok_and(|now| now.wanted)
    }

    /// Waits until a random-access point is asked for, at most twice a second. Requests made
    /// meanwhile are answered by the same one. Never returns once the broadcast is gone.
    pub async fn keyframe(&mut self) {
        let seen = self.keyframes;
        let Ok(now) = self
            .receiver
            .wait_for(|now| now.keyframes > seen)
            .await
            .map(|n| *n)
        else {
            return std::future::pending().await;
        };
        if let Some(last) = self.last {
            tokio::time::sleep_until(last + KEYFRAME_EVERY).await;
        }
        self.keyframes = self.receiver.borrow().keyframes.max(now.keyframes);
        self.last = Some(Instant::now());
    }
}
