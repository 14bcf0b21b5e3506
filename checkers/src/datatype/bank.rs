//! `bank`: money moves between accounts, and every read of all of them shows the same total.
//!
//! Jepsen's `jepsen.tests.bank`, whose histories hold `transfer`s and `read`s of all balances; under
//! snapshot isolation and above, each read sees a state between two transfers. A read that completed ok
//! has one error at most, the first of these that it shows:
//!
//! - **unexpected-key**: an account that does not exist;
//! - **nil-balance**: an account without a balance;
//! - **wrong-total**: balances that do not add up to the total;
//! - **negative-value**: a balance below 0, unless [`BankOptions::allow_negative_balances`] permits it.
//!
//! Jepsen's test knows its accounts and its total. A history does not: as elle-cli does, the accounts are
//! taken to be those of the first read, and the total what it adds up to, unless [`BankOptions`] say
//! otherwise; the report says which. If the first read is wrong, then, the others look wrong. The first
//! read is the one that completed first.
//!
//! Transfers are not judged, nor whether their sum explains the balances: that is serializability's business.
//!
//! In JSON the keys of a map are texts: an account `"0"` is the account `0`. Totals are added up in 128 bits.
//!
//! Cost: O(n log n) for the order of reads, and one look at each balance that was read.

use super::info::{Info, op};
use super::operand::{Part, brief, note_vacuous, parts, place, quote, some_of};
use super::{Figure, Findings, Report, Validity};
use crate::history::{History, OpId, Outcome};
use crate::model::ModelError;
use crate::value::{Datum, Value, Values};

/// See the module's text.
pub const INFO: Info = Info {
    name: "bank",
    aliases: &[],
    summary: "every read of all accounts shows the same total, and no balance below 0",
    operations: &[
        op(&["read"], "any", "{account balance, …}", "sees the balances of all accounts"),
        op(&["transfer"], "{:from a, :to b, :amount n}", "any", "moves money; its value is not looked at"),
    ],
    source: "Jepsen, jepsen.tests.bank; elle-cli, elle-cli.bank",
};

/// What to know of the bank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BankOptions {
    /// What all balances add up to; `None` takes it from the first read.
    pub total_amount: Option<i64>,
    /// The accounts, as handles of the history's values; `None` takes them from the first read.
    pub accounts: Option<Vec<Value>>,
    /// Balances may be below 0.
    pub allow_negative_balances: bool,
}

/// Judges a history of `transfer` and `read`.
pub fn check(history: &History, options: &BankOptions) -> Result<Report, ModelError> {
    let mut tally = Tally::default();
    for part in parts(history) {
        tally.judge(history, &part, options)?;
    }
    if tally.read_count == 0 {
        note_vacuous(&mut tally.findings, "no read completed, so no balance could be wrong");
    }
    Ok(tally.report(options))
}

/// An account: integers and the texts of integers are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Account {
    Number(i64),
    Other(Value),
}

fn account(values: &Values, key: Value) -> Account {
    let number = match values.get(key) {
        Datum::Int(number) => Some(number),
        // Only the way in which integers are written: "007" is another account than 7.
        Datum::Str(text) => text.parse::<i64>().ok().filter(|number| number.to_string() == text),
        _ => None,
    };
    number.map_or(Account::Other(key), Account::Number)
}

/// What a read shows.
struct Balances {
    accounts: Vec<(Account, Value)>,
    nils: Vec<Value>,
    negative: Vec<Value>,
    total: i128,
}

fn balances(history: &History, id: OpId) -> Result<Balances, ModelError> {
    let (values, op) = (history.values(), history.operation(id));
    let shape = || ModelError::output(&op, values, "a map of accounts to balances, integers or nil");
    let Datum::Map(entries) = values.get(op.output) else { return Err(shape()) };
    let mut balances = Balances { accounts: vec![], nils: vec![], negative: vec![], total: 0 };
    for entry in entries.chunks_exact(2) {
        balances.accounts.push((account(values, entry[0]), entry[0]));
        if entry[1].is_nil() {
            balances.nils.push(entry[0]);
            continue;
        }
        let balance = values.int_of(entry[1]).ok_or_else(shape)?;
        balances.total += i128::from(balance);
        if balance < 0 {
            balances.negative.push(entry[1]);
        }
    }
    Ok(balances)
}

