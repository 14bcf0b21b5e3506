//! Small clusters for the model world.
//!
//! The paper's algorithm and nothing else, but for the last: no PreVote, no CheckQuorum, no batches, each of
//! which only adds messages or timers. Leases are not for this world, in which time does not flow. Which
//! timers go off each case says; heartbeats only do where it needs one.
//!
//! What is looked at as a whole is `all`, what is not is `nearest` or `some`: see
//! `workloads/tests/raft_cases.rs` for the counts, and for which case finds which mistake.

use super::invariants::{commits_later, invariants, two_lead};
use crate::catalogue::{Search, Small};
use crate::world::model::{self, Budget, Case, Happening, State, Walks};
use shakedown_impls::mutants::Mutants;
use shakedown_impls::object::register;
use shakedown_impls::protocol::{NodeId, Protocol};
use shakedown_impls::replication::raft::{Change, Config, Limits, Msg, Mutant, Op, Raft, Registers, Timer};

type Cluster = Raft<Registers>;
type Envelope = model::Envelope<<Cluster as Protocol>::Msg>;
type Ask = (NodeId, Op<register::Op>);

const NONE: Budget = Budget { crashes: 0, losses: 0, duplications: 0, firings: 0, timeouts: 0, repeats: 0 };

fn write(node: u16, value: u64) -> Ask {
    (NodeId(node), Op::Command(register::Op::Write { key: 1, value }))
}

fn read(node: u16) -> Ask {
    (NodeId(node), Op::Command(register::Op::Read { key: 1 }))
}

fn change(node: u16, change: Change) -> Ask {
    (NodeId(node), Op::Change(change))
}

fn elected(node: u16) -> Happening<Cluster> {
    Happening::timer(NodeId(node), Timer::Election)
}

fn election(_: NodeId, timer: &Timer) -> bool {
    *timer == Timer::Election
}

/// So many nodes and nothing but the paper's algorithm.
fn cluster(nodes: u16, mutants: Mutants<Mutant>) -> Case<Cluster> {
    of(Config { mutants, ..Config::plain(nodes) })
}

fn of(config: Config) -> Case<Cluster> {
    Case::new(config.nodes, config).always(invariants()).firing(election)
}

fn all(about: &'static str, case: Case<Cluster>) -> Small<Cluster> {
    Small { about, case, search: Search::Everything }
}

fn nearest(about: &'static str, states_max: usize, case: Case<Cluster>) -> Small<Cluster> {
    Small { about, case, search: Search::Nearest(states_max) }
}

fn some(about: &'static str, walks: u64, steps_max: usize, case: Case<Cluster>) -> Small<Cluster> {
    Small { about, case, search: Search::Walks(Walks { walks, steps_max, seed: 1 }) }
}

/// All of them, by what they are about.
pub(super) fn cases(mutants: Mutants<Mutant>) -> Vec<Small<Cluster>> {
    let mut cases = elections(mutants);
    cases.extend(alone(mutants));
    cases.extend(replication(mutants));
    cases.extend(snapshots(mutants));
    cases.extend(membership(mutants));
    cases.extend(at_large(mutants));
    cases
}

