//! Which input feeds the programme, and why. Pure: told what happens, asked what to do.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use media::{Span, Timestamp};

use crate::fault::{Condition, Fault};
use crate::wall::Belief;

/// An input's id within its stream.
pub type InputId = Arc<str>;

/// A failure is held against an input for so long.
const MEMORY: Span = Span::from_secs(600);
/// However often it failed, an input that was clean for this long may be chosen again.
const LONGEST_PROBATION: Span = Span::from_secs(300);
/// Groups that an input must have shown before it is chosen of free will.
const GROUPS: u32 = 2;
/// A silent input is left only for one that delivered so much later.
const FRESHER: Span = Span::from_millis(100);
/// An input that failed twice within this time may do so again.
const RELAPSE: Span = Span::from_secs(10);
/// One that did has proved itself after so long.
const PROOF: Span = Span::from_secs(3);
/// For one that has not, a silent input is left only after so long: it may be back before.
const PATIENCE: Span = Span::from_secs(1);

/// Whether the programme returns to a better input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Failback {
    /// Once that input has been clean for long enough.
    #[default]
    Auto,
    /// Only by hand, or when the present one fails.
    Never,
}

/// The rules, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Whether the programme returns to a better input.
    pub failback: Failback,
    /// How long a better input must be clean; doubled by each of its failures in ten minutes, up
    /// to five minutes. Two voluntary switches are no closer together either.
    pub failback_after: Span,
    /// How long nothing may come before the slate is shown.
    pub slate_after: Span,
}

impl Default for Policy {
    /// Back after 3 s; the slate after 2 s.
    fn default() -> Self {
        Self {
            failback: Failback::Auto,
            failback_after: Span::from_secs(3),
            slate_after: Span::from_secs(2),
        }
    }
}

/// Why the programme is to be fed by another input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing fed the programme, and this input delivers.
    Available,
    /// The one before is at fault.
    Fault(Fault),
    /// The one before was removed from the configuration.
    Removed,
    /// A better one has been clean for long enough.
    Failback,
    /// An operator said so.
    Manual,
    /// No input delivers.
    Slate,
}

impl Reason {
    /// The lower-case name, as used in the API and in metric labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Fault(fault) => fault.name(),
            Self::Removed => "removed",
            Self::Failback => "failback",
            Self::Manual => "manual",
            Self::Slate => "slate",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an input is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Feeds the programme.
    Source {
        /// Lower wins, then the order of the list.
        priority: u32,
        /// Connected only while nothing better delivers.
        cold: bool,
        /// Connected only while somebody watches, or nothing that is connected always delivers.
        on_demand: bool,
        /// Whether its own wall clock is believed.
        clock: Belief,
    },
    /// Is shown while no source delivers.
    Slate,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The input that shall feed the programme.
    pub to: InputId,
    /// Why.
    pub reason: Reason,
    /// Of free will: the present one still delivers, so the moment can be chosen.
    pub voluntary: bool,
}

/// An input that cannot be switched to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotFit {
    /// There is no such input.
    #[error("there is no such input")]
    Unknown,
    /// It has no media.
    #[error("it has no media: {0}")]
    Fault(Fault),
}

#[derive(Debug)]
struct Input {
    id: InputId,
    role: Role,
    fault: Option<Fault>,
    /// Since when it has been without fault, damaged, or down.
    since: Timestamp,
    groups: u32,
    failures: VecDeque<Timestamp>,
    last: Option<Timestamp>,
}

/// Decides from what it is told.
#[derive(Debug)]
pub struct Selector {
    policy: Policy,
    inputs: Vec<Input>,
    active: Option<InputId>,
    /// Why there is no active one, where there was.
    left: Option<Reason>,
    pinned: Option<InputId>,
    /// The last switch of free will.
    moved: Option<Timestamp>,
    /// Since when no source has delivered.
    dry: Option<Timestamp>,
    /// Whether anybody watches.
    viewed: bool,
}

