//! Small cases exhausted, their states counted; mistakes found; limits admitted.

mod nodes_alike;
mod toy;

use super::transition::everything_reachable;
use super::walk::walk_once;
use super::*;
use shakedown_checkers::history::Outcome;
use shakedown_impls::mutants::Mutants;
use shakedown_impls::protocol::NodeId;
use shakedown_impls::replication::leaderless::abd::{Abd, Config, Mutant, Op, Ret};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const READ: Op = Op::Read { key: 1 };
const NONE: Budget = Budget { crashes: 0, losses: 0, duplications: 0, firings: 0, timeouts: 0, repeats: 0 };
const ONE_CRASH: Budget = Budget { crashes: 1, ..NONE };

fn write(value: u64) -> Op {
    Op::Write { key: 1, value }
}

fn at(node: u16, op: Op) -> (NodeId, Op) {
    (NodeId(node), op)
}

/// Nodes that never send again of their own accord.
fn cluster(nodes: u16) -> Case<Abd> {
    Case::new(nodes, Config { resend_after: None, ..Config::new(nodes) })
}

/// One client writes at node 0 while another reads at node 1.
fn write_and_read(nodes: u16) -> Case<Abd> {
    cluster(nodes).client([at(0, write(5))]).client([at(1, READ)])
}

/// A client writes at node 0, then reads at node 2.
fn write_then_read() -> Case<Abd> {
    cluster(3).client([at(0, write(5)), at(2, READ)])
}

/// While one client writes, another reads at node 1 and then at node 2.
fn write_and_two_reads() -> Case<Abd> {
    cluster(3).client([at(0, write(5))]).client([at(1, READ), at(2, READ)])
}

/// Two clients write at the same node; one of them reads at both others afterwards.
fn two_writes_and_two_reads() -> Case<Abd> {
    cluster(3).client([at(0, write(5))]).client([at(0, write(6)), at(1, READ), at(2, READ)])
}

fn with(mutant: Mutant, mut case: Case<Abd>) -> Case<Abd> {
    case.config.mutants = Mutants::only(mutant);
    case
}

#[track_caller]
fn exhausts(case: &Case<Abd>, unique_states: usize) {
    let exploration = explore(case, &Limits::default());
    assert!(exploration.violation.is_none(), "{}", exploration.violation.unwrap());
    assert_eq!(exploration.unseen().collect::<Vec<_>>(), [""; 0]);
    assert_eq!(exploration.extent, Extent::Exhaustive { unique_states });
    assert!(exploration.is_proof());
}

// A count that changes says that the protocol or the rules have: look which before you change it.
#[test]
fn without_trouble() {
    exhausts(&write_and_read(2), 48);
    exhausts(&write_and_read(3), 6_580);
    exhausts(&write_then_read(), 1_555);
    exhausts(&write_and_two_reads(), 199_360);
}

#[test]
fn with_a_crash() {
    exhausts(&write_and_read(2).budget(ONE_CRASH), 374);
    exhausts(&write_and_read(3).budget(ONE_CRASH), 66_449);
    exhausts(&write_then_read().budget(ONE_CRASH), 13_701);
    exhausts(&write_then_read().budget(Budget { crashes: 2, ..NONE }), 63_772);
}

#[test]
fn with_a_message_lost_and_one_repeated() {
    let budget = Budget { losses: 1, duplications: 1, ..NONE };
    exhausts(&write_and_read(2).budget(budget), 629);
    exhausts(&write_then_read().budget(budget), 39_815);
}

// Two nodes: both must answer, so an operation whose message is lost ends only if it is sent again. To
// send again to the only other node is to repeat a message: as many states as with one repeated.
#[test]
fn with_a_message_lost_and_sent_again() {
    let mut case = write_and_read(2).budget(Budget { losses: 1, firings: 1, ..NONE });
    case.config = Config::new(2);
    exhausts(&case, 629);
}

// The coordinator crashes and takes the write with it; its client reads at another node meanwhile.
#[test]
fn with_a_crash_and_a_client_that_gives_up() {
    let budget = Budget { crashes: 1, timeouts: 1, ..NONE };
    exhausts(&write_then_read().budget(budget), 54_393);
}

// Known: the register does again what it is asked again, and a write that comes back covers a later
// one. The boundary lets requests arrive again, so clients of the register must not send them again.
#[test]
fn a_write_that_arrives_again_is_done_again() {
    let script = [at(0, write(5)), at(0, write(6)), at(0, READ)];
    let case = cluster(2).client(script).budget(Budget { repeats: 1, ..NONE });
    let exploration = explore(&case, &Limits::default());
    assert_eq!(exploration.violation.expect("it is found").finding, Finding::Refuted);
    assert!(explore(&cluster(2).client(script), &Limits::default()).is_proof());
}

