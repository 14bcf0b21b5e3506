//! The bulkhead: in every order of its callers' steps nothing is wrong and everything that should happen does, and each
//! mistake is seen; in the simulated network too.

use shakedown_impls::mutants::Mutant as _;
use shakedown_impls::resilience::bulkhead::Mutant;
use shakedown_workloads::catalogue::{Pattern as _, Request};
use shakedown_workloads::hunt::hunt;
use shakedown_workloads::manner::StopFlag;
use shakedown_workloads::resilience::bulkhead::BULKHEAD;
use shakedown_workloads::world::WorldName;
use shakedown_workloads::world::model::{Extent, Limits};

#[test]
fn in_every_order_nothing_is_wrong_and_everything_happens() {
    let explored =
        [1, 2, 3].map(|case| BULKHEAD.explore(case, None, &Limits::default()).expect("there is such a case"));
    for explored in &explored {
        assert!(explored.violation.is_none(), "{:?}", explored.violation);
        assert_eq!(explored.unseen().collect::<Vec<_>>(), Vec::<&str>::new());
    }
    let states = [14_985, 1_013, 7_994].map(|unique_states| Extent::Exhaustive { unique_states });
    assert_eq!(explored.map(|explored| explored.extent), states);
}

#[test]
fn every_mistake_is_seen_in_a_few_steps() {
    for mutant in Mutant::ALL {
        let look = |case| BULKHEAD.explore(case, Some(mutant.name()), &Limits::default()).unwrap().violation;
        let found = (1..=3).find_map(look).unwrap_or_else(|| panic!("{} is not seen", mutant.name()));
        println!("{} in {} steps: {}", mutant.name(), found.steps.len(), found.sentences().join(" "));
        assert!(found.steps.len() <= 12, "{}: {:?}", mutant.name(), found.steps);
    }
}

#[test]
fn with_real_clients_and_servers_nothing_is_wrong_and_everything_happens() {
    let (request, stop) = (Request::new(WorldName::Sim), StopFlag::default());
    let hunted = hunt(&BULKHEAD, &request, 0..60, 2, &stop, &|_| ()).unwrap();
    assert_eq!((hunted.failing, hunted.complete), (None, true));
    assert!(hunted.vacuous < 6 && hunted.counts.seen > 300, "{hunted:?}");
    let mut unseen = vec![
        "a call waits",
        "a call is refused",
        "a call has waited too long",
        "a call takes too long",
        "one begins and another waits",
    ];
    for seed in 0..60 {
        let ran = BULKHEAD.run(&request, seed, &stop).unwrap();
        unseen.retain(|what| !ran.outcome.notes.contains_key(*what));
    }
    assert_eq!(unseen, Vec::<&str>::new());
}

// A fixed limit does not grow, and tasks of one thread are cancelled between a turn and its claim by luck only: the
// model world shows both.
#[test]
fn with_real_clients_and_servers_mistakes_are_seen_too() {
    let is_seen = |mutant: &Mutant| {
        let request = Request { mutant: Some(mutant.name().to_owned()), ..Request::new(WorldName::Sim) };
        let hunted = hunt(&BULKHEAD, &request, 0..120, 2, &StopFlag::default(), &|_| ()).unwrap();
        println!("{}: {:?}", mutant.name(), hunted.failing);
        hunted.failing.is_some()
    };
    let unseen: Vec<_> = Mutant::ALL.iter().filter(|mutant| !is_seen(mutant)).collect();
    assert_eq!(unseen, [&Mutant::CancelledTurnKept, &Mutant::GrowthWakesNobody]);
}
