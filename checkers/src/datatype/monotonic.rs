//! Monotonic: rows whose values grow in the order of the database's own timestamps.
//!
//! Each `add` finds the largest value so far and inserts a row with the next one, the database's timestamp
//! of the transaction, and who inserted it where: `{:val 5, :sts 1700000000.0000000001, :process 3, :node
//! 1, :tb 0}`. At the end a read returns all rows, sorted by timestamp. Transactions with a later timestamp
//! saw what those with an earlier one had inserted, so the values must grow along:
//!
//! ```text
//! val  sts
//!   1  10.0
//!   3  11.0      value-reorder: the transaction at 12 did not see what was inserted at 11
//!   2  12.0
//! ```
//!
//! Serializability in the order of the timestamps promises it; a write that is lost or shows up twice breaks
//! it as well. The last read that completed is judged:
//! - `lost`: acknowledged before the read began, and not in it; `duplicate`: in it several times;
//!   `revived`: in it, though its add failed. Errors.
//! - `order-by-error`: the next row has a smaller timestamp; `value-reorder`: it has no larger value;
//!   `value-reorder-per-process`: the next row of the same process has no larger value. Errors.
//! - `value-reorder-per-node`, `value-reorder-per-table`: the same for a node, a table; `recovered`: in it,
//!   and the outcome of its add was unknown; `skipped`: integers between two values that nobody has. These
//!   are told, and no errors by themselves.
//!
//! After Jepsen's CockroachDB test `monotonic`, whose result names these are but for `skipped`.
//! Differences: an add counts as lost only if it completed before the read began, where Jepsen relies on
//! the phases of its test, and a value as revived only if no other add of it may have succeeded; rows may
//! call their process `process`, as Jepsen's do, or `proc`, by which Jepsen's checker groups them.
//!
//! Cost: O(n log n) for n rows.

use super::decimal::Decimal;
use super::independent::{Independent, of_key};
use super::info::Info;
use super::operand;
use super::{Figure, Findings, Quote, Report, Validity};
use crate::history::{History, OpId, Operation, Outcome};
use crate::model::{ModelError, OperationInfo};
use crate::value::{Datum, FastBuild, Value, Values};
use hashbrown::{HashMap, HashSet};

/// What this checker is.
pub const INFO: Info = Info {
    name: "monotonic",
    aliases: &[],
    summary: "values that transactions count up grow in the order of the database's timestamps",
    operations: &[
        OperationInfo {
            functions: &["add"],
            input: "any, or [k any] with independent keys",
            output: "the row {:val v, :sts t, :process p, :node n, :tb b}, val and sts at least, or [k row]",
            meaning: "inserts a row with the next value",
        },
        OperationInfo {
            functions: &["read"],
            input: "nil, or [k nil]",
            output: "[row ...], in the order of sts, or [k [row ...]]",
            meaning: "reads all rows at the end",
        },
    ],
    source: "Jepsen, cockroachdb monotonic",
};

/// What to demand.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Values grow over all rows, and not only over the rows of each process: true unless the database
    /// promises less.
    pub global: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { global: true }
    }
}

/// Judges the last read of each key. An operation of another shape is an error.
pub fn check(history: &History, options: &Options) -> Result<Report, ModelError> {
    let tables = Table::all(history)?;
    let mut findings = Findings::new();
    let mut row_count = 0;
    for table in &tables {
        let Some(read) = &table.read else { continue };
        let rows = rows(read, table.rows, history.values())?;
        row_count += rows.len() as u64;
        let view = View { table, read, rows: &rows, history };
        view.membership(&mut findings);
        view.order(&mut findings, options);
        view.skips(&mut findings);
    }
    let add_count: usize = tables.iter().map(|table| table.acknowledged.len()).sum();
    let mut figures =
        vec![("add-count", Figure::Count(add_count as u64)), ("row-count", Figure::Count(row_count))];
    let counts = KINDS.map(|(kind, figure)| (figure, Figure::Count(findings.count(kind))));
    figures.extend(counts);
    let otherwise = match tables.iter().all(|table| table.read.is_none()) {
        true => Validity::Unknown("nothing was ever read".to_owned()),
        false => Validity::Valid,
    };
    Ok(findings.report(otherwise, figures))
}

