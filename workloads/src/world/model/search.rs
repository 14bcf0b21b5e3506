//! Exhaustive search, with `stateright`.
//!
//! Whether a search was exhaustive is not asked of `stateright`, whose `is_done` is true after a
//! timeout as well, and whose timeout is not looked at by a search of one thread. We count: a search
//! has seen everything when it has gone on from as many states as it has met.

use super::heard::Heard;
use super::judge::Judge;
use super::state::{Action, State};
use super::{Case, Exploration, Extent, Stop, Violation};
use crate::operation::Subject;
use shakedown_impls::protocol::Protocol;
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// When to give up, and where to look first.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Go on from so many states at most. Breadth first, a million states of three nodes of a register
    /// take about a gigabyte of memory, because paths are kept with them.
    pub states_max: usize,
    /// Go no further than so many actions, if anything.
    pub depth_max: Option<usize>,
    /// Take no longer than that, about.
    pub time_max: Option<Duration>,
    /// Where to look first.
    pub order: Order,
    /// Stop when it is set.
    pub stop: Option<Arc<AtomicBool>>,
    /// Counts how far it has come: states that a search went on from, or walks.
    pub progress: Option<Arc<AtomicU64>>,
}

impl Default for Limits {
    /// Three million states, breadth first.
    fn default() -> Limits {
        Limits {
            states_max: 3_000_000,
            depth_max: None,
            time_max: None,
            order: Order::Breadth,
            stop: None,
            progress: None,
        }
    }
}

