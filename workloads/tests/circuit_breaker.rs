//! The circuit breaker: in every order of its callers' steps nothing is wrong and everything that should happen does,
//! and each mistake is seen; in the simulated network too.

use shakedown_impls::mutants::Mutant as _;
use shakedown_impls::resilience::circuit_breaker::Mutant;
use shakedown_workloads::catalogue::{Pattern as _, Request};
use shakedown_workloads::hunt::hunt;
use shakedown_workloads::manner::StopFlag;
use shakedown_workloads::resilience::circuit_breaker::CIRCUIT_BREAKER;
use shakedown_workloads::resilience::circuit_breaker::ledger::SOMETIMES;
use shakedown_workloads::world::WorldName;
use shakedown_workloads::world::model::{Extent, Limits};

#[test]
fn in_every_order_nothing_is_wrong_and_everything_happens() {
    let explored = [1, 2, 3]
        .map(|case| CIRCUIT_BREAKER.explore(case, None, &Limits::default()).expect("there is such a case"));
    for explored in &explored {
        assert!(explored.violation.is_none(), "{:?}", explored.violation);
        assert_eq!(explored.unseen().collect::<Vec<_>>(), Vec::<&str>::new());
    }
    let states = [8_427, 20_162, 8_039].map(|unique_states| Extent::Exhaustive { unique_states });
    assert_eq!(explored.map(|explored| explored.extent), states);
}

#[test]
fn every_mistake_is_seen_in_a_few_steps() {
    for mutant in Mutant::ALL {
        let look =
            |case| CIRCUIT_BREAKER.explore(case, Some(mutant.name()), &Limits::default()).unwrap().violation;
        let found = (1..=3).find_map(look).unwrap_or_else(|| panic!("{} is not seen", mutant.name()));
        println!("{} in {} steps: {}", mutant.name(), found.steps.len(), found.sentences().join(" "));
        assert!(found.steps.len() <= 14, "{}: {:?}", mutant.name(), found.steps);
    }
}

// A run of each seed twice, for what it depends on beside its seed would show.
#[test]
fn with_real_clients_and_servers_nothing_is_wrong_and_everything_happens() {
    let (request, stop) = (Request::new(WorldName::Sim), StopFlag::default());
    let hunted = hunt(&CIRCUIT_BREAKER, &request, 0..60, 2, &stop, &|_| ()).unwrap();
    assert_eq!((hunted.failing, hunted.complete), (None, true));
    assert!(hunted.vacuous < 6 && hunted.counts.seen > 300, "{hunted:?}");
    let mut unseen = SOMETIMES.to_vec();
    for seed in 0..60 {
        let run = || CIRCUIT_BREAKER.run(&request, seed, &stop).unwrap();
        let (first, again) = (run(), run());
        let rows = |history: &shakedown_checkers::history::History| {
            history.operations().map(|op| format!("{op:?}")).collect::<Vec<_>>()
        };
        assert_eq!(rows(first.history()), rows(again.history()), "seed {seed}");
        unseen.retain(|what| !first.outcome.notes.contains_key(*what));
    }
    assert_eq!(unseen, Vec::<&str>::new());
}

#[test]
fn with_real_clients_and_servers_mistakes_are_seen_too() {
    for mutant in Mutant::ALL {
        let request = Request { mutant: Some(mutant.name().to_owned()), ..Request::new(WorldName::Sim) };
        let hunted = hunt(&CIRCUIT_BREAKER, &request, 0..60, 2, &StopFlag::default(), &|_| ()).unwrap();
        assert!(hunted.failing.is_some(), "{}", mutant.name());
    }
}
