//! What stands behind a pattern of resilience in the simulated network: HTTP servers with moods, in front of one
//! store, and a client that calls them; both are [hyper](https://docs.rs/hyper)'s.
//!
//! The store is registers that nothing happens to: what clients see of it has to be linearizable whatever the
//! pattern in between does. A server has times, drawn from the scenario's seed, in which it fails calls before or
//! after they took effect, is slow, or has more to do than it can; beside what the plan does to it. All of that
//! is over when the plan is.
//!
//! A request may carry a key and a deadline ([`Carried`]). What has a key that the store knows is answered as it was, and not
//! done again; what comes to its turn after its deadline is not done; and to those who have a deadline a server that
//! fails may say when to come back.

use crate::random::Random;
use crate::scenario::Scenario;
use crate::world::sim::{Server, ServerResult, host};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use shakedown_impls::object::register::{Key, Op, Ret, Value};
use shakedown_impls::protocol::NodeId;
use shakedown_impls::resilience::clock::{Clock as _, TokioClock};
use shakedown_impls::resilience::retry::{self, Deadline};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower_service::Service;
use turmoil::net::{TcpListener, TcpStream};

const PORT: u16 = 80;

/// Headers: which call it is, and when to come back.
const KEY: &str = "idempotency-key";
const RETRY_AFTER: &str = "retry-after-ms";

/// When servers say to come back, if they say so.
const COME_BACK: Duration = Duration::from_millis(15);

/// How a server is for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    /// So many of a hundred calls fail.
    Failing(u64),
    /// Each call takes that long, in milliseconds.
    Slow(u64),
    /// Calls are done one after the other, and each takes that long, in milliseconds.
    Overloaded(u64),
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// Nothing has happened, and nothing will.
    #[error("not done: {0}")]
    Refused(String),
    /// Nobody knows whether it has happened, or will.
    #[error("unknown: {0}")]
    Unknown(String),
}

/// A call has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Why it has no answer.
    pub error: CallError,
    /// No earlier than after this time should it be made again.
    pub retry_after: Option<Duration>,
}

/// What a request carries beside its operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carried {
    /// Which call it is, of those that the store knows.
    pub key: Option<retry::Key>,
    /// How long somebody waits for its answer.
    pub remaining: Option<Duration>,
}

/// What servers made of what requests carry.
#[derive(Debug, Default)]
pub struct Counts {
    /// Calls that were not done, for nobody waited for them any more.
    pub too_late: Cell<u64>,
    /// Calls that were not done, for they had been done before.
    pub known: Cell<u64>,
}

/// Servers in front of one store.
#[derive(Clone)]
pub struct Dependency {
    store: Rc<RefCell<BTreeMap<Key, Value>>>,
    /// What calls were answered that have a key.
    answered: Rc<RefCell<BTreeMap<String, Ret>>>,
    counts: Rc<Counts>,
    /// For each server: until which millisecond it is how.
    moods: Rc<Vec<Vec<(u64, Mood)>>>,
    /// For each server: when it will have done what was asked of it while it was overloaded.
    busy: Rc<RefCell<Vec<Option<Instant>>>>,
    random: Rc<RefCell<Random>>,
}

impl Dependency {
    /// As the scenario's seed has it.
    pub fn new(scenario: &Scenario<Op>) -> Dependency {
        let moods = (0..u64::from(scenario.nodes)).map(|node| {
            let mut random = Random::stream(scenario.seed, "mood", node);
            let (mut moods, mut at_ms) = (vec![], 0);
            while at_ms < scenario.length_ms {
                let mood = match random.below(6) {
                    0 => Mood::Failing(100),
                    1 => Mood::Failing(20 + random.below(60)),
                    2 => Mood::Slow(20 << random.below(4)),
                    3 => Mood::Overloaded(5 << random.below(4)),
                    _ => Mood::Well,
                };
                at_ms += 50 + random.below(300);
                moods.push((at_ms.min(scenario.length_ms), mood));
            }
            moods
        });
        Dependency {
            store: Rc::default(),
            answered: Rc::default(),
            counts: Rc::default(),
            moods: Rc::new(moods.collect()),
            busy: Rc::new(RefCell::new(vec![None; usize::from(scenario.nodes)])),
            random: Rc::new(RefCell::new(Random::stream(scenario.seed, "dependency", 0))),
        }
    }