impl Selector {
    /// Without inputs.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self {
            policy,
            inputs: Vec::new(),
            active: None,
            left: None,
            pinned: None,
            moved: None,
            dry: None,
            viewed: false,
        }
    }

    /// Other rules, from now on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// The inputs as they are configured now, in their order. Those that stay keep their history.
    pub fn set_inputs(&mut self, inputs: &[(InputId, Role)], now: Timestamp) {
        let mut before = std::mem::take(&mut self.inputs);
        self.inputs = inputs
            .iter()
            .map(|(id, role)| {
                let known = before.iter().position(|i| i.id == *id);
                let mut input =
                    known.map_or_else(|| Input::new(id, now), |at| before.swap_remove(at));
                input.role = *role;
                input
            })
            .collect();
        if self
            .active
            .take_if(|id| before.iter().any(|i| i.id == *id))
            .is_some()
        {
            self.left = Some(Reason::Removed);
        }
        self.pinned.take_if(|id| before.iter().any(|i| i.id == *id));
        self.note_dry(now);
    }

    /// Whether anybody watches; nobody does at first.
    pub fn set_viewed(&mut self, viewed: bool) {
        self.viewed = viewed;
    }

    /// How an input is at `now`; `last` is when it delivered last.
    pub fn report(
        &mut self,
        id: &InputId,
        fault: Option<Fault>,
        last: Option<Timestamp>,
        now: Timestamp,
    ) {
        let Some(input) = self.inputs.iter_mut().find(|i| i.id == *id) else {
            return;
        };
        input.last = last;
        if input.fault == fault {
            return;
        }
        let (before, after) = (input.condition(), Condition::of(fault));
        if before != after {
            input.since = now;
            input.groups = 0;
        }
        // One that was let go has not failed.
        if before < after && fault != Some(Fault::Absent) {
            input.fail(now);
        }
        input.fault = fault;
        if let Some(gone) = fault.filter(|f| f.is_final())
            && self.active.take_if(|active| active == id).is_some()
        {
            self.left = (gone != Fault::Absent).then_some(Reason::Fault(gone));
        }
        if after == Condition::Down {
            self.pinned.take_if(|pinned| pinned == id);
        }
        self.note_dry(now);
    }

    /// An input began a group.
    pub fn opened(&mut self, id: &InputId) {
        if let Some(input) = self.inputs.iter_mut().find(|i| i.id == *id) {
            input.groups = input.groups.saturating_add(1);
        }
    }

    /// The programme is fed by this input from now on.
    pub fn entered(&mut self, choice: &Choice, now: Timestamp) {
        self.active = Some(Arc::clone(&choice.to));
        self.left = None;
        if choice.voluntary {
            self.moved = Some(now);
        }
    }

    /// Holds the programme on this input until it fails or [`Selector::release`].
    ///
    /// # Errors
    /// It has no media.
    pub fn pin(&mut self, id: &str) -> Result<(), NotFit> {
        let input = self.find(id).ok_or(NotFit::Unknown)?;
        if let Some(fault) = input.fault.filter(|fault| !fault.delivers()) {
            return Err(NotFit::Fault(fault));
        }
        self.pinned = Some(Arc::clone(&input.id));
        Ok(())
    }

    /// Ends [`Selector::pin`]; whether there was one.
    pub fn release(&mut self) -> bool {
        self.pinned.take().is_some()
    }

    /// The input that the programme is held on.
    #[must_use]
    pub const fn pinned(&self) -> Option<&InputId> {
        self.pinned.as_ref()
    }

    /// The input that feeds the programme.
    #[must_use]
    pub const fn active(&self) -> Option<&InputId> {
        self.active.as_ref()
    }

    /// What is wrong with an input, and since when it has been as it is.
    #[must_use]
    pub fn state(&self, id: &str) -> Option<(Option<Fault>, Timestamp)> {
        self.find(id).map(|i| (i.fault, i.since))
    }

    /// Whether the wall clock of an input is believed.
    #[must_use]
    pub fn belief(&self, id: &str) -> Belief {
        match self.find(id).map(|i| i.role) {
            Some(Role::Source { clock, .. }) => clock,
            Some(Role::Slate) | None => Belief::Ignore,
        }
    }

    /// Every input: what is wrong with it, and since when it has been as it is.
    pub fn states(&self) -> impl Iterator<Item = (&InputId, Option<Fault>, Timestamp)> {
        self.inputs.iter().map(|i| (&i.id, i.fault, i.since))
    }

    /// Whether another source than this one delivers.
    #[must_use]
    pub fn has_other(&self, id: &str) -> bool {
        self.sources().any(|(_, i)| *i.id != *id && i.delivers())
    }

    /// Whether the slate is shown.
    #[must_use]
    pub fn shows_slate(&self) -> bool {
        let active = self.active.as_ref().and_then(|id| self.find(id));
        active.is_some_and(|a| a.role == Role::Slate)
    }

    /// The inputs that shall be connected.
    #[must_use]
    pub fn wanted(&self) -> Vec<InputId> {
        let wanted = self.inputs.iter().filter(|i| self.is_wanted(i));
        wanted.map(|i| Arc::clone(&i.id)).collect()
    }

    /// Whether an input shall be connected.
    #[must_use]
    pub fn wants(&self, id: &str) -> bool {
        self.find(id).is_some_and(|input| self.is_wanted(input))
    }

    fn is_wanted(&self, input: &Input) -> bool {
        let used = |id: &Option<InputId>| id.as_ref() == Some(&input.id);
        let better = |priority: u32| {
            let mut before = self.sources().take_while(|(_, i)| i.id != input.id);
            let equal = before.any(|(theirs, i)| theirs == priority && i.fault.is_none());
            equal
                || self
                    .sources()
                    .any(|(theirs, i)| theirs < priority && i.fault.is_none())
        };
        if used(&self.pinned) {
            return true;
        }
        if !self.viewed && input.waits_for_viewers() && !self.fills_in(used(&self.active)) {
            return false;
        }
        used(&self.active)
            || match input.role {
                Role::Source { cold: false, .. } => true,
                Role::Source { priority, .. } => !better(priority),
                Role::Slate => self.dry.is_some(),
            }
    }

    /// Whether what waits for viewers is needed without them: beside inputs that are always
    /// connected, while none of them delivers, and until one of them is entered again.
    fn fills_in(&self, active: bool) -> bool {
        let always = || self.sources().filter(|(_, i)| !i.waits_for_viewers());
        always().next().is_some() && (active || !always().any(|(_, i)| i.fault.is_none()))
    }

    /// What is to be done at `now`; `None` leaves everything as it is. The same until it is done or
    /// something happens.
    #[must_use]
    pub fn choose(&self, now: Timestamp) -> Option<Choice> {
        let active = self.active.as_ref().and_then(|id| self.find(id));
        let to = |input: &Input, reason, voluntary| {
            let id = Arc::clone(&input.id);
            (self.active.as_ref() != Some(&id)).then_some(Choice {
                to: id,
                reason,
                voluntary,
            })
        };
        let delivers = active.is_some_and(|a| a.delivers() && a.role != Role::Slate);
        if let Some(pinned) = self.pinned.as_ref().and_then(|id| self.find(id)) {
            return to(pinned, Reason::Manual, delivers);
        }
        match active {
            Some(active) if delivers => match active.fault {
                None => to(self.better(active, now)?, Reason::Failback, true),
                // What is damaged is better than what may be gone again in a moment.
                Some(fault) => to(self.clean(|_| true, now)?, Reason::Fault(fault), true),
            },
            Some(active) => {
                let reason = active.fault.map_or(Reason::Available, Reason::Fault);
                match self.replacement(active, now) {
                    Some(found) => to(found, reason, false),
                    None if active.role == Role::Slate => None,
                    None => self.slate(now).and_then(|s| to(s, Reason::Slate, false)),
                }
            }
            None => {
                let reason = self.left.unwrap_or(Reason::Available);
                let found = self.best(|_| true).map(|found| (found, reason));
                let slate = || Some((self.slate(now)?, Reason::Slate));
                let (found, reason) = found.or_else(slate)?;
                to(found, reason, false)
            }
        }
    }

    /// When [`Selector::choose`] may answer otherwise though nothing happens.
    #[must_use]
    pub fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let active = self.active.as_ref().and_then(|id| self.find(id));
        let ends = self.inputs.iter().filter(|i| i.fault.is_none());
        let ends = ends.map(|i| i.since + i.probation(&self.policy, now));
        let rest = self.moved.map(|at| at + self.policy.failback_after);
        let slate = self.dry.map(|at| at + self.policy.slate_after);
        let failback = active
            .is_some()
            .then(|| ends.chain(rest))
            .into_iter()
            .flatten();
        let silent = active.filter(|a| a.fault == Some(Fault::Silent));
        let left = silent.map(|active| {
            let delivers = self.inputs.iter().filter(|i| i.delivers());
            let proofs = delivers.map(|i| i.since + PROOF);
            proofs.chain([active.since + PATIENCE])
        });
        failback
            .chain(left.into_iter().flatten())
            .chain(slate)
            .filter(|at| *at > now)
            .min()
    }

    fn find(&self, id: &str) -> Option<&Input> {
        self.inputs.iter().find(|i| *i.id == *id)
    }

    /// The best source that delivers; one on probation after a failure only where no other does, a
    /// damaged one only where all are.
    fn best(&self, admits: impl Fn(&Input) -> bool) -> Option<&Input> {
        let best = self.sources().map(|(_, i)| i.condition()).min()?;
        let fit = self
            .sources()
            .filter(|(_, i)| i.delivers() && i.condition() == best && admits(i));
        fit.min_by_key(|(priority, i)| (!i.failures.is_empty() && i.groups < GROUPS, *priority))
            .map(|(_, i)| i)
    }

    /// What a faulty input, or the slate, is left for.
    fn replacement(&self, active: &Input, now: Timestamp) -> Option<&Input> {
        let fresh = |i: &Input| match (i.last, active.last) {
            (Some(theirs), Some(ours)) => theirs >= ours + FRESHER,
            (theirs, _) => theirs.is_some(),
        };
        // Where everything falls silent at once it is the network, or we.
        let silent = active.fault == Some(Fault::Silent);
        // Inputs that fall silent by turns would be switched between for ever.
        let patient = now - active.since < PATIENCE;
        let fit = |i: &Input| fresh(i) && !(patient && i.is_unproven(now));
        self.best(|i| !silent || fit(i))
    }

    fn better(&self, active: &Input, now: Timestamp) -> Option<&Input> {
        let Role::Source { priority, .. } = active.role else {
            return None;
        };
        let rested = |at: Timestamp| now - at >= self.policy.failback_after;
        if self.policy.failback == Failback::Never || !self.moved.is_none_or(rested) {
            return None;
        }
        self.clean(|theirs| theirs < priority, now)
    }

    /// The best source that has been without fault for long enough.
    fn clean(&self, admits: impl Fn(u32) -> bool, now: Timestamp) -> Option<&Input> {
        let clean = self
            .sources()
            .filter(|(theirs, i)| admits(*theirs) && i.is_clean(&self.policy, now));
        clean.min_by_key(|(theirs, _)| *theirs).map(|(_, i)| i)
    }

    fn slate(&self, now: Timestamp) -> Option<&Input> {
        let since = self.dry?;
        let mut slates = self.inputs.iter().filter(|i| i.role == Role::Slate);
        let slate = slates.find(|i| i.delivers())?;
        (now - since >= self.policy.slate_after).then_some(slate)
    }

    fn sources(&self) -> impl Iterator<Item = (u32, &Input)> {
        self.inputs.iter().filter_map(|i| match i.role {
            Role::Source { priority, .. } => Some((priority, i)),
            Role::Slate => None,
        })
    }

    fn note_dry(&mut self, now: Timestamp) {
        let delivers = self.sources().any(|(_, i)| i.delivers());
        if delivers {
            self.dry = None;
        } else {
            self.dry.get_or_insert(now);
        }
    }
}

