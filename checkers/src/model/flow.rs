//! Where values come from and where they go, whatever the state: enough to see that a value came out
//! of nowhere without a search.

use crate::value::Value;

/// A value, and where it is. Coarser tokens (a place left out) are always correct, and say less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// The register of several, or the key of the part where all parts are one object; else `None`.
    pub place: Option<Value>,
    /// The value.
    pub value: Value,
}

impl Token {
    /// `value` in an object that has one place only.
    pub fn of(value: Value) -> Token {
        Token { place: None, value }
    }
}

/// One thing that an action does with a token. What an object holds before any action is never
/// spoken of.
///
/// The promise: take any sequence of actions that the model allows from its initial state. If it
/// has no [`Flow::Anything`] before an action that sees a token, it has one there that brings that
/// token; before one that takes a token, more that bring it than take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// The token may be there afterwards.
    Brings(Token),
    /// Possible only while the token is there.
    Sees(Token),
    /// The same, and takes it away. Only for objects that hold a token as many times as it was
    /// brought, such as queues.
    Takes(Token),
    /// Any token may be there afterwards.
    Anything,
}
