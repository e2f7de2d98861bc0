//! The programme of one stream: its orders, and what its task tells those who look.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use failover::{Board, Fault, InputId, NotFit, Observer, Order, Reason, Role, State, Switch};
use futures_util::FutureExt as _;
use hub::{Broadcast, Demand, Publisher};
use media::Span;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::{lock, millis, utc};
use crate::events::{Event, Events};
use crate::histogram::Histogram;
use crate::model::{SLATE, StreamConfig};

/// After a defect of ours, so that it does not spin.
const BREATH: Duration = Duration::from_secs(1);
const ORDERS: usize = 16;
/// Upper bounds in seconds: from a frame to what viewers wait for.
const BOUNDS: [f64; 10] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 30.0];

/// A stream's programme, as the rest of the server holds it.
#[derive(Debug, Clone)]
pub(crate) struct Programme {
    orders: mpsc::Sender<Order>,
    board: Arc<Board>,
    wanted: watch::Receiver<Arc<[InputId]>>,
    told: Arc<Told>,
}

/// What it counted.
#[derive(Debug)]
pub(crate) struct Told {
    defects: AtomicU64,
    /// By reason; a handful, so a list.
    switches: Mutex<Vec<(&'static str, u64)>>,
    /// By input and fault.
    faults: Mutex<Vec<(InputId, Fault, u64)>>,
    pub(crate) detection: Histogram,
    pub(crate) silence: Histogram,
}

impl Programme {
    /// Starts feeding the publisher; it goes on until what is returned is dropped.
    pub(super) fn start(
        config: &StreamConfig,
        publisher: Publisher,
        events: &Events,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let (orders, received) = mpsc::channel(ORDERS);
        let (wants, wanted) = watch::channel(Arc::from([]));
        let board = Arc::new(Board::default());
        let told = Arc::new(Told::new());
        let watchman = Watchman {
            stream: config.name.clone(),
            told: Arc::clone(&told),
            events: events.clone(),
            faults: BTreeMap::new(),
            slate: None,
        };
        let mut programme = failover::Programme::new(
            publisher,
            (config.policy(), config.bounds()),
            received,
            (Arc::clone(&board), wants),
            (utc, watchman),
        );
        let counted = Arc::clone(&told);
        let run = async move {
            while AssertUnwindSafe(programme.run())
                .catch_unwind()
                .await
                .is_err()
            {
                // A defect of ours costs this stream a moment, and nobody else anything.
                counted.defects.fetch_add(1, Relaxed);
                tokio::time::sleep(BREATH).await;
            }
        };
        (
            Self {
                orders,
                board,
                wanted,
                told,
            },
            run,
        )
    }

    /// Follows a changed configuration.
    pub(super) async fn configure(&self, config: &StreamConfig) {
        let inputs = config.used_inputs();
        let inputs = inputs.map(|input| (InputId::from(&*input.id), input.role()));
        let slate = config
            .slate
            .iter()
            .map(|_| (InputId::from(SLATE), Role::Slate));
        let inputs = inputs.chain(slate);
        self.order(Order::Inputs(inputs.collect())).await;
        self.order(Order::Tolerate(config.tolerances())).await;
        self.order(Order::Policy(config.policy())).await;
        self.order(Order::Bounds(config.bounds())).await;
    }

    /// An input is connected.
    pub(super) async fn feed(&self, input: &str, broadcast: Broadcast) {
        self.order(Order::Feed(input.into(), broadcast)).await;
    }

    /// An input was let go.
    pub(super) async fn lose(&self, input: &str) {
        self.order(Order::Lost(input.into())).await;
    }

    /// Whether anybody watches.
    async fn view(&self, viewed: bool) {
        self.order(Order::Viewed(viewed)).await;
    }

