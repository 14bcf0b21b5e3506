//! What stands behind a pattern of resilience in the simulated network: HTTP servers with moods, in front of one
//! store, and a client that calls them; both are [hyper](https://docs.rs/hyper)'s.
//!
//! The store is registers that nothing happens to: what clients see of it has to be linearizable whatever the
//! pattern in between does. A server has times, drawn from the scenario's seed, in which it fails calls before or
//! after they took effect, is slow, or has more to do than it can; beside what the plan does to it. All of that
//! is over when the plan is.

use crate::random::Random;
use crate::scenario::Scenario;
use crate::world::sim::{Server, ServerResult, host};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use shakedown_impls::object::register::{Key, Op, Ret, Value};
use shakedown_impls::protocol::NodeId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use thiserror::Error;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use turmoil::net::{TcpListener, TcpStream};

const PORT: u16 = 80;

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

/// Servers in front of one store.
#[derive(Clone)]
pub struct Dependency {
    store: Rc<RefCell<BTreeMap<Key, Value>>>,
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
            moods: Rc::new(moods.collect()),
            busy: Rc::new(RefCell::new(vec![None; usize::from(scenario.nodes)])),
            random: Rc::new(RefCell::new(Random::stream(scenario.seed, "dependency", 0))),
        }
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
        let op: Option<Op> = match request.into_body().collect().await {
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
                        return reply(StatusCode::SERVICE_UNAVAILABLE, Bytes::new());
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
        let ret = match op {
            Op::Read { key } => Ret::Value(self.store.borrow().get(&key).copied()),
            Op::Write { key, value } => {
                self.store.borrow_mut().insert(key, value);
                Ret::Written
            }
        };
        match fails_after {
            true => reply(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()),
            false => reply(StatusCode::OK, serde_json::to_vec(&ret).expect("answers are plain data").into()),
        }
    }

    fn mood(&self, node: NodeId) -> Mood {
        let now_ms = turmoil::sim_elapsed().unwrap_or_default().as_millis() as u64;
        let moods = &self.moods[usize::from(node.0)];
        moods.iter().find(|(until_ms, _)| now_ms < *until_ms).map_or(Mood::Well, |(_, mood)| *mood)
    }
}

/// Calls a server, and waits for the answer for at most `patience`.
pub async fn call(node: NodeId, op: Op, patience: Duration) -> Result<Ret, CallError> {
    let mut is_sent = false;
    let result = timeout(patience, exchange(node, op, &mut is_sent)).await;
    match result.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
        Ok((StatusCode::OK, body)) => match serde_json::from_slice(&body) {
            Ok(ret) => Ok(ret),
            Err(error) => Err(CallError::Unknown(error.to_string())),
        },
        Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => Err(CallError::Refused("unavailable".to_owned())),
        Ok((status, _)) => Err(CallError::Unknown(status.to_string())),
        Err(why) if is_sent => Err(CallError::Unknown(why)),
        Err(why) => Err(CallError::Refused(why)),
    }
}

/// One request and its response, on a connection of its own.
async fn exchange(node: NodeId, op: Op, is_sent: &mut bool) -> Result<(StatusCode, Bytes), String> {
    let stream = TcpStream::connect((host(node), PORT)).await.map_err(|error| error.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let body = Bytes::from(serde_json::to_vec(&op).expect("operations are plain data"));
    let request = Request::post("/").header("host", host(node)).body(Full::new(body)).expect("a constant");
    *is_sent = true;
    let mut exchange = pin!(async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
    });
    // Both in one task: what it spawned would go on when the caller has given up.
    let result = tokio::select! {
        biased;
        result = &mut exchange => result,
        _ = connection => exchange.await,
    };
    result.map_err(|error| error.to_string())
}
