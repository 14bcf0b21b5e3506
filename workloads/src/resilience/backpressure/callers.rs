//! Producers at a buffer, for the model world: they offer, wait, notice that it is their turn, or go away; somebody takes;
//! time passes, and the clock is set back. A list of everything that happened is kept beside it, and the buffer must agree
//! with it.

use super::ledger::{Ledger, Offer};
use crate::world::callers::{Scene, time};
use shakedown_impls::protocol::Time;
use shakedown_impls::resilience::backpressure::{Buffer, Config, Offered, Refused, Strategy, Ticket};
use std::fmt::{self, Display};

/// Producers at a buffer.
#[derive(Clone, Debug)]
pub struct Callers {
    /// The buffer's.
    pub config: Config,
    /// How many producers.
    pub callers: usize,
    /// How many items each of them offers.
    pub calls: u8,
    /// How many ticks pass.
    pub ticks: u8,
    /// By how many the clock is set back, once.
    pub back: u8,
}

/// All of it at one time.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Now {
    buffer: Buffer<u8>,
    /// How often it ticked, and how much of that the clock shows.
    ticks: u8,
    clock: u8,
    producers: Vec<Producer>,
    ledger: Ledger,
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct Producer {
    waits: Option<(Ticket, u8)>,
    /// How many it has left to offer.
    left: u8,
}

/// What somebody does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A producer offers something.
    Offer(usize),
    /// One that waits offers it again.
    Again(usize),
    /// One that waits goes away.
    Leave(usize),
    /// Something is taken.
    Take,
    /// Time passes.
    Tick,
    /// The clock is set back.
    Back,
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Offer(producer) => write!(f, "p{producer} offers an item"),
            Step::Again(producer) => write!(f, "p{producer} looks whether it may come in"),
            Step::Leave(producer) => write!(f, "p{producer} goes away"),
            Step::Take => f.write_str("an item is taken"),
            Step::Tick => f.write_str("a millisecond passes"),
            Step::Back => f.write_str("the clock is set back"),
        }
    }
}

impl Scene for Callers {
    type State = Now;
    type Step = Step;

    fn sometimes(&self) -> Vec<&'static str> {
        let config = &self.config;
        let may_wait = config.strategy == Strategy::Block;
        let throttled = config.throttle_rate.is_some();
        let when = |condition: bool, what: &[&'static str]| if condition { what.to_vec() } else { vec![] };
        [
            when(true, &["an item is taken"]),
            when(
                may_wait,
                &["a producer waits", "a blocked producer gets in", "one goes away that was first"],
            ),
            when(throttled && may_wait, &["one comes too fast, and waits"]),
            when(throttled && !may_wait, &["one comes too fast, and is refused"]),
            when(config.strategy == Strategy::DropNewest && !throttled, &["the newest is refused"]),
            when(config.strategy == Strategy::DropOldest, &["the oldest is dropped"]),
            when(config.shed.is_some(), &["an item is shed", "one in time ends the shedding"]),
        ]
        .concat()
    }

    fn start(&self) -> Now {
        Now {
            buffer: Buffer::empty(&self.config),
            ticks: 0,
            clock: 0,
            producers: vec![Producer { waits: None, left: self.calls }; self.callers],
            ledger: Ledger::default(),
        }
    }

    fn steps(&self, now: &Now, steps: &mut Vec<Step>) {
        for (number, producer) in now.producers.iter().enumerate() {
            match producer.waits {
                Some(_) => steps.extend([Step::Again(number), Step::Leave(number)]),
                None if producer.left > 0 => steps.push(Step::Offer(number)),
                None => {}
            }
        }
        steps.push(Step::Take);
        if now.ticks < self.ticks {
            steps.push(Step::Tick);
        }
        if self.back > 0 && now.clock == now.ticks && now.clock > self.back {
            steps.push(Step::Back);
        }
    }

    fn take(&self, now: &mut Now, step: &Step, seen: &mut Vec<&'static str>) -> Result<(), String> {
        match *step {
            Step::Tick => (now.ticks, now.clock) = (now.ticks + 1, now.clock + 1),
            Step::Back => now.clock -= self.back,
            Step::Offer(producer) => {
                now.producers[producer].left -= 1;
                let item = now.ledger.next_item();
                self.offer(now, producer, None, item, seen)?;
            }
            Step::Again(producer) => {
                let (ticket, item) = now.producers[producer].waits.expect("it waits");
                self.offer(now, producer, Some(ticket), item, seen)?;
            }
            Step::Leave(producer) => {
                let (ticket, item) = now.producers[producer].waits.take().expect("it waits");
                now.buffer.leave(&self.config, ticket);
                now.ledger.leaves(item, seen);
            }
            Step::Take => {
                let (at, mut shed) = (now.at(), vec![]);
                let taken = now.buffer.take(&self.config, at, &mut shed);
                now.ledger.taken(&self.config, at, taken, &shed, seen)?;
            }
        }
        self.agrees(now)
    }
}

impl Callers {
    fn offer(
        &self,
        now: &mut Now,
        producer: usize,
        ticket: Option<Ticket>,
        item: u8,
        seen: &mut Vec<&'static str>,
    ) -> Result<(), String> {
        let at = now.at();
        let expected = now.ledger.offer(&self.config, at, item, seen);
        let offered = now.buffer.offer(&self.config, at, ticket, item);
        now.producers[producer].waits = None;
        let is = match offered {
            Offered::Accepted => Offer::Accepted,
            Offered::Instead(oldest) => Offer::Instead(oldest),
            Offered::Refused(_, Refused::Full) => Offer::Full,
            Offered::Refused(_, _) => Offer::TooFast,
            Offered::Waits { ticket, until, item } => {
                now.producers[producer].waits = Some((ticket, item));
                // Whoever is told when to come need not be called.
                now.ledger.told_when(item, until);
                Offer::Waits
            }
        };
        if is == expected {
            Ok(())
        } else {
            Err(format!("an item {is}, where it should be that it {expected}"))
        }
    }

    fn agrees(&self, now: &Now) -> Result<(), String> {
        let Now { buffer, ledger, producers, .. } = now;
        ledger.balances(&self.config, buffer.tally(), buffer.queued())?;
        let first = ledger.should_be_called(&self.config);
        let ticket =
            |item| producers.iter().filter_map(|producer| producer.waits).find(|&(_, other)| other == item);
        let expected = first.and_then(ticket).map(|(ticket, _)| ticket);
        match (buffer.called(), expected) {
            (called, expected) if called == expected => Ok(()),
            (None, _) => Err("there is room, and the first producer that waits is not woken".to_owned()),
            (Some(_), None) => Err("a producer is woken for nothing".to_owned()),
            (Some(_), Some(_)) => Err("a producer is woken before the first that waits".to_owned()),
        }
    }
}

impl Now {
    fn at(&self) -> Time {
        time(self.clock)
    }
}
