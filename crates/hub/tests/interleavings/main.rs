//! The hub's own sources under a model checker: publish, follow and close, interleaved at every
//! lock. A wake-up that gets lost leaves everyone waiting, which shuttle reports as a deadlock.

#![allow(dead_code, unreachable_pub, reason = "a part of them is used")]
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../src/broadcast.rs"]
mod broadcast;
#[path = "../../src/counters.rs"]
mod counters;
#[path = "../../src/cursor.rs"]
mod cursor;
#[path = "../../src/demand.rs"]
mod demand;
#[path = "../../src/event.rs"]
mod event;
#[path = "../../src/presentation.rs"]
mod presentation;
#[path = "../../src/publisher.rs"]
mod publisher;
#[path = "../../src/relay.rs"]
mod relay;
mod scenarios;
#[path = "../../src/subscriber.rs"]
mod subscriber;
mod sync;
#[path = "../../src/wall.rs"]
mod wall;
#[path = "../../src/window.rs"]
mod window;
