//! Claims of the module's doc, one by one; laws over random steps; the layer under cancellation, panics and
//! several threads.

use super::*;
use crate::mutants::Mutants;
use crate::protocol::{Component as _, Time};
use crate::resilience::clock::{CountingClock, ManualClock, nanos};
use crate::resilience::lock::ShuttleLock;
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

const MS: u64 = 1_000_000;

/// Four calls, half of which fail; two trials; 100 ms open, 400 at most.
fn config() -> Config {
    Config {
        closed_window_size: 4,
        minimum_calls: 4,
        half_open_allowed_requests: 2,
        half_open_timeout: Duration::from_millis(50),
        reset_timeout: Duration::from_millis(100),
        reset_timeout_max: Duration::from_millis(400),
        jitter_percentage: 0,
        ..Config::default()
    }
}

/// A breaker, its configuration and its clock, in milliseconds.
struct Scene {
    breaker: CircuitBreaker,
    config: Config,
    now_ms: u64,
}

impl Scene {
    fn new(config: Config) -> Scene {
        Scene { breaker: CircuitBreaker::new(&config), config, now_ms: 0 }
    }

    fn now(&self) -> Time {
        Time(self.now_ms * MS)
    }

    fn ask(&mut self) -> Option<Permit> {
        let now = self.now();
        self.breaker.ask(&self.config, now).ok()
    }

    fn settle(&mut self, permit: &Permit, call: Call, took_ms: u64) {
        let now = self.now();
        self.breaker.settle(&self.config, now, permit, call, took_ms * MS);
    }

    /// A call from its beginning to its end: whether it passed.
    fn call(&mut self, call: Call) -> bool {
        let permit = self.ask();
        permit.inspect(|permit| self.settle(permit, call, 0)).is_some()
    }

    /// Fails until it is open.
    fn opened(config: Config) -> Scene {
        let mut scene = Scene::new(config);
        (0..4).for_each(|_| assert!(scene.call(Call::Failed)));
        assert_eq!(scene.breaker.state(), State::Open);
        scene
    }
}

#[test]
fn it_opens_with_the_call_that_takes_the_window_to_its_threshold() {
    let mut scene = Scene::new(config());
    for call in [Call::Succeeded, Call::Failed, Call::Succeeded] {
        assert!(scene.call(call));
    }
    assert_eq!(scene.breaker.state(), State::Closed);
    scene.call(Call::Failed);
    assert_eq!(scene.breaker.state(), State::Open);
    assert!(!scene.call(Call::Succeeded));
}

// Three of four calls say nothing: one call is less than the minimum.
#[test]
fn of_too_few_calls_nothing_is_concluded() {
    let mut scene = Scene::new(config());
    for call in [Call::Failed, Call::Failed, Call::Failed, Call::SaidNothing, Call::SaidNothing] {
        assert!(scene.call(call));
    }
    assert_eq!(scene.breaker.state(), State::Closed);
}

#[test]
fn failures_of_long_ago_do_not_count() {
    let by_time = Config { closed_window_time: Some(Duration::from_millis(10)), ..config() };
    for (config, pause_ms, successes) in [(config(), 0, 4), (by_time, 10, 1)] {
        let mut scene = Scene::new(config);
        (0..3).for_each(|_| assert!(scene.call(Call::Failed)));
        scene.now_ms += pause_ms;
        for _ in 0..successes {
            let _passes = scene.call(Call::Succeeded);
        }
        let is_closed = scene.breaker.state() == State::Closed;
        assert_eq!(
            is_closed,
            pause_ms > 0,
            "three of the last four calls had failed, unless time has passed"
        );
    }
    let mut scene = Scene::new(config());
    for call in [Call::Failed, Call::Succeeded, Call::Succeeded, Call::Succeeded, Call::Failed] {
        scene.call(call);
    }
    assert_eq!(scene.breaker.state(), State::Closed, "the first failure has left the window");
}

#[test]
fn slow_calls_open_it_though_they_succeed() {
    let slow_calls = SlowCalls { duration: Duration::from_millis(20), threshold_percentage: 75 };
    let mut scene = Scene::new(Config { slow_calls: Some(slow_calls), ..config() });
    for took_ms in [20, 19, 30, 40] {
        assert_eq!(scene.breaker.state(), State::Closed);
        let permit = scene.ask().expect("it is closed");
        scene.settle(&permit, Call::Succeeded, took_ms);
    }
    assert_eq!(scene.breaker.state(), State::Open);
}

