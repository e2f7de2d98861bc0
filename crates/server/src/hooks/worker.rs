//! Delivers for one hook: reads what waits, sends what is due, writes what became of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use http::{HeaderValue, header};
use serde::Serialize;
use store::{Delivery, Store};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use webhook::{
    Answer, Batch, Config, Item, Lanes, Request, Room, Rotation, Settled, Sink, Verdict,
};

use super::body::{body, content_type, delivery_id, payload};
use super::outbox::{Outbox, most_dead};
use super::{Means, Tally};
use crate::events::{Committed, Event, Events, Seldom};
use crate::model::{Hook, Target};
use crate::runtime::{millis, utc_ms};
use crate::signed;

/// Requests at a time to one receiver.
const CONCURRENCY: usize = 4;
/// Events that are held to be sent, of all streams and of one.
const ROOM: Room = Room {
    items: 4_000,
    bytes: 8 << 20,
};
const LANE_ROOM: Room = Room {
    items: 1_000,
    bytes: 2 << 20,
};
const BATCH_BYTES: usize = 1 << 20;
/// Lines that are written at a time.
const LINES: usize = 500;
/// Deliveries that are read at a time.
const PAGE: u32 = 500;
/// How long what became of deliveries waits to be written.
const WRITE_AFTER: Duration = Duration::from_millis(50);
/// After a database that did not answer.
const BREATH: Duration = Duration::from_secs(1);
/// What is shown of an answer.
const SHOWN: usize = 1_024;
const AGENT: HeaderValue = HeaderValue::from_static(concat!("Weir/", env!("CARGO_PKG_VERSION")));

/// What a worker is asked for.
pub(super) enum Order {
    /// Send something of no meaning.
    Test(oneshot::Sender<Tested>),
    /// Read anew what waits, and say when it is counted.
    Reload(oneshot::Sender<()>),
}

/// What came of a test.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Tested {
    /// Whether the receiver took it.
    delivered: bool,
    /// What it answered.
    status: Option<u16>,
    /// The beginning of its body.
    body: Option<String>,
    /// Why there was no answer.
    error: Option<String>,
    took_ms: u64,
}

/// What came of a request.
struct Outcome {
    verdict: Verdict,
    status: Option<u16>,
    body: Option<String>,
    error: Option<String>,
}

enum Done {
    Batch(u64, Outcome),
    Test,
}

pub(super) struct Worker {
    hook: Arc<Hook>,
    store: Store,
    events: Events,
    means: Means,
    tally: Arc<Tally>,
    more: Arc<Notify>,
    lanes: Lanes,
    /// What was read so far.
    at: i64,
    /// Whether there may be more to read.
    behind: bool,
    outbox: Outbox,
    write_at: Option<Instant>,
    /// Nothing is asked of the database before.
    breath: Option<Instant>,
    sink: Arc<tokio::sync::Mutex<Option<Sink>>>,
    seldom: Seldom,
    /// Dead letters that no event told of yet.
    died: u64,
    /// Events that were dropped, and no event told of that yet.
    shed: u64,
}

impl Worker {
    pub(super) fn new(
        hook: Arc<Hook>,
        (store, events, means): (Store, Events, Means),
        (tally, more): (Arc<Tally>, Arc<Notify>),
    ) -> Self {
        let lanes = lanes(&hook);
        Self {
            hook,
            store,
            events,
            means,
            tally,
            more,
            lanes,
            at: 0,
            behind: true,
            outbox: Outbox::default(),
            write_at: None,
            breath: None,
            sink: Arc::default(),
            seldom: Seldom::default(),
            died: 0,
            shed: 0,
        }
    }

