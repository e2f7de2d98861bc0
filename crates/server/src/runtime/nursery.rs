//! Streams that are made of a template when an encoder brings their name, and go with it: limited in
//! number and rate, for each address too, so that one that storms leaves room for others.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::manager::Manager;
use super::{Stream, lock, utc_ms};
use crate::events::{Event, StopReason};
use crate::model::{AutoPublish, Definition, check_name};

const MINUTE: Duration = Duration::from_secs(60);
/// Addresses that are remembered; those that came long ago are forgotten first.
const ADDRESSES: usize = 10_000;

/// Why no stream is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barren {
    /// No template is for the name.
    NoTemplate,
    /// There are, or there were of late, as many as there may be.
    Limit,
    /// It could not be made just now.
    Failed,
}

/// A stream that is in no store.
#[derive(Debug)]
pub(crate) struct Born {
    definition: Definition,
    template: String,
    address: IpAddr,
    pub(crate) at_ms: i64,
    /// When it was last seen with a publisher.
    published: Mutex<Instant>,
}

impl Born {
    pub(crate) const fn definition(&self) -> &Definition {
        &self.definition
    }

    pub(crate) fn template(&self) -> &str {
        &self.template
    }

    /// The same with what its template says now.
    pub(super) fn following(&self, definition: Definition) -> Self {
        Self {
            definition,
            template: self.template.clone(),
            address: self.address,
            at_ms: self.at_ms,
            published: Mutex::new(*lock(&self.published)),
        }
    }
}

/// When streams were made, for limits on their rate.
#[derive(Debug, Default)]
pub(crate) struct Nursery(Mutex<Births>);

#[derive(Debug, Default)]
struct Births {
    /// By template.
    all: BTreeMap<String, Bucket>,
    by_address: BTreeMap<IpAddr, Bucket>,
}

/// Fills by so many a minute, and holds as many.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn refill(&mut self, per_minute: f64, now: Instant) {
        let minutes = (now - self.at).as_secs_f64() / MINUTE.as_secs_f64();
        self.left = (self.left + minutes * per_minute).min(per_minute);
        self.at = now;
    }
}

impl Births {
    /// Takes one from both, or from neither. An address gets at most half of what there is.
    fn take(&mut self, template: &str, address: IpAddr, per_minute: u32, now: Instant) -> bool {
        let all = f64::from(per_minute);
        let each = (all / 2.0).max(1.0);
        let full = |left| Bucket { left, at: now };
        if self.by_address.len() >= ADDRESSES {
            self.by_address.retain(|_, bucket| now - bucket.at < MINUTE);
        }
        let of_template = self
            .all
            .entry(template.to_owned())
            .or_insert_with(|| full(all));
        let of_address = self.by_address.entry(address).or_insert_with(|| full(each));
        of_template.refill(all, now);
        of_address.refill(each, now);
        if of_template.left < 1.0 || of_address.left < 1.0 {
            return false;
        }
        of_template.left -= 1.0;
        of_address.left -= 1.0;
        true
    }
}

impl Manager {
    /// What a stream of this name would be, if a template is for it.
    pub(crate) fn unborn(&self, name: &str) -> Option<Definition> {
        check_name(name).ok()?;
        let templates = self.templates();
        let made = templates.for_name(name)?.stream(name).ok();
        made.filter(|made| made.config().is_enabled())
    }

    /// Makes it, within its template's limits.
    pub(crate) async fn hatch(&self, name: &str, address: IpAddr) -> Result<Arc<Stream>, Barren> {
        let templates = self.templates();
        let template = templates.for_name(name).ok_or(Barren::NoTemplate)?;
        let limits = template.auto_publish().ok_or(Barren::NoTemplate)?;
        if self.is_full(template.name(), limits, address) {
            return Err(Barren::Limit);
        }
        let _change = self.changes.lock().await;
        if let Some(stream) = self.get(name) {
            return Ok(stream);
        }
        // Others may have come in while this one waited.
        if self.is_stopping() || self.is_full(template.name(), limits, address) {
            return Err(Barren::Limit);
        }
        let rate = limits.max_per_minute();
        if !lock(&self.nursery.0).take(template.name(), address, rate, Instant::now()) {
            return Err(Barren::Limit);
        }
        let definition = template.stream(name).map_err(|_| Barren::Failed)?;
        if self.cycle(std::iter::once(definition.config())).is_some() {
            return Err(Barren::Failed);
        }
        let born = Born {
            definition,
            template: template.name().to_owned(),
            address,
            at_ms: utc_ms(),
            published: Mutex::new(Instant::now()),
        };
        let told = Event::StreamRuntimeCreated {
            template: born.template.clone(),
            peer: address.to_string(),
        };
        let stream = self.bear(born).await.map_err(|_| Barren::Failed)?;
        self.events.tell(name, &told);
        tracing::info!(
            stream = name,
            template = template.name(),
            "made for an encoder"
        );
        Ok(stream)
    }

    fn is_full(&self, template: &str, limits: &AutoPublish, address: IpAddr) -> bool {
        let born = self.all_born();
        let of_template = born.iter().filter(|born| born.template == template);
        let own = of_template.clone().filter(|born| born.address == address);
        of_template.count() >= limits.max_streams() || own.count() >= limits.max_per_address()
    }

    /// Those that nobody has published for their idle time go. Called every second or so.
    pub(crate) async fn let_go(&self) {
        let now = Instant::now();
        let templates = self.templates();
        for born in self.all_born() {
            let name = born.definition.name();
            let published = self.get(name).is_some_and(|stream| stream.is_published());
            if published {
                *lock(&born.published) = now;
            }
            let limits = templates.get(&born.template).and_then(|t| t.auto_publish());
            let patience = limits.map_or(Duration::ZERO, AutoPublish::idle_timeout);
            if !published && now - *lock(&born.published) >= patience {
                self.expire(&born).await;
            }
        }
    }

    async fn expire(&self, born: &Born) {
        let name = born.definition.name();
        let _change = self.changes.lock().await;
        // It may have been promoted, or published, a moment ago.
        let stays = self.get(name).is_some_and(|stream| stream.is_published());
        if stays || self.born(name).is_none() || self.is_stopping() {
            return;
        }
        self.remove(name, StopReason::Expired).await;
        let template = born.template.clone();
        self.events
            .tell(name, &Event::StreamRuntimeExpired { template });
        tracing::info!(stream = name, "gone: nobody publishes it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_storms_leaves_half() {
        let (mut births, start) = (Births::default(), Instant::now());
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        let mut taken = |n: u8, times: usize, now| {
            let takes = (0..times).filter(|_| births.take("t", address(n), 60, now));
            takes.count()
        };
        assert_eq!(taken(1, 1_000, start), 30);
        assert_eq!(taken(2, 10, start), 10);
        assert_eq!(taken(3, 1_000, start), 20, "all of the template's");
        assert_eq!(taken(4, 1, start), 0);
        assert_eq!(taken(4, 10, start + MINUTE / 60), 1);
        assert_eq!(taken(1, 1_000, start + MINUTE), 30);
    }
}
