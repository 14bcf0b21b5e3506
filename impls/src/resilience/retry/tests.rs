//! Claims of the module's doc, one by one; laws over random calls; the layer under every end, time, cancellation and
//! several threads.

use super::*;
use crate::mutants::{Mutant as _, Mutants};
use crate::protocol::{Component as _, Time};
use crate::resilience::clock::ManualClock;
use crate::resilience::jitter::Jitter;
use crate::resilience::lock::{Lock as _, ShuttleLock, StdLock};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tokio::time::{Instant as Moment, sleep};
use tower::{Layer as _, Service as _, service_fn};

const MS: u64 = 1_000_000;
const DEFINITE: End = End::Definite { retry_after: None };
const INDEFINITE: End = End::Indefinite { retry_after: None };

/// Four attempts of 20 ms each, 100 ms in all; pauses of 10, 20, 40, 40 ms; two retries for all calls.
fn config() -> Config {
    Config {
        max_attempts: 4,
        per_try_timeout: Duration::from_millis(20),
        overall_timeout: Duration::from_millis(100),
        initial_backoff: Duration::from_millis(10),
        max_backoff: Duration::from_millis(40),
        spread: Spread::Percent(0),
        budget_percent: 0,
        budget_burst: 2,
        budget_reserve: Rate::never(),
        ..Config::new(1)
    }
}

fn only(mutant: Mutant) -> Config {
    Config { mutants: Mutants::only(mutant), ..config() }
}

fn terms(kind: Kind) -> Terms {
    Terms { kind, deadline: None, key: None }
}

/// What becomes of a call whose attempts end like this, each at once after it has begun.
fn call(config: &Config, kind: Kind, ends: &[End]) -> (Vec<Next>, Vec<Key>) {
    let (mut retries, mut now) = (Retries::new(config), Time(0));
    let mut attempts = retries.begin(config, now, &terms(kind)).expect("it begins in time");
    let (mut nexts, mut keys) = (vec![], vec![attempts.key()]);
    for &end in ends {
        let next = retries.end(config, now, &mut attempts, end);
        nexts.push(next);
        let Next::Retry { after_ns } = next else { break };
        now.0 += after_ns;
        if let Err(why) = retries.resume(config, now, &mut attempts) {
            nexts.push(Next::GiveUp(why));
            break;
        }
        keys.push(attempts.key());
    }
    (nexts, keys)
}

fn retry(after_ms: u64) -> Next {
    Next::Retry { after_ns: after_ms * MS }
}

#[test]
fn only_what_is_safe_is_sent_again() {
    let next = |config: &Config, kind, end| call(config, kind, &[end]).0[0];
    for kind in [Kind::Idempotent, Kind::Keyed, Kind::Once] {
        assert_eq!(next(&config(), kind, End::Succeeded), Next::Done);
        assert_eq!(next(&config(), kind, End::Permanent), Next::GiveUp(GaveUp::Permanent));
        assert_eq!(next(&config(), kind, DEFINITE), retry(10));
    }
    assert_eq!(next(&config(), Kind::Idempotent, INDEFINITE), retry(10));
    assert_eq!(next(&config(), Kind::Keyed, INDEFINITE), retry(10));
    assert_eq!(next(&config(), Kind::Once, INDEFINITE), Next::GiveUp(GaveUp::Indefinite));
    assert_eq!(next(&only(Mutant::IndefiniteRetried), Kind::Once, INDEFINITE), retry(10));
}

