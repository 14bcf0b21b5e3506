//! Forged proofs, at least one for each clause of the validator, and next to each a true one that
//! the clause lets through. A clause that is taken out lets a forgery pass.
//!
//! Operations are numbered as their lines are, from 0; each is over before the next begins unless it
//! never completes.

use super::{Refusal, validate};
use crate::history::{Event, EventKind, History, HistoryBuilder, OpId, Process};
use crate::model::Model;
use crate::model::kv::Kv;
use crate::model::mutex::Mutex;
use crate::model::queue::{FifoQueue, UnorderedQueue};
use crate::model::register::Register;
use crate::model::set::LinearSet;
use crate::model::transcript::{Vague, history, keyed_history};
use crate::options::Consistency::{self, Linearizable, PerKey, Sequential};
use crate::value::Value;
use crate::verdict::{Certificate, Part, Verdict, Witness};

fn int(i: i64) -> Value {
    Value::small_int(i).unwrap()
}

fn cas(history: &History) -> Register {
    Register::with_cas_for_history(Value::NIL, history)
}

/// What the validator says: `accepted`, or why not.
fn says<M: Model>(history: &History, model: &M, consistency: Consistency, verdict: &Verdict) -> String {
    match validate(history, model, consistency, verdict) {
        Ok(()) => "accepted".to_owned(),
        Err(refusal) => refusal.to_string(),
    }
}

fn one_part(order: &[OpId]) -> Verdict {
    parts(&[(None, order)])
}

fn parts(parts: &[(Option<Value>, &[OpId])]) -> Verdict {
    let part = |&(key, order): &(Option<Value>, &[OpId])| Part { key, order: order.to_vec() };
    Verdict::Valid(Certificate { parts: parts.iter().map(part).collect() })
}

/// A witness whose explained operation is the last one of the core.
fn witness(core: &[OpId], values: Option<&[Value]>) -> Witness {
    Witness {
        key: None,
        core: core.to_vec(),
        failed: core.last().copied().unwrap_or(0),
        values: values.map(<[Value]>::to_vec),
        states_seen: vec![],
        minimal: true,
        sentences: vec![],
    }
}

fn invalid(witness: Witness) -> Verdict {
    Verdict::Invalid(Box::new(witness))
}

/// What the validator says of a core under linearizability.
fn of_core<M: Model>(history: &History, model: &M, core: &[OpId], values: Option<&[Value]>) -> String {
    says(history, model, Linearizable, &invalid(witness(core, values)))
}

fn of_core_sequential<M: Model>(history: &History, model: &M, core: &[OpId]) -> String {
    says(history, model, Sequential, &invalid(witness(core, None)))
}

const POSSIBLE: &str = "the operations of the core can be placed after all";

#[test]
fn an_order_has_every_completed_operation_once_and_no_failed_one() {
    let h = history(&[
        "write 1 | ok",
        "read nil | ok 1",
        "write 2 | fail",
        "write 3",
        "write 4 | info",
        "read nil | info",
    ]);
    for consistency in [Linearizable, PerKey, Sequential] {
        let check = |order: &[OpId]| says(&h, &cas(&h), consistency, &one_part(order));
        assert_eq!(check(&[0, 1]), "accepted");
        assert_eq!(check(&[0, 1, 3]), "accepted");
        assert_eq!(check(&[0, 1, 4, 3]), "accepted");
        assert_eq!(check(&[0, 1, 1]), "operation 1 is placed twice");
        assert_eq!(check(&[0, 1, 3, 3]), "operation 3 is placed twice");
        assert_eq!(check(&[0]), "operation 1 completed, but the certificate leaves it out");
        assert_eq!(check(&[]), "operation 0 completed, but the certificate leaves it out");
        assert_eq!(check(&[0, 1, 2]), "operation 2 is not of this part");
        assert_eq!(check(&[0, 1, 5]), "operation 5 is not of this part");
        assert_eq!(check(&[0, 1, 6]), "operation 6 is not of this part");
    }
}

#[test]
fn an_order_gives_every_operation_its_result() {
    let wrong = "operation 1 cannot have its result where the certificate places it";
    let h = history(&["0 write 1 | ok", "1 read nil | ok 2", "2 write 2"]);
    for consistency in [Linearizable, Sequential] {
        assert_eq!(says(&h, &cas(&h), consistency, &one_part(&[0, 1, 2])), wrong);
    }
    // With real time out of account the write may come first; with it, it may not.
    assert_eq!(says(&h, &cas(&h), Sequential, &one_part(&[0, 2, 1])), "accepted");
    assert_eq!(
        says(&h, &cas(&h), Linearizable, &one_part(&[0, 2, 1])),
        "operation 1 is placed after operation 2, which was invoked after it returned"
    );
}

