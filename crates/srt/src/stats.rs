//! What a connection is like, for whoever wants to read it meanwhile.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Live counters of one connection, or of many that are counted together.
#[derive(Debug, Default)]
pub struct Stats {
    /// The round trip, in microseconds.
    pub rtt_us: AtomicU64,
    /// Latencies that were agreed on, in milliseconds: of what comes, and of what goes.
    pub receive_latency_ms: AtomicU64,
    /// See `receive_latency_ms`.
    pub send_latency_ms: AtomicU64,
    /// Packets with media that came, those that came again among them.
    pub received: AtomicU64,
    /// Bytes of media that came.
    pub received_bytes: AtomicU64,
    /// Packets that were missing when one behind them came.
    pub received_lost: AtomicU64,
    /// Packets that came because they were asked for.
    pub received_again: AtomicU64,
    /// Packets that were not there when their time had come.
    pub received_dropped: AtomicU64,
    /// Packets that came too late, or twice.
    pub received_late: AtomicU64,
    /// Datagrams that came faster than they were taken; what they held comes again.
    pub overflowed: AtomicU64,
    /// Packets whose key was not there.
    pub undecrypted: AtomicU64,
    /// Packets with media that were sent the first time.
    pub sent: AtomicU64,
    /// Bytes of media that were sent, the first time.
    pub sent_bytes: AtomicU64,
    /// Packets that the peer missed.
    pub sent_lost: AtomicU64,
    /// Packets that were sent again.
    pub sent_again: AtomicU64,
    /// Packets that were given up because they would come too late.
    pub sent_dropped: AtomicU64,
    /// Packets that broke the protocol.
    pub broken: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Relaxed);
}

pub(crate) fn set(gauge: &AtomicU64, value: u64) {
    gauge.store(value, Relaxed);
}

impl Stats {
    /// What a session that brings media is like, by the names that runtime and metrics show.
    #[must_use]
    pub fn received(&self) -> [(&'static str, u64); 10] {
        [
            ("srt_rtt_us", &self.rtt_us),
            ("srt_latency_ms", &self.receive_latency_ms),
            ("srt_packets", &self.received),
            ("srt_lost_packets", &self.received_lost),
            ("srt_retransmitted_packets", &self.received_again),
            ("srt_dropped_packets", &self.received_dropped),
            ("srt_late_packets", &self.received_late),
            ("srt_overflow_packets", &self.overflowed),
            ("srt_undecrypted_packets", &self.undecrypted),
            ("srt_broken_packets", &self.broken),
        ]
        .map(|(name, value)| (name, value.load(Relaxed)))
    }

    /// What sessions that take media are like.
    #[must_use]
    pub fn sent(&self) -> [(&'static str, u64); 7] {
        [
            ("srt_rtt_us", &self.rtt_us),
            ("srt_latency_ms", &self.send_latency_ms),
            ("srt_packets", &self.sent),
            ("srt_lost_packets", &self.sent_lost),
            ("srt_retransmitted_packets", &self.sent_again),
            ("srt_dropped_packets", &self.sent_dropped),
            ("srt_broken_packets", &self.broken),
        ]
        .map(|(name, value)| (name, value.load(Relaxed)))
    }

    /// What became of packets of media to the peer, by the names that metrics show.
    #[must_use]
    pub fn sent_packets(&self) -> [(&'static str, u64); 4] {
        [
            ("sent", &self.sent),
            ("lost", &self.sent_lost),
            ("retransmitted", &self.sent_again),
            ("dropped", &self.sent_dropped),
        ]
        .map(|(name, value)| (name, value.load(Relaxed)))
    }
}
