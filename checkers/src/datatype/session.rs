//! `session`: what one client sees and does fits together, though replicas are behind each other.
//!
//! The four guarantees of Terry, Demers, Petersen, Spreitzer, Theimer & Welch 1994, *Session Guarantees
//! for Weakly Consistent Replicated Data*, for registers in which every value is written once. A session
//! is a process; `DB(S,t)` are the writes that server `S` has at time `t`, and all servers agree on one
//! order of all writes. If `a` comes before `b` in a session and `a` completed ok, then
//!
//! - **read-your-writes**: the server that a read `b` asks has the write `a`;
//! - **monotonic-reads**: the server that a read `b` asks has the write that the read `a` saw;
//! - **monotonic-writes**: a server that has the write `b` has the write `a`, which is before `b` in
//!   their order;
//! - **writes-follow-reads**: a server that has the write `b` has the write that the read `a` saw, which
//!   is before `b` in their order.
//!
//! A read of a register sees the last write to it that its server has, in that order; the initial value
//! if there is none. Nobody told the order, nor which server has what, nor how sessions lie to each other
//! in time. So the question is whether there are any order and any servers that explain all reads, and
//! each demanded guarantee (all four, unless [`SessionOptions`] says otherwise) gives edges: what must
//! come before what. They are explained if and only if no two writes come before each other. All four
//! together are causal consistency (Brzeziński, Sobaniec & Wawrzyniak 2004, *From Session Causality to
//! Causal Consistency*).
//!
//! Each guarantee is judged alone first, and a finding has its name if it cannot hold even so. Most of
//! what goes wrong breaks two together: who writes 1, then 2, and then reads 1 has a server without 2
//! (read-your-writes), or one that put 2 before 1 (monotonic-writes). Such a finding has both names,
//! joined by `+`, and says what each of them asks. Monotonic writes alone never contradict anything that
//! a read can see.
//!
//! Nothing in a session follows a write in doubt: it may have taken effect at any time after it was
//! invoked, or never. A read of a value that was written more than once is left out, and the verdict is
//! unknown unless something is wrong without it. What was read though nobody can have written it is
//! `unexpected`.
//!
//! Cost: about linear if the order of invocations explains everything, as it does where registers are
//! close to linearizable, and for each guarantee alone. Else together, O(n s) for `s` sessions at worst:
//! each session looks at each operation in its causal past once. Past a fixed number of looks the verdict
//! is unknown unless something was found.

mod constraints;
mod cycles;
mod quick;
#[cfg(test)]
mod tests;

use super::info::{Info, op};
use super::operand::{place, quote};
use super::register::Registers;
use super::{Figure, Findings, Report, Validity};
use crate::history::{History, OpId};
use crate::model::ModelError;
use crate::value::Value;
use constraints::{Constraints, Contradiction, LOOKS_MAX, Sessions};

/// See the module's text.
pub const INFO: Info = Info {
    name: "session",
    aliases: &["session-guarantees"],
    summary: "each client sees its own writes and never goes back in time, whatever replica it asks",
    operations: &[
        op(&["write", "w"], "v, or [key v] in every operation", "nil or v", "puts v in"),
        op(&["read", "r"], "nil, or [key nil]", "the value seen", "sees the last write that a server has"),
    ],
    source: "Terry, Demers, Petersen, Spreitzer, Theimer & Welch 1994, Session Guarantees for Weakly Consistent \
             Replicated Data",
};

/// One of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// Reads see the session's own earlier writes, or later ones.
    ReadYourWrites,
    /// Reads see what the session's earlier reads saw, or later writes.
    MonotonicReads,
    /// The session's writes are put in order everywhere.
    MonotonicWrites,
    /// The session's writes come after what it had read.
    WritesFollowReads,
}

impl Guarantee {
    /// All of them.
    pub const ALL: [Guarantee; 4] = [
        Guarantee::ReadYourWrites,
        Guarantee::MonotonicReads,
        Guarantee::MonotonicWrites,
        Guarantee::WritesFollowReads,
    ];

    /// Its name: `read-your-writes`, …
    pub fn name(self) -> &'static str {
        KINDS[1 << self as usize]
    }
}

/// The names of sets of guarantees, by their bits.
const KINDS: [&str; 16] = [
    "session",
    "read-your-writes",
    "monotonic-reads",
    "read-your-writes+monotonic-reads",
    "monotonic-writes",
    "read-your-writes+monotonic-writes",
    "monotonic-reads+monotonic-writes",
    "read-your-writes+monotonic-reads+monotonic-writes",
    "writes-follow-reads",
    "read-your-writes+writes-follow-reads",
    "monotonic-reads+writes-follow-reads",
    "read-your-writes+monotonic-reads+writes-follow-reads",
    "monotonic-writes+writes-follow-reads",
    "read-your-writes+monotonic-writes+writes-follow-reads",
    "monotonic-reads+monotonic-writes+writes-follow-reads",
    "read-your-writes+monotonic-reads+monotonic-writes+writes-follow-reads",
];

/// A set of guarantees, as bits.
pub(in crate::datatype) type Demanded = u8;

const READ_YOUR_WRITES: Demanded = 1 << Guarantee::ReadYourWrites as u8;
const MONOTONIC_READS: Demanded = 1 << Guarantee::MonotonicReads as u8;
const MONOTONIC_WRITES: Demanded = 1 << Guarantee::MonotonicWrites as u8;
const WRITES_FOLLOW_READS: Demanded = 1 << Guarantee::WritesFollowReads as u8;

/// What to demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// The guarantees that must hold together.
    pub guarantees: Vec<Guarantee>,
    /// What registers hold before anything is written.
    pub initial: Value,
}

impl Default for SessionOptions {
    fn default() -> SessionOptions {
        SessionOptions { guarantees: Guarantee::ALL.to_vec(), initial: Value::NIL }
    }
}

