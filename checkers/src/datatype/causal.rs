//! Causal: a register that one client at a time reads and writes shows that client its own order.
//!
//! Each key is a register that begins with 0. A client does a few operations on it, one after the other:
//! `read-init`, `write 1`, `read`, `write 2`, `read`. They are a *causal order*: each read must return
//! what the last write before it wrote.
//!
//! ```text
//! client  read-init → 0    write 1 ok    read → 0      the client does not see its own write
//! ```
//!
//! Every causally consistent store keeps this (Ahamad et al. 1995, *Causal memory*), since an operation
//! of a client is causally after the ones before it. After Jepsen's `jepsen.tests.causal`; differences:
//! - Jepsen puts all of a key in one order, whoever did it. Here an operation of another client begins a
//!   causal order of its own, whose reads may return anything that was written before, unless it *links*
//!   to the position of the operation before it: between clients, nothing else is causal.
//! - A write that may or may not have taken effect may be seen by any read after its invocation. Jepsen
//!   takes it for not done, and refuses both the read that sees it and the next write.
//! - Which values are written is the test's affair. Jepsen wants 1, 2, 3 and so on.
//! - Jepsen has `position` and `link` in fields of the operation. Here they are in its value, where readers
//!   of files put them: `{:value v, :position p, :link l}`, where a link is `:init` or the position of the
//!   operation before.
//!
//! A read of nil claims nothing, but for a `read-init` of a key that nobody has written yet: that must
//! return 0. Cost: O(n).

use super::independent::{Independent, of_key};
use super::info::Info;
use super::{Figure, Findings, Quote, Report, Validity};
use crate::history::{History, OpId, Operation, Outcome};
use crate::model::{ModelError, OperationInfo};
use crate::value::{Datum, FastBuild, Value, Values};
use hashbrown::{HashMap, HashSet};

/// What this checker is.
pub const INFO: Info = Info {
    name: "causal-register",
    aliases: &["causal"],
    summary: "a client that has a register for itself sees its own writes, in order",
    operations: &[
        OperationInfo {
            functions: &["read-init", "read"],
            input: "nil, or [k nil] with independent keys",
            output: "v, or {:value v, :position p, :link l}; with independent keys [k that]",
            meaning: "reads the register, the first time with read-init",
        },
        OperationInfo {
            functions: &["write"],
            input: "v, or [k v]",
            output: "the same, nil, or {:value v, :position p, :link l}; with independent keys [k that]",
            meaning: "writes the register",
        },
    ],
    source: "Jepsen, jepsen.tests.causal",
};

/// Looks for reads that did not return what their client had last written or seen. An operation of another
/// shape, and one that overlaps another one of its key, is an error.
pub fn check(history: &History) -> Result<Report, ModelError> {
    let keys = Independent::of(history);
    let values = history.values();
    let mut registers: Vec<Register> = Vec::new();
    let mut of_key: HashMap<Value, usize, FastBuild> = HashMap::default();
    // What a read of a key may return besides what is expected of it.
    let mut possible: HashSet<(Value, Value), FastBuild> = HashSet::default();
    let mut findings = Findings::new();
    let (mut read_count, mut write_count) = (0, 0);
    for op in history.operations() {
        let access = Access::of(&op, keys, values)?;
        if op.outcome == Outcome::Fail {
            continue;
        }
        let (key, _) = keys.input(&op, values);
        let at = *of_key.entry(key).or_insert(registers.len());
        if at == registers.len() {
            registers.push(Register::new(key, &op));
        }
        let register = &mut registers[at];
        register.follow(&op, access.link, history, &mut possible)?;
        if op.outcome != Outcome::Ok {
            if access.is_write {
                register.is_written = true;
                possible.insert((key, access.value));
            }
            continue;
        }
        if register.breaks(access.link) {
            findings.add("broken-link", true, || register.quote_link(&op, access.link, values));
        }
        if access.is_write {
            write_count += 1;
            register.write(op.id, access.value);
        } else {
            read_count += 1;
            let is_first = op.f == "read-init" && !register.is_written;
            if is_first && access.value != ZERO {
                findings.add("wrong-init", true, || register.quote_init(&op, access.value, values));
            } else if !access.value.is_nil()
                && register.expected != Some(access.value)
                && !possible.contains(&(key, access.value))
            {
                findings.add("wrong-read", true, || register.quote_read(&op, access.value, values));
            }
        }
        register.previous = op.id;
        register.completed = op.complete_position;
        register.position = access.position;
    }
    let figures = vec![
        ("key-count", Figure::Count(registers.len() as u64)),
        ("read-count", Figure::Count(read_count)),
        ("write-count", Figure::Count(write_count)),
    ];
    let otherwise = match read_count {
        0 => Validity::Unknown("no read completed, so nothing was seen".to_owned()),
        _ => Validity::Valid,
    };
    Ok(findings.report(otherwise, figures))
}

