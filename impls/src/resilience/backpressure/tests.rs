//! Claims of the module's doc, one by one; laws over random steps; the channel and the layer under success, error, panic,
//! cancellation and time, and under several threads.

use super::credit::{Receiver, Sender, ToReceiver};
use super::{Strategy, *};
use crate::protocol::Time;
use crate::resilience::clock::ManualClock;
use crate::resilience::lock::ShuttleLock;
use futures_util::SinkExt;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use tokio::time::{Instant as Moment, sleep};
use tower::{Layer as _, Service as _, service_fn};

fn config(buffer_size: u32, strategy: Strategy) -> Config {
    Config { buffer_size, strategy, ..Config::default() }
}

fn take<T>(buffer: &mut Buffer<T>, config: &Config, ns: u64) -> Option<T> {
    buffer.take(config, Time(ns), &mut vec![])
}

#[test]
fn a_blocked_producer_is_called_when_there_is_room_first_come_first_served() {
    let config = config(1, Strategy::Block);
    let mut buffer = Buffer::empty(&config);
    assert_eq!(buffer.offer(&config, Time(0), None, 'a'), Offered::Accepted);
    for (ticket, item) in [(0, 'b'), (1, 'c')] {
        let waits = Offered::Waits { ticket: Ticket(ticket), until: None, item };
        assert_eq!(buffer.offer(&config, Time(0), None, item), waits);
    }
    assert_eq!(buffer.called(), None);
    assert_eq!(take(&mut buffer, &config, 1), Some('a'));
    assert_eq!(buffer.called(), Some(Ticket(0)));
    // There is room, and it is somebody's.
    assert!(matches!(buffer.offer(&config, Time(1), None, 'd'), Offered::Waits { ticket: Ticket(2), .. }));
    // It goes away, and passes it on.
    buffer.leave(&config, Ticket(0));
    assert_eq!(buffer.called(), Some(Ticket(1)));
    assert_eq!(buffer.offer(&config, Time(1), Some(Ticket(1)), 'c'), Offered::Accepted);
    assert_eq!(buffer.called(), None);
    assert_eq!(buffer.tally(), Tally { accepted: 2, processed: 1, dropped: 0 });
}

#[test]
fn the_newest_is_refused_or_the_oldest_dropped() {
    for (strategy, expected) in [
        (Strategy::DropNewest, (Offered::Refused(3, Refused::Full), Some(1), 0)),
        (Strategy::DropOldest, (Offered::Instead(1), Some(2), 1)),
    ] {
        let config = config(2, strategy);
        let mut buffer = Buffer::empty(&config);
        (1..3).for_each(|item| assert_eq!(buffer.offer(&config, Time(0), None, item), Offered::Accepted));
        let third = buffer.offer(&config, Time(0), None, 3);
        assert_eq!((third, take(&mut buffer, &config, 0), buffer.tally().dropped), expected);
    }
}

#[test]
fn a_throttle_says_when_and_both_ways_agree() {
    for throttle_by in [ThrottleBy::TokenBucket, ThrottleBy::Gcra] {
        let rate = Some(Rate::per_second(1_000));
        let config =
            Config { throttle_rate: rate, throttle_burst: 2, throttle_by, ..config(9, Strategy::DropNewest) };
        let mut buffer = Buffer::empty(&config);
        let mut at = |ns| match buffer.offer(&config, Time(ns), None, ()) {
            Offered::Accepted => None,
            Offered::Refused((), Refused::TooFast { retry_after_ns }) => retry_after_ns,
            other => panic!("{other:?}"),
        };
        let waits = [0, 0, 0, 400_000, 1_000_000, 1_000_000, 9_000_000, 9_000_000, 9_000_000].map(&mut at);
        let ms = Some(1_000_000);
        assert_eq!(waits, [None, None, ms, Some(600_000), None, ms, None, None, ms], "{throttle_by:?}");
        // The clock is set back and goes on: nothing is given twice.
        assert_eq!([3_000_000, 8_999_999, 9_000_001].map(&mut at), [ms, ms, Some(999_999)]);
    }
}