#[derive(Default)]
struct Tally {
    findings: Findings,
    read_count: u64,
    total: Option<i128>,
    lowest: Option<i128>,
    highest: Option<i128>,
}

impl Tally {
    fn judge(&mut self, history: &History, part: &Part, options: &BankOptions) -> Result<(), ModelError> {
        let values = history.values();
        let mut reads: Vec<(u32, OpId)> = Vec::new();
        for id in &part.ops {
            let op = history.operation(*id);
            match op.f {
                "read" if op.outcome == Outcome::Ok => reads.push((op.complete_position, *id)),
                "read" | "transfer" => {}
                _ => return Err(ModelError::unknown_function(&op, "read, transfer")),
            }
        }
        reads.sort_unstable();
        let Some((_, first)) = reads.first() else { return Ok(()) };
        let first = balances(history, *first)?;
        let total = options.total_amount.map_or(first.total, i128::from);
        let mut accounts: Vec<Account> = match &options.accounts {
            Some(accounts) => accounts.iter().map(|key| account(values, *key)).collect(),
            None => first.accounts.iter().map(|(account, _)| *account).collect(),
        };
        accounts.sort_unstable();
        self.total.get_or_insert(total);
        for (_, id) in reads {
            self.read(history, part, id, &accounts, total, options)?;
        }
        Ok(())
    }

    fn read(
        &mut self,
        history: &History,
        part: &Part,
        id: OpId,
        accounts: &[Account],
        total: i128,
        options: &BankOptions,
    ) -> Result<(), ModelError> {
        let values = history.values();
        let seen = balances(history, id)?;
        self.read_count += 1;
        let unknown: Vec<Value> = seen
            .accounts
            .iter()
            .filter(|(account, _)| accounts.binary_search(account).is_err())
            .map(|(_, key)| *key)
            .collect();
        let (kind, few, sentence) = if !unknown.is_empty() {
            ("unexpected-key", unknown, "shows accounts that do not exist: ".to_owned())
        } else if !seen.nils.is_empty() {
            ("nil-balance", seen.nils, "shows no balance of the accounts ".to_owned())
        } else if seen.total != total {
            self.lowest = Some(self.lowest.map_or(seen.total, |lowest| lowest.min(seen.total)));
            self.highest = Some(self.highest.map_or(seen.total, |highest| highest.max(seen.total)));
            ("wrong-total", vec![], format!("adds up to {}, not to {total}", seen.total))
        } else if !options.allow_negative_balances && !seen.negative.is_empty() {
            ("negative-value", seen.negative, "shows balances below 0: ".to_owned())
        } else {
            return Ok(());
        };
        self.findings.add(kind, true, || {
            let shown = few.len().min(4);
            let listed = if few.is_empty() {
                format!(": {}", brief(values, history.operation(id).output))
            } else {
                some_of(values, &few[..shown], few.len())
            };
            let read = format!("the read{} {}", part.of_key(values), place(history, id));
            quote(vec![id], few[..shown].to_vec(), format!("{read} {sentence}{listed}"))
        });
        Ok(())
    }

