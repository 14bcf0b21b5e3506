//! `counter`: every read lies between what was surely added and what may have been.
//!
//! Jepsen's `checker/counter`, extended to amounts below 0. Of all `add`s that did not fail, one *surely*
//! counts for a read if it completed ok before the read was invoked; one *may* count if it does not
//! surely and was invoked before the read completed: it ran at the same time, or nobody knows whether it
//! took effect. Then
//!
//! ```text
//! lower = initial + the sum of what surely counts + the sum of what may count and is negative
//! upper = initial + the sum of what surely counts + the sum of what may count and is positive
//! ```
//!
//! and a read that completed ok with a value outside `lower..=upper` is **out-of-bounds**, an error.
//! Reads in doubt constrain nothing, and failed adds did not happen. The bounds hold for every
//! linearizable counter, and ask less than linearizability: each read is judged by itself, and may see
//! any number between them. A replicated counter that is not linearizable, whose reads may be behind, is
//! judged by its final reads: see [`pn_counter`](super::pn_counter).
//!
//! Where Jepsen's differs: it refuses negative amounts. For others it says the same.
//!
//! Sums are kept in 128 bits, which no history overflows. Figures of type [`Figure::Int`] are cut off at
//! those of 64 bits.
//!
//! Cost: O(n log n) to put events in order, then one look at each.

use super::info::{Info, op};
use super::operand::{Part, may_have_happened, note_vacuous, parts, place, quote, returned};
use super::order::{Moment, moments};
use super::{BOUNDS_MAX, Figure, Findings, Report, Validity};
use crate::history::{History, OpId, Operation};
use crate::model::{ModelError, OperationInfo};
use crate::value::{FastBuild, Value, Values};
use hashbrown::HashMap;

/// See the module's text.
pub const INFO: Info = Info {
    name: "counter",
    aliases: &[],
    summary: "every read lies between what was surely added and what may have been",
    operations: &[
        ADD,
        op(&["increment", "inc"], "nil or integer", "nil, true or the same", "adds 1, or the integer"),
        op(&["decrement", "dec"], "nil or integer", "nil, true or the same", "subtracts 1, or the integer"),
        op(&["read", "get"], "any", "integer", "sees the sum"),
    ],
    source: "Jepsen, jepsen.checker/counter",
};

pub(super) const ADD: OperationInfo = op(&["add"], "integer", "nil, true or the same", "adds it");

/// What to know of a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterOptions {
    /// Its value before anything was added.
    pub initial: i64,
}

/// Judges a history of `add`, `increment`, `decrement` and `read`.
pub fn check(history: &History, options: &CounterOptions) -> Result<Report, ModelError> {
    let mut tally = Tally::default();
    for part in parts(history) {
        tally.judge(history, &part, i128::from(options.initial))?;
    }
    if tally.read_count == 0 {
        note_vacuous(&mut tally.findings, "no read completed, so nothing could be out of bounds");
    }
    Ok(tally.report())
}

/// What a counter's operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Adds this much.
    Add(i128),
    /// Sees this sum; `None` if nobody saw it.
    Read(Option<i128>),
}

/// Reads an operation of a counter, whatever became of it.
pub(super) fn action(op: &Operation<'_>, values: &Values) -> Result<Action, ModelError> {
    let (sign, unit) = match op.f {
        "read" | "get" => {
            let Some(output) = returned(op) else { return Ok(Action::Read(None)) };
            return match values.int_of(output) {
                Some(sum) => Ok(Action::Read(Some(i128::from(sum)))),
                None => Err(ModelError::output(op, values, "an integer, the sum")),
            };
        }
        "add" => (1, None),
        "increment" | "inc" => (1, Some(1)),
        "decrement" | "dec" => (-1, Some(1)),
        _ => return Err(ModelError::unknown_function(op, "add, increment, decrement, read")),
    };
    if let Some(output) = returned(op)
        && !matches!(output, Value::NIL | Value::TRUE)
        && output != op.input
    {
        return Err(ModelError::output(op, values, "nil, true or the amount, repeated"));
    }
    match (values.int_of(op.input), unit) {
        (Some(by), _) => Ok(Action::Add(sign * i128::from(by))),
        (None, Some(unit)) if op.input.is_nil() => Ok(Action::Add(sign * unit)),
        (None, Some(_)) => Err(ModelError::input(op, values, "nil or an integer, the amount")),
        (None, None) => Err(ModelError::input(op, values, "an integer, the amount to add")),
    }
}

/// Sums of what is above 0 and of what is below.
#[derive(Clone, Copy, Default)]
struct Sums {
    above: i128,
    below: i128,
}

impl Sums {
    fn add(&mut self, by: i128) {
        if by > 0 {
            self.above += by;
        } else {
            self.below += by;
        }
    }
}

#[derive(Default)]
struct Tally {
    findings: Findings,
    read_count: u64,
    error_count: u64,
    reads: Vec<[i128; 3]>,
    errors: Vec<[i128; 3]>,
    /// How far the worst read lies outside, and where.
    worst: Option<(i128, [i128; 3])>,
}

