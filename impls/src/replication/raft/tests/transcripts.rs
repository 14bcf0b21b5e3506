//! Scenes to read: what nodes say and write, message by message, in `transcripts/`. Start with
//! `first_election.snap`.
//!
//! A scene is a fixed schedule, so its transcript is the same every time. If it changes, somebody has
//! changed what nodes do: run the test with `INSTA_UPDATE=always`, and read the difference before it is
//! committed.

use super::super::*;
use super::cluster::{Cluster, Envelope, READ, config, write};
use super::membership::{change, set_voters};
use super::replication::{figure_8_of, of_logs};
use crate::protocol::Durable;
use std::fmt::Write;

/// A cluster, and what is told of it.
struct Scene {
    cluster: Cluster,
    text: String,
}

impl Scene {
    /// What is to be seen, in two sentences.
    fn new(cluster: Cluster, about: &str) -> Scene {
        Scene { cluster, text: format!("{about}\n") }
    }

    /// Tells what has happened until now, and what comes next.
    fn say(&mut self, what: &str) {
        self.tell();
        writeln!(self.text, "\n# {what}").unwrap();
    }

    fn tell(&mut self) {
        for line in self.cluster.story.drain(..) {
            writeln!(self.text, "{line}").unwrap();
        }
    }

    /// The nodes' logs, as the paper draws them.
    fn logs(&mut self) {
        self.tell();
        self.text.push('\n');
        for node in (0..self.cluster.config.nodes).filter(|&n| self.cluster.nodes[usize::from(n)].is_some()) {
            let view = self.cluster.view(node);
            let role = match view.role() {
                RoleName::Leader => "leads",
                RoleName::Follower => "follows",
                RoleName::Candidate | RoleName::PreCandidate => "asks",
            };
            let terms: Vec<String> = self.cluster.terms(node).iter().map(u64::to_string).collect();
            let mut log = terms.join(" ");
            if view.log_base().index > Index(0) {
                log = format!("(up to {:?}) {log}", view.log_base());
            }
            let (term, committed) = (view.current_term(), view.commit_index());
            writeln!(self.text, "    n{node} {role:<7} in {term:?}  log {log:<28} committed {committed:?}")
                .unwrap();
        }
    }

    /// Delivers what is like that and what comes of it; all else is lost.
    fn only(&mut self, is_it: impl Fn(&Envelope<Registers>) -> bool) {
        self.cluster.deliver_if(is_it);
        self.lose();
    }

    fn among(&mut self, nodes: &[u16]) {
        self.only(|e| nodes.contains(&e.from) && nodes.contains(&e.to));
    }

    /// What is on its way is lost.
    fn lose(&mut self) {
        for Envelope { from, to, msg } in std::mem::take(&mut self.cluster.network) {
            self.cluster.story.push(format!("n{from} -x n{to} {msg:?}"));
        }
    }

    fn fire(&mut self, node: u16, timer: Timer) {
        self.cluster.fire(node, timer);
    }

    /// An election that nobody is told of.
    fn elect(&mut self, node: u16) {
        self.cluster.elect(node);
        self.cluster.fire(node, Timer::Heartbeat);
        self.cluster.deliver();
        self.cluster.story.clear();
    }

    fn at_ms(&mut self, ms: u64) {
        self.cluster.now = Time(ms * 1_000_000);
    }

    #[track_caller]
    fn is(mut self, name: &str) {
        self.tell();
        is(name, &self.text);
    }
}