    /// What servers made of what requests carry, so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// A server's program.
    pub async fn serve(self, server: Server) -> ServerResult {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let dependency = self.clone();
            spawn_local(async move {
                let service = service_fn(move |request| dependency.clone().answer(server.id, request));
                let mut builder = hyper::server::conn::http1::Builder::new();
                // Whoever breaks the connection off knows.
                let _ = builder.auto_date_header(false).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(
        self,
        node: NodeId,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let reply = |status, body| {
            let mut response = Response::new(Full::new(body));
            *response.status_mut() = status;
            Ok(response)
        };
        let clock = TokioClock::default();
        let (head, body) = request.into_parts();
        let deadline =
            text(&head.headers, Deadline::HEADER).and_then(|value| Deadline::from_header(value, clock.now()));
        let op: Option<Op> = match body.collect().await {
            Ok(body) => serde_json::from_slice(&body.to_bytes()).ok(),
            Err(_) => None,
        };
        let Some(op) = op else { return reply(StatusCode::BAD_REQUEST, Bytes::new()) };
        let mut fails_after = false;
        match self.mood(node) {
            Mood::Well => {}
            Mood::Failing(percent) => {
                let mut random = self.random.borrow_mut();
                if random.below(100) < percent {
                    if random.chance(0.5) {
                        let mut refusal = reply(StatusCode::SERVICE_UNAVAILABLE, Bytes::new());
                        if let (Ok(response), true) = (&mut refusal, deadline.is_some() && random.chance(0.5))
                        {
                            let ms = (COME_BACK.as_millis() as u64).into();
                            response.headers_mut().insert(RETRY_AFTER, ms);
                        }
                        return refusal;
                    }
                    fails_after = true;
                }
            }
            Mood::Slow(ms) => sleep(Duration::from_millis(ms)).await,
            Mood::Overloaded(ms) => {
                let until = {
                    let now = Instant::now();
                    let busy = &mut self.busy.borrow_mut()[usize::from(node.0)];
                    // The clock of a server that was started again begins anew.
                    let free = busy.filter(|&until| until > now && until < now + Duration::from_secs(60));
                    *busy.insert(free.unwrap_or(now) + Duration::from_millis(ms))
                };
                sleep_until(until).await;
            }
        }
        if deadline.is_some_and(|deadline| deadline.is_over(clock.now())) {
            self.counts.too_late.update(|count| count + 1);
            return reply(StatusCode::GATEWAY_TIMEOUT, Bytes::new());
        }
        let ret = self.perform(op, text(&head.headers, KEY));
        match fails_after {
            true => reply(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()),
            false => reply(StatusCode::OK, serde_json::to_vec(&ret).expect("answers are plain data").into()),
        }
    }

    /// Does it, or remembers what was answered when it was done. One step.
    fn perform(&self, op: Op, key: Option<&str>) -> Ret {
        if let Some(ret) = key.and_then(|key| self.answered.borrow().get(key).copied()) {
            self.counts.known.update(|count| count + 1);
            return ret;
        }
        let ret = match op {
            Op::Read { key } => Ret::Value(self.store.borrow().get(&key).copied()),
            Op::Write { key, value } => {
                self.store.borrow_mut().insert(key, value);
                Ret::Written
            }
        };
        self.answered.borrow_mut().extend(key.map(|key| (key.to_owned(), ret)));
        ret
    }

    fn mood(&self, node: NodeId) -> Mood {
        let now_ms = turmoil::sim_elapsed().unwrap_or_default().as_millis() as u64;
        let moods = &self.moods[usize::from(node.0)];
        moods.iter().find(|(until_ms, _)| now_ms < *until_ms).map_or(Mood::Well, |(_, mood)| *mood)
    }
}

/// Who looks on when calls are made.
pub(super) trait Watcher: 'static {
    /// The call of that number begins.
    fn begins(&self, number: u64);

    /// A call has ended, or was dropped.
    fn ends(&self);
}

/// A server as a service, which gives calls so much patience that somebody else ends them.
pub(super) struct Watched<W> {
    pub(super) node: NodeId,
    pub(super) patience: Duration,
    pub(super) watcher: Rc<W>,
}

impl<W: Watcher> Service<(u64, Op)> for Watched<W> {
    type Response = Ret;
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<Ret, CallError>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (number, op): (u64, Op)) -> Self::Future {
        self.watcher.begins(number);
        let under_way = UnderWay(Rc::clone(&self.watcher));
        let call = call(self.node, op, self.patience);
        Box::pin(async move {
            let _under_way = under_way;
            call.await
        })
    }
}

// Written out, for what is derived asks the watcher to be cloned, too.
impl<W> Clone for Watched<W> {
    fn clone(&self) -> Watched<W> {
        Watched { node: self.node, patience: self.patience, watcher: Rc::clone(&self.watcher) }
    }
}

/// A call under way, until it is dropped.
struct UnderWay<W: Watcher>(Rc<W>);

impl<W: Watcher> Drop for UnderWay<W> {
    fn drop(&mut self) {
        self.0.ends();
    }
}

/// Calls a server, and waits for the answer for at most `patience`.
pub async fn call(node: NodeId, op: Op, patience: Duration) -> Result<Ret, CallError> {
    call_carrying(node, op, Carried::default(), patience).await.map_err(|failed| failed.error)
}

/// The same with what the request carries.
pub async fn call_carrying(
    node: NodeId,
    op: Op,
    carried: Carried,
    patience: Duration,
) -> Result<Ret, Failed> {
    let mut is_sent = false;
    let result = timeout(patience, exchange(node, op, carried, &mut is_sent)).await;
    let mut retry_after = None;
    let result = match result.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
        Ok((StatusCode::OK, _, body)) => match serde_json::from_slice(&body) {
            Ok(ret) => Ok(ret),
            Err(error) => Err(CallError::Unknown(error.to_string())),
        },
        Ok((StatusCode::SERVICE_UNAVAILABLE, headers, _)) => {
            let ms = text(&headers, RETRY_AFTER).and_then(|value| value.parse().ok());
            retry_after = ms.map(Duration::from_millis);
            Err(CallError::Refused("unavailable".to_owned()))
        }
        Ok((StatusCode::GATEWAY_TIMEOUT, ..)) => Err(CallError::Refused("too late".to_owned())),
        Ok((status, ..)) => Err(CallError::Unknown(status.to_string())),
        Err(why) if is_sent => Err(CallError::Unknown(why)),
        Err(why) => Err(CallError::Refused(why)),
    };
    result.map_err(|error| Failed { error, retry_after })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// One request and its response, on a connection of its own.
async fn exchange(
    node: NodeId,
    op: Op,
    carried: Carried,
    is_sent: &mut bool,
) -> Result<(StatusCode, HeaderMap, Bytes), String> {
    let clock = TokioClock::default();
    let deadline = carried.remaining.map(|remaining| Deadline::after(clock.now(), remaining));
    let stream = TcpStream::connect((host(node), PORT)).await.map_err(|error| error.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let body = Bytes::from(serde_json::to_vec(&op).expect("operations are plain data"));
    let mut request = Request::post("/").header("host", host(node));
    if let Some(key) = carried.key {
        request = request.header(KEY, key.to_string());
    }
    if let Some(deadline) = deadline {
        request = request.header(Deadline::HEADER, deadline.header(clock.now()));
    }
    let request = request.body(Full::new(body)).expect("headers are digits and names");
    *is_sent = true;
    let mut exchange = pin!(async move {
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        Ok::<_, hyper::Error>((head.status, head.headers, body.collect().await?.to_bytes()))
    });
    // Both in one task: what it spawned would go on when the caller has given up.
    let result = tokio::select! {
        biased;
        result = &mut exchange => result,
        _ = connection => exchange.await,
    };
    result.map_err(|error| error.to_string())
}
