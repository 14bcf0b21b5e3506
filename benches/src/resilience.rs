//! What stands between a caller and a service that answers at once: what it costs for a call, ours and the peers'.
//!
//! A contender is an instance of a pattern that tasks share, each of them making one call after another. The time is
//! that by the clock from the first call to the last, over all calls of all tasks. [`Inner`] does as good as nothing,
//! so what is left is the pattern, and the runtime ([`Named::bare`] is the runtime alone). Nobody has a recorder of
//! metrics installed.
//!
//! Memory is counted in a process of its own, by an allocator that is slower ([`footprint`]).
//!
//! A pattern is added as a module with a function that gives its [`Group`], and a line in [`groups`].

pub mod bulkhead;
pub mod circuit_breaker;
pub mod footprint;
pub mod retry;
pub mod table;
pub mod throttle;

use footprint::{Count, Footprint};
use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tower::{Service, ServiceExt};

/// Tasks that share an instance.
pub const TASKS: [usize; 4] = [1, 2, 8, 64];
/// Threads that run them.
pub const WORKERS: usize = 2;
/// Calls of a burst, all tasks together: so many that starting the tasks does not count.
pub const CALLS: u64 = 1 << 16;
/// The contender that the others are compared with.
pub const OURS: &str = "shakedown";

/// Everything that is measured.
pub fn groups() -> Vec<Group> {
    vec![
        circuit_breaker::closed(),
        circuit_breaker::open(),
        bulkhead::room_for_all(),
        bulkhead::waiting(),
        retry::nothing_fails(),
        throttle::within_the_rate(),
    ]
}

/// Contenders that do the same work.
pub struct Group {
    /// What criterion calls it.
    pub name: &'static str,
    /// What is asked of them.
    pub about: &'static str,
    /// Where ours takes longer: what for.
    pub buys: &'static str,
    /// Fewer tasks than that do not make sense in it.
    pub tasks_min: usize,
    /// The contenders.
    pub contenders: Vec<Named>,
}

/// A contender and its name.
pub struct Named {
    /// The crate, and the part of it.
    pub name: &'static str,
    /// Whether tasks can share it.
    pub is_shared: bool,
    contender: Box<dyn Contender>,
}

impl Named {
    /// Something that tasks share by cloning it. `make` is told how many they are.
    pub fn shared<S: Subject + Clone>(name: &'static str, make: impl Fn(usize) -> S + 'static) -> Named {
        let clones = |subject: &S, tasks| vec![subject.clone(); tasks];
        Named { name, is_shared: true, contender: Box::new(Made { make, clones }) }
    }

    /// Something that belongs to one task.
    pub fn alone<S: Subject>(name: &'static str, make: impl Fn() -> S + 'static) -> Named {
        let make = move |_| make();
        let clones = |_: &S, _| unreachable!("it is not shared");
        Named { name, is_shared: false, contender: Box::new(Made { make, clones }) }
    }

    /// The service with nothing before it.
    pub fn bare<S: Innermost>(inner: S) -> Named {
        Named::shared("nothing", move |_| Tower(inner))
    }

    /// What a burst of [`CALLS`] calls takes, by the clock.
    ///
    /// # Panics
    /// If a call does not end as the group expects.
    pub fn burst(&self, runtime: &Runtime, tasks: usize, calls: u64) -> Duration {
        assert!(tasks == 1 || self.is_shared, "{} is not shared", self.name);
        self.contender.burst(runtime, tasks, calls)
    }

    /// What it takes of memory with so many tasks.
    pub fn footprint(&self, tasks: usize, count: Count) -> Footprint {
        let tasks = if self.is_shared { tasks } else { 1 };
        self.contender.footprint(tasks, count)
    }
}

/// An instance, in the hands of a task.
pub trait Subject: Send + 'static {
    /// A call, from its beginning to its end. `None`: it was refused.
    fn call(&mut self, n: u64) -> impl Future<Output = Option<u64>> + Send;

    /// Whether calls are answered; else all of them are refused, which is what is measured.
    const ANSWERS: bool = true;
}

/// A tower service that gives back what it is called with.
pub trait Answers: Service<u64, Response = u64, Future: Send, Error: Send> + Send + 'static {}

impl<S: Service<u64, Response = u64, Future: Send, Error: Send> + Send + 'static> Answers for S {}

/// What stands behind everything.
pub trait Innermost: Answers<Error: std::error::Error + Send + Sync> + Copy + Sync {}

impl<S: Answers<Error: std::error::Error + Send + Sync> + Copy + Sync> Innermost for S {}

/// Calls a tower service as it is to be called: when it is ready.
#[derive(Clone)]
pub struct Tower<S>(pub S);

