//! The one lock the hub uses. `tests/interleavings` builds these sources again with a model
//! checker's mutex in its place.

pub(crate) use parking_lot::Mutex;
