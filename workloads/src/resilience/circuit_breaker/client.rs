//! Clients that call HTTP servers through circuit breakers, one for each server; and a witness, who keeps a ledger
//! beside each.

use super::callers::agree;
use super::ledger::Ledger;
use crate::resilience::component::{Ask, Witness};
use crate::resilience::dependency::{CallError, call};
use crate::world::sim::AskError;
use shakedown_impls::mutants::Mutants;
use shakedown_impls::object::register::{Op, Ret};
use shakedown_impls::protocol::NodeId;
use shakedown_impls::resilience::circuit_breaker::{
    Call, CircuitBreakerLayer, CircuitBreakerService, Config, Error, Handle, Mutant,
};
use shakedown_impls::resilience::clock::{Clock as _, TokioClock};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_layer::Layer as _;
use tower_service::Service;

/// How long a call may take. Above it the client loses patience, and that says nothing of the server.
const PATIENCE: Duration = Duration::from_millis(60);

/// Clients that ask through breakers.
pub(super) fn through_breakers(mutants: Mutants<Mutant>, seed: u64, witness: Witness) -> Ask {
    let config = Config {
        closed_window_size: 8,
        minimum_calls: 4,
        half_open_allowed_requests: 2,
        // Some calls take longer.
        half_open_timeout: Duration::from_millis(40),
        reset_timeout: Duration::from_millis(40),
        reset_timeout_max: Duration::from_millis(160),
        // The ledger knows none.
        jitter_percentage: 0,
        seed,
        mutants,
        ..Config::default()
    };
    let guarded: RefCell<BTreeMap<NodeId, Guarded>> = RefCell::default();
    Box::new(move |op, node| {
        // Made by the first who asks: the clock is that of the clients' host.
        let mut all = guarded.borrow_mut();
        let guarded = all.entry(node).or_insert_with(|| Guarded::new(node, &config, witness.clone()));
        Box::pin(guarded.ask(op))
    })
}

/// A server behind a breaker, and who looks on.
struct Guarded {
    service: CircuitBreakerService<Http>,
    made: Rc<Cell<u64>>,
    beside: Beside,
}

impl Guarded {
    fn new(node: NodeId, config: &Config, witness: Witness) -> Guarded {
        let layer = CircuitBreakerLayer::new(&node.to_string(), config.clone());
        let made = Rc::<Cell<u64>>::default();
        let beside = Beside {
            ledger: Rc::default(),
            handle: layer.handle(),
            clock: TokioClock::default(),
            config: Rc::new(config.clone()),
            witness,
        };
        Guarded { service: layer.layer(Http { node, made: Rc::clone(&made) }), made, beside }
    }

    fn ask(&mut self, op: Op) -> impl Future<Output = Result<Ret, AskError>> + use<> {
        let before = self.made.get();
        // It is always ready.
        let call = self.service.call(op);
        let period = self.beside.asked(self.made.get() > before);
        let mut looked_at = LookedAt { call: Some(Box::pin(call)), beside: self.beside.clone(), period };
        async move {
            let result = looked_at.call.as_mut().expect("it has only begun").await;
            looked_at.ended(match &result {
                Ok(_) => Some(Call::Succeeded),
                Err(Error::Inner(_)) => Some(Call::Failed),
                Err(Error::Refused(_)) => None,
            });
            result.map_err(|error| match error {
                Error::Refused(refused) => AskError::Refused(refused.to_string()),
                Error::Inner(CallError::Refused(why)) => AskError::Refused(why),
                Error::Inner(CallError::Unknown(why)) => AskError::Unknown(why),
            })
        }
    }
}

/// The server as a service.
struct Http {
    node: NodeId,
    /// Calls that were made.
    made: Rc<Cell<u64>>,
}

impl Service<Op> for Http {
    type Response = Ret;
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<Ret, CallError>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, op: Op) -> Self::Future {
        self.made.set(self.made.get() + 1);
        Box::pin(call(self.node, op, PATIENCE))
    }
}

/// A ledger beside a breaker.
#[derive(Clone)]
struct Beside {
    ledger: Rc<RefCell<Ledger>>,
    handle: Handle,
    clock: TokioClock,
    config: Rc<Config>,
    witness: Witness,
}

impl Beside {
    /// A client has asked, and its call was made or not. The period in which the ledger has it begin.
    fn asked(&self, is_made: bool) -> Option<u32> {
        let mut seen = vec![];
        let period = self.ledger.borrow_mut().ask(&self.config, self.clock.now().0, &mut seen);
        self.witness.saw(seen);
        if is_made != period.is_some() {
            let what = if is_made { "passes that should be refused" } else { "is refused that should pass" };
            self.witness.objects(format!("a call {what}"));
        }
        self.compare();
        period.filter(|_| is_made)
    }

    fn ended(&self, period: u32, call: Call) {
        let mut seen = vec![];
        self.ledger.borrow_mut().end(&self.config, self.clock.now().0, period, call, &mut seen);
        self.witness.saw(seen);
        self.compare();
    }

    fn compare(&self) {
        let is = (self.handle.state(), self.handle.trials_under_way());
        if let Err(how) = agree(is, self.ledger.borrow().expects()) {
            self.witness.objects(how);
        }
    }
}

/// A call that is looked at until it ends, which may be because nobody waits for it any more.
struct LookedAt<F> {
    /// Ended before the ledger hears of it.
    call: Option<Pin<Box<F>>>,
    beside: Beside,
    period: Option<u32>,
}

impl<F> LookedAt<F> {
    fn ended(&mut self, call: Option<Call>) {
        if let (Some(period), Some(call)) = (self.period.take(), call) {
            self.beside.ended(period, call);
        }
    }
}

impl<F> Drop for LookedAt<F> {
    fn drop(&mut self) {
        self.call = None;
        self.ended(Some(Call::SaidNothing));
    }
}