impl<S: Answers> Subject for Tower<S> {
    async fn call(&mut self, n: u64) -> Option<u64> {
        self.0.ready().await.ok()?.call(n).await.ok()
    }
}

/// The service behind everything: it answers at once.
#[derive(Clone, Copy, Debug)]
pub struct Inner;

impl Service<u64> for Inner {
    type Response = u64;
    type Error = Infallible;
    type Future = std::future::Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, n: u64) -> Self::Future {
        std::future::ready(Ok(n))
    }
}

/// One that lets the other tasks run before it answers.
#[derive(Clone, Copy, Debug)]
pub struct Slow;

impl Service<u64> for Slow {
    type Response = u64;
    type Error = Infallible;
    type Future = OncePending;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, n: u64) -> OncePending {
        OncePending { n, was_pending: false }
    }
}

/// An answer at the second poll. The task goes to the end of its thread's queue; tokio's own `yield_now` would have
/// the thread look after its timers first.
#[derive(Debug)]
pub struct OncePending {
    n: u64,
    was_pending: bool,
}

impl Future for OncePending {
    type Output = Result<u64, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::replace(&mut self.was_pending, true) {
            return Poll::Ready(Ok(self.n));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// One that always fails.
#[derive(Clone, Copy, Debug)]
pub struct Broken;

/// How it fails.
#[derive(Clone, Copy, Debug)]
pub struct Failure;

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it always fails")
    }
}

impl std::error::Error for Failure {}

impl Service<u64> for Broken {
    type Response = u64;
    type Error = Failure;
    type Future = std::future::Ready<Result<u64, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u64) -> Self::Future {
        std::future::ready(Err(Failure))
    }
}

/// A runtime as the figures are made with.
///
/// # Panics
/// If the system has no threads to give.
pub fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(WORKERS).enable_time().build().expect("the system gives out threads")
}

/// What is measured, whatever its type is.
trait Contender {
    fn burst(&self, runtime: &Runtime, tasks: usize, calls: u64) -> Duration;
    fn footprint(&self, tasks: usize, count: Count) -> Footprint;
}

struct Made<M, C> {
    make: M,
    clones: C,
}

impl<S, M, C> Contender for Made<M, C>
where
    S: Subject,
    M: Fn(usize) -> S,
    C: Fn(&S, usize) -> Vec<S>,
{
    fn burst(&self, runtime: &Runtime, tasks: usize, calls: u64) -> Duration {
        let _guard = runtime.enter();
        let mut first = (self.make)(tasks);
        // What is slow the first time is not in the figures; and a circuit that is to be open opens.
        runtime.block_on(warm_up(&mut first));
        let mut subjects = if tasks > 1 { (self.clones)(&first, tasks - 1) } else { vec![] };
        subjects.push(first);
        let each = calls / tasks as u64;
        let start = Instant::now();
        runtime.block_on(async {
            let spawn = |subject| tokio::spawn(calls_of(subject, each));
            let tasks: Vec<_> = subjects.into_iter().map(spawn).collect();
            for task in tasks {
                task.await.expect("a task does not panic");
            }
        });
        start.elapsed()
    }

    fn footprint(&self, tasks: usize, count: Count) -> Footprint {
        const CALLS: u64 = 10_000;
        // One thread: the allocator counts what this one takes.
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().build().expect("the system gives out a runtime");
        let _guard = runtime.enter();
        // What all instances share is made with the first.
        runtime.block_on(warm_up(&mut (self.make)(tasks)));
        let mut made = None;
        let instance = count(&mut || made = Some((self.make)(tasks)));
        let mut first = made.expect("it was made");
        runtime.block_on(warm_up(&mut first));
        let mut subjects = if tasks > 1 { (self.clones)(&first, tasks - 1) } else { vec![] };
        subjects.push(first);
        let tasks: Vec<_> = subjects.into_iter().map(|s| runtime.spawn(calls_of(s, CALLS))).collect();
        let all = CALLS * tasks.len() as u64;
        let calls = count(&mut || {
            runtime.block_on(async {
                // Not one after the other: handles that are woken are not what is counted.
                while tasks.iter().any(|task| !task.is_finished()) {
                    tokio::task::yield_now().await;
                }
            })
        });
        Footprint {
            bytes: instance.bytes_kept + size_of::<S>() as u64,
            allocations_a_call: calls.allocations as f64 / all as f64,
        }
    }
}

async fn warm_up<S: Subject>(subject: &mut S) {
    for n in 0..1_000 {
        black_box(subject.call(n).await);
    }
}

async fn calls_of<S: Subject>(mut subject: S, calls: u64) {
    for n in 0..calls {
        let answer = subject.call(black_box(n)).await;
        assert_eq!(answer, S::ANSWERS.then_some(n));
    }
}
