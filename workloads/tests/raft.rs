//! Raft in the worlds that take seeds: clean seeds of every workload, what has to happen in them, and
//! mistakes that are caught on seeds which the clean build passes.

use shakedown_workloads::catalogue::{Pattern, Request, RequestError, find};
use shakedown_workloads::hunt::hunt;
use shakedown_workloads::manner::StopFlag;
use shakedown_workloads::nemesis::Nemesis;
use shakedown_workloads::replay::Replay;
use shakedown_workloads::run::Ran;
use shakedown_workloads::world::WorldName;
use std::collections::BTreeMap;
use std::sync::LazyLock;

static GO_ON: LazyLock<StopFlag> = LazyLock::new(StopFlag::default);

fn raft() -> &'static dyn Pattern {
    find("raft").expect("it is in the catalogue")
}

fn ran(world: WorldName, seed: u64) -> Ran {
    raft().run(&Request::new(world), seed, &GO_ON).expect("it runs in worlds that take seeds")
}

/// Nothing is wrong with these seeds. What nodes remarked, and how often.
fn clean(world: WorldName, seeds: u64) -> BTreeMap<String, u64> {
    let mut notes: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..seeds {
        let ran = ran(world, seed);
        assert_eq!(ran.finding, None, "seed {seed} in the {} world", world.name());
        for (kind, count) in ran.outcome.notes {
            *notes.entry(kind).or_default() += count;
        }
    }
    notes
}

// The twins of the five properties and of linearizability: what they are about does happen.
#[test]
fn clean_seeds_pass_in_the_swarm_and_everything_happens() {
    let notes = clean(WorldName::Swarm, 600);
    let needed = [
        ("elected", 600),
        ("deposed", 100),
        ("conflict-truncated", 20),
        ("snapshot-installed", 20),
        ("config-changed", 100),
        ("transfer", 20),
        ("lease-expired", 20),
        ("read-index", 1_000),
    ];
    for (kind, least) in needed {
        assert!(notes.get(kind).copied().unwrap_or(0) >= least, "{kind}: {notes:?}");
    }
}

#[test]
fn clean_seeds_pass_on_simulated_sockets_and_disks() {
    let notes = clean(WorldName::Sim, 40);
    assert!(notes["elected"] > 40 && notes["read-index"] > 100, "{notes:?}");
}

// Each is caught within so many seeds (it takes a tenth of that, or less), and the clean build passes them.
#[test]
fn mistakes_are_caught_in_the_swarm() {
    let within = [
        ("vote-cleared-by-append", 400),
        ("answer-before-commit", 100),
        ("answer-booked-to-another", 100),
        ("truncate-on-append", 400),
        ("nothing-durable", 200),
        ("deposed-leader-answers", 200),
        ("leads-on-in-higher-term", 200),
        ("no-consistency-check", 1_500),
        ("commit-before-durable", 600),
        ("no-sessions", 100),
        ("sessions-lost-in-snapshot", 100),
        ("no-check-quorum", 800),
        ("local-read", 100),
        ("read-before-noop", 1_000),
        ("config-on-commit", 100),
    ];
    for (mutant, seeds) in within {
        let request = Request { mutant: Some(mutant.to_owned()), ..Request::new(WorldName::Swarm) };
        let found = hunt(raft(), &request, 0..seeds, 2, &GO_ON, &|_| ()).expect("it can make that mistake");
        let seed = found.failing.unwrap_or_else(|| panic!("{mutant} survives {seeds} seeds"));
        assert_eq!(ran(WorldName::Swarm, seed).finding, None, "seed {seed} without {mutant}");
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let told = |world, seed| {
        let ran = ran(world, seed);
        let rows: Vec<String> = ran.history().operations().map(|op| format!("{op:?}")).collect();
        (rows, format!("{:?}", ran.outcome.history.others()), ran.outcome.counts, ran.outcome.notes)
    };
    for (world, seeds) in [(WorldName::Swarm, 60), (WorldName::Sim, 6)] {
        for seed in 0..seeds {
            assert_eq!(told(world, seed), told(world, seed), "seed {seed} in the {} world", world.name());
        }
    }
}

// A workload is drawn by the seed, or asked for by name; a replay file says which it was.
#[test]
fn workloads_have_names() {
    let names: Vec<&str> = raft().workloads().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["register", "kv", "append-log", "set", "counter", "list-append"]);
    let asked = |workload: &str| Request {
        workload: Some(workload.to_owned()),
        mutant: Some("local-read".to_owned()),
        ..Request::new(WorldName::Swarm)
    };
    let request = asked("counter");
    let seed = hunt(raft(), &request, 0..500, 2, &GO_ON, &|_| ()).unwrap().failing.expect("it is caught");
    let failure = raft().fail(&request, seed, 300, &GO_ON).unwrap().expect("the seed fails");
    let text = failure.replay.text();
    assert!(text.contains("\"workload\": \"counter\""), "{text}");
    let read = Replay::parse(&text).expect("what is written can be read");
    assert_eq!(raft().replay(&read, WorldName::Swarm, &GO_ON).unwrap().finding, failure.ran.finding);
    let mut nameless = read;
    nameless.workload = None;
    let refused = raft().replay(&nameless, WorldName::Swarm, &GO_ON).unwrap_err();
    assert!(refused.to_string().contains("expected one of register, kv"), "{refused}");
    let refused = raft().run(&asked("queue"), 0, &GO_ON).unwrap_err();
    assert!(matches!(refused, RequestError::Workload { .. }), "{refused}");
}

// Administrators are written down, and not judged; leaders are struck by name.
#[test]
fn administrators_and_struck_leaders_are_in_the_history() {
    let only = |nemesis| Request { nemeses: Some(vec![nemesis]), ..Request::new(WorldName::Swarm) };
    let told = |nemesis| -> Vec<String> {
        let runs = (0..40).map(|seed| raft().run(&only(nemesis), seed, &GO_ON).unwrap());
        let names = |ran: Ran| {
            let history = &ran.outcome.history;
            history.others().iter().map(|event| history.function(event.f).to_owned()).collect::<Vec<_>>()
        };
        runs.flat_map(names).collect()
    };
    let administered = told(Nemesis::Membership);
    assert!(administered.iter().filter(|f| *f == "answer").count() > 50, "{administered:?}");
    let struck = told(Nemesis::Leader);
    // Who leads is known when the fault begins: from then on it is a fault of that node.
    for kind in ["start-crash", "start-split", "start-mute", "start-deaf", "start-pause"] {
        assert!(struck.iter().any(|f| f == kind), "{kind}: {struck:?}");
    }
}
