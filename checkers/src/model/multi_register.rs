//! Several registers, read and written together: Knossos' `multi-register`.
//!
//! An operation's value is a list of micro-operations `[[f key value] …]` with `f` one of `read`,
//! `write`, `r`, `w`; its function may be called anything (`txn`, `read`, `write`). They happen at
//! once, in the order of the list. A completion repeats the list with the values that were read, and
//! with those that were written, which count if they differ from the invocation's. As in a register,
//! nil was read only if the initial value is nil.
//!
//! The registers are one object, and linearizable means that whole operations are in one order.
//! Per-key consistency takes the operations apart instead: [`PerKey`] has a row for each operation
//! and key, and each key is a register of its own.

use super::decode::{has_key_column, returned};
use super::persistent::Map;
use super::{Family, Flow, Model, ModelError, Role, Token};
use crate::history::{Columns, History, OpId, Operation, Outcome};
use crate::value::{Datum, FastBuild, Value, Values};
use crate::verdict::Verdict;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Several registers. In its state, what is not in the map holds the initial value.
#[derive(Clone, Debug)]
pub struct MultiRegister {
    initial: Value,
    /// Every operation is about one key, so this is a register.
    one_key: bool,
}

/// What an operation did, as seen from outside: what it must have found, then what it left behind.
/// Both are sorted by key, and what was left as found is not written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MultiAction {
    reads: Arc<[(Value, Value)]>,
    writes: Arc<[(Value, Value)]>,
    /// It read something else than it had written or read just before: no state explains that.
    contradicts_itself: bool,
}

const SHAPE: &str = "a list of micro-operations [[f key value] …] with f one of read, write, r, w";

struct MicroOp {
    /// The list `[f key value]` itself.
    entry: Value,
    is_write: bool,
    key: Value,
    value: Value,
}

impl MultiRegister {
    /// Registers that all start with `initial`.
    pub fn new(initial: Value) -> MultiRegister {
        MultiRegister { initial, one_key: false }
    }

    /// The model for the rows of [`PerKey`].
    pub fn of_one_key(initial: Value) -> MultiRegister {
        MultiRegister { initial, one_key: true }
    }

    fn value_of(&self, state: &Map<Value, Value>, key: &Value) -> Value {
        state.get(key).copied().unwrap_or(self.initial)
    }

    /// Runs the micro-operations against an unknown state and notes what it must have been.
    fn action_of(&self, micro_ops: &[MicroOp], reads_known: bool) -> Option<MultiAction> {
        let (mut reads, mut writes) = (BTreeMap::new(), BTreeMap::new());
        let mut contradicts_itself = false;
        for op in micro_ops {
            if op.is_write {
                writes.insert(op.key, op.value);
            } else if reads_known && (self.initial.is_nil() || !op.value.is_nil()) {
                match writes.get(&op.key).or(reads.get(&op.key)) {
                    Some(value) => contradicts_itself |= *value != op.value,
                    None => drop(reads.insert(op.key, op.value)),
                }
            }
        }
        writes.retain(|key, value| reads.get(key) != Some(value));
        if contradicts_itself {
            reads.clear();
            writes.clear();
        }
        let says_something = contradicts_itself || !reads.is_empty() || !writes.is_empty();
        says_something.then(|| MultiAction {
            reads: reads.into_iter().collect(),
            writes: writes.into_iter().collect(),
            contradicts_itself,
        })
    }
}

impl Model for MultiRegister {
    type State = Map<Value, Value>;
    type Action = MultiAction;