#[track_caller]
fn is(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("transcripts");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn first_election() {
    let about = "Three nodes start, and the first that hears of no leader for an election timeout becomes one.\n\
        It asks whether it would win (PreVote), asks for votes in a new term, and begins the term with an entry.";
    let mut scene = Scene::new(Cluster::new(3), about);
    scene.say(
        "In all transcripts: `n0 -> n1` is heard by n1, `n0 -x n1` is lost; 7@t2 is the entry 7, of term 2;\n\
        # `after 7@t2 []` is a heartbeat; `writes` is durable before what comes of it leaves the node.",
    );
    scene
        .say("n0 is the first to lose patience. Nobody has promised anything yet, so all would vote for it.");
    scene.fire(0, Timer::Election);
    scene.cluster.deliver_if(|e| format!("{:?}", e.msg).contains("if it came to that"));
    scene.say("It would win, so it stands: its vote for itself is on disk before anybody hears of the term.");
    scene.cluster.deliver_if(|e| matches!(e.msg, Msg::RequestVote { .. } | Msg::Vote { .. }));
    scene.say(
        "It leads. Its first entry says nothing; when a majority has it, all before it is committed too.",
    );
    scene.cluster.deliver();
    scene.say("The next heartbeat tells the others that it is.");
    scene.fire(0, Timer::Heartbeat);
    scene.cluster.deliver();
    scene.logs();
    scene.is("first_election");
}

#[test]
fn split_vote() {
    let about = "Two of four nodes stand at the same time, and each gets two votes: three would be a majority.\n\
        Nobody leads in that term; whoever loses patience first stands in the next one (§5.2).";
    let config = Config { has_pre_vote: false, ..config(4) };
    let mut scene = Scene::new(Cluster::with(config), about);
    scene.say("n0 and n1 vote for themselves, n2 for n0, n3 for n1.");
    scene.fire(0, Timer::Election);
    scene.fire(1, Timer::Election);
    scene.cluster.deliver_if(|e| [(0, 2), (2, 0), (1, 3), (3, 1)].contains(&(e.from, e.to)));
    scene.say("The other requests come too late: each has voted.");
    scene.cluster.deliver();
    scene.logs();
    scene.say("Their timeouts are random, so one of them is first: n1. In a new term all are free again.");
    scene.fire(1, Timer::Election);
    scene.cluster.deliver();
    scene.logs();
    scene.is("split_vote");
}

#[test]
fn the_old_leader_comes_back() {
    let about = "A leader is cut off from the others and goes on taking commands, which it cannot commit.\n\
        The others elect another; when the first comes back, its tail is replaced by what was committed.";
    let mut scene = Scene::new(Cluster::new(3), about);
    scene.elect(0);
    scene.say("n0 leads and is cut off. It takes two commands that nobody else hears of.");
    scene.cluster.ask(0, write(7));
    scene.cluster.ask(0, write(8));
    scene.lose();
    scene.say(
        "n1 and n2 run out of patience: first with the leader, then with waiting for somebody to stand.",
    );
    (1..3).for_each(|node| scene.cluster.lose_patience(node));
    scene.fire(1, Timer::Election);
    scene.among(&[1, 2]);
    scene.say("They go on without n0.");
    scene.cluster.ask(1, write(9));
    scene.among(&[1, 2]);
    scene.logs();
    scene.say("The network heals. n0 says that it leads, and learns that it does not any more.");
    scene.fire(0, Timer::Heartbeat);
    scene.cluster.deliver();
    scene.say("The leader's heartbeat says what n0's log should hold. It does not: the leader goes back to\n\
        # where they may agree, and what conflicts there is cut off. What clients asked n0 for it sends to n1.");
    scene.fire(1, Timer::Heartbeat);
    scene.cluster.deliver();
    scene.logs();
    scene.is("the_old_leader_comes_back");
}

#[test]
fn figure_7() {
    let leader: &[u64] = &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let followers: [(&str, &[u64]); 6] = [
        ("(a) lacks an entry", &[1, 1, 1, 4, 4, 5, 5, 6, 6]),
        ("(b) lacks many", &[1, 1, 1, 4]),
        ("(c) has one more of the last term", &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]),
        ("(d) has two more, of a term that the leader has not seen", &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]),
        ("(e) lacks some and has two more", &[1, 1, 1, 4, 4, 4, 4]),
        ("(f) has eight of terms 2 and 3, which nobody else has seen", &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]),
    ];
    let mut text =
        "The six logs that a follower may have when a leader comes to power (Figure 7), and how each\n\
        becomes the leader's. n0 leads in term 8, n2 votes for it, and n1 is the follower in question.\n"
            .to_owned();
    for (name, log) in followers {
        let mut cluster = of_logs(&[leader, log, leader]);
        for node in 0..3 {
            cluster.disks[node].replay(&Record::HardState { current_term: Term(7), voted_for: None });
            cluster.restart(node as u16);
        }
        cluster.elect_among(0, &[0, 2]);
        cluster.story.clear();
        let mut scene = Scene { cluster, text: format!("\n# {name}\n") };
        scene.logs();
        scene.text.push('\n');
        scene.fire(0, Timer::Heartbeat);
        scene.cluster.deliver_if(|e| e.to == 1 || e.from == 1);
        scene.logs();
        assert_eq!(scene.cluster.terms(1), scene.cluster.terms(0));
        text.push_str(&scene.text);
    }
    is("figure_7", &text);
}

