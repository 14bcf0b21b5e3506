//! Claims of the module's doc, one by one; laws over random steps; the layer under success, error, panic,
//! cancellation and time, and under several threads.

use super::core::Op;
use super::*;
use crate::mutants::Mutants;
use crate::protocol::{Component as _, Time};
use crate::resilience::clock::{CountingClock, ManualClock};
use crate::resilience::lock::{Lock as _, ShuttleLock};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tokio::time::{Instant as Moment, sleep};
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

/// Two at a time, two waiting.
fn config() -> Config {
    Config {
        max_concurrent_calls: 2,
        max_wait_queue_size: 2,
        max_wait: Duration::from_millis(50),
        execution_timeout: Duration::from_millis(100),
        ..Config::default()
    }
}

#[test]
fn as_many_as_may_be_are_under_way_and_wait_and_the_rest_is_refused() {
    let config = config();
    let mut bulkhead = Bulkhead::new(&config);
    let rets: Vec<Ret> = (0..5).map(|_| bulkhead.apply(&config, Time(0), Op::Ask)).collect();
    let expected = [Ret::Admitted, Ret::Admitted, Ret::Waits(Ticket(0)), Ret::Waits(Ticket(1)), Ret::Full];
    assert_eq!(rets, expected);
    bulkhead.apply(&config, Time(0), Op::Release { end: End::Succeeded, took_ns: 1 });
    assert_eq!(bulkhead.called().collect::<Vec<_>>(), [Ticket(0)]);
    // Its turn is a place, whether it has noticed or not: nobody overtakes it.
    assert_eq!(bulkhead.apply(&config, Time(0), Op::Ask), Ret::Waits(Ticket(2)));
    assert_eq!(bulkhead.apply(&config, Time(0), Op::Claim(Ticket(0))), Ret::Admitted);
}

#[test]
fn who_waits_too_long_leaves_and_the_next_one_moves_up() {
    let config = config();
    let mut bulkhead = Bulkhead::new(&config);
    for _ in 0..3 {
        bulkhead.apply(&config, Time(0), Op::Ask);
    }
    let late = Time(50_000_000);
    assert_eq!(bulkhead.apply(&config, Time(1), Op::Ask), Ret::Waits(Ticket(1)));
    bulkhead.apply(&config, late, Op::Release { end: End::Succeeded, took_ns: 1 });
    assert_eq!(bulkhead.called().collect::<Vec<_>>(), [Ticket(1)]);
    assert_eq!(bulkhead.apply(&config, late, Op::Claim(Ticket(0))), Ret::WaitedTooLong);
}

proptest! {
    // Against a list of who came in which order: never above the limit, first come first served, nobody lost.
    #[test]
    fn it_is_a_queue_and_a_number(steps in prop::collection::vec((0_u8..4, 0_usize..6), 0..200)) {
        let config = Config { max_wait: Duration::from_secs(1), ..config() };
        let mut bulkhead = Bulkhead::new(&config);
        let (mut running, mut line, mut turns) = (0_usize, VecDeque::new(), vec![]);
        for (what, which) in steps {
            match what {
                0 => match bulkhead.apply(&config, Time(0), Op::Ask) {
                    Ret::Admitted => { prop_assert!(line.is_empty()); running += 1; }
                    Ret::Waits(ticket) => { prop_assert!(running + turns.len() == 2 && line.len() < 2); line.push_back(ticket); }
                    ret => { prop_assert_eq!(ret, Ret::Full); prop_assert_eq!(line.len(), 2); }
                },
                1 if running > 0 => {
                    running -= 1;
                    bulkhead.apply(&config, Time(0), Op::Release { end: End::Succeeded, took_ns: 1 });
                }
                2 if !turns.is_empty() => {
                    let ticket = turns.remove(which % turns.len());
                    prop_assert_eq!(bulkhead.apply(&config, Time(0), Op::Claim(ticket)), Ret::Admitted);
                    running += 1;
                }
                3 if line.len() + turns.len() > 0 => {
                    let place = which % (line.len() + turns.len());
                    let ticket = if place < line.len() { line.remove(place).unwrap() } else { turns.remove(place - line.len()) };
                    bulkhead.apply(&config, Time(0), Op::Leave(ticket));
                }
                _ => {}
            }
            while running + turns.len() < 2 && !line.is_empty() {
                turns.push(line.pop_front().unwrap());
            }
            let mut called: Vec<Ticket> = turns.clone();
            called.sort_unstable();
            prop_assert_eq!(bulkhead.called().collect::<Vec<_>>(), called);
            prop_assert_eq!((bulkhead.under_way() as usize, bulkhead.waiting() as usize), (running, line.len()));
        }
    }
}

