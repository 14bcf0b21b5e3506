//! `fencing`: tokens of a lock grow, and what it protects refuses old ones.
//!
//! Kleppmann 2016, *How to do distributed locking*: a lock service gives a token, a larger one each time,
//! to whoever acquires the lock; its holder shows it with every use of the protected resource; the
//! resource refuses a token smaller than one that it has seen. So a client that was paused past the end
//! of its lease does no harm. In a history of `acquire`s and uses,
//!
//! - a **token-went-back** if an acquisition that completed ok got a token smaller than that of one which had
//!   completed before it was invoked;
//! - a token is **duplicated** if two acquisitions got it; only a process that has not asked to release
//!   the lock since may get its own again (a reentrant lock);
//! - a **stale-token-accepted** if a use completed ok though one with a larger token had completed ok
//!   before it was invoked;
//! - a **token-from-nowhere** if a use completed ok with a token that no acquisition can have given out
//!   by then: none that completed ok with it, or is in doubt, was invoked before.
//!
//! All four are errors. Unlike the model `fenced-mutex`, which is linearizable, this does not ask that
//! one client at a time holds the lock: leases expire, and fencing is there because they do. It needs no
//! releases, looks at the resource too, and takes O(n log n) where the model's search may take
//! exponential time.
//!
//! A token is an integer, or under `:fence` or `:token` of a map. 0 under `:fence` is Hazelcast's way to
//! say that there is none.
//!
//! Cost: O(n log n) to put events in order, then one look at each with a table of the tokens.

use super::info::{Info, op};
use super::operand::{Part, field, parts, place, quote};
use super::order::{Moment, moments};
use super::{Figure, Findings, Report, Validity};
use crate::history::{History, OpId, Operation, Outcome};
use crate::model::ModelError;
use crate::value::{Datum, FastBuild, Value, Values};
use hashbrown::HashMap;

/// See the module's text.
pub const INFO: Info = Info {
    name: "fencing",
    aliases: &["fencing-tokens"],
    summary: "tokens of a lock are unique and grow, and what it protects accepts no old one",
    operations: &[
        op(
            &["acquire", "lock"],
            "any",
            "token, nil or {:fence token}; fence 0 is none",
            "gets the lock, and a token with it",
        ),
        op(&["release", "unlock"], "any", "any", "gives the lock back"),
        op(
            &["write", "access", "use"],
            "token or {:token token, …}",
            "any",
            "uses the resource: ok if that took the token, a failure (:fail) if it refused it",
        ),
    ],
    source: "Kleppmann 2016, How to do distributed locking",
};

/// Judges a history of `acquire`, `release` and uses of a resource.
pub fn check(history: &History) -> Result<Report, ModelError> {
    let mut tally = Tally::default();
    for part in parts(history) {
        tally.judge(history, &part)?;
    }
    Ok(tally.report())
}

/// What an operation has to do with tokens.
enum Action {
    /// Got this one; `None` if it got none, or nobody knows which.
    Acquire(Option<i64>),
    Release,
    /// Showed this one.
    Use(i64),
}

fn action(op: &Operation<'_>, values: &Values) -> Result<Action, ModelError> {
    let token = |value: Value| -> Result<Option<i64>, ()> {
        match values.get(value) {
            Datum::Int(token) => Ok(Some(token)),
            Datum::Map(_) => match (field(values, value, "fence"), field(values, value, "token")) {
                (None | Some(Value::NIL), None | Some(Value::NIL)) => Ok(None),
                (Some(fence), None | Some(Value::NIL)) => {
                    values.int_of(fence).map(|fence| Some(fence).filter(|fence| *fence != 0)).ok_or(())
                }
                (_, Some(token)) => values.int_of(token).map(Some).ok_or(()),
            },
            _ => Ok(None),
        }
    };
    match op.f {
        "acquire" | "lock" if op.outcome != Outcome::Ok => Ok(Action::Acquire(None)),
        "acquire" | "lock" => match token(op.output) {
            // What is not a token may be the invocation's value, repeated.
            _ if op.output == op.input && !matches!(values.get(op.output), Datum::Map(_)) => {
                Ok(Action::Acquire(None))
            }
            Ok(token)
                if token.is_some()
                    || matches!(values.get(op.output), Datum::Nil | Datum::Bool(true) | Datum::Map(_)) =>
            {
                Ok(Action::Acquire(token))
            }
            _ => Err(ModelError::output(
                op,
                values,
                "a token (an integer), nil, or a map with :fence or :token",
            )),
        },
        "release" | "unlock" => Ok(Action::Release),
        "write" | "access" | "use" => match token(op.input) {
            Ok(Some(token)) => Ok(Action::Use(token)),
            _ => Err(ModelError::input(op, values, "a token (an integer), or a map with :token or :fence")),
        },
        _ => Err(ModelError::unknown_function(op, "acquire, release, write, access, use")),
    }
}