#[test]
fn what_stands_too_long_is_shed_faster_and_faster_until_it_does_not() {
    let ms = |ms: u64| Time(ms * 1_000_000);
    let config = Config { shed: Some(Shed::default()), ..config(1_000, Strategy::DropNewest) };
    let mut buffer = Buffer::empty(&config);
    // Two come each millisecond, and one is taken.
    let mut sheds = vec![];
    for now in 0..500 {
        (0..2).for_each(|_| assert_eq!(buffer.offer(&config, ms(now), None, now), Offered::Accepted));
        let mut dropped = vec![];
        buffer.take(&config, ms(now), &mut dropped);
        sheds.extend(dropped.iter().map(|_| now));
    }
    // The first an interval after the delay passed the target, then by the square root.
    assert_eq!(sheds[..4], [109, 209, 280, 338]);
    assert!(sheds.windows(3).all(|three| three[2] - three[1] <= three[1] - three[0] + 1), "{sheds:?}");
    // Now they come slower than they are taken: what is taken in time ends it.
    let mut last = 0;
    for now in 500..3_000 {
        if now % 4 == 0 {
            assert_eq!(buffer.offer(&config, ms(now), None, now), Offered::Accepted);
        }
        let mut dropped = vec![];
        buffer.take(&config, ms(now), &mut dropped);
        last = if dropped.is_empty() { last } else { now };
    }
    // The queue of half a second takes as long to shrink.
    assert!(buffer.queued() <= 1 && (1_000..1_200).contains(&last), "{last}");
    let tally = buffer.tally();
    assert_eq!(tally.accepted, tally.processed + tally.dropped + u64::from(buffer.queued()));
}