#[test]
fn a_half_open_circuit_admits_its_trials_and_no_more() {
    let mut scene = Scene::opened(config());
    scene.now_ms += 99;
    assert_eq!(scene.breaker.ask(&scene.config, scene.now()), Err(Some(MS)), "it says how long to wait");
    scene.now_ms += 1;
    let trials: Vec<_> = (0..5).filter_map(|_| scene.ask()).collect();
    assert_eq!((trials.len(), scene.breaker.state()), (2, State::HalfOpen));
    // One ends: there are as many trials as before, of which one has ended.
    scene.settle(&trials[0], Call::Succeeded, 0);
    assert!(scene.ask().is_none());
    scene.settle(&trials[1], Call::Succeeded, 0);
    assert_eq!(scene.breaker.state(), State::Closed);
}

#[test]
fn it_opens_again_as_soon_as_its_trials_cannot_succeed_and_for_longer_each_time() {
    let mut scene = Scene::opened(config());
    for open_ms in [100, 200, 400, 400] {
        scene.now_ms += open_ms - 1;
        assert!(scene.ask().is_none());
        scene.now_ms += 1;
        let (first, _second) = (scene.ask().expect("it is due"), scene.ask().expect("there are two trials"));
        // Of two trials one has failed: that is half.
        scene.settle(&first, Call::Failed, 0);
        assert_eq!(scene.breaker.state(), State::Open);
    }
    scene.now_ms += 400;
    (0..2).for_each(|_| assert!(scene.call(Call::Succeeded)));
    (0..4).for_each(|_| assert!(scene.call(Call::Failed)));
    scene.now_ms += 100;
    assert!(scene.ask().is_some(), "once closed, it begins with the shortest time again");
}

#[test]
fn jitter_adds_up_to_its_share_and_comes_from_the_seed() {
    let times: Vec<u64> = (0..50)
        .map(|seed| {
            let mut scene = Scene::opened(Config { jitter_percentage: 30, seed, ..config() });
            scene.breaker.ask(&scene.config, scene.now()).expect_err("it is open").expect("it knows how long")
        })
        .collect();
    assert!(times.iter().all(|time| (100 * MS..=130 * MS).contains(time)), "{times:?}");
    assert!(times.iter().min() < times.iter().max());
}

#[test]
fn a_trial_that_says_nothing_is_given_back() {
    let mut scene = Scene::opened(config());
    scene.now_ms += 100;
    for _ in 0..10 {
        assert!(scene.call(Call::SaidNothing));
    }
    assert_eq!((scene.breaker.state(), scene.breaker.trials_under_way()), (State::HalfOpen, 0));
}

#[test]
fn trials_that_never_end_do_not_keep_it_half_open() {
    let mut scene = Scene::opened(config());
    scene.now_ms += 100;
    let lost: Vec<_> = (0..2).map(|_| scene.ask().expect("a trial")).collect();
    scene.now_ms += 50;
    assert!(scene.ask().is_none() && scene.breaker.state() == State::Open);
    // What comes of them later says nothing of now.
    scene.now_ms += 200;
    let now: Vec<_> = (0..2).map(|_| scene.ask().expect("a trial")).collect();
    lost.iter().for_each(|permit| scene.settle(permit, Call::Succeeded, 0));
    assert_eq!((scene.breaker.state(), scene.breaker.trials_under_way()), (State::HalfOpen, 2));
    now.iter().for_each(|permit| scene.settle(permit, Call::Succeeded, 0));
    assert_eq!(scene.breaker.state(), State::Closed);
}

#[test]
fn an_operator_has_the_last_word() {
    let mut scene = Scene::opened(config());
    let order = |scene: &mut Scene, mode| scene.breaker.override_with(&scene.config, Time(0), mode);
    order(&mut scene, Mode::ForcedClosed);
    (0..10).for_each(|_| assert!(scene.call(Call::Failed)));
    order(&mut scene, Mode::ForcedOpen);
    scene.now_ms += 10_000;
    assert!(!scene.call(Call::Succeeded) && scene.breaker.state() == State::Open);
    order(&mut scene, Mode::Automatic);
    assert!(scene.call(Call::Failed) && scene.breaker.state() == State::Closed);
}

