//! The five properties of Figure 3 as predicates over one moment of a cluster, for the model world, where
//! what was before is not remembered: two paths to the same moment are one.
//!
//! What [`Properties`] of `impls` knows from having watched, nodes have to say themselves here: who led in a
//! term, by who follows; what is committed, by who knows it. A moment in which nobody knows any more is let
//! pass, but every moment before it was looked at as well, in every schedule.
//!
//! [`Properties`]: shakedown_impls::replication::raft::properties::Properties

use crate::world::model::{Broken, Invariants};
use shakedown_impls::protocol::NodeId;
use shakedown_impls::replication::raft::properties::Property;
use shakedown_impls::replication::raft::{Index, Raft, RoleName, StateMachine, Term, View};

/// The five, and what leaders know of the others.
pub(crate) fn invariants<S: StateMachine>() -> Invariants<Raft<S>> {
    Invariants { of_nodes: hold, of_step: leader_append_only }
}

fn hold<S: StateMachine>(nodes: &[Option<&Raft<S>>]) -> Result<(), Broken> {
    let views: Vec<View<'_, S>> = nodes.iter().flatten().map(|node| node.view()).collect();
    for (i, a) in views.iter().enumerate() {
        for b in &views[..i] {
            election_safety(a, b)?;
            log_matching(a, b)?;
            state_machine_safety(a, b)?;
            leader_completeness(a, b)?;
            leader_completeness(b, a)?;
            has_what_is_counted(a, b)?;
            has_what_is_counted(b, a)?;
        }
    }
    Ok(())
}

/// Whoever leads in a term, or follows somebody in it, names the same leader.
fn election_safety<S: StateMachine>(a: &View<'_, S>, b: &View<'_, S>) -> Result<(), Broken> {
    let term = a.current_term();
    let (Some(one), Some(other)) = (led_by(a), led_by(b)) else { return Ok(()) };
    if term != b.current_term() || one == other {
        return Ok(());
    }
    broken(a.id(), Property::ElectionSafety, format!("{one} leads in {term:?}, and so does {other}"))
}

fn led_by<S: StateMachine>(view: &View<'_, S>) -> Option<NodeId> {
    if view.role() == RoleName::Leader { Some(view.id()) } else { view.leader() }
}

/// Up to the last place where both have an entry of the same term, they have the same entries.
fn log_matching<S: StateMachine>(a: &View<'_, S>, b: &View<'_, S>) -> Result<(), Broken> {
    let mut agrees = false;
    let mut index = a.log_last().index.min(b.log_last().index);
    let first = a.log_base().index.max(b.log_base().index).next();
    while index >= first {
        let (ours, theirs) = (a.term_at(index), b.term_at(index));
        agrees = agrees || ours == theirs;
        if agrees && (ours != theirs || a.digest_at(index) != b.digest_at(index)) {
            let how = format!(
                "{index:?}@{:?} is followed by the same as in the log of {}, and differs from it",
                ours.unwrap_or_default(),
                b.id()
            );
            return broken(a.id(), Property::LogMatching, how);
        }
        index = index.before();
    }
    Ok(())
}

/// What both know to be committed is the same, and so is what it has made of their state machines.
fn state_machine_safety<S: StateMachine>(a: &View<'_, S>, b: &View<'_, S>) -> Result<(), Broken> {
    let first = a.log_base().index.max(b.log_base().index);
    let mut index = a.commit_index().min(b.commit_index());
    while index >= first && index > Index(0) {
        // Of what is compacted the last term is known.
        let (ours, theirs) = (a.term_at(index), b.term_at(index));
        let differs = a.digest_at(index).zip(b.digest_at(index)).is_some_and(|(ours, theirs)| ours != theirs);
        if ours != theirs || differs {
            let how = format!("it has committed {index:?}@{ours:?}, {} has {index:?}@{theirs:?}", b.id());
            return broken(a.id(), Property::StateMachineSafety, how);
        }
        index = index.before();
    }
    let is_same = a.applied() == b.applied();
    if is_same && a.applied().index > Index(0) && a.state_digest() != b.state_digest() {
        let how = format!("after {:?} it is in another state than {}", a.applied(), b.id());
        return broken(a.id(), Property::StateMachineSafety, how);
    }
    Ok(())
}

