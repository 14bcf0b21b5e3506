//! Clients that call HTTP servers through buffers, one for each server; and a witness, who keeps the books.

use crate::resilience::component::{Ask, Witness};
use crate::resilience::dependency::{CallError, Watched, Watcher};
use crate::world::sim::AskError;
use shakedown_impls::mutants::Mutants;
use shakedown_impls::object::register::{Op, Ret};
use shakedown_impls::protocol::{NodeId, Time};
use shakedown_impls::resilience::backpressure::{
    BackpressureLayer, BackpressureService, Config, Dropped, Error, LayerHandle, Mutant, Refused, Shed,
    Strategy, ThrottleBy,
};
use shakedown_impls::resilience::clock::{Clock as _, TokioClock};
use shakedown_impls::resilience::token_bucket::Rate;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::time::Duration;
use tower_layer::Layer as _;
use tower_service::Service;

/// How long a call may be processed: shorter than a client's patience, so that it is this that ends it.
const PROCESSING: Duration = Duration::from_millis(60);

/// Of each kind, by the seed. Clients are few, so there is little room.
fn config(mutants: Mutants<Mutant>, seed: u64) -> Config {
    let throttled = seed / 3 % 2 == 1;
    Config {
        buffer_size: 1 + (seed / 6 % 2) as u32,
        strategy: [Strategy::Block, Strategy::DropNewest, Strategy::DropOldest][(seed % 3) as usize],
        throttle_rate: throttled.then(|| Rate::new(1, Duration::from_millis(8))),
        throttle_burst: 2,
        throttle_by: [ThrottleBy::TokenBucket, ThrottleBy::Gcra][(seed / 12 % 2) as usize],
        shed: (!throttled)
            .then_some(Shed { target: Duration::from_millis(2), interval: Duration::from_millis(10) }),
        concurrency: 1,
        processing_timeout: PROCESSING,
        mutants,
    }
}

/// Clients that ask through buffers.
pub(super) fn through_buffers(mutants: Mutants<Mutant>, seed: u64, witness: Witness) -> Ask {
    let buffers: RefCell<BTreeMap<NodeId, Buffered>> = RefCell::default();
    Box::new(move |op, node| {
        // Made by the first who asks: the clock is that of the clients' host.
        let mut all = buffers.borrow_mut();
        let buffered =
            all.entry(node).or_insert_with(|| Buffered::new(node, config(mutants, seed), witness.clone()));
        Box::pin(buffered.ask(op))
    })
}

/// A server behind a buffer, and who looks on.
struct Buffered {
    service: BackpressureService<Watched<Books>>,
    books: Rc<Books>,
    asked: u64,
}

impl Buffered {
    fn new(node: NodeId, config: Config, witness: Witness) -> Buffered {
        let layer = BackpressureLayer::new(&node.to_string(), config.clone());
        let books = Rc::new(Books {
            config,
            witness,
            handle: layer.handle(),
            clock: TokioClock::default(),
            under_way: Cell::new(0),
            begun: Cell::new(0),
            accepted: RefCell::default(),
            line: RefCell::default(),
        });
        Buffered {
            service: layer.layer(Watched { node, patience: PROCESSING * 10, watcher: Rc::clone(&books) }),
            books,
            asked: 0,
        }
    }

    fn ask(&mut self, op: Op) -> impl Future<Output = Result<Ret, AskError>> + use<> {
        let number = self.asked;
        self.asked += 1;
        self.books.line.borrow_mut().push_back(number);
        let call = self.service.call((number, op));
        self.books.look();
        let asking = Asking { number, books: Rc::clone(&self.books) };
        async move {
            let (asking, mut call) = (asking, Box::pin(call));
            let result = poll_fn(|cx| {
                let result = call.as_mut().poll(cx);
                asking.books.look();
                result
            });
            result.await.map_err(|error| asking.books.told(error))
        }
    }
}

