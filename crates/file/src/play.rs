//! Plays one file: reads ahead a little, sends each frame when it is due.

use std::sync::Arc;

use container::ingest::{Assembler, Item, Output, Stats};
use hub::{EndReason, Publisher, Refused};
use media::pace::Pacer;
use media::{Frame, Span};

use crate::config::Play;
use crate::error::Error;
use crate::order::Order;
use crate::path::resolve;
use crate::source::Source;

/// Plays a file as if it were live. Returns when it has ended, never where it repeats; the
/// broadcast ends with it.
///
/// # Errors
/// Where the file is not below the root, cannot be read or has no media.
pub async fn play(
    config: Play,
    publisher: Publisher,
    stats: Arc<Stats>,
) -> Result<EndReason, Error> {
    let mut player = Player {
        assembler: Assembler::new(Arc::clone(&stats)),
        publisher,
        stats,
        pacer: Pacer::new(Span::ZERO),
        order: Order::default(),
        outputs: Vec::new(),
    };
    loop {
        match player.pass(&config).await? {
            Pass::Ended if config.repeat && player.order.again() => {}
            Pass::Ended => break,
            Pass::Unwanted => return Ok(EndReason::Dropped),
        }
    }
    player.publisher.end(EndReason::Finished);
    Ok(EndReason::Finished)
}

/// How a pass ended.
enum Pass {
    Ended,
    /// Nobody takes frames any more.
    Unwanted,
}

struct Player {
    assembler: Assembler,
    publisher: Publisher,
    stats: Arc<Stats>,
    pacer: Pacer,
    order: Order,
    outputs: Vec<Output>,
}

impl Player {
    /// Plays the file once. It is opened anew each time: it may have been replaced.
    async fn pass(&mut self, config: &Play) -> Result<Pass, Error> {
        let path = resolve(&config.root, &config.path).await?;
        let mut items = Vec::new();
        let mut source = Source::open(&path, config, &mut items).await?;
        if let Some((video, audio)) = source.kinds() {
            self.assembler.announce(video, audio);
        }
        let mut sent = false;
        loop {
            for item in items.drain(..) {
                if let Some(item) = self.order.push(item) {
                    self.tell(item);
                }
            }
            while let Some(frame) = self.order.next() {
                sent = true;
                if !self.send(frame).await {
                    return Ok(Pass::Unwanted);
                }
            }
            if !source.next(&self.stats, &mut items).await? {
                break;
            }
        }
        self.order.end(config.repeat);
        while let Some(frame) = self.order.rest() {
            sent = true;
            if !self.send(frame).await {
                return Ok(Pass::Unwanted);
            }
        }
        self.assembler.flush(&mut self.outputs);
        if !sent {
            return Err(Error::NoMedia(config.path.clone()));
        }
        Ok(if self.publish() {
            Pass::Ended
        } else {
            Pass::Unwanted
        })
    }

    fn tell(&mut self, item: Item) {
        let now = self.stats.now();
        self.assembler.item(item, now, &mut self.outputs);
        self.publish();
    }

    /// Sends a frame when it is due; whether it was wanted.
    async fn send(&mut self, frame: Frame) -> bool {
        let now = self.stats.now();
        let wait = self.pacer.due(frame.dts, now) - now;
        if wait > Span::ZERO {
            tokio::time::sleep(wait.to_duration()).await;
        }
        let now = self.stats.now();
        self.assembler
            .item(Item::Frame(frame), now, &mut self.outputs);
        self.publish()
    }

    fn publish(&mut self) -> bool {
        for output in self.outputs.drain(..) {
            match output {
                Output::Tracks(tracks) => self.publisher.set_tracks(tracks),
                Output::Lost => self.publisher.note_loss(),
                Output::Frame(frame) => match self.publisher.push(frame) {
                    Err(Refused::Ended) => return false,
                    Err(refused) => self.stats.ignored(refused.name()),
                    Ok(()) => {}
                },
            }
        }
        true
    }
}
