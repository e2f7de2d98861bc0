//! The weir binary: configuration, wiring, REST, auth, metrics.