#[derive(Default)]
struct Tally {
    findings: Findings,
    acquired: u64,
    accepted: u64,
    refused: u64,
}

/// The largest token so far, and whose it is.
type Largest = Option<(i64, OpId)>;

impl Tally {
    fn judge(&mut self, history: &History, part: &Part) -> Result<(), ModelError> {
        let values = history.values();
        let (mut acquired, mut accepted): (Largest, Largest) = (None, None);
        // What had been acquired, or accepted, when an open operation was invoked.
        let mut before: HashMap<OpId, Largest, FastBuild> = HashMap::default();
        let mut released: HashMap<i64, u32, FastBuild> = HashMap::default();
        let mut given: HashMap<i64, OpId, FastBuild> = HashMap::default();
        let in_doubt = |op: &Operation<'_>| op.outcome == Outcome::Info;
        let (mut first_in_doubt, mut uses) = (u32::MAX, Vec::new());
        for (moment, op) in moments(history, &part.ops) {
            match (action(&op, values)?, moment) {
                (Action::Acquire(None), Moment::Invoked) if in_doubt(&op) => {
                    first_in_doubt = first_in_doubt.min(op.invoke_position);
                }
                (Action::Acquire(Some(_)), Moment::Invoked) => _ = before.insert(op.id, acquired),
                (Action::Acquire(Some(token)), Moment::Completed) => {
                    self.acquired += 1;
                    let earlier = before.remove(&op.id).flatten();
                    if let Some((larger, by)) = earlier.filter(|(largest, _)| *largest > token) {
                        self.error(history, part, "token-went-back", [by, op.id], |at| {
                            format!(
                                "got the token {token}, though {larger} had been given out before, {}",
                                at[0]
                            )
                        });
                    }
                    self.look_for_twin(history, part, &op, token, &given, &released);
                    given.entry(token).or_insert(op.id);
                    acquired = acquired.max(Some((token, op.id)));
                }
                (Action::Release, Moment::Invoked) => _ = released.insert(op.process, op.invoke_position),
                (Action::Use(_), Moment::Invoked) => _ = before.insert(op.id, accepted),
                (Action::Use(_), Moment::Completed) if op.outcome == Outcome::Fail => self.refused += 1,
                (Action::Use(token), Moment::Completed) if op.outcome == Outcome::Ok => {
                    self.accepted += 1;
                    let earlier = before.remove(&op.id).flatten();
                    if let Some((larger, by)) = earlier.filter(|(largest, _)| *largest > token) {
                        self.error(history, part, "stale-token-accepted", [by, op.id], |at| {
                            format!(
                                "was accepted with the token {token}, though {larger} had been before, {}",
                                at[0]
                            )
                        });
                    }
                    accepted = accepted.max(Some((token, op.id)));
                    uses.push((op.id, token));
                }
                _ => {}
            }
        }
        // An acquisition may complete after its token was used.
        let mut first_given: HashMap<i64, u32, FastBuild> = HashMap::default();
        for id in &part.ops {
            let op = history.operation(*id);
            if let Action::Acquire(Some(token)) = action(&op, values)? {
                first_given.entry(token).or_insert(op.invoke_position);
            }
        }
        for (id, token) in uses {
            let completed = history.operation(id).complete_position;
            let known = first_given.get(&token).is_some_and(|invoked| *invoked < completed);
            if !known && first_in_doubt > completed {
                self.error(history, part, "token-from-nowhere", [id, id], |_| {
                    format!("was accepted with the token {token}, which nobody can have been given by then")
                });
            }
        }
        Ok(())
    }

    /// The same token twice, unless it is the process' own and still its.
    fn look_for_twin(
        &mut self,
        history: &History,
        part: &Part,
        op: &Operation<'_>,
        token: i64,
        given: &HashMap<i64, OpId, FastBuild>,
        released: &HashMap<i64, u32, FastBuild>,
    ) {
        let Some(twin) = given.get(&token).map(|twin| history.operation(*twin)) else { return };
        let released = released.get(&op.process).is_some_and(|released| *released > twin.invoke_position);
        if twin.process != op.process || released {
            self.error(history, part, "duplicated", [twin.id, op.id], |at| {
                format!("got the token {token}, which had been given out {}", at[0])
            });
        }
    }

