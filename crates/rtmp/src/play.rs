use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hub::{Broadcast, Join, Options, Sent};
use media::Span;
use tokio::time::sleep;

use crate::capabilities::Capabilities;
use crate::error::{Error, ErrorKind};
use crate::feed::{Far, Feed};
use crate::listen::{Connection, Transport};
use crate::muxer::Muxer;
use crate::session::Event;

/// Why a player is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It hung up or said that it was done.
    Left,
    /// The broadcast ended.
    Over,
}

/// An accepted player.
#[derive(Debug)]
pub struct Playing {
    connection: Connection,
    capabilities: Capabilities,
}

impl Playing {
    pub(crate) fn new(mut connection: Connection) -> Self {
        let capabilities = connection.session.accept_play();
        Self {
            connection,
            capabilities,
        }
    }

    /// Sends the broadcast, from its newest random-access point on, until either side is done. A
    /// player that is further behind than `max_latency` goes on with the newest group. Dropping
    /// the future closes.
    ///
    /// # Errors
    /// A peer that breaks the protocol or a bound, or takes nothing for too long.
    pub async fn run(
        self,
        broadcast: &Broadcast,
        max_latency: Span,
        sent: &Sent,
    ) -> Result<Gone, Error> {
        let mut connection = self.connection;
        let reader = broadcast.subscribe(Options {
            join: Join::Newest,
            max_latency,
            wanted: true,
        });
        let patience = connection.config.write_timeout;
        let from = (reader, Muxer::playing(self.capabilities));
        let mut feed = Feed::new(&mut connection, from, patience, sent);
        let mut late = pin!(sleep(patience));
        let result = poll_fn(|cx| feed.poll(cx, late.as_mut())).await;
        drop(feed);
        match result {
            Ok(Gone::Left) => Ok(Gone::Left),
            Ok(Gone::Over) => {
                connection.session.end_play();
                // A goodbye that is not heard changes nothing.
                let _ = Box::pin(connection.say_goodbye()).await;
                Ok(Gone::Over)
            }
            Err(kind) => Err(connection.error(kind)),
        }
    }
}

impl Far for Connection {
    fn stream(&mut self) -> &mut Box<dyn Transport> {
        &mut self.stream
    }

    fn output(&mut self) -> Bytes {
        self.session.output()
    }

    fn poll_words(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorKind>> {
        Self::poll_words(self, cx)
    }

    fn hear(&mut self) -> Result<bool, ErrorKind> {
        while let Some(event) = self.session.poll()? {
            if event == Event::Finished {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