const ZERO: Value = match Value::small_int(0) {
    Some(zero) => zero,
    None => panic!("0 is small"),
};

/// A key, as the causal order that it is in sees it.
struct Register {
    key: Value,
    /// Whose order it is.
    process: i64,
    /// What a read in it must return; `None` as long as it has written nothing and is not the first one.
    expected: Option<Value>,
    /// All that was expected in it so far.
    past: Vec<Value>,
    /// Someone invoked a write.
    is_written: bool,
    /// The last write in it, if any, and the last operation, with its position and its completion.
    last_write: Option<OpId>,
    previous: OpId,
    position: Value,
    completed: u32,
}

impl Register {
    fn new(key: Value, op: &Operation<'_>) -> Register {
        Register {
            key,
            process: op.process,
            expected: Some(ZERO),
            past: vec![],
            is_written: false,
            last_write: None,
            previous: op.id,
            position: Value::NIL,
            completed: 0,
        }
    }

    /// Comes to the next operation of the key: in the same causal order, or in a new one.
    fn follow(
        &mut self,
        op: &Operation<'_>,
        link: Value,
        history: &History,
        possible: &mut HashSet<(Value, Value), FastBuild>,
    ) -> Result<(), ModelError> {
        let is_ordered = self.process == op.process || history.has_real_time();
        if self.previous != op.id && (op.invoke_position < self.completed || !is_ordered) {
            let previous = history.operation(self.previous);
            return Err(ModelError {
                line: op.invoke_line,
                message: format!(
                    "{}{} is not known to come after the {} of line {}; expected the operations of a key to follow \
                     one another",
                    op.f,
                    of_key(self.key, history.values()),
                    previous.f,
                    previous.invoke_line
                ),
            });
        }
        let is_linked = !link.is_nil() && link == self.position;
        if self.process != op.process && !is_linked {
            let past = self.past.drain(..).chain(self.expected.take());
            possible.extend(past.map(|value| (self.key, value)));
            self.last_write = None;
        }
        self.process = op.process;
        Ok(())
    }

    /// True if an operation with this link says that it follows another operation than it does.
    fn breaks(&self, link: Value) -> bool {
        !link.is_nil() && !self.position.is_nil() && link != self.position
    }

    fn write(&mut self, op: OpId, value: Value) {
        self.past.extend(self.expected.replace(value));
        self.last_write = Some(op);
        self.is_written = true;
    }

    fn quote_read(&self, op: &Operation<'_>, value: Value, values: &Values) -> Quote {
        let expected = match self.expected {
            Some(expected) => format!("; expected {}, its last value for this client", values.show(expected)),
            None => ", which nobody had written".to_owned(),
        };
        let sentence =
            format!("a read{} returned {}{expected}", of_key(self.key, values), values.show(value));
        let operations = self.last_write.into_iter().chain([op.id]).collect();
        Quote { operations, values: vec![self.key, value], sentence }
    }

    fn quote_init(&self, op: &Operation<'_>, value: Value, values: &Values) -> Quote {
        Quote {
            operations: vec![op.id],
            values: vec![self.key, value],
            sentence: format!(
                "the first read{} returned {}, and nobody had written; expected 0",
                of_key(self.key, values),
                values.show(value)
            ),
        }
    }

    fn quote_link(&self, op: &Operation<'_>, link: Value, values: &Values) -> Quote {
        Quote {
            operations: vec![self.previous, op.id],
            values: vec![self.key, link, self.position],
            sentence: format!(
                "{}{} links to position {}, but the operation before it has position {}",
                op.f,
                of_key(self.key, values),
                values.show(link),
                values.show(self.position)
            ),
        }
    }
}

/// What an operation says.
struct Access {
    is_write: bool,
    /// Written, or read.
    value: Value,
    /// Nil if it has none.
    position: Value,
    /// Nil if it has none, or is the first.
    link: Value,
}

