//! What a node does in which order, on a link and a disk that write down what they are told; and three
//! nodes over real sockets and files.

use super::*;
use crate::driver::client::{AskError, Client};
use crate::driver::disk::LogFile;
use crate::driver::tcp::{Pace, Tcp, TokioNet};
use serde::{Deserialize, Serialize};
use shakedown_impls::protocol::{ClientId, RequestId, after_ms};
use shakedown_impls::replication::leaderless::abd::{self, Abd};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use tokio::net::TcpListener;

/// Does what it is asked for, and remembers the numbers that it persisted.
#[derive(Clone, Debug, PartialEq, Hash)]
struct Puppet;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Do {
    Persist(u64),
    Send,
    Choose(u32),
    Timer(u64),
    Cancel(u64),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Numbers(Vec<u64>);

impl Durable for Numbers {
    type Record = u64;
    fn replay(&mut self, number: &u64) {
        self.0.push(*number);
    }
}

impl Protocol for Puppet {
    type Config = ();
    type Msg = ();
    type Timer = u64;
    type Op = Vec<Do>;
    type Ret = Vec<u64>;
    type Durable = Numbers;

    fn boot((): &(), _: NodeId, disk: &Numbers, out: &mut Vec<Effect<Puppet>>) -> Puppet {
        let (client, id) = (ClientId(0), RequestId(0));
        out.push(Effect::Reply { client, id, ret: disk.0.clone() });
        Puppet
    }

    fn step(&mut self, (): &(), _: Time, input: Input<Puppet>, out: &mut Vec<Effect<Puppet>>) {
        let Input::Request { op, .. } = input else { return };
        out.extend(op.into_iter().map(|what| match what {
            Do::Persist(number) => Effect::Persist(number),
            Do::Send => Effect::Send { to: NodeId(1), msg: () },
            Do::Choose(n) => Effect::Choose { key: n, n },
            Do::Timer(ms) => Effect::SetTimer { timer: ms, after: after_ms(ms..ms) },
            Do::Cancel(ms) => Effect::CancelTimer(ms),
        }));
    }
}

/// What happened, one word each.
#[derive(Clone, Default)]
struct Events(Rc<RefCell<Vec<String>>>);

impl Events {
    fn add(&self, event: impl Into<String>) {
        self.0.borrow_mut().push(event.into());
    }

    fn take(&self) -> String {
        self.0.take().join(" ")
    }
}

struct Script {
    events: Events,
    inputs: VecDeque<Input<Puppet>>,
}

impl Link<Puppet> for Script {
    fn send(&mut self, _: NodeId, (): ()) {
        self.events.add("send");
    }

    fn reply(&mut self, _: ClientId, _: RequestId, ret: Vec<u64>) {
        self.events.add(format!("disk:{ret:?}"));
    }

    fn poll_work(&mut self, _: &mut Context<'_>) {}

    fn take(&mut self) -> Option<Input<Puppet>> {
        self.inputs.pop_front()
    }
}

/// Keeps its bytes outside, so that they survive the node.
struct Memory {
    events: Events,
    bytes: Rc<RefCell<Vec<u8>>>,
    syncs_left: u32,
}

impl Disk for Memory {
    async fn load(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.bytes.borrow().clone())
    }

    async fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.events.add("replace");
        *self.bytes.borrow_mut() = bytes.to_vec();
        Ok(())
    }

    async fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.events.add("append");
        self.bytes.borrow_mut().extend(bytes);
        Ok(())
    }

    async fn sync(&mut self) -> io::Result<()> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.events.add("sync");
        self.syncs_left = self.syncs_left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        Ok(())
    }
}

/// Runs twice as fast as the world's.
struct Fast;

impl Clock for Fast {
    fn now(&self) -> Time {
        Time(7)
    }

    fn takes(&self, duration: Duration) -> Duration {
        duration / 2
    }
}

/// Has a node do `ops` for a second, on a disk that fails after so many syncs.
async fn run(bytes: &Rc<RefCell<Vec<u8>>>, syncs: u32, ops: Vec<Vec<Do>>) -> (String, Option<Stopped>) {
    let events = Events::default();
    let (client, id) = (ClientId(1), RequestId(1));
    let inputs = ops.into_iter().map(|op| Input::Request { client, id, op }).collect();
    let link = Script { events: events.clone(), inputs };
    let disk = Memory { events: events.clone(), bytes: bytes.clone(), syncs_left: syncs };
    let start = Instant::now();
    let trace = |step: Step<'_, Puppet>| match step {
        Step::Input(_, Input::Timer(ms)) => {
            events.add(format!("timer:{ms}@{}", start.elapsed().as_millis()));
        }
        Step::Input(_, Input::Chosen { key, .. }) => events.add(format!("chosen:{key}")),
        Step::Durable(records) => events.add(format!("durable:{records}")),
        _ => {}
    };
    let setup = Setup { config: (), id: NodeId(0), seed: 1 };
    let node = serve(setup, link, disk, Fast, trace);
    let stopped = tokio::time::timeout(Duration::from_secs(1), node).await.ok();
    (events.take(), stopped)
}

#[tokio::test(start_paused = true)]
async fn records_in_a_row_share_a_sync_and_what_follows_waits_for_it() {
    let bytes = Rc::default();
    let op = vec![Do::Send, Do::Persist(1), Do::Persist(2), Do::Send, Do::Persist(3), Do::Send];
    let (events, stopped) = run(&bytes, 9, vec![op]).await;
    assert_eq!(events, "disk:[] send append sync durable:2 send append sync durable:1 send");
    assert!(stopped.is_none());
    assert_eq!(run(&bytes, 1, vec![]).await.0, "sync disk:[1, 2, 3]", "what is durable is read again");
}