/// A compartment in front of a service that sleeps as long as it is told, then does what it is told.
fn sleeper(
    config: Config,
) -> (
    BulkheadService<
        impl tower::Service<(u64, u8), Response = u64, Error = &'static str, Future: Send> + Clone,
    >,
    Handle,
) {
    let layer = BulkheadLayer::new("x", config);
    let handle = layer.handle();
    let service = service_fn(|(ms, how): (u64, u8)| async move {
        sleep(Duration::from_millis(ms)).await;
        match how {
            0 => Ok(ms),
            1 => Err("it failed"),
            _ => panic!("on purpose"),
        }
    });
    (layer.layer(service), handle)
}

// A place comes back once, whatever way a call ends.
#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_exactly_once_on_success_error_panic_cancellation_and_timeout() {
    let (mut service, handle) = sleeper(config());
    assert_eq!(service.call((1, 0)).await, Ok(1));
    assert_eq!(handle.under_way(), 0);
    assert_eq!(service.call((1, 1)).await, Err(Error::Inner("it failed")));
    assert_eq!(handle.under_way(), 0);
    assert!(tokio::spawn(service.call((1, 2))).await.is_err());
    assert_eq!(handle.under_way(), 0);
    drop(service.call((1, 0)));
    let mut begun = tokio::spawn(service.call((1_000, 0)));
    assert!(tokio::time::timeout(Duration::from_millis(5), &mut begun).await.is_err());
    assert_eq!(handle.under_way(), 1);
    begun.abort();
    assert!(begun.await.is_err());
    assert_eq!(handle.under_way(), 0);
    assert_eq!(service.call((1_000, 0)).await, Err(Error::TimedOut(Duration::from_millis(100))));
    assert_eq!((handle.under_way(), handle.waiting()), (0, 0));
    // All places are there.
    let (one, two) = tokio::join!(service.call((2, 0)), service.call((3, 0)));
    assert_eq!((one, two), (Ok(2), Ok(3)));
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_bounded_fair_and_left_in_time() {
    let (mut service, handle) = sleeper(config());
    let begin = Moment::now();
    let calls: Vec<_> = [30, 30, 10, 20].map(|ms| tokio::spawn(service.call((ms, 0)))).into();
    assert_eq!((handle.under_way(), handle.waiting()), (2, 2));
    assert_eq!(service.call((1, 0)).await, Err(Error::Refused(Refused::Full)));
    let mut ended = vec![];
    for call in calls {
        call.await.unwrap().unwrap();
        ended.push(begin.elapsed().as_millis());
    }
    assert_eq!(ended, [30, 30, 40, 50]);
    // Two that take long, and one that does not get in within 50 ms.
    let long: Vec<_> = (0..2).map(|_| tokio::spawn(service.call((90, 0)))).collect();
    let begin = Moment::now();
    assert_eq!(service.call((1, 0)).await, Err(Error::Refused(Refused::WaitedTooLong)));
    assert_eq!((begin.elapsed().as_millis() / 2, handle.waiting()), (25, 0));
    for call in long {
        assert!(call.await.unwrap().is_ok());
    }
}

// Where nobody waits, nobody wants to know when a call was, unless a limit is learned from it.
#[tokio::test(start_paused = true)]
async fn the_clock_is_read_for_those_who_wait_and_those_who_learn() {
    let readings = |adaptive| async move {
        let clock = CountingClock::default();
        let layer: BulkheadLayer<_> =
            BulkheadLayer::with("x", Config { adaptive, ..config() }, clock.clone());
        let mut service = layer.layer(service_fn(|()| std::future::ready(Ok::<_, ()>(()))));
        let (first, second) = (service.call(()), service.call(()));
        assert_eq!((first.await, second.await), (Ok(()), Ok(())));
        clock.readings()
    };
    assert_eq!(readings(None).await, 0);
    // Asked, begun and ended, twice.
    assert_eq!(readings(Some(Adaptive::Gradient { tolerance_percentage: 50 })).await, 6);
}

