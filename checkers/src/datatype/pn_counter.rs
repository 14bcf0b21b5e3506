//! `pn-counter` and `g-counter`: replicated counters that show the same sum in the end.
//!
//! Maelstrom's workloads of these names; the objects are Shapiro et al. 2011's, *A comprehensive study of
//! Convergent and Commutative Replicated Data Types*, §3.1. A sum is *acceptable* if it is that of all
//! `add`s that completed ok and any of those in doubt. A final read that completed ok with any other
//! value is a **wrong-sum**, an error. Other reads may be behind in any way, and are not judged; a
//! history without final reads says nothing. What a final read is, is told in
//! [`broadcast`](super::broadcast).
//!
//! A `g-counter` only grows: a negative amount is refused, as no operation of it.
//!
//! Unlike [`counter`](super::counter), this knows exactly which sums are possible and not only their
//! bounds, and nothing of real time: it is for counters that are not linearizable.
//!
//! Where Maelstrom's differs: it trusts the mark `:final?` of its generator. Sums are the same, held as
//! intervals as there; where there would be too many of them, some gaps are closed, and a read in such a
//! gap is neither wrong nor right: the verdict is unknown.
//!
//! Cost: O(n), and for the intervals about their number times the number of different amounts in doubt, with
//! a fixed limit. Sums are kept in 128 bits, which no history overflows.

use super::counter::{ADD, Action, action};
use super::final_reads::{Role, final_reads};
use super::info::{Info, op};
use super::operand::{Part, may_have_happened, parts, place, quote};
use super::sums::Sums;
use super::{BOUNDS_MAX, Figure, Findings, Report, Validity};
use crate::history::{History, Outcome};
use crate::model::{ModelError, OperationInfo};

/// See the module's text.
pub const INFO: Info = Info {
    name: "pn-counter",
    aliases: &[],
    summary: "a replicated counter: in the end every replica shows a sum that the additions can have",
    operations: &[
        ADD,
        op(&["increment", "inc"], "nil or integer", "nil, true or the same", "adds 1, or the integer"),
        op(&["decrement", "dec"], "nil or integer", "nil, true or the same", "subtracts 1, or the integer"),
        READ,
    ],
    source: "Maelstrom, maelstrom.workload.pn-counter; Shapiro et al. 2011, §3.1.3",
};

/// The same for a counter that only grows.
pub const G_COUNTER_INFO: Info = Info {
    name: "g-counter",
    aliases: &["grow-only-counter"],
    summary: "a replicated counter that only grows: in the end every replica shows a possible sum",
    operations: &[
        op(&["add"], "integer, not negative", "nil, true or the same", "adds it"),
        op(&["increment", "inc"], "nil or integer", "nil, true or the same", "adds 1, or the integer"),
        READ,
    ],
    source: "Maelstrom, maelstrom.workload.g-counter; Shapiro et al. 2011, §3.1.2",
};

const READ: OperationInfo = op(
    &["read", "get"],
    "any; :final? true on the event, :final or {:final? true} here mark a final read",
    "integer",
    "sees what one replica has counted",
);

/// What to know of a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PnCounterOptions {
    /// Its value before anything was added.
    pub initial: i64,
    /// It is a `g-counter`: negative amounts are refused.
    pub grow_only: bool,
}

/// Judges a history of `add`, `increment`, `decrement` and `read`.
pub fn check(history: &History, options: &PnCounterOptions) -> Result<Report, ModelError> {
    let mut tally = Tally::default();
    for part in parts(history) {
        tally.judge(history, &part, options)?;
    }
    Ok(tally.report())
}

#[derive(Default)]
struct Tally {
    findings: Findings,
    undecided: Option<String>,
    add_count: u64,
    in_doubt: u64,
    final_reads: u64,
    acceptable: Vec<(i128, i128)>,
    step: i128,
}

