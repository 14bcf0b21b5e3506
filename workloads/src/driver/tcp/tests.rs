//! What a link does when a connection breaks, stalls, lies or is too slow, over pipes in memory.

use super::*;
use crate::driver::client::Client;
use serde::{Deserialize, Serialize};
use shakedown_impls::protocol::{Durable, Effect, Time};
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Messages, operations and answers are texts; no node is ever run.
#[derive(Clone, Debug, PartialEq, Hash)]
struct Texts;

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Nothing;

impl Durable for Nothing {
    type Record = ();
    fn replay(&mut self, (): &()) {}
}

impl Protocol for Texts {
    type Config = ();
    type Msg = String;
    type Timer = ();
    type Op = String;
    type Ret = String;
    type Durable = Nothing;

    fn boot((): &(), _: NodeId, _: &Nothing, _: &mut Vec<Effect<Texts>>) -> Texts {
        Texts
    }

    fn step(&mut self, (): &(), _: Time, _: Input<Texts>, _: &mut Vec<Effect<Texts>>) {}
}

/// Pipes to whoever listens: no connection where nobody does.
#[derive(Clone, Default)]
struct Pipes(Rc<RefCell<BTreeMap<NodeId, UnboundedSender<DuplexStream>>>>);

impl Pipes {
    fn listen(&self, id: NodeId) -> UnboundedReceiver<DuplexStream> {
        let (sender, listener) = unbounded_channel();
        self.0.borrow_mut().insert(id, sender);
        listener
    }
}

impl Net for Pipes {
    type Listener = UnboundedReceiver<DuplexStream>;
    type Stream = DuplexStream;

    async fn accept(mut listener: Self::Listener) -> (Self::Listener, io::Result<DuplexStream>) {
        let stream = listener.recv().await.ok_or_else(|| io::ErrorKind::BrokenPipe.into());
        (listener, stream)
    }

    fn connect(&self, to: NodeId) -> impl Future<Output = io::Result<DuplexStream>> + 'static {
        let (here, there) = duplex(4096);
        let sent = self.0.borrow().get(&to).is_some_and(|listener| listener.send(there).is_ok());
        async move { if sent { Ok(here) } else { Err(io::ErrorKind::ConnectionRefused.into()) } }
    }
}

const ME: NodeId = NodeId(0);
const OTHER: NodeId = NodeId(1);

struct Node {
    link: Tcp<Texts, Pipes>,
    counts: Arc<LinkCounts>,
}

fn node(pipes: &Pipes, id: NodeId) -> Node {
    let (listener, counts) = (pipes.listen(id), Arc::<LinkCounts>::default());
    let link = Tcp::new(id, pipes.clone(), listener, Pace::default(), 1, counts.clone());
    Node { link, counts }
}

