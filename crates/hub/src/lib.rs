//! Holds each broadcast's recent frames; any number of subscribers follow it.
