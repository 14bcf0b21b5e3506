//! Test support: histories from lines of text, and tables of what a model says to each.
//!
//! A line is `[PROCESS] FUNCTION INPUT [| OUTCOME [OUTPUT]]`, as in `0 cas [1 2] | ok true`. Without
//! an outcome the operation never completes. Each line takes two numbers: its invocation is on line
//! 2n-1, its completion on line 2n. Operations follow one another: nothing overlaps but what never
//! completes.

use super::{Family, Flow, Model, ModelError, Role, Token};
use crate::history::{Event, EventKind, History, HistoryBuilder, Operation, Outcome, Process};
use crate::linearizability;
use crate::options::{Consistency, Options};
use crate::validate::validate;
use crate::value::{Value, Values};
use std::collections::BTreeMap;

/// The history of `lines`.
pub(crate) fn history(lines: &[&str]) -> History {
    keyed_history(&lines.iter().map(|line| ("", *line)).collect::<Vec<_>>())
}

/// The same with a key field; an empty key is none.
pub(crate) fn keyed_history(lines: &[(&str, &str)]) -> History {
    let mut builder = HistoryBuilder::new();
    let mut open = BTreeMap::new();
    for (n, (key, line)) in lines.iter().enumerate() {
        let (call, outcome) =
            line.split_once('|').map_or((*line, ""), |(call, outcome)| (call, outcome.trim()));
        let key = (!key.is_empty()).then(|| parse(builder.values(), key));
        let (id, call) = match call.split_once(' ') {
            Some((first, rest)) if first.parse::<i64>().is_ok() => (first.parse().unwrap(), rest),
            _ => (100 + n as i64, call),
        };
        let (f, input) = call.trim().split_once(' ').unwrap_or((call.trim(), "nil"));
        let f = builder.function(f).unwrap();
        let (kind, output) = outcome.split_once(' ').unwrap_or((outcome, "nil"));
        let completion = match kind {
            "ok" => Some(EventKind::Ok),
            "fail" => Some(EventKind::Fail),
            "info" => Some(EventKind::Info),
            "" => None,
            other => panic!("no such outcome: {other}"),
        };
        for (kind, text) in [(Some(EventKind::Invoke), input), (completion, output)] {
            let Some(kind) = kind else { continue };
            let value = parse(builder.values(), text);
            let line = 2 * n as u32 + if kind == EventKind::Invoke { 1 } else { 2 };
            let process = Process::Client(id);
            let event = Event { process, kind, f, key, value, error: Value::NIL, time_ns: -1, line };
            if kind != EventKind::Invoke {
                open.remove(&id);
            } else if let Some(crashed) = open.insert(id, f) {
                let end = Event { kind: EventKind::Info, f: crashed, ..event };
                builder.push(end).expect("a process that goes on crashed on an earlier line");
            }
            builder.push(event).unwrap();
        }
    }
    builder.finish()
}

/// The actions of all operations that constrain something.
pub(crate) fn actions<M: Model>(model: &M, history: &History) -> Vec<M::Action> {
    let read = |op| model.action(&op, history.values()).unwrap();
    history.operations().filter(|op| op.outcome != Outcome::Fail).filter_map(read).collect()
}

/// A table of operations, each with the state it should lead to.
pub(crate) struct Table<'t, F> {
    model: F,
    rows: Vec<(&'t str, &'t str)>,
}

impl<'t, M: Model, F: Fn(&History) -> M> Table<'t, F> {
    pub(crate) fn new(model: F) -> Table<'t, F> {
        Table { model, rows: Vec::new() }
    }

    /// `expected` is the state after the line, in words; `rejected`, `ignored`, or `error: …`.
    /// Whatever is not a state leaves the table in the state before.
    pub(crate) fn step(mut self, line: &'t str, expected: &'t str) -> Table<'t, F> {
        self.rows.push((line, expected));
        self
    }

    pub(crate) fn run(self) {
        let history = history(&self.rows.iter().map(|row| row.0).collect::<Vec<_>>());
        let model = (self.model)(&history);
        let mut state = model.initial();
        for (op, (line, expected)) in history.operations().zip(self.rows) {
            let found = match model.action(&op, history.values()) {
                Err(error) => format!("error: {error}"),
                Ok(None) => "ignored".to_owned(),
                Ok(Some(action)) => match model.step(&state, &action) {
                    None => "rejected".to_owned(),
                    Some(next) => {
                        state = next;
                        model.show_state(&state, history.values())
                    }
                },
            };
            assert_eq!(found, expected, "{line}");
        }
    }
}

/// Walks every state that words of at most five letters from `alphabet` reach, and holds `is_pure`,
/// `overwrites` and `representative` to their promises there. The twin of the first: each action is
/// possible somewhere, and each that is not pure changes something.
pub(crate) fn purity<M: Model>(model: impl Fn(&History) -> M, alphabet: &[&str]) {
    let history = history(alphabet);
    let model = model(&history);
    let actions = actions(&model, &history);
    assert_eq!(actions.len(), alphabet.len(), "a letter is ignored");
    flows_keep_their_promise(&model, &actions);
    let mut states = vec![model.initial()];
    let (mut possible, mut changes) = (vec![false; actions.len()], vec![false; actions.len()]);
    let mut layer = 0;
    for _ in 0..5 {
        let end = states.len();
        for at in layer..end {
            for (letter, action) in actions.iter().enumerate() {
                let next = model.step(&states[at], action);
                let merged = model.step(&model.representative(states[at].clone()), action);
                let told_apart = |state: Option<M::State>| state.map(|state| model.representative(state));
                assert_eq!(
                    told_apart(next.clone()),
                    told_apart(merged),
                    "{} tells {:?} from its representative",
                    alphabet[letter],
                    states[at]
                );
                let Some(next) = next else { continue };
                possible[letter] = true;
                if next != states[at] {
                    changes[letter] = true;
                    assert!(!model.is_pure(action), "{} changes {:?}", alphabet[letter], states[at]);
                }
                if !states.contains(&next) {
                    states.push(next);
                }
            }
        }
        layer = end;
    }
    for (letter, action) in actions.iter().enumerate() {
        assert!(possible[letter], "{} is never possible", alphabet[letter]);
        assert_eq!(changes[letter], !model.is_pure(action), "{}", alphabet[letter]);
        let after = model.step(&states[0], action);
        let constant = after.is_some() && states.iter().all(|state| model.step(state, action) == after);
        assert!(constant || !model.overwrites(action), "{} does not overwrite", alphabet[letter]);
    }
}

