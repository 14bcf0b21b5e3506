//! Clients that call HTTP servers through retries, with a budget for each server; and a witness, who keeps a ledger of what
//! is sent.
//!
//! Reads are idempotent. Every second write carries its key, so that the server does it once; the others must not happen
//! twice. Keys are the one thing that the witness does not look at: what comes of wrong ones is in the history, where a
//! value that was overwritten comes back.

use super::ledger::Ledger;
use crate::resilience::component::{Ask, Witness};
use crate::resilience::dependency::{CallError, Carried, Failed, call_carrying};
use crate::world::sim::AskError;
use shakedown_impls::mutants::Mutants;
use shakedown_impls::object::register::{Op, Ret};
use shakedown_impls::protocol::NodeId;
use shakedown_impls::resilience::clock::{Clock as _, TokioClock};
use shakedown_impls::resilience::retry::{
    Attempt, Call, Config, End, Error, Kind, Mutant, RetryLayer, RetryService, Spread,
};
use shakedown_impls::resilience::token_bucket::Rate;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_layer::Layer as _;
use tower_service::Service;

/// How long an attempt may take, and a call: shorter than a client's patience, so that it is these that end it.
const PER_TRY: Duration = Duration::from_millis(30);
const OVERALL: Duration = Duration::from_millis(80);

/// Timers go off by so much later than they are due: they count in milliseconds.
const LATE_NS: u64 = 2_000_000;

/// Pauses are short: so that calls come to their last attempt in their time.
fn config(mutants: Mutants<Mutant>, seed: u64) -> Config {
    let spreads = [Spread::Full, Spread::Percent(50), Spread::Decorrelated];
    Config {
        max_attempts: 5,
        per_try_timeout: PER_TRY,
        overall_timeout: OVERALL,
        initial_backoff: Duration::from_millis(4),
        max_backoff: Duration::from_millis(10),
        backoff_multiplier: 2,
        spread: spreads[(seed % 3) as usize],
        hedge_after: (seed / 3).is_multiple_of(2).then_some(Duration::from_millis(10)),
        budget_percent: 20,
        budget_burst: 4,
        budget_reserve: Rate::per_second(5),
        seed,
        mutants,
    }
}

/// Clients that ask through retries.
pub(super) fn through_retries(mutants: Mutants<Mutant>, seed: u64, witness: Witness) -> Ask {
    let retrying: RefCell<BTreeMap<NodeId, Retrying>> = RefCell::default();
    Box::new(move |op, node| {
        // Made by the first who asks: the clock is that of the clients' host.
        let mut all = retrying.borrow_mut();
        let retrying = all.entry(node).or_insert_with(|| {
            // Keys are drawn from it: no two servers' calls may have the same.
            let drawn_from = seed.wrapping_mul(1 << 16).wrapping_add(u64::from(node.0));
            let config = Config { seed: drawn_from, ..config(mutants, seed) };
            Retrying::new(node, config, witness.clone())
        });
        Box::pin(retrying.ask(op))
    })
}

/// A server behind retries, and who looks on.
struct Retrying {
    service: RetryService<Http, Judge>,
    beside: Rc<Beside>,
    asked: u64,
}

/// A call, as the server is sent it.
#[derive(Clone, Copy)]
struct Request {
    number: u64,
    kind: Kind,
    op: Op,
}

/// What results mean.
type Judge = fn(Result<&Ret, &Failed>) -> End;

fn classify(result: Result<&Ret, &Failed>) -> End {
    match result {
        Ok(_) => End::Succeeded,
        Err(&Failed { error: CallError::Refused(_), retry_after }) => End::Definite { retry_after },
        Err(&Failed { error: CallError::Unknown(_), retry_after }) => End::Indefinite { retry_after },
    }
}

impl Retrying {
    fn new(node: NodeId, config: Config, witness: Witness) -> Retrying {
        let clock = TokioClock::default();
        let judge: Judge = classify;
        let layer = RetryLayer::with(&node.to_string(), config.clone(), judge, clock);
        let beside = Beside { config, clock, witness, ledger: RefCell::default(), due: RefCell::default() };
        let beside = Rc::new(beside);
        let service = layer.layer(Http { node, beside: Rc::clone(&beside) });
        Retrying { service, beside, asked: 0 }
    }

    fn ask(&mut self, op: Op) -> impl Future<Output = Result<Ret, AskError>> + use<> {
        let number = self.asked;
        self.asked += 1;
        let kind = match op {
            Op::Read { .. } => Kind::Idempotent,
            Op::Write { .. } if number.is_multiple_of(2) => Kind::Keyed,
            Op::Write { .. } => Kind::Once,
        };
        let request = Request { number, kind, op };
        let call = self.service.call(match kind {
            Kind::Idempotent => Call::idempotent(request),
            Kind::Keyed => Call::keyed(request),
            Kind::Once => Call::once(request),
        });
        let since_ns = self.beside.begins(&request);
        let mut asking =
            Asking { call: Some(Box::pin(call)), number, since_ns, beside: Rc::clone(&self.beside) };
        async move {
            let result = asking.call.as_mut().expect("it has only begun").await;
            asking.beside.is_over(number, &result);
            result.map_err(|error| {
                let why = error.to_string();
                if error.is_definite { AskError::Refused(why) } else { AskError::Unknown(why) }
            })
        }
    }
}

