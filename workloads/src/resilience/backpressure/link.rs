//! Credit between two hosts of the simulated network: datagrams that are lost, doubled, late and overtake each other, a
//! link that is cut for a while, and a receiver that takes slower than its sender could send.

use crate::random::Random;
use shakedown_impls::protocol::Time;
use shakedown_impls::resilience::backpressure::credit::{Config, Grant, Receiver, Sender, ToReceiver};
use shakedown_impls::resilience::clock::{Clock as _, TokioClock};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::time::sleep;
use turmoil::net::UdpSocket;

const PORT: u16 = 9_000;

/// How many items are sent.
pub const ITEMS: u64 = 60;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was taken, in that order.
    pub taken: Vec<u64>,
    /// The most that the receiver ever kept.
    pub kept_max: u32,
    /// Items that came without credit.
    pub refused: u32,
    /// Datagrams that were lost, and doubled.
    pub lost: u32,
    /// See [`Report::lost`].
    pub doubled: u32,
    /// How often the producer found that it had no credit.
    pub blocked: u32,
}

/// Sends [`ITEMS`] numbers over such a link, as the seed has it. Ends when all have been taken, or after a simulated minute.
pub fn carry(config: &Config, seed: u64) -> Report {
    let report = Rc::<RefCell<Report>>::default();
    let mut random = Random::stream(seed, "credit", 0);
    let mut sim = turmoil::Builder::new()
        .epoch(SystemTime::UNIX_EPOCH)
        .rng_seed(random.below(u64::MAX))
        .simulation_duration(Duration::MAX)
        .min_message_latency(Duration::ZERO)
        .max_message_latency(Duration::from_millis(1 + random.below(20)))
        .build();
    let loss = random.below(40);
    for (name, is_sender) in [("sender", true), ("receiver", false)] {
        let (config, report) = (config.clone(), Rc::clone(&report));
        let wire = Rc::new(RefCell::new(Wire {
            random: Random::stream(seed, name, 0),
            loss,
            report: Rc::clone(&report),
        }));
        sim.client(name, async move {
            let socket = UdpSocket::bind(("0.0.0.0", PORT)).await?;
            match is_sender {
                true => send(&config, &socket, &wire).await,
                false => receive(&config, &socket, &wire).await,
            }
        });
    }
    let (cut_ms, length_ms) = (20 + random.below(100), random.below(300));
    for now_ms in 0..60_000 {
        if now_ms == cut_ms {
            sim.partition("sender", "receiver");
        }
        if now_ms == cut_ms + length_ms {
            sim.repair("sender", "receiver");
        }
        sim.step().expect("neither end gives up");
        if report.borrow().taken.len() as u64 >= ITEMS {
            break;
        }
    }
    drop(sim);
    report.take()
}

/// What happens to datagrams on the way.
struct Wire {
    random: Random,
    /// So many of a hundred are lost.
    loss: u64,
    report: Rc<RefCell<Report>>,
}

impl Wire {
    /// How often a datagram is sent.
    fn times(&mut self) -> usize {
        let mut report = self.report.borrow_mut();
        if self.random.below(100) < self.loss {
            report.lost += 1;
            return 0;
        }
        let is_doubled = self.random.below(100) < 10;
        report.doubled += u32::from(is_doubled);
        1 + usize::from(is_doubled)
    }
}

type Ended = Result<(), Box<dyn std::error::Error>>;

async fn send(config: &Config, socket: &UdpSocket, wire: &RefCell<Wire>) -> Ended {
    let clock = TokioClock::default();
    let mut sender = Sender::new(config, clock.now());
    let (mut next, mut datagram) = (0, [0; 64]);
    loop {
        while next < ITEMS {
            if sender.push(next).is_err() {
                wire.borrow().report.borrow_mut().blocked += 1;
                break;
            }
            next += 1;
        }
        for message in sender.to_send(config, clock.now()) {
            let bytes = postcard::to_allocvec(&message)?;
            let times = wire.borrow_mut().times();
            for _ in 0..times {
                socket.send_to(&bytes, ("receiver", PORT)).await?;
            }
        }
        tokio::select! {
            biased;
            received = socket.recv_from(&mut datagram) => {
                let grant: Grant = postcard::from_bytes(&datagram[..received?.0])?;
                sender.on_grant(config, clock.now(), grant);
            }
            () = sleep(until(clock.now(), sender.again_at())) => {}
        }
    }
}

async fn receive(config: &Config, socket: &UdpSocket, wire: &RefCell<Wire>) -> Ended {
    let report = Rc::clone(&wire.borrow().report);
    let mut receiver = Receiver::<u64>::new(config);
    let mut datagram = [0; 64];
    loop {
        let pause_ms = wire.borrow_mut().random.below(8);
        let grant = tokio::select! {
            biased;
            received = socket.recv_from(&mut datagram) => {
                let message: ToReceiver<u64> = postcard::from_bytes(&datagram[..received?.0])?;
                let answered = receiver.on_message(config, message);
                report.borrow_mut().refused += u32::from(answered.is_err());
                answered.unwrap_or_else(|grant| grant)
            }
            () = sleep(Duration::from_millis(1 + pause_ms)), if receiver.is_ready() => {
                let (item, grant) = receiver.take(config).expect("one is there");
                report.borrow_mut().taken.push(item);
                grant
            }
        };
        {
            let mut report = report.borrow_mut();
            report.kept_max = report.kept_max.max(receiver.kept());
        }
        let bytes = postcard::to_allocvec(&grant)?;
        let times = wire.borrow_mut().times();
        for _ in 0..times {
            socket.send_to(&bytes, ("sender", PORT)).await?;
        }
    }
}

fn until(now: Time, then: Time) -> Duration {
    Duration::from_nanos(then.0.saturating_sub(now.0))
}