#[test]
fn an_order_respects_real_time_or_the_order_of_each_process() {
    let early = "operation 0 is placed after operation 1, which was invoked after it returned";
    let h = history(&["0 write 1 | ok", "1 write 2 | ok"]);
    assert_eq!(says(&h, &cas(&h), Linearizable, &one_part(&[0, 1])), "accepted");
    for consistency in [Linearizable, PerKey] {
        assert_eq!(says(&h, &cas(&h), consistency, &one_part(&[1, 0])), early);
    }
    assert_eq!(says(&h, &cas(&h), Sequential, &one_part(&[1, 0])), "accepted");
    let h = history(&["0 write 1 | ok", "1 write 2 | ok", "0 write 3 | ok"]);
    assert_eq!(says(&h, &cas(&h), Sequential, &one_part(&[1, 0, 2])), "accepted");
    assert_eq!(
        says(&h, &cas(&h), Sequential, &one_part(&[2, 1, 0])),
        "operation 0 is placed after operation 2, which its process invoked later"
    );
    // The invocation that counts is the latest of all before, not the one just before.
    let h = history(&["0 write 1 | ok", "write 2", "1 write 3 | ok"]);
    assert_eq!(says(&h, &cas(&h), Linearizable, &one_part(&[0, 2, 1])), "accepted");
    assert_eq!(
        says(&h, &cas(&h), Linearizable, &one_part(&[2, 1, 0])),
        "operation 0 is placed after operation 2, which was invoked after it returned"
    );
}

#[test]
fn a_certificate_has_each_part_of_the_history_once() {
    let h = keyed_history(&[("1", "write 1 | ok"), ("2", "write 2 | ok"), ("3", "write 3")]);
    let check = |certificate: &Verdict| says(&h, &cas(&h), PerKey, certificate);
    let key = |i| Some(int(i));
    assert_eq!(check(&parts(&[(key(1), &[0]), (key(2), &[1])])), "accepted");
    assert_eq!(check(&parts(&[(key(3), &[]), (key(2), &[1]), (key(1), &[0])])), "accepted");
    assert_eq!(
        check(&parts(&[(key(1), &[0])])),
        "operation 1 completed, but no part of the certificate has it"
    );
    let no_such_part = "the certificate has a part that the history has not";
    assert_eq!(check(&parts(&[(key(1), &[0]), (key(2), &[1]), (key(4), &[])])), no_such_part);
    assert_eq!(check(&parts(&[(None, &[0, 1])])), no_such_part);
    assert_eq!(check(&parts(&[(key(1), &[0]), (key(1), &[0]), (key(2), &[1])])), no_such_part);
    assert_eq!(check(&parts(&[(key(1), &[0, 1]), (key(2), &[])])), "operation 1 is not of this part");
    // Sequential consistency is about all keys at once.
    assert_eq!(says(&h, &cas(&h), Sequential, &one_part(&[0, 1])), "accepted");
    assert_eq!(says(&h, &cas(&h), Sequential, &parts(&[(key(1), &[0]), (key(2), &[1])])), no_such_part);
}

#[test]
fn a_core_is_a_set_of_operations_of_its_part_with_the_explained_one_among_them() {
    let h = keyed_history(&[
        ("1", "acquire nil | ok"),
        ("2", "acquire nil | ok"),
        ("1", "acquire nil | fail"),
        ("1", "acquire nil | ok"),
    ]);
    let check = |change: &dyn Fn(&mut Witness)| {
        let mut witness = Witness { key: Some(int(1)), ..witness(&[0, 3], None) };
        change(&mut witness);
        says(&h, &Mutex, PerKey, &invalid(witness))
    };
    assert_eq!(check(&|_| {}), "accepted");
    assert_eq!(check(&|w| w.failed = 0), "accepted");
    assert_eq!(check(&|w| w.failed = 1), "operation 1 is explained, but is not of the core");
    assert_eq!(check(&|w| w.core = vec![]), "operation 3 is explained, but is not of the core");
    assert_eq!(check(&|w| w.core.insert(1, 1)), "operation 1 of the core is not of the part");
    assert_eq!(check(&|w| w.core.insert(1, 2)), "operation 2 of the core is not of the part");
    assert_eq!(check(&|w| w.core.push(9)), "operation 9 of the core is not of the part");
    let not_a_set = "the core is not in the order of invocations, each operation once";
    assert_eq!(check(&|w| w.core = vec![0, 0, 3]), not_a_set);
    assert_eq!(check(&|w| w.core = vec![3, 0]), not_a_set);
    assert_eq!(check(&|w| w.key = None), "the witness is about no part of the history");
    assert_eq!(check(&|w| w.key = Some(int(2))), "operation 0 of the core is not of the part");
    assert_eq!(check(&|w| w.key = Some(int(3))), "the witness is about no part of the history");
}

