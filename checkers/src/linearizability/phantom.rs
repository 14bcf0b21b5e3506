//! Values out of nowhere: a result that shows a value before any operation that can have brought it
//! in was invoked, or that takes it once more than it was put in by then.
//!
//! One pass over the events, before any search and whatever the model, by what [`Model::flows`] says
//! of each action. Finding nothing means nothing. What it finds needs one operation as its core (or
//! the puts and takes of one value), which no search could make smaller.

use super::PartReads;
use super::explain;
use super::problem::Read;
use crate::history::{History, NEVER};
use crate::model::{Flow, Model, Token};
use crate::value::FastBuild;
use crate::verdict::Witness;
use hashbrown::HashMap;

/// A token out of nowhere. Indices are of the part's operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Phantom {
    pub(crate) token: Token,
    /// The operation that saw or took it.
    pub(crate) seen_by: usize,
    /// What it was taken by before.
    pub(crate) taken_by: Vec<usize>,
    /// All that can have brought it in by then.
    pub(crate) brought_by: Vec<usize>,
    /// The first operation that brings it in, if that is later.
    pub(crate) brought_later: Option<usize>,
}

/// How often a token was brought in by operations invoked so far, and taken by completed ones.
#[derive(Clone, Copy, Default)]
struct Account {
    brought: u32,
    taken: u32,
}

/// The first phantom among `reads`, sorted by invocation. Without `real_time` an operation may be
/// explained by one that was invoked after it returned.
pub(crate) fn find<M: Model>(model: &M, reads: &[Read<M::Action>], real_time: bool) -> Option<Phantom> {
    let mut returns: Vec<usize> = (0..reads.len()).filter(|&i| reads[i].res != NEVER).collect();
    returns.sort_by_key(|&i| reads[i].res);
    let mut accounts: HashMap<Token, Account, FastBuild> = HashMap::default();
    let mut invoked = 0;
    for ending in returns {
        let is_invoked = |read: &Read<M::Action>| !real_time || read.inv <= reads[ending].res;
        while let Some(read) = reads.get(invoked).filter(|read| is_invoked(read)) {
            let mut anything = false;
            model.flows(&read.action, &mut |flow| match flow {
                Flow::Brings(token) => accounts.entry(token).or_default().brought += 1,
                Flow::Anything => anything = true,
                Flow::Sees(_) | Flow::Takes(_) => {}
            });
            if anything {
                return None;
            }
            invoked += 1;
        }
        let mut phantom = None;
        model.flows(&reads[ending].action, &mut |flow| {
            let token = match flow {
                Flow::Sees(token) | Flow::Takes(token) => token,
                Flow::Brings(_) | Flow::Anything => return,
            };
            let account = accounts.entry(token).or_default();
            account.taken += u32::from(matches!(flow, Flow::Takes(_)));
            if account.brought == 0 || account.taken > account.brought {
                phantom = phantom.or(Some(token));
            }
        });
        if let Some(token) = phantom {
            return Some(explained(model, reads, token, ending, invoked));
        }
    }
    None
}

/// What has to do with `token`; `invoked` operations can have come before `seen_by`.
fn explained<M: Model>(
    model: &M,
    reads: &[Read<M::Action>],
    token: Token,
    seen_by: usize,
    invoked: usize,
) -> Phantom {
    let does = |i: usize, wanted: Flow| {
        let mut found = false;
        model.flows(&reads[i].action, &mut |flow| found |= flow == wanted);
        found
    };
    let brings = |&i: &usize| does(i, Flow::Brings(token));
    let brought_by: Vec<usize> = (0..invoked).filter(brings).collect();
    let before = |i: &usize| *i != seen_by && (reads[*i].res, *i) < (reads[seen_by].res, seen_by);
    let taken_by = match brought_by.is_empty() {
        true => vec![],
        false => (0..invoked).filter(before).filter(|&i| does(i, Flow::Takes(token))).collect(),
    };
    let brought_later = (invoked..reads.len()).find(|i| brought_by.is_empty() && brings(i));
    Phantom { token, seen_by, taken_by, brought_by, brought_later }
}

