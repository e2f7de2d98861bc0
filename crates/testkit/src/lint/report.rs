//! What a run found, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt;

use media::Span;
use serde_json::{Value, json};

use super::Rule;
use super::ledger::{Finding, Ledger};
use super::rendition::Rendition;

/// What a run found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The rules of the protocol.
    pub rules: &'static [Rule],
    /// Rules that were broken, in the order in which it showed.
    pub violations: Vec<Finding>,
    /// How often the state of the stream excused a rule.
    pub excused: BTreeMap<Rule, u64>,
    /// How often each rule was looked at.
    pub checked: BTreeMap<Rule, u64>,
    /// Timed checks that held only because the machine ran nobody for a while.
    pub stalled: BTreeMap<Rule, u64>,
    /// The longest such while.
    pub longest_stall: Span,
    /// Figures of each media playlist.
    pub figures: BTreeMap<String, Figures>,
    /// Figures of each DASH Representation.
    pub chunks: BTreeMap<String, Chunks>,
    /// What the concurrent readers measured; null without them.
    pub readers: Value,
}

/// What one media playlist did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Parts that were waited for.
    pub parts: usize,
    /// Milliseconds between two parts: median, 99th percentile, most.
    pub gap_ms: Quantiles,
    /// Milliseconds from a hinted part's first byte to its last.
    pub burst_ms: Quantiles,
}

impl Figures {
    pub(super) fn of(r: &Rendition) -> Self {
        Self {
            parts: r.gaps.len(),
            gap_ms: Quantiles::of(&r.gaps),
            burst_ms: Quantiles::of(&r.bursts),
        }
    }
}

/// What one DASH Representation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chunks {
    /// Numbers that had media.
    pub segments: usize,
    /// Numbers that had none.
    pub fillers: usize,
    /// Chunks that were waited for.
    pub chunks: usize,
    /// Milliseconds between two of them.
    pub gap_ms: Quantiles,
    /// Milliseconds from the end of a chunk's media to its last byte here.
    pub behind_ms: Quantiles,
}

impl Chunks {
    fn json(self) -> Value {
        json!({
            "segments": self.segments, "fillers": self.fillers, "chunks": self.chunks,
            "gap_ms": self.gap_ms.json(), "behind_ms": self.behind_ms.json(),
        })
    }
}

impl fmt::Display for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (gap, behind) = (self.gap_ms, self.behind_ms);
        write!(
            f,
            "{} segments, {} without media, {} chunks waited for; ms between them p50 {} p99 {} max {}; ms behind their media p50 {} p99 {} max {}",
            self.segments,
            self.fillers,
            self.chunks,
            gap.p50,
            gap.p99,
            gap.max,
            behind.p50,
            behind.p99,
            behind.max
        )
    }
}

/// Median, 99th percentile and largest of some values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Median.
    pub p50: i64,
    /// 99th percentile.
    pub p99: i64,
    /// Largest.
    pub max: i64,
}

impl Quantiles {
    /// All zero where there are no values.
    #[must_use]
    pub fn of(values: &[i64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let index = sorted.len().saturating_sub(1) * percent / 100;
            sorted.get(index).copied().unwrap_or(0)
        };
        Self {
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }

    /// As an object.
    #[must_use]
    pub fn json(self) -> Value {
        json!({"p50": self.p50, "p99": self.p99, "max": self.max})
    }
}

impl Report {
    /// What was found of `rules`; figures are the caller's to add.
    pub(super) fn new(rules: &'static [Rule], ledger: Ledger) -> Self {
        Self {
            rules,
            violations: ledger.violations,
            excused: ledger.excused,
            checked: ledger.checked,
            stalled: ledger.stalled,
            longest_stall: ledger.longest_stall,
            ..Self::default()
        }
    }

    /// How often `rule` was broken.
    #[must_use]
    pub fn broken(&self, rule: Rule) -> usize {
        self.violations.iter().filter(|v| v.rule == rule).count()
    }

    /// For scripts.
    #[must_use]
    pub fn json(&self) -> Value {
        let counts = |of: &BTreeMap<Rule, u64>| -> BTreeMap<&str, u64> {
            of.iter().map(|(rule, n)| (rule.name(), *n)).collect()
        };
        let violations: Vec<_> = self.violations.iter().map(|v| {
            json!({"rule": v.rule.name(), "uri": v.uri, "seen": v.seen, "at_s": v.to.as_millis() as f64 / 1e3})
        }).collect();
        let figures: BTreeMap<_, _> = self.figures.iter().map(|(uri, f)| {
            (uri, json!({"parts": f.parts, "gap_ms": f.gap_ms.json(), "burst_ms": f.burst_ms.json()}))
        }).collect();
        let chunks: BTreeMap<_, _> = self.chunks.iter().map(|(id, c)| (id, c.json())).collect();
        json!({
            "violations": violations,
            "checked": counts(&self.checked),
            "excused": counts(&self.excused),
            "stalled": counts(&self.stalled),
            "longest_stall_ms": self.longest_stall.as_millis(),
            "playlists": figures,
            "representations": chunks,
            "readers": self.readers,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for v in &self.violations {
            writeln!(
                f,
                "{:>9.3} {} {}: {}",
                v.to.as_millis() as f64 / 1e3,
                v.rule,
                v.uri,
                v.seen
            )?;
        }
        writeln!(
            f,
            "\n{:<14}{:>9}{:>9}{:>8}  rule",
            "", "checked", "excused", "broken"
        )?;
        for rule in self.rules.iter().chain(Rule::BOTH) {
            let count = |of: &BTreeMap<Rule, u64>| of.get(rule).copied().unwrap_or(0);
            let (checked, excused) = (count(&self.checked), count(&self.excused));
            let broken = self.broken(*rule);
            writeln!(
                f,
                "{rule:<14}{checked:>9}{excused:>9}{broken:>8}  {}",
                rule.text()
            )?;
        }
        for (uri, figures) in &self.figures {
            let (gap, burst) = (figures.gap_ms, figures.burst_ms);
            writeln!(
                f,
                "{uri}: {} parts; ms between them p50 {} p99 {} max {}; ms from first to last byte p50 {} p99 {} max {}",
                figures.parts, gap.p50, gap.p99, gap.max, burst.p50, burst.p99, burst.max
            )?;
        }
        for (id, chunks) in &self.chunks {
            writeln!(f, "{id}: {chunks}")?;
        }
        if !self.readers.is_null() {
            writeln!(f, "readers: {}", self.readers)?;
        }
        let spared: u64 = self.stalled.values().sum();
        writeln!(
            f,
            "machine: longest moment in which nobody ran {} ms; {spared} timed checks held only for such moments",
            self.longest_stall.as_millis()
        )?;
        let verdict = if self.violations.is_empty() {
            "OK"
        } else {
            "NOT OK"
        };
        let excused: u64 = self.excused.values().sum();
        write!(
            f,
            "weir-lint: {verdict}, {} violations, {excused} excused",
            self.violations.len()
        )
    }
}