#[test]
fn a_core_cannot_be_placed_and_without_a_member_it_can() {
    let h = history(&["acquire nil | ok", "acquire nil | ok", "release nil | ok", "acquire nil"]);
    for consistency in [Linearizable, PerKey] {
        let check = |core: &[OpId]| says(&h, &Mutex, consistency, &invalid(witness(core, None)));
        assert_eq!(check(&[0, 1]), "accepted");
        assert_eq!(check(&[0, 1, 2, 3]), "accepted");
        for core in [&[0][..], &[1], &[2], &[3], &[0, 2], &[1, 2], &[1, 2, 3]] {
            assert_eq!(check(core), POSSIBLE, "{core:?}");
        }
    }
    let h = history(&["write 1 | ok", "write 2 | ok", "read nil | ok 1"]);
    assert_eq!(of_core(&h, &cas(&h), &[1, 2], None), "accepted");
    // What is not of the core may happen, and before it returns.
    assert_eq!(of_core(&h, &cas(&h), &[2], None), POSSIBLE);
    assert_eq!(of_core(&h, &cas(&h), &[0, 2], None), POSSIBLE);
}

#[test]
fn a_valid_history_has_no_core() {
    let h =
        history(&["write 1 | ok", "cas [1 2] | ok", "cas [1 2] | ok false", "write 3", "read nil | ok 3"]);
    let all: Vec<OpId> = (0..5).collect();
    assert_eq!(of_core(&h, &cas(&h), &all, None), POSSIBLE);
    assert_eq!(of_core_sequential(&h, &cas(&h), &all), POSSIBLE);
    // An operation without duration is open at its own moment.
    let mut builder = HistoryBuilder::new();
    let f = builder.function("write").unwrap();
    let event = Event {
        process: Process::Client(0),
        kind: EventKind::Ok,
        f,
        key: None,
        value: int(1),
        error: Value::NIL,
        time_ns: -1,
        line: 1,
    };
    builder.push(event).unwrap();
    let h = builder.finish();
    assert_eq!(of_core(&h, &cas(&h), &[0], None), POSSIBLE);
}

#[test]
fn what_never_completed_need_not_happen_even_in_a_core() {
    let h = history(&["0 acquire nil", "1 acquire nil | ok"]);
    assert_eq!(of_core(&h, &Mutex, &[0, 1], None), POSSIBLE);
    assert_eq!(of_core_sequential(&h, &Mutex, &[0, 1]), POSSIBLE);
    // But it happens at most once.
    let h = history(&["0 write 1", "1 read nil | ok 1", "1 write 2 | ok", "1 read nil | ok 1"]);
    assert_eq!(of_core(&h, &cas(&h), &[0, 1, 2, 3], None), "accepted");
    assert_eq!(of_core_sequential(&h, &cas(&h), &[0, 1, 2, 3]), "accepted");
    // A free one happens as often as it helps.
    assert_eq!(of_core(&h, &cas(&h), &[1, 2, 3], None), POSSIBLE);
    assert_eq!(of_core_sequential(&h, &cas(&h), &[1, 2, 3]), POSSIBLE);
}

#[test]
fn a_core_may_take_what_its_own_puts_bring_in_and_no_more() {
    let take = "take nil | ok 1";
    let h = history(&["put 1 | ok", "put 1 | ok", take, take, take]);
    for core in [&[0, 1, 2, 3, 4][..], &[0, 1, 2, 3], &[0, 1, 3, 4], &[1, 2, 4]] {
        let expected = if core.len() == 5 { "accepted" } else { POSSIBLE };
        for values in [None, Some(&[int(1)][..])] {
            assert_eq!(of_core(&h, &FifoQueue, core, values), expected, "{core:?}");
        }
        assert_eq!(of_core(&h, &UnorderedQueue, core, None), expected, "{core:?}");
    }
}