// It was killed between a write and its sync: what it reads it may not act on before that is durable.
#[tokio::test(start_paused = true)]
async fn what_is_read_is_durable_before_the_node_begins() {
    let bytes = Rc::default();
    run(&bytes, 0, vec![vec![Do::Persist(1)]]).await;
    let (events, stopped) = run(&bytes, 0, vec![vec![Do::Send]]).await;
    assert_eq!(events, "sync");
    assert!(matches!(stopped, Some(Stopped::Disk(_))));
    assert_eq!(run(&bytes, 1, vec![vec![Do::Send]]).await.0, "sync disk:[1] send");
}

// The second sync fails: nothing after it happens, though the disk would work again.
#[tokio::test(start_paused = true)]
async fn a_failed_sync_ends_the_node() {
    let op = vec![Do::Persist(1), Do::Send];
    let (events, stopped) = run(&Rc::default(), 1, vec![op.clone(), op.clone(), op]).await;
    assert_eq!(events, "disk:[] append sync durable:1 send append sync");
    assert!(matches!(stopped, Some(Stopped::Disk(error)) if error.kind() == io::ErrorKind::StorageFull));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_log_is_repaired_cut_or_refused() {
    let bytes: Rc<RefCell<Vec<u8>>> = Rc::default();
    run(&bytes, 9, vec![vec![Do::Persist(1)], vec![Do::Persist(2)], vec![Do::Persist(3)]]).await;
    let damage = |at: usize| bytes.borrow_mut()[at] ^= 1;
    // One copy of record 1; both of record 3, which may never have been durable.
    damage(1024);
    damage(2048);
    damage(2048 + 512);
    assert_eq!(run(&bytes, 0, vec![]).await.0, "replace disk:[1, 2]");
    assert_eq!(bytes.borrow().len(), 2048);
    // Both copies of a record before the end.
    bytes.borrow_mut()[0] ^= 1;
    bytes.borrow_mut()[512] ^= 1;
    let (events, stopped) = run(&bytes, 0, vec![]).await;
    assert_eq!(events, "");
    assert!(matches!(stopped, Some(Stopped::Damaged(damaged)) if damaged.sequence == 0));
}

// A clock that is twice as fast: 20 ms of its own are 10 of the world's.
#[tokio::test(start_paused = true)]
async fn timers_go_by_the_nodes_clock_and_choices_are_answered_first() {
    let first = vec![Do::Timer(20), Do::Timer(10), Do::Timer(30), Do::Choose(5), Do::Choose(2)];
    let (events, _) = run(&Rc::default(), 0, vec![first, vec![Do::Cancel(10), Do::Send]]).await;
    assert_eq!(events, "disk:[] chosen:5 chosen:2 send timer:20@10 timer:30@15");
}

// Three nodes, real sockets, real files; one node is killed and starts again with what it had.
#[test]
fn nodes_serve_over_real_sockets_and_files() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let folder = tempfile::tempdir().unwrap();
        let mut listeners = vec![];
        for _ in 0..3 {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
        let net = TokioNet::new(addresses.clone());
        let start = |id: u16, listener: TcpListener, seed: u64| {
            let setup = Setup { config: abd::Config::new(3), id: NodeId(id), seed };
            let link = Tcp::<Abd, _>::new(NodeId(id), net.clone(), listener, pace(), seed, Arc::default());
            let disk = LogFile::at(folder.path().join(format!("n{id}")));
            tokio::task::spawn_local(serve(setup, link, disk, Monotonic::start(), |_| {}))
        };
        let mut nodes = vec![];
        for (id, listener) in (0..).zip(listeners) {
            nodes.push(start(id, listener, 1));
        }
        let mut client = Client::<Abd, _>::new(ClientId(1), net.clone(), pace());
        let (read, write) = (abd::Op::Read { key: 1 }, |value| abd::Op::Write { key: 1, value });
        for n in 0..20 {
            let node = NodeId(n % 3);
            let request = RequestId(u64::from(n) * 2);
            let ret = client.ask(node, request, write(u64::from(n))).await.unwrap();
            assert_eq!(ret, abd::Ret::Written);
            let ret = client.ask(node, RequestId(request.0 + 1), read).await.unwrap();
            assert_eq!(ret, abd::Ret::Value(Some(u64::from(n))));
        }
        // Nobody listens at a dead node; the other two are a majority.
        nodes[0].abort();
        client.hang_up();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let error = client.ask(NodeId(0), RequestId(50), read).await.unwrap_err();
        assert!(matches!(error, AskError::Unreachable { .. }), "{error}");
        assert_eq!(client.ask(NodeId(1), RequestId(51), write(77)).await.unwrap(), abd::Ret::Written);
        client.rest(pace().silence * 2).await;
        // Back, it makes a majority with n2, which must find it again.
        nodes[1].abort();
        nodes[0] = start(0, TcpListener::bind(addresses[0]).await.unwrap(), 2);
        assert_eq!(client.ask(NodeId(2), RequestId(52), read).await.unwrap(), abd::Ret::Value(Some(77)));
        let log = std::fs::read(folder.path().join("n0")).unwrap();
        assert!(log::recover::<abd::Record>(&log).unwrap().records.len() > 20);
    });
}

fn pace() -> Pace {
    let ms = Duration::from_millis;
    Pace { beat: ms(10), silence: ms(100), pause_min: ms(5), pause_max: ms(50) }
}
