//! Claims of the module's text, each checked on histories of every object.

use super::*;
use shakedown_checkers::history::{NEVER, Outcome};
use shakedown_checkers::model::{lookup, prepare};
use shakedown_checkers::options::{Consistency, Options};

/// The checkers' verdict, with a proof that the validator accepts. Every history here is small enough
/// to be decided, and its witness minimized, without a limit of time.
fn verdict(plan: &Synthetic) -> &'static str {
    let mut history = plan.generate().unwrap_or_else(|error| panic!("{error}: {plan:?}"));
    let model = prepare(lookup(plan.object.name()).unwrap(), None, &mut history).unwrap();
    let verdict =
        model.check(&history, &Options::default()).unwrap_or_else(|error| panic!("{error}: {plan:?}"));
    let proof = model.validate(&history, Consistency::Linearizable, &verdict);
    assert_eq!(proof, Ok(()), "{plan:?}");
    verdict.word()
}

fn small(object: Object, seed: u64) -> Synthetic {
    let crash_rate = [0.0, 0.05][seed as usize % 2];
    Synthetic { operations: 24, clients: 2, crash_rate, seed, ..Synthetic::new(object) }
}

#[test]
fn a_plan_without_a_violation_is_linearizable() {
    for object in Object::ALL {
        for seed in 0..12 {
            let plan = small(object, seed);
            assert_eq!(verdict(&plan), "true", "{plan:?}");
        }
    }
}

#[test]
fn keys_and_ranges_of_values_stay_linearizable() {
    for object in Object::ALL.into_iter().filter(|object| !object.is_lock()) {
        for seed in 0..6 {
            let values = Some(Values::Range { start: 0, end: 3 });
            let keys = if object.has_keys() { 2 } else { 1 };
            let plan = Synthetic { values, keys, ..small(object, seed) };
            assert_eq!(verdict(&plan), "true", "{plan:?}");
        }
    }
}

#[test]
fn every_violation_is_not_linearizable() {
    for object in Object::ALL {
        for &violation in violations_for(object) {
            for (seed, position) in (0..).zip(Position::ALL) {
                let values = violation_values(object, violation);
                // The validator of a witness tries every order of the appends that are not in it.
                let operations = if matches!(object, Object::Kv | Object::LinearLog) { 20 } else { 40 };
                let plan = Synthetic {
                    violation: Some(violation),
                    position,
                    values,
                    operations,
                    ..small(object, seed)
                };
                assert_eq!(verdict(&plan), "false", "{plan:?}");
            }
        }
    }
}

fn violation_values(object: Object, violation: Violation) -> Option<Values> {
    (object.values() != Some(Values::Distinct) && plant::needs_distinct(object, violation))
        .then_some(Values::Distinct)
}

#[test]
fn every_violation_finds_a_place_under_high_concurrency() {
    for object in Object::ALL {
        for &violation in violations_for(object) {
            for position in Position::ALL {
                let plan = Synthetic {
                    operations: 4_000,
                    clients: 30,
                    crash_rate: 0.02,
                    violation: Some(violation),
                    position,
                    values: violation_values(object, violation),
                    ..Synthetic::new(object)
                };
                plan.generate().unwrap_or_else(|error| panic!("{object} {position}: {error}"));
            }
        }
    }
}

#[test]
fn a_seed_means_one_history() {
    for object in Object::ALL {
        let plan = Synthetic { crash_rate: 0.1, seed: 42, ..Synthetic::new(object) };
        let show = |plan: &Synthetic| {
            let history = plan.generate().unwrap();
            let rows: Vec<String> = history
                .operations()
                .map(|op| {
                    let (input, output) = (history.values().show(op.input), history.values().show(op.output));
                    format!("{op:?} {input} {output}")
                })
                .collect();
            rows
        };
        assert_eq!(show(&plan), show(&plan));
        assert_ne!(show(&plan), show(&Synthetic { seed: 43, ..plan.clone() }));
    }
}

