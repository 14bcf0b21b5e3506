//! The checkers of data types by name.

use super::info::Info;
use super::{
    Report, adya_g2, bank, broadcast, causal, comments, convergence, counter, fencing, g_set, log, long_fork,
    monotonic, pn_counter, queue, sequential, session, set, set_full, staleness, total_queue, unique_ids,
};
use crate::history::History;
use crate::model::ModelError;
use crate::value::Value;

/// What can be asked of the checkers; each takes what concerns it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataOptions {
    /// What a counter or register holds at first; nil means what is usual.
    pub initial: Value,
    /// `set-full`: an element must be seen by every read that begins after it was added.
    pub linearizable: bool,
    /// `long-fork`: how many keys are a group; by the first read if not given.
    pub group_size: Option<usize>,
    /// `bank`: the sum of all balances; by the first read if not given.
    pub total_amount: Option<i64>,
    /// `bank`: balances may be below zero.
    pub allow_negative_balances: bool,
    /// `staleness`: how many versions a read may be behind.
    pub staleness_max_versions: Option<u64>,
    /// `staleness`: how many milliseconds a read may be behind.
    pub staleness_max_ms: Option<u64>,
}

/// A checker of a data type.
#[derive(Clone, Copy, Debug)]
pub struct Checker {
    /// Its names and operations.
    pub info: Info,
    run: fn(&History, &DataOptions) -> Result<Report, ModelError>,
}

impl Checker {
    /// Judges `history`. An operation that is none of its is an error, with its line.
    pub fn check(&self, history: &History, options: &DataOptions) -> Result<Report, ModelError> {
        (self.run)(history, options)
    }
}

/// Two are the same if they have one name.
impl PartialEq for Checker {
    fn eq(&self, other: &Checker) -> bool {
        self.info.name == other.info.name
    }
}

/// The integer that a counter starts from.
fn start(history: &History, options: &DataOptions) -> i64 {
    history.values().int_of(options.initial).unwrap_or(0)
}

/// Every checker, in the order in which they are listed.
pub const CHECKERS: &[Checker] = &[
    Checker { info: set::INFO, run: |history, _| set::check(history) },
    Checker {
        info: set_full::INFO,
        run: |history, options| {
            let own = set_full::SetFullOptions { linearizable: options.linearizable, ..Default::default() };
            set_full::check(history, &own)
        },
    },
    Checker { info: queue::INFO, run: |history, _| queue::check(history) },
    Checker { info: total_queue::INFO, run: |history, _| total_queue::check(history, &Default::default()) },
    Checker { info: unique_ids::INFO, run: |history, _| unique_ids::check(history) },
    Checker {
        info: counter::INFO,
        run: |history, options| {
            counter::check(history, &counter::CounterOptions { initial: start(history, options) })
        },
    },
    Checker {
        info: pn_counter::INFO,
        run: |history, options| {
            let initial = start(history, options);
            pn_counter::check(history, &pn_counter::PnCounterOptions { initial, grow_only: false })
        },
    },
    Checker {
        info: pn_counter::G_COUNTER_INFO,
        run: |history, options| {
            let initial = start(history, options);
            pn_counter::check(history, &pn_counter::PnCounterOptions { initial, grow_only: true })
        },
    },
    Checker {
        info: bank::INFO,
        run: |history, options| {
            let own = bank::BankOptions {
                total_amount: options.total_amount,
                allow_negative_balances: options.allow_negative_balances,
                ..Default::default()
            };
            bank::check(history, &own)
        },
    },
    Checker {
        info: long_fork::INFO,
        run: |history, options| {
            long_fork::check(history, &long_fork::Options { group_size: options.group_size })
        },
    },
    Checker { info: causal::INFO, run: |history, _| causal::check(history) },
    Checker { info: comments::INFO, run: |history, _| comments::check(history) },
    Checker { info: sequential::INFO, run: |history, _| sequential::check(history) },
    Checker { info: monotonic::INFO, run: |history, _| monotonic::check(history, &Default::default()) },
    Checker { info: adya_g2::INFO, run: |history, _| adya_g2::check(history) },
    Checker { info: fencing::INFO, run: |history, _| fencing::check(history) },
    Checker { info: log::INFO, run: |history, _| log::check(history, &Default::default()) },
    Checker { info: broadcast::INFO, run: |history, _| broadcast::check(history, &Default::default()) },
    Checker { info: g_set::INFO, run: |history, _| g_set::check(history, &Default::default()) },
    Checker { info: convergence::INFO, run: |history, _| convergence::check(history, &Default::default()) },
    Checker {
        info: session::INFO,
        run: |history, options| {
            session::check(
                history,
                &session::SessionOptions { initial: options.initial, ..Default::default() },
            )
        },
    },
    Checker {
        info: staleness::INFO,
        run: |history, options| {
            let own = staleness::StalenessOptions {
                staleness_max_versions: options.staleness_max_versions,
                staleness_max_ms: options.staleness_max_ms,
                initial: options.initial,
            };
            staleness::check(history, &own)
        },
    },
];

/// The checker of that name, or alias.
pub fn lookup(name: &str) -> Option<&'static Checker> {
    let normal = name.trim().to_ascii_lowercase().replace('_', "-");
    let is_named = |info: &Info| info.name == normal || info.aliases.contains(&normal.as_str());
    CHECKERS.iter().find(|checker| is_named(&checker.info))
}
