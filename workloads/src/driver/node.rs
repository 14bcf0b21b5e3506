//! One node: takes inputs one at a time, and carries out what its protocol wants done.
//!
//! - Records that come in a row are written together and made durable by one sync, and nothing that
//!   comes after them is done before. Meanwhile the link goes on moving bytes, as a kernel would.
//! - A write or a sync that fails ends the node, for what the disk holds after that is not known, and
//!   a second sync may succeed without having written anything (Rebello et al., *Can Applications
//!   Recover from fsync Failures?*, USENIX ATC 2020). It may be started again: it then reads what is
//!   there, and syncs it before it acts on it: a process that was killed leaves bytes that nobody synced.
//! - Timers run on the node's own clock, which may drift; what a protocol leaves to chance comes from
//!   the seed. So a node does the same whenever its link, disk and clock do.

use super::disk::Disk;
use super::link::Link;
use super::log::{self, Damaged};
use super::timers::Timers;
use crate::random::Random;
use shakedown_impls::protocol::{Durable, Effect, Input, NodeId, Protocol, Record, Time};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, sleep_until};

/// A node's own clock.
pub trait Clock {
    /// What it shows.
    fn now(&self) -> Time;

    /// How long it really takes until it has gone on by `duration`.
    fn takes(&self, duration: Duration) -> Duration;
}

/// A clock that goes as the runtime's does, from 0.
#[derive(Clone, Copy, Debug)]
pub struct Monotonic {
    origin: Instant,
}

impl Monotonic {
    /// One that begins now.
    pub fn start() -> Monotonic {
        Monotonic { origin: Instant::now() }
    }
}

impl Clock for Monotonic {
    fn now(&self) -> Time {
        Time(u64::try_from(self.origin.elapsed().as_nanos()).expect("nobody runs for 500 years"))
    }

    fn takes(&self, duration: Duration) -> Duration {
        duration
    }
}

/// Which node it is.
#[derive(Clone, Debug)]
pub struct Setup<P: Protocol> {
    /// What all nodes know.
    pub config: P::Config,
    /// Its number.
    pub id: NodeId,
    /// Where its chance comes from; another one for each start.
    pub seed: u64,
}