#[test]
fn a_request_may_arrive_when_its_client_has_given_it_up() {
    let case = cluster(1).client([at(0, write(5)), at(0, write(6)), at(0, READ)]);
    let case = case.budget(Budget { timeouts: 1, ..NONE });
    exhausts(&case, 16);
    let states = everything_reachable(&case, |_, _| vec![]);
    let sees = |value| {
        let answer = ClientEvent::Answered { client: 0, op: 2, ret: Ret::Value(Some(value)) };
        states.iter().any(|state| state.history.iter().any(|event| *event == answer))
    };
    assert!(sees(5) && sees(6), "the first write arrives after the second, too");
}

#[test]
fn the_order_of_the_search_makes_no_difference_to_what_there_is() {
    let limits = Limits { order: Order::Depth, ..Limits::default() };
    let exploration = explore(&write_and_read(3), &limits);
    assert_eq!(exploration.extent, Extent::Exhaustive { unique_states: 6_580 });
    assert!(exploration.holds());
}

// Counted without fingerprints and without stateright.
#[test]
fn no_two_states_are_taken_for_one() {
    let case = write_and_read(2).budget(Budget { crashes: 1, losses: 1, ..NONE });
    let states = everything_reachable(&case, |_, _| vec![]);
    let exploration = explore(&case, &Limits::default());
    assert_eq!(exploration.extent, Extent::Exhaustive { unique_states: states.len() });
}

// The rules leave out crashes within a step that make no difference; here they are put back in.
#[test]
fn clients_see_nothing_new_when_steps_are_cut_anywhere() {
    let case = write_and_read(2).budget(ONE_CRASH);
    let histories =
        |states: Vec<State<Abd>>| -> BTreeSet<_> { states.into_iter().map(|state| state.history).collect() };
    let all_cuts = everything_reachable(&case, |state, action| match action {
        Action::Step { node, input, cut: None } if state.left.crashes > 0 => {
            (0..6).map(|cut| Action::Step { node: *node, input: input.clone(), cut: Some(cut) }).collect()
        }
        Action::Recover { node, cut: None } if state.left.crashes > 0 => {
            (0..3).map(|cut| Action::Recover { node: *node, cut: Some(cut) }).collect()
        }
        _ => vec![],
    });
    let few_cuts = everything_reachable(&case, |_, _| vec![]);
    assert!(all_cuts.len() > few_cuts.len(), "it is a difference to nodes");
    assert_eq!(histories(all_cuts), histories(few_cuts));
}

#[track_caller]
fn finds(mutant: Mutant, case: Case<Abd>, sentence: &str) {
    let exploration = explore(&with(mutant, case.clone()), &Limits::default());
    let violation = exploration.violation.as_ref().expect("it is found");
    assert_eq!(violation.finding, Finding::Refuted);
    assert!(violation.sentences().iter().any(|said| said.contains(sentence)), "{violation}");
    assert!(!violation.steps.is_empty());
    assert!(!exploration.holds() && exploration.extent.to_string().starts_with("bounded: stopped at "));
    assert!(explore(&case, &Limits::default()).is_proof(), "it is the mutant's fault");
}

#[test]
fn a_read_without_write_back_is_found() {
    finds(Mutant::NoWriteBack, write_and_two_reads(), "No operation can have brought nil back");
}

#[test]
fn an_acknowledgement_before_the_record_is_durable_is_found() {
    let case = write_then_read().budget(ONE_CRASH);
    finds(Mutant::AckBeforeDurable, case, "No operation can have brought nil back");
}

#[test]
fn quorums_that_do_not_meet_are_found() {
    finds(Mutant::QuorumOfHalf, write_then_read_of(2), "No operation can have brought nil back");
}

fn write_then_read_of(nodes: u16) -> Case<Abd> {
    cluster(nodes).client([at(0, write(5)), at(1, READ)])
}

// Too large to exhaust in a test: walks find the mistake, and as many find none without it.
#[test]
fn tags_that_two_writes_share_are_found() {
    let walks = Walks { walks: 2_000, steps_max: 60, seed: 1 };
    let found = walk(&with(Mutant::TagPerNode, two_writes_and_two_reads()), &walks, &Limits::default());
    assert_eq!(found.violation.expect("it is found").finding, Finding::Refuted);
    let clean = walk(&two_writes_and_two_reads(), &walks, &Limits::default());
    assert!(clean.holds(), "{:?}", clean.violation);
    assert!(!clean.is_proof());
    assert_eq!(clean.extent.to_string(), "bounded: 2000 walks of at most 60 steps, seed 1");
}

#[test]
fn one_seed_is_one_path() {
    let case = two_writes_and_two_reads().budget(Budget { crashes: 1, losses: 1, ..NONE });
    let path = |seed| walk_once(&World::new(case.clone()), seed, 40, &mut |_| ()).0;
    let first = path(7);
    // Another world in between: nothing is left over from it.
    assert_ne!(first, path(8));
    assert_eq!(first, path(7));

    let walks = Walks { walks: 10_000, steps_max: 60, seed: 3 };
    let found = || {
        let exploration = walk(&with(Mutant::NoWriteBack, write_and_two_reads()), &walks, &Limits::default());
        (exploration.extent, exploration.violation.expect("it is found").to_string())
    };
    assert_eq!(found(), found());
}