/// Judges a history of `read` and `write`.
pub fn check(history: &History, options: &SessionOptions) -> Result<Report, ModelError> {
    check_within(history, options, LOOKS_MAX)
}

fn check_within(history: &History, options: &SessionOptions, looks_max: u64) -> Result<Report, ModelError> {
    let mut findings = Findings::new();
    let registers = Registers::new(history, options.initial, &mut findings, |write, read| {
        let same_session = write.process == read.process;
        same_session && write.id > read.id
            || history.has_real_time() && write.invoke_position > read.complete_position
    })?;
    let sessions = Sessions::new(history, &registers);
    let demanded = options.guarantees.iter().fold(0, |bits, guarantee| bits | 1 << *guarantee as u8);
    let is_explained = quick::is_explained(history, &registers, &sessions);
    let mut told = Told::new(&registers);
    let mut figures = Vec::new();
    for guarantee in Guarantee::ALL {
        let alone: Demanded = 1 << guarantee as u8;
        let mut tell_alone = || {
            let constraints = Constraints::new(&registers, &sessions, alone, looks_max);
            told.tell(history, &registers, &constraints, &mut findings)
        };
        let word = match demanded & alone {
            0 => "not demanded",
            _ if is_explained || tell_alone() == 0 => "not contradicted",
            _ => "contradicted",
        };
        figures.push((guarantee.name(), Figure::Text(word.to_owned())));
    }
    let mut was_cut = false;
    if demanded.count_ones() > 1 && !is_explained {
        let together = Constraints::new(&registers, &sessions, demanded, looks_max);
        was_cut = together.was_cut();
        told.tell(history, &registers, &together, &mut findings);
    }
    let (reads, writes) = (registers.reads.len() as u64, registers.writes.len() as u64);
    figures.extend([
        ("session-count", Figure::Count(sessions.len() as u64)),
        ("read-count", Figure::Count(reads)),
        ("write-count", Figure::Count(writes)),
        ("ambiguous-read-count", Figure::Count(registers.ambiguous.len() as u64)),
    ]);
    let otherwise = match registers.ambiguous.first() {
        Some(read) => Validity::Unknown(format!(
            "a value was written more than once, so nobody can tell what the read {} saw",
            place(history, *read)
        )),
        None if was_cut => Validity::Unknown(format!(
            "sessions depend on more than {looks_max} operations of each other in all"
        )),
        None if reads == 0 => Validity::Unknown("nothing was read".to_owned()),
        None => Validity::Valid,
    };
    Ok(findings.report(otherwise, figures))
}

/// Which writes and reads a finding was about already.
struct Told {
    writes: Vec<bool>,
    reads: Vec<bool>,
}

impl Told {
    fn new(registers: &Registers) -> Told {
        Told { writes: vec![false; registers.writes.len()], reads: vec![false; registers.reads.len()] }
    }

    /// Adds a finding for each contradiction among writes of which nothing was told yet. Returns how many
    /// contradictions there are, told before or not.
    fn tell(
        &mut self,
        history: &History,
        registers: &Registers,
        constraints: &Constraints,
        findings: &mut Findings,
    ) -> usize {
        let mut count = 0;
        for contradiction in constraints.contradictions() {
            count += 1;
            match &contradiction {
                Contradiction::Initial { read, .. } => {
                    if std::mem::replace(&mut self.reads[*read as usize], true) {
                        continue;
                    }
                }
                Contradiction::Cycle { members, .. } => {
                    let known = members.iter().any(|write| self.writes[*write as usize]);
                    members.iter().for_each(|write| self.writes[*write as usize] = true);
                    if known {
                        continue;
                    }
                }
            }
            explain(history, registers, &contradiction, findings);
        }
        count
    }
}

fn explain(history: &History, registers: &Registers, contradiction: &Contradiction, findings: &mut Findings) {
    let name = |write| registers.name(history, write);
    let value = |write: u32| registers.writes[write as usize].value;
    match contradiction {
        Contradiction::Initial { read, write, mask } => findings.add(KINDS[*mask as usize], true, || {
            let (read, writer) = (&registers.reads[*read as usize], registers.writes[*write as usize].id);
            let sentence = format!(
                "the read {} by process {} saw the initial value, but must see {}, written {}, or a later write by {}",
                place(history, read.id),
                history.operation(read.id).process,
                name(*write),
                place(history, writer),
                words(*mask)
            );
            quote(vec![writer, read.id], vec![value(*write)], sentence)
        }),
        Contradiction::Cycle { cycle, .. } => {
            let mask = cycle.iter().fold(0, |mask, step| mask | step.mask);
            findings.add(KINDS[mask as usize], true, || {
                let steps: Vec<String> = cycle
                    .iter()
                    .map(|step| {
                        let because = history.operation(step.because);
                        format!(
                            "{} before {} by {} (the {} {} by process {})",
                            name(step.from),
                            name(step.to),
                            words(step.mask),
                            because.f,
                            place(history, step.because),
                            because.process
                        )
                    })
                    .collect();
                let operations: Vec<OpId> = cycle
                    .iter()
                    .flat_map(|step| [registers.writes[step.from as usize].id, step.because])
                    .collect();
                let values = cycle.iter().map(|step| value(step.from)).collect();
                let sentence = format!("no order of the writes puts {}", steps.join(", and "));
                quote(operations, values, sentence)
            });
        }
    }
}

/// `read-your-writes and monotonic-writes`.
fn words(mask: Demanded) -> String {
    let names: Vec<&str> = Guarantee::ALL
        .iter()
        .filter(|guarantee| mask & 1 << **guarantee as u8 != 0)
        .map(|g| g.name())
        .collect();
    names.join(" and ")
}
