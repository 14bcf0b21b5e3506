//! Random paths through cases that are too large to search.
//!
//! Not `stateright`'s own simulation, which records paths it did not take.

use super::search::{Limits, now};
use super::state::{Action, State};
use super::{Case, Exploration, Extent, Violation, World};
use crate::operation::Subject;
use crate::random::Random;

/// Which paths to take.
#[derive(Clone, Copy, Debug)]
pub struct Walks {
    /// How many.
    pub walks: u64,
    /// How long each may be, in actions.
    pub steps_max: usize,
    /// What they are drawn from: one seed, the same paths.
    pub seed: u64,
}

/// Takes random paths, up to the first violation or until `limits` end it: of those, its time and its
/// stop. Each step is any of those possible, with equal probability.
pub fn walk<P: Subject>(case: &Case<P>, walks: &Walks, limits: &Limits) -> Exploration {
    let deadline = limits.deadline();
    let world = World::new(case.clone());
    let mut seeds = Random::new(walks.seed);
    let properties = case.all_sometimes();
    let mut seen = vec![false; properties.len()];
    for done in 1..=walks.walks {
        if limits.is_stopped() || deadline.is_some_and(|deadline| now() >= deadline) {
            return exploration(&world, &Walks { walks: done - 1, ..*walks }, None, seen);
        }
        limits.count_progress();
        let mut visit = |state: &State<P>| {
            for (seen, (_, is_so)) in seen.iter_mut().zip(&properties) {
                *seen = *seen || is_so(&world, state);
            }
        };
        let (path, end) = walk_once(&world, seeds.below(u64::MAX), walks.steps_max, &mut visit);
        if end.finding.is_some() {
            let violation = Some(Violation::new(&world, path));
            return exploration(&world, &Walks { walks: done, ..*walks }, violation, seen);
        }
    }
    exploration(&world, walks, None, seen)
}

fn exploration<P: Subject>(
    world: &World<P>,
    walks: &Walks,
    violation: Option<Violation>,
    seen: Vec<bool>,
) -> Exploration {
    let Walks { walks, steps_max, seed } = *walks;
    let names = world.case.all_sometimes().into_iter().map(|(name, _)| name);
    let extent = Extent::Walked { walks, steps_max, seed };
    Exploration { extent, violation, sometimes: names.zip(seen).chain(world.heard.iter()).collect() }
}

/// One path and the state at its end; `visit` sees each state on the way.
pub(super) fn walk_once<P: Subject>(
    world: &World<P>,
    seed: u64,
    steps_max: usize,
    visit: &mut dyn FnMut(&State<P>),
) -> (Vec<Action<P>>, State<P>) {
    let mut random = Random::new(seed);
    let World { case, judge, heard, .. } = world;
    let mut state = case.start();
    let mut path = vec![];
    let mut possible = vec![];
    visit(&state);
    while path.len() < steps_max {
        possible.clear();
        case.possible(&state, &mut possible);
        if possible.is_empty() {
            break;
        }
        let action = possible.swap_remove(random.below(possible.len() as u64) as usize);
        state = case.then(&state, action.clone(), judge, heard);
        path.push(action);
        visit(&state);
    }
    (path, state)
}
