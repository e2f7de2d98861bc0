//! What could happen a thousand times a second is told once in a while, with how often it was.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// Between two that are told.
const EVERY: Duration = Duration::from_secs(10);
/// Different ones that are remembered; beyond them all count as one.
const MOST: usize = 1_000;

/// Remembers what was told of late.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    told: BTreeMap<String, (Instant, u64)>,
}

impl Seldom {
    /// One more of this kind: how many there were since the last that was told, if it is time to
    /// tell again.
    pub(crate) fn note(&mut self, kind: &str, now: Instant) -> Option<u64> {
        if self.told.len() >= MOST && !self.told.contains_key(kind) {
            self.forget(now);
        }
        let kind = if self.told.len() >= MOST { "" } else { kind };
        match self.told.get_mut(kind) {
            Some((at, count)) if now.duration_since(*at) < EVERY => {
                *count += 1;
                None
            }
            Some(told) => {
                let (_, count) = std::mem::replace(told, (now, 0));
                Some(count + 1)
            }
            None => {
                self.told.insert(kind.to_owned(), (now, 0));
                Some(1)
            }
        }
    }

    fn forget(&mut self, now: Instant) {
        self.told
            .retain(|_, (at, _)| now.duration_since(*at) < EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_told_as_one() {
        let (mut seldom, start) = (Seldom::default(), Instant::now());
        assert_eq!(seldom.note("a", start), Some(1));
        for _ in 0..500 {
            assert_eq!(seldom.note("a", start + EVERY / 2), None);
        }
        assert_eq!(seldom.note("b", start + EVERY / 2), Some(1));
        assert_eq!(seldom.note("a", start + EVERY), Some(501));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut seldom, start) = (Seldom::default(), Instant::now());
        for n in 0..10 * MOST {
            seldom.note(&n.to_string(), start);
        }
        assert!(seldom.told.len() <= MOST + 1);
    }
}
