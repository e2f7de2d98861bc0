//! Who may publish: the one place that decides between encoder and stream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rtmp::{Reject, Stats, Stopper, Target};

use super::stream::Stream;
use crate::model::Input;
use crate::secret;

/// A holder that was silent for this long is suspect, and the same key takes over.
const SUSPECT: Duration = Duration::from_secs(1);

/// Who publishes an input now.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) peer: SocketAddr,
    pub(crate) input: String,
    pub(crate) stats: Arc<Stats>,
    pub(crate) stopper: Stopper,
    /// Tells one holder from the next.
    pub(crate) serial: u64,
}

/// The input that a request is for.
pub(crate) fn choose<'a>(inputs: &'a [Input], target: &Target) -> Result<&'a Input, Reject> {
    if let Some(id) = &target.input {
        let input = inputs.iter().find(|i| i.id == *id);
        let input = input.ok_or(Reject::NotFound)?;
        return admits(input, target.key.as_deref())
            .then_some(input)
            .ok_or(Reject::Unauthorised);
    }
    // No early exit: the time must not tell which key was close.
    let admitting = inputs.iter().filter(|i| admits(i, target.key.as_deref()));
    let best = admitting.min_by_key(|i| i.priority.unwrap_or(0));
    best.ok_or(Reject::Unauthorised)
}

fn admits(input: &Input, key: Option<&str>) -> bool {
    match &input.key {
        None => true,
        Some(expected) => key.is_some_and(|given| secret::matches(given, expected)),
    }
}

/// Makes room for a new publisher, or says why not.
pub(crate) async fn make_room(stream: &Stream) -> Result<(), Reject> {
    let Some(holder) = stream.holder() else {
        return Ok(());
    };
    if holder.stats.silence() < SUSPECT {
        return Err(Reject::Busy);
    }
    tracing::info!(stream = stream.name(), peer = %holder.peer, "a silent publisher is replaced");
    holder.stopper.stop();
    stream.released(holder.serial).await;
    Ok(())
}