impl Limits {
    /// Whether somebody wants it to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// When [`Limits::time_max`] is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.time_max.and_then(|time| now().checked_add(time))
    }

    /// It has come so much further.
    pub(super) fn count_progress(&self) {
        if let Some(progress) = &self.progress {
            progress.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Where a search looks first. It makes no difference to an exhaustive one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// At what takes the fewest actions: finds short violations.
    #[default]
    Breadth,
    /// At the end of each path: needs less memory, and finds deep violations sooner.
    Depth,
}

/// Looks at everything that can happen in `case`, within `limits`. The same case and limits have the
/// same outcome, unless the limit of time is reached.
pub fn explore<P: Subject>(case: &Case<P>, limits: &Limits) -> Exploration {
    let start = now();
    let world = World {
        case: case.clone(),
        judge: Judge::new(),
        heard: Heard::of(&case.remarks),
        search: Some(Search::new(limits)),
    };
    let mut builder = world.checker().finish_when(HasDiscoveries::AnyFailures);
    if let Some(depth) = limits.depth_max {
        // It counts states, the first included.
        builder = builder.target_max_depth(depth + 1);
    }
    match limits.order {
        Order::Breadth => conclude(builder.spawn_bfs().join(), case, start),
        Order::Depth => conclude(builder.spawn_dfs().join(), case, start),
    }
}

fn conclude<P: Subject>(checker: impl Checker<World<P>>, case: &Case<P>, start: Instant) -> Exploration {
    let elapsed = now() - start;
    let search = checker.model().search.as_ref().expect("explore searches");
    search.finish();
    let mut discoveries = checker.discoveries();
    // Before the violation is told, for which some of it happens again.
    let heard: Vec<(&'static str, bool)> = checker.model().heard.iter().collect();
    let violation =
        discoveries.remove(CORRECT).map(|path| Violation::new(checker.model(), path.into_actions()));
    let sometimes = case.all_sometimes().into_iter().map(|(name, _)| (name, discoveries.contains_key(name)));
    let extent = search.extent(&checker, violation.is_some(), elapsed);
    Exploration { extent, violation, sometimes: sometimes.chain(heard).collect() }
}

/// A case as `stateright` sees it: for its explorer, and for searches with its own options.
pub struct World<P: Protocol> {
    pub(super) case: Case<P>,
    pub(super) judge: Judge<P>,
    pub(super) heard: Heard,
    search: Option<Search>,
}

/// A search within limits.
pub(in crate::world) struct Search {
    limits: Limits,
    deadline: Option<Instant>,
    /// States that the search went on from.
    expanded: AtomicUsize,
    /// States that it did not go on from, because a limit was reached.
    held_back: AtomicUsize,
    /// It has ended, and is only retracing its steps.
    is_finished: AtomicBool,
}

/// The wall clock: only how long a search may take depends on it.
#[expect(clippy::disallowed_methods, reason = "the limit is one of the user's time, not of a world's")]
pub(in crate::world) fn now() -> Instant {
    Instant::now()
}

impl Search {
    pub(in crate::world) fn new(limits: &Limits) -> Search {
        Search {
            limits: limits.clone(),
            deadline: limits.deadline(),
            expanded: AtomicUsize::new(0),
            held_back: AtomicUsize::new(0),
            is_finished: AtomicBool::new(false),
        }
    }

    /// Whether to go on from one more state.
    pub(in crate::world) fn admits(&self) -> bool {
        if self.is_finished.load(Ordering::Relaxed) {
            return true;
        }
        let expanded = self.expanded.load(Ordering::Relaxed);
        let is_late = || self.deadline.is_some_and(|deadline| now() >= deadline);
        let is_admitted = expanded < self.limits.states_max
            && self.held_back.load(Ordering::Relaxed) == 0
            && !self.limits.is_stopped()
            && !is_late();
        let counter = if is_admitted { &self.expanded } else { &self.held_back };
        counter.fetch_add(1, Ordering::Relaxed);
        if is_admitted {
            self.limits.count_progress();
        }
        is_admitted
    }

    /// Ends the search.
    pub(in crate::world) fn finish(&self) {
        self.is_finished.store(true, Ordering::Relaxed);
    }

    /// How much `checker` has looked at in it.
    pub(in crate::world) fn extent<M: Model>(
        &self,
        checker: &impl Checker<M>,
        is_violated: bool,
        elapsed: Duration,
    ) -> Extent {
        let (expanded, held_back) =
            (self.expanded.load(Ordering::Relaxed), self.held_back.load(Ordering::Relaxed));
        let unique_states = checker.unique_state_count();
        let stop = match held_back {
            _ if is_violated => Stop::Violation,
            _ if expanded == unique_states => return Extent::Exhaustive { unique_states },
            0 => Stop::Depth,
            _ if expanded >= self.limits.states_max => Stop::States,
            _ if self.limits.is_stopped() => Stop::Interrupted,
            _ => Stop::Time,
        };
        let depth = checker.max_depth().saturating_sub(1);
        Extent::Bounded { unique_states, depth, elapsed, stop }
    }
}

impl<P: Subject> World<P> {
    /// Without limits.
    pub fn new(case: Case<P>) -> World<P> {
        let heard = Heard::of(&case.remarks);
        World { case, judge: Judge::new(), heard, search: None }
    }
}

const CORRECT: &str = "clients see what the model allows, and nodes keep to the rules";

impl<P: Subject> Model for World<P> {
    type State = State<P>;
    type Action = Action<P>;

    fn init_states(&self) -> Vec<State<P>> {
        vec![self.case.representative(self.case.start())]
    }

    fn actions(&self, state: &State<P>, actions: &mut Vec<Action<P>>) {
        if self.search.as_ref().is_none_or(Search::admits) {
            self.case.possible(state, actions);
        }
    }

    fn next_state(&self, state: &State<P>, action: Action<P>) -> Option<State<P>> {
        let next = self.case.then(state, action, &self.judge, &self.heard);
        Some(self.case.representative(next))
    }

    fn format_action(&self, action: &Action<P>) -> String {
        action.to_string()
    }

    fn properties(&self) -> Vec<Property<World<P>>> {
        let mut all = vec![Property::always(CORRECT, |_, state: &State<P>| state.finding.is_none())];
        for (name, is_so) in self.case.all_sometimes() {
            all.push(Property::sometimes(name, is_so));
        }
        all
    }
}