/// Kinds of findings, each with the figure that counts it.
const KINDS: [(&str, &str); 10] = [
    ("lost", "lost-count"),
    ("duplicate", "duplicate-count"),
    ("revived", "revived-count"),
    ("recovered", "recovered-count"),
    ("order-by-error", "order-by-error-count"),
    ("value-reorder", "value-reorder-count"),
    ("value-reorder-per-process", "value-reorder-per-process-count"),
    ("value-reorder-per-node", "value-reorder-per-node-count"),
    ("value-reorder-per-table", "value-reorder-per-table-count"),
    ("skipped", "skipped-count"),
];

/// The adds of one key, and its last read.
struct Table<'h> {
    key: Value,
    /// Values and operations of the adds that completed.
    acknowledged: Vec<(i64, OpId)>,
    /// An add of each value that failed or may have taken effect, if the value is known.
    doubtful: HashMap<i64, (OpId, Outcome), FastBuild>,
    /// The last read, and the list that it returned.
    read: Option<Operation<'h>>,
    rows: Value,
}

impl<'h> Table<'h> {
    fn all(history: &'h History) -> Result<Vec<Table<'h>>, ModelError> {
        let (keys, values) = (Independent::of(history), history.values());
        let mut of_key: HashMap<Value, usize, FastBuild> = HashMap::default();
        let mut tables: Vec<Table<'h>> = Vec::new();
        for op in history.operations() {
            let (key, input) = keys.input(&op, values);
            let at = *of_key.entry(key).or_insert(tables.len());
            if at == tables.len() {
                let doubtful = HashMap::default();
                tables.push(Table { key, acknowledged: vec![], doubtful, read: None, rows: Value::NIL });
            }
            let table = &mut tables[at];
            let expected = "the row {:val integer, :sts number}";
            match (op.f, op.outcome) {
                ("add", Outcome::Ok) => {
                    let row = keys.output(&op, values, expected)?;
                    let row =
                        Row::of(row, values).ok_or_else(|| ModelError::output(&op, values, expected))?;
                    table.acknowledged.push((row.val, op.id));
                }
                ("add", _) => {
                    let output = keys.output(&op, values, expected).unwrap_or(Value::NIL);
                    let val = [output, input].map(|row| field(values, row, &["val"]));
                    if let Some(val) = val[0].or(val[1]).and_then(|val| values.int_of(val)) {
                        table.doubt(val, &op);
                    }
                }
                ("read", Outcome::Ok) => {
                    if table.read.is_none_or(|read| read.complete_position < op.complete_position) {
                        table.rows = keys.output(&op, values, "a list of rows")?;
                        table.read = Some(op);
                    }
                }
                ("read", _) => {}
                _ => return Err(ModelError::unknown_function(&op, "add, read")),
            }
        }
        Ok(tables)
    }

    /// Takes note of an add that was not acknowledged. What may have taken effect outweighs what failed.
    fn doubt(&mut self, val: i64, add: &Operation<'_>) {
        let entry = self.doubtful.entry(val).or_insert((add.id, add.outcome));
        if add.outcome == Outcome::Info {
            *entry = (add.id, add.outcome);
        }
    }
}

/// One row of a read.
struct Row {
    val: i64,
    sts: Decimal,
    process: Option<Value>,
    node: Option<Value>,
    table: Option<Value>,
}

impl Row {
    fn of(row: Value, values: &Values) -> Option<Row> {
        Some(Row {
            val: values.int_of(field(values, row, &["val"])?)?,
            sts: Decimal::of(values, field(values, row, &["sts"])?)?,
            process: field(values, row, &["process", "proc"]),
            node: field(values, row, &["node"]),
            table: field(values, row, &["tb", "table"]),
        })
    }
}

fn rows(read: &Operation<'_>, list: Value, values: &Values) -> Result<Vec<Row>, ModelError> {
    let wrong = || ModelError::output(read, values, "a list of rows {:val integer, :sts number}");
    let Datum::List(list) = values.get(list) else { return Err(wrong()) };
    list.iter().map(|row| Row::of(*row, values).ok_or_else(wrong)).collect()
}

/// The entry of a map under one of these names, whether its keys are keywords or strings.
fn field(values: &Values, map: Value, names: &[&str]) -> Option<Value> {
    let Datum::Map(flat) = values.get(map) else { return None };
    let is_named = |pair: &&[Value]| values.text(pair[0]).is_some_and(|name| names.contains(&name));
    flat.chunks_exact(2).find(is_named).map(|pair| pair[1])
}

/// The last read of a table, taken apart.
struct View<'a, 'h> {
    table: &'a Table<'h>,
    read: &'a Operation<'h>,
    rows: &'a [Row],
    history: &'h History,
}

impl View<'_, '_> {
    /// Which values are in the read that should not be there, and the other way about.
    fn membership(&self, findings: &mut Findings) {
        let mut present: HashMap<i64, u32, FastBuild> = HashMap::default();
        for row in self.rows {
            *present.entry(row.val).or_default() += 1;
        }
        let is_before = |add: OpId| {
            let add = self.history.operation(add);
            let is_ordered = self.history.has_real_time() || add.process == self.read.process;
            is_ordered && add.complete_position < self.read.invoke_position
        };
        let mut acknowledged: HashSet<i64, FastBuild> = HashSet::default();
        let mut lost: HashSet<i64, FastBuild> = HashSet::default();
        for &(val, add) in &self.table.acknowledged {
            acknowledged.insert(val);
            if !present.contains_key(&val) && is_before(add) && lost.insert(val) {
                findings
                    .add("lost", true, || self.quote(&[add], format!("{val} was added and is not there")));
            }
        }
        for row in self.rows {
            // At the first row of each value.
            let Some(count) = present.remove(&row.val) else { continue };
            let val = row.val;
            if count > 1 {
                findings.add("duplicate", true, || {
                    self.quote(&[], format!("{val} is there {}", operand::times(count as u64)))
                });
            }
            // The value of an add that failed goes to the next one.
            let doubtful = self.table.doubtful.get(&val).filter(|_| !acknowledged.contains(&val));
            let Some(&(add, outcome)) = doubtful else { continue };
            if outcome == Outcome::Fail {
                let sentence = || format!("{val} is there, and its add had failed");
                findings.add("revived", true, || self.quote(&[add], sentence()));
            } else {
                let sentence = || format!("{val} is there; whether its add succeeded was unknown");
                findings.add("recovered", false, || self.quote(&[add], sentence()));
            }
        }
    }