proptest! {
    // Whatever is asked and settled when: never more trials of one half-open time than allowed, and once the
    // dependency works it closes, in at most the longest time that it may stay open.
    #[test]
    fn it_keeps_to_its_trials_and_recovers(steps in prop::collection::vec((0_u8..4, 0_u64..120, 0_usize..8), 0..200)) {
        let mut scene = Scene::new(Config { jitter_percentage: 20, ..config() });
        let mut under_way: Vec<Permit> = vec![];
        let mut trials = std::collections::BTreeMap::<u64, u32>::new();
        for (what, pause_ms, which) in steps {
            scene.now_ms += pause_ms;
            match what {
                0 => if let Some(permit) = scene.ask() {
                    if permit.is_trial() {
                        *trials.entry(permit.period()).or_default() += 1;
                    }
                    under_way.push(permit);
                },
                _ if under_way.is_empty() => {}
                _ => {
                    let permit = under_way.swap_remove(which % under_way.len());
                    let call = [Call::Succeeded, Call::Failed, Call::SaidNothing][usize::from(what) - 1];
                    if call == Call::SaidNothing && permit.is_trial() {
                        *trials.entry(permit.period()).or_default() -= 1;
                    }
                    scene.settle(&permit, call, 0);
                }
            }
            prop_assert!(trials.values().all(|&count| count <= 2), "{trials:?}");
        }
        scene.now_ms += 1_000;
        let _ = (scene.call(Call::Succeeded), scene.call(Call::Succeeded));
        scene.now_ms += 1_000;
        let _ = (scene.call(Call::Succeeded), scene.call(Call::Succeeded));
        prop_assert_eq!(scene.breaker.state(), State::Closed);
    }
}

/// A layer by a clock that a test sets, already half open.
fn half_open() -> (CircuitBreakerLayer<ResultIsAll, ManualClock>, ManualClock) {
    let clock = ManualClock::default();
    let layer: CircuitBreakerLayer<_, _> =
        CircuitBreakerLayer::with("x", Config { minimum_calls: 1, ..config() }, ResultIsAll, clock.clone());
    layer.handle().ask().expect("it is closed").settle(Call::Failed);
    clock.advance(Duration::from_millis(100));
    (layer, clock)
}

// Of a call that changes nothing nobody wants to know when it was; a failure may open the circuit.
#[test]
fn the_clock_is_read_for_what_heeds_it() {
    let readings = |config, call| {
        let clock = CountingClock::default();
        let layer = CircuitBreakerLayer::<_, _>::with("x", config, ResultIsAll, clock.clone());
        for _ in 0..3 {
            layer.handle().ask().expect("it is closed").settle(call);
        }
        clock.readings()
    };
    let slow_calls = Some(SlowCalls { duration: Duration::from_secs(1), threshold_percentage: 50 });
    let slow = Config { slow_calls, ..config() };
    let timed = Config { closed_window_time: Some(Duration::from_secs(1)), ..config() };
    assert_eq!([config(), slow, timed].map(|config| readings(config, Call::Succeeded)), [0, 6, 6]);
    // The first question finds nothing that has failed; those after it may complete a window of failures.
    assert_eq!(readings(config(), Call::Failed), 5);
}

// Two failures, then a pause, then the good call with which there are enough to conclude from: it opens now.
#[test]
fn a_good_call_that_opens_it_opens_it_for_the_whole_time() {
    let clock = ManualClock::default();
    let layer: CircuitBreakerLayer<_, _> =
        CircuitBreakerLayer::with("x", config(), ResultIsAll, clock.clone());
    let handle = layer.handle();
    for call in [Call::Failed, Call::Failed, Call::Succeeded, Call::Succeeded] {
        assert_eq!(handle.state(), State::Closed);
        clock.advance(Duration::from_millis(70));
        handle.ask().expect("it is closed").settle(call);
    }
    let refused = handle.ask().expect_err("it is open");
    assert_eq!(refused.retry_after, Some(Duration::from_millis(100)));
}

#[tokio::test]
async fn a_caller_that_is_cancelled_leaks_no_trial() {
    let (layer, _) = half_open();
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(|()| std::future::pending::<Result<(), ()>>()));
    let calls: Vec<_> = (0..2).map(|_| service.call(())).collect();
    assert_eq!((handle.state(), handle.trials_under_way()), (State::HalfOpen, 2));
    assert!(matches!(service.call(()).await, Err(Error::Refused(Refused { retry_after: None, .. }))));
    drop(calls);
    assert_eq!((handle.state(), handle.trials_under_way()), (State::HalfOpen, 0));
}

