//! Who may publish: the one place that decides between encoder and stream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use container::ingest::Stats;

use super::input::Line;
use crate::door::{Reject, Wish};
use crate::model::{Input, Scheme, StreamConfig};
use crate::secret;

/// A holder that was silent for this long is suspect, and the same key takes over.
const SUSPECT: Duration = Duration::from_secs(1);

/// Ends a session from elsewhere.
#[derive(Clone)]
pub(crate) struct Stopper(Arc<dyn Fn() + Send + Sync>);

impl Stopper {
    pub(crate) fn new(stop: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(stop))
    }

    pub(crate) fn stop(&self) {
        (self.0)();
    }
}

/// Who publishes an input now.
#[derive(Clone)]
pub(crate) struct Holder {
    pub(crate) protocol: &'static str,
    pub(crate) peer: SocketAddr,
    pub(crate) input: String,
    /// The key of the input when it came.
    pub(crate) key: Option<String>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) stopper: Stopper,
    /// Tells one holder from the next.
    pub(crate) serial: u64,
}

impl Holder {
    /// Whether it would get in as it did.
    pub(crate) fn entered_by(&self, input: &Input) -> bool {
        (&self.input, &self.key) == (&input.id, &input.key)
    }
}

/// The key stays out of logs.
impl std::fmt::Debug for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Holder")
            .field("peer", &self.peer)
            .field("input", &self.input)
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

/// The input that a request is for; among several that let it in, a free one of the best priority.
pub(crate) fn choose<'a>(
    inputs: &'a [Input],
    wish: &Wish,
    is_free: impl Fn(&Input) -> bool,
) -> Result<&'a Input, Reject> {
    let key = wish.key.as_deref();
    if let Some(id) = &wish.input {
        let input = inputs.iter().find(|i| i.id == *id);
        let input = input.ok_or(Reject::NotFound)?;
        return admits(input, key)
            .then_some(input)
            .ok_or(Reject::Unauthorised);
    }
    // No early exit: the time must not tell which key was close.
    let admitting = inputs.iter().filter(|i| admits(i, key));
    let best = admitting.min_by_key(|i| (i.key.is_none(), !is_free(i), i.priority.unwrap_or(0)));
    best.ok_or(Reject::Unauthorised)
}

/// Whether an encoder's key opens any input of a stream.
pub(crate) fn check_key(config: &StreamConfig, wish: &Wish) -> Result<(), Reject> {
    let doors: Vec<Input> = doors(config).cloned().collect();
    choose(&doors, wish, |_| true).map(drop)
}

/// The inputs that encoders push to.
pub(super) fn doors(config: &StreamConfig) -> impl Iterator<Item = &Input> {
    let pushed = |input: &&Input| input.scheme() == Some(Scheme::Publish);
    config.used_inputs().filter(pushed)
}

/// The input for an encoder whose key somebody else has looked at: a free one of the best priority.
pub(crate) fn choose_led<'a>(
    inputs: &'a [Input],
    wish: &Wish,
    is_free: impl Fn(&Input) -> bool,
) -> Result<&'a Input, Reject> {
    let named = |input: &&Input| wish.input.as_ref().is_none_or(|id| *id == input.id);
    let fitting = inputs.iter().filter(named);
    let best = fitting.min_by_key(|i| (!is_free(i), i.priority.unwrap_or(0)));
    best.ok_or(Reject::NotFound)
}

fn admits(input: &Input, key: Option<&str>) -> bool {
    match &input.key {
        None => true,
        Some(expected) => key.is_some_and(|given| secret::matches(given, expected)),
    }
}

/// Makes room for a new publisher, or says why not.
pub(crate) async fn make_room(stream: &str, line: &Line) -> Result<(), Reject> {
    let Some(holder) = line.holder() else {
        return Ok(());
    };
    if holder.stats.silence() < SUSPECT {
        return Err(Reject::Busy);
    }
    tracing::info!(stream, input = line.id(), peer = %holder.peer, "a silent publisher is replaced");
    holder.stopper.stop();
    line.released(holder.serial).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(id: &str, key: Option<&str>, priority: u32) -> Input {
        Input {
            priority: Some(priority),
            key: key.map(str::to_owned),
            ..Input::new(id, "publish://")
        }
    }

    fn wish(stream: &str) -> Wish {
        let target = rtmp::Target::new("live", stream);
        Wish {
            key: target.key,
            input: target.input,
            ..Wish::default()
        }
    }

    fn chosen(stream: &str) -> Result<String, Reject> {
        let inputs = [
            input("open", None, 0),
            input("main", Some("k1"), 1),
            input("backup", Some("k2"), 2),
        ];
        choose(&inputs, &wish(stream), |_| true).map(|i| i.id.clone())
    }

    #[test]
    fn a_key_or_a_name_leads_to_an_input() {
        assert_eq!(chosen("news?key=k2").unwrap(), "backup");
        assert_eq!(chosen("news?key=k1&input=main").unwrap(), "main");
        assert_eq!(chosen("news").unwrap(), "open");
        assert_eq!(chosen("news?input=main&key=k2"), Err(Reject::Unauthorised));
        assert_eq!(chosen("news?input=nope"), Err(Reject::NotFound));
    }

    #[test]
    fn a_key_is_needed_where_nothing_is_open() {
        let inputs = [input("main", Some("k1"), 0)];
        for stream in ["news", "news?key=", "news?key=k", "news?key=k11"] {
            let refused = choose(&inputs, &wish(stream), |_| true);
            assert_eq!(refused.unwrap_err(), Reject::Unauthorised, "{stream}");
        }
        assert!(choose(&[], &wish("news?key=k1"), |_| true).is_err());
    }
}
