//! Holds each broadcast's recent frames; any number of subscribers follow it.
//!
//! One flat window of frames per broadcast, marks where groups begin, one cursor per subscriber.
//! The writer never waits and never fails for a reader's sake; a reader inside a group never sees
//! a hole. The hub knows no codec, repairs no timestamp and spawns no task.

#![warn(missing_docs)]

mod broadcast;
mod counters;
mod cursor;
mod demand;
mod event;
mod presentation;
mod publisher;
mod relay;
mod sent;
mod subscriber;
mod sync;
mod wall;
mod window;

pub use broadcast::{Broadcast, Group};
pub use counters::{Counters, Received};
pub use demand::{Demand, Wanted};
pub use event::{EndReason, Event};
pub use presentation::{Hub, Listing, NameTaken, Presentation, Rendition, RenditionTaken};
pub use publisher::{Publisher, Refused};
pub use relay::Relay;
pub use sent::Sent;
pub use subscriber::{Join, Options, Subscriber};
pub use wall::WallTime;
pub use window::Limits;