impl Tally {
    fn judge(
        &mut self,
        history: &History,
        part: &Part,
        options: &PnCounterOptions,
    ) -> Result<(), ModelError> {
        let values = history.values();
        let mut sum = i128::from(options.initial);
        let mut in_doubt = Vec::new();
        for id in &part.ops {
            let op = history.operation(*id);
            let Action::Add(by) = action(&op, values)? else { continue };
            if options.grow_only && by < 0 {
                return Err(ModelError::input(&op, values, "an amount of 0 or more: a g-counter only grows"));
            }
            self.add_count += 1;
            match op.outcome {
                Outcome::Ok => sum += by,
                _ if may_have_happened(&op) => in_doubt.push(by),
                _ => {}
            }
        }
        let sums = Sums::new(sum, &in_doubt);
        self.in_doubt += in_doubt.len() as u64;
        let finals = final_reads(history, &part.ops, |op| match op.f {
            "read" | "get" => Role::Read,
            _ => Role::Update,
        });
        self.final_reads += finals.len() as u64;
        if finals.is_empty() {
            let of_key = part.of_key(values);
            let reason =
                format!("no read of the counter{of_key} is final: invoked after all additions were over");
            self.undecided.get_or_insert(reason);
        }
        for id in finals {
            let op = history.operation(id);
            let Action::Read(Some(seen)) = action(&op, values)? else { continue };
            if sums.contains(seen) {
                if !sums.is_exact() && seen != sum {
                    let reason =
                        "the additions in doubt have too many different sums to tell all of them apart";
                    self.undecided.get_or_insert_with(|| reason.to_owned());
                }
                continue;
            }
            self.findings.add("wrong-sum", true, || {
                let sentence = format!(
                    "the final read{} {} by process {} saw {seen}; {sum} was surely added, and {} {} in doubt",
                    part.of_key(values),
                    place(history, id),
                    op.process,
                    in_doubt.len(),
                    if in_doubt.len() == 1 { "addition is" } else { "additions are" }
                );
                quote(vec![id], vec![op.output], sentence)
            });
        }
        // Of several counters, the sums of the first are shown.
        if self.acceptable.is_empty() {
            self.acceptable = sums.ranges();
            self.acceptable.truncate(BOUNDS_MAX);
            self.step = sums.step();
        }
        Ok(())
    }

    fn report(self) -> Report {
        let mut figures = vec![
            ("add-count", Figure::Count(self.add_count)),
            ("in-doubt-count", Figure::Count(self.in_doubt)),
            ("final-read-count", Figure::Count(self.final_reads)),
            ("error-count", Figure::Count(self.findings.count("wrong-sum"))),
            ("acceptable", Figure::Ranges(self.acceptable)),
        ];
        if self.step > 1 {
            figures.push(("acceptable-step", Figure::Int(i64::try_from(self.step).unwrap_or(i64::MAX))));
        }
        let otherwise = self.undecided.map_or(Validity::Valid, Validity::Unknown);
        self.findings.report(otherwise, figures)
    }
}

#[cfg(test)]
mod tests {
    use super::super::counter::tests::Sum;
    use super::super::testing::*;
    use super::*;
    use crate::history::Operation;
    use crate::model::transcript::{history, keyed_history};

    const PN: PnCounterOptions = PnCounterOptions { initial: 0, grow_only: false };

    fn told(lines: &[&str]) -> (&'static str, Vec<String>) {
        let history = history(lines);
        let report = check(&history, &PN).unwrap();
        assert_well_formed(&history, &report);
        (word(&report), report.findings.into_iter().map(|finding| finding.sentence).collect())
    }

    #[test]
    fn the_end_shows_a_sum_that_the_additions_can_have() {
        let adds = ["0 add 2 | ok", "0 add -5 | ok", "1 add 3 | info", "2 add 4", "0 add 1 | fail"];
        let with = |read: &str| told(&[&adds[..], &["0 read nil | ok 8", read]].concat());
        for sum in [-3, 0, 1, 4] {
            assert_eq!(with(&format!("0 read nil | ok {sum}")), ("true", vec![]));
        }
        let sentence =
            "the final read on line 13 by process 0 saw 2; -3 was surely added, and 2 additions are in doubt";
        assert_eq!(with("0 read nil | ok 2"), ("false", vec![sentence.to_owned()]));
        assert_eq!(with("0 read nil | info").0, "unknown");
        assert_eq!(told(&["0 read nil | ok 9", "0 add 1 | ok"]).0, "unknown");
        assert_eq!(told(&["0 add 1 | ok", "1 read :final | ok 1", "0 read nil | ok 0"]), ("true", vec![]));
    }