/// The server as a service.
#[derive(Clone)]
struct Http {
    node: NodeId,
    beside: Rc<Beside>,
}

impl Service<Attempt<Request>> for Http {
    type Response = Ret;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Ret, Failed>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<Request>) -> Self::Future {
        let Request { number, kind, op } = attempt.request;
        self.beside.sends(number, attempt.remaining);
        let mut under_way = UnderWay { number, beside: Rc::clone(&self.beside), has_ended: false };
        let key = (kind == Kind::Keyed).then_some(attempt.key);
        let carried = Carried { key, remaining: Some(attempt.remaining) };
        // Nobody but the retries ends it.
        let call = call_carrying(self.node, op, carried, PER_TRY * 10);
        Box::pin(async move {
            let result = call.await;
            under_way.ends(classify(result.as_ref()));
            result
        })
    }
}

/// A ledger beside the retries.
struct Beside {
    config: Config,
    clock: TokioClock,
    witness: Witness,
    ledger: RefCell<Ledger>,
    /// When a call whose attempts have failed is sent again at the latest.
    due: RefCell<BTreeMap<u64, u64>>,
}

impl Beside {
    fn begins(&self, request: &Request) -> u64 {
        let now_ns = self.clock.now().0;
        self.ledger.borrow_mut().begins(&self.config, now_ns, request.number, request.kind);
        now_ns
    }

    fn sends(&self, number: u64, timeout: Duration) {
        let (now_ns, mut seen) = (self.clock.now().0, vec![]);
        let sent = self.ledger.borrow_mut().sends(&self.config, now_ns, number, None, timeout, &mut seen);
        self.witness.saw(seen);
        self.objects(sent);
        if self.due.borrow_mut().remove(&number).is_some_and(|due_ns| now_ns > due_ns + LATE_NS) {
            self.witness.objects("a pause is longer than it may be".to_owned());
        }
    }

    fn ends(&self, number: u64, end: End) {
        let now_ns = self.clock.now().0;
        self.ledger.borrow_mut().ends(now_ns, number, end);
        let told = match end {
            End::Definite { retry_after } | End::Indefinite { retry_after } => retry_after,
            End::Succeeded | End::Permanent => None,
        };
        let pause = told.unwrap_or_default() + self.config.max_backoff;
        let mut due = self.due.borrow_mut();
        let due_ns = due.entry(number).or_default();
        *due_ns = (now_ns + pause.as_nanos() as u64).max(*due_ns);
    }

    fn is_over(&self, number: u64, result: &Result<Ret, Error<Ret, Failed>>) {
        let mut seen = vec![];
        let mut ledger = self.ledger.borrow_mut();
        match result {
            Ok(_) => ledger.succeeds(number, &mut seen),
            Err(error) => {
                if error.is_definite && ledger.may_have_happened(number) {
                    self.witness.objects("a call is told to have failed, and may have happened".to_owned());
                }
                let now_ns = self.clock.now().0;
                self.objects(ledger.gives_up(&self.config, now_ns, number, error.why, &mut seen));
            }
        }
        self.witness.saw(seen);
    }

    fn objects(&self, result: Result<(), String>) {
        if let Err(how) = result {
            self.witness.objects(how);
        }
    }
}

/// An attempt under way, until it ends or is dropped.
struct UnderWay {
    number: u64,
    beside: Rc<Beside>,
    has_ended: bool,
}

impl UnderWay {
    fn ends(&mut self, end: End) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.beside.ends(self.number, end);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.ends(End::Indefinite { retry_after: None });
    }
}

/// Somebody who asks, until there is an answer or nobody waits for it.
struct Asking<F> {
    /// Ended before the ledger hears of it.
    call: Option<Pin<Box<F>>>,
    number: u64,
    since_ns: u64,
    beside: Rc<Beside>,
}

impl<F> Drop for Asking<F> {
    fn drop(&mut self) {
        self.call = None;
        let Beside { clock, witness, ledger, due, .. } = &*self.beside;
        ledger.borrow_mut().leaves(self.number);
        due.borrow_mut().remove(&self.number);
        let took_ns = clock.now().0 - self.since_ns;
        if took_ns > OVERALL.as_nanos() as u64 + LATE_NS {
            witness.objects(format!("a call takes {} ms, of {OVERALL:?}", took_ns / 1_000_000));
        }
    }
}
