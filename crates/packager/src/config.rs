//! What an operator may set.

use media::Span;

/// Durations of one stream's packaging. All are wishes: sources decide where keyframes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Wanted segment duration; the true one follows the keyframe interval (see `Row`).
    pub segment: Span,
    /// Wanted part duration; the part target is 1.075 times this.
    pub part: Span,
    /// What goes out by itself while a segment grows.
    pub chunk: Chunk,
    /// How far behind low-latency DASH clients are asked to stay; `None`: there are none.
    pub latency: Option<Span>,
    /// How much complete media a playlist lists.
    pub window: Span,
    /// How far the programme may run ahead of UTC (`failover.max_lead_ms`).
    pub max_lead: Span,
    /// The most bytes that are kept while the keyframe interval is being learned.
    pub learning_bytes: usize,
}

/// A CMAF chunk: the least that readers of a growing segment are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Chunk {
    /// One picture, or 100 ms of sound.
    #[default]
    Frame,
    /// As much as an LL-HLS part.
    Part,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment: Span::from_millis(2_000),
            part: Span::from_millis(200),
            chunk: Chunk::Frame,
            latency: Some(Span::from_millis(2_500)),
            window: Span::from_secs(60),
            max_lead: Span::from_millis(2_000),
            learning_bytes: 64 << 20,
        }
    }
}