/// Elections, and nobody asks for anything.
fn elections(mutants: Mutants<Mutant>) -> Vec<Small<Cluster>> {
    let three = [NodeId(0), NodeId(1), NodeId(2)];
    let firings = |firings| Budget { firings, ..NONE };
    vec![
        all(
            "2 nodes: three election timers go off",
            cluster(2, mutants).budget(firings(3)).remarks("elected"),
        ),
        all(
            "3 nodes: two election timers go off",
            two_leaders(cluster(3, mutants).budget(firings(2))).interchangeable(three),
        ),
        all(
            "3 nodes, one of which may crash at any point: two election timers go off",
            two_leaders(cluster(3, mutants).budget(Budget { crashes: 1, ..firings(2) }))
                .interchangeable(three),
        ),
        all(
            "3 nodes, the second lacks an entry: the timers of the others go off",
            cluster(3, mutants)
                .after(
                    elected(0).only("those of the first and the third", |e| {
                        e.to != NodeId(1) && e.from != NodeId(1)
                    }),
                )
                .after(elected(1))
                .firing(|node, timer| node != NodeId(1) && *timer == Timer::Election)
                .budget(firings(2))
                .remarks("elected"),
        ),
        nearest(
            "3 nodes, the first has a vote under way: two election timers go off",
            50_000,
            cluster(3, mutants)
                .after(elected(0).but_late("those to the second", |e| e.to == NodeId(1)))
                .firing(|node, timer| node != NodeId(1) && *timer == Timer::Election)
                .budget(firings(2))
                .remarks("elected"),
        ),
        all(
            "5 nodes, one has been elected, another has a vote under way: a message comes twice",
            cluster(5, mutants)
                .after(elected(3).but_late("those to the fifth", |e| e.to == NodeId(4)))
                .after(
                    elected(0)
                        .but_late("those among the first three", |e| e.to < NodeId(3) && e.from < NodeId(3)),
                )
                .budget(Budget { duplications: 1, ..NONE })
                .interchangeable([NodeId(1), NodeId(2)]),
        ),
        all(
            "3 nodes, two of which may crash, and a vote under way: the first has led and taken a write alone",
            cluster(3, mutants)
                .client([write(0, 5)])
                .client([write(2, 6)])
                .after(
                    elected(2)
                        .but_late("none", |_| false)
                        .losing("those to the first", |e| e.to == NodeId(0)),
                )
                .after(
                    elected(0)
                        .but_late("those about votes of the first two", |e| {
                            is_about_votes(e) && e.from != NodeId(2) && e.to != NodeId(2)
                        })
                        .losing("those of the first", |e| e.from == NodeId(0)),
                )
                .after(
                    Happening::request(0)
                        .but_late("none", |_| false)
                        .losing("those of the first", |e| e.from == NodeId(0)),
                )
                .firing(|node, timer| node == NodeId(0) && *timer == Timer::Election)
                .budget(Budget { crashes: 2, ..firings(1) })
                .in_vain(),
        ),
        nearest(
            "3 nodes: three election timers go off",
            150_000,
            two_leaders(cluster(3, mutants).budget(firings(3))).interchangeable(three),
        ),
    ]
}

/// One node is a cluster, too.
fn alone(mutants: Mutants<Mutant>) -> Vec<Small<Cluster>> {
    let config = Config { limits: compacting(), mutants, ..Config::plain(1) };
    vec![
        all(
            "1 node, which may crash at any point: a write, then a read",
            cluster(1, mutants)
                .client([write(0, 5), read(0)])
                .budget(Budget { firings: 2, crashes: 1, ..NONE })
                .showing_effect(),
        ),
        all(
            "1 node that compacts, may crash, and hears a request again: two writes, then a read",
            of(config)
                .client([write(0, 5), write(0, 6), read(0)])
                .after(elected(0))
                .budget(Budget { firings: 1, crashes: 1, repeats: 1, ..NONE })
                .showing_effect(),
        ),
    ]
}

