//! What openraft asks of a runtime, such that a seed is a run: tasks stay on their host, chance comes from
//! the node's seed.
//!
//! Openraft asks by functions without a receiver ([`Runtime::thread_rng`]), but several hosts share a
//! thread. So each task of a node, when it is polled, says whose it is ([`InHost`]), and a thread-local
//! remembers that while it is.

use crate::random::Random;
use crate::world::caught;
use openraft::{AsyncRuntime, TokioInstant, TokioRuntime};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

thread_local! {
    /// The host whose task is being polled.
    static HOST: RefCell<Option<Rc<Host>>> = const { RefCell::new(None) };
}

/// One start of a node.
pub(super) struct Host {
    random: RefCell<Random>,
    /// What a task of it died of, the first that did, and who waits for that.
    died: RefCell<Option<String>>,
    watcher: RefCell<Option<Waker>>,
}

impl Host {
    pub(super) fn new(seed: u64) -> Rc<Host> {
        let random = RefCell::new(Random::stream(seed, "openraft", 0));
        Rc::new(Host { random, died: RefCell::default(), watcher: RefCell::default() })
    }

    /// The host whose task this is.
    ///
    /// # Panics
    /// If no task of one is being polled.
    fn current() -> Rc<Host> {
        HOST.with_borrow(Clone::clone).expect("openraft runs in tasks of a host")
    }

    /// Makes `inner` a task of this host.
    pub(super) fn task<F: Future>(self: &Rc<Host>, inner: F) -> InHost<F> {
        InHost { host: self.clone(), inner: Box::pin(inner) }
    }

    /// Waits for a task of this host to panic: what it says. Tokio would keep that for whoever joins the
    /// task, and openraft joins few of its own.
    pub(super) async fn death(&self) -> String {
        poll_fn(|cx| match &*self.died.borrow() {
            Some(how) => Poll::Ready(how.clone()),
            None => {
                *self.watcher.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    fn dies(&self, how: &str) {
        self.died.borrow_mut().get_or_insert_with(|| how.to_owned());
        if let Some(watcher) = self.watcher.borrow_mut().take() {
            watcher.wake();
        }
    }
}

/// A task of a host.
pub(super) struct InHost<F> {
    host: Rc<Host>,
    inner: Pin<Box<F>>,
}

impl<F: Future> Future for InHost<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let before = HOST.replace(Some(self.host.clone()));
        let polled = caught(|| self.inner.as_mut().poll(cx));
        HOST.set(before);
        polled.unwrap_or_else(|how| {
            self.host.dies(&how);
            // Whoever joins it hears of it, as without us.
            std::panic::resume_unwind(Box::new(how))
        })
    }
}

/// Tokio's runtime, with tasks that stay on the host's thread and with the host's chance.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Runtime;

impl AsyncRuntime for Runtime {
    type JoinError = tokio::task::JoinError;
    type JoinHandle<T: 'static> = tokio::task::JoinHandle<T>;
    type Sleep = tokio::time::Sleep;
    type Instant = TokioInstant;
    type TimeoutError = tokio::time::error::Elapsed;
    type Timeout<R, T: Future<Output = R>> = tokio::time::Timeout<T>;
    type ThreadLocalRng = Chance;
    type OneshotSender<T> = <TokioRuntime as AsyncRuntime>::OneshotSender<T>;
    type OneshotReceiver<T> = <TokioRuntime as AsyncRuntime>::OneshotReceiver<T>;
    type OneshotReceiverError = <TokioRuntime as AsyncRuntime>::OneshotReceiverError;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + 'static,
        T::Output: 'static,
    {
        tokio::task::spawn_local(Host::current().task(future))
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R>>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R>>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(error: &Self::JoinError) -> bool {
        error.is_panic()
    }

    fn thread_rng() -> Chance {
        Chance(Host::current())
    }

    fn oneshot<T>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        TokioRuntime::oneshot()
    }
}

/// Where openraft draws its election timeouts from.
pub(super) struct Chance(Rc<Host>);

impl Chance {
    fn draw(&self) -> u32 {
        self.0.random.borrow_mut().below(1 << 32) as u32
    }
}

impl rand_core_06::RngCore for Chance {
    fn next_u32(&mut self) -> u32 {
        self.draw()
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.draw()) << 32 | u64::from(self.draw())
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(4) {
            chunk.copy_from_slice(&self.draw().to_le_bytes()[..chunk.len()]);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}
