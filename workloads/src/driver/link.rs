//! What a node hears and is heard through.

use shakedown_impls::protocol::{ClientId, Input, NodeId, Protocol, RequestId};
use std::task::Context;

/// A node's way to the others and to its clients. It may lose messages and never waits for anybody:
/// what it has no room for is dropped.
pub trait Link<P: Protocol> {
    /// Sends to another node.
    fn send(&mut self, to: NodeId, msg: P::Msg);

    /// Answers a client, wherever it is heard from.
    fn reply(&mut self, client: ClientId, id: RequestId, ret: P::Ret);

    /// Moves what can be moved now, and has `cx` woken when more can be.
    fn poll_work(&mut self, cx: &mut Context<'_>);

    /// What came in first of what nobody has taken yet: messages and requests.
    fn take(&mut self) -> Option<Input<P>>;
}
