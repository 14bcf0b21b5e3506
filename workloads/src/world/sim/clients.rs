//! Clients: each asks what its script says, one thing at a time, and writes down what comes of it.

use super::server::AskError;
use super::shared::Shared;
use crate::operation::Operation;
use crate::random::Random;
use crate::scenario::{Request, Scenario};
use crate::trace::{Kind, Place};
use shakedown_impls::protocol::{NodeId, RequestId};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// How a client asks a node.
pub(super) trait Asks<Op: Operation> {
    /// Asks, and waits for the answer. The future may be dropped at any time.
    fn ask(&mut self, node: NodeId, id: RequestId, op: Op)
    -> impl Future<Output = Result<Op::Ret, AskError>>;

    /// Asks nothing for a while.
    fn rest(&mut self, duration: Duration) -> impl Future<Output = ()>;
}

/// What one client does.
pub(super) struct Client<Op, A> {
    shared: Rc<Shared>,
    number: u32,
    script: Vec<Request<Op>>,
    last: Vec<Op>,
    length: Duration,
    patience: Duration,
    retry: Option<Duration>,
    last_retry: Option<Duration>,
    asks: A,
    node: NodeId,
    random: Random,
}

impl<Op: Operation, A: Asks<Op>> Client<Op, A> {
    pub(super) fn new(shared: Rc<Shared>, scenario: &Scenario<Op>, number: u32, asks: A) -> Client<Op, A> {
        let mut random = Random::stream(scenario.seed, "client", u64::from(number));
        Client {
            number,
            script: scenario.scripts[number as usize].clone(),
            last: scenario.last.clone(),
            length: Duration::from_millis(scenario.length_ms),
            patience: Duration::from_millis(scenario.timeout_ms),
            retry: scenario.retry_ms.map(|ms| Duration::from_millis(ms.max(1))),
            last_retry: scenario.last_retry_ms().map(|ms| Duration::from_millis(ms.max(1))),
            asks,
            node: NodeId(random.below(u64::from(shared.nodes)) as u16),
            random,
            shared,
        }
    }

    pub(super) async fn run(mut self) {
        let start = Instant::now();
        let healed = start + self.length;
        for Request { due_us, op } in std::mem::take(&mut self.script) {
            self.rest_until(healed.min(start + Duration::from_micros(due_us))).await;
            if Instant::now() >= healed {
                break;
            }
            let patience = Instant::now() + self.patience;
            self.ask(op, Some(patience)).await;
        }
        self.rest_until(healed).await;
        self.retry = self.last_retry;
        // The healed cluster gets all the time there is.
        for op in std::mem::take(&mut self.last) {
            self.ask(op, None).await;
        }
        self.shared.state().done += 1;
    }

    async fn rest_until(&mut self, until: Instant) {
        self.asks.rest(until.saturating_duration_since(Instant::now())).await;
    }

    /// Asks until there is an answer, somewhere else if a node cannot have heard it or may hear it twice;
    /// until `patience` ends if it does.
    async fn ask(&mut self, op: Op, patience: Option<Instant>) {
        let id = self.request();
        let (shared, place) = (self.shared.clone(), Place::Client(self.number));
        shared.trace(place, Kind::Asks, || format!("{}: {op:?}", self.node));
        let now = shared.now();
        shared.state().recorder.invoked(self.number, &op, now);
        let mut may_have_happened = false;
        loop {
            let retry = self.retry.filter(|_| op.is_repeatable()).map(|retry| Instant::now() + retry);
            let asked = self.asks.ask(self.node, id, op.clone());
            let limit = retry.into_iter().chain(patience).min();
            let answer = match limit {
                Some(limit) => timeout_at(limit, asked).await.ok(),
                None => Some(asked.await),
            };
            match answer {
                Some(Ok(ret)) => {
                    shared.trace(place, Kind::Answered, || format!("{ret:?} to {op:?}"));
                    let (now, state) = (shared.now(), &mut *shared.state());
                    state.counts.seen += u64::from(op.shows_effect(&ret));
                    state.recorder.answered(self.number, &op, &ret, now);
                    return;
                }
                Some(Err(AskError::Refused(why))) => self.moves_on(&op, &why),
                Some(Err(AskError::Unknown(why))) => {
                    may_have_happened = true;
                    self.moves_on(&op, &why);
                }
                None => {
                    may_have_happened = true;
                    self.moves_on(&op, "no answer");
                }
            }
            let is_over = patience.is_some_and(|patience| Instant::now() >= patience);
            if is_over || (may_have_happened && !op.is_repeatable()) {
                break;
            }
            let pause = self.random.below(10) + 1;
            let pause = Instant::now() + Duration::from_millis(pause);
            sleep_until(patience.map_or(pause, |patience| pause.min(patience))).await;
        }
        shared.trace(place, Kind::GivesUp, || format!("{op:?}"));
        let (now, state) = (shared.now(), &mut *shared.state());
        match may_have_happened {
            true => state.recorder.gave_up(self.number, &op, now),
            false => state.recorder.failed(self.number, &op, now),
        }
    }

    fn request(&self) -> RequestId {
        let mut state = self.shared.state();
        state.requests += 1;
        RequestId(state.requests)
    }

    fn moves_on(&mut self, op: &Op, why: &str) {
        self.node = NodeId(self.random.below(u64::from(self.shared.nodes)) as u16);
        let node = self.node;
        let what = || format!("{node} is next ({why}): {op:?}");
        self.shared.trace(Place::Client(self.number), Kind::Retries, what);
    }
}

/// All clients in one task, so that they run in the order of their numbers.
pub(super) struct Together<F>(pub(super) Vec<Option<Pin<Box<F>>>>);

impl<F: Future<Output = ()>> Future for Together<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for slot in &mut self.0 {
            if let Some(client) = slot
                && client.as_mut().poll(cx).is_ready()
            {
                *slot = None;
            }
        }
        if self.0.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A client that is a function.
pub(super) struct ByFunction<C> {
    pub(super) ask: Rc<C>,
}

impl<Op, C, F> Asks<Op> for ByFunction<C>
where
    Op: Operation,
    C: Fn(Op, NodeId) -> F,
    F: Future<Output = Result<Op::Ret, AskError>>,
{
    async fn ask(&mut self, node: NodeId, _: RequestId, op: Op) -> Result<Op::Ret, AskError> {
        (self.ask)(op, node).await
    }

    async fn rest(&mut self, duration: Duration) {
        if duration > Duration::ZERO {
            sleep(duration).await;
        }
    }
}