#[test]
fn a_seed_means_the_same_on_every_platform() {
    let plan = Synthetic { operations: 5, clients: 2, seed: 1, ..Synthetic::new(Object::CasRegister) };
    let history = plan.generate().unwrap();
    let show = |value| history.values().show(value);
    let rows: Vec<String> = history
        .operations()
        .map(|op| {
            let (start, end) = (op.invoke_time_ns, op.complete_time_ns);
            format!("{} {} {} -> {} [{start}, {end}]", op.process, op.f, show(op.input), show(op.output))
        })
        .collect();
    let expected = [
        "0 write 3 -> 3 [1, 8596480]",
        "1 cas [0 4] -> false [2, 7441]",
        "1 write 4 -> 4 [7442, 823448]",
        "1 write 1 -> 1 [823449, 3387218]",
        "1 read nil -> 1 [3387219, 3490337]",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn exactly_so_many_operations_are_open_as_there_are_clients() {
    for object in Object::ALL {
        let plan = Synthetic { clients: 7, crash_rate: 0.1, ..Synthetic::new(object) };
        let history = plan.generate().unwrap();
        assert_eq!(history.len(), 1_000);
        let mut starts = vec![0_i32; history.event_count() as usize + 1];
        for op in history.operations() {
            starts[op.invoke_position as usize] += 1;
            starts[op.complete_position.min(history.event_count()) as usize] -= 1;
            assert!(op.invoke_time_ns < op.complete_time_ns || op.complete_position == NEVER);
        }
        let last = history.operation(999).invoke_position as usize;
        let mut open = 0;
        for (at, change) in starts.iter().enumerate().take(last + 1) {
            open += change;
            assert!(at < 7 || (6..=7).contains(&open), "{open} open at event {at} of {object}");
        }
        assert_eq!(open, 7);
    }
}

#[test]
fn crashes_come_at_their_rate_and_retire_their_process() {
    let plan = Synthetic { operations: 20_000, crash_rate: 0.05, ..Synthetic::new(Object::Register) };
    let history = plan.generate().unwrap();
    let crashed: Vec<_> = history.operations().filter(|op| op.outcome == Outcome::Info).collect();
    // Standard deviation 31.
    assert!((880..1_120).contains(&crashed.len()), "{}", crashed.len());
    let seen: Vec<i64> = history.operations().filter(|op| !op.output.is_nil()).map(|op| op.process).collect();
    assert!(seen.iter().any(|process| *process >= 100), "clients go on under new numbers");
    for op in &crashed {
        let later = history.operations().skip(op.id as usize + 1);
        assert!(later.take(100).all(|other| other.process != op.process), "{op:?}");
    }
}

#[test]
fn half_of_the_crashed_writes_took_effect() {
    let plan = Synthetic {
        operations: 40_000,
        clients: 2,
        crash_rate: 0.5,
        mix: Some(Mix(vec![4, 1])),
        ..Synthetic::new(Object::Register)
    };
    let history = plan.generate().unwrap();
    let read: std::collections::BTreeSet<Value> =
        history.operations().filter(|op| op.f == "read").map(|op| op.output).collect();
    let seen = |outcome| {
        let writes: Vec<_> =
            history.operations().filter(|op| op.f == "write" && op.outcome == outcome).collect();
        writes.iter().filter(|op| read.contains(&op.input)).count() as f64 / writes.len() as f64
    };
    let ratio = seen(Outcome::Info) / seen(Outcome::Ok);
    assert!((0.42..0.58).contains(&ratio), "{ratio}");
}

#[test]
fn the_mix_is_followed_and_failed_compare_and_sets_are_recorded() {
    let history = Synthetic { operations: 9_000, ..Synthetic::new(Object::CasRegister) }.generate().unwrap();
    for f in ["read", "write", "cas"] {
        let count = history.operations().filter(|op| op.f == f).count();
        assert!((2_800..3_200).contains(&count), "{count} of {f}");
    }
    let failed = history.operations().filter(|op| op.output == Value::FALSE).count();
    assert!((2_000..2_800).contains(&failed), "about four fifths of 3,000, not {failed}");
}

#[test]
fn locks_with_owners_do_what_sets_them_apart() {
    let history = |object| Synthetic { crash_rate: 0.05, ..Synthetic::new(object) }.generate().unwrap();
    // An acquire right after an acquire of the same process is one of a lock that it holds.
    let again = |history: &History| {
        let mut last = std::collections::BTreeMap::new();
        let ops = history.operations().filter(|op| op.outcome == Outcome::Ok);
        ops.filter(|op| last.insert(op.process, op.f) == Some("acquire") && op.f == "acquire").count()
    };
    let reentrant = history(Object::ReentrantMutex);
    assert!(again(&reentrant) > 100, "{}", again(&reentrant));
    let fenced = history(Object::FencedMutex);
    assert_eq!(again(&fenced), 0);
    let tokens = fenced.operations().filter(|op| fenced.values().show(op.output).contains(":fence")).count();
    assert!(tokens > 300, "{tokens}");
    // A client that crashed goes on as another process, and releases what it holds: its name counts.
    for history in [&reentrant, &fenced] {
        let client = |op: &shakedown_checkers::history::Operation<'_>| history.values().show(op.input);
        let crashed = history.operations().filter(|op| op.outcome == Outcome::Info && op.f == "acquire");
        let goes_on = crashed.filter(|op| {
            let later = history.operations().skip(op.id as usize + 1);
            later.filter(|next| client(next) == client(op)).take(1).any(|next| next.f == "release")
        });
        assert!(goes_on.count() > 0);
    }
}

#[test]
fn an_unordered_queue_is_no_fifo_queue() {
    let mut history = Synthetic::new(Object::UnorderedQueue).generate().unwrap();
    let fifo = prepare(lookup("fifo-queue").unwrap(), None, &mut history).unwrap();
    assert_eq!(fifo.check(&history, &Options::default()).unwrap().word(), "false");
}

#[test]
fn names_read_back() {
    for object in Object::ALL {
        assert_eq!(object.name().parse(), Ok(object));
        assert!(!violations_for(object).is_empty());
    }
    for violation in Violation::ALL {
        assert_eq!(violation.name().parse(), Ok(violation));
    }
    assert_eq!("0..5".parse(), Ok(Values::Range { start: 0, end: 5 }));
    assert_eq!("distinct".parse(), Ok(Values::Distinct));
    assert_eq!("2:1:1".parse(), Ok(Mix(vec![2, 1, 1])));
    let error = "registre".parse::<Object>().unwrap_err().to_string();
    assert!(
        error.starts_with("unknown model \"registre\"; expected one of: register, cas-register"),
        "{error}"
    );
}

#[test]
fn impossible_plans_are_refused_with_the_reason() {
    let refused = |plan: Synthetic, reason: &str| {
        let error = plan.generate().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    };
    let register = || Synthetic::new(Object::Register);
    refused(Synthetic { violation: Some(Violation::Duplicate), ..register() }, "it has: stale-read");
    refused(Synthetic { crash_rate: 1.5, ..register() }, "crash rate is 1.5; expected 0 to 1");
    refused(Synthetic { operations: 0, ..register() }, "operations is 0");
    refused(Synthetic { keys: 2, ..Synthetic::new(Object::Stack) }, "stack has one key only");
    refused(Synthetic { values: Some(Values::Distinct), ..Synthetic::new(Object::Mutex) }, "holds no value");
    refused(Synthetic { mix: Some(Mix(vec![1])), ..register() }, "one weight each for read:write");
    let range = Some(Values::Range { start: 0, end: 5 });
    let future = Some(Violation::FutureRead);
    refused(Synthetic { violation: future, values: range, ..register() }, "only with distinct values");
    let lone =
        Synthetic { clients: 1, violation: Some(Violation::DoubleAcquire), ..Synthetic::new(Object::Mutex) };
    refused(lone, "no place for a certain double-acquire");
    let token = Some(Violation::StaleToken);
    refused(
        Synthetic { violation: token, ..Synthetic::new(Object::ReentrantMutex) },
        "it has: double-acquire",
    );
}