#[test]
fn a_value_out_of_nowhere_has_no_source_in_time() {
    let h = history(&["read nil | ok 7", "write 7 | ok", "cas [8 7]", "cas [7 9]"]);
    assert_eq!(of_core(&h, &cas(&h), &[0], None), "accepted");
    assert_eq!(of_core_sequential(&h, &cas(&h), &[0]), POSSIBLE);
    assert_eq!(of_core(&h, &cas(&h), &[2], None), POSSIBLE);
    let h = history(&["cas [nil 7] | ok", "read nil | ok 7"]);
    assert_eq!(of_core(&h, &cas(&h), &[1], None), POSSIBLE);
    let h = history(&["reset nil", "read nil | ok 7", "read nil | ok 8"]);
    assert_eq!(of_core(&h, &Vague, &[1], None), POSSIBLE);
    assert_eq!(of_core_sequential(&h, &Vague, &[1]), POSSIBLE);
    assert_eq!(of_core(&h, &Vague, &[2], None), "accepted");
    // What appends make of a value is not known beforehand.
    let h = history(&["append [1 \"a\"]", "append [1 \"b\"]", "get 1 | ok \"ab\""]);
    let kv = Kv::for_history(Value::NIL, &h);
    let key = Some(int(1));
    assert_eq!(says(&h, &kv, PerKey, &invalid(Witness { key, ..witness(&[2], None) })), POSSIBLE);
}

#[test]
fn a_value_taken_too_often_has_all_its_sources_in_the_core() {
    let take = "take nil | ok 1";
    let h = history(&["put 1 | ok", take, take]);
    assert_eq!(of_core(&h, &UnorderedQueue, &[0, 1, 2], None), "accepted");
    assert_eq!(of_core(&h, &UnorderedQueue, &[0, 2], None), POSSIBLE);
    assert_ne!(of_core_sequential(&h, &UnorderedQueue, &[1, 2]), "accepted");
    let h = history(&["put 1 | ok", take, "put 1 | ok", take]);
    let early = Witness { failed: 1, ..witness(&[0, 1, 2, 3], None) };
    assert_eq!(says(&h, &UnorderedQueue, Linearizable, &invalid(early)), POSSIBLE);
    let h = history(&["put 1 | ok", take, take, "put 1 | ok"]);
    assert_eq!(of_core(&h, &UnorderedQueue, &[0, 1, 2], None), "accepted");
    assert_eq!(of_core_sequential(&h, &UnorderedQueue, &[0, 1, 2, 3]), POSSIBLE);
}

#[test]
fn sequential_cores_are_placed_in_the_order_of_each_process_only() {
    let h = history(&["0 write 1 | ok", "1 write 2 | ok", "2 read nil | ok 1", "2 read nil | ok nil"]);
    assert_eq!(of_core_sequential(&h, &cas(&h), &[2, 3]), "accepted");
    for core in [&[0, 1, 2][..], &[0, 1, 3], &[3], &[0, 1]] {
        assert_eq!(of_core_sequential(&h, &cas(&h), core), POSSIBLE, "{core:?}");
    }
    // A free operation keeps its place in its process.
    let h = history(&["0 read nil | ok 1", "0 write 1 | ok"]);
    assert_eq!(of_core_sequential(&h, &cas(&h), &[0]), "accepted");
    assert_eq!(of_core_sequential(&h, &cas(&h), &[1]), POSSIBLE);
    // Two keys, each of them right.
    let h = keyed_history(&[
        ("1", "0 write 1 | ok"),
        ("2", "0 read nil | ok nil"),
        ("2", "1 write 1 | ok"),
        ("1", "1 read nil | ok nil"),
    ]);
    assert_eq!(of_core_sequential(&h, &cas(&h), &[0, 1, 2, 3]), "accepted");
    for core in [&[1, 2, 3][..], &[0, 2, 3], &[0, 1, 3], &[0, 1, 2]] {
        assert_eq!(of_core_sequential(&h, &cas(&h), core), POSSIBLE, "{core:?}");
    }
}

#[test]
fn values_may_be_left_out_only_where_the_model_allows_it() {
    let values = [int(1)];
    let h = history(&["acquire nil | ok", "acquire nil | ok"]);
    assert_eq!(of_core(&h, &Mutex, &[0, 1], Some(&values)), "it names values, but the model is of no family");
    let h = history(&["write 1 | ok", "cas [1 2] | ok", "read nil | ok 1"]);
    assert_eq!(of_core(&h, &cas(&h), &[1, 2], None), "accepted");
    assert_eq!(of_core(&h, &cas(&h), &[0, 2], Some(&values)), "it names values, but operation 1 has no role");
    let h = history(&["add 1 | ok", "remove 1 | ok", "read nil | ok []"]);
    let set = LinearSet::for_history(&h);
    assert_eq!(of_core(&h, &set, &[0, 2], Some(&values)), "it names values, but operation 1 has no role");
}