    fn initial(&self) -> Map<Value, Value> {
        Map::empty()
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<MultiAction>, ModelError> {
        let asked = micro_ops(values, op.input).ok_or_else(|| ModelError::input(op, values, SHAPE))?;
        let Some(output) = completed(op) else { return Ok(self.action_of(&asked, false)) };
        let done = micro_ops(values, output).ok_or_else(|| ModelError::output(op, values, SHAPE))?;
        if !repeats(&done, &asked) {
            let expected = "the micro-operations of the invocation, with the values that were read";
            return Err(ModelError::output(op, values, expected));
        }
        Ok(self.action_of(&done, true))
    }

    fn step(&self, state: &Map<Value, Value>, action: &MultiAction) -> Option<Map<Value, Value>> {
        let found = |(key, value): &(Value, Value)| self.value_of(state, key) == *value;
        if action.contradicts_itself || !action.reads.iter().all(found) {
            return None;
        }
        Some(action.writes.iter().fold(state.clone(), |state, (key, value)| {
            state.with(*key, (*value != self.initial).then_some(*value))
        }))
    }

    fn part(&self, op: &Operation<'_>, _: &Values) -> Option<Value> {
        op.key
    }

    fn is_pure(&self, action: &MultiAction) -> bool {
        action.writes.is_empty()
    }

    fn overwrites(&self, action: &MultiAction) -> bool {
        self.one_key && action.reads.is_empty() && !action.writes.is_empty()
    }

    fn family(&self) -> Option<Family> {
        self.one_key.then_some(Family::Register)
    }

    fn initial_value(&self) -> Value {
        self.initial
    }

    fn role(&self, action: &MultiAction) -> Option<Role> {
        match (&*action.reads, &*action.writes) {
            ([], [(_, value)]) => Some(Role::Put(*value)),
            ([(_, value)], []) => Some(Role::Observe(*value)),
            _ => None,
        }
    }

    fn flows(&self, action: &MultiAction, each: &mut dyn FnMut(Flow)) {
        for &(key, value) in action.reads.iter().filter(|(_, value)| *value != self.initial) {
            each(Flow::Sees(Token { place: Some(key), value }));
        }
        for &(key, value) in action.writes.iter() {
            each(Flow::Brings(Token { place: Some(key), value }));
        }
    }

    fn state_bytes(&self, state: &Map<Value, Value>) -> usize {
        state.own_bytes()
    }

    fn show_state(&self, state: &Map<Value, Value>, values: &Values) -> String {
        let shown: Vec<String> = state
            .iter()
            .map(|(key, value)| format!("{} {}", values.show(*key), values.show(*value)))
            .collect();
        let others = values.show(self.initial);
        if shown.is_empty() {
            format!("all {others}")
        } else {
            format!("{{{}}}, others {others}", shown.join(", "))
        }
    }
}

/// What the completion repeats, if it repeats anything.
fn completed(op: &Operation<'_>) -> Option<Value> {
    returned(op).filter(|output| !output.is_nil())
}

/// True if `done` are the micro-operations `asked` for, whatever they read and wrote.
fn repeats(done: &[MicroOp], asked: &[MicroOp]) -> bool {
    let same = |(a, b): (&MicroOp, &MicroOp)| a.is_write == b.is_write && a.key == b.key;
    done.len() == asked.len() && done.iter().zip(asked).all(same)
}

fn micro_ops(values: &Values, value: Value) -> Option<Vec<MicroOp>> {
    let Datum::List(list) = values.get(value) else { return None };
    list.iter()
        .map(|entry| {
            let Datum::List(&[f, key, value]) = values.get(*entry) else { return None };
            let is_write = match values.text(f)? {
                "read" | "r" => false,
                "write" | "w" => true,
                _ => return None,
            };
            Some(MicroOp { entry: *entry, is_write, key, value })
        })
        .collect()
}

/// A history of several registers with a row for each operation and each key that it touches.
///
/// It holds a copy of the columns and of the values.
#[derive(Clone, Debug)]
pub struct PerKey {
    history: History,
    /// The operation behind each row.
    operations: Vec<OpId>,
}

impl PerKey {
    /// Takes `history` apart. Failed operations are left out; an operation whose value is not a list
    /// of micro-operations keeps its one row, so that the model can refuse it. `None` if the history's
    /// format has a field for keys: then its parts are those.
    pub fn split(history: &History) -> Option<PerKey> {
        if has_key_column(history) {
            return None;
        }
        let mut values = history.values.clone();
        let (mut columns, mut operations) = (Columns::default(), Vec::new());
        for op in history.operations().filter(|op| op.outcome != Outcome::Fail) {
            let Some(by_key) = by_key(&history.values, &op) else {
                push_row(&mut columns, history, &op, None, (op.input, op.output));
                operations.push(op.id);
                continue;
            };
            for (key, (asked, done)) in by_key {
                let output = if done.is_empty() { Value::NIL } else { values.list(&done) };
                let input = values.list(&asked);
                push_row(&mut columns, history, &op, Some(key), (input, output));
                operations.push(op.id);
            }
        }
        let history = History {
            values,
            functions: history.functions.clone(),
            columns,
            event_count: history.event_count,
            ..History::default()
        };
        Some(PerKey { history, operations })
    }

    /// The rows.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// `verdict`, which speaks of rows, told of the operations behind them.
    pub fn of_operations(&self, verdict: &Verdict) -> Verdict {
        self.renamed(verdict, |_, row| self.operations[row as usize])
    }