    /// Which neighbours are in the wrong order.
    fn order(&self, findings: &mut Findings, options: &Options) {
        for pair in self.rows.windows(2) {
            if pair[0].sts > pair[1].sts {
                findings.add("order-by-error", true, || {
                    let sentence = "comes before, and has a later timestamp than";
                    self.quote(&[], format!("{} {sentence} {}", pair[0].val, pair[1].val))
                });
            }
        }
        let same = |_: &Row| Some(Value::NIL);
        self.reorders("value-reorder", options.global, "", same, findings);
        self.reorders("value-reorder-per-process", true, " of process ", |row| row.process, findings);
        self.reorders("value-reorder-per-node", false, " of node ", |row| row.node, findings);
        self.reorders("value-reorder-per-table", false, " of table ", |row| row.table, findings);
    }

    /// Which neighbours among the rows with the same `group` have values that do not grow.
    fn reorders(
        &self,
        kind: &'static str,
        is_error: bool,
        of: &str,
        group: impl Fn(&Row) -> Option<Value>,
        findings: &mut Findings,
    ) {
        let mut last: HashMap<Value, i64, FastBuild> = HashMap::default();
        for row in self.rows {
            let Some(group) = group(row) else { continue };
            let Some(former) = last.insert(group, row.val) else { continue };
            if former >= row.val {
                findings.add(kind, is_error, || {
                    let of = if of.is_empty() { String::new() } else { format!("{of}{}", self.show(group)) };
                    self.quote(&[], format!("the row of {former}{of} comes before that of {}", row.val))
                });
            }
        }
    }

    /// Which integers between two values nobody has.
    fn skips(&self, findings: &mut Findings) {
        let mut sorted: Vec<i64> = self.rows.iter().map(|row| row.val).collect();
        sorted.sort_unstable();
        for pair in sorted.windows(2).filter(|pair| pair[1].wrapping_sub(pair[0]) as u64 > 1) {
            findings.add("skipped", false, || {
                self.quote(&[], format!("nothing is between {} and {}", pair[0], pair[1]))
            });
        }
    }

    fn quote(&self, adds: &[OpId], sentence: String) -> Quote {
        let mut operations: Vec<OpId> = adds.iter().copied().chain([self.read.id]).collect();
        operations.sort_unstable();
        let key = of_key(self.table.key, self.history.values());
        Quote { operations, values: vec![], sentence: format!("in the last read{key}: {sentence}") }
    }