/// What somebody knows to be committed whose term is no later than the leader's, the leader has.
fn leader_completeness<S: StateMachine>(leader: &View<'_, S>, other: &View<'_, S>) -> Result<(), Broken> {
    // Who is in a later term may know what was committed in that one.
    if leader.role() != RoleName::Leader || other.current_term() > leader.current_term() {
        return Ok(());
    }
    let mut index = other.commit_index();
    let first = leader.log_base().index.max(other.log_base().index);
    while index >= first && index > Index(0) {
        if let Some(term) = other.term_at(index)
            && leader.term_at(index) != Some(term)
        {
            let how = format!("it leads without {index:?}@{term:?}, which {} has committed", other.id());
            return broken(leader.id(), Property::LeaderCompleteness, how);
        }
        index = index.before();
    }
    Ok(())
}

/// What a leader takes for replicated is where it takes it to be (Figure 2, `matchIndex`): none of the five,
/// but what they rest on.
fn has_what_is_counted<S: StateMachine>(leader: &View<'_, S>, other: &View<'_, S>) -> Result<(), Broken> {
    // In a later term its log may have been cut.
    if other.current_term() > leader.current_term() {
        return Ok(());
    }
    let Some((_, index)) = leader.matched().find(|&(node, _)| node == other.id()) else { return Ok(()) };
    let is_compacted = |view: &View<'_, S>| index < view.log_base().index;
    if is_compacted(leader) || is_compacted(other) || leader.term_at(index) == other.term_at(index) {
        return Ok(());
    }
    let how = format!("its matchIndex is wrong: it takes {index:?} to be at {}, which lacks it", other.id());
    Err((leader.id(), how))
}

/// As long as a node leads in one term, its log only grows.
fn leader_append_only<S: StateMachine>(was: &Raft<S>, is: &Raft<S>) -> Result<(), String> {
    let (was, is) = (was.view(), is.view());
    let leads = |view: &View<'_, S>| (view.role() == RoleName::Leader).then(|| view.current_term());
    let before = was.log_last();
    let has_it = before.index <= is.log_base().index || is.term_at(before.index) == Some(before.term);
    if leads(&was).is_some() && leads(&was) == leads(&is) && !has_it {
        return Err(sentence(
            Property::LeaderAppendOnly,
            format!("it leads and has lost its entry {before:?}"),
        ));
    }
    if is.commit_index() < was.commit_index() {
        let (from, to) = (was.commit_index(), is.commit_index());
        return Err(sentence(Property::StateMachineSafety, format!("it went back to {to:?} from {from:?}")));
    }
    Ok(())
}

fn broken(node: NodeId, property: Property, how: String) -> Result<(), Broken> {
    Err((node, sentence(property, how)))
}

fn sentence(property: Property, how: String) -> String {
    format!("{property} is violated: {how}")
}

/// Whether two nodes lead at a time, in different terms: the first has not heard of it yet.
pub(super) fn two_lead<S: StateMachine>(nodes: &[Option<&Raft<S>>]) -> bool {
    let leads = |node: &&&Raft<S>| node.view().role() == RoleName::Leader;
    nodes.iter().flatten().filter(leads).count() > 1
}

/// Whether a leader of a later term than the first has committed something.
pub(super) fn commits_later<S: StateMachine>(nodes: &[Option<&Raft<S>>]) -> bool {
    nodes.iter().flatten().any(|node| {
        let view = node.view();
        let is_later = view.role() == RoleName::Leader && view.current_term() > Term(1);
        is_later && view.term_at(view.commit_index()) == Some(view.current_term())
    })
}