/// Figure 8 from (c) on, and what is committed then.
fn figure_8(config: Config, about: &str) -> Scene {
    let cluster = figure_8_of(config);
    let mut scene = Scene::new(cluster, about);
    scene.cluster.story.clear();
    scene.say("(c) n0 leads in term 4. n0, n1 and n2 have the entry of term 2, a majority of five, and n0 knows it.");
    scene.logs();
    scene.say(
        "(d) n0 crashes. n4, whose last entry is of term 3, is elected by n1, n2 and n3 (at the second try:\n\
        # it has to learn the term first), and what is not like its log goes.",
    );
    scene.cluster.stop(0);
    for _ in 0..2 {
        scene.fire(4, Timer::Election);
        scene.among(&[1, 2, 3, 4]);
    }
    scene.cluster.fire(4, Timer::Heartbeat);
    scene.among(&[1, 2, 3, 4]);
    scene.logs();
    scene
}

fn of_figure_8() -> Config {
    Config { has_pre_vote: false, has_check_quorum: false, ..config(5) }
}

#[test]
fn figure_8_without_a_mistake() {
    let about = "An entry of an earlier term is at a majority, and is replaced all the same (Figure 8).\n\
        No harm is done, because no leader has taken it for committed: it waits for an entry of its own term.";
    figure_8(of_figure_8(), about).is("figure_8");
}

// The same schedule.
#[cfg(feature = "mutants")]
#[test]
fn figure_8_with_the_mistake() {
    let about = "The same schedule as in `figure_8.snap`, with a leader that counts replicas of any term as committed.\n\
        What it has applied, and may have answered, is replaced: two nodes apply different commands at one place.";
    let mutants = Mutants::only(Mutant::CommitOldTerm);
    let mut scene = figure_8(Config { mutants, ..of_figure_8() }, about);
    let violation = scene.cluster.violation.clone().expect("it shows");
    scene.say(&format!("{violation}"));
    scene.is("figure_8_commit_old_term");
}

#[test]
fn a_snapshot_for_who_lags() {
    let about = "A follower was away for so long that the leader has compacted what it lacks (§7).\n\
        It gets the leader's snapshot, in chunks, and from there on the log.";
    let mut config = config(3);
    (config.limits.snapshot_after, config.limits.log_kept) = (4, 0);
    config.limits.snapshot_chunk_bytes = 12;
    let mut scene = Scene::new(Cluster::with(config), about);
    scene.elect(0);
    scene.say("n2 is away. The others commit four commands.");
    for value in 1..=4 {
        scene.cluster.run_among(0, write(value), &[0, 1]);
    }
    scene.cluster.story.retain(|line| line.contains("snapshot") || line.contains("answers"));
    scene.logs();
    scene.say(
        "n2 is back. It does not hold what the leader's heartbeat should follow on, nor does the leader\n\
        # hold what it lacks.",
    );
    scene.fire(0, Timer::Heartbeat);
    scene.cluster.deliver_if(|e| e.to == 2 || e.from == 2);
    scene.cluster.network.clear();
    scene.logs();
    scene.is("a_snapshot_for_who_lags");
}

#[test]
fn joint_consensus() {
    let about = "Voters n0, n1, n2 become n0, n3, n4, and no moment is there at which two majorities could decide\n\
        apart: first both sets must agree, and when that is committed, the new one alone (§6).";
    let mut config = config(5);
    config.voters.truncate(3);
    let mut scene = Scene::new(Cluster::with(config), about);
    scene.cluster.elect_among(0, &[0, 1, 2]);
    for node in [3, 4] {
        scene.cluster.run(0, change(Change::AddLearner(NodeId(node))));
    }
    scene.cluster.fire(0, Timer::Heartbeat);
    scene.cluster.deliver();
    scene.cluster.story.clear();
    scene.say("n3 and n4 get the log already, as learners. An administrator asks for the change.");
    scene.cluster.ask(0, set_voters([0, 3, 4]));
    scene.say("n3 and n4 have the entry: the new set agrees (with n0), the old one not yet.");
    scene.cluster.deliver_if(|e| e.to > 2 || e.from > 2);
    scene.logs();
    scene.say(
        "n1 has it too, and now both agree. The leader begins the second half at once, which the new\n\
        # set commits alone: n1 and n2 are not sent it.",
    );
    scene.cluster.deliver();
    scene.logs();
    scene.is("joint_consensus");
}

