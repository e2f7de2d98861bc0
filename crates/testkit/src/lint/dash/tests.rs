//! For each rule something that breaks it, and runs that break none.

use media::Timestamp;

use super::*;
use crate::lint::{Answer, Report, Rule, State};

mod bodies;
mod manifests;
mod programme;
mod requests;
mod runs;
mod world;

use world::{FIRST, World};

const fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// What a linter says of so many milliseconds of a world, told of states as they come.
fn watch(world: &World, ms: i64, told: &[(i64, State)]) -> Report {
    let mut linter = Linter::new("index.mpd", world.mode, Limits::default(), world::ZERO);
    linter.beside_hls();
    linter.beside_peer();
    let mut flying: Vec<(Wanted, Answer)> = Vec::new();
    let mut told = told.iter().peekable();
    let mut now = Timestamp::ZERO;
    while now < at(ms) {
        while let Some((_, state)) = told.next_if(|(t, _)| at(*t) <= now) {
            linter.state(now, *state);
        }
        let (due, next) = linter.due(now);
        flying.extend(due.into_iter().map(|w| {
            let answer = world.answer(&w, now);
            (w, answer)
        }));
        let arrives = flying.iter().map(|(_, a)| a.last).min();
        let told = told.peek().map(|(t, _)| at(*t));
        now = [next, arrives, told].into_iter().flatten().min().unwrap();
        while let Some(i) = flying.iter().position(|(_, a)| a.last <= now) {
            let (wanted, answer) = flying.swap_remove(i);
            linter.take(&wanted, &answer);
        }
    }
    linter.finish()
}

/// Rules that were broken, each once, in the checklist's order.
fn rules(report: &Report) -> Vec<Rule> {
    let mut rules: Vec<_> = report.violations.iter().map(|v| v.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// What is broken in twelve seconds of this world.
fn broken(world: &World) -> Vec<Rule> {
    rules(&watch(world, 12_000, &[]))
}

/// What is broken where every MPD reads like this.
fn told(from: &'static str, to: &'static str) -> Vec<Rule> {
    broken(&World::default().told(from, to))
}

/// What is broken where some answers are others.
fn answered(edit: impl Fn(&Wanted, &mut Answer) + 'static) -> Vec<Rule> {
    broken(&World::default().answered(edit))
}

/// Whether this is what was asked for.
fn is(wanted: &Wanted, what: What, id: &str, number: u64) -> bool {
    wanted.what == what && wanted.representation == id && wanted.number == FIRST + number
}
