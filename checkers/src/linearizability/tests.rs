//! The general engines against exhaustive search, against each other, and against sabotage.
//!
//! The oracle tries every order, one operation after the other, and shares nothing with the engines.
//! Histories are small enough for it and biased to the border between possible and impossible: a
//! legal run with overlapping intervals, of which a few results are then changed.

use super::budget::Budget;
use super::jit::{Jit, Sabotage};
use super::machine::Machine;
use super::problem::{Problem, Read};
use super::race::{Engine, Finding, Refuter, race};
use super::small::{Rng, each_shape};
use super::wgl::Wgl;
use crate::history::{NEVER, Operation};
use crate::model::{Model, ModelError};
use crate::options::Options;
use crate::value::Values;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Actions on an object with every trait that an engine exploits: pure ones, overwriting ones,
/// conditional ones, and ones that never conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Act {
    Read(u8),
    Write(u8),
    Cas(u8, u8),
    CasFailed(u8),
    Add(u8),
}

struct Cell;

impl Model for Cell {
    type State = u8;
    type Action = Act;

    fn initial(&self) -> u8 {
        0
    }

    fn action(&self, _: &Operation<'_>, _: &Values) -> Result<Option<Act>, ModelError> {
        unreachable!("these tests make their actions themselves")
    }

    fn step(&self, state: &u8, action: &Act) -> Option<u8> {
        match *action {
            Act::Read(value) => (*state == value).then_some(*state),
            Act::Write(value) => Some(value),
            Act::Cas(from, to) => (*state == from).then_some(to),
            Act::CasFailed(from) => (*state != from).then_some(*state),
            Act::Add(n) => Some((state + n) % 4),
        }
    }

    fn is_pure(&self, action: &Act) -> bool {
        matches!(action, Act::Read(_) | Act::CasFailed(_))
    }

    fn overwrites(&self, action: &Act) -> bool {
        matches!(action, Act::Write(_))
    }
}

/// Where a random history comes from: a seed, or numbers that `proptest` draws and then makes fewer
/// and smaller, which makes the history smaller with them.
enum Chance<'t> {
    Seeded(Rng),
    Tape(&'t [u32]),
}

impl Chance<'_> {
    fn below(&mut self, n: u64) -> u64 {
        match self {
            Chance::Seeded(rng) => rng.below(n),
            Chance::Tape(tape) => {
                // Past its end a tape says 0 for ever.
                let (first, rest) = tape.split_first().unwrap_or((&0, &[]));
                *tape = rest;
                u64::from(*first) % n
            }
        }
    }
}

fn seeded(seed: u64) -> Chance<'static> {
    Chance::Seeded(Rng(seed))
}

type History = Vec<Read<Act>>;

/// A run of `clients` that overlap, with a few results changed and a few operations crashed.
fn near_valid(chance: &mut Chance<'_>, operations: usize, clients: usize, crash_percent_max: u64) -> History {
    let mut history: History = vec![];
    let mut open: Vec<(usize, bool)> = vec![];
    let (mut state, mut position) = (0u8, 0u32);
    let crash_percent = chance.below(2) * chance.below(crash_percent_max + 1);
    // About as many histories are possible as not, whatever their length.
    let change_percent = chance.below(2) * 200 / operations as u64;
    let values = 2 + chance.below(3);
    while history.len() < operations || !open.is_empty() {
        position += 1;
        let invoke = history.len() < operations && open.len() < clients && chance.below(2) == 0;
        if invoke {
            let value = |chance: &mut Chance<'_>| chance.below(values) as u8;
            let action = match chance.below(8) {
                0..=2 => Act::Read(0),
                3 | 4 => Act::Write(value(chance)),
                5 => Act::Add(value(chance)),
                _ => Act::Cas(value(chance), value(chance)),
            };
            open.push((history.len(), false));
            history.push(Read { id: history.len() as u32, inv: position, res: NEVER, action });
            continue;
        }
        if open.is_empty() {
            continue;
        }
        let at = chance.below(open.len() as u64) as usize;
        let (op, done) = open[at];
        if !done {
            let action = &mut history[op].action;
            *action = match *action {
                Act::Read(_) => Act::Read(state),
                Act::Cas(from, _) if from != state => Act::CasFailed(from),
                other => other,
            };
            state = Cell.step(&state, action).expect("its result was just made to fit");
            open[at].1 = true;
            continue;
        }
        open.remove(at);
        if chance.below(100) >= crash_percent {
            history[op].res = position;
        } else if let Act::CasFailed(from) = history[op].action {
            // Nobody saw that it failed.
            history[op].action = Act::Cas(from, chance.below(values) as u8);
        }
        if chance.below(100) < change_percent {
            history[op].action = match history[op].action {
                Act::Read(_) => Act::Read(chance.below(values) as u8),
                Act::CasFailed(from) => Act::Cas(from, chance.below(values) as u8),
                Act::Cas(from, _) => Act::CasFailed(from),
                other => other,
            };
        }
    }
    history
}

