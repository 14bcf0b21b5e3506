//! Every order in which several callers can use one component: the model world of patterns that pass no
//! messages.
//!
//! A component's operation is one step (its wrapper holds a lock for just that long), and what its callers do
//! between two operations is not seen. So the schedules that there are, are the orders of the steps. A
//! [`Scene`] says which steps there are; [`explore`] takes them in every order, by
//! [stateright](https://docs.rs/stateright), shortest first. What must hold is said by the scene when a step is
//! taken: by a ledger that it keeps beside the component, which counts what it is told in its own simple way.

use super::model::{Exploration, Heard, Limits, Search, Violation, now};
use crate::outcome::{Broke, Rules};
use shakedown_checkers::model::ModelName;
use shakedown_impls::protocol::{NodeId, Time};
use stateright::{Checker as _, HasDiscoveries, Model, Property};
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::net::SocketAddr;
use std::time::Duration;

/// A scene's time goes by in ticks: so many.
pub fn ticks(ticks: u32) -> Duration {
    Duration::from_nanos(TICK_NS) * ticks
}

/// When so many ticks have gone by.
pub fn time(ticks: u8) -> Time {
    Time(u64::from(ticks) * TICK_NS)
}

/// A tick, in nanoseconds.
pub const TICK_NS: u64 = 1_000_000;

/// A component, those who use it, and what must hold.
pub trait Scene: Clone + Send + Sync + 'static {
    /// All of it at one time.
    type State: Clone + Debug + PartialEq + Hash + Send + Sync + 'static;
    /// What somebody can do.
    type Step: Clone + Debug + Display + PartialEq + Send + Sync + 'static;

    /// What has to happen somewhere, or that nothing is wrong says little.
    fn sometimes(&self) -> Vec<&'static str>;

    /// How it begins.
    fn start(&self) -> Self::State;

    /// What can be done now.
    fn steps(&self, state: &Self::State, steps: &mut Vec<Self::Step>);

    /// Does it. What happened that [`Scene::sometimes`] may name is added to `seen`. `Err`: what is wrong.
    fn take(
        &self,
        state: &mut Self::State,
        step: &Self::Step,
        seen: &mut Vec<&'static str>,
    ) -> Result<(), String>;
}

/// Takes every order of steps, within `limits`, up to the first that is wrong: a short one. What callers do is on record
/// in the steps only; `model` is what a history would be judged by.
pub fn explore<S: Scene>(scene: &S, model: ModelName, limits: &Limits) -> Exploration {
    let (start, seen) = (now(), Heard::of(&scene.sometimes()));
    let all = All { scene: scene.clone(), seen, search: Some(Search::new(limits)) };
    let checker = all.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let elapsed = now() - start;
    let all = checker.model();
    let search = all.search.as_ref().expect("it was given one");
    search.finish();
    let violation = checker.discovery(HOLDS).map(|path| {
        let how = path.last_state().wrong.clone().expect("that is what was looked for");
        let steps = path.into_actions().iter().map(ToString::to_string).collect();
        Violation::of_component(Broke { node: NodeId(0), rules: Rules::Component, how }, steps, model)
    });
    let extent = search.extent(&checker, violation.is_some(), elapsed);
    Exploration { extent, violation, sometimes: all.seen.iter().collect() }
}

/// Opens stateright's explorer on a scene, and serves it until the process ends.
pub fn serve<S: Scene>(scene: &S, address: SocketAddr) {
    let all = All { scene: scene.clone(), seen: Heard::of(&scene.sometimes()), search: None };
    all.checker().serve(address);
}

const HOLDS: &str = "nothing is wrong";

struct All<S> {
    scene: S,
    seen: Heard,
    search: Option<Search>,
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct At<T> {
    state: T,
    wrong: Option<String>,
}

impl<S: Scene> Model for All<S> {
    type State = At<S::State>;
    type Action = S::Step;

    fn init_states(&self) -> Vec<Self::State> {
        vec![At { state: self.scene.start(), wrong: None }]
    }

    fn actions(&self, at: &Self::State, steps: &mut Vec<S::Step>) {
        if at.wrong.is_none() && self.search.as_ref().is_none_or(Search::admits) {
            self.scene.steps(&at.state, steps);
        }
    }

    fn next_state(&self, at: &Self::State, step: S::Step) -> Option<Self::State> {
        let (mut state, mut seen) = (at.state.clone(), vec![]);
        let wrong = self.scene.take(&mut state, &step, &mut seen).err();
        seen.into_iter().for_each(|what| self.seen.heard(what));
        Some(At { state, wrong })
    }

    fn format_action(&self, step: &S::Step) -> String {
        step.to_string()
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(HOLDS, |_, at: &At<S::State>| at.wrong.is_none())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::model::{Extent, Stop};

    /// Two callers add one to a number that they read before, or in the same step.
    #[derive(Clone)]
    struct Adders {
        at_once: bool,
    }

    impl Scene for Adders {
        type State = (u8, [Option<u8>; 2], [bool; 2]);
        type Step = usize;

        fn sometimes(&self) -> Vec<&'static str> {
            vec!["both have read", "both are done"]
        }

        fn start(&self) -> Self::State {
            (0, [None; 2], [false; 2])
        }

        fn steps(&self, (_, _, done): &Self::State, steps: &mut Vec<usize>) {
            steps.extend((0..2).filter(|&caller| !done[caller]));
        }

        fn take(
            &self,
            (sum, read, done): &mut Self::State,
            &caller: &usize,
            seen: &mut Vec<&'static str>,
        ) -> Result<(), String> {
            match read[caller] {
                None if !self.at_once => read[caller] = Some(*sum),
                before => {
                    *sum = before.unwrap_or(*sum) + 1;
                    done[caller] = true;
                }
            }
            seen.extend((read.iter().all(Option::is_some)).then_some("both have read"));
            seen.extend((*done == [true; 2]).then_some("both are done"));
            if *done == [true; 2] && *sum != 2 { Err(format!("it is {sum}")) } else { Ok(()) }
        }
    }

    fn explored(at_once: bool, limits: &Limits) -> Exploration {
        explore(&Adders { at_once }, ModelName::Register, limits)
    }

    // 0, one of two has added, both have: four states. What never happened is told.
    #[test]
    fn every_order_is_looked_at_and_the_shortest_wrong_one_told() {
        let right = explored(true, &Limits::default());
        assert_eq!(right.extent, Extent::Exhaustive { unique_states: 4 });
        assert_eq!(right.unseen().collect::<Vec<_>>(), ["both have read"]);
        let wrong = explored(false, &Limits::default()).violation.expect("one addition is lost");
        assert_eq!(wrong.steps, ["0", "1", "0", "1"].map(str::to_owned), "both read before either adds");
        assert_eq!(wrong.sentences(), ["it broke its promise: it is 1."]);
    }

    #[test]
    fn a_part_of_the_states_is_not_called_all() {
        let part = explored(true, &Limits { states_max: 2, ..Limits::default() });
        assert!(matches!(part.extent, Extent::Bounded { stop: Stop::States, .. }) && !part.is_proof());
    }
}