#[tokio::test]
async fn a_call_that_panics_has_failed() {
    let (layer, _) = half_open();
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(|()| async {
        if true {
            panic!("on purpose");
        }
        Ok::<(), ()>(())
    }));
    let call = service.ready().await.unwrap().call(());
    let panics = tokio::spawn(call).await;
    assert!(panics.is_err() && handle.state() == State::Open);
    let mut service =
        layer.layer(service_fn(|()| -> std::future::Ready<Result<(), ()>> { panic!("at once") }));
    handle.override_with(Mode::Automatic);
    assert!(catch_unwind(AssertUnwindSafe(|| service.call(()))).is_err());
    assert_eq!(handle.state(), State::Open);
}

#[tokio::test]
async fn who_classifies_decides_what_a_failure_is() {
    let classify = |result: Result<&u16, &()>| match result {
        Ok(500..) => Call::Failed,
        Ok(400..) => Call::SaidNothing,
        _ => Call::Succeeded,
    };
    let layer = CircuitBreakerLayer::new("http", config()).classify(classify);
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(|status: u16| async move { Ok::<_, ()>(status) }));
    for status in [404, 200, 503, 404, 200] {
        assert_eq!(service.ready().await.unwrap().call(status).await, Ok(status));
    }
    let tally = handle.tally();
    assert_eq!((tally.calls, tally.failed, handle.state()), (3, 1, State::Closed));
    assert_eq!(service.call(500).await, Ok(500));
    let Err(Error::Refused(refused)) = service.call(200).await else { panic!("it is open") };
    assert_eq!(refused.to_string(), "the circuit http is open: the call was not made");
}

/// Four threads ask at the moment at which it becomes half open, and give back what they got. How many trials there
/// were at a time, at most, in so many schedules.
fn trials_at_most(mutants: Mutants<Mutant>) -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    let most = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&most);
    let race = move || {
        let clock = ManualClock::default();
        let config = Config { minimum_calls: 1, mutants, ..config() };
        let layer: CircuitBreakerLayer<_, _, ShuttleLock<CircuitBreaker>> =
            CircuitBreakerLayer::with("x", config, ResultIsAll, clock.clone());
        let handle = layer.handle();
        handle.ask().expect("it is closed").settle(Call::Failed);
        clock.advance(Duration::from_millis(100));
        let trials = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (handle, trials, seen) = (handle.clone(), Arc::clone(&trials), Arc::clone(&seen));
                shuttle::thread::spawn(move || {
                    if let Ok(guard) = handle.ask() {
                        seen.fetch_max(trials.fetch_add(1, SeqCst) + 1, SeqCst);
                        shuttle::thread::yield_now();
                        trials.fetch_sub(1, SeqCst);
                        guard.settle(Call::SaidNothing);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
        assert_eq!(handle.trials_under_way(), 0, "a trial was lost");
    };
    shuttle::check_random(race, 2_000);
    most.load(SeqCst)
}

// With two trials, whatever the schedule; and the test sees when there are more.
#[test]
fn threads_that_race_get_as_many_trials_as_there_are() {
    assert_eq!(trials_at_most(Mutants::default()), 2);
    assert!(trials_at_most(Mutants::only(Mutant::TrialCountedLate)) > 2);
}

// Where calls are rare, waiting for the next trial is no failure of those that ended.
#[test]
fn trials_that_come_seldom_close_it_too() {
    let config = Config { half_open_allowed_requests: 3, ..config() };
    let mut breaker = CircuitBreaker::new(&config);
    let mut now = Time(0);
    let mut call = |breaker: &mut CircuitBreaker, call, apart: Duration| {
        now = Time(now.0 + nanos(apart));
        if let Ok(permit) = breaker.ask(&config, now) {
            breaker.settle(&config, now, &permit, call, 0);
        }
    };
    (0..50).for_each(|_| call(&mut breaker, Call::Failed, Duration::from_nanos(1)));
    assert_eq!(breaker.state(), State::Open);
    (0..3).for_each(|_| call(&mut breaker, Call::Succeeded, config.reset_timeout_max * 3));
    assert_eq!(breaker.state(), State::Closed);
}
