//! What to try when a check ends without a verdict: the budget that ran out, and whatever in the
//! history makes its search long.
//!
//! Each sentence names an option of the command or a change to how the history is recorded. Nothing
//! here is looked at before a check has given up.

use super::PartReads;
use crate::history::NEVER;
use crate::model::{Model, Role};
use crate::options::Consistency;
use crate::value::Value;
use crate::verdict::Reason;

/// Shares of crashed operations from which on they are worth a word: one in so many.
const CRASHED_SHARE: usize = 50;

/// Less memory than this is no use for a search.
const MEMORY_LEAST_BYTES: usize = 64 << 20;

/// What makes a part hard to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hardness {
    pub(super) operations: usize,
    /// Operations that may take effect at any time after their invocation.
    pub(super) crashed: usize,
    /// Most operations open at once, of those that completed.
    pub(super) open_most: usize,
    /// Values put in more than once, where that is all that keeps a near-linear engine away.
    pub(super) repeated: usize,
}

impl Hardness {
    pub(super) fn of<M: Model>(model: &M, part: &PartReads<M::Action>) -> Hardness {
        let completed = || part.reads.iter().filter(|read| read.res != NEVER);
        let roles: Option<Vec<Role>> = match model.family() {
            Some(_) => part.reads.iter().map(|read| model.role(&read.action)).collect(),
            None => None,
        };
        Hardness {
            operations: part.reads.len(),
            crashed: part.reads.len() - completed().count(),
            open_most: open_most(completed().map(|read| (read.inv, read.res))),
            repeated: roles.map_or(0, |roles| repeated(&roles)),
        }
    }
}

fn open_most(intervals: impl Iterator<Item = (u32, u32)> + Clone) -> usize {
    let mut moments: Vec<(u32, bool)> =
        intervals.flat_map(|(inv, res)| [(inv, false), (res, true)]).collect();
    moments.sort_unstable();
    let (mut open, mut most) = (0_usize, 0);
    for (_, returns) in moments {
        open = if returns { open - 1 } else { open + 1 };
        most = most.max(open);
    }
    most
}

fn repeated(roles: &[Role]) -> usize {
    let put = |role: &Role| if let Role::Put(value) = role { Some(*value) } else { None };
    let mut values: Vec<Value> = roles.iter().filter_map(put).collect();
    values.sort_unstable();
    values.chunk_by(|a, b| a == b).filter(|equal| equal.len() > 1).count()
}

/// The advice, in sentences.
pub(super) fn advise(
    reason: Reason,
    consistency: Consistency,
    memory_limit_bytes: usize,
    hard: Hardness,
) -> String {
    let mut sentences = vec![];
    match reason {
        Reason::Interrupted => {
            return "Let it run on, or give it a --time-limit to stop by itself.".to_owned();
        }
        Reason::Time => sentences.push("Allow more time with a higher --time-limit.".to_owned()),
        Reason::Memory => {
            let more = size_argument(memory_limit_bytes.saturating_mul(2).max(MEMORY_LEAST_BYTES));
            sentences.push(format!("Allow more memory, as in --memory-limit {more}."));
        }
        Reason::Concurrency => {}
    }
    if hard.repeated > 0 {
        let (values, were) = if hard.repeated == 1 { ("value", "was") } else { ("values", "were") };
        sentences.push(format!(
            "Record with a fresh value each time: {} {values} {were} put in more than once, and where none is, \
             no search is needed.",
            hard.repeated
        ));
    }
    let many_crashed = hard.crashed > 0 && hard.crashed * CRASHED_SHARE >= hard.operations;
    if many_crashed {
        let (operations, them, may) = match hard.crashed {
            1 => ("operation", "it", "it may"),
            _ => ("operations", "them", "each may"),
        };
        sentences.push(format!(
            "Record with longer client timeouts: {} {operations} never completed, and {may} have taken effect at \
             any later time, so every search has to try {them} everywhere.",
            hard.crashed
        ));
    }
    if consistency == Consistency::Sequential {
        sentences.push(
            "Record a shorter run, or fewer processes: without real time every interleaving of them has to be \
             tried."
                .to_owned(),
        );
    }
    let causes = hard.repeated > 0 || many_crashed;
    if reason == Reason::Concurrency || (!causes && consistency != Consistency::Sequential) {
        sentences.push(format!(
            "Record with fewer clients per key, or spread them over more keys: up to {} operations that \
             completed were open at once.",
            hard.open_most
        ));
    }
    sentences.join(" ")
}