/// A leader, those who follow it, and the next leader.
fn replication(mutants: Mutants<Mutant>) -> Vec<Small<Cluster>> {
    let led = || cluster(3, mutants).after(elected(0));
    // The second leads, too, and the first does not know it.
    let led_twice =
        || led().after(elected(1).only("those of the others", |e| e.to != NodeId(0) && e.from != NodeId(0)));
    let firings = |firings| Budget { firings, ..NONE };
    vec![
        all(
            "3 nodes, two of which lead: a write at the first while another client reads at the second",
            led_twice().client([write(0, 5)]).client([read(1)]).showing_effect(),
        ),
        all(
            "3 nodes, two of which lead, and one's heartbeat is due: a write at the first, then a read at \
             the second",
            led_twice()
                .client([write(0, 5), read(1)])
                .firing(|_, timer| *timer == Timer::Heartbeat)
                .budget(firings(1))
                .showing_effect(),
        ),
        all(
            "3 nodes, two of which lead: a write at the second, then a read at the first",
            led_twice()
                .client([write(1, 5), read(0)])
                .firing(second_is_heard_of)
                .budget(firings(1))
                .showing_effect(),
        ),
        all(
            "3 nodes, one has just been elected: a read there of what the leader before has written",
            led()
                .client([write(0, 5), read(1)])
                .after(Happening::request(0))
                .after(elected(1).but_late("those about votes", is_about_votes))
                .showing_effect(),
        ),
        all(
            "3 nodes, one of which may crash at any point: a write at the leader, and another is elected",
            commits_in_later_term(led().client([write(0, 5)]))
                .firing(second_is_elected)
                .budget(Budget { crashes: 1, ..firings(1) }),
        ),
        all(
            "3 nodes, the first has led and taken two writes alone: another election",
            led()
                .client([write(0, 5)])
                .client([write(0, 6)])
                .after(Happening::request(0).only("none", |_| false))
                .after(Happening::request(1).only("none", |_| false))
                .after(elected(1).only("those about votes, and none to the first", |e| {
                    is_about_votes(e) || e.to != NodeId(0)
                }))
                .firing(|node, timer| node != NodeId(1) && *timer == Timer::Election)
                .budget(firings(1))
                .remarks("conflict-truncated"),
        ),
        nearest("3 nodes: Figure 8, one entry in a message", 200_000, {
            let limits = Limits { entries_per_message: 1, ..Limits::default() };
            of(Config { limits, mutants, ..Config::plain(3) })
                .client([write(0, 5)])
                .after(elected(0))
                .after(Happening::request(0).only("none", |_| false))
                .after(elected(1).only("those about votes", is_about_votes))
                .after(elected(0).only("those about votes", is_about_votes))
                .firing(|node, timer| match timer {
                    Timer::Heartbeat => node == NodeId(0),
                    _ => second_is_elected(node, timer),
                })
                .budget(firings(2))
                .remarks("conflict-truncated")
        }),
        nearest(
            "5 nodes, the first leads again, after another: an answer to what it said before is late",
            50_000,
            cluster(5, mutants)
                .client([write(0, 5)])
                .client([write(0, 6)])
                .after(elected(0))
                .after(Happening::request(0).only("those to the second", |e| e.to == NodeId(1)))
                .after(
                    Happening::request(1)
                        .but_late("those to the second", |e| e.to == NodeId(1))
                        .losing("those to the others", |e| e.from == NodeId(0)),
                )
                .after(
                    elected(2)
                        .but_late("all but requests and what the second has to say to the first", |e| {
                            (e.from, e.to) != (NodeId(1), NodeId(0)) && !is_request(e)
                        })
                        .losing("requests", is_request),
                )
                .after(
                    elected(0)
                        .but_late("those about votes", is_about_votes)
                        .losing("those of the first but to the third", |e| {
                            e.from == NodeId(0) && e.to != NodeId(2)
                        }),
                )
                .firing(|node, timer| node == NodeId(3) && *timer == Timer::Election)
                .budget(firings(1))
                .in_vain(),
        ),
        nearest(
            "3 nodes: two writes at the leader, a message comes twice, and another is elected",
            150_000,
            led()
                .client([write(0, 5), write(0, 6)])
                .firing(second_is_elected)
                .budget(Budget { duplications: 1, ..firings(1) }),
        ),
        nearest(
            "3 nodes: a write at the leader while another client reads where the next is elected",
            150_000,
            commits_in_later_term(led().client([write(0, 5)]).client([read(1)]))
                .firing(second_is_elected)
                .budget(firings(1))
                .showing_effect(),
        ),
    ]
}