impl Phantom {
    /// The proof that there is no order.
    pub(crate) fn witness<M: Model>(
        &self,
        history: &History,
        model: &M,
        part: &PartReads<M::Action>,
    ) -> Witness {
        let id = |i: usize| part.reads[i].id;
        let mut core: Vec<usize> = [&self.brought_by[..], &self.taken_by, &[self.seen_by]].concat();
        core.sort_unstable();
        // Other values are out of account wherever the model lets them be.
        let has_family =
            model.family().is_some() && part.reads.iter().all(|read| model.role(&read.action).is_some());
        Witness {
            key: part.key,
            core: core.into_iter().map(id).collect(),
            failed: id(self.seen_by),
            values: has_family.then(|| vec![self.token.value]),
            states_seen: vec![],
            minimal: true,
            sentences: explain::phantom(history, self, &id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linearizability::{check, split};
    use crate::model::kv::Kv;
    use crate::model::multi_register::MultiRegister;
    use crate::model::queue::{FifoQueue, UnorderedQueue};
    use crate::model::register::Register;
    use crate::model::set::LinearSet;
    use crate::model::stack::Stack;
    use crate::model::transcript::{Vague, history};
    use crate::options::{Consistency, Options};
    use crate::validate::validate;
    use crate::value::Value;
    use crate::verdict::Verdict;

    /// The core and the reasons; the proof is re-checked.
    fn found<M: Model>(model: M, lines: &[&str], consistency: Consistency) -> (Vec<u32>, Vec<String>) {
        let h = history(lines);
        // Too little for a search.
        let options = Options { consistency, memory_limit_bytes: 1, threads: 1, ..Options::default() };
        let verdict = check(&h, &model, &options).unwrap();
        validate(&h, &model, consistency, &verdict).unwrap();
        match verdict {
            Verdict::Invalid(witness) => {
                assert!(witness.core.contains(&witness.failed));
                (witness.core, witness.sentences)
            }
            other => panic!("{other:?}"),
        }
    }

    fn cas() -> Register {
        Register::with_cas_for_history(Value::NIL, &History::default())
    }

    #[test]
    fn a_value_that_nobody_put_in_is_found_without_a_search() {
        let reason = "It found 7, which no operation put in.";
        for lines in [
            &["cas [nil 1]", "write 1", "write 1", "read nil | ok 7"][..],
            &["cas [nil 1]", "write 1", "write 1", "cas [7 2] | ok"],
            &["cas [7 2]", "write 1", "cas [1 3] | ok false", "read nil | ok 7"],
        ] {
            for consistency in [Consistency::Linearizable, Consistency::Sequential] {
                let (core, reasons) = found(cas(), lines, consistency);
                assert_eq!((core, reasons[1].as_str()), (vec![3], reason));
            }
        }
        let lines = ["enqueue 1", "enqueue 1", "dequeue nil", "dequeue nil | ok 7"];
        let (core, reasons) = found(FifoQueue, &lines, Consistency::Linearizable);
        assert_eq!((core, reasons[1].as_str()), (vec![3], "It found 7, which no operation put in."));
        let lines = ["enqueue 1", "enqueue 1", "dequeue nil", "dequeue nil | ok 7", "dequeue nil | ok nil"];
        for consistency in [Consistency::Linearizable, Consistency::Sequential] {
            assert_eq!(found(UnorderedQueue, &lines, consistency).0, [3]);
        }
        let lines = ["txn [[:w 1 5]]", "txn [[:w 2 6]]", "txn [[:r 1 nil]] | ok [[:r 1 6]]"];
        let (core, reasons) = found(MultiRegister::new(Value::NIL), &lines, Consistency::Linearizable);
        assert_eq!(
            (core, reasons[1].as_str()),
            (vec![2], "It found 6 at key 1, which no operation put in there.")
        );
        let lines = ["add 1", "add 1", "read nil | ok #{1 2}"];
        let set = LinearSet::for_history(&history(&lines));
        assert_eq!(found(set, &lines, Consistency::Linearizable).0, [2]);
    }

    #[test]
    fn a_value_seen_before_it_was_put_in_is_found_without_a_search() {
        let lines = ["0 write 1 | ok", "1 read nil | ok 7", "2 cas [1 7] | ok", "3 write 7"];
        let (core, reasons) = found(cas(), &lines, Consistency::Linearizable);
        let reason = "It found 7, but returned before any operation that puts that in was invoked; the first was \
                      cas [1 7] by process 2 → nil (lines 5 to 6).";
        assert_eq!((core, reasons[1].as_str()), (vec![1], reason));
    }

    #[test]
    fn a_value_taken_too_often_is_found_without_a_search() {
        let take = "pop nil | ok 1";
        let lines = ["push 1", "pop nil", "push 1 | ok", take, "push 2 | ok", take, take, "push 1 | ok"];
        let (core, reasons) = found(Stack, &lines, Consistency::Linearizable);
        assert_eq!(core, [0, 2, 3, 5, 6]);
        let reason =
            "It took 1, as 2 other operations had by then; but not more than 2 operations can have put 1 in.";
        assert_eq!(reasons[1], reason);
    }

    #[test]
    fn what_appends_make_is_not_out_of_nowhere() {
        let find = |lines: &[&str], real_time| {
            let h = history(lines);
            let kv = Kv::for_history(Value::NIL, &h);
            find(&kv, &split(&h, &kv).unwrap()[0].reads, real_time).is_some()
        };
        assert!(find(&["put [1 1]", "get 1 | ok 2"], true));
        assert!(!find(&["append [1 1]", "get 1 | ok [2]"], true));
        assert!(find(&["append [1 1]", "get 1 | ok 2"], true));
        assert!(find(&["put [1 1]", "delete 1 | ok true", "cas [1 [2 3]] | ok"], true));
        assert!(!find(&["put [1 1]", "delete 1 | ok true", "cas [1 [nil 2]]", "get 1 | ok 2"], true));
        assert!(!find(&["put [1 2]", "get 1 | ok 2", "get 1 | ok nil"], true));
        assert!(find(&["get 1 | ok 2", "put [1 2]"], true));
        assert!(!find(&["get 1 | ok 2", "put [1 2]"], false));
    }

    #[test]
    fn where_anything_may_be_nothing_is_out_of_nowhere() {
        let find = |lines: &[&str], real_time| {
            let h = history(lines);
            find(&Vague, &split(&h, &Vague).unwrap()[0].reads, real_time).map(|phantom| phantom.seen_by)
        };
        assert_eq!(find(&["read nil | ok 7", "write 1 | ok", "reset nil"], true), Some(0));
        assert_eq!(find(&["write 1 | ok", "reset nil", "read nil | ok 7"], true), None);
        assert_eq!(find(&["read nil | ok 7", "write 1 | ok", "reset nil"], false), None);
        assert_eq!(find(&["read nil | ok 7", "write 1 | ok"], false), Some(0));
    }
}