/// What a witness writes down.
struct Books {
    config: Config,
    witness: Witness,
    handle: LayerHandle,
    clock: TokioClock,
    under_way: Cell<u32>,
    begun: Cell<u64>,
    /// When something was accepted.
    accepted: RefCell<Vec<Time>>,
    /// Who has asked and not begun, first come first.
    line: RefCell<VecDeque<u64>>,
}

impl Books {
    /// The buffer may have done something.
    fn look(&self) {
        let (tally, queued) = (self.handle.tally(), self.handle.queued());
        let now = self.clock.now();
        let mut accepted = self.accepted.borrow_mut();
        let count = accepted.len().max(tally.accepted as usize);
        accepted.resize(count, now);
        self.witness.saw((queued > 0).then_some("a call is queued"));
        self.witness.saw((self.handle.blocked() > 0).then_some("a call is blocked"));
        if queued > self.config.buffer_size {
            self.witness.objects(format!("{queued} calls are queued"));
        }
        if tally.accepted != tally.processed + tally.dropped + u64::from(queued) {
            self.witness.objects(format!("{tally:?} and {queued} queued do not balance"));
        }
        if self.begun.get() > tally.processed {
            self.witness.objects(format!("{} calls have begun, and it counts {tally:?}", self.begun.get()));
        }
        if let Some(rate) = self.config.throttle_rate {
            self.keeps(rate, &accepted);
        }
    }

    /// Since no earlier time were more accepted than the burst and the rate allow.
    fn keeps(&self, rate: Rate, accepted: &[Time]) {
        let Some(last) = accepted.last() else { return };
        for (before, since) in accepted.iter().enumerate() {
            let over = (accepted.len() - before) as u64;
            let over = over.saturating_sub(u64::from(self.config.throttle_burst));
            if over * rate.per_ns() > (last.0 - since.0) * u64::from(rate.tokens()) {
                self.witness.objects(format!("{} calls are accepted at once", accepted.len() - before));
                return;
            }
        }
    }

    fn told(&self, error: Error<CallError>) -> AskError {
        self.witness.saw(match error {
            Error::Refused(Refused::Full) => Some("a call is refused for want of room"),
            Error::Refused(Refused::TooFast { .. }) => Some("a call is refused as too fast"),
            Error::Refused(Refused::Closed) => None,
            Error::Dropped(Dropped::ForNewer) => Some("a call is dropped for a newer one"),
            Error::Dropped(Dropped::Shed) => Some("a call is shed"),
            Error::Dropped(Dropped::NotReady) => None,
            Error::TimedOut(_) => Some("a call takes too long"),
            Error::Inner(_) => None,
        });
        match error {
            Error::TimedOut(_) => AskError::Unknown(error.to_string()),
            Error::Inner(CallError::Unknown(why)) => AskError::Unknown(why),
            Error::Inner(CallError::Refused(why)) => AskError::Refused(why),
            Error::Refused(_) | Error::Dropped(_) => AskError::Refused(error.to_string()),
        }
    }
}

impl Watcher for Books {
    fn begins(&self, number: u64) {
        self.begun.set(self.begun.get() + 1);
        let under_way = self.under_way.get() + 1;
        self.under_way.set(under_way);
        if under_way > self.config.concurrency {
            self.witness.objects(format!("{under_way} calls are processed"));
        }
        let mut line = self.line.borrow_mut();
        let before = line.iter().take_while(|&&other| other != number).count();
        // Those that were dropped for it may not have heard of it yet.
        if before > 0 && self.config.strategy == Strategy::Block && self.config.shed.is_none() {
            self.witness.objects(format!("a call begins before {before} that came earlier"));
        }
        line.retain(|&other| other != number);
    }

    fn ends(&self) {
        self.under_way.set(self.under_way.get() - 1);
    }
}

/// Somebody who asks, and stands in line no more when nobody waits for the answer.
struct Asking {
    number: u64,
    books: Rc<Books>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        let number = self.number;
        self.books.line.borrow_mut().retain(|&other| other != number);
        self.books.look();
    }
}