/// What is compacted, and those who lack it.
fn snapshots(mutants: Mutants<Mutant>) -> Vec<Small<Cluster>> {
    // The third has heard of nothing when the case begins, and of what it lacks there is only a snapshot.
    let lagging = |limits| {
        let without: fn(&Envelope) -> bool = |e| e.to != NodeId(2) && e.from != NodeId(2);
        of(Config { limits, mutants, ..Config::plain(3) })
            .after(elected(0).only("those of the first and the second", without))
            .firing(|node, timer| node == NodeId(0) && *timer == Timer::Heartbeat)
            .remarks("snapshot-installed")
    };
    let in_two_parts = Limits { snapshot_chunk_bytes: 4, ..compacting() };
    vec![
        all(
            "2 nodes that compact, one of which may crash at any point: two writes at a time",
            of(Config { limits: compacting(), mutants, ..Config::plain(2) })
                .client([write(0, 5)])
                .client([write(0, 6)])
                .after(elected(0))
                .budget(Budget { crashes: 1, ..NONE }),
        ),
        all(
            "3 nodes that compact, the third lacks everything: a write, and a message comes twice",
            lagging(compacting()).client([write(0, 5)]).budget(Budget {
                firings: 1,
                duplications: 1,
                ..NONE
            }),
        ),
        all(
            "3 nodes, the third is sent a snapshot in parts, of which one comes twice",
            lagging(in_two_parts).budget(Budget { firings: 1, duplications: 1, ..NONE }),
        ),
    ]
}

/// Who the members are changes, and not everybody knows it yet.
fn membership(mutants: Mutants<Mutant>) -> Vec<Small<Cluster>> {
    let started = |nodes, voters: &[u16]| {
        let voters = voters.iter().copied().map(NodeId).collect();
        of(Config { voters, mutants, ..Config::plain(nodes) }).after(elected(0)).remarks("config-changed")
    };
    let learner = |node| change(0, Change::AddLearner(NodeId(node)));
    let voter = |node| change(0, Change::Promote(NodeId(node)));
    let leaves = |at, node| change(at, Change::Remove(NodeId(node)));
    let firings = |firings| Budget { firings, ..NONE };
    vec![
        all(
            "3 voters and a learner: it is to vote, while another leader is elected",
            two_leaders(started(4, &[0, 1, 2]).client([learner(3), voter(3)]))
                .after(Happening::request(0))
                .firing(second_is_elected)
                .budget(firings(1)),
        ),
        all(
            "3 nodes: two are to leave at the same time, while one of them is elected",
            two_leaders(started(3, &[0, 1, 2]).client([leaves(0, 2)]).client([leaves(0, 1)]))
                .firing(second_is_elected)
                .budget(firings(1)),
        ),
        all(
            "3 nodes: two are to leave at once, while one of them is elected",
            two_leaders(started(3, &[0, 1, 2]).client([change(0, Change::SetVoters([NodeId(0)].into()))]))
                .firing(second_is_elected)
                .budget(firings(1)),
        ),
        all(
            "1 node that compacts and has handed over to another: it may crash, and its timer goes off",
            of(Config { voters: vec![NodeId(0)], limits: compacting(), mutants, ..Config::plain(2) })
                .client([learner(1), voter(1), leaves(0, 0)])
                .client([write(1, 5)])
                .after(elected(0))
                .after(Happening::request(0))
                .after(Happening::request(0))
                .after(Happening::request(0))
                .firing(|node, timer| node == NodeId(0) && *timer == Timer::Election)
                .budget(Budget { crashes: 1, ..firings(1) }),
        ),
        all(
            "1 node that has become 3, led by the second: the first may crash and be elected, and a write",
            started(3, &[0])
                .client([learner(1), voter(1), learner(2), voter(2)])
                .client([write(1, 5)])
                .after(Happening::request(0))
                .after(Happening::request(0))
                .after(Happening::request(0))
                .after(Happening::request(0))
                .after(elected(1))
                .firing(|node, timer| node == NodeId(0) && *timer == Timer::Election)
                .budget(Budget { crashes: 1, ..firings(1) }),
        ),
        all(
            "3 voters and 2 learners, two of which lead: a write at the first",
            started(5, &[0, 1, 2])
                .client([learner(3), learner(4), write(0, 5)])
                .after(Happening::request(0))
                .after(Happening::request(0))
                .after(elected(1).only("those among the second and the third", |e| {
                    e.to != NodeId(0) && e.from != NodeId(0) && e.to < NodeId(3)
                }))
                .in_vain()
                .interchangeable([NodeId(3), NodeId(4)]),
        ),
        all(
            "3 nodes, one of which has left and come back with an empty disk: its answers of before are late",
            started(3, &[0, 1, 2])
                .client([leaves(0, 2), learner(2), voter(2)])
                .client([write(0, 5)])
                .after(Happening::request(1).but_late("those of the first two", |e| e.from != NodeId(2)))
                .after(Happening::request(0).but_late("those of the first two", |e| e.from != NodeId(2)))
                .after(Happening::replacement(NodeId(2)))
                .after(Happening::request(0).but_late("those of the first two", |e| e.from != NodeId(2)))
                .firing(|node, timer| node == NodeId(0) && *timer == Timer::Heartbeat)
                .budget(firings(1)),
        ),
        nearest(
            "4 nodes, two of which have been elected: each is to remove a node before it can know what is \
             committed",
            50_000,
            of(Config { mutants, ..Config::plain(4) })
                .client([leaves(0, 3)])
                .client([leaves(2, 0)])
                .after(elected(0).only("those about votes", is_about_votes))
                .after(Happening::request(0).only("none", |_| false))
                .after(elected(2).but_late("those about votes", is_about_votes))
                .firing(|node, timer| node == NodeId(0) && *timer == Timer::Election)
                .budget(firings(1)),
        ),
    ]
}