    #[test]
    fn acceptable_sums_are_shown() {
        let report = |lines: &[&str]| check(&history(lines), &PN).unwrap();
        let even = report(&["add 2 | ok", "add 2", "add -4", "0 read nil | ok 0"]);
        assert_eq!(figure(&even, "acceptable"), &Figure::Ranges(vec![(-2, 4)]));
        assert_eq!(figure(&even, "acceptable-step"), &Figure::Int(2));
        let odd = report(&["add 1", "add 5", "0 read nil | ok 2"]);
        assert_eq!(
            (word(&odd), figure(&odd, "acceptable")),
            ("false", &Figure::Ranges(vec![(0, 1), (5, 6)]))
        );
        let keyed = keyed_history(&[(":a", "add 1 | ok"), (":b", "add 2 | ok"), (":b", "read nil | ok 2")]);
        let reason = "no read of the counter of key :a is final: invoked after all additions were over";
        assert_eq!(check(&keyed, &PN).unwrap().validity, Validity::Unknown(reason.to_owned()));
    }

    #[test]
    fn a_grow_only_counter_refuses_to_shrink() {
        let grow = PnCounterOptions { initial: 0, grow_only: true };
        let error = |lines: &[&str]| check(&history(lines), &grow).unwrap_err().to_string();
        let expected = "expected an amount of 0 or more: a g-counter only grows";
        assert_eq!(error(&["add -1"]), format!("line 1: add has the value -1; {expected}"));
        assert_eq!(error(&["dec nil"]), format!("line 1: dec has the value nil; {expected}"));
    }

    #[test]
    fn it_agrees_with_the_definition_on_random_histories() {
        let mut met = Met::default();
        for seed in 0..4000 {
            let mut chance = Chance::new(seed);
            let fault_percent = [0, 70][seed as usize % 2];
            let operations = 1 + chance.below(6) as usize;
            let history = draw(&mut chance, 3, operations, &mut Sum { sum: 0, fault_percent });
            let report = check(&history, &PN).unwrap();
            assert_well_formed(&history, &report);
            let amount = |op: &Operation<'_>| op.input.as_small_int().unwrap_or(-1);
            let adds: Vec<Operation<'_>> = history.operations().filter(|op| op.f != "read").collect();
            let doubts: Vec<i64> = adds.iter().filter(|op| op.outcome == Outcome::Info).map(amount).collect();
            let sum: i64 = adds.iter().filter(|op| op.outcome == Outcome::Ok).map(amount).sum();
            let finals: Vec<i64> = history
                .operations()
                .filter(|op| op.f == "read" && op.outcome == Outcome::Ok)
                .filter(|read| {
                    adds.iter().all(|add| add.outcome != Outcome::Ok || add.returned() < read.invoke_position)
                })
                .filter(|read| !history.operations().any(|op| op.process == read.process && op.id > read.id))
                .map(|read| read.output.as_small_int().unwrap())
                .collect();
            // Every subset of the additions in doubt.
            let possible = |seen: i64| {
                (0..1_u32 << doubts.len()).any(|some| {
                    let taken = |at: &usize| some >> at & 1 == 1;
                    sum + (0..doubts.len()).filter(taken).map(|at| doubts[at]).sum::<i64>() == seen
                })
            };
            let expected = match finals.iter().all(|seen| possible(*seen)) {
                _ if finals.is_empty() => "unknown",
                true => "true",
                false => "false",
            };
            assert_eq!(word(&report), expected, "seed {seed}: {report:#?}");
            met.see(expected);
        }
        met.at_least(&["true", "false", "unknown"], 200);
    }
}