/// Exhaustive search over (set of operations done, state), written without an eye on speed.
fn oracle(history: &[Read<Act>]) -> bool {
    let mut seen = BTreeSet::new();
    let mut stack = vec![(0u32, 0u8)];
    while let Some((done, state)) = stack.pop() {
        let left = |i: &usize| done >> i & 1 == 0;
        let first_return = (0..history.len()).filter(left).map(|i| history[i].res).min().unwrap_or(NEVER);
        if first_return == NEVER {
            return true;
        }
        for i in (0..history.len()).filter(left).filter(|&i| history[i].inv <= first_return) {
            if let Some(next) = Cell.step(&state, &history[i].action)
                && seen.insert((done | 1 << i, next))
            {
                stack.push((done | 1 << i, next));
            }
        }
    }
    false
}

/// Whether `order` is what a Valid claims: everything that returned, in real-time order, with
/// results that fit.
fn is_linearization(history: &[Read<Act>], order: &[u32]) -> bool {
    let mut left: BTreeSet<u32> = (0..history.len() as u32).collect();
    let (mut state, mut latest_invocation) = (0u8, 0);
    for id in order {
        let op = &history[*id as usize];
        latest_invocation = latest_invocation.max(op.inv);
        let Some(next) = Cell.step(&state, &op.action) else { return false };
        if !left.remove(id) || op.res < latest_invocation {
            return false;
        }
        state = next;
    }
    left.iter().all(|&id| history[id as usize].res == NEVER)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Jit,
    JitExact,
    Wgl,
    Race,
    Race2,
}

const ENGINES: [Which; 5] = [Which::Jit, Which::JitExact, Which::Wgl, Which::Race, Which::Race2];

fn decide(which: Which, history: &[Read<Act>], sabotage: Option<Sabotage>) -> Finding {
    let (problem, actions) = Problem::new(&Cell, history);
    let values = Values::new();
    let machine = || Machine::new(&Cell, &actions, &values);
    let budget = Budget::new(&Options::default());
    let jit = || Jit::<1>::new(&problem, &problem.ops, machine(), budget.clone()).sabotaged(sabotage);
    let wgl = || Wgl::new(&problem, &problem.ops, machine(), budget.clone());
    let mut engines: Vec<Box<dyn Engine + '_>> = match which {
        Which::Jit => vec![Box::new(jit())],
        Which::JitExact => vec![Box::new(jit().exact())],
        Which::Wgl => vec![Box::new(wgl())],
        Which::Race | Which::Race2 => vec![Box::new(wgl()), Box::new(jit())],
    };
    let threads = if which == Which::Race2 { 2 } else { 1 };
    let finding = race(&mut engines, threads, u64::MAX, &|_| {}).expect("no work limit");
    match finding {
        Finding::Valid(order) => Finding::Valid(order.iter().map(|&i| problem.ops[i as usize].id).collect()),
        other => other,
    }
}

/// `None` if the engine is right about the history, else what it said.
fn wrong(which: Which, history: &[Read<Act>], sabotage: Option<Sabotage>, valid: bool) -> Option<Finding> {
    match decide(which, history, sabotage) {
        Finding::Valid(order) if valid && is_linearization(history, &order) => None,
        Finding::Invalid if !valid => None,
        other => Some(other),
    }
}

/// What a comparison met.
#[derive(Default)]
struct Met {
    valid: u64,
    invalid: u64,
    /// By the refuter, of those that have something to refute with.
    refuted: u64,
}

/// Compares all of `engines` with exhaustive search; the error tells who is wrong.
fn compare(history: &[Read<Act>], engines: &[Which], met: &mut Met) -> Result<(), String> {
    let valid = oracle(history);
    *(if valid { &mut met.valid } else { &mut met.invalid }) += 1;
    for &which in engines {
        if let Some(said) = wrong(which, history, None, valid) {
            return Err(format!("{which:?} says {said:?}, but valid is {valid}: {history:#?}"));
        }
    }
    match refuted(history, false) {
        true if valid => Err(format!("the refuter says impossible: {history:#?}")),
        refuted => {
            met.refuted += u64::from(refuted);
            Ok(())
        }
    }
}

/// What the refuter makes of a history; `of_any` lets it say of any history what it finds of the
/// weaker one.
fn refuted(history: &[Read<Act>], of_any: bool) -> bool {
    let (problem, actions) = Problem::new(&Cell, history);
    let values = Values::new();
    let Some(weaker) = problem.with_pending_free() else { return false };
    let machine = Machine::new(&Cell, &actions, &values);
    let jit = Jit::<1>::new(&problem, &weaker, machine, Budget::new(&Options::default()));
    let mut refuter = Refuter(Box::new(jit.exact().without_order(1 << 13)));
    match refuter.run(u64::MAX) {
        Some(Finding::Invalid) => true,
        Some(Finding::Open) => of_any,
        other => panic!("a refuter refutes or leaves it open: {other:?}"),
    }
}