#[test]
fn a_core_is_about_the_values_that_it_names() {
    let stranger = |id: OpId| format!("operation {id} of the core is about a value that it leaves out");
    let h = history(&["enqueue 1 | ok", "dequeue nil | ok 1", "enqueue 2 | ok", "dequeue nil | ok nil"]);
    assert_eq!(of_core(&h, &FifoQueue, &[2, 3], Some(&[int(2)])), "accepted");
    assert_eq!(of_core(&h, &FifoQueue, &[3], Some(&[int(2)])), POSSIBLE);
    assert_eq!(of_core(&h, &FifoQueue, &[3], Some(&[])), POSSIBLE);
    assert_eq!(of_core(&h, &FifoQueue, &[1, 3], Some(&[int(1)])), POSSIBLE);
    assert_eq!(of_core(&h, &FifoQueue, &[1], Some(&[])), stranger(1));
    assert_eq!(of_core(&h, &FifoQueue, &[2, 3], Some(&[int(1)])), stranger(2));
    let h = history(&["write 1 | ok", "write 2 | ok", "read nil | ok 2"]);
    let register = Register::for_history(Value::NIL, &h);
    assert_eq!(of_core(&h, &register, &[2], Some(&[int(1)])), stranger(2));
    assert_eq!(of_core(&h, &register, &[0, 2], Some(&[int(1), int(2)])), POSSIBLE);
}

#[test]
fn other_values_are_out_of_account_however_many_there_are() {
    let mut lines = vec!["enqueue 1 | ok".to_owned(), "dequeue nil | ok nil".to_owned()];
    lines.splice(0..0, (2..40).map(|value| format!("enqueue {value}")));
    lines[38..].iter_mut().for_each(|line| line.insert_str(0, "0 "));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let h = history(&lines);
    let core = witness(&[38, 39], Some(&[int(1)]));
    assert_eq!(says(&h, &FifoQueue, Linearizable, &invalid(core)), "accepted");
    // With them there are 2^38 ways to fill the queue.
    let core = invalid(witness(&[38, 39], None));
    assert_eq!(validate(&h, &FifoQueue, Linearizable, &core), Err(Refusal::TooLarge));
    assert_eq!(validate(&h, &FifoQueue, Sequential, &core), Err(Refusal::TooLarge));
}

#[test]
fn reads_of_a_growing_set_count_as_far_as_the_values_go() {
    let h = history(&["add 1 | ok", "add 2 | ok", "read nil | ok [1 2]", "add 3", "read nil | ok [1 2]"]);
    let set = LinearSet::for_history(&h);
    let possible: [&[i64]; 5] = [&[], &[1], &[2], &[1, 2], &[1, 2, 3]];
    for values in possible {
        let values: Vec<Value> = values.iter().map(|&value| int(value)).collect();
        assert_eq!(of_core(&h, &set, &[2, 4], Some(&values)), POSSIBLE, "{values:?}");
    }
    assert_eq!(of_core(&h, &set, &[0, 1, 2, 4], None), POSSIBLE);
    let h = history(&["add 1 | ok", "add 2 | ok", "read nil | ok [1]", "read nil | ok #{1 2}", "read nil"]);
    let set = LinearSet::for_history(&h);
    assert_eq!(of_core(&h, &set, &[1, 2], Some(&[int(2)])), "accepted");
    assert_eq!(of_core(&h, &set, &[2], Some(&[int(2)])), POSSIBLE);
    assert_eq!(of_core(&h, &set, &[1, 3], Some(&[int(2)])), POSSIBLE);
    let h = history(&["add 1 | ok", "read nil | ok [1]", "read nil | ok nil"]);
    let set = LinearSet::for_history(&h);
    assert_eq!(of_core(&h, &set, &[1, 2], Some(&[int(1)])), "accepted");
    assert_eq!(of_core(&h, &set, &[0, 2], Some(&[int(1)])), "accepted");
    assert_eq!(of_core(&h, &set, &[2], Some(&[int(1)])), POSSIBLE);
}

#[test]
fn a_value_that_does_not_fit_the_model_is_no_proof() {
    let h = history(&["steal nil | ok"]);
    let error = "line 1: the model has no function steal; expected one of: acquire, release";
    assert_eq!(says(&h, &Mutex, Linearizable, &one_part(&[0])), error);
    assert_eq!(of_core(&h, &Mutex, &[0], None), error);
}
