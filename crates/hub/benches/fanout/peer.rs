//! `tokio::broadcast` under the same load: what one would take without a hub.

use std::sync::Arc;

use media::Frame;
use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};

use crate::load::{Load, Shared, Trial};
use crate::measure::runtime;

pub(crate) fn trial(load: Load) -> Trial {
    runtime().block_on(async {
        let sender = Sender::new(256);
        let shared = Arc::new(Shared::default());
        for n in 0..load.readers {
            let receiver = sender.subscribe();
            tokio::spawn(follow(receiver, n < load.stalling, Arc::clone(&shared)));
        }
        // Nobody listening is no error here.
        let push = move |frame| drop(sender.send(frame));
        tokio::spawn(load.carry(shared, push)).await.unwrap()
    })
}

async fn follow(mut receiver: Receiver<Frame>, stalls: bool, shared: Arc<Shared>) {
    loop {
        let (read, missed) = match receiver.recv().await {
            Ok(_) => (1, 0),
            Err(RecvError::Lagged(frames)) => (0, frames),
            Err(RecvError::Closed) => return,
        };
        shared.after_read(stalls, read, missed).await;
    }
}
