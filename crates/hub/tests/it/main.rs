//! The hub from outside: its rules, its names, its demand, and what they cost.

#![allow(clippy::unwrap_used, reason = "tests")]

mod allocations;
mod demand;
mod fixture;
mod log;
mod model;
mod names;
mod rules;
mod wakeups;
mod world;
