//! Keeps a stream on its best input and splices inputs into one unbroken programme.
//!
//! It begins with one input: [`Timeline`] gives that input's frames their place in programme time,
//! [`splice`] moves them from the input's broadcast to the programme's. Reads no clock: `now` is
//! an argument.

mod splice;
mod timeline;

pub use splice::{Clock, Splice, splice};
pub use timeline::{Config, Counters, Timeline};