    /// Tells it of viewers as they come and go: those of the broadcast, and those over HTTP.
    pub(super) async fn follow_viewers(
        &self,
        mut demand: Demand,
        mut audience: watch::Receiver<bool>,
    ) {
        let (mut readers, mut told) = (false, false);
        loop {
            let viewed = readers || *audience.borrow_and_update();
            if viewed != told {
                self.view(viewed).await;
                told = viewed;
            }
            tokio::select! {
                wanted = demand.wanted() => readers = wanted,
                changed = audience.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }

    /// Holds the programme on an input, until it fails or [`Programme::release`].
    pub(crate) async fn switch(&self, input: &str) -> Result<(), NotFit> {
        let (answer, told) = oneshot::channel();
        self.order(Order::Switch(input.into(), answer)).await;
        told.await.unwrap_or(Err(NotFit::Unknown))
    }

    /// Ends that; tells whether there was something to end.
    pub(crate) async fn release(&self) -> bool {
        let (answer, told) = oneshot::channel();
        self.order(Order::Release(answer)).await;
        told.await.unwrap_or(false)
    }

    /// A programme that has ended takes none, and nobody waits for it.
    async fn order(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }

    pub(crate) fn state(&self) -> State {
        self.board.state()
    }

    pub(crate) fn lead(&self) -> Span {
        self.board.lead()
    }

    pub(crate) fn told(&self) -> &Told {
        &self.told
    }

    /// Which inputs shall be connected.
    pub(super) fn wanted(&self) -> watch::Receiver<Arc<[InputId]>> {
        self.wanted.clone()
    }
}

impl Told {
    fn new() -> Self {
        Self {
            defects: AtomicU64::new(0),
            switches: Mutex::default(),
            faults: Mutex::default(),
            detection: Histogram::new(&BOUNDS),
            silence: Histogram::new(&BOUNDS),
        }
    }

    /// Times that a defect of ours stopped it.
    pub(crate) fn defects(&self) -> u64 {
        self.defects.load(Relaxed)
    }

    /// How often it was switched, by reason.
    pub(crate) fn switches(&self) -> Vec<(&'static str, u64)> {
        lock(&self.switches).clone()
    }

    /// How often an input failed, by input and fault.
    pub(crate) fn faults(&self) -> Vec<(InputId, Fault, u64)> {
        lock(&self.faults).clone()
    }
}

struct Watchman {
    stream: String,
    told: Arc<Told>,
    events: Events,
    /// What each input is at fault with, and since when; one that never delivered has no entry.
    faults: BTreeMap<InputId, Option<(Fault, Instant)>>,
    /// Since when the slate is shown.
    slate: Option<Instant>,
}

impl Watchman {
    fn tell(&self, event: &Event) {
        self.events.tell(&self.stream, event);
    }

    fn tell_switch(&mut self, switch: &Switch) {
        self.tell(&Event::StreamSwitched {
            number: switch.number,
            from: switch.from.as_ref().map(ToString::to_string),
            to: switch.to.to_string(),
            reason: switch.reason.name().to_owned(),
            voluntary: switch.voluntary,
            class: switch.class.name().to_owned(),
            detection_ms: switch.detection.as_millis(),
            wall_silence_ms: switch.wall_silence.as_millis(),
            replayed_ms: switch.replayed.as_millis(),
            lead_ms: switch.lead.as_millis(),
            gap: switch.gap,
        });
        let shown = &*switch.to == SLATE;
        match self.slate.take() {
            None if shown => {
                self.slate = Some(Instant::now());
                self.tell(&Event::SlateStarted {});
            }
            Some(since) if !shown => {
                let after_ms = millis(since.elapsed());
                self.tell(&Event::SlateEnded { after_ms });
            }
            since => self.slate = since,
        }
    }

    fn tell_turn(&mut self, input: &InputId, fault: Option<Fault>) {
        let known = self.faults.get(input).copied();
        let name = input.to_string();
        let event = match (fault, known) {
            (None, None) => Event::InputUp { input: name },
            (None, Some(Some((fault, since)))) => Event::InputRecovered {
                input: name,
                fault: fault.name().to_owned(),
                after_ms: millis(since.elapsed()),
            },
            (None, Some(None)) => return,
            (Some(fault), _) => {
                let (input, delivers) = (name, fault.delivers());
                let fault = fault.name().to_owned();
                if delivers {
                    Event::InputSuspect { input, fault }
                } else {
                    Event::InputDown { input, fault }
                }
            }
        };
        // What is down for long is down since it first was.
        let since = known
            .flatten()
            .map_or_else(Instant::now, |(_, since)| since);
        self.faults
            .insert(Arc::clone(input), fault.map(|fault| (fault, since)));
        self.tell(&event);
    }
}

impl Observer for Watchman {
    fn switched(&mut self, switch: &Switch) {
        let reason = switch.reason.name();
        let mut switches = lock(&self.told.switches);
        match switches.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, n)) => *n += 1,
            None => switches.push((reason, 1)),
        }
        drop(switches);
        // Nobody waited for the first input of all, nor for one that was let go.
        let failed = !switch.voluntary && switch.reason != Reason::Available;
        if switch.from.is_some() && failed {
            self.told.detection.note(switch.detection);
            self.told.silence.note(switch.wall_silence);
        }
        tracing::info!(
            stream = self.stream,
            from = switch.from.as_deref(),
            to = &*switch.to,
            reason,
            class = switch.class.name(),
            detection_ms = switch.detection.as_millis(),
            silence_ms = switch.wall_silence.as_millis(),
            lead_ms = switch.lead.as_millis(),
            "switched"
        );
        self.tell_switch(switch);
    }

    fn turned(&mut self, input: &InputId, fault: Option<Fault>) {
        let Some(fault) = fault else {
            tracing::info!(stream = self.stream, input = &**input, "input delivers");
            self.tell_turn(input, None);
            return;
        };
        if fault == Fault::Absent {
            tracing::info!(stream = self.stream, input = &**input, "input let go");
            return;
        }
        let mut faults = lock(&self.told.faults);
        match faults
            .iter_mut()
            .find(|(i, f, _)| i == input && *f == fault)
        {
            Some((.., n)) => *n += 1,
            None => faults.push((Arc::clone(input), fault, 1)),
        }
        drop(faults);
        tracing::warn!(stream = self.stream, input = &**input, %fault, "input at fault");
        self.tell_turn(input, Some(fault));
    }
}
