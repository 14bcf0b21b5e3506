//! The catalogue, as those use it who only know a name: hunts, failures made small, replays.

use shakedown_workloads::catalogue::{Request, RequestError, all, find};
use shakedown_workloads::hunt::{hunt, hunt_with};
use shakedown_workloads::judge::Finding;
use shakedown_workloads::manner::StopFlag;
use shakedown_workloads::replay::{Replay, ReplayError};
use shakedown_workloads::world::WorldName;
use shakedown_workloads::world::model::Limits;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

static GO_ON: LazyLock<StopFlag> = LazyLock::new(StopFlag::default);

fn mutant(world: WorldName, name: &str) -> Request {
    Request { mutant: Some(name.to_owned()), ..Request::new(world) }
}

#[test]
fn patterns_are_found_by_name_and_by_its_last_part() {
    for pattern in all() {
        let name = pattern.entry().name;
        assert_eq!(find(name).expect("it is there").entry().name, name);
        let last = name.rsplit('/').next().expect("a name has parts");
        assert_eq!(find(last).expect("it is there").entry().name, name);
    }
    assert!(find("no/such").is_none() && find("").is_none());
}

// What a hunt says must not depend on how many threads it has.
#[test]
fn a_hunt_finds_the_same_seed_with_any_number_of_jobs() {
    let abd = find("abd").expect("it is there");
    let request = mutant(WorldName::Swarm, "no-write-back");
    let found = [1, 2, 5].map(|jobs| hunt(abd, &request, 0..400, jobs, &GO_ON, &|_| ()).unwrap().failing);
    assert!(found[0].is_some() && found == [found[0]; 3], "{found:?}");
    let clean = hunt(abd, &Request::new(WorldName::Swarm), 0..100, 2, &GO_ON, &|_| ()).unwrap();
    assert_eq!((clean.failing, clean.seeds, clean.complete), (None, 100, true));
    assert!(clean.vacuous < 10 && clean.undecided.is_empty() && clean.faults.len() > 10, "{clean:?}");
}

#[test]
fn a_hunt_can_be_stopped_and_says_so() {
    let abd = find("abd").expect("it is there");
    let (stop, ran) = (StopFlag::default(), AtomicU64::new(0));
    let progress = |seeds| {
        ran.store(seeds, Ordering::Relaxed);
        stop.store(seeds >= 10, Ordering::Relaxed);
    };
    let stopped = hunt(abd, &Request::new(WorldName::Swarm), 0..100_000, 2, &stop, &progress).unwrap();
    assert!(!stopped.complete && stopped.failing.is_none() && (10..20).contains(&stopped.seeds));
    assert_eq!(ran.into_inner(), stopped.seeds);
}

// Heavy runs take minutes: whoever wants to stop does not wait for their end.
#[test]
fn a_run_that_is_stopped_counts_for_nothing() {
    let abd = find("abd").expect("it is there");
    let stopped = StopFlag::new(true.into());
    for world in [WorldName::Swarm, WorldName::Sim] {
        let ran = abd.run(&Request::new(world), 0, &stopped).unwrap();
        assert_eq!((&ran.finding, ran.history().len()), (&Some(Finding::Stopped), 0), "{world:?}");
        let stop = StopFlag::default();
        let run = |seed| {
            stop.store(seed == 3, Ordering::Relaxed);
            abd.run(&Request::new(world), seed, &stop)
        };
        let hunt = hunt_with(&run, 0..10, 1, &stop, &|_| ()).unwrap();
        assert_eq!((hunt.seeds, hunt.complete, hunt.failing), (3, false, None), "{world:?}");
    }
}