#[test]
fn pauses_grow_up_to_their_limit_and_attempts_are_counted() {
    let config =
        Config { max_attempts: 5, budget_burst: 9, overall_timeout: Duration::from_secs(1), ..config() };
    let (nexts, keys) = call(&config, Kind::Keyed, &[DEFINITE, INDEFINITE, DEFINITE, INDEFINITE, DEFINITE]);
    let expected = [retry(10), retry(20), retry(40), retry(40), Next::GiveUp(GaveUp::Attempts)];
    assert_eq!(nexts, expected);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 1, "one call has one key");
    let uncapped = Config { mutants: Mutants::only(Mutant::BackoffUncapped), ..config.clone() };
    assert_eq!(call(&uncapped, Kind::Keyed, &[DEFINITE; 4]).0[3], retry(80));
    let renewed = Config { mutants: Mutants::only(Mutant::NewKeyEachAttempt), ..config };
    assert_eq!(call(&renewed, Kind::Keyed, &[DEFINITE; 2]).1.iter().collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn a_server_that_says_when_to_come_back_is_listened_to() {
    let told = |ms| End::Definite { retry_after: Some(Duration::from_millis(ms)) };
    assert_eq!(call(&config(), Kind::Once, &[told(5)]).0, [retry(15)]);
    assert_eq!(call(&config(), Kind::Once, &[told(89)]).0, [retry(99)]);
    // It would be too late: nobody waits for that.
    assert_eq!(call(&config(), Kind::Once, &[told(90)]).0, [Next::GiveUp(GaveUp::Deadline)]);
    assert_eq!(call(&only(Mutant::RetryAfterIgnored), Kind::Once, &[told(99)]).0, [retry(10)]);
}

#[test]
fn nothing_begins_at_the_deadline_and_no_pause_ends_there() {
    let config = Config { overall_timeout: Duration::from_millis(30), ..config() };
    let late = Next::GiveUp(GaveUp::Deadline);
    assert_eq!(call(&config, Kind::Once, &[DEFINITE; 3]).0, [retry(10), late]);
    let sleeps = Config { mutants: Mutants::only(Mutant::SleepsPastDeadline), ..config.clone() };
    assert_eq!(call(&sleeps, Kind::Once, &[DEFINITE; 3]).0, [retry(10), retry(20), late]);
    let anew = Config {
        mutants: Mutants::only(Mutant::DeadlinePerTry),
        max_backoff: Duration::from_millis(20),
        ..config.clone()
    };
    assert_eq!(call(&anew, Kind::Once, &[DEFINITE; 3]).0[..2], [retry(10), retry(20)]);

    let mut retries = Retries::new(&config);
    let by = |ms| Terms { deadline: Some(Deadline(Time(ms * MS))), ..terms(Kind::Once) };
    assert_eq!(retries.begin(&config, Time(9 * MS), &by(9)), Err(GaveUp::Deadline));
    // What a call brings along is in force if it is earlier, and cuts what an attempt may take.
    let mut attempts = retries.begin(&config, Time(10 * MS), &by(99)).unwrap();
    assert_eq!(attempts.deadline(), Deadline(Time(40 * MS)));
    assert_eq!(attempts.timeout(&config, Time(15 * MS)), Duration::from_millis(20));
    assert_eq!(attempts.timeout(&config, Time(35 * MS)), Duration::from_millis(5));
    assert_eq!(retries.end(&config, Time(15 * MS), &mut attempts, DEFINITE), retry(10));
    // Who sleeps longer than they were told finds it too late.
    assert_eq!(retries.resume(&config, Time(40 * MS), &mut attempts), Err(GaveUp::Deadline));
    assert!(attempts.is_definite());
}

#[test]
fn what_all_calls_have_together_is_taken_before_an_attempt_begins() {
    // Three calls fail at the same time, with a budget for two.
    let together = |config: &Config| {
        let mut retries = Retries::new(config);
        let mut calls: Vec<Attempts> =
            (0..3).map(|_| retries.begin(config, Time(0), &terms(Kind::Once)).unwrap()).collect();
        calls.iter_mut().map(|call| retries.end(config, Time(0), call, DEFINITE)).collect::<Vec<_>>()
    };
    assert_eq!(together(&config()), [retry(10), retry(10), Next::GiveUp(GaveUp::Budget)]);
    assert_eq!(together(&only(Mutant::BudgetCountsLate)), [retry(10); 3]);
    assert_eq!(together(&only(Mutant::BudgetNotTaken)), [retry(10); 3]);
    // Ten calls give the tenth part of a retry each.
    let tenth = Config { budget_percent: 10, budget_burst: 1, ..config() };
    let mut retries = Retries::new(&tenth);
    let mut fails = || {
        let mut call = retries.begin(&tenth, Time(0), &terms(Kind::Once)).unwrap();
        retries.end(&tenth, Time(0), &mut call, DEFINITE)
    };
    let nexts: Vec<bool> = (0..21).map(|_| fails() == retry(10)).collect();
    let retried: Vec<usize> = (0..21).filter(|&call| nexts[call]).collect();
    assert_eq!(retried, [0, 10, 20]);
}

#[test]
fn a_hedge_is_for_idempotent_calls_once_a_try_and_paid_for() {
    let hedges = |kind, mutants, burst| {
        let hedge_after = Some(Duration::from_millis(5));
        let config = Config { hedge_after, mutants, budget_burst: burst, ..config() };
        let mut retries = Retries::new(&config);
        let mut call = retries.begin(&config, Time(0), &terms(kind)).unwrap();
        let first = retries.hedge(&config, Time(5 * MS), &mut call);
        assert!(!first || !retries.hedge(&config, Time(5 * MS), &mut call), "not beside two");
        // The first that ends has the other go on.
        let next = retries.end(&config, Time(6 * MS), &mut call, DEFINITE);
        assert_eq!(first, next == Next::Wait);
        assert!(!first || !retries.hedge(&config, Time(6 * MS), &mut call), "once a try");
        (first, retries.tokens(Time(6 * MS)))
    };
    let none = Mutants::default();
    assert_eq!(hedges(Kind::Idempotent, none, 2), (true, 1));
    assert_eq!(hedges(Kind::Idempotent, none, 0), (false, 0));
    assert_eq!(hedges(Kind::Idempotent, Mutants::only(Mutant::HedgeNotCounted), 2), (true, 2));
    // The one that has failed is retried instead.
    assert_eq!(hedges(Kind::Keyed, none, 2), (false, 1));
    assert_eq!(hedges(Kind::Once, none, 2), (false, 1));
    assert_eq!(hedges(Kind::Once, Mutants::only(Mutant::HedgesEverything), 2), (true, 1));
    let without = config();
    let mut retries = Retries::new(&without);
    let mut call = retries.begin(&without, Time(0), &terms(Kind::Idempotent)).unwrap();
    assert!(!retries.hedge(&without, Time(0), &mut call), "it is not asked for");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let wrong = [
        Config { max_attempts: 0, ..config() },
        Config { per_try_timeout: Duration::ZERO, ..config() },
        Config { max_backoff: Duration::from_millis(9), ..config() },
        Config { backoff_multiplier: 0, ..config() },
        Config { spread: Spread::Percent(101), ..config() },
        Config { hedge_after: Some(Duration::from_millis(20)), ..config() },
    ];
    for config in wrong {
        assert!(std::panic::catch_unwind(|| Retries::new(&config)).is_err(), "{config:?}");
    }
    assert_eq!(Mutant::ALL.len(), 10);
}

#[test]
fn a_deadline_is_sent_as_what_remains() {
    let deadline = Deadline(Time(10 * MS));
    assert_eq!([0, 1, 10 * MS, 11 * MS].map(|now| deadline.header(Time(now))), ["10", "9", "0", "0"]);
    assert_eq!(Deadline::from_header("7", Time(MS)), Some(Deadline(Time(8 * MS))));
    assert_eq!(["", "-1", "+1", "1.5", "soon"].map(|value| Deadline::from_header(value, Time(0))), [None; 5]);
    let for_ever = Deadline::from_header("99999999999999999999", Time(1));
    assert_eq!(for_ever, Some(Deadline(Time(u64::MAX))));
    assert_eq!(deadline.min(Deadline(Time(1))), Deadline(Time(1)));
}

fn spreads() -> impl Strategy<Value = Spread> {
    prop_oneof![Just(Spread::Full), (0_u8..=100).prop_map(Spread::Percent), Just(Spread::Decorrelated)]
}

fn ends() -> impl Strategy<Value = End> {
    let told = || prop::option::of((0_u64..200).prop_map(Duration::from_millis));
    prop_oneof![
        1 => Just(End::Succeeded),
        1 => Just(End::Permanent),
        8 => told().prop_map(|retry_after| End::Definite { retry_after }),
        8 => told().prop_map(|retry_after| End::Indefinite { retry_after }),
    ]
}

proptest! {
    // Each way of chance keeps its bounds, for pauses of any length.
    #[test]
    fn a_pause_is_within_its_bounds_and_its_limit(
        spread in spreads(), first in 0_u64..u64::MAX, longer in 0_u64..u64::MAX, multiplier in 1_u32..9, seed: u64,
    ) {
        let most = first.saturating_add(longer);
        let (initial_backoff, max_backoff) = (Duration::from_nanos(first), Duration::from_nanos(most));
        let config = Config { spread, initial_backoff, max_backoff, backoff_multiplier: multiplier, ..config() };
        let (mut backoff, mut jitter) = (backoff::Backoff::new(&config), Jitter::new(seed));
        let (mut whole, mut before) = (u128::from(first), first);
        for _ in 0..70 {
            let pause = backoff.next_ns(&config, &mut jitter);
            prop_assert!(pause <= most);
            match spread {
                Spread::Full => prop_assert!(u128::from(pause) <= whole),
                Spread::Percent(percent) => {
                    prop_assert!(u128::from(pause) <= whole);
                    prop_assert!(u128::from(pause) * 100 >= whole * u128::from(100 - percent));
                }
                Spread::Decorrelated => prop_assert!((first..=before.saturating_mul(3)).contains(&pause)),
            }
            whole = (whole * u128::from(multiplier)).min(u128::from(most));
            before = pause;
        }
    }

    // Calls in turn, whose attempts take some time and end somehow: each of the promises, counted apart.
    #[test]
    fn promises_are_kept_whatever_happens(
        spread in spreads(),
        (percent, burst, per_ms, hedges) in (0_u32..60, 0_u32..4, 1_u64..300, any::<bool>()),
        calls in prop::collection::vec((0_u8..3, 0_u64..150, prop::collection::vec((0_u64..25, ends()), 9)), 1..40),
    ) {
        let config = Config {
            spread,
            budget_percent: percent,
            budget_burst: burst,
            budget_reserve: Rate::new(1, Duration::from_millis(per_ms)),
            hedge_after: hedges.then_some(Duration::from_millis(1)),
            ..config()
        };
        let (mut retries, mut now, mut more) = (Retries::new(&config), 0, 0);
        for (count, (kind, within_ms, ends)) in (1_u64..).zip(calls) {
            let kind = [Kind::Idempotent, Kind::Keyed, Kind::Once][usize::from(kind)];
            let by = now + within_ms.min(100) * MS;
            let deadline = Some(Deadline(Time(now + within_ms * MS)));
            let Ok(mut call) = retries.begin(&config, Time(now), &Terms { deadline, ..terms(kind) }) else {
                prop_assert_eq!(within_ms, 0);
                continue;
            };
            let (key, mut begun, mut not_before, mut is_unknown) = (call.key(), 1, 0, false);
            for (takes_ms, end) in ends {
                if retries.hedge(&config, Time(now), &mut call) {
                    prop_assert!(kind == Kind::Idempotent && hedges && now < by);
                    (begun, more) = (begun + 1, more + 1);
                }
                now += takes_ms * MS;
                let next = retries.end(&config, Time(now), &mut call, end);
                if let End::Definite { retry_after: Some(after) } | End::Indefinite { retry_after: Some(after) } = end {
                    not_before = not_before.max(now + after.as_millis() as u64 * MS);
                }
                is_unknown |= matches!(end, End::Indefinite { .. });
                match next {
                    Next::Wait => continue,
                    Next::Retry { after_ns } => {
                        now += after_ns;
                        prop_assert!(now < by && now >= not_before && !(is_unknown && kind == Kind::Once));
                        prop_assert!(now <= not_before.max(now - after_ns) + 40 * MS);
                        prop_assert_eq!(retries.resume(&config, Time(now), &mut call), Ok(()));
                        (begun, more) = (begun + 1, more + 1);
                    }
                    Next::Done | Next::GiveUp(_) => break,
                }
                prop_assert_eq!((call.key(), call.begun()), (key, begun));
                prop_assert!(begun <= 4);
            }
            let earned = count * u64::from(percent) * per_ms * MS + now * 100;
            prop_assert!(more * 100 * per_ms * MS <= u64::from(burst) * 100 * per_ms * MS + earned);
        }
    }
}

/// Three threads whose calls fail at the same time, with a budget for one: how many retries they get at most.
fn most_retries(mutants: Mutants<Mutant>) -> u32 {
    let most = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&most);
    let race = move || {
        let config = Config { mutants, budget_burst: 1, ..config() };
        let (lock, sent) = (Arc::new(ShuttleLock::new(Retries::new(&config))), Arc::new(AtomicU32::new(0)));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (lock, sent, config) = (Arc::clone(&lock), Arc::clone(&sent), config.clone());
                shuttle::thread::spawn(move || {
                    let begin = |retries: &mut Retries| retries.begin(&config, Time(0), &terms(Kind::Once));
                    let mut call = lock.with(begin).expect("in time");
                    let next = lock.with(|retries| retries.end(&config, Time(0), &mut call, DEFINITE));
                    if next == retry(10) {
                        let begun = lock.with(|retries| retries.resume(&config, Time(10 * MS), &mut call));
                        sent.fetch_add(u32::from(begun.is_ok()), SeqCst);
                        lock.with(|retries| retries.end(&config, Time(10 * MS), &mut call, End::Succeeded));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
        seen.fetch_max(sent.load(SeqCst), SeqCst);
    };
    shuttle::check_random(race, 2_000);
    most.load(SeqCst)
}

#[test]
fn threads_that_race_share_one_budget() {
    assert_eq!(most_retries(Mutants::default()), 1);
    assert!(most_retries(Mutants::only(Mutant::BudgetCountsLate)) > 1);
}

/// How long an attempt takes, and how it ends.
type Script = &'static [(u64, Result<u32, &'static str>)];

/// What the inner service was sent, and when.
type Sent = Arc<StdLock<Vec<(u64, Attempt<Script>)>>>;

/// What results mean.
type Judge = fn(Result<&u32, &&'static str>) -> End;

/// Retries in front of a service whose attempts do what the script of their call says; the last line is said again.
#[allow(clippy::type_complexity, reason = "what is only known to be a service has no name")]
fn scripted(
    config: Config,
) -> (
    RetryService<
        impl tower::Service<Attempt<Script>, Response = u32, Error = &'static str, Future: Send> + Clone,
        Judge,
    >,
    Handle,
    Sent,
) {
    let classify: Judge = |result| match result {
        Ok(_) => End::Succeeded,
        Err(&"permanent") => End::Permanent,
        Err(&"definite") => DEFINITE,
        Err(&"later") => End::Definite { retry_after: Some(Duration::from_millis(30)) },
        Err(_) => INDEFINITE,
    };
    let layer = RetryLayer::new("x", config).classify(classify);
    let (handle, sent) = (layer.handle(), Sent::default());
    let (log, clock) = (Arc::clone(&sent), layer.handle());
    let service = service_fn(move |attempt: Attempt<Script>| {
        log.with(|log| log.push((clock.now().0 / MS, attempt.clone())));
        let (ms, result) = attempt.request[(attempt.number as usize).min(attempt.request.len()) - 1];
        async move {
            sleep(Duration::from_millis(ms)).await;
            result
        }
    });
    (layer.layer(service), handle, sent)
}

/// Milliseconds at which attempts were sent.
fn at_ms(sent: &Sent) -> Vec<u64> {
    sent.with(std::mem::take).into_iter().map(|(at_ms, _)| at_ms).collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_is_made_again_until_it_works() {
    let (mut service, handle, sent) = scripted(config());
    assert_eq!(service.call(Call::once(&[(1, Ok(7))])).await, Ok(7));
    assert_eq!((at_ms(&sent), handle.tokens()), (vec![0], 2));
    let twice = service.call(Call::once(&[(0, Err("definite")), (0, Err("definite")), (0, Ok(8))])).await;
    assert_eq!((twice, handle.tokens()), (Ok(8), 0));
    let sent = sent.with(std::mem::take);
    assert!(sent[1].0 - sent[0].0 >= 10 && sent[2].0 - sent[1].0 >= 20);
    assert_eq!([1, 2, 3], [0, 1, 2].map(|n: usize| sent[n].1.number));
    assert!(sent.iter().all(|(_, attempt)| attempt.key == sent[0].1.key), "one call has one key");
    assert!(sent.iter().all(|(_, attempt)| attempt.remaining <= Duration::from_millis(20)));
    // The budget is used up.
    let error = service.call(Call::once(&[(0, Err("definite"))])).await.unwrap_err();
    let last = Some(Err("definite"));
    assert_eq!(error, Error { why: GaveUp::Budget, attempts: 1, is_definite: true, last });
    assert_eq!(error.to_string(), "the call was given up: the budget for retries is used up (attempts: 1)");
}

#[tokio::test(start_paused = true)]
async fn what_may_have_happened_is_told() {
    let (mut service, _, sent) = scripted(Config { max_attempts: 2, budget_burst: 9, ..config() });
    let mut fails = async |call| {
        let error = service.call(call).await.unwrap_err();
        (error.why, error.attempts, error.is_definite)
    };
    assert_eq!(fails(Call::once(&[(0, Err("broken"))])).await, (GaveUp::Indefinite, 1, false));
    assert_eq!(fails(Call::once(&[(99, Ok(1))])).await, (GaveUp::Indefinite, 1, false));
    assert_eq!(fails(Call::keyed(&[(0, Err("permanent"))])).await, (GaveUp::Permanent, 1, true));
    // The last attempt has surely done nothing; the first may have.
    let one_of_two: Call<Script> = Call::keyed(&[(0, Err("broken")), (0, Err("definite"))]);
    assert_eq!(fails(one_of_two).await, (GaveUp::Attempts, 2, false));
    assert_eq!(at_ms(&sent).len(), 5);
    let late: Call<Script> = Call::once(&[(0, Ok(1))]);
    assert_eq!(fails(late.by(Deadline(Time(0)))).await, (GaveUp::Deadline, 0, true));
    assert_eq!(at_ms(&sent), [0_u64; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_dropped_when_it_takes_too_long_and_a_call_at_its_deadline() {
    let (mut service, handle, sent) = scripted(Config { budget_burst: 9, max_attempts: 9, ..config() });
    let begin = Moment::now();
    // Attempts at 0, 30 and 70 ms, of 20 ms each, and a pause that would end at 130.
    let error = service.call(Call::idempotent(&[(999, Ok(1))])).await.unwrap_err();
    assert_eq!((error.why, error.attempts, error.last), (GaveUp::Deadline, 3, None));
    let took_ms = begin.elapsed().as_millis();
    assert!((90..=95).contains(&took_ms), "it gives up rather than wait: {took_ms} ms");
    assert!(
        at_ms(&sent).iter().zip([0, 30, 70]).all(|(is, should_be)| (should_be..should_be + 4).contains(is))
    );
    // An attempt that begins 5 ms before the deadline has 5 ms.
    let call: Call<Script> = Call::idempotent(&[(0, Err("broken")), (999, Ok(1))]);
    let (begin, by) = (Moment::now(), handle.deadline_in(Duration::from_millis(16)));
    assert!(service.call(call.by(by)).await.is_err());
    assert!(begin.elapsed() <= Duration::from_millis(18));
    let attempt = sent.with(Vec::pop).expect("there were two").1;
    assert!(attempt.remaining <= Duration::from_millis(6) && attempt.deadline <= by, "{attempt:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_come_later_does() {
    let (mut service, _, sent) = scripted(config());
    assert_eq!(service.call(Call::once(&[(0, Err("later")), (0, Ok(1))])).await, Ok(1));
    let sent = at_ms(&sent);
    assert!(sent[1] - sent[0] >= 30);
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_of_a_call_and_its_hedge_is_taken_and_the_other_dropped() {
    let (mut service, handle, sent) =
        scripted(Config { hedge_after: Some(Duration::from_millis(5)), ..config() });
    let begin = Moment::now();
    assert_eq!(service.call(Call::idempotent(&[(19, Ok(1)), (2, Ok(2))])).await, Ok(2));
    assert!(begin.elapsed() < Duration::from_millis(10));
    assert_eq!((at_ms(&sent).len(), handle.tokens()), (2, 1));
    // The hedge fails, and the first has the last word.
    assert_eq!(service.call(Call::idempotent(&[(9, Ok(1)), (0, Err("broken"))])).await, Ok(1));
    assert_eq!((at_ms(&sent).len(), handle.tokens()), (2, 0));
    // What must not happen twice is not hedged, nor what nobody pays for.
    assert_eq!(service.call(Call::once(&[(19, Ok(1)), (0, Ok(2))])).await, Ok(1));
    assert_eq!(service.call(Call::idempotent(&[(19, Ok(1)), (0, Ok(2))])).await, Ok(1));
    assert_eq!(at_ms(&sent).len(), 2);
}

/// A service of one call at a time, which fails after 15 ms and says to come back after 30 more.
#[derive(Clone, Default)]
struct OneAtATime {
    is_busy: Arc<AtomicU32>,
    sent: Arc<AtomicU32>,
}

impl tower::Service<Attempt<()>> for OneAtATime {
    type Response = ();
    type Error = ();
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<(), ()>>>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), ()>> {
        // Whoever waits is woken by the end of the other, for it is one task.
        if self.is_busy.load(SeqCst) > 0 { std::task::Poll::Pending } else { std::task::Poll::Ready(Ok(())) }
    }

    fn call(&mut self, _: Attempt<()>) -> Self::Future {
        self.sent.fetch_add(1, SeqCst);
        self.is_busy.fetch_add(1, SeqCst);
        let is_busy = Arc::clone(&self.is_busy);
        Box::pin(async move {
            sleep(Duration::from_millis(15)).await;
            is_busy.fetch_sub(1, SeqCst);
            Err(())
        })
    }
}

// A hedge that waits for the service would go at the very moment at which the server says to come back later.
#[tokio::test(start_paused = true)]
async fn a_hedge_that_was_not_sent_yet_is_taken_back_when_the_server_says_to_come_later() {
    let config = Config { hedge_after: Some(Duration::from_millis(5)), ..config() };
    let later = |_: Result<&(), &()>| End::Definite { retry_after: Some(Duration::from_millis(30)) };
    let service = OneAtATime::default();
    let sent = Arc::clone(&service.sent);
    let call = RetryLayer::new("x", config).classify(later).layer(service).call(Call::idempotent(()));
    let call = tokio::time::timeout(Duration::from_millis(40), call);
    assert!(call.await.is_err());
    assert_eq!(sent.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cancelled_takes_its_attempts_along() {
    let (mut service, handle, sent) =
        scripted(Config { hedge_after: Some(Duration::from_millis(5)), ..config() });
    drop(service.call(Call::idempotent(&[(1, Ok(1))])));
    assert_eq!((at_ms(&sent), handle.tokens()), (vec![], 2));
    // In an attempt, beside a hedge, and in a pause.
    let cases: [(u64, Script, usize); 3] =
        [(2, &[(15, Ok(1))], 1), (9, &[(15, Ok(1))], 2), (4, &[(0, Err("broken"))], 1)];
    for (patience_ms, script, expected) in cases {
        let call = service.call(Call::idempotent(script));
        assert!(tokio::time::timeout(Duration::from_millis(patience_ms), call).await.is_err());
        sleep(Duration::from_secs(1)).await;
        assert_eq!(at_ms(&sent).len(), expected, "nothing is sent afterwards");
    }
}

// The layer takes a lock of shuttle's and a clock that is set by hand, too.
#[test]
fn the_layer_takes_any_lock_and_clock() {
    shuttle::check_random(
        || {
            let layer = RetryLayer::<_, _, ShuttleLock<Retries>>::with(
                "x",
                config(),
                OkIsSuccess,
                ManualClock::default(),
            );
            let handle = layer.handle();
            let service = service_fn(|attempt: Attempt<()>| std::future::ready(Ok::<_, ()>(attempt.number)));
            let mut service = layer.layer(service);
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let call = service.call(Call::once(()));
                    shuttle::thread::spawn(move || drop(call))
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
            assert_eq!(handle.tokens(), 2);
        },
        200,
    );
}