// When the first of them comes, nobody has looked at a clock for long.
#[tokio::test(start_paused = true)]
async fn who_comes_late_waits_as_long_as_may_be() {
    let (mut service, _) = sleeper(Config { execution_timeout: Duration::from_secs(1), ..config() });
    let long: Vec<_> = (0..2).map(|_| tokio::spawn(service.call((900, 0)))).collect();
    sleep(Duration::from_millis(500)).await;
    let begin = Moment::now();
    let (first, second) = (tokio::spawn(service.call((1, 0))), service.call((1, 0)));
    assert_eq!(second.await, Err(Error::Refused(Refused::WaitedTooLong)));
    assert_eq!(first.await.unwrap(), Err(Error::Refused(Refused::WaitedTooLong)));
    assert_eq!(begin.elapsed().as_millis() / 2, 25);
    for call in long {
        assert_eq!(call.await.unwrap(), Ok(900));
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_cancelled_in_the_queue_passes_the_turn_on() {
    let (mut service, handle) = sleeper(Config { max_concurrent_calls: 1, ..config() });
    let first = tokio::spawn(service.call((10, 0)));
    let (second, third) = (service.call((10, 0)), tokio::spawn(service.call((10, 0))));
    assert_eq!(handle.waiting(), 2);
    // It becomes the turn of the second, which nobody polls; then it goes.
    first.await.unwrap().unwrap();
    drop(second);
    assert!(third.await.unwrap().is_ok());
    assert_eq!((handle.under_way(), handle.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn one_compartment_that_is_full_does_not_slow_another() {
    let ((mut stuck, _), (mut free, _)) = (sleeper(config()), sleeper(config()));
    let calls: Vec<_> = (0..4).map(|_| tokio::spawn(stuck.call((90, 0)))).collect();
    let begin = Moment::now();
    assert_eq!(stuck.call((1, 0)).await, Err(Error::Refused(Refused::Full)));
    assert_eq!(
        (free.ready().await.unwrap().call((1, 0)).await, begin.elapsed().as_millis() <= 2),
        (Ok(1), true)
    );
    for call in calls {
        let _ = call.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit_falls_when_calls_time_out_and_rises_again() {
    let adaptive = Some(Adaptive::Aimd { latency: Duration::from_millis(50) });
    let (mut service, handle) =
        sleeper(Config { max_concurrent_calls: 8, max_wait_queue_size: 100, adaptive, ..config() });
    for (ms, is_right) in [(1_000, (|limit| limit < 4) as fn(u32) -> bool), (1, |limit| limit == 8)] {
        for _ in 0..40 {
            let calls: Vec<_> = (0..8).map(|_| tokio::spawn(service.call((ms, 0)))).collect();
            for call in calls {
                let _ = call.await.unwrap();
            }
        }
        assert!(is_right(handle.limit()), "{}", handle.limit());
    }
}

/// Six threads ask; those that are admitted count how many they are. Whoever is to wait leaves at once.
fn most_at_a_time(mutants: Mutants<Mutant>) -> u32 {
    let most = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&most);
    let race = move || {
        let config = Config { mutants, max_wait_queue_size: 0, ..config() };
        let lock = Arc::new(ShuttleLock::new(Bulkhead::new(&config)));
        let now = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..6)
            .map(|number| {
                let (lock, now, seen, config) =
                    (Arc::clone(&lock), Arc::clone(&now), Arc::clone(&seen), config.clone());
                shuttle::thread::spawn(move || {
                    if lock.with(|bulkhead| bulkhead.apply(&config, Time(0), Op::Ask)) != Ret::Admitted {
                        return;
                    }
                    seen.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                    shuttle::thread::yield_now();
                    now.fetch_sub(1, SeqCst);
                    let end = if number % 2 == 0 { End::TimedOut } else { End::Succeeded };
                    lock.with(|bulkhead| bulkhead.apply(&config, Time(0), Op::Release { end, took_ns: 1 }));
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
    };
    shuttle::check_random(race, 2_000);
    most.load(SeqCst)
}

#[test]
fn threads_that_race_are_never_more_than_may_be() {
    assert_eq!(most_at_a_time(Mutants::default()), 2);
    assert!(most_at_a_time(Mutants::only(Mutant::TimedOutFreedTwice)) > 2);
}

// The layer takes a lock of shuttle's and a clock that is set by hand, too.
#[test]
fn the_layer_takes_any_lock_and_clock() {
    shuttle::check_random(
        || {
            let layer =
                BulkheadLayer::<_, ShuttleLock<layer::Inner>>::with("x", config(), ManualClock::default());
            let handle = layer.handle();
            let mut service = layer.layer(service_fn(|()| std::future::ready(Ok::<_, ()>(()))));
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let call = service.call(());
                    shuttle::thread::spawn(move || drop(call))
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
            assert_eq!((handle.under_way(), handle.waiting()), (0, 0));
        },
        200,
    );
}