// Sixty random steps at most, many of them beside the point; breadth first finds a shortest path, or
// one that is about as short.
#[test]
fn a_path_to_a_violation_is_shortened() {
    let case = with(Mutant::NoWriteBack, write_and_two_reads());
    let searched = explore(&case, &Limits::default()).violation.expect("it is found");
    assert_eq!(searched.steps.len(), 9);
    for seed in 0..5 {
        let walks = Walks { walks: 100_000, steps_max: 60, seed };
        let walked = walk(&case, &walks, &Limits::default()).violation.expect("it is found");
        assert!((9..=11).contains(&walked.steps.len()), "{walked}");
        assert_eq!(walked.finding, Finding::Refuted);
    }
}

#[test]
fn a_search_that_reached_a_limit_says_so() {
    let bounded = |limits: Limits| {
        let exploration = explore(&write_and_read(3), &limits);
        assert!(exploration.violation.is_none());
        assert!(!exploration.is_proof());
        match exploration.extent {
            Extent::Bounded { unique_states, depth, stop, .. } => (unique_states, depth, stop),
            other => panic!("{other}"),
        }
    };
    let limits = Limits::default;
    let (states, _, stop) = bounded(Limits { states_max: 1_000, ..limits() });
    assert_eq!(stop, Stop::States);
    assert!((1_000..6_580).contains(&states), "{states}");
    let (_, depth, stop) = bounded(Limits { depth_max: Some(5), ..limits() });
    assert_eq!((depth, stop), (5, Stop::Depth));
    let (states, depth, stop) = bounded(Limits { time_max: Some(Duration::ZERO), ..limits() });
    assert_eq!((states, depth, stop), (1, 0, Stop::Time));
    // A limit that is just not exceeded is none.
    let wide = Limits { states_max: 6_580, depth_max: Some(100), ..Limits::default() };
    assert!(explore(&write_and_read(3), &wide).is_proof());
}

#[test]
fn a_search_that_is_stopped_says_so_and_time_ends_walks() {
    let stop = Some(Arc::new(AtomicBool::new(true)));
    let progress = Arc::new(AtomicU64::new(0));
    let limits = Limits { stop, progress: Some(Arc::clone(&progress)), ..Limits::default() };
    let stopped = explore(&write_and_read(3), &limits);
    assert!(matches!(stopped.extent, Extent::Bounded { stop: Stop::Interrupted, .. }), "{}", stopped.extent);
    let walks = Walks { walks: 100, steps_max: 60, seed: 1 };
    let walked = |limits: &Limits| match walk(&two_writes_and_two_reads(), &walks, limits).extent {
        Extent::Walked { walks, .. } => walks,
        other => panic!("{other}"),
    };
    assert_eq!((walked(&limits), progress.load(Ordering::Relaxed)), (0, 0));
    assert_eq!(walked(&Limits { time_max: Some(Duration::ZERO), ..Limits::default() }), 0);
    let limits = Limits { stop: None, ..limits };
    assert_eq!((walked(&limits), progress.load(Ordering::Relaxed)), (100, 100));
    explore(&write_and_read(3), &limits);
    assert_eq!(progress.load(Ordering::Relaxed), 100 + 6_580);
}

#[test]
fn an_exploration_in_which_nothing_could_go_wrong_does_not_hold() {
    let exploration = explore(&cluster(2).client([at(0, write(5))]), &Limits::default());
    assert!(exploration.violation.is_none());
    assert_eq!(exploration.unseen().collect::<Vec<_>>(), ["an answer shows what another operation did"]);
    assert!(!exploration.holds());
}

#[test]
fn events_that_are_not_ordered_by_time_are_ordered_by_client() {
    let invoked = |client| ClientEvent::Invoked { client, op: 0 };
    let answered = |client| ClientEvent::Answered { client, op: 0, ret: Ret::Written };
    let events = |all: &[ClientEvent<Ret>]| {
        let mut events = Events::new();
        all.iter().for_each(|event| events.push(event.clone()));
        events
    };
    let sorted = [invoked(0), invoked(1), answered(0), answered(1), invoked(2)];
    let shuffled = [invoked(1), invoked(0), answered(1), answered(0), invoked(2)];
    assert_eq!(events(&sorted), events(&shuffled));
    // But an answer before an invocation stays before it.
    let apart = [invoked(1), answered(1), invoked(0), answered(0), invoked(2)];
    assert_ne!(events(&sorted), events(&apart));
    assert_eq!(events(&apart).iter().next(), Some(&invoked(1)));
}

#[test]
fn a_client_that_gave_up_goes_on_as_another_process() {
    let case = write_then_read();
    let mut events = Events::new();
    events.push(ClientEvent::Invoked { client: 0, op: 0 });
    events.push(ClientEvent::Invoked { client: 0, op: 1 });
    events.push(ClientEvent::Answered { client: 0, op: 1, ret: Ret::Value(Some(5)) });
    let history = record(&case, &events);
    let rows: Vec<_> = history.operations().map(|op| (op.process, op.f, op.outcome)).collect();
    assert_eq!(rows, [(0, "write", Outcome::Info), (1, "read", Outcome::Ok)]);
}
