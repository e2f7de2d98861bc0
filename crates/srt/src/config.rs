//! Bounds of sessions. Everything a peer can grow has one.

use std::time::Duration;

use media::Span;

use crate::keys::Refresh;
use crate::link::Bounds;

/// Bounds of sessions, and what is asked for in their handshakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The least latency, in either direction: packets that are lost have so long to come again.
    /// A peer may ask for more.
    pub latency: Duration,
    /// The most latency that a peer may ask for.
    pub max_latency: Duration,
    /// The most packets that are held in either direction: latency times bitrate has to fit.
    pub packets: usize,
    /// How long a peer may say nothing.
    pub idle_timeout: Duration,
    /// Callers that have shown their address and wait for an answer; more are refused.
    pub max_pending: usize,
    /// Of which from one address.
    pub max_pending_per_address: usize,
    /// How long a server that we call may take to answer.
    pub connect_timeout: Duration,
    /// The most that one session sends, in bits per second: a player that joins gets a group at
    /// once, and the way to it may have no room for that.
    pub max_bandwidth: u64,
    /// How often keys are renewed.
    pub refresh: Refresh,
}

impl Default for Config {
    /// 120 ms and 10 s, 32768 packets (34 Mb/s for 10 s), 5 s, 1024 pending, 64 of one address, 3 s, 200 Mb/s.
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(120),
            max_latency: Duration::from_secs(10),
            packets: 32_768,
            idle_timeout: Duration::from_secs(5),
            max_pending: 1024,
            max_pending_per_address: 64,
            connect_timeout: Duration::from_secs(3),
            max_bandwidth: 200_000_000,
            refresh: Refresh::default(),
        }
    }
}

impl Config {
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            packets: self.packets.max(32),
            idle: self.idle_timeout.into(),
            bandwidth: self.max_bandwidth,
        }
    }

    /// What both sides want: the longer latency, within bounds. In milliseconds.
    pub(crate) fn agree(&self, asked: u16) -> u16 {
        let millis = |d: Duration| u16::try_from(d.as_millis()).unwrap_or(u16::MAX);
        let least = millis(self.latency);
        asked.clamp(least, millis(self.max_latency).max(least))
    }
}

pub(crate) fn millis(span: u16) -> Span {
    Span::from_millis(span.into())
}