#[test]
fn read_index() {
    let about = "A read is answered from the leader's state without being logged, once a majority has said that it\n\
        still leads (thesis §6.4). A leader that does not know that it was deposed gets no majority, and says nothing.";
    let mut scene = Scene::new(Cluster::new(3), about);
    scene.elect(0);
    scene.cluster.run(0, write(7));
    scene.fire(0, Timer::Heartbeat);
    scene.cluster.deliver();
    scene.cluster.story.clear();
    scene.say(
        "A client asks n1, which sends the request on. n0 asks all others in a new round of heartbeats.",
    );
    scene.cluster.ask(1, READ);
    scene.cluster.deliver();
    scene.say("n0 is cut off; the others elect n1, and a write is committed.");
    (1..3).for_each(|node| scene.cluster.lose_patience(node));
    scene.fire(1, Timer::Election);
    scene.cluster.deliver_among(&[1, 2]);
    scene.cluster.run_among(1, write(8), &[1, 2]);
    scene.cluster.story.retain(|line| line.contains("elected") || line.contains("answers"));
    scene.say("n0 is asked. It takes itself for the leader, but answers nothing.");
    scene.cluster.ask(0, READ);
    scene.lose();
    scene.say("It hears of the next leader, and sends it what it holds.");
    scene.fire(1, Timer::Heartbeat);
    scene.cluster.deliver();
    scene.is("read_index");
}

#[test]
fn a_lease_that_expires() {
    let about = "With leases a leader answers reads at once, as long as a majority has lately promised to vote for nobody\n\
        (thesis §6.4.1). Elections take 100 ms at least, heartbeats come every 25, and clocks may drift by 5 %.";
    let reads = Reads::Lease { clock_drift_permille_max: 50 };
    let mut scene = Scene::new(Cluster::with(Config { reads, ..config(3) }), about);
    scene.elect(0);
    scene.say(
        "At 10 ms a round begins, and a majority answers at 12 ms. The lease counts from 10 ms, and lasts\n\
        # 100 ms · 0.95 / 1.05 - 25 ms = 65.5 ms.",
    );
    scene.at_ms(10);
    scene.fire(0, Timer::Heartbeat);
    scene.at_ms(12);
    scene.cluster.deliver();
    scene.say("Then n0 hears nothing more. At 75 ms it answers from its state.");
    scene.at_ms(75);
    scene.cluster.ask(0, READ);
    scene.say("At 76 ms it does not: it has to ask, and gets no answer. The others are free to vote from 107 ms on,\n\
        # by their own clocks, at the earliest.");
    scene.at_ms(76);
    scene.cluster.ask(0, READ);
    scene.lose();
    scene.is("a_lease_that_expires");
}

#[test]
fn leadership_transfer() {
    let about = "A leader hands over on request, without anybody's waiting for a timeout (thesis §3.10): it stops taking\n\
        commands, brings the target's log up to its own, and tells it to stand at once.";
    let mut scene = Scene::new(Cluster::new(3), about);
    scene.elect(0);
    scene.cluster.run_among(0, write(7), &[0, 1]);
    scene.cluster.story.clear();
    scene.say(
        "n2 lacks an entry. n0 is to hand over to it, and sends that first. A command that comes now waits.",
    );
    scene.cluster.ask(0, Op::Transfer(NodeId(2)));
    scene.cluster.ask(0, write(8));
    scene.fire(0, Timer::Heartbeat);
    scene.cluster.deliver_if(|e| !matches!(e.msg, Msg::TimeoutNow { .. }));
    scene.say(
        "n2 has all, and is told. Others vote although they hear from a leader: it is asked in its name.",
    );
    scene
        .cluster
        .deliver_if(|e| matches!(e.msg, Msg::TimeoutNow { .. } | Msg::RequestVote { .. } | Msg::Vote { .. }));
    scene.say(
        "n0 follows, and sends the next leader what it holds: the command, and the request to hand over,\n\
        # which is fulfilled.",
    );
    scene.cluster.deliver();
    scene.logs();
    scene.is("leadership_transfer");
}