/// Histories of up to nine operations: twenty thousand, or as many as `PROPTEST_CASES` says. What
/// fails is made smaller.
#[test]
fn every_engine_agrees_with_exhaustive_search_on_random_histories() {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 20_000;
    }
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let met = RefCell::new(Met::default());
    let tape = proptest::collection::vec(any::<u32>(), 0..120);
    let result = TestRunner::new_with_rng(config, rng).run(&tape, |tape| {
        let mut chance = Chance::Tape(&tape);
        let (operations, clients) = (1 + chance.below(9) as usize, 1 + chance.below(5) as usize);
        let history = near_valid(&mut chance, operations, clients, 40);
        let number = met.borrow().valid + met.borrow().invalid;
        let engines = if number % 50 == 0 { &ENGINES[..] } else { &ENGINES[..4] };
        compare(&history, engines, &mut met.borrow_mut()).map_err(TestCaseError::fail)
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    // Both sides of the border were visited often.
    let Met { valid, invalid, refuted } = met.into_inner();
    let least = (valid + invalid) / 8;
    assert!(valid > least && invalid > least, "{valid} valid, {invalid} not");
    assert!(refuted > least / 20, "{refuted} of {invalid} refuted");
}

/// All histories of three operations, some of which may never return.
#[test]
fn every_engine_agrees_with_exhaustive_search_on_all_small_histories() {
    use Act::{Add, Cas, CasFailed, Read as See, Write};
    let alphabet = [See(0), See(1), Write(0), Write(1), Cas(0, 1), Cas(1, 0), CasFailed(0), Add(1)];
    let mut met = Met::default();
    for operations in 1..=3 {
        each_shape(operations, true, &mut |shape| {
            for mut code in 0..alphabet.len().pow(operations as u32) {
                let ids = 0u32..;
                let history: History = ids
                    .zip(shape)
                    .map(|(id, &(inv, res))| {
                        let action = alphabet[code % alphabet.len()];
                        code /= alphabet.len();
                        Read { id, inv, res, action }
                    })
                    .collect();
                compare(&history, &ENGINES[..4], &mut met).unwrap_or_else(|wrong| panic!("{wrong}"));
            }
        });
    }
    assert!(met.valid > 5_000 && met.invalid > 5_000 && met.refuted > 1_000, "{} valid", met.valid);
}

/// The refuter's comparison can fail: one that also says of a possible weaker history that there is
/// no order is noticed at once.
#[test]
fn a_refuter_that_says_too_much_is_noticed() {
    let noticed = (0..1_000).any(|seed| {
        let history = near_valid(&mut seeded(seed), 5, 3, 40);
        refuted(&history, true) && oracle(&history)
    });
    assert!(noticed);
}

#[test]
fn one_engine_agrees_with_the_other_where_exhaustive_search_is_too_slow() {
    let (mut valid_count, mut invalid_count) = (0, 0);
    for seed in 0..2_000 {
        let mut chance = seeded(seed ^ 0xABCD_EF00);
        let (operations, clients) = (20 + chance.below(80) as usize, 2 + chance.below(6) as usize);
        let history = near_valid(&mut chance, operations, clients, 5);
        let exact = decide(Which::JitExact, &history, None);
        let valid = matches!(exact, Finding::Valid(_));
        *(if valid { &mut valid_count } else { &mut invalid_count }) += 1;
        for which in ENGINES {
            assert_eq!(wrong(which, &history, None, valid), None, "seed {seed}, {which:?}");
        }
    }
    assert!(valid_count > 100 && invalid_count > 100, "{valid_count} valid, {invalid_count} not");
}

#[test]
fn a_race_gives_the_same_answer_on_one_thread_and_on_two() {
    for seed in 0..200 {
        let mut chance = seeded(seed ^ 0x5EED);
        let history = near_valid(&mut chance, 60, 6, 5);
        assert_eq!(decide(Which::Race, &history, None), decide(Which::Race2, &history, None), "seed {seed}");
    }
}

/// Each rule of `jit`, broken, must be noticed by the comparison above.
#[test]
fn a_sabotaged_engine_is_caught() {
    for sabotage in Sabotage::ALL {
        let caught = (0..40_000).find(|&seed| {
            let mut chance = seeded(seed);
            let (operations, clients) = (1 + chance.below(9) as usize, 1 + chance.below(5) as usize);
            let history = near_valid(&mut chance, operations, clients, 40);
            let valid = oracle(&history);
            // A broken search may also trip over its own assertions.
            std::panic::catch_unwind(|| wrong(Which::JitExact, &history, Some(sabotage), valid).is_some())
                .unwrap_or(true)
        });
        assert!(caught.is_some(), "nobody noticed {sabotage:?}");
    }
}
