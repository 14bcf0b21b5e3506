//! Session guarantees, case by case and against their definitions.

use super::super::testing::*;
use super::*;
use crate::history::{EventKind, Outcome};
use crate::model::transcript::{history, keyed_history};
use crate::value::Values;
use std::collections::{BTreeMap, BTreeSet};

fn told(lines: &[&str]) -> (&'static str, Vec<&'static str>) {
    let history = history(lines);
    let report = check(&history, &SessionOptions::default()).unwrap();
    assert_well_formed(&history, &report);
    (word(&report), kinds(&report))
}

#[test]
fn each_guarantee_has_a_history_that_breaks_it() {
    // Alone.
    assert_eq!(told(&["0 write 1 | ok", "0 read nil | ok nil"]), ("false", vec!["read-your-writes"]));
    assert_eq!(
        told(&["0 write 1 | ok", "1 read nil | ok 1", "1 read nil | ok nil"]),
        ("false", vec!["monotonic-reads"])
    );
    assert_eq!(
        told(&[
            "0 write 1 | ok",
            "1 write 2 | ok",
            "2 read nil | ok 1",
            "2 read nil | ok 2",
            "2 read nil | ok 1"
        ]),
        ("false", vec!["monotonic-reads"])
    );
    // Each of two sessions sees the other's write as the later one.
    assert_eq!(
        told(&["0 write 1 | ok", "1 write 2 | ok", "0 read nil | ok 2", "1 read nil | ok 1"]),
        ("false", vec!["read-your-writes"])
    );
    // Together.
    assert_eq!(
        told(&["0 write 1 | ok", "0 write 2 | ok", "0 read nil | ok 1"]),
        ("false", vec!["read-your-writes+monotonic-writes"])
    );
    assert_eq!(
        told(&["0 write 1 | ok", "0 write 2 | ok", "1 read nil | ok 2", "1 read nil | ok 1"]),
        ("false", vec!["monotonic-reads+monotonic-writes"])
    );
    let message = [
        (":x", "0 write 1 | ok"),
        (":y", "0 write 2 | ok"),
        (":y", "1 read nil | ok 2"),
        (":x", "1 read nil | ok nil"),
    ];
    let report = check(&keyed_history(&message), &SessionOptions::default()).unwrap();
    assert_eq!(kinds(&report), ["monotonic-reads+monotonic-writes"]);
    // The answer is seen without the question.
    let answer = [
        "0 write [:x 1] | ok [:x 1]",
        "1 read [:x nil] | ok [:x 1]",
        "1 write [:y 2] | ok [:y 2]",
        "2 read [:y nil] | ok [:y 2]",
        "2 read [:x nil] | ok [:x nil]",
    ];
    assert_eq!(told(&answer), ("false", vec!["monotonic-reads+writes-follow-reads"]));
    assert_eq!(told(&answer[..4]), ("true", vec![]));
}

#[test]
fn causes_in_a_circle_break_writes_follow_reads_alone() {
    let mut history =
        history(&["0 read nil | ok 2", "1 read nil | ok 1", "0 write 1 | ok", "1 write 2 | ok"]);
    // With real time, both reads would simply be too early.
    assert_eq!(kinds(&check(&history, &SessionOptions::default()).unwrap()), ["unexpected"]);
    history.sessions_only = true;
    let report = check(&history, &SessionOptions::default()).unwrap();
    assert_eq!(kinds(&report), ["writes-follow-reads"]);
    assert_eq!(
        report.findings[0].sentence,
        "no order of the writes puts 1 before 2 by writes-follow-reads (the write on line 7 by process 1), and 2 \
         before 1 by writes-follow-reads (the write on line 5 by process 0)"
    );
}

