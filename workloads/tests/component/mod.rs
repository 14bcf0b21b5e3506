//! What every component is asked, whatever it promises: in every order of its callers' steps, and between real clients and
//! servers in the simulated network.

// Each test binary uses what it needs of it.
#![allow(dead_code, unreachable_pub)]

use shakedown_workloads::catalogue::{Pattern, Request};
use shakedown_workloads::hunt::{Hunt, hunt};
use shakedown_workloads::manner::StopFlag;
use shakedown_workloads::world::WorldName;
use shakedown_workloads::world::model::{Extent, Limits};

/// Each case has so many states; in none of them is anything wrong, and all that should happen does.
pub fn holds_in_every_order(pattern: &dyn Pattern, states: &[usize]) {
    let look = |case| {
        let explored = pattern.explore(case, None, &Limits::default()).expect("there is such a case");
        assert!(explored.violation.is_none(), "case {case}: {:?}", explored.violation);
        assert_eq!(explored.unseen().collect::<Vec<_>>(), Vec::<&str>::new(), "case {case}");
        explored.extent
    };
    let extents: Vec<Extent> = (1..=pattern.cases().len()).map(look).collect();
    let expected: Vec<Extent> =
        states.iter().map(|&unique_states| Extent::Exhaustive { unique_states }).collect();
    assert_eq!(extents, expected);
}

/// Each mistake is seen in some case, in at most so many steps.
pub fn shows_each_mistake(pattern: &dyn Pattern, steps_max: usize) {
    for (mutant, _) in pattern.mutants() {
        let look = |case| pattern.explore(case, Some(mutant), &Limits::default()).unwrap().violation;
        let found =
            (1..=pattern.cases().len()).find_map(look).unwrap_or_else(|| panic!("{mutant} is not seen"));
        println!("{mutant} in {} steps: {}", found.steps.len(), found.sentences().join(" "));
        assert!(found.steps.len() <= steps_max, "{mutant}: {:?}", found.steps);
    }
}

/// With real clients and servers nothing is wrong in 60 seeds, clients are answered at least so often, and `sometimes` each
/// happens, in 200.
pub fn holds_between_clients_and_servers(pattern: &dyn Pattern, seen_min: u64, sometimes: &[&'static str]) {
    let (request, stop) = (Request::new(WorldName::Sim), StopFlag::default());
    let hunted = hunt(pattern, &request, 0..60, 2, &stop, &|_| ()).unwrap();
    assert_eq!((hunted.failing, hunted.complete), (None, true));
    assert!(hunted.vacuous < 6 && hunted.counts.seen > seen_min, "{hunted:?}");
    let mut unseen = sometimes.to_vec();
    for seed in 0..200 {
        if unseen.is_empty() {
            break;
        }
        let ran = pattern.run(&request, seed, &stop).unwrap();
        unseen.retain(|what| !ran.outcome.notes.contains_key(*what));
    }
    assert_eq!(unseen, Vec::<&str>::new());
}

/// The same with a mistake, in 120 seeds.
pub fn hunt_for(pattern: &dyn Pattern, mutant: &str) -> (Request, Hunt) {
    let request = Request { mutant: Some(mutant.to_owned()), ..Request::new(WorldName::Sim) };
    let hunted = hunt(pattern, &request, 0..120, 2, &StopFlag::default(), &|_| ()).unwrap();
    println!("{mutant}: {:?}", hunted.failing);
    (request, hunted)
}

/// The mistakes that are not seen there.
pub fn unseen_between_clients_and_servers(pattern: &dyn Pattern) -> Vec<&'static str> {
    let names = pattern.mutants().into_iter().map(|(mutant, _)| mutant);
    names.filter(|mutant| hunt_for(pattern, mutant).1.failing.is_none()).collect()
}