proptest! {
    // Against a list: the books balance at every instant, the bound holds, the order is theirs, and nobody waits who could
    // go on.
    #[test]
    fn it_is_a_bounded_queue_whose_books_balance(
        strategy in prop::sample::select(vec![Strategy::Block, Strategy::DropNewest, Strategy::DropOldest]),
        size in 1_u32..4,
        steps in prop::collection::vec((0_u8..4, 0_usize..6), 0..200),
    ) {
        let config = config(size, strategy);
        let mut buffer = Buffer::empty(&config);
        let (mut list, mut waiting, mut accepted, mut processed, mut dropped) = (VecDeque::new(), vec![], 0, 0, 0);
        for (item, (what, which)) in steps.into_iter().enumerate() {
            let offered = match what {
                0 => Some(buffer.offer(&config, Time(0), None, item)),
                1 if !waiting.is_empty() => {
                    let (ticket, item) = waiting[which % waiting.len()];
                    let offered = buffer.offer(&config, Time(0), Some(ticket), item);
                    if offered == Offered::Accepted {
                        prop_assert_eq!(waiting.remove(0), (ticket, item));
                    }
                    Some(offered).filter(|offered| !matches!(offered, Offered::Waits { .. }))
                }
                2 => {
                    let taken = take(&mut buffer, &config, 0);
                    prop_assert_eq!(taken, list.pop_front());
                    processed += u64::from(taken.is_some());
                    None
                }
                3 if !waiting.is_empty() => {
                    let (ticket, _) = waiting.remove(which % waiting.len());
                    buffer.leave(&config, ticket);
                    None
                }
                _ => None,
            };
            match offered {
                Some(Offered::Accepted) => { list.push_back(if what == 0 { item } else { *buffer_last(&buffer) }); accepted += 1; }
                Some(Offered::Instead(oldest)) => {
                    prop_assert_eq!((strategy, Some(oldest)), (Strategy::DropOldest, list.pop_front()));
                    list.push_back(item);
                    (accepted, dropped) = (accepted + 1, dropped + 1);
                }
                Some(Offered::Refused(_, why)) => prop_assert_eq!((why, list.len()), (Refused::Full, size as usize)),
                Some(Offered::Waits { ticket, .. }) => waiting.push((ticket, item)),
                None => {}
            }
            prop_assert_eq!(buffer.tally(), Tally { accepted, processed, dropped });
            prop_assert_eq!(accepted, processed + dropped + u64::from(buffer.queued()));
            prop_assert!(buffer.queued() <= size && buffer.queued() as usize == list.len());
            prop_assert_eq!(buffer.waiting() as usize, waiting.len());
            if buffer.queued() < size && !waiting.is_empty() {
                prop_assert_eq!(buffer.called(), Some(waiting[0].0));
            }
        }
    }

    // Both algorithms let the same pass, where a whole number of nanoseconds is between two.
    #[test]
    fn token_bucket_and_gcra_are_one_rate(
        (interval_ns, burst) in (1_u64..50, 1_u32..5),
        steps in prop::collection::vec(-40_i64..80, 1..80),
    ) {
        let rate = Rate::new(1, Duration::from_nanos(interval_ns));
        let (mut gcra, mut bucket) = (Gcra::new(rate, burst), super::super::token_bucket::TokenBucket::new(rate, burst));
        let mut now = 0_u64;
        for by in steps {
            now = now.saturating_add_signed(by);
            prop_assert_eq!(gcra.take(Time(now)).map_err(Some), bucket.take(Time(now), 1));
        }
    }

    // Whatever a link does with messages, all items arrive once and in order, no more are kept than there is room for, and
    // nothing is refused for want of credit.
    #[test]
    fn credit_survives_loss_doubles_and_disorder(
        window in 1_u32..4,
        fates in prop::collection::vec((0_u8..4, 0_usize..8), 0..300),
    ) {
        let resend_after = Duration::from_nanos(3);
        let config = credit::Config { window, resend_after, mutants: Mutants::default() };
        let (mut sender, mut receiver) = (Sender::new(&config, Time(0)), Receiver::new(&config));
        let (mut there, mut back, mut pushed, mut taken) = (vec![], vec![], 0_u64, vec![]);
        // At last the link is well.
        let well = std::iter::repeat_with(|| None).take(400);
        for (now, fate) in fates.into_iter().map(Some).chain(well).enumerate() {
            let now = Time(now as u64);
            pushed += u64::from(pushed < 12 && sender.push(pushed).is_ok());
            there.extend(sender.to_send(&config, now));
            let (how, which) = fate.unwrap_or((0, 0));
            if !there.is_empty() {
                let at = which % there.len();
                let message: ToReceiver<u64> = if how == 1 { there[at].clone() } else { there.remove(at) };
                if how != 2 {
                    back.push(receiver.on_message(&config, message).expect("it has credit"));
                }
            }
            prop_assert!(receiver.kept() <= window && sender.unanswered() <= window);
            if how != 3 && let Some((item, grant)) = receiver.take(&config) {
                taken.push(item);
                back.push(grant);
            }
            if !back.is_empty() {
                let at = which % back.len();
                let grant = if how == 1 { back[at] } else { back.remove(at) };
                if how != 2 {
                    sender.on_grant(&config, now, grant);
                }
            }
        }
        prop_assert_eq!(taken, (0..12).collect::<Vec<_>>());
    }
}

fn buffer_last<T: Clone>(buffer: &Buffer<T>) -> &T {
    buffer.last().expect("it was accepted")
}