    /// `verdict`, which speaks of operations, told of the rows that they have in the verdict's keys.
    /// `None` if it names one that has no row there.
    pub fn of_rows(&self, verdict: &Verdict) -> Option<Verdict> {
        let rows: HashMap<(Option<Value>, OpId), OpId, FastBuild> = self
            .history
            .operations()
            .map(|row| ((row.key, self.operations[row.id as usize]), row.id))
            .collect();
        let mut complete = true;
        let verdict = self.renamed(verdict, |key, op| {
            let row = rows.get(&(key, op)).copied();
            complete &= row.is_some();
            row.unwrap_or(0)
        });
        complete.then_some(verdict)
    }

    fn renamed(&self, verdict: &Verdict, mut name: impl FnMut(Option<Value>, OpId) -> OpId) -> Verdict {
        let mut verdict = verdict.clone();
        match &mut verdict {
            Verdict::Valid(certificate) => {
                for part in &mut certificate.parts {
                    for id in &mut part.order {
                        *id = name(part.key, *id);
                    }
                }
            }
            Verdict::Invalid(witness) => {
                let key = witness.key;
                for id in witness.core.iter_mut().chain(std::iter::once(&mut witness.failed)) {
                    *id = name(key, *id);
                }
            }
            Verdict::Unknown(_) => {}
        }
        verdict
    }
}

/// Micro-operations on one key, as invoked and as completed.
type Entries = (Vec<Value>, Vec<Value>);

/// What `op` did to each key; `None` if its values are not well formed.
fn by_key(values: &Values, op: &Operation<'_>) -> Option<BTreeMap<Value, Entries>> {
    let asked = micro_ops(values, op.input)?;
    let done = match completed(op) {
        Some(output) => Some(micro_ops(values, output)?).filter(|done| repeats(done, &asked))?,
        None => Vec::new(),
    };
    let mut by_key: BTreeMap<Value, Entries> = BTreeMap::new();
    for micro_op in asked {
        by_key.entry(micro_op.key).or_default().0.push(micro_op.entry);
    }
    for micro_op in done {
        by_key.entry(micro_op.key).or_default().1.push(micro_op.entry);
    }
    Some(by_key)
}

fn push_row(
    columns: &mut Columns,
    history: &History,
    op: &Operation<'_>,
    key: Option<Value>,
    (input, output): (Value, Value),
) {
    columns.process.push(op.process);
    columns.f.push(history.columns.f[op.id as usize]);
    columns.key.push(key);
    columns.input.push(input);
    columns.output.push(output);
    columns.outcome.push(op.outcome);
    columns.invoke_position.push(op.invoke_position);
    columns.complete_position.push(op.complete_position);
    columns.invoke_time_ns.push(op.invoke_time_ns);
    columns.complete_time_ns.push(op.complete_time_ns);
    columns.invoke_line.push(op.invoke_line);
    columns.complete_line.push(op.complete_line);
}

#[cfg(test)]
mod tests {
    use super::super::transcript::{Table, actions, checks, history, purity};
    use super::*;
    use crate::verdict::{Certificate, Part};

    fn model(_: &History) -> MultiRegister {
        MultiRegister::new(Value::NIL)
    }

    #[test]
    fn registers_are_read_and_written_at_once() {
        Table::new(model)
            .step("txn [[:r 1 nil]] | ok [[:r 1 nil]]", "all nil")
            .step("txn [[:w 1 5] [:w 2 6]]", "{1 5, 2 6}, others nil")
            .step("read [[:read 1 nil] [:read 2 nil]] | ok [[:read 1 5] [:read 2 7]]", "rejected")
            .step("read [[:read 2 nil]] | ok [[:read 2 6]]", "{1 5, 2 6}, others nil")
            .step("txn [[\"r\" 1 nil] [\"w\" 1 nil]] | ok [[\"r\" 1 5] [\"w\" 1 nil]]", "{2 6}, others nil")
            .step("txn [[:w 2 8] [:r 2 nil]] | ok [[:w 2 8] [:r 2 6]]", "rejected")
            .step("txn [[:w 2 8] [:r 2 nil]] | ok [[:w 2 8] [:r 2 8]]", "{2 8}, others nil")
            .step("txn [[:r 2 nil]]", "ignored")
            .step("txn [[:w 2 9]] | ok nil", "{2 9}, others nil")
            .step("txn [] | ok []", "ignored")
            .step(
                "txn [[:r 1 nil]] | ok [[:r 2 nil]]",
                "error: line 22: txn returned the value [[:r 2 nil]]; expected the micro-operations of the \
                 invocation, with the values that were read",
            )
            .step(
                "write [:w 1 1] | ok",
                "error: line 23: write has the value [:w 1 1]; expected a list of micro-operations [[f key value] \
                 …] with f one of read, write, r, w",
            )
            .step(
                "txn [[:append 1 1]] | ok",
                "error: line 25: txn has the value [[:append 1 1]]; expected a list of micro-operations [[f key \
                 value] …] with f one of read, write, r, w",
            )
            .run();
    }