impl Access {
    fn of(op: &Operation<'_>, keys: Independent, values: &Values) -> Result<Access, ModelError> {
        let is_write = match op.f {
            "write" => true,
            "read" | "read-init" => false,
            _ => return Err(ModelError::unknown_function(op, "read-init, read, write")),
        };
        let input = keys.input(op, values).1;
        let output = match op.outcome {
            Outcome::Ok => keys.output(op, values, "the value")?,
            _ => Value::NIL,
        };
        let [called, returned] = [input, output].map(|value| field(values, value, "value").unwrap_or(value));
        if is_write && !returned.is_nil() && returned != called {
            return Err(ModelError::output(op, values, "nil or the value that was written"));
        }
        let link = field(values, output, "link").or(field(values, input, "link")).unwrap_or(Value::NIL);
        Ok(Access {
            is_write,
            value: if is_write { called } else { returned },
            position: field(values, output, "position").unwrap_or(Value::NIL),
            link: if values.text(link) == Some("init") { Value::NIL } else { link },
        })
    }
}

/// The entry of a map under `name`, whether its keys are keywords or strings.
fn field(values: &Values, map: Value, name: &str) -> Option<Value> {
    let Datum::Map(flat) = values.get(map) else { return None };
    flat.chunks_exact(2).find(|pair| values.text(pair[0]) == Some(name)).map(|pair| pair[1])
}

#[cfg(test)]
mod tests {
    use super::super::scribe::{Chance, count, edn, told};
    use super::*;
    use crate::model::transcript::history;