    fn report(self, options: &BankOptions) -> Report {
        const KINDS: [&str; 4] = ["unexpected-key", "nil-balance", "wrong-total", "negative-value"];
        const COUNTS: [&str; 4] =
            ["unexpected-key-count", "nil-balance-count", "wrong-total-count", "negative-value-count"];
        let counts = KINDS.map(|kind| self.findings.count(kind));
        let int = |sum: i128| {
            let limited = sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
            Figure::Int(i64::try_from(limited).unwrap_or(0))
        };
        let source = |given: bool| Figure::Text(if given { "given" } else { "the first read" }.to_owned());
        let mut figures = vec![
            ("read-count", Figure::Count(self.read_count)),
            ("error-count", Figure::Count(counts.iter().sum())),
        ];
        figures.extend(COUNTS.into_iter().zip(counts.map(Figure::Count)));
        if let Some(total) = self.total {
            figures.push(("total-amount", int(total)));
            figures.push(("total-amount-from", source(options.total_amount.is_some())));
            figures.push(("accounts-from", source(options.accounts.is_some())));
        }
        figures.extend(self.lowest.map(|sum| ("lowest-total", int(sum))));
        figures.extend(self.highest.map(|sum| ("highest-total", int(sum))));
        self.findings.report(Validity::Valid, figures)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::format::{Limits, read_path};
    use crate::history::EventKind;
    use crate::model::transcript::{history, keyed_history};
    use std::collections::BTreeMap;

    fn told(lines: &[&str]) -> (&'static str, Vec<String>) {
        let history = history(lines);
        let report = check(&history, &BankOptions::default()).unwrap();
        assert_well_formed(&history, &report);
        (word(&report), report.findings.into_iter().map(|finding| finding.sentence).collect())
    }

    #[test]
    fn a_read_has_its_first_error() {
        let (verdict, sentences) = told(&[
            "read nil | ok {0 10, 1 10}",
            "transfer {:from 0, :to 1, :amount 3} | ok",
            "read nil | ok {0 7, 1 13}",
            "read nil | ok {0 7, 1 12}",
            "read nil | ok {0 -7, 1 27}",
            "read nil | ok {0 nil, 1 27}",
            "read nil | ok {0 nil, 2 -1}",
            "read nil | fail {0 nil, 2 -1}",
            "read nil | info",
        ]);
        assert_eq!(verdict, "false");
        assert_eq!(
            sentences,
            [
                "the read on line 7 adds up to 19, not to 20: {0 7, 1 12}",
                "the read on line 9 shows balances below 0: -7",
                "the read on line 11 shows no balance of the accounts 0",
                "the read on line 13 shows accounts that do not exist: 2",
            ]
        );
        assert_eq!(told(&["transfer nil | ok"]).0, "true");
    }

    #[test]
    fn what_is_known_need_not_be_guessed() {
        let mut history = history(&["0 read nil | ok {:a 7}", "0 read nil | ok {:a 3, :b 4}"]);
        let report = check(&history, &BankOptions::default()).unwrap();
        assert_eq!((kinds(&report), count(&report, "unexpected-key-count")), (vec!["unexpected-key"], 1));
        let accounts = Some(vec![history.values.keyword("a"), history.values.keyword("b")]);
        let known = BankOptions { accounts, ..BankOptions::default() };
        assert_eq!(word(&check(&history, &known).unwrap()), "true");
        let known = BankOptions { total_amount: Some(8), ..known };
        let report = check(&history, &known).unwrap();
        assert_eq!((word(&report), count(&report, "wrong-total-count")), ("false", 2));
        assert_eq!(figure(&report, "total-amount-from"), &Figure::Text("given".to_owned()));
        let in_debt = self::history(&["read nil | ok {:a -1, :b 1}"]);
        let allowed = BankOptions { allow_negative_balances: true, ..BankOptions::default() };
        assert_eq!(word(&check(&in_debt, &BankOptions::default()).unwrap()), "false");
        assert_eq!(word(&check(&in_debt, &allowed).unwrap()), "true");
    }

    #[test]
    fn accounts_of_json_are_those_of_edn() {
        assert_eq!(told(&["read nil | ok {0 1, 1 2}", "read nil | ok {\"0\" 2, \"1\" 1}"]).0, "true");
        assert_eq!(told(&["read nil | ok {0 1, 1 2}", "read nil | ok {\"00\" 2, \"1\" 1}"]).0, "false");
        let keyed = keyed_history(&[
            (":a", "read nil | ok {0 1}"),
            (":b", "read nil | ok {1 7}"),
            (":b", "read nil | ok {1 6}"),
        ]);
        let report = check(&keyed, &BankOptions::default()).unwrap();
        assert_eq!(report.findings[0].sentence, "the read of key :b on line 5 adds up to 6, not to 7: {1 6}");
    }

    #[test]
    fn errors_name_the_line() {
        let error = |lines: &[&str]| check(&history(lines), &BankOptions::default()).unwrap_err().to_string();
        let expected = "expected a map of accounts to balances, integers or nil";
        assert_eq!(error(&["read nil | ok 1"]), format!("line 2: read returned the value 1; {expected}"));
        assert_eq!(
            error(&["read nil | ok {0 1.5}"]),
            format!("line 2: read returned the value {{0 1.5}}; {expected}")
        );
        assert_eq!(
            error(&["deposit 1"]),
            "line 1: the model has no function deposit; expected one of: read, transfer"
        );
    }

    #[test]
    fn the_published_histories_are_valid() {
        for (file, reads) in [("bank.edn", 168), ("bank.json", 168), ("bank-neg.edn", 1)] {
            let Some(path) = published(file) else { return };
            let history = read_path(&path, None, &Limits::default()).unwrap();
            let report = check(&history, &BankOptions::default()).unwrap();
            assert_eq!((word(&report), count(&report, "read-count")), ("true", reads));
        }
    }

    /// A bank whose reads are torn now and then.
    struct Bank {
        balances: [i64; 3],
        fault_percent: u64,
    }

    impl System for Bank {
        fn invoke(&mut self, chance: &mut Chance, _: &mut Values, _: i64) -> (&'static str, Value) {
            (if chance.percent(50) { "read" } else { "transfer" }, Value::NIL)
        }

        fn complete(
            &mut self,
            chance: &mut Chance,
            values: &mut Values,
            asked: (i64, &str, Value),
        ) -> (EventKind, Value) {
            let (from, to) = (chance.below(3) as usize, chance.below(3) as usize);
            if asked.1 == "transfer" {
                let overdraft = if chance.percent(self.fault_percent) { 4 } else { 0 };
                if self.balances[from] + overdraft > 0 {
                    self.balances[from] -= 1;
                    self.balances[to] += 1;
                }
                return (EventKind::Ok, Value::NIL);
            }
            let mut entries: Vec<(Value, Value)> =
                (0..3).map(|i| (int(i), int(self.balances[i as usize]))).collect();
            if chance.percent(self.fault_percent) {
                entries[from].1 = [int(0), int(7), Value::NIL][to];
            }
            if chance.percent(self.fault_percent / 2) {
                entries.push((int(3), int(0)));
            }
            let kind =
                [EventKind::Ok, EventKind::Ok, EventKind::Info, EventKind::Fail][chance.below(4) as usize];
            (kind, values.map(&entries))
        }
    }

    /// The definition, with a map for each read.
    fn errors(history: &History, allow_negative: bool) -> BTreeMap<&'static str, u64> {
        let mut reads: Vec<_> =
            history.operations().filter(|op| op.f == "read" && op.outcome == Outcome::Ok).collect();
        reads.sort_by_key(|op| op.complete_position);
        let shown = |output: Value| -> BTreeMap<Value, Option<i64>> {
            let Datum::Map(flat) = history.values().get(output) else { panic!("a map") };
            flat.chunks(2).map(|entry| (entry[0], entry[1].as_small_int())).collect()
        };
        let mut errors = BTreeMap::new();
        let Some(first) = reads.first().map(|read| shown(read.output)) else { return errors };
        let total = |seen: &BTreeMap<Value, Option<i64>>| seen.values().flatten().sum::<i64>();
        for read in &reads {
            let seen = shown(read.output);
            let kind = if seen.keys().any(|key| !first.contains_key(key)) {
                "unexpected-key-count"
            } else if seen.values().any(Option::is_none) {
                "nil-balance-count"
            } else if total(&seen) != total(&first) {
                "wrong-total-count"
            } else if !allow_negative && seen.values().flatten().any(|balance| *balance < 0) {
                "negative-value-count"
            } else {
                continue;
            };
            *errors.entry(kind).or_default() += 1;
        }
        errors
    }

    #[test]
    fn it_agrees_with_the_definition_on_random_histories() {
        let mut met = Met::default();
        for seed in 0..3000 {
            let mut chance = Chance::new(seed);
            let fault_percent = [0, 30][seed as usize % 2];
            let allow_negative_balances = chance.percent(30);
            let operations = 1 + chance.below(14) as usize;
            let history = draw(&mut chance, 3, operations, &mut Bank { balances: [2, 1, 0], fault_percent });
            let report =
                check(&history, &BankOptions { allow_negative_balances, ..BankOptions::default() }).unwrap();
            assert_well_formed(&history, &report);
            let expected = errors(&history, allow_negative_balances);
            assert_eq!(count(&report, "error-count"), expected.values().sum::<u64>(), "seed {seed}");
            assert!(
                expected.iter().all(|(name, errors)| count(&report, name) == *errors),
                "seed {seed}: {report:#?}"
            );
            met.see(word(&report));
            kinds(&report).into_iter().for_each(|kind| met.see(kind));
        }
        met.at_least(&["true", "false"], 500);
        met.at_least(&["unexpected-key", "nil-balance", "wrong-total", "negative-value"], 50);
    }
}