/// What a node did, for a trace.
#[derive(Debug)]
pub enum Step<'s, P: Protocol> {
    /// It read its disk.
    Recovered {
        /// Records found.
        records: usize,
        /// Frames of the log repaired.
        repaired: usize,
        /// Bytes cut off an unfinished write.
        cut_bytes: usize,
    },
    /// It takes an input, at that time of its clock.
    Input(Time, &'s Input<P>),
    /// It has started, or taken an input, and is this now.
    State(&'s P),
    /// It begins to carry out an effect.
    Effect(&'s Effect<P>),
    /// So many records, the last ones told, are durable now.
    Durable(usize),
}

/// Why a node ended. It never ends otherwise.
#[derive(Debug, Error)]
pub enum Stopped {
    /// The disk failed.
    #[error("the disk failed ({0}): what it holds now is not known, so the node ends; start it again")]
    Disk(#[from] io::Error),
    /// The log cannot be trusted.
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

/// Runs a node until its disk fails.
pub async fn serve<P: Protocol>(
    setup: Setup<P>,
    link: impl Link<P>,
    disk: impl Disk,
    clock: impl Clock,
    trace: impl FnMut(Step<'_, P>),
) -> Stopped {
    let random = Random::new(setup.seed);
    let log = Log { disk, next: log::Next::default(), buffer: vec![] };
    let mut node = Node { setup, link, log, clock, trace, random, timers: Timers::default() };
    match node.run().await {
        Ok(never) => match never {},
        Err(stopped) => stopped,
    }
}

struct Node<P: Protocol, L, D, C, T> {
    setup: Setup<P>,
    link: L,
    log: Log<D>,
    clock: C,
    trace: T,
    random: Random,
    timers: Timers<P::Timer, Instant>,
}

impl<P, L, D, C, T> Node<P, L, D, C, T>
where
    P: Protocol,
    L: Link<P>,
    D: Disk,
    C: Clock,
    T: FnMut(Step<'_, P>),
{
    async fn run(&mut self) -> Result<std::convert::Infallible, Stopped> {
        let disk = self.recover().await?;
        let (mut effects, mut chosen) = (vec![], VecDeque::new());
        let mut state = P::boot(&self.setup.config, self.setup.id, &disk, &mut effects);
        drop(disk);
        loop {
            self.carry_out(&mut effects, &mut chosen).await?;
            (self.trace)(Step::State(&state));
            let input = match chosen.pop_front() {
                Some(input) => input,
                None => self.input().await,
            };
            let now = self.clock.now();
            (self.trace)(Step::Input(now, &input));
            state.step(&self.setup.config, now, input, &mut effects);
        }
    }

    async fn recover(&mut self) -> Result<P::Durable, Stopped> {
        let cuts = P::cuts_damaged_log(&self.setup.config);
        let recovered = beside(&mut self.link, self.log.recover::<Record<P>>(cuts)).await?;
        let records = recovered.records.len();
        let (repaired, cut_bytes) = (recovered.repaired, recovered.cut_bytes);
        (self.trace)(Step::Recovered { records, repaired, cut_bytes });
        let mut disk = P::Durable::default();
        recovered.records.iter().for_each(|record| disk.replay(record));
        Ok(disk)
    }

    async fn carry_out(
        &mut self,
        effects: &mut Vec<Effect<P>>,
        chosen: &mut VecDeque<Input<P>>,
    ) -> Result<(), Stopped> {
        let mut effects = effects.drain(..).peekable();
        while let Some(effect) = effects.next() {
            (self.trace)(Step::Effect(&effect));
            match effect {
                Effect::Send { to, msg } => {
                    assert_ne!(to, self.setup.id, "{to} sends to itself");
                    self.link.send(to, msg);
                }
                Effect::Reply { client, id, ret } => self.link.reply(client, id, ret),
                Effect::SetTimer { timer, after } => {
                    let width = after.end.saturating_sub(after.start).as_nanos() as u64;
                    let after = after.start + Duration::from_nanos(self.random.below(width.max(1)));
                    self.timers.set(timer, Instant::now() + self.clock.takes(after));
                }
                Effect::CancelTimer(timer) => self.timers.cancel(&timer),
                Effect::Persist(record) => {
                    let mut records = vec![record];
                    while let Some(next) = effects.next_if(|next| matches!(next, Effect::Persist(_))) {
                        (self.trace)(Step::Effect(&next));
                        let Effect::Persist(record) = next else { unreachable!("it matched") };
                        records.push(record);
                    }
                    beside(&mut self.link, self.log.persist(&records)).await?;
                    (self.trace)(Step::Durable(records.len()));
                }
                Effect::Choose { key, n } => {
                    let pick = self.random.below(u64::from(n)) as u32;
                    chosen.push_back(Input::Chosen { key, pick });
                }
                Effect::Note(_) => {}
            }
        }
        Ok(())
    }

    /// The next thing that happens to the node. Timers come first: those that are due are few, while
    /// a busy link always has something.
    async fn input(&mut self) -> Input<P> {
        let Node { link, timers, .. } = self;
        let due = async {
            match timers.next() {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let heard = poll_fn(|cx| {
            link.poll_work(cx);
            link.take().map_or(Poll::Pending, Poll::Ready)
        });
        tokio::select! {
            biased;
            () = due => Input::Timer(timers.pop().expect("the timer that was waited for")),
            input = heard => input,
        }
    }
}

/// Does some work, and lets the link do its own meanwhile.
async fn beside<P: Protocol, T>(link: &mut impl Link<P>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        link.poll_work(cx);
        work.as_mut().poll(cx)
    })
    .await
}

/// A disk that holds a log.
struct Log<D> {
    disk: D,
    next: log::Next,
    buffer: Vec<u8>,
}

impl<D: Disk> Log<D> {
    async fn recover<R: serde::de::DeserializeOwned>(
        &mut self,
        cuts: bool,
    ) -> Result<log::Recovered<R>, Stopped> {
        let bytes = self.disk.load().await?;
        let recovered = if cuts { log::recover_by_cutting(&bytes) } else { log::recover(&bytes) }?;
        match &recovered.clean {
            Some(clean) => self.disk.replace(clean).await?,
            // Who was killed between a write and its sync left what can be read, and can still be lost.
            None if !bytes.is_empty() => self.disk.sync().await?,
            None => {}
        }
        self.next = recovered.next;
        Ok(recovered)
    }

    async fn persist<R: serde::Serialize>(&mut self, records: &[R]) -> io::Result<()> {
        self.buffer.clear();
        log::append(&mut self.next, records, &mut self.buffer);
        self.disk.append(&self.buffer).await?;
        self.disk.sync().await
    }
}

#[cfg(test)]
mod tests;
