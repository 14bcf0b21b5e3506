//! Clients that call HTTP servers through bulkheads, one for each server; and a witness, who counts.

use crate::resilience::component::{Ask, Witness};
use crate::resilience::dependency::{CallError, Watched, Watcher};
use crate::world::sim::AskError;
use shakedown_impls::mutants::Mutants;
use shakedown_impls::object::register::{Op, Ret};
use shakedown_impls::protocol::NodeId;
use shakedown_impls::resilience::bulkhead::{
    BulkheadLayer, BulkheadService, Config, Error, Handle, Mutant, Refused,
};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tower_layer::Layer as _;
use tower_service::Service;

/// How long a call may take once it is under way: shorter than a client's patience, so that it is this that ends it.
const EXECUTION: Duration = Duration::from_millis(60);

/// One or two at a time, one or two waiting: clients are few.
fn config(mutants: Mutants<Mutant>, seed: u64) -> Config {
    Config {
        max_concurrent_calls: 1 + (seed % 2) as u32,
        max_wait_queue_size: 1 + (seed / 2 % 2) as u32,
        max_wait: Duration::from_millis(30),
        execution_timeout: EXECUTION,
        adaptive: None,
        mutants,
    }
}

/// Clients that ask through bulkheads.
pub(super) fn through_compartments(mutants: Mutants<Mutant>, seed: u64, witness: Witness) -> Ask {
    let compartments: RefCell<BTreeMap<NodeId, Compartment>> = RefCell::default();
    Box::new(move |op, node| {
        // Made by the first who asks: the clock is that of the clients' host.
        let mut all = compartments.borrow_mut();
        let compartment =
            all.entry(node).or_insert_with(|| Compartment::new(node, config(mutants, seed), witness.clone()));
        Box::pin(compartment.ask(op))
    })
}

/// A server behind a bulkhead, and who looks on.
struct Compartment {
    service: BulkheadService<Watched<Counts>>,
    handle: Handle,
    counts: Rc<Counts>,
    asked: u64,
}

impl Compartment {
    fn new(node: NodeId, config: Config, witness: Witness) -> Compartment {
        let layer = BulkheadLayer::new(&node.to_string(), config.clone());
        let counts = Rc::new(Counts { config, witness, under_way: Cell::new(0), line: RefCell::default() });
        let service = layer.layer(Watched { node, patience: EXECUTION * 10, watcher: Rc::clone(&counts) });
        Compartment { service, handle: layer.handle(), counts, asked: 0 }
    }

    fn ask(&mut self, op: Op) -> impl Future<Output = Result<Ret, AskError>> + use<> {
        let number = self.asked;
        self.asked += 1;
        let call = self.service.call((number, op));
        // Whoever is in line was there before it.
        self.counts.line.borrow_mut().push_back(number);
        self.counts.waits(self.handle.waiting());
        let mut asking = Asking { call: Some(Box::pin(call)), number, counts: Rc::clone(&self.counts) };
        async move {
            let result = asking.call.as_mut().expect("it has only begun").await;
            result.map_err(|error| match error {
                Error::Refused(refused) => {
                    asking.counts.witness.saw([match refused {
                        Refused::Full => "a call is refused",
                        Refused::WaitedTooLong | Refused::NotReady => "a call has waited too long",
                    }]);
                    AskError::Refused(refused.to_string())
                }
                Error::TimedOut(_) => {
                    asking.counts.witness.saw(["a call takes too long"]);
                    AskError::Unknown(error.to_string())
                }
                Error::Inner(CallError::Refused(why)) => AskError::Refused(why),
                Error::Inner(CallError::Unknown(why)) => AskError::Unknown(why),
            })
        }
    }
}

/// What a witness counts.
struct Counts {
    config: Config,
    witness: Witness,
    under_way: Cell<u32>,
    /// Who has asked and not begun, first come first.
    line: RefCell<VecDeque<u64>>,
}

impl Counts {
    fn waits(&self, waiting: u32) {
        self.witness.saw((waiting > 0).then_some("a call waits"));
        if waiting > self.config.max_wait_queue_size {
            self.witness.objects(format!("{waiting} calls wait"));
        }
    }
}

impl Watcher for Counts {
    fn begins(&self, number: u64) {
        let under_way = self.under_way.get() + 1;
        self.under_way.set(under_way);
        if under_way > self.config.max_concurrent_calls {
            self.witness.objects(format!("{under_way} calls are under way"));
        }
        let mut line = self.line.borrow_mut();
        let before = line.iter().take_while(|&&other| other != number).count();
        // Of several whose turn it is, the one that is woken first begins first.
        if before > 0 && self.config.max_concurrent_calls == 1 {
            self.witness.objects(format!("a call begins before {before} that came earlier"));
        }
        self.witness.saw((line.len() > 1).then_some("one begins and another waits"));
        line.retain(|&other| other != number);
    }

    fn ends(&self) {
        self.under_way.set(self.under_way.get() - 1);
    }
}

/// Somebody who asks, and stands in line no more when nobody waits for the answer.
struct Asking<F> {
    call: Option<Pin<Box<F>>>,
    number: u64,
    counts: Rc<Counts>,
}

impl<F> Drop for Asking<F> {
    fn drop(&mut self) {
        self.call = None;
        let number = self.number;
        self.counts.line.borrow_mut().retain(|&other| other != number);
    }
}