    /// Runs until `stop`. What was sent and not written by then is sent again one day.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>, stop: CancellationToken) {
        let mut under_way: FuturesUnordered<BoxFuture<'static, Done>> = FuturesUnordered::new();
        loop {
            self.read().await;
            while let Some(batch) = self.lanes.next(utc_ms()) {
                under_way.push(self.send(batch));
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = under_way.next() => self.settle(done),
                () = self.more.notified() => self.behind = true,
                order = orders.recv() => match order {
                    Some(Order::Test(answer)) => under_way.push(self.test(answer)),
                    Some(Order::Reload(done)) => {
                        // What is under way may arrive twice; its order does not change.
                        under_way.clear();
                        self.write().await;
                        self.lanes = lanes(&self.hook);
                        (self.at, self.behind) = (0, true);
                        self.count().await;
                        let _ = done.send(());
                    }
                    None => break,
                },
                () = until(self.write_at) => self.write().await,
                () = until(self.due()) => {}
            }
        }
        self.write().await;
    }

    /// When there may be something to send or to read.
    fn due(&self) -> Option<Instant> {
        let due = self.lanes.deadline(utc_ms()).map(|due_ms| {
            let wait = u64::try_from(due_ms - utc_ms()).unwrap_or(0);
            // Where it is due already something else is waited for.
            Instant::now() + Duration::from_millis(wait.max(1))
        });
        match (due, self.breath) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Reads what waits, as far as there is room.
    async fn read(&mut self) {
        if self.breath.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.breath = None;
        if self.read_all().await.is_err() {
            self.breath = Some(Instant::now() + BREATH);
        }
    }

    async fn read_all(&mut self) -> Result<(), store::Error> {
        self.shed().await?;
        while self.behind && self.lanes.room().items > 0 {
            let found = self.store.pending(&self.hook.id, self.at, PAGE).await?;
            self.behind = found.len() == PAGE as usize;
            for delivery in found {
                self.at = delivery.event.id;
                self.lanes.offer(self.item(delivery));
            }
        }
        while let Some(starved) = self.lanes.starved() {
            let items = u32::try_from(starved.items).unwrap_or(PAGE).min(PAGE);
            let (lane, after) = (Arc::clone(&starved.lane), starved.after);
            let found = self
                .store
                .pending_of(&self.hook.id, &lane, after, items)
                .await;
            let found = found.inspect_err(|_| self.lanes.refill(&lane, Vec::new(), true))?;
            let more = found.len() == items as usize;
            let items = found.into_iter().map(|delivery| self.item(delivery));
            let items = items.collect();
            self.lanes.refill(&lane, items, more);
        }
        Ok(())
    }

    /// The oldest go where there are too many.
    async fn shed(&mut self) -> Result<(), store::Error> {
        let over = self.tally.waiting().saturating_sub(self.hook.max_waiting());
        if over == 0 {
            return Ok(());
        }
        self.write_all().await?;
        let most = i64::try_from(over).unwrap_or(i64::MAX);
        let gone = self.store.shed(&self.hook.id, most).await?;
        // Some of them may be held here, or be under way.
        self.lanes.forget(&gone);
        let count = gone.len() as u64;
        self.tally.shed(count);
        self.shed += count;
        // Seldom: what is told may fill the queue of another hook, which tells of it in turn.
        if self.seldom.note("shed", Instant::now()).is_some() {
            let count = std::mem::take(&mut self.shed);
            let hook = self.hook.id.clone();
            tracing::warn!(hook, count, "too many events wait: the oldest were dropped");
            self.events.tell_all(&Event::HookDropped { hook, count });
        }
        Ok(())
    }

    fn item(&self, delivery: Delivery) -> Item {
        let attempts = u32::try_from(delivery.attempts).unwrap_or(u32::MAX);
        let (id, lane) = (delivery.event.id, delivery.event.stream.as_str().into());
        let event = Committed::from(delivery.event);
        Item {
            id,
            lane,
            attempts,
            first: delivery.first_ms,
            payload: payload(&self.hook, &event, &self.means.instance),
        }
    }

    fn send(&self, batch: Batch) -> BoxFuture<'static, Done> {
        let sending = self.deliver(batch.items);
        let id = batch.id;
        Box::pin(async move { Done::Batch(id, sending.await) })
    }

    /// One delivery, wherever it goes.
    fn deliver(&self, items: Vec<Item>) -> impl Future<Output = Outcome> + Send + 'static {
        let (hook, means) = (Arc::clone(&self.hook), self.means.clone());
        let sink = Arc::clone(&self.sink);
        async move {
            match hook.target() {
                Some(Target::Http(url)) => post(&hook, &means, url, &items).await,
                Some(Target::File(path)) => append(&hook, &means, &path, &sink, &items).await,
                None => Outcome::failed("not an address".to_owned()),
            }
        }
    }

    fn test(&self, answer: oneshot::Sender<Tested>) -> BoxFuture<'static, Done> {
        let hook = self.hook.id.clone();
        let event = Committed::test(&Event::HookTest { hook }, utc_ms());
        let item = Item {
            id: 0,
            lane: "".into(),
            attempts: 1,
            first: None,
            payload: payload(&self.hook, &event, &self.means.instance),
        };
        let sending = self.deliver(vec![item]);
        Box::pin(async move {
            let began = Instant::now();
            let outcome = sending.await;
            let _ = answer.send(Tested {
                delivered: outcome.verdict == Verdict::Taken,
                status: outcome.status,
                body: outcome.body,
                error: outcome.error,
                took_ms: millis(began.elapsed()),
            });
            Done::Test
        })
    }

    fn settle(&mut self, done: Done) {
        let Done::Batch(id, outcome) = done else {
            return;
        };
        let jitter = rand::random();
        let settled = self.lanes.settle(id, outcome.verdict, utc_ms(), jitter);
        let error = outcome.error.clone().unwrap_or_default();
        self.tally.answered(outcome.status, outcome.error);
        self.note(&settled, &error);
        self.outbox.add(&settled, &error);
        self.write_at
            .get_or_insert_with(|| Instant::now() + WRITE_AFTER);
    }

    /// Counts and tells what became of a batch.
    fn note(&mut self, settled: &Settled, error: &str) {
        let hook = &self.hook.id;
        if !settled.taken.is_empty() {
            self.tally.taken(settled.taken.len());
        }
        if !settled.dead.is_empty() {
            self.tally.died(settled.dead.len());
            self.died += settled.dead.len() as u64;
            tracing::warn!(hook, count = settled.dead.len(), error, "events given up");
            if self.seldom.note("dead", Instant::now()).is_some() {
                let count = std::mem::take(&mut self.died);
                let (hook, error) = (hook.clone(), error.to_owned());
                self.events
                    .tell_all(&Event::HookDeadLetters { hook, count, error });
            }
        }
        let failing = self.lanes.is_failing();
        if !self.tally.set_failing(failing) {
            return;
        }
        let hook = hook.clone();
        if failing {
            tracing::warn!(hook, error, "a hook's receiver fails");
            let error = error.to_owned();
            self.events.tell_all(&Event::HookFailing { hook, error });
        } else {
            tracing::info!(hook, "a hook's receiver is back");
            self.events.tell_all(&Event::HookRecovered { hook });
        }
    }

    /// What waits is what the database says.
    async fn count(&self) {
        if let Ok(backlog) = self.store.backlog().await {
            let own = backlog.iter().find(|b| b.hook == self.hook.id);
            self.tally.counted(own);
        }
    }

    async fn write(&mut self) {
        self.write_at = None;
        if self.write_all().await.is_err() {
            self.write_at = Some(Instant::now() + BREATH);
        }
    }

    async fn write_all(&mut self) -> Result<(), store::Error> {
        if !self.outbox.is_empty() {
            self.outbox.write(&self.store, &self.hook.id).await?;
            self.tally.forgot_dead(most_dead());
        }
        Ok(())
    }
}

