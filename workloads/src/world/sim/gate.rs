//! What stands between a host and its turn: a paused node gets none, and a panic becomes a finding.

use super::shared::Shared;
use crate::nemesis::FaultKind;
use crate::outcome::Rules;
use crate::world::caught;
use shakedown_impls::protocol::NodeId;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A node's future, which moves on while the node is not paused.
pub(super) struct Gate<F> {
    pub(super) shared: Rc<Shared>,
    pub(super) id: NodeId,
    /// None once it has panicked.
    pub(super) inner: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Gate<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let id = self.id;
        let mut machine = self.shared.machine(id);
        if machine.paused > 0 {
            machine.parked = Some(cx.waker().clone());
            drop(machine);
            // Somebody wanted something of it.
            self.shared.took_effect(|kind| matches!(kind, FaultKind::Pause(node) if *node == id));
            return Poll::Pending;
        }
        drop(machine);
        let Some(inner) = &mut self.inner else { return Poll::Pending };
        match caught(|| inner.as_mut().poll(cx)) {
            Ok(poll) => poll,
            Err(how) => {
                self.shared.breaks(id, Rules::Boundary, how);
                self.inner = None;
                Poll::Pending
            }
        }
    }
}