    fn judge(lines: &[&str]) -> Vec<String> {
        match check(&history(lines)) {
            Ok(report) => told(&report),
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn a_client_sees_its_own_order() {
        let order = ["0 read-init nil | ok 0", "0 write 1 | ok 1", "0 read nil | ok 1", "0 write 2 | ok"];
        let then = |last| judge(&[&order[..], &[last]].concat());
        assert_eq!(then("0 read nil | ok 2"), ["valid"]);
        assert_eq!(then("0 read nil | ok nil"), ["valid"]);
        let stale = "wrong-read: a read returned 1; expected 2, its last value for this client";
        assert_eq!(then("0 read nil | ok 1"), ["invalid", stale]);
        let init = "wrong-init: the first read returned 3, and nobody had written; expected 0";
        assert_eq!(judge(&["0 read-init nil | ok 3"]), ["invalid", init]);
        assert_eq!(judge(&["0 read-init nil | ok nil"])[0], "invalid");
        assert_eq!(judge(&["0 write 1 | ok 1", "0 read-init nil | ok 1"]), ["valid"]);
        assert_eq!(judge(&order[3..]), ["unknown: no read completed, so nothing was seen"]);
    }

    #[test]
    fn keys_have_orders_of_their_own() {
        let lines =
            ["0 write [:a 1] | ok [:a 1]", "0 read [:b nil] | ok [:b 0]", "0 read [:a nil] | ok [:a 0]"];
        let stale = "wrong-read: a read of key :a returned 0; expected 1, its last value for this client";
        assert_eq!(judge(&lines[..2]), ["valid"]);
        assert_eq!(judge(&lines), ["invalid", stale]);
    }

    /// Where Jepsen's checker takes the write for not done, and refuses the read.
    #[test]
    fn a_write_of_unknown_outcome_may_be_seen_or_not() {
        let crashed = ["0 write 1 | ok", "0 write 2 | info", "0 read nil | ok 1", "0 read nil | ok 2"];
        assert_eq!(judge(&crashed), ["valid"]);
        assert_eq!(judge(&["0 write 1 | ok", "0 write 2 | fail", "0 read nil | ok 2"])[0], "invalid");
        assert_eq!(judge(&["0 write 1", "1 read-init nil | ok 1"]), ["valid"]);
    }

    #[test]
    fn another_client_is_after_the_first_only_if_it_is_linked() {
        let first = "0 write 1 | ok {:value 1, :position :p, :link :init}";
        let second = |value| format!("1 read nil | ok {value}");
        assert_eq!(judge(&[first, &second("0")]), ["valid"]);
        assert_eq!(judge(&[first, &second("{:value 0, :link :init}")]), ["valid"]);
        let stale = "wrong-read: a read returned 0; expected 1, its last value for this client";
        assert_eq!(judge(&[first, &second("{:value 0, :link :p}")]), ["invalid", stale]);
        let none = "wrong-read: a read returned 7, which nobody had written";
        assert_eq!(judge(&[first, &second("7")]), ["invalid", none]);
        let broken = "broken-link: read links to position :q, but the operation before it has position :p";
        assert_eq!(judge(&[first, "0 read nil | ok {:value 1, :link :q}"]), ["invalid", broken]);
        assert_eq!(judge(&[first, "0 read {:link :p} | ok 1"]), ["valid"]);
    }

    #[test]
    fn other_shapes_and_overlaps_are_errors_with_their_line() {
        for (line, error) in [
            ("cas 1", "line 1: the model has no function cas; expected one of: read-init, read, write"),
            (
                "write 1 | ok 2",
                "line 2: write returned the value 2; expected nil or the value that was written",
            ),
        ] {
            assert_eq!(judge(&[line]), [error]);
        }
        let overlap = edn("{:process 0, :type :invoke, :f :write, :value 1}
            {:process 1, :type :invoke, :f :read, :value nil}
            {:process 0, :type :ok, :f :write, :value 1}
            {:process 1, :type :ok, :f :read, :value 1}");
        // The read began first among those that completed, so nothing is wrong with it alone.
        let error = check(&overlap).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: read is not known to come after the write of line 1; expected the operations of a key to \
             follow one another"
        );
    }

    /// The definition, from the operations of one key: what each read may return.
    fn wrong_reads(history: &History) -> u64 {
        let values = history.values();
        let ops: Vec<Operation<'_>> = history.operations().filter(|op| op.outcome != Outcome::Fail).collect();
        let part = |op: &Operation<'_>, name| field(values, op.output, name).unwrap_or(Value::NIL);
        let ok: Vec<&Operation<'_>> = ops.iter().filter(|op| op.outcome == Outcome::Ok).collect();
        let mut wrong = 0;
        for (at, op) in ok.iter().enumerate().filter(|(_, op)| op.f == "read") {
            // Back to where its causal order begins.
            let linked = |i: usize| {
                let link = part(ok[i], "link");
                let between = ops.iter().filter(|op| ok[i - 1].id < op.id && op.id < ok[i].id);
                let others = between.filter(|op| op.process != ok[i - 1].process).count() > 0;
                ok[i].process == ok[i - 1].process && !others
                    || link == part(ok[i - 1], "position") && !link.is_nil() && !others
            };
            let begin = (1..=at).rev().find(|i| !linked(*i)).unwrap_or(0);
            let crashed_before =
                ops.iter().any(|other| other.id < ok[begin].id && other.process != ok[begin].process);
            let before = |range: std::ops::Range<usize>| {
                range.filter(|i| ok[*i].f == "write").map(|i| ok[i].input).collect::<Vec<Value>>()
            };
            let crashed = ops.iter().filter(|w| w.id < op.id && w.outcome == Outcome::Info && w.f == "write");
            let mut allowed: Vec<Value> = crashed.map(|write| write.input).collect();
            allowed.extend(before(begin..at).last());
            if before(begin..at).is_empty() || begin > 0 || crashed_before {
                allowed.push(ZERO);
            }
            allowed.extend(before(0..begin));
            let seen = part(op, "value");
            wrong += u64::from(!seen.is_nil() && !allowed.contains(&seen));
        }
        wrong
    }

    #[test]
    fn reads_are_judged_by_the_definition() {
        let (mut valid, mut invalid) = (0, 0);
        for seed in 0..4000 {
            let mut chance = Chance::new(seed);
            let (mut process, mut written, mut lines) = (0, 0, Vec::new());
            let faults = [5, 40][chance.below(2) as usize];
            for position in 1..10 {
                let former = if chance.percent(50) { position - 1 } else { 0 };
                if chance.percent(25) {
                    process += 1;
                }
                let link = if former == 0 { ":init".to_owned() } else { former.to_string() };
                if chance.percent(40) {
                    written += 1;
                    let outcome = ["ok", "ok", "fail", "info"][chance.below(4) as usize];
                    let returned = format!("{{:value {written}, :position {position}, :link {link}}}");
                    lines.push(format!("{process} write {written} | {outcome} {returned}"));
                } else {
                    let seen = if chance.percent(faults) { chance.below(written + 2) } else { written };
                    lines.push(format!(
                        "{process} read nil | ok {{:value {seen}, :position {position}, :link {link}}}"
                    ));
                }
            }
            let history = history(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            let report = check(&history).unwrap();
            let wrong = wrong_reads(&history);
            let found = report.findings.iter().filter(|finding| finding.kind == "wrong-read").count() as u64;
            assert_eq!(found, wrong, "seed {seed}: {lines:#?} {:?}", told(&report));
            assert_eq!(count(&report, "key-count"), 1);
            *(if wrong > 0 { &mut invalid } else { &mut valid }) += 1;
        }
        assert!(valid > 1000 && invalid > 1000, "{valid} valid, {invalid} invalid");
    }
}