impl Input {
    fn new(id: &InputId, now: Timestamp) -> Self {
        Self {
            id: Arc::clone(id),
            role: Role::Slate,
            fault: Some(Fault::Absent),
            since: now,
            groups: 0,
            failures: VecDeque::new(),
            last: None,
        }
    }

    fn condition(&self) -> Condition {
        Condition::of(self.fault)
    }

    fn delivers(&self) -> bool {
        self.condition() < Condition::Down
    }

    const fn waits_for_viewers(&self) -> bool {
        match self.role {
            Role::Source { on_demand, .. } => on_demand,
            Role::Slate => true,
        }
    }

    fn fail(&mut self, now: Timestamp) {
        self.failures.retain(|at| now - *at < MEMORY);
        // Beyond this many the probation is at its longest.
        if self.failures.len() >= 16 {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
    }

    /// How long it must be clean before it is chosen of free will.
    fn probation(&self, policy: &Policy, now: Timestamp) -> Span {
        let recent = self
            .failures
            .iter()
            .filter(|at| now - **at < MEMORY)
            .count();
        let doubled = policy.failback_after.times(1 << recent.min(16));
        doubled.min(LONGEST_PROBATION.max(policy.failback_after))
    }

    /// Whether it failed again and again of late, and has not been back for long.
    fn is_unproven(&self, now: Timestamp) -> bool {
        let late = self.failures.iter().filter(|at| now - **at < RELAPSE);
        late.count() >= 2 && now - self.since < PROOF
    }

    fn is_clean(&self, policy: &Policy, now: Timestamp) -> bool {
        self.fault.is_none()
            && self.groups >= GROUPS
            && now - self.since >= self.probation(policy, now)
    }
}