#[test]
fn findings_say_who_saw_what() {
    let sentence = |lines: &[&str]| {
        let report = check(&history(lines), &SessionOptions::default()).unwrap();
        report.findings[0].sentence.clone()
    };
    assert_eq!(
        sentence(&["0 write 1 | ok", "0 read nil | ok nil"]),
        "the read on line 3 by process 0 saw the initial value, but must see 1, written on line 1, or a later write by \
         read-your-writes"
    );
    assert_eq!(
        sentence(&["0 write [:x 1] | ok", "0 write [:x 2] | ok", "0 read [:x nil] | ok [:x 1]"]),
        "no order of the writes puts 1 of key :x before 2 of key :x by monotonic-writes (the write on line 3 by process \
         0), and 2 of key :x before 1 of key :x by read-your-writes (the read on line 5 by process 0)"
    );
    assert_eq!(sentence(&["0 read nil | ok 1"]), "the read on line 1 saw 1, which nobody wrote");
    assert_eq!(
        sentence(&["0 write 1 | fail", "0 read nil | ok 1"]),
        "the read on line 3 saw 1, which a failed write would have written on line 1"
    );
    assert_eq!(
        sentence(&["0 read nil | ok 1", "1 write 1 | ok"]),
        "the read on line 1 saw 1, which was only written later, on line 3"
    );
}

#[test]
fn only_what_is_demanded_is_judged() {
    let lines = ["0 write 1 | ok", "0 write 2 | ok", "0 read nil | ok 1"];
    let verdict = |guarantees: &[Guarantee]| {
        let options = SessionOptions { guarantees: guarantees.to_vec(), ..SessionOptions::default() };
        word(&check(&history(&lines), &options).unwrap())
    };
    use Guarantee::{MonotonicReads, MonotonicWrites, ReadYourWrites};
    assert_eq!(verdict(&[ReadYourWrites]), "true");
    assert_eq!(verdict(&[MonotonicReads, MonotonicWrites]), "true");
    assert_eq!(verdict(&[ReadYourWrites, MonotonicWrites]), "false");
    let report =
        check(&history(&lines), &SessionOptions { guarantees: vec![ReadYourWrites], ..Default::default() });
    let report = report.unwrap();
    assert_eq!(figure(&report, "read-your-writes"), &Figure::Text("not contradicted".to_owned()));
    assert_eq!(figure(&report, "monotonic-reads"), &Figure::Text("not demanded".to_owned()));
}

#[test]
fn doubt_excuses() {
    assert_eq!(told(&["0 write 1 | info", "0 read nil | ok nil"]).0, "true");
    assert_eq!(told(&["0 write 1 | ok", "0 read nil | info nil", "0 read nil"]).0, "unknown");
    assert_eq!(told(&["0 write 1 | ok", "1 write 1 | ok", "2 read nil | ok 1"]).0, "unknown");
    assert_eq!(told(&["0 write 1 | ok", "1 write 1 | ok", "0 read nil | ok nil"]).0, "false");
    let initial = SessionOptions { initial: int(0), ..SessionOptions::default() };
    let verdict = |lines: &[&str]| word(&check(&history(lines), &initial).unwrap());
    assert_eq!(verdict(&["0 write 1 | ok", "0 read nil | ok nil", "1 read nil | ok 0"]), "true");
    assert_eq!(verdict(&["0 write 1 | ok", "0 read nil | ok 0"]), "false");
}

#[test]
fn errors_name_the_line() {
    let error = |lines: &[&str]| check(&history(lines), &SessionOptions::default()).unwrap_err().to_string();
    assert_eq!(error(&["cas 1 | ok"]), "line 1: the model has no function cas; expected one of: read, write");
    assert_eq!(
        error(&["write [:x 1] | ok", "read [:x nil] | ok 1"]),
        "line 4: read returned the value 1; expected [key value] with the key that was asked for"
    );
}

#[test]
fn past_its_budget_it_does_not_claim_to_know() {
    let lines = [
        "0 write [:x 1] | ok",
        "0 write [:y 2] | ok",
        "1 read [:y nil] | ok [:y 2]",
        "1 read [:x nil] | ok [:x 1]",
    ];
    let mut history = history(&lines);
    // So that there is no quick answer.
    history.sessions_only = true;
    let verdict = |looks| word(&check_within(&history, &SessionOptions::default(), looks).unwrap());
    assert_eq!((verdict(0), verdict(1 << 20)), ("unknown", "true"));
}