    fn error(
        &mut self,
        history: &History,
        part: &Part,
        kind: &'static str,
        ops: [OpId; 2],
        rest: impl FnOnce([String; 2]) -> String,
    ) {
        self.findings.add(kind, true, || {
            let at = ops.map(|id| place(history, id));
            let op = history.operation(ops[1]);
            let who =
                format!("the {}{} {} by process {}", op.f, part.of_key(history.values()), at[1], op.process);
            quote(ops.to_vec(), vec![], format!("{who} {}", rest(at)))
        });
    }

    fn report(self) -> Report {
        let otherwise = match (self.acquired, self.accepted) {
            (0, 0) => Validity::Unknown("nobody was given a token, and none was accepted".to_owned()),
            _ => Validity::Valid,
        };
        let figures = vec![
            ("acquired-count", Figure::Count(self.acquired)),
            ("accepted-count", Figure::Count(self.accepted)),
            ("refused-count", Figure::Count(self.refused)),
            ("token-went-back-count", Figure::Count(self.findings.count("token-went-back"))),
            ("duplicated-count", Figure::Count(self.findings.count("duplicated"))),
            ("stale-token-accepted-count", Figure::Count(self.findings.count("stale-token-accepted"))),
            ("token-from-nowhere-count", Figure::Count(self.findings.count("token-from-nowhere"))),
        ];
        self.findings.report(otherwise, figures)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::history::{EventKind, NEVER};
    use crate::linearizability;
    use crate::model::mutex::OwnedMutex;
    use crate::model::transcript::{history, keyed_history};
    use crate::options::Options;
    use crate::verdict::Verdict;

    fn told(lines: &[&str]) -> (&'static str, Vec<String>) {
        let history = history(lines);
        let report = check(&history).unwrap();
        assert_well_formed(&history, &report);
        (word(&report), report.findings.into_iter().map(|finding| finding.sentence).collect())
    }

    #[test]
    fn tokens_grow_and_old_ones_are_refused() {
        let (verdict, sentences) = told(&[
            "1 acquire nil | ok 33",
            "2 acquire nil | ok {:fence 34}",
            "2 write {:token 34, :value :x} | ok",
            "1 write {:token 33, :value :y} | fail",
            "1 write 33 | ok",
            "3 acquire nil | ok 32",
            "4 acquire nil | ok 34",
            "4 use 35 | ok",
            "4 release nil | ok",
        ]);
        assert_eq!(verdict, "false");
        assert_eq!(
            sentences,
            [
                "the write on line 9 by process 1 was accepted with the token 33, though 34 had been before, on line 5",
                "the acquire on line 11 by process 3 got the token 32, though 34 had been given out before, on line 3",
                "the acquire on line 13 by process 4 got the token 34, which had been given out on line 3",
                "the use on line 15 by process 4 was accepted with the token 35, which nobody can have been given by then",
            ]
        );
    }

    #[test]
    fn doubt_and_reentrance_excuse() {
        let verdict = |lines: &[&str]| told(lines).0;
        assert_eq!(verdict(&["1 acquire nil", "2 use 7 | ok"]), "true");
        assert_eq!(verdict(&["2 use 7 | ok", "1 acquire nil"]), "false");
        assert_eq!(verdict(&["1 acquire nil | ok 7", "1 acquire nil | ok 7"]), "true");
        assert_eq!(
            verdict(&["1 acquire nil | ok 7", "1 release nil | info", "1 acquire nil | ok 7"]),
            "false"
        );
        assert_eq!(verdict(&["1 acquire nil | ok nil", "1 acquire nil | ok {:fence 0}"]), "unknown");
        assert_eq!(verdict(&["1 acquire nil | ok 7", "2 use 7 | ok", "2 use 6 | info"]), "true");
        let keyed = keyed_history(&[(":a", "acquire nil | ok 7"), (":b", "acquire nil | ok 7")]);
        assert_eq!(word(&check(&keyed).unwrap()), "true");
        let error = |lines: &[&str]| check(&history(lines)).unwrap_err().to_string();
        let expected = "expected a token (an integer), nil, or a map with :fence or :token";
        assert_eq!(
            error(&["acquire nil | ok :x"]),
            format!("line 2: acquire returned the value :x; {expected}")
        );
        assert_eq!(
            error(&["acquire nil | ok {:fence :x}"]),
            format!("line 2: acquire returned the value {{:fence :x}}; {expected}")
        );
        let expected = "expected a token (an integer), or a map with :token or :fence";
        assert_eq!(error(&["write nil"]), format!("line 1: write has the value nil; {expected}"));
        assert_eq!(
            error(&["steal nil"]),
            "line 1: the model has no function steal; expected one of: acquire, release, write, access, use"
        );
    }

    /// A lock service whose tokens may stand still or go back, and a resource that may forget.
    struct Leases {
        token: i64,
        seen: i64,
        fault_percent: u64,
        only_locks: bool,
    }

    impl System for Leases {
        fn invoke(&mut self, chance: &mut Chance, _: &mut Values, _: i64) -> (&'static str, Value) {
            match chance.below(4) {
                0 => ("acquire", Value::NIL),
                1 | 2 if !self.only_locks => ("use", int((self.token - chance.below(3) as i64).max(0))),
                1 => ("acquire", Value::NIL),
                _ => ("release", Value::NIL),
            }
        }

        fn complete(
            &mut self,
            chance: &mut Chance,
            _: &mut Values,
            asked: (i64, &str, Value),
        ) -> (EventKind, Value) {
            let broken = chance.percent(self.fault_percent);
            let kind =
                [EventKind::Ok, EventKind::Ok, EventKind::Ok, EventKind::Info][chance.below(4) as usize];
            match asked.1 {
                "acquire" => {
                    self.token += if broken { chance.below(3) as i64 - 2 } else { 1 };
                    (kind, int(self.token.max(1)))
                }
                "use" => {
                    let token = asked.2.as_small_int().unwrap();
                    if token < self.seen && !broken {
                        return (EventKind::Fail, Value::NIL);
                    }
                    self.seen = token;
                    (kind, Value::NIL)
                }
                _ => (kind, Value::NIL),
            }
        }
    }

    /// The definition, pair by pair.
    fn oracle(history: &History) -> [bool; 4] {
        let all: Vec<Operation<'_>> = history.operations().collect();
        let ok = |f: &'static str| all.iter().filter(move |op| op.f == f && op.outcome == Outcome::Ok);
        let number = |value: Value| value.as_small_int().unwrap();
        let back = ok("acquire").any(|b| {
            ok("acquire")
                .any(|a| a.complete_position < b.invoke_position && number(a.output) > number(b.output))
        });
        let twice = ok("acquire").any(|b| {
            // The first to complete with a token is the one that others must not get again.
            let first =
                ok("acquire").filter(|a| a.output == b.output).min_by_key(|a| a.complete_position).unwrap();
            let released = all.iter().any(|op| {
                op.f == "release"
                    && op.process == b.process
                    && (first.invoke_position..b.complete_position).contains(&op.invoke_position)
            });
            first.id != b.id && (first.process != b.process || released)
        });
        let stale = ok("use").any(|b| {
            ok("use").any(|a| a.complete_position < b.invoke_position && number(a.input) > number(b.input))
        });
        let nowhere = ok("use").any(|b| {
            !all.iter().any(|a| {
                a.f == "acquire"
                    && a.invoke_position < b.complete_position
                    && (a.outcome == Outcome::Info || a.outcome == Outcome::Ok && a.output == b.input)
            })
        });
        [back, twice, stale, nowhere]
    }

    #[test]
    fn it_agrees_with_the_definition_and_accuses_no_fenced_mutex() {
        let mut met = Met::default();
        for seed in 0..5000 {
            let mut chance = Chance::new(seed);
            let fault_percent = [0, 40][seed as usize % 2];
            let only_locks = chance.percent(30);
            let mut system = Leases { token: 0, seen: 0, fault_percent, only_locks };
            let operations = 1 + chance.below(14) as usize;
            let history = draw(&mut chance, 3, operations, &mut system);
            let report = check(&history).unwrap();
            assert_well_formed(&history, &report);
            let names = [
                "token-went-back-count",
                "duplicated-count",
                "stale-token-accepted-count",
                "token-from-nowhere-count",
            ];
            assert_eq!(
                names.map(|name| count(&report, name) > 0),
                oracle(&history),
                "seed {seed}: {report:#?}"
            );
            met.see(word(&report));
            kinds(&report).into_iter().for_each(|kind| met.see(kind));
            if only_locks {
                let options = Options { threads: 1, ..Options::default() };
                let model = OwnedMutex::fenced(&history);
                if matches!(linearizability::check(&history, &model, &options).unwrap(), Verdict::Valid(_)) {
                    assert_ne!(word(&report), "false", "seed {seed}");
                    met.see("linearizable");
                }
            }
            let open = history.operations().filter(|op| op.complete_position == NEVER).count();
            met.see(if open > 0 { "open" } else { "closed" });
        }
        met.at_least(&["true", "false", "linearizable", "open"], 200);
        met.at_least(&["token-went-back", "duplicated", "stale-token-accepted", "token-from-nowhere"], 50);
    }
}