impl Node {
    async fn hears(&mut self) -> Input<Texts> {
        poll_fn(|cx| {
            self.link.poll_work(cx);
            self.link.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Lets the link work for a while; whatever it hears is an error.
    async fn works(&mut self, ms: u64) {
        let heard = timeout(Duration::from_millis(ms), self.hears()).await;
        assert!(heard.is_err(), "it heard {heard:?}");
    }

    fn count(&self, of: impl Fn(&LinkCounts) -> &AtomicU64) -> u64 {
        of(&self.counts).load(Ordering::Relaxed)
    }
}

fn text(from: NodeId, msg: &str) -> Input<Texts> {
    Input::Msg { from, msg: msg.to_owned() }
}

fn packet(packet: &Packet<Texts>) -> Vec<u8> {
    let mut bytes = vec![];
    frame::encode(packet, &mut bytes).unwrap();
    bytes
}

// Nobody listens at first: the message waits, and arrives once somebody does.
#[tokio::test(start_paused = true)]
async fn a_message_waits_until_the_other_end_is_there() {
    let pipes = Pipes::default();
    let mut me = node(&pipes, ME);
    me.link.send(OTHER, "hello".to_owned());
    me.works(200).await;
    assert!(me.count(|c| &c.dialled) > 3, "it dials again");
    let mut other = node(&pipes, OTHER);
    let heard = tokio::select! { biased; heard = other.hears() => heard, () = me.works(2_000) => panic!() };
    assert_eq!(heard, text(ME, "hello"));
}

// The other end takes the connection and then says nothing, as a cable does that was cut.
#[tokio::test(start_paused = true)]
async fn silence_ends_a_connection_and_heartbeats_keep_it() {
    let pipes = Pipes::default();
    let (mut me, mut mute) = (node(&pipes, ME), pipes.listen(OTHER));
    me.link.send(OTHER, "anybody?".to_owned());
    me.works(1_000).await;
    assert_eq!((me.count(|c| &c.silent), me.count(|c| &c.dialled)), (1, 1), "nothing is left to send");
    mute.try_recv().expect("it had called");
    let mut other = node(&pipes, OTHER);
    me.link.send(OTHER, "hello".to_owned());
    let heard = tokio::select! { biased; heard = other.hears() => heard, () = me.works(2_000) => panic!() };
    assert_eq!(heard, text(ME, "hello"));
    tokio::select! { biased; () = me.works(5_000) => {}, () = other.works(6_000) => panic!() }
    assert_eq!((me.count(|c| &c.silent), other.count(|c| &c.silent)), (1, 0));
}

// A flipped bit, what only an answering node sends, and a caller that does not say who it is.
#[tokio::test(start_paused = true)]
async fn what_does_not_check_or_is_out_of_turn_ends_the_connection() {
    let pipes = Pipes::default();
    let mut me = node(&pipes, ME);
    let hello = packet(&Packet::Peer(OTHER));
    let msg = packet(&Packet::Msg("hello".to_owned()));
    let mut flipped = msg.clone();
    flipped[14] ^= 1;
    let reply = packet(&Packet::Reply(RequestId(1), "yes".to_owned()));
    for (corrupt, bytes) in
        [(1, [&hello[..], &flipped].concat()), (2, [&hello[..], &reply].concat()), (3, msg.clone())]
    {
        let mut caller = pipes.connect(ME).await.unwrap();
        caller.write_all(&bytes).await.unwrap();
        me.works(10).await;
        assert_eq!(me.count(|c| &c.corrupt), corrupt);
        assert_eq!(caller.read(&mut [0; 64]).await.unwrap(), 0, "the connection is closed");
    }
    let mut caller = pipes.connect(ME).await.unwrap();
    caller.write_all(&[hello, msg].concat()).await.unwrap();
    assert_eq!(me.hears().await, text(OTHER, "hello"));
}

// Nobody takes anything: what there is no room for is dropped, and sending never waits.
#[tokio::test(start_paused = true)]
async fn what_has_no_room_is_dropped_and_counted() {
    let pipes = Pipes::default();
    let mut me = node(&pipes, ME);
    for _ in 0..QUEUE_MAX + 7 {
        me.link.send(OTHER, "hello".to_owned());
    }
    assert_eq!(me.count(|c| &c.dropped), 7);
    me.link.send(NodeId(2), "x".repeat(frame::BODY_BYTES_MAX));
    assert_eq!(me.count(|c| &c.dropped), 8, "too long for a frame");
    me.link.reply(ClientId(5), RequestId(1), "nobody".to_owned());
    assert_eq!(me.count(|c| &c.dropped), 9, "no such client");
}

// A node that is busy reads no more than it has room for, and does not take that for silence.
#[tokio::test(start_paused = true)]
async fn a_full_inbox_holds_the_callers_back() {
    let pipes = Pipes::default();
    let mut me = node(&pipes, ME);
    let mut caller = pipes.connect(ME).await.unwrap();
    caller.write_all(&packet(&Packet::Peer(OTHER))).await.unwrap();
    let msg = packet(&Packet::Msg("hello".to_owned()));
    let all = QUEUE_MAX * 2;
    let write = async {
        for _ in 0..all {
            caller.write_all(&msg).await.unwrap();
        }
    };
    let mut write = Box::pin(write);
    let busy = poll_fn(|cx| {
        me.link.poll_work(cx);
        Poll::<()>::Pending
    });
    let full = timeout(Duration::from_secs(2), async { tokio::join!(&mut write, busy) }).await;
    assert!(full.is_err() && me.link.inbox.len() == QUEUE_MAX);
    let read = async {
        for _ in 0..all {
            assert_eq!(me.hears().await, text(OTHER, "hello"));
        }
    };
    tokio::join!(write, read);
    assert_eq!(me.count(|c| &c.silent), 0);
}

// The answer to a request that was given up must not be taken for the next one's.
#[tokio::test(start_paused = true)]
async fn a_client_takes_no_late_answer() {
    let pipes = Pipes::default();
    let mut me = node(&pipes, ME);
    let mut client = Client::<Texts, Pipes>::new(ClientId(7), pipes.clone(), Pace::default());
    let serve = async {
        let mut requests = vec![];
        loop {
            let Input::Request { client, id, op } = me.hears().await else { panic!("clients ask") };
            requests.push((client, id, op));
            if let [.., (_, _, late), (client, id, op)] = &requests[..] {
                me.link.reply(*client, requests[0].1, late.clone());
                me.link.reply(*client, *id, op.clone());
            }
        }
    };
    let ask = async {
        let first = client.ask(ME, RequestId(1), "first".to_owned());
        assert!(timeout(Duration::from_millis(50), first).await.is_err(), "nobody answers");
        let second = client.ask(ME, RequestId(2), "second".to_owned()).await.unwrap();
        assert_eq!(second, "second");
        client.rest(Duration::from_secs(3)).await;
        let third = client.ask(ME, RequestId(3), "third".to_owned()).await.unwrap();
        assert_eq!(third, "third");
    };
    tokio::select! { biased; () = ask => {}, () = serve => {} }
}
