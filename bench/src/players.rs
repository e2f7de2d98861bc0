//! RTMP players: most count, some read messages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use rtmp::chunk::Message;
use tokio::io::AsyncReadExt as _;

use crate::crowd::{Crowd, Viewer, add};
use crate::discard::discard;
use crate::rtmp_client::Client;
use crate::stamp;

const VIDEO: u8 = 9;
/// Stamps are at the front of a frame.
const FRONT: usize = 64;

pub(crate) async fn view(crowd: Arc<Crowd>, viewer: Arc<Viewer>) -> anyhow::Result<()> {
    let began = Instant::now();
    let client = Client::play(&crowd.options.url).await?;
    if viewer.samples {
        return read(&crowd, &viewer, client, began).await;
    }
    loop {
        let bytes = discard(&client.stream, usize::MAX).await?;
        crowd.got(&viewer, bytes, true);
    }
}

async fn read(
    crowd: &Crowd,
    viewer: &Viewer,
    mut client: Client,
    began: Instant,
) -> anyhow::Result<()> {
    let mut seen = false;
    loop {
        let bytes = client.stream.read_buf(&mut client.incoming.input).await?;
        ensure!(bytes > 0, "the server hung up");
        crowd.got(viewer, bytes, true);
        while let Some(message) = client.incoming.next()? {
            let Some(sent) = sent(&message) else {
                continue;
            };
            if !seen && message.body[0] >> 4 == 1 {
                add(&crowd.first_frame, began.elapsed());
                seen = true;
            }
            let age = stamp::now().saturating_sub(sent);
            crowd.sample(&crowd.latency, Duration::from_nanos(age));
        }
    }
}

/// When a frame was sent; `None` for what is no frame.
fn sent(message: &Message) -> Option<u64> {
    let body = &message.body;
    (message.kind == VIDEO).then(|| stamp::first(&body[..body.len().min(FRONT)]))?
}