/// Registers on a few replicas: a client is served by any of them, and what is written arrives late or never.
struct Replicas {
    replicas: [BTreeMap<i64, i64>; 2],
    written: Vec<(i64, i64)>,
    next: i64,
    wander_percent: u64,
    keys: u64,
}

impl System for Replicas {
    fn invoke(&mut self, chance: &mut Chance, values: &mut Values, _: i64) -> (&'static str, Value) {
        let key = int(chance.below(self.keys) as i64);
        if chance.percent(50) {
            return ("read", values.list(&[key, Value::NIL]));
        }
        self.next += 1;
        ("write", values.list(&[key, int(self.next)]))
    }

    fn complete(
        &mut self,
        chance: &mut Chance,
        values: &mut Values,
        asked: (i64, &str, Value),
    ) -> (EventKind, Value) {
        let home = asked.0 as usize % 2;
        let at = if chance.percent(self.wander_percent) { 1 - home } else { home };
        let (key, value) = values.pair(asked.2).unwrap();
        let number = key.as_small_int().unwrap();
        if asked.1 == "write" {
            let kind =
                [EventKind::Ok, EventKind::Ok, EventKind::Ok, EventKind::Info][chance.below(4) as usize];
            self.written.push((number, value.as_small_int().unwrap()));
            for replica in 0..2 {
                if replica == at || chance.percent(35) {
                    self.replicas[replica].insert(number, value.as_small_int().unwrap());
                }
            }
            return (kind, Value::NIL);
        }
        let mut seen = self.replicas[at].get(&number).map_or(Value::NIL, |value| int(*value));
        if chance.percent(self.wander_percent / 2) {
            let old: Vec<i64> =
                self.written.iter().filter(|(key, _)| *key == number).map(|(_, value)| *value).collect();
            seen = old.get(chance.below(4) as usize).map_or(Value::NIL, |value| int(*value));
        }
        (EventKind::Ok, values.list(&[key, seen]))
    }
}

/// The definition: is there an order of all writes, and a set of writes at the server of each read, that
/// agree with every demanded guarantee and every result?
fn oracle(history: &History, demanded: Demanded) -> bool {
    let values = history.values();
    let pair = |value| values.pair(value).unwrap();
    let all: Vec<_> = history.operations().collect();
    let writes: Vec<usize> = (0..all.len()).filter(|i| all[*i].f == "write").collect();
    let reads: Vec<usize> =
        (0..all.len()).filter(|i| all[*i].f == "read" && all[*i].outcome == Outcome::Ok).collect();
    let saw = |read: usize| {
        let value = pair(all[read].output);
        writes.iter().copied().find(|write| pair(all[*write].input) == value)
    };
    let before =
        |a: usize, b: usize| all[a].process == all[b].process && a < b && all[a].outcome == Outcome::Ok;
    let demands = |guarantee: Demanded| demanded & guarantee != 0;
    // What comes with a set of writes.
    let close = |mut server: BTreeSet<usize>| loop {
        let mut more = server.clone();
        for write in &server {
            if demands(MONOTONIC_WRITES) {
                more.extend(writes.iter().filter(|earlier| before(**earlier, *write)));
            }
            if demands(WRITES_FOLLOW_READS) {
                more.extend(
                    reads.iter().filter(|earlier| before(**earlier, *write)).filter_map(|read| saw(*read)),
                );
            }
        }
        if more == server {
            return server;
        }
        server = more;
    };
    let servers: Vec<(usize, BTreeSet<usize>)> = reads
        .iter()
        .map(|read| {
            let mut server: BTreeSet<usize> = saw(*read).into_iter().collect();
            if demands(READ_YOUR_WRITES) {
                server.extend(writes.iter().filter(|write| before(**write, *read)));
            }
            if demands(MONOTONIC_READS) {
                server.extend(
                    reads.iter().filter(|earlier| before(**earlier, *read)).filter_map(|read| saw(*read)),
                );
            }
            (*read, close(server))
        })
        .collect();
    let explains = |order: &[usize]| {
        let rank = |write: usize| order.iter().position(|other| *other == write).unwrap();
        let in_order = |a: usize, b: usize| rank(a) < rank(b);
        writes.iter().all(|b| {
            (!demands(MONOTONIC_WRITES) || writes.iter().all(|a| !before(*a, *b) || in_order(*a, *b)))
                && (!demands(WRITES_FOLLOW_READS)
                    || reads
                        .iter()
                        .filter(|a| before(**a, *b))
                        .filter_map(|a| saw(*a))
                        .all(|a| in_order(a, *b)))
        }) && servers.iter().all(|(read, server)| {
            let key = pair(all[*read].input).0;
            let of_key = server.iter().copied().filter(|write| pair(all[*write].input).0 == key);
            of_key.max_by_key(|write| rank(*write)) == saw(*read)
        })
    };
    each_order(&writes, &mut vec![], &explains)
}

