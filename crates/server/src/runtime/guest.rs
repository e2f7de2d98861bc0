//! Encoders that push: from the open door to how it ended.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use hub::{Presentation, Publisher};

use super::input::Line;
use super::publish::Stopper;
use crate::model::Input;

/// An input whose door was opened for an encoder.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(super) input: Input,
    pub(super) line: Arc<Line>,
    pub(super) publisher: Publisher,
    pub(super) presentation: Presentation,
}

impl Opened {
    /// As it is configured.
    pub(crate) const fn input(&self) -> &Input {
        &self.input
    }
}

/// An encoder that was let in.
pub(crate) struct Guest {
    pub(crate) protocol: &'static str,
    pub(crate) peer: SocketAddr,
    pub(crate) stopper: Stopper,
}

/// What ended a session before its encoder did.
pub(crate) struct Failure {
    /// For the log.
    pub(crate) line: String,
    /// For those who listen to events.
    pub(crate) reason: String,
}

impl Failure {
    /// An error, and its kind.
    pub(crate) fn new(error: &dyn fmt::Display, kind: &dyn fmt::Display) -> Self {
        Self {
            line: error.to_string(),
            reason: kind.to_string(),
        }
    }
}
