//! Policies as data: when what an input does becomes a fault.

use failover::{Limit, Tolerance};
use media::Span;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StreamConfig;
use super::check::within;
use crate::api::Problem;

const RULES: usize = 32;

/// When one kind of trouble becomes a fault: `after_ms`, or never (`ignore`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    when: Trouble,
    /// The input that is meant; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "main")]
    input: Option<String>,
    /// How long it lasts until it is a fault; 100..=120000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 120000)]
    after_ms: Option<u32>,
    /// It is no fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ignore: Option<bool>,
}

/// What can be judged by a rule. A closed connection always is a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trouble {
    /// Nothing comes.
    Silent,
    /// Sound or pictures do not come while the other does.
    TrackSilent,
    /// No keyframe comes.
    NoKeyframe,
    /// Timestamps stand still; judged from keyframe to keyframe.
    Frozen,
    /// The source loses media: of so long each second, within twice the time.
    Damaged,
}

impl Rule {
    fn limit(&self) -> Limit {
        match self.after_ms {
            Some(ms) => Limit::After(Span::from_millis(ms.into())),
            None => Limit::Never,
        }
    }
}

/// What the rules say of an input.
pub(super) fn tolerance<'a>(rules: impl Iterator<Item = &'a Rule>, input: &str) -> Tolerance {
    let mut tolerance = Tolerance::default();
    for rule in rules.filter(|r| r.input.as_deref().is_none_or(|id| id == input)) {
        let limit = match rule.when {
            Trouble::Silent => &mut tolerance.silent,
            Trouble::TrackSilent => &mut tolerance.track_silent,
            Trouble::NoKeyframe => &mut tolerance.no_keyframe,
            Trouble::Frozen => &mut tolerance.frozen,
            Trouble::Damaged => &mut tolerance.damaged,
        };
        *limit = rule.limit();
    }
    tolerance
}

pub(super) fn check(config: &StreamConfig, rules: &[Rule]) -> Result<(), Problem> {
    if rules.len() > RULES {
        let why = format!("at most {RULES}");
        return Err(Problem::invalid("out_of_range", "failover.rules", &why));
    }
    for (i, rule) in rules.iter().enumerate() {
        let field = |name: &str| format!("failover.rules[{i}].{name}");
        let known = |id: &String| config.inputs.iter().any(|input| input.id == *id);
        if !rule.input.as_ref().is_none_or(known) {
            let why = "the stream has no such input";
            return Err(Problem::invalid("input_unknown", &field("input"), why));
        }
        if rule.after_ms.is_some() == (rule.ignore == Some(true)) {
            let why = "either after_ms or ignore: true";
            return Err(Problem::invalid("invalid_field", &field("after_ms"), why));
        }
        within(
            &field("after_ms"),
            rule.after_ms.unwrap_or(100),
            100,
            120_000,
        )?;
    }
    Ok(())
}