fn each_order(left: &[usize], order: &mut Vec<usize>, explains: &dyn Fn(&[usize]) -> bool) -> bool {
    if left.is_empty() {
        return explains(order);
    }
    left.iter().any(|next| {
        order.push(*next);
        let rest: Vec<usize> = left.iter().copied().filter(|other| other != next).collect();
        let found = each_order(&rest, order, explains);
        order.pop();
        found
    })
}

#[test]
fn it_agrees_with_the_definition_on_random_histories() {
    let mut met = Met::default();
    for seed in 0..5000 {
        let mut chance = Chance::new(seed);
        let wander_percent = [0, 40, 70, 180][seed as usize % 4];
        let replicas = [BTreeMap::new(), BTreeMap::new()];
        let keys = 1 + chance.below(2);
        let mut system = Replicas { replicas, written: vec![], next: 0, wander_percent, keys };
        let (clients, operations) = (2 + chance.below(2), 2 + chance.below(11) as usize);
        let mut history = draw(&mut chance, clients, operations, &mut system);
        if history.operations().filter(|op| op.f == "write").count() > 5 {
            continue;
        }
        history.sessions_only = chance.percent(50);
        let some = chance.below(16) as Demanded;
        for demanded in [15, some] {
            let bit = |guarantee: &Guarantee| demanded & 1 << *guarantee as u8 != 0;
            let guarantees: Vec<Guarantee> = Guarantee::ALL.into_iter().filter(bit).collect();
            let report =
                check(&history, &SessionOptions { guarantees, ..SessionOptions::default() }).unwrap();
            assert_well_formed(&history, &report);
            let explained = oracle(&history, demanded);
            assert_eq!(word(&report) != "false", explained, "seed {seed}, {demanded:b}: {report:#?}");
            met.see(if explained { "explained" } else { "not" });
            if history.has_real_time() {
                let registers =
                    Registers::new(&history, Value::NIL, &mut Findings::new(), |_, _| false).unwrap();
                let quick = quick::is_explained(&history, &registers, &Sessions::new(&history, &registers));
                met.see(if quick { "quick" } else { "slow" });
            }
            kinds(&report).into_iter().for_each(|kind| met.see(kind));
            // A finding of one guarantee alone is one.
            for guarantee in Guarantee::ALL.into_iter().filter(bit) {
                let alone = oracle(&history, 1 << guarantee as u8);
                let expected = if alone { "not contradicted" } else { "contradicted" };
                assert_eq!(
                    figure(&report, guarantee.name()),
                    &Figure::Text(expected.to_owned()),
                    "seed {seed}"
                );
            }
        }
    }
    met.at_least(&["explained", "not"], 500);
    met.at_least(&["read-your-writes", "monotonic-reads", "quick"], 50);
    met.at_least(&["read-your-writes+monotonic-writes", "monotonic-reads+monotonic-writes"], 10);
}