// From a failing seed to a file and back: the same finding, the same trace.
#[test]
fn a_failure_replays_from_its_file() {
    let abd = find("abd").expect("it is there");
    let request = mutant(WorldName::Swarm, "tag-per-node");
    // Most failures get small enough for every schedule of them to be looked at; not each.
    let mut from = 0;
    let failure = loop {
        let hunted = hunt(abd, &request, from..1_000, 2, &GO_ON, &|_| ()).unwrap();
        let seed = hunted.failing.expect("it is caught, and made small enough");
        let failure = abd.fail(&request, seed, 20_000, &GO_ON).unwrap().expect("the seed fails");
        if abd.search(&failure.replay, &Limits { states_max: 1, ..Limits::default() }).is_ok() {
            break failure;
        }
        from = seed + 1;
    };
    let read = Replay::parse(&failure.replay.text()).expect("what is written can be read");
    assert_eq!(read, failure.replay);
    let again = abd.replay(&read, WorldName::Swarm, &GO_ON).unwrap();
    assert_eq!(again.finding, failure.ran.finding);
    assert_eq!(again.outcome.trace, failure.ran.outcome.trace);
    assert!(again.outcome.trace.is_some_and(|trace| !trace.lines.is_empty()));
    // Some schedule of the same shows the mistake in the model world, too.
    let limits = Limits { states_max: 50_000, ..Limits::default() };
    let searched = abd.search(&read, &limits).expect("two writes and two reads are few");
    assert!(searched.violation.is_some(), "{}", searched.extent);
    // It is the mutant's fault.
    let mut clean = read;
    clean.mutant = None;
    assert_eq!(abd.replay(&clean, WorldName::Swarm, &GO_ON).unwrap().finding, None);
    assert!(abd.fail(&Request::new(WorldName::Swarm), 0, 100, &GO_ON).unwrap().is_none());
}

#[test]
fn a_damaged_replay_file_says_what_is_wrong() {
    let abd = find("abd").expect("it is there");
    let request = mutant(WorldName::Swarm, "quorum-of-half");
    let seed = hunt(abd, &request, 0..1_000, 2, &GO_ON, &|_| ()).unwrap().failing.expect("it is caught");
    let text = abd.fail(&request, seed, 0, &GO_ON).unwrap().expect("the seed fails").replay.text();
    assert!(matches!(Replay::parse(&text[..text.len() / 2]), Err(ReplayError::Damaged { .. })));
    assert!(matches!(Replay::parse("[]"), Err(ReplayError::Damaged { .. })));
    let newer = text.replace("\"shakedown_replay\": 1", "\"shakedown_replay\": 9");
    assert!(matches!(Replay::parse(&newer), Err(ReplayError::Version { found: 9 })));
    // Numbers that no run could have been written with must not run for ever, or panic.
    for (from, to) in [("\"nodes\": ", "\"nodes\": 99"), ("\"length_ms\": ", "\"length_ms\": 999999999")] {
        let other = Replay::parse(&text.replacen(from, to, 1)).expect("it is of the right shape");
        let refused = abd.replay(&other, WorldName::Swarm, &GO_ON);
        assert!(matches!(refused, Err(RequestError::Scenario { .. })), "{to}");
    }
}

#[test]
fn what_cannot_be_run_is_refused() {
    let abd = find("abd").expect("it is there");
    let world = abd.run(&Request::new(WorldName::Model), 0, &GO_ON).unwrap_err();
    assert!(matches!(world, RequestError::World { .. }), "{world}");
    let other = abd.run(&mutant(WorldName::Swarm, "no-such"), 0, &GO_ON).unwrap_err();
    assert!(other.to_string().contains("no-write-back, tag-per-node"), "{other}");
    let cases = abd.cases().len();
    for case in [0, cases + 1] {
        assert!(matches!(abd.explore(case, None, &Limits::default()), Err(RequestError::Case { .. })));
    }
}

// Every case holds, and each mutant is found by one of them. (Raft's: see `raft_cases.rs`.)
#[test]
fn the_cases_of_the_model_world_hold_and_find_every_mutant() {
    let abd = find("abd").expect("it is there");
    let cases = abd.cases().len();
    for case in 1..=cases {
        let exploration = abd.explore(case, None, &Limits::default()).unwrap();
        assert!(exploration.holds(), "case {case}: {:?}", exploration.violation);
    }
    for (name, _) in abd.mutants() {
        let finds = |case| !abd.explore(case, Some(name), &Limits::default()).unwrap().holds();
        assert!((1..=cases).any(finds), "{name} survives");
    }
}