#[tokio::test(start_paused = true)]
async fn a_sink_and_a_stream_with_a_bounded_buffer_between() {
    let (mut producer, mut consumer) = channel("x", config(2, Strategy::Block));
    let handle = consumer.handle();
    let sent = tokio::spawn(async move {
        for item in 0..20 {
            producer.feed(item).await.unwrap();
        }
        SinkExt::<i32>::close(&mut producer).await.unwrap();
        // Closed, it is a producer no more, though it is still there.
        assert_eq!(producer.send(20).await, Err(SendError { item: 20, refused: Refused::Closed }));
        producer
    });
    let mut taken = vec![];
    while let Some(item) = poll_fn(|cx| futures_core::Stream::poll_next(Pin::new(&mut consumer), cx)).await {
        assert!(handle.queued() <= 2);
        taken.push(item);
        sleep(Duration::from_millis(1)).await;
    }
    drop(sent.await.unwrap());
    assert_eq!(taken, (0..20).collect::<Vec<_>>());
    assert_eq!(handle.tally(), Tally { accepted: 20, processed: 20, dropped: 0 });
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_passes_the_turn_on_and_who_takes_nothing_any_more_says_so() {
    let (producer, mut consumer) = channel("x", config(1, Strategy::Block));
    producer.send(0).await.unwrap();
    let blocked: Vec<_> = (1..4)
        .map(|item| {
            let producer = producer.clone();
            tokio::spawn(async move { producer.send(item).await })
        })
        .collect();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(producer.handle().blocked(), 3);
    blocked[0].abort();
    assert_eq!(consumer.recv().await, Some(0));
    assert_eq!(consumer.recv().await, Some(2));
    sleep(Duration::from_millis(1)).await;
    let handle = producer.handle();
    drop(consumer);
    assert_eq!(producer.send(9).await, Err(SendError { item: 9, refused: Refused::Closed }));
    // The one that was queued is dropped, and nobody stays blocked.
    for sent in blocked {
        let _ = sent.await;
    }
    assert_eq!((handle.tally(), handle.blocked()), (Tally { accepted: 3, processed: 2, dropped: 1 }, 0));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_producer_comes_at_the_rate() {
    let rate = Some(Rate::per_second(100));
    let (producer, mut consumer) =
        channel("x", Config { throttle_rate: rate, throttle_burst: 3, ..config(100, Strategy::Block) });
    let begin = Moment::now();
    let producers: Vec<_> = (0..8)
        .map(|item| {
            let producer = producer.clone();
            tokio::spawn(async move { producer.send(item).await })
        })
        .collect();
    drop(producer);
    let mut at = vec![];
    while let Some(item) = consumer.recv().await {
        at.push((item, begin.elapsed().as_millis() / 10));
    }
    assert_eq!(at, [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2), (5, 3), (6, 4), (7, 5)]);
    for producer in producers {
        producer.await.unwrap().unwrap();
    }
}

/// In front of a service that sleeps as long as it is told, then does what it is told.
fn sleeper(
    config: Config,
) -> (
    BackpressureService<
        impl tower::Service<(u64, u8), Response = u64, Error = &'static str, Future: Send> + Clone,
    >,
    layer::Handle,
) {
    let layer = BackpressureLayer::new("x", config);
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

#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_on_success_error_panic_cancellation_and_timeout() {
    let processing_timeout = Duration::from_millis(100);
    let (mut service, handle) =
        sleeper(Config { concurrency: 1, processing_timeout, ..config(1, Strategy::Block) });
    assert_eq!(service.call((1, 0)).await, Ok(1));
    assert_eq!(service.call((1, 1)).await, Err(Error::Inner("it failed")));
    assert!(tokio::spawn(service.call((1, 2))).await.is_err());
    drop(service.call((1, 0)));
    assert_eq!(service.call((1_000, 0)).await, Err(Error::TimedOut(processing_timeout)));
    assert_eq!((handle.processing(), handle.queued(), handle.blocked()), (0, 0, 0));
    // One is processed, one queued, one blocked; each is cancelled where it is.
    for which in 0..3 {
        let begin = Moment::now();
        let calls: Vec<_> = (0..3).map(|_| tokio::spawn(service.call((10, 0)))).collect();
        sleep(Duration::from_millis(1)).await;
        assert_eq!((handle.processing(), handle.queued(), handle.blocked()), (1, 1, 1));
        calls[which].abort();
        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.is_ok(), number != which);
        }
        assert!((20..=22).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());
        assert_eq!((handle.processing(), handle.queued(), handle.blocked()), (0, 0, 0));
    }
    let tally = handle.tally();
    assert_eq!(tally.accepted, tally.processed + tally.dropped);
}

