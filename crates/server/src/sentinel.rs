//! Tells of what nobody else sees coming: looks once a second.

use std::sync::Arc;

use tokio::time::Instant;

use crate::events::{Event, Seldom};
use crate::metrics::{Metrics, TurnedAway};
use crate::runtime::{Manager, millis, utc_ms};
use crate::tls::Certificate;

const DAY_MS: i64 = 86_400_000;
/// Days before its end that a certificate is told of.
const WARNINGS: [i64; 5] = [14, 7, 3, 1, 0];

pub(crate) struct Sentinel {
    manager: Arc<Manager>,
    metrics: Arc<Metrics>,
    certificate: Option<Arc<Certificate>>,
    degraded: Option<Instant>,
    /// The certificate that was told of, and the warning.
    warned: Option<(i64, i64)>,
    turned_away: [u64; 4],
    limits: Seldom,
}

impl Sentinel {
    pub(crate) fn new(
        manager: Arc<Manager>,
        metrics: Arc<Metrics>,
        certificate: Option<Arc<Certificate>>,
    ) -> Self {
        Self {
            manager,
            metrics,
            certificate,
            degraded: None,
            warned: None,
            turned_away: [0; 4],
            limits: Seldom::default(),
        }
    }

    pub(crate) fn look(&mut self) {
        self.look_at_database();
        self.look_at_certificate();
        self.look_at_limits();
    }

    fn look_at_database(&mut self) {
        let degraded = self.manager.ledger.is_degraded();
        match self.degraded {
            None if degraded => {
                self.degraded = Some(Instant::now());
                self.manager.events.tell_all(&Event::DatabaseDegraded {});
            }
            Some(since) if !degraded => {
                self.degraded = None;
                let after_ms = millis(since.elapsed());
                self.manager
                    .events
                    .tell_all(&Event::DatabaseRecovered { after_ms });
            }
            _ => {}
        }
    }

    fn look_at_certificate(&mut self) {
        let expires = self.certificate.as_ref().and_then(|c| c.expires());
        let Some(expires_ms) = expires.map(|seconds| seconds * 1_000) else {
            return;
        };
        let days = (expires_ms - utc_ms()).div_euclid(DAY_MS).max(-1);
        let Some(warning) = warning(days) else {
            return;
        };
        if self.warned.replace((expires_ms, warning)) != Some((expires_ms, warning)) {
            let told = Event::CertificateExpiring { expires_ms, days };
            self.manager.events.tell_all(&told);
            tracing::warn!(days, "the certificate ends soon");
        }
    }

    fn look_at_limits(&mut self) {
        let TurnedAway { rtmp, srt, http } = self.metrics.turned_away();
        let streams = self.manager.all();
        let blocked = streams.iter().map(|s| s.output.figures().crowded).sum();
        let now = [rtmp, srt, http, blocked];
        let names = [
            "rtmp_connections",
            "srt_connections",
            "http_connections",
            "blocked_requests",
        ];
        for ((name, now), told) in names.iter().zip(now).zip(&mut self.turned_away) {
            // A stream that went takes its count along.
            let refused = now.saturating_sub(*told);
            *told = (*told).min(now);
            if refused == 0 || self.limits.note(name, Instant::now()).is_none() {
                continue;
            }
            *told = now;
            let limit = (*name).to_owned();
            self.manager
                .events
                .tell_all(&Event::ViewersLimitReached { limit, refused });
        }
    }
}

/// The last warning that is due so many days before the end.
fn warning(days: i64) -> Option<i64> {
    let due = WARNINGS.iter().filter(|warning| days < **warning);
    due.min().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_come_closer() {
        let all = [
            (20, None),
            (14, None),
            (13, Some(14)),
            (6, Some(7)),
            (2, Some(3)),
            (0, Some(1)),
            (-1, Some(0)),
        ];
        for (days, due) in all {
            assert_eq!(warning(days), due, "{days}");
        }
    }
}
