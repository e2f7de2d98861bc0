//! The selector through random histories.

use failover::{Belief, Choice, Fault, InputId, Policy, Reason, Role, Selector};
use media::{Span, Timestamp};
use proptest::prelude::*;

const EPOCH: Timestamp = Timestamp::from_millis(1_795_228_844_312);
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Debug, Clone)]
enum Step {
    Report(usize, Option<Fault>),
    Pin(usize),
    Release,
    Priorities([u32; 4]),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Fault::Silent)),
        1 => Just(Some(Fault::Closed)),
        1 => Just(Some(Fault::NoKeyframe)),
        2 => Just(Some(Fault::Damaged)),
    ];
    prop_oneof![
        8 => (0_usize..4, fault).prop_map(|(i, f)| Step::Report(i, f)),
        1 => (0_usize..4).prop_map(Step::Pin),
        1 => Just(Step::Release),
        1 => prop::array::uniform4(0_u32..3).prop_map(Step::Priorities),
        8 => (0_i64..9_000).prop_map(Step::Wait),
    ]
}

struct Model {
    selector: Selector,
    faults: [Option<Fault>; 4],
    /// When each began to do worse.
    failures: [Vec<Timestamp>; 4],
    /// Groups that each began since it is as it is.
    groups: [u32; 4],
    priorities: [u32; 4],
    now: Timestamp,
    voluntary: Option<Timestamp>,
    switches: usize,
}

fn id(i: usize) -> InputId {
    NAMES[i].into()
}

fn delivers(fault: Option<Fault>) -> bool {
    fault.is_none_or(Fault::delivers)
}

/// The less, the better.
fn rank(fault: Option<Fault>) -> u8 {
    u8::from(fault.is_some()) + u8::from(!delivers(fault))
}

impl Model {
    fn new() -> Self {
        let mut model = Self {
            selector: Selector::new(Policy::default()),
            faults: [Some(Fault::Absent); 4],
            failures: Default::default(),
            groups: [0; 4],
            priorities: [0, 1, 1, 2],
            now: EPOCH,
            voluntary: None,
            switches: 0,
        };
        model.prioritise(model.priorities);
        model
    }

    fn prioritise(&mut self, priorities: [u32; 4]) {
        self.priorities = priorities;
        let inputs: Vec<_> = (0..4)
            .map(|i| {
                (
                    id(i),
                    Role::Source {
                        priority: priorities[i],
                        cold: false,
                        on_demand: false,
                        clock: Belief::Ignore,
                    },
                )
            })
            .chain([("slate".into(), Role::Slate)])
            .collect();
        self.selector.set_inputs(&inputs, self.now);
    }

