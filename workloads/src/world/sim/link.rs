//! A node's link with what turmoil's network does not do to single messages: losing, doubling and
//! delaying them. A link over one stream keeps the order of messages; this one does not.

use super::shared::{MS, Shared};
use crate::driver::link::Link;
use crate::nemesis::FaultKind;
use crate::trace::{Kind, Place};
use shakedown_impls::protocol::{ClientId, Input, NodeId, Protocol, RequestId};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

pub(super) struct FaultyLink<P: Protocol, L> {
    inner: L,
    shared: Rc<Shared>,
    me: NodeId,
    /// Messages that are late, by when they are to be sent, then in their order.
    held: BTreeMap<(Instant, u64), (NodeId, P::Msg)>,
    holds: u64,
    sleep: Pin<Box<Sleep>>,
}

impl<P: Protocol, L: Link<P>> FaultyLink<P, L> {
    pub(super) fn new(inner: L, shared: Rc<Shared>, me: NodeId) -> FaultyLink<P, L> {
        let sleep = Box::pin(sleep_until(Instant::now()));
        FaultyLink { inner, shared, me, held: BTreeMap::new(), holds: 0, sleep }
    }

    fn hold(&mut self, to: NodeId, msg: P::Msg, mean_ns: u64) {
        let wait = self.shared.machine(self.me).random.duration(mean_ns);
        self.holds += 1;
        self.held.insert((Instant::now() + Duration::from_nanos(wait), self.holds), (to, msg));
    }

    fn chance(&self, permille: u16) -> bool {
        self.shared.machine(self.me).random.below(1_000) < u64::from(permille)
    }
}

impl<P: Protocol, L: Link<P>> Link<P> for FaultyLink<P, L> {
    fn send(&mut self, to: NodeId, msg: P::Msg) {
        let way = Place::Link(self.me, to);
        let active = self.shared.state().active.clone();
        let (mut lost, mut doubled, mut late_ns) = (None, None, self.shared.jitter_ns);
        for fault in active {
            match self.shared.kind(fault) {
                FaultKind::Loss(permille) if self.chance(permille) => lost = Some(fault),
                FaultKind::Duplication(permille) if self.chance(permille) => doubled = Some(fault),
                FaultKind::Delay(ms) => {
                    late_ns = late_ns.max(u64::from(ms) * MS / 3);
                    self.shared.took_effect_once(fault);
                }
                _ => {}
            }
        }
        if let Some(fault) = lost {
            self.shared.took_effect_once(fault);
            self.shared.state().counts.lost += 1;
            return self.shared.trace(way, Kind::Lost, || format!("{msg:?} (loss)"));
        }
        self.shared.trace(way, Kind::Sent, || format!("{msg:?}"));
        if let Some(fault) = doubled {
            self.shared.took_effect_once(fault);
            self.hold(to, msg.clone(), 4 * MS);
        }
        match late_ns {
            0 => self.inner.send(to, msg),
            mean_ns => self.hold(to, msg, mean_ns),
        }
    }

    fn reply(&mut self, client: ClientId, id: RequestId, ret: P::Ret) {
        self.inner.reply(client, id, ret);
    }

    fn poll_work(&mut self, cx: &mut Context<'_>) {
        while let Some(entry) = self.held.first_entry() {
            self.sleep.as_mut().reset(entry.key().0);
            if self.sleep.as_mut().poll(cx) == Poll::Pending {
                break;
            }
            let (to, msg) = entry.remove();
            self.inner.send(to, msg);
        }
        self.inner.poll_work(cx);
    }

    fn take(&mut self) -> Option<Input<P>> {
        self.inner.take()
    }
}