    fn show(&self, value: Value) -> String {
        self.history.values().show(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scribe::{Chance, count, told};
    use super::*;
    use crate::model::transcript::history;
    use std::collections::BTreeSet;

    fn judge(lines: &[&str]) -> Vec<String> {
        match check(&history(lines), &Options::default()) {
            Ok(report) => told(&report),
            Err(error) => vec![error.to_string()],
        }
    }

    const ADD_1: &str = "add nil | ok {:val 1, :sts 10, :process 0, :node 1, :tb 0}";
    const ADD_2: &str = "add nil | ok {:val 2, :sts 11, :process 1, :node 1, :tb 1}";

    #[test]
    fn values_grow_with_timestamps() {
        let read = |rows: &str| judge(&[ADD_1, ADD_2, &format!("read nil | ok [{rows}]")]);
        let one = "{:val 1, :sts 10, :process 0, :node 1, :tb 0}";
        let two = "{:val 2, :sts 11, :process 1, :node 1, :tb 1}";
        assert_eq!(read(&format!("{one} {two}")), ["valid"]);
        let early = "{:val 2, :sts 9.5, :process 1, :node 1, :tb 1}";
        let reorder = "value-reorder: in the last read: the row of 2 comes before that of 1";
        let node = "~value-reorder-per-node: in the last read: the row of 2 of node 1 comes before that of 1";
        assert_eq!(read(&format!("{early} {one}")), ["invalid", reorder, node]);
        let order = "order-by-error: in the last read: 1 comes before, and has a later timestamp than 2";
        assert_eq!(read(&format!("{one} {early}")), ["invalid", order]);
        let lost = "lost: in the last read: 1 was added and is not there";
        assert_eq!(read(two), ["invalid", lost]);
        let again = format!("{one} {two} {{:val 2, :sts 12, :process 2}}");
        let duplicate = "duplicate: in the last read: 2 is there twice";
        assert_eq!(
            read(&again),
            ["invalid", duplicate, "value-reorder: in the last read: the row of 2 comes before that of 2"]
        );
        let skip = format!("{one} {two} {{:val 5, :sts 12, :process 2}}");
        assert_eq!(read(&skip), ["valid", "~skipped: in the last read: nothing is between 2 and 5"]);
        assert_eq!(judge(&[ADD_1]), ["unknown: nothing was ever read"]);
    }

    #[test]
    fn without_a_global_order_each_process_still_has_its_own() {
        let judge = |first: u32, second: u32| {
            let rows =
                format!("[{{:val 2, :sts 1, :process {first}}} {{:val 1, :sts 2, :process {second}}}]");
            let lines = [format!("read nil | ok {rows}")];
            told(&check(&history(&[&lines[0]]), &Options { global: false }).unwrap())
        };
        let reorder = "~value-reorder: in the last read: the row of 2 comes before that of 1";
        assert_eq!(judge(0, 1), ["valid", reorder]);
        let own =
            "value-reorder-per-process: in the last read: the row of 2 of process 0 comes before that of 1";
        assert_eq!(judge(0, 0), ["invalid", own, reorder]);
    }

    #[test]
    fn timestamps_need_more_than_64_bits() {
        let rows = |a: &str, b: &str| {
            judge(&[&format!("read nil | ok [{{:val 1, :sts {a}}} {{:val 2, :sts {b}}}]")])
        };
        let [early, late] = ["\"1700000000000000000.0000000001\"", "\"1700000000000000000.0000000002\""];
        assert_eq!(rows(early, late), ["valid"]);
        assert_eq!(rows(late, early)[0], "invalid");
    }

    #[test]
    fn doubtful_adds_and_earlier_reads() {
        let row = "{:val 1, :sts 1}";
        let revived = "revived: in the last read: 1 is there, and its add had failed";
        let recovered = "~recovered: in the last read: 1 is there; whether its add succeeded was unknown";
        let read = format!("read nil | ok [{row}]");
        assert_eq!(judge(&[&format!("add nil | fail {row}"), &read]), ["invalid", revived]);
        assert_eq!(judge(&[&format!("add {row} | info"), &read]), ["valid", recovered]);
        assert_eq!(
            judge(&[&format!("add nil | fail {row}"), &format!("add nil | ok {row}"), &read]),
            ["valid"]
        );
        assert_eq!(judge(&["read nil | ok []", ADD_1, &read]), ["valid"]);
        let keyed = [
            "add [:a nil] | ok [:a {:val 1, :sts 1}]",
            "read [:a nil] | ok [:a []]",
            "read [:b nil] | ok [:b []]",
        ];
        assert_eq!(
            judge(&keyed),
            ["invalid", "lost: in the last read of key :a: 1 was added and is not there"]
        );
    }

    #[test]
    fn other_shapes_are_errors_with_their_line() {
        let rows = "expected a list of rows {:val integer, :sts number}";
        for (line, error) in [
            ("write 1", "line 1: the model has no function write; expected one of: add, read".to_owned()),
            (
                "add 1 | ok 1",
                "line 2: add returned the value 1; expected the row {:val integer, :sts number}".to_owned(),
            ),
            ("read nil | ok 1", format!("line 2: read returned the value 1; {rows}")),
            ("read nil | ok [{:val 1}]", format!("line 2: read returned the value [{{:val 1}}]; {rows}")),
            (
                "read nil | ok [{:val 1, :sts :x}]",
                format!("line 2: read returned the value [{{:val 1, :sts :x}}]; {rows}"),
            ),
        ] {
            assert_eq!(judge(&[line]), [error]);
        }
    }

    /// Rows of a run: value, timestamp, process.
    type Rows = Vec<(i64, i64, i64)>;

    /// The definition, pair by pair: is anything wrong with these rows, if these values were added?
    fn is_wrong(rows: &Rows, added: &[i64], failed: &[i64], global: bool) -> bool {
        let between = |i: usize, j: usize| (i + 1..j).all(|k| rows[k].2 != rows[i].2);
        added.iter().any(|val| rows.iter().all(|row| row.0 != *val))
            || failed.iter().any(|val| rows.iter().any(|row| row.0 == *val))
            || (0..rows.len()).any(|i| {
                (i + 1..rows.len()).any(|j| {
                    rows[i].0 == rows[j].0
                        || j == i + 1 && rows[i].1 > rows[j].1
                        || global && j == i + 1 && rows[i].0 >= rows[j].0
                        || rows[i].2 == rows[j].2 && between(i, j) && rows[i].0 >= rows[j].0
                })
            })
    }

    #[test]
    fn the_last_read_is_judged_by_the_definition() {
        let (mut valid, mut invalid) = (0, 0);
        for seed in 0..4000 {
            let mut chance = Chance::new(seed);
            let (mut rows, mut added, mut failed, mut lines): (Rows, _, _, _) =
                (vec![], vec![], vec![], vec![]);
            let faults = [0, 8][chance.below(2) as usize];
            for val in 1..8 {
                let process = chance.below(2) as i64;
                let row = (val, 10 * val + if chance.percent(faults) { 15 } else { 0 }, process);
                let outcome = ["ok", "ok", "ok", "fail", "info"][chance.below(5) as usize];
                lines.push(format!("add {{:val {val}}} | {outcome} {{:val {val}, :sts {}}}", row.1));
                match outcome {
                    "ok" => added.push(val),
                    "fail" => failed.push(val),
                    _ => {}
                }
                let there = if outcome == "info" { chance.percent(50) } else { outcome == "ok" };
                if there != chance.percent(faults) {
                    rows.push(row);
                }
                if chance.percent(faults) {
                    rows.push(row);
                }
            }
            if !chance.percent(faults) {
                rows.sort_by_key(|row| row.1);
            }
            let shown: Vec<String> = rows
                .iter()
                .map(|row| format!("{{:val {}, :sts {}, :process {}}}", row.0, row.1, row.2))
                .collect();
            lines.push(format!("read nil | ok [{}]", shown.join(" ")));
            let global = chance.percent(50);
            let history = history(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            let report = check(&history, &Options { global }).unwrap();
            let wrong = is_wrong(&rows, &added, &failed, global);
            assert_eq!(
                report.validity == Validity::Invalid,
                wrong,
                "seed {seed}: {lines:#?} {:?}",
                told(&report)
            );
            let there: BTreeSet<i64> = rows.iter().map(|row| row.0).collect();
            let lost = added.iter().filter(|val| !there.contains(val)).count() as u64;
            assert_eq!(count(&report, "lost-count"), lost, "seed {seed}");
            *(if wrong { &mut invalid } else { &mut valid }) += 1;
        }
        assert!(valid > 1000 && invalid > 1000, "{valid} valid, {invalid} invalid");
    }
}
