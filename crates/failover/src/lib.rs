//! Keeps a stream on its best input and splices inputs into one unbroken programme.
//!
//! [`Health`] judges one input by its arrivals, [`Selector`] chooses among them, [`Timeline`] gives
//! their frames a place in programme time: all pure. [`Programme`] is the task that carries it out
//! between the inputs' broadcasts and the programme's. None reads a clock: `now` is an argument.

mod board;
mod damage;
mod equal;
mod fault;
mod feed;
mod health;
mod history;
mod overlap;
mod programme;
mod selector;
mod splice;
mod timeline;
mod tolerance;
mod wall;

pub use board::{Board, InputState, State};
pub use fault::Fault;
pub use health::Health;
pub use history::{Class, History, REMEMBERED, Switch};
pub use programme::{Clock, Observer, Order, Programme};
pub use selector::{Choice, Failback, InputId, NotFit, Policy, Reason, Role, Selector};
pub use splice::Splice;
pub use timeline::{Config, Continuity, Counters, Entry, Timeline};
pub use tolerance::{Limit, Tolerance};
pub use wall::{Belief, Held, Step, Wall};