/// Too large to look at as a whole.
fn at_large(mutants: Mutants<Mutant>) -> Vec<Small<Cluster>> {
    let trouble = Budget { crashes: 1, losses: 2, duplications: 1, firings: 16, timeouts: 0, repeats: 1 };
    let everything = Config { limits: compacting(), mutants, ..Config::new(3) };
    vec![some(
        "3 nodes with everything that is optional, and every trouble: two clients, random paths",
        5_000,
        400,
        Case::new(3, everything)
            .always(invariants())
            .client([write(0, 5), read(1)])
            .client([write(1, 6), read(2)])
            .budget(trouble)
            .showing_effect()
            .remarks("elected")
            .remarks("snapshot-installed"),
    )]
}

/// Everything that is applied is compacted at once.
fn compacting() -> Limits {
    Limits { snapshot_after: 1, log_kept: 0, ..Limits::default() }
}

fn second_is_elected(node: NodeId, timer: &Timer) -> bool {
    node == NodeId(1) && *timer == Timer::Election
}

fn second_is_heard_of(node: NodeId, timer: &Timer) -> bool {
    node == NodeId(1) && *timer == Timer::Heartbeat
}

fn is_request(envelope: &Envelope) -> bool {
    matches!(envelope.msg, Msg::Forward { .. })
}

fn is_about_votes(envelope: &Envelope) -> bool {
    matches!(envelope.msg, Msg::RequestVote { .. } | Msg::Vote { .. })
}

fn two_leaders(case: Case<Cluster>) -> Case<Cluster> {
    case.remarks("elected").sometimes("two nodes lead at a time", |_, state| two_lead(&up(state)))
}

fn commits_in_later_term(case: Case<Cluster>) -> Case<Cluster> {
    case.sometimes("a leader of a later term commits", |_, state| commits_later(&up(state)))
}

fn up(state: &State<Cluster>) -> Vec<Option<&Cluster>> {
    state.nodes.iter().map(|node| node.up.as_ref()).collect()
}