/// Walks every word of at most five letters that `model` allows, and holds [`Model::flows`] to its
/// promise there.
fn flows_keep_their_promise<M: Model>(model: &M, actions: &[M::Action]) {
    // What a word has brought and taken so far; `None` once anything may be there.
    type Accounts = Option<Vec<(Token, u32, u32)>>;
    let mut words: Vec<(usize, M::State, Accounts)> = vec![(0, model.initial(), Some(vec![]))];
    while let Some((length, state, accounts)) = words.pop() {
        for action in actions.iter().filter(|_| length < 5) {
            let Some(next) = model.step(&state, action) else { continue };
            let before = accounts.clone().unwrap_or_default();
            let account = |token: Token| {
                let known = before.iter().find(|(other, ..)| *other == token);
                known.map_or((0, 0), |&(_, brought, taken)| (brought, taken))
            };
            let mut after = accounts.clone();
            model.flows(action, &mut |flow| {
                let (token, brought, taken) = match flow {
                    Flow::Anything => {
                        after = None;
                        return;
                    }
                    Flow::Brings(token) => (token, 1, 0),
                    Flow::Sees(token) => (token, 0, 0),
                    Flow::Takes(token) => (token, 0, 1),
                };
                if accounts.is_some() && brought == 0 {
                    let (brought, sofar) = account(token);
                    assert!(brought > 0 && sofar + taken <= brought, "{action:?} in {state:?}: {flow:?}");
                }
                let Some(after) = &mut after else { return };
                match after.iter_mut().find(|(other, ..)| *other == token) {
                    Some(entry) => *entry = (token, entry.1 + brought, entry.2 + taken),
                    None => after.push((token, brought, taken)),
                }
            });
            words.push((length + 1, next, after));
        }
    }
}

/// The engine's word on `lines`, its proof re-checked.
pub(crate) fn checks<M: Model>(model: impl Fn(&History) -> M, lines: &[&str]) -> &'static str {
    let history = history(lines);
    let model = model(&history);
    let verdict = judge(&model, &history).unwrap();
    validate(&history, &model, Consistency::Linearizable, &verdict).unwrap();
    verdict.word()
}

fn judge<M: Model>(model: &M, history: &History) -> Result<crate::verdict::Verdict, ModelError> {
    linearizability::check(history, model, &Options { threads: 1, ..Options::default() })
}

/// A register with an operation of which nothing is known but what [`Model::step`] says: `reset`
/// makes it 7.
pub(crate) struct Vague;

impl Model for Vague {
    type State = Value;
    type Action = Option<Role>;

    fn initial(&self) -> Value {
        Value::NIL
    }

    fn action(&self, op: &Operation<'_>, _: &Values) -> Result<Option<Option<Role>>, ModelError> {
        Ok(Some(match op.f {
            "read" => Some(Role::Observe(op.output)),
            "write" => Some(Role::Put(op.input)),
            _ => None,
        }))
    }

    fn step(&self, state: &Value, action: &Option<Role>) -> Option<Value> {
        match *action {
            Some(Role::Observe(seen)) => (seen == *state).then_some(seen),
            Some(Role::Put(value)) => Some(value),
            _ => Value::small_int(7),
        }
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Register)
    }

    fn role(&self, action: &Option<Role>) -> Option<Role> {
        *action
    }
}

/// One value in EDN: scalars, vectors, maps and sets.
pub(crate) fn parse(values: &mut Values, text: &str) -> Value {
    let mut rest = text;
    let value = parse_one(values, &mut rest);
    assert_eq!(rest.trim(), "", "after the value in {text:?}");
    value
}

fn parse_one(values: &mut Values, rest: &mut &str) -> Value {
    *rest = rest.trim_start_matches([' ', ',']);
    for (open, close) in [("[", ']'), ("#{", '}'), ("{", '}')] {
        let Some(inner) = rest.strip_prefix(open) else { continue };
        *rest = inner;
        let mut members = Vec::new();
        loop {
            *rest = rest.trim_start_matches([' ', ',']);
            if let Some(after) = rest.strip_prefix(close) {
                *rest = after;
                break;
            }
            members.push(parse_one(values, rest));
        }
        return match open {
            "[" => values.list(&members),
            "#{" => values.set(&members),
            _ => values.map(&members.chunks(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>()),
        };
    }
    let end = match rest.strip_prefix('"') {
        Some(inner) => inner.find('"').expect("a closing quote") + 2,
        None => rest.find([' ', ',', ']', '}']).unwrap_or(rest.len()),
    };
    let (atom, after) = rest.split_at(end);
    *rest = after;
    super::prepare::parse_scalar(atom, values).unwrap_or_else(|| panic!("not a value: {atom:?}"))
}