#[tokio::test(start_paused = true)]
async fn calls_are_refused_dropped_or_shed_and_hear_of_it() {
    let (mut service, _) = sleeper(Config { concurrency: 1, ..config(1, Strategy::DropNewest) });
    let calls = [5, 5].map(|ms| tokio::spawn(service.call((ms, 0))));
    assert_eq!(service.call((5, 0)).await, Err(Error::Refused(Refused::Full)));
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(5));
    }
    let (mut service, handle) = sleeper(Config { concurrency: 1, ..config(1, Strategy::DropOldest) });
    let calls = [1, 2, 3].map(|ms| tokio::spawn(service.call((ms, 0))));
    let mut results = vec![];
    for call in calls {
        results.push(call.await.unwrap());
    }
    assert_eq!(results, [Ok(1), Err(Error::Dropped(Dropped::ForNewer)), Ok(3)]);
    assert_eq!(handle.tally(), Tally { accepted: 3, processed: 2, dropped: 1 });
    let shed = Some(Shed { target: Duration::from_millis(5), interval: Duration::from_millis(20) });
    let (mut service, handle) = sleeper(Config { concurrency: 1, shed, ..config(100, Strategy::DropNewest) });
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(service.call((4, 0)))).collect();
    let mut shed = 0;
    for call in calls {
        shed += u64::from(call.await.unwrap() == Err(Error::Dropped(Dropped::Shed)));
    }
    assert!(shed > 0 && handle.tally().dropped == shed, "{shed}");
}

/// Three producers of two items each, and a consumer, in a thread each. Whether all arrive.
fn all_arrive(mutants: Mutants<Mutant>) -> bool {
    let race = move || {
        let config = Config { mutants, ..config(1, Strategy::Block) };
        let (producer, mut consumer) =
            channel_with::<u32, _, ShuttleLock<ChannelInner<u32>>>("x", config, ManualClock::default());
        for number in 0..3 {
            let producer = producer.clone();
            shuttle::thread::spawn(move || {
                shuttle::future::block_on(async {
                    for item in 0..2 {
                        producer.send(number * 2 + item).await.expect("somebody takes it");
                    }
                });
            });
        }
        drop(producer);
        shuttle::future::block_on(async {
            let mut taken = vec![];
            while let Some(item) = consumer.recv().await {
                taken.push(item);
            }
            taken.sort_unstable();
            assert_eq!(taken, [0, 1, 2, 3, 4, 5]);
        });
    };
    std::panic::catch_unwind(|| shuttle::check_random(race, 1_000)).is_ok()
}

#[test]
fn threads_that_race_all_get_in_and_none_sleeps_for_ever() {
    assert!(all_arrive(Mutants::default()));
    assert!(!all_arrive(Mutants::only(Mutant::TakeWakesNobody)));
}

// The layer takes a lock of shuttle's and a clock that is set by hand, too.
#[test]
fn the_layer_takes_any_lock_and_clock() {
    shuttle::check_random(
        || {
            let config = Config { concurrency: 1, ..config(1, Strategy::DropOldest) };
            let layer =
                BackpressureLayer::<_, ShuttleLock<LayerInner>>::with("x", config, ManualClock::default());
            let handle = layer.handle();
            let mut service = layer.layer(service_fn(|()| std::future::ready(Ok::<_, ()>(()))));
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let call = service.call(());
                    shuttle::thread::spawn(move || drop(call))
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
            assert_eq!((handle.processing(), handle.queued()), (0, 0));
        },
        200,
    );
}
