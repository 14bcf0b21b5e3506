//! The simulated world: real programs, with their sockets, frames, reconnections and files, on turmoil's
//! network, clocks and disks. One seed gives one run, byte for byte.
//!
//! - [`run`] runs a protocol with the driver that also serves it over real sockets
//!   ([`crate::driver`]). What happens there and not in the swarm: streams that stall, connections that
//!   break and are dialled again, queues that fill, heartbeats, requests that are refused.
//! - [`run_server`] runs any asynchronous server that uses turmoil's sockets.
//!
//! Clients ask one node after another, one request at a time. One that cannot reach a node asks
//! another; one whose connection breaks does not know what became of its request, and goes on as a new
//! process unless it may ask again. What was never sent is recorded as failed.
//!
//! # How faults are made
//!
//! | fault | how |
//! |---|---|
//! | partitions | turmoil drops what is sent one way, for each pair of nodes; segments lost are not sent again, so streams stall until silence is noticed |
//! | killed processes | the host's program ends: peers hear of it, the disk keeps what was given to it |
//! | loss of power | the host is cut off first, so that it says nothing, then crashed: what was not synced is lost, or parts of it (drawn for each run) |
//! | pauses | the host's tasks are not polled |
//! | loss, doubling and delay of messages | around the link; whole messages, which overtake each other in half of the runs anyway |
//! | corruption | bits flip on the wire, the receiver's checksum ends the connection |
//! | disks | around turmoil's files: slow, failing, with a bit flipped while the node is down |
//! | clocks | the node's clock is its own |
//!
//! # What it is not good for
//!
//! Time has a resolution of 1 ms: no latencies come from here, and what takes less happens at once.
//!
//! # Why runs repeat
//!
//! A node is one task, and so are all clients: the order in which several tasks of a host end when it
//! crashes depends on numbers that tokio gives out for the whole process. Chance comes from the
//! scenario's seed. Servers that are not ours keep to the same: [`tokio::task::spawn_local`] rather than
//! `tokio::spawn` where a crash is to come, `biased` in each `select!`, no hash maps with random keys, no
//! clock but tokio's.

mod clients;
mod cluster;
mod disk;
mod gate;
mod link;
mod net;
mod ours;
mod server;
mod shared;
#[cfg(test)]
mod tests;

pub use ours::{run, run_traced, run_watched};
pub use server::{AskError, Server, host};

use crate::manner::Manner;
use crate::nemesis::Nemesis;
use crate::operation::Operation;
use crate::outcome::Outcome;
use crate::scenario::Scenario;
use clients::ByFunction;
use cluster::{Cluster, Servers};
use shakedown_impls::protocol::NodeId;
use std::future::Future;
use std::rc::Rc;
use tokio::task::LocalSet;

/// What can go wrong for any server. The rest needs our driver; a plan that has it anyway is carried out
/// without it, and [`Outcome::effects`] says so.
pub const SERVER_NEMESES: [Nemesis; 4] = [Nemesis::Partition, Nemesis::Crash, Nemesis::Power, Nemesis::Pause];

/// What a server ends with.
pub type ServerResult = Result<(), Box<dyn std::error::Error>>;

/// Runs any server under a scenario. `serve` is called for each node at each of its starts, on a turmoil
/// host of its own; it listens with `turmoil::net`, finds others by [`host`], and keeps what is to
/// survive with `turmoil::fs`. It should never end: if it does, that is a finding. `ask` is called for
/// each request, on the clients' host, and may be dropped when the client loses patience.
///
/// A panic of a server is a finding as well, but not one of a task that it spawned: tokio keeps that for
/// whoever joins the task.
///
/// A partition is counted as effective when it is carried out: whether a server said anything meanwhile
/// is not seen.
pub fn run_server<Op, S, SF, C, CF>(scenario: &Scenario<Op>, serve: S, ask: C) -> Outcome
where
    Op: Operation,
    S: Fn(Server) -> SF + Clone + 'static,
    SF: Future<Output = ServerResult> + 'static,
    C: Fn(Op, NodeId) -> CF + 'static,
    CF: Future<Output = Result<Op::Ret, AskError>> + 'static,
{
    run_server_with(scenario, &Manner::default(), serve, ask)
}

/// The same, in that manner. A trace says not what the servers do, but what their clients and the faults do.
pub fn run_server_with<Op, S, SF, C, CF>(
    scenario: &Scenario<Op>,
    manner: &Manner,
    serve: S,
    ask: C,
) -> Outcome
where
    Op: Operation,
    S: Fn(Server) -> SF + Clone + 'static,
    SF: Future<Output = ServerResult> + 'static,
    C: Fn(Op, NodeId) -> CF + 'static,
    CF: Future<Output = Result<Op::Ret, AskError>> + 'static,
{
    let cluster = Cluster::new(scenario, manner, Servers::Any);
    let (shared, ask) = (cluster.shared().clone(), Rc::new(ask));
    let serve = move |id| {
        let server = serve(Server::new(&shared, id));
        async move {
            // What it spawns here is paused with it.
            match LocalSet::new().run_until(server).await {
                Ok(()) => "its server ended; it should serve for ever".to_owned(),
                Err(error) => format!("its server ended: {error}"),
            }
        }
    };
    cluster.run(serve, |_| ByFunction { ask: ask.clone() })
}