impl Tally {
    fn judge(&mut self, history: &History, part: &Part, initial: i128) -> Result<(), ModelError> {
        let values = history.values();
        let (mut sure, mut possible) = (Sums::default(), Sums::default());
        let mut open: HashMap<OpId, Sums, FastBuild> = HashMap::default();
        for (moment, op) in moments(history, &part.ops) {
            match (action(&op, values)?, moment) {
                (Action::Add(by), Moment::Invoked) if may_have_happened(&op) => possible.add(by),
                (Action::Add(by), Moment::Completed) if op.returned() == op.complete_position => sure.add(by),
                (Action::Read(Some(_)), Moment::Invoked) => _ = open.insert(op.id, sure),
                (Action::Read(Some(value)), Moment::Completed) => {
                    let surely = open.remove(&op.id).unwrap_or_default();
                    let lower = initial + surely.above + possible.below;
                    let upper = initial + possible.above + surely.below;
                    self.read(history, part, &op, [lower, value, upper]);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn read(&mut self, history: &History, part: &Part, op: &Operation<'_>, bounds: [i128; 3]) {
        let [lower, value, upper] = bounds;
        self.read_count += 1;
        if self.reads.len() < BOUNDS_MAX {
            self.reads.push(bounds);
        }
        if (lower..=upper).contains(&value) {
            return;
        }
        self.error_count += 1;
        if self.errors.len() < BOUNDS_MAX {
            self.errors.push(bounds);
        }
        let error = (lower - value).max(value - upper);
        if self.worst.is_none_or(|(most, _)| error > most) {
            self.worst = Some((error, bounds));
        }
        self.findings.add("out-of-bounds", true, || {
            let read = format!("the read{} {}", part.of_key(history.values()), place(history, op.id));
            let sentence = if value < lower {
                format!("{read} saw {value}, but at least {lower} was there (at most {upper})")
            } else {
                format!("{read} saw {value}, but at most {upper} can have been there (at least {lower})")
            };
            quote(vec![op.id], vec![op.output], sentence)
        });
    }

    fn report(self) -> Report {
        let mut figures = vec![
            ("read-count", Figure::Count(self.read_count)),
            ("error-count", Figure::Count(self.error_count)),
            ("reads", Figure::Bounds(self.reads)),
            ("errors", Figure::Bounds(self.errors)),
        ];
        figures.extend(self.worst.map(|(_, bounds)| ("max-absolute-error", Figure::Bounds(vec![bounds]))));
        self.findings.report(Validity::Valid, figures)
    }
}

#[cfg(test)]
pub(in crate::datatype) mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::format::{Limits, read_path};
    use crate::history::{EventKind, NEVER, Outcome};
    use crate::linearizability;
    use crate::model::counter::LinearCounter;
    use crate::model::transcript::{history, keyed_history};
    use crate::options::Options;
    use crate::verdict::Verdict;

    const ZERO: CounterOptions = CounterOptions { initial: 0 };

    fn bounds(lines: &[&str]) -> (&'static str, Vec<[i128; 3]>) {
        let history = history(lines);
        let report = check(&history, &ZERO).unwrap();
        assert_well_formed(&history, &report);
        match figure(&report, "reads") {
            Figure::Bounds(reads) => (word(&report), reads.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_lie_between_what_was_and_what_may_have_been_added() {
        assert_eq!(bounds(&["add 2 | ok", "add 3 | fail", "read nil | ok 2"]), ("true", vec![[2, 2, 2]]));
        assert_eq!(
            bounds(&[
                "add 2 | ok",
                "add -3 | info",
                "inc nil",
                "dec 2 | ok",
                "read nil | ok 5",
                "add 9 | ok"
            ]),
            ("false", vec![[-3, 5, 1]])
        );
        assert_eq!(bounds(&["read nil | info 7", "read nil | fail", "add 1"]), ("true", vec![]));
        let huge = "add 9223372036854775807 | ok";
        let sum = 2 * i128::from(i64::MAX);
        assert_eq!(bounds(&[huge, huge, "read nil | ok 1"]), ("false", vec![[sum, 1, sum]]));
    }

    #[test]
    fn what_is_out_of_bounds_is_told() {
        let history = keyed_history(&[
            (":a", "add 2 | ok"),
            (":a", "read nil | ok 1"),
            (":a", "read nil | ok 4"),
            (":b", "read nil | ok 0"),
        ]);
        let report = check(&history, &ZERO).unwrap();
        let sentences: Vec<_> = report.findings.iter().map(|finding| finding.sentence.as_str()).collect();
        assert_eq!(
            sentences,
            [
                "the read of key :a on line 3 saw 1, but at least 2 was there (at most 2)",
                "the read of key :a on line 5 saw 4, but at most 2 can have been there (at least 2)",
            ]
        );
        assert_eq!(figure(&report, "max-absolute-error"), &Figure::Bounds(vec![[2, 4, 2]]));
        let shifted = check(&self::history(&["read nil | ok 7"]), &CounterOptions { initial: 7 }).unwrap();
        assert_eq!(word(&shifted), "true");
    }

    #[test]
    fn errors_name_the_line() {
        let error = |lines: &[&str]| check(&history(lines), &ZERO).unwrap_err().to_string();
        assert_eq!(
            error(&["add nil"]),
            "line 1: add has the value nil; expected an integer, the amount to add"
        );
        assert_eq!(
            error(&["inc :x"]),
            "line 1: inc has the value :x; expected nil or an integer, the amount"
        );
        assert_eq!(
            error(&["add 1 | ok 5"]),
            "line 2: add returned the value 5; expected nil, true or the amount, repeated"
        );
        assert_eq!(
            error(&["read nil | ok nil"]),
            "line 2: read returned the value nil; expected an integer, the sum"
        );
        assert_eq!(
            error(&["reset nil"]),
            "line 1: the model has no function reset; expected one of: add, increment, decrement, read"
        );
    }

    #[test]
    fn the_published_histories_are_valid_for_want_of_reads() {
        for file in ["counter.edn", "counter.json"] {
            let Some(path) = published(file) else { return };
            let history = read_path(&path, None, &Limits::default()).unwrap();
            let report = check(&history, &ZERO).unwrap();
            assert_eq!((word(&report), kinds(&report)), ("true", vec!["nothing-to-judge"]));
        }
    }

    /// A counter that tells the truth, or something close to it.
    pub(in crate::datatype) struct Sum {
        pub(in crate::datatype) sum: i64,
        pub(in crate::datatype) fault_percent: u64,
    }

    impl System for Sum {
        fn invoke(&mut self, chance: &mut Chance, _: &mut Values, _: i64) -> (&'static str, Value) {
            match chance.below(5) {
                0 | 1 => ("read", Value::NIL),
                2 => ("dec", Value::NIL),
                _ => ("add", int(chance.below(8) as i64 - 4)),
            }
        }

        fn complete(
            &mut self,
            chance: &mut Chance,
            _: &mut Values,
            asked: (i64, &str, Value),
        ) -> (EventKind, Value) {
            let kind = [EventKind::Ok, EventKind::Ok, EventKind::Ok, EventKind::Info, EventKind::Fail];
            let kind = kind[chance.below(5) as usize];
            if asked.1 == "read" {
                let off = if chance.percent(self.fault_percent) { chance.below(9) as i64 - 4 } else { 0 };
                return (kind, int(self.sum + off));
            }
            if kind == EventKind::Ok || kind == EventKind::Info && chance.percent(50) {
                self.sum += asked.2.as_small_int().unwrap_or(-1);
            }
            (kind, Value::NIL)
        }
    }

    /// The definition, read by read and add by add.
    fn oracle(history: &History) -> Vec<(OpId, [i128; 3])> {
        let reads = history.operations().filter(|op| op.f == "read" && op.outcome == Outcome::Ok);
        let bounds = |read: Operation<'_>| {
            let (mut lower, mut upper) = (0, 0);
            for add in history.operations().filter(|op| op.f != "read" && op.outcome != Outcome::Fail) {
                let by = i128::from(add.input.as_small_int().unwrap_or(-1));
                if add.returned() != NEVER && add.returned() < read.invoke_position {
                    lower += by;
                    upper += by;
                } else if add.invoke_position < read.complete_position {
                    lower += by.min(0);
                    upper += by.max(0);
                }
            }
            let value = read.output.as_small_int().unwrap().into();
            (read.complete_position, [lower, value, upper])
        };
        let mut all: Vec<_> = reads.map(bounds).collect();
        all.sort_by_key(|(position, _)| *position);
        all
    }

    #[test]
    fn it_agrees_with_the_definition_and_accuses_no_linearizable_counter() {
        let mut met = Met::default();
        for seed in 0..4000 {
            let mut chance = Chance::new(seed);
            let fault_percent = [0, 60][seed as usize % 2];
            let operations = 1 + chance.below(12) as usize;
            let history = draw(&mut chance, 3, operations, &mut Sum { sum: 0, fault_percent });
            let report = check(&history, &ZERO).unwrap();
            assert_well_formed(&history, &report);
            let expected: Vec<[i128; 3]> = oracle(&history).into_iter().map(|(_, bounds)| bounds).collect();
            assert_eq!(figure(&report, "reads"), &Figure::Bounds(expected.clone()), "seed {seed}");
            let wrong = expected.iter().any(|[lower, value, upper]| value < lower || value > upper);
            assert_eq!(word(&report), if wrong { "false" } else { "true" });
            met.see(word(&report));
            if operations < 8 {
                let options = Options { threads: 1, ..Options::default() };
                let model = LinearCounter::for_history(0, &history);
                if matches!(linearizability::check(&history, &model, &options).unwrap(), Verdict::Valid(_)) {
                    assert_eq!(word(&report), "true", "seed {seed}");
                    met.see("linearizable");
                }
            }
        }
        met.at_least(&["true", "false", "linearizable"], 500);
    }
}