fn lanes(hook: &Hook) -> Lanes {
    let in_file = matches!(hook.target(), Some(Target::File(_)));
    Lanes::new(Config {
        max_batch: if in_file { LINES } else { hook.batch() },
        batch_bytes: BATCH_BYTES,
        max_wait_ms: if in_file || hook.batch() == 1 {
            0
        } else {
            hook.batch_wait_ms()
        },
        concurrency: if in_file { 1 } else { CONCURRENCY },
        retry_for_ms: hook.retry_for_ms(),
        room: ROOM,
        lane_room: LANE_ROOM,
    })
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Outcome {
    const fn failed(error: String) -> Self {
        Self {
            verdict: Verdict::Again { after: None },
            status: None,
            body: None,
            error: Some(error),
        }
    }
}

async fn post(hook: &Hook, means: &Means, url: url::Url, items: &[Item]) -> Outcome {
    let body = body(hook, items);
    let signed = signed::headers(
        hook.secret.as_deref(),
        hook.headers.as_ref(),
        (&delivery_id(hook, items), &body),
        content_type(hook),
    );
    let mut headers = match signed {
        Ok(headers) => headers,
        Err(error) => return Outcome::failed(error),
    };
    headers.entry(header::USER_AGENT).or_insert(AGENT);
    let request = Request {
        url,
        headers,
        body,
        timeout: hook.timeout(),
    };
    let answer = means.client.post(request).await;
    let verdict = webhook::verdict(&answer);
    let (status, body, error) = match answer {
        Ok(answer) => told(&answer, verdict),
        Err(error) => (None, None, Some(error.to_string())),
    };
    Outcome {
        verdict,
        status,
        body,
        error,
    }
}

type Told = (Option<u16>, Option<String>, Option<String>);

fn told(answer: &Answer, verdict: Verdict) -> Told {
    let body = String::from_utf8_lossy(&answer.body);
    let body: String = body.chars().take(SHOWN).collect();
    let status = answer.status;
    let error = match verdict {
        Verdict::Taken => None,
        _ if status.is_redirection() => Some(format!("{status}: redirects are not followed")),
        _ => Some(status.to_string()),
    };
    (Some(status.as_u16()), Some(body), error)
}

async fn append(
    hook: &Hook,
    means: &Means,
    path: &str,
    sink: &tokio::sync::Mutex<Option<Sink>>,
    items: &[Item],
) -> Outcome {
    let mut sink = sink.lock().await;
    let lines: Vec<Bytes> = items.iter().map(|item| item.payload.clone()).collect();
    let written = async {
        if sink.is_none() {
            let (bytes, keep) = hook.rotation();
            let rotation = Rotation { bytes, keep };
            *sink = Some(Sink::open(&means.files, path, rotation).await?);
        }
        match sink.as_mut() {
            Some(sink) => sink.append(&lines).await,
            None => Ok(()),
        }
    };
    match written.await {
        Ok(()) => Outcome {
            verdict: Verdict::Taken,
            status: None,
            body: None,
            error: None,
        },
        Err(error) => Outcome::failed(error.to_string()),
    }
}