    #[test]
    fn a_nil_read_sees_nothing_where_the_registers_start_with_a_value() {
        Table::new(|_: &History| MultiRegister::new(Value::small_int(0).unwrap()))
            .step("txn [[:r 1 nil]] | ok [[:r 1 nil]]", "ignored")
            .step("txn [[:r 1 nil]] | ok [[:r 1 0]]", "all 0")
            .step("txn [[:w 1 0]]", "all 0")
            .run();
    }

    #[test]
    fn equal_effects_are_equal_actions() {
        let h = history(&[
            "txn [[:w 1 5] [:w 2 6]]",
            "txn [[:w 2 7] [:w 2 6] [:w 1 5]] | ok",
            "txn [[:r 1 nil] [:w 1 5]] | ok [[:r 1 5] [:w 1 5]]",
            "txn [[:r 1 nil]] | ok [[:r 1 5]]",
        ]);
        let a = actions(&model(&h), &h);
        assert_eq!((&a[0], &a[2]), (&a[1], &a[3]));
    }

    #[test]
    fn pure_actions_change_nothing_and_the_others_do() {
        purity(
            model,
            &[
                "txn [[:w 1 5] [:w 2 6]]",
                "txn [[:r 1 nil] [:w 1 7]] | ok [[:r 1 5] [:w 1 7]]",
                "txn [[:r 1 nil] [:r 2 nil]] | ok [[:r 1 7] [:r 2 6]]",
                "txn [[:r 1 nil] [:w 1 5]] | ok [[:r 1 5] [:w 1 5]]",
            ],
        );
    }

    const FRACTURED: &[&str] =
        &["txn [[:w 1 5] [:w 2 6]]", "txn [[:r 1 nil] [:r 2 nil]] | ok [[:r 1 5] [:r 2 nil]]"];

    #[test]
    fn tiny_histories_are_judged() {
        assert_eq!(checks(model, FRACTURED), "false");
        assert_eq!(checks(model, &["txn [[:w 1 5]]", "txn [[:r 1 nil]] | ok [[:r 1 5]]"]), "true");
    }

    #[test]
    fn rows_name_their_operation_and_key_and_back() {
        let h = history(FRACTURED);
        let split = PerKey::split(&h).unwrap();
        let keys: Vec<_> = split.history().operations().map(|row| row.key.unwrap()).collect();
        let int = |i| Value::small_int(i).unwrap();
        assert_eq!(keys, [int(1), int(2), int(1), int(2)]);
        assert_eq!(split.operations, [0, 0, 1, 1]);
        let part = |key, order| Part { key: Some(int(key)), order };
        let rows = Verdict::Valid(Certificate { parts: vec![part(1, vec![0, 2]), part(2, vec![3, 1])] });
        let operations =
            Verdict::Valid(Certificate { parts: vec![part(1, vec![0, 1]), part(2, vec![1, 0])] });
        assert_eq!(split.of_operations(&rows), operations);
        assert_eq!(split.of_rows(&operations), Some(rows));
        let stranger = Verdict::Valid(Certificate { parts: vec![part(3, vec![0])] });
        assert_eq!(split.of_rows(&stranger), None);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_left_for_the_model_to_refuse() {
        let h = history(&["txn [[:w 1 5]] | fail", "txn [[:r 1 nil]] | ok [[:r 2 5]]"]);
        let split = PerKey::split(&h).unwrap();
        let row = split.history().operation(0);
        assert_eq!((split.history().len(), row.key), (1, None));
        let model = MultiRegister::of_one_key(Value::NIL);
        assert_eq!(model.action(&row, split.history().values()).unwrap_err().line, 4);
    }

    #[test]
    fn each_key_by_itself_sees_only_its_own() {
        let h = history(FRACTURED);
        let split = PerKey::split(&h).unwrap();
        let model = MultiRegister::of_one_key(Value::NIL);
        let roles: Vec<_> = actions(&model, split.history()).iter().map(|a| model.role(a)).collect();
        let int = |i| Value::small_int(i).unwrap();
        let expected =
            [Role::Put(int(5)), Role::Put(int(6)), Role::Observe(int(5)), Role::Observe(Value::NIL)];
        assert_eq!(roles, expected.map(Some));
    }
}