    fn set(&mut self, i: usize, fault: Option<Fault>) {
        let before = std::mem::replace(&mut self.faults[i], fault);
        if rank(before) < rank(fault) {
            self.failures[i].push(self.now);
        }
        if rank(before) != rank(fault) {
            self.groups[i] = 0;
        }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Report(i, fault) => {
                self.set(*i, *fault);
                self.tell();
            }
            Step::Pin(i) => {
                let pinned = self.selector.pin(NAMES[*i]);
                assert_eq!(pinned.is_ok(), delivers(self.faults[*i]));
            }
            Step::Release => {
                self.selector.release();
            }
            Step::Priorities(priorities) => self.prioritise(*priorities),
            // Time passes as it does: a look whenever the selector asked for one.
            Step::Wait(ms) => {
                let until = self.now + Span::from_millis(*ms);
                while let Some(at) = self.selector.deadline(self.now).filter(|at| *at <= until) {
                    self.advance(at);
                }
                self.advance(until);
            }
        }
        self.obey();
    }

    fn advance(&mut self, to: Timestamp) {
        self.now = to;
        for i in 0..4 {
            if delivers(self.faults[i]) {
                self.groups[i] += 1;
                self.selector.opened(&id(i));
            }
        }
        self.tell();
        self.obey();
    }

    fn tell(&mut self) {
        let held = self.selector.pinned().cloned();
        for (i, fault) in self.faults.iter().enumerate() {
            let last = delivers(*fault).then_some(self.now);
            // Whoever is silent has been for a second when that is told.
            let known = last.unwrap_or(EPOCH - Span::from_secs(1));
            self.selector.report(&id(i), *fault, Some(known), self.now);
        }
        let keeps = |i| held == Some(id(i)) && delivers(self.faults[i]);
        if (0..4).any(keeps) {
            assert_eq!(self.selector.pinned(), held.as_ref(), "it still delivers");
        }
        let slate = InputId::from("slate");
        self.selector.report(&slate, None, Some(self.now), self.now);
    }

    fn obey(&mut self) {
        for _ in 0..3 {
            let Some(choice) = self.selector.choose(self.now) else {
                return;
            };
            assert_ne!(self.selector.active(), Some(&choice.to));
            self.check_choice(&choice);
            self.switches += 1;
            self.selector.entered(&choice, self.now);
        }
        panic!("it does not come to rest");
    }

    fn check_choice(&mut self, choice: &Choice) {
        let Some(chosen) = NAMES.iter().position(|n| **n == *choice.to) else {
            assert!(!self.faults.into_iter().any(delivers), "slate beside media");
            return;
        };
        assert!(delivers(self.faults[chosen]), "chose a faulty one");
        if choice.reason != Reason::Manual {
            let best = self.faults.into_iter().map(rank).min();
            assert_eq!(
                Some(rank(self.faults[chosen])),
                best,
                "a better one is there"
            );
        }
        if choice.reason == Reason::Failback {
            self.check_failback(chosen);
        }
    }

    fn check_failback(&mut self, chosen: usize) {
        let active = self.active().unwrap();
        assert!(self.priorities[chosen] < self.priorities[active]);
        if let Some(last) = self.voluntary.replace(self.now) {
            assert!(self.now - last >= Policy::default().failback_after);
        }
    }

    fn active(&self) -> Option<usize> {
        let active = self.selector.active()?;
        NAMES.iter().position(|n| **n == **active)
    }

    fn check(&self) {
        let lives = self.faults.into_iter().any(delivers);
        match self.active() {
            Some(active) if lives => assert!(self.may_stay(active), "left on a bad input"),
            None => assert!(!lives, "on none, or the slate, while one delivers"),
            Some(_) => {}
        }
        for (i, name) in NAMES.iter().enumerate() {
            let other = (0..4).any(|j| j != i && delivers(self.faults[j]));
            assert_eq!(self.selector.has_other(name), other);
        }
    }

    /// One that has just fallen silent may be back before the others have proved themselves.
    fn may_stay(&self, active: usize) -> bool {
        let (fault, since) = self.selector.state(&id(active)).unwrap();
        let new = self.now - since < Span::from_secs(1);
        match fault {
            None => true,
            // A damaged one stays beside what is not proven, or where an operator holds it.
            Some(Fault::Damaged) => {
                self.selector.pinned() == Some(&id(active)) || !(0..4).any(|i| self.is_proven(i))
            }
            fault => fault == Some(Fault::Silent) && new,
        }
    }

    /// Without fault for as long as its failures ask for.
    fn is_proven(&self, i: usize) -> bool {
        let (fault, since) = self.selector.state(&id(i)).unwrap();
        let late = |at: &&Timestamp| self.now - **at < Span::from_secs(600);
        let failures = self.failures[i].iter().filter(late).count();
        let asked = Span::from_secs(3).times(1 << failures.min(16));
        let asked = asked.min(Span::from_secs(300));
        fault.is_none() && self.groups[i] >= 2 && self.now - since >= asked
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn it_never_stays_on_a_dead_input_and_comes_back_to_the_best(
        steps in prop::collection::vec(step(), 1..200)
    ) {
        let mut model = Model::new();
        for step in &steps {
            model.apply(step);
            model.check();
        }
        // All is well for long enough: the best there is.
        model.selector.release();
        model.faults = [None; 4];
        for _ in 0..8 {
            model.apply(&Step::Wait(100_000));
        }
        let active = model.active().unwrap();
        prop_assert_eq!(model.priorities[active], *model.priorities.iter().min().unwrap());
    }

    #[test]
    fn flapping_of_any_pace_is_bounded(up in 100_i64..20_000, down in 10_i64..5_000) {
        let mut model = Model::new();
        model.prioritise([0, 1, 2, 2]);
        model.apply(&Step::Report(1, None));
        let mut passed = 0;
        while passed < 600_000 {
            model.apply(&Step::Report(0, None));
            model.apply(&Step::Wait(up));
            model.apply(&Step::Report(0, Some(Fault::Silent)));
            model.apply(&Step::Wait(down));
            passed += up + down;
        }
        // Each return doubles the wait for the next one.
        prop_assert!(model.switches <= 14, "{} switches", model.switches);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// By turns all of them but one fall silent, as when each sends in bursts.
    #[test]
    fn inputs_that_keep_coming_back_are_not_switched_between(
        turn in 50_i64..700,
        inputs in 2_usize..5,
    ) {
        let mut model = Model::new();
        model.prioritise([0; 4]);
        let mut now = 0;
        while now < 60_000 {
            let lives = usize::try_from(now / turn).unwrap() % inputs;
            for i in 0..inputs {
                let fault = (i != lives).then_some(Fault::Silent);
                model.apply(&Step::Report(i, fault));
            }
            model.apply(&Step::Wait(turn));
            now += turn;
        }
        // A dead one is left after a second, and none is entered twice within that.
        prop_assert!(model.switches <= 70, "{} switches", model.switches);
    }
}

#[test]
fn being_let_go_is_no_failure() {
    for (gone, back) in [(Fault::Absent, 0), (Fault::Closed, 1)] {
        let mut model = Model::new();
        model.apply(&Step::Report(1, None));
        for _ in 0..5 {
            for fault in [None, Some(gone)] {
                model.apply(&Step::Report(0, fault));
                model.apply(&Step::Wait(500));
            }
        }
        model.apply(&Step::Report(0, None));
        model.apply(&Step::Wait(3_000));
        assert_eq!(model.active(), Some(back), "{gone}");
    }
}

#[test]
fn a_cold_input_is_wanted_when_nothing_better_delivers() {
    let mut selector = Selector::new(Policy::default());
    let source = |priority, cold| Role::Source {
        priority,
        cold,
        on_demand: false,
        clock: Belief::Ignore,
    };
    let inputs = [
        (id(0), source(0, false)),
        (id(1), source(1, true)),
        (id(2), source(1, true)),
    ];
    selector.set_inputs(&inputs, EPOCH);
    assert_eq!(selector.wanted(), [id(0), id(1), id(2)]);
    selector.report(&id(0), None, Some(EPOCH), EPOCH);
    assert_eq!(selector.wanted(), [id(0)]);
    selector.report(&id(0), Some(Fault::Silent), Some(EPOCH), EPOCH);
    selector.report(&id(1), None, Some(EPOCH), EPOCH);
    assert_eq!(selector.wanted(), [id(0), id(1)]);
    assert_eq!(*selector.states().next().unwrap().0, id(0));
}

#[test]
fn an_input_on_demand_is_wanted_by_viewers_or_where_the_others_fail() {
    let mut selector = Selector::new(Policy::default());
    let source = |priority, on_demand| Role::Source {
        priority,
        cold: false,
        on_demand,
        clock: Belief::Ignore,
    };
    let (first, second) = ((id(0), source(0, true)), (id(1), source(1, true)));
    selector.set_inputs(&[first, second.clone(), (id(2), Role::Slate)], EPOCH);
    assert_eq!(selector.wanted(), []);
    selector.set_viewed(true);
    assert_eq!(selector.wanted(), [id(0), id(1), id(2)]);
    selector.report(&id(0), None, Some(EPOCH), EPOCH);
    let choice = selector.choose(EPOCH).unwrap();
    selector.entered(&choice, EPOCH);
    assert_eq!(selector.wanted(), [id(0), id(1)]);
    selector.set_viewed(false);
    assert_eq!(selector.wanted(), []);
    selector.report(&id(0), Some(Fault::Absent), Some(EPOCH), EPOCH);
    selector.report(&id(0), None, Some(EPOCH), EPOCH);
    assert_eq!(selector.choose(EPOCH).unwrap().reason, Reason::Available);

    // Beside one that is always connected it fills in for that.
    selector.set_inputs(&[(id(0), source(0, false)), second], EPOCH);
    assert_eq!(selector.wanted(), [id(0)]);
    selector.report(&id(0), Some(Fault::Closed), Some(EPOCH), EPOCH);
    assert_eq!(selector.wanted(), [id(0), id(1)]);
    selector.report(&id(1), None, Some(EPOCH), EPOCH);
    let choice = selector.choose(EPOCH).unwrap();
    selector.entered(&choice, EPOCH);
    selector.report(&id(0), None, Some(EPOCH), EPOCH);
    assert_eq!(selector.wanted(), [id(0), id(1)]);
}
