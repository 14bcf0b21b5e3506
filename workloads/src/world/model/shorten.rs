//! Leaves out of a path to a violation what it does not need.

use super::World;
use super::state::{Action, Finding, State};
use crate::operation::Subject;

/// A path to a violation of the same kind from which no action can be left out, and its end. What is
/// no longer possible without an action is left out with it.
pub(super) fn shorten<P: Subject>(world: &World<P>, path: Vec<Action<P>>) -> (Vec<Action<P>>, State<P>) {
    let (mut path, mut end) = replay(world, &path, None);
    let kind = |state: &State<P>| {
        state.finding.as_ref().map(|finding| match finding {
            Finding::Broke(broke) => (finding.kind(), Some(broke.rules)),
            Finding::Refuted | Finding::Undecided(_) => (finding.kind(), None),
        })
    };
    assert!(end.finding.is_some(), "the path leads to a violation");
    // Backwards, so that what depends on an action is gone before the action itself is tried. Each
    // round but the last shortens the path.
    loop {
        let length = path.len();
        let mut at = length;
        while at > 0 {
            at = (at - 1).min(path.len() - 1);
            let (shorter, other_end) = replay(world, &path, Some(at));
            if kind(&other_end) == kind(&end) {
                (path, end) = (shorter, other_end);
            }
        }
        if path.len() == length {
            return (path, end);
        }
    }
}

/// Takes the actions of `path` that are possible, but for the one at `without`, up to a violation.
fn replay<P: Subject>(
    world: &World<P>,
    path: &[Action<P>],
    without: Option<usize>,
) -> (Vec<Action<P>>, State<P>) {
    let mut state = world.case.start();
    let (mut taken, mut possible) = (vec![], vec![]);
    for (at, action) in path.iter().enumerate() {
        possible.clear();
        world.case.possible(&state, &mut possible);
        if Some(at) != without && possible.contains(action) {
            state = world.case.then(&state, action.clone(), &world.judge, &world.heard);
            taken.push(action.clone());
        }
    }
    (taken, state)
}