/// A number of bytes as --memory-limit takes it.
fn size_argument(bytes: usize) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 30) => format!("{}G", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}M", bytes >> 20),
        _ => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::split;
    use super::*;
    use crate::model::queue::FifoQueue;
    use crate::model::register::Register;
    use crate::model::transcript::history;
    use crate::value::Value;

    const EASY: Hardness = Hardness { operations: 100, crashed: 0, open_most: 7, repeated: 0 };

    #[test]
    fn each_reason_has_its_own_way_out() {
        let advise = |reason| advise(reason, Consistency::Linearizable, 2 << 30, EASY);
        let fewer = "Record with fewer clients per key, or spread them over more keys: up to 7 operations that \
                     completed were open at once.";
        assert_eq!(advise(Reason::Time), format!("Allow more time with a higher --time-limit. {fewer}"));
        assert_eq!(advise(Reason::Memory), format!("Allow more memory, as in --memory-limit 4G. {fewer}"));
        assert_eq!(advise(Reason::Concurrency), fewer);
        assert_eq!(
            advise(Reason::Interrupted),
            "Let it run on, or give it a --time-limit to stop by itself."
        );
    }

    #[test]
    fn what_makes_the_search_long_is_named_with_its_remedy() {
        let advise = |consistency, hard| advise(Reason::Time, consistency, 1, hard);
        let crashed = advise(Consistency::Linearizable, Hardness { crashed: 12, ..EASY });
        assert!(crashed.contains("12 operations never completed"), "{crashed}");
        assert!(!crashed.contains("fewer clients"), "{crashed}");
        let few = advise(Consistency::Linearizable, Hardness { crashed: 1, ..EASY });
        assert!(few.contains("fewer clients") && !few.contains("never completed"), "{few}");
        let repeated = advise(Consistency::PerKey, Hardness { repeated: 3, ..EASY });
        assert!(repeated.contains("3 values were put in more than once"), "{repeated}");
        let sequential = advise(Consistency::Sequential, EASY);
        assert!(sequential.contains("fewer processes"), "{sequential}");
        assert!(!sequential.contains("fewer clients"), "{sequential}");
    }

    #[test]
    fn sizes_are_arguments() {
        assert_eq!([6 << 30, 3 << 20, 1000].map(size_argument), ["6G", "3M", "1000"]);
    }

    #[test]
    fn hardness_is_counted_on_the_part() {
        let of_queue = |lines: &[&str]| {
            let history = history(lines);
            Hardness::of(&FifoQueue, &split(&history, &FifoQueue).unwrap()[0])
        };
        let hard = of_queue(&["enqueue 1 | ok", "enqueue 1 | ok", "enqueue 2 | ok", "enqueue 3"]);
        assert_eq!(hard, Hardness { operations: 4, crashed: 1, open_most: 1, repeated: 1 });
        // A compare-and-set keeps the near-linear engine away, so fresh values would not bring it.
        let history = history(&["write 1 | ok", "write 1 | ok", "cas [1 2] | ok"]);
        let model = Register::with_cas_for_history(Value::NIL, &history);
        assert_eq!(Hardness::of(&model, &split(&history, &model).unwrap()[0]).repeated, 0);
        assert_eq!(open_most([(0, 5), (1, 2), (3, 9), (4, 6)].into_iter()), 3);
    }
}
