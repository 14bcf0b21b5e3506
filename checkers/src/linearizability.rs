//! Is there one order of the operations that respects real time and explains every result?

use crate::history::{History, NEVER, Outcome};
use crate::model::{Model, ModelError};
use crate::options::Options;
use crate::verdict::{Certificate, Part, Verdict, Witness};
use std::collections::HashSet;

/// Judges `history` by `model`. `Err` says that an operation does not fit the model at all.
pub fn check<M: Model>(history: &History, model: &M, _options: &Options) -> Result<Verdict, ModelError> {
    // Placeholder: plain exhaustive search over the whole history.
    let mut ops = Vec::new();
    for op in history.operations() {
        if op.outcome != Outcome::Fail
            && let Some(action) = model.action(&op, history.values())?
        {
            ops.push((op.id, op.invoke_position, op.returned(), action));
        }
    }
    let mut seen = HashSet::new();
    let mut stack = vec![(Vec::<usize>::new(), model.initial())];
    while let Some((order, state)) = stack.pop() {
        let mut done = order.clone();
        done.sort_unstable();
        if !seen.insert((done.clone(), state.clone())) {
            continue;
        }
        let left = |i: &usize| done.binary_search(i).is_err();
        let first = (0..ops.len()).filter(left).map(|i| ops[i].2).min().unwrap_or(NEVER);
        if first == NEVER {
            let order = order.iter().map(|&i| ops[i].0).collect();
            return Ok(Verdict::Valid(Certificate { parts: vec![Part { key: None, order }] }));
        }
        for i in (0..ops.len()).filter(left) {
            if ops[i].1 <= first
                && let Some(next) = model.step(&state, &ops[i].3)
            {
                stack.push(([order.clone(), vec![i]].concat(), next));
            }
        }
    }
    Ok(Verdict::Invalid(Box::new(Witness {
        key: None,
        core: ops.iter().map(|o| o.0).collect(),
        failed: ops[0].0,
        values: None,
        states_seen: vec![],
        minimal: false,
        sentences: vec!["no order explains these operations".into()],
    })))
}
