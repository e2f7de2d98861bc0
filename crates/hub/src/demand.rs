//! What readers ask of the writer. Demand flows up: a picture on request, a source pulled only
//! while somebody watches.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The sum of what all subscribers want.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Somebody wants the broadcast.
    pub wanted: bool,
    /// Somebody asked for a random-access point, and none has come since.
    pub keyframe: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Asks {
    readers: u64,
    keyframe: bool,
}

/// Requests for random-access points go up no closer together than this.
const KEYFRAME_EVERY: Duration = Duration::from_millis(500);

/// Where readers write what they want. A watch holds the last word only: requests coalesce.
#[derive(Debug)]
pub(crate) struct Board {
    sender: watch::Sender<Asks>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            sender: watch::Sender::new(Asks::default()),
        }
    }
}

impl Board {
    pub(crate) fn want(&self) {
        self.sender.send_if_modified(|asks| {
            asks.readers += 1;
            asks.readers == 1
        });
    }

    pub(crate) fn release(&self) {
        self.sender.send_if_modified(|asks| {
            asks.readers -= 1;
            asks.readers == 0
        });
    }

    pub(crate) fn ask_keyframe(&self) {
        self.sender
            .send_if_modified(|asks| !std::mem::replace(&mut asks.keyframe, true));
    }

    /// A group opened: whoever asked has what he asked for.
    pub(crate) fn answer_keyframe(&self) {
        if self.sender.borrow().keyframe {
            self.sender
                .send_if_modified(|asks| std::mem::take(&mut asks.keyframe));
        }
    }

    pub(crate) fn watch(&self) -> Demand {
        Demand {
            receiver: self.sender.subscribe(),
            told: false,
            asked: None,
        }
    }
}

/// A publisher's view of what is wanted: coalesced, and limited in rate. Both waits may be
/// cancelled, and neither returns again once the broadcast is gone.
#[derive(Debug)]
pub struct Demand {
    receiver: watch::Receiver<Asks>,
    /// What [`Demand::wanted`] told last.
    told: bool,
    asked: Option<Instant>,
}

impl Demand {
    /// What is wanted now.
    #[must_use]
    pub fn now(&self) -> Wanted {
        let asks = *self.receiver.borrow();
        Wanted {
            wanted: asks.readers > 0,
            keyframe: asks.keyframe,
        }
    }

    /// Waits until the broadcast is wanted, then until it is not, and so on: returns when the
    /// answer is another than the one told last, which at first is `false`.
    pub async fn wanted(&mut self) -> bool {
        let told = self.told;
        self.until(|asks| (asks.readers > 0) != told).await;
        self.told = !told;
        self.told
    }

    /// Waits until a random-access point is asked for. At most one request in 500 ms comes through;
    /// one that no group has answered by then comes again.
    pub async fn keyframe(&mut self) {
        loop {
            self.until(|asks| asks.keyframe).await;
            let due = self.asked.map(|at| at + KEYFRAME_EVERY);
            match due.filter(|due| *due > Instant::now()) {
                Some(due) => sleep_until(due).await,
                None => break,
            }
        }
        self.asked = Some(Instant::now());
    }

    async fn until(&mut self, met: impl Fn(&Asks) -> bool) {
        if self.receiver.wait_for(|asks| met(asks)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
