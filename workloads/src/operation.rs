//! What clients may ask, as generators make it and as histories record it.
//!
//! An [`Operation`] belongs to an object (a register, a queue), not to an implementation: every
//! [`Protocol`] whose clients ask operations of that object is loaded, recorded and judged the same
//! way, without a line of its own. Such a protocol is a [`Subject`].

use crate::generator::Generator;
pub use crate::random::Draws;
use shakedown_checkers::model::ModelName;
use shakedown_checkers::value::{Value, Values};
use shakedown_impls::protocol::{Data, Protocol};

/// An operation that a checker understands.
pub trait Operation: Data {
    /// What it is answered with.
    type Ret: Data;
    /// Kinds of operations, for generators to choose from.
    type Kind: Data;

    /// What the object claims to be.
    const MODEL: ModelName;

    /// How it looks in a history when it is invoked. Not asked of what an administrator wants.
    fn invoked(&self, values: &mut Values) -> Call;

    /// The value that it completed with. Not asked of what an administrator wants.
    fn completed(&self, ret: &Self::Ret, values: &mut Values) -> Value;

    /// Whether the answer shows what another operation did. Where none ever does, that nothing is
    /// wrong means nothing.
    fn shows_effect(&self, ret: &Self::Ret) -> bool;

    /// Whether a client may send it again, to another node too, without knowing what became of it: true
    /// for what changes nothing.
    fn is_repeatable(&self) -> bool {
        false
    }

    /// An operation of that kind.
    fn of_kind(kind: &Self::Kind, draws: &mut Draws<'_>) -> Self;

    /// The usual load: what is asked unless somebody asks for something else, one operation every `gap_us`
    /// microseconds, on average.
    fn usual(gap_us: u64) -> Generator<Self::Kind>;

    /// What somebody asks who only looks on, one operation every `gap_us` microseconds on average, if there
    /// is anything to see. Who changes nothing is not held up where nothing can be changed: before a leader,
    /// say, that is none any more.
    fn looking(_gap_us: u64) -> Option<Generator<Self::Kind>> {
        None
    }

    /// What an administrator asks meanwhile, one thing every `gap_us` microseconds on average; if there is
    /// anything to administer.
    fn administration(_gap_us: u64) -> Option<Generator<Self::Kind>> {
        None
    }

    /// What it asks for in words, if it is an administrator's: no part of what clients do to the object,
    /// so it is written down for people, and not judged.
    fn administers(&self) -> Option<String> {
        None
    }

    /// What came of what an administrator asked for.
    fn administered(&self, _ret: &Self::Ret) -> String {
        String::new()
    }

    /// A load for two or three clients that is small enough to look at every schedule of it, and large
    /// enough to show a mistake.
    fn small() -> Vec<Vec<Self>>;

    /// What to ask when all is over, so that nothing that went wrong stays unseen.
    fn last(keys: u32) -> Vec<Self>;
}

/// What an operation looks like in a history when it is invoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its function: `read`.
    pub f: &'static str,
    /// The independent object that it is about, if there are several.
    pub key: Option<Value>,
    /// Its argument.
    pub value: Value,
}

/// A protocol whose operations some checker understands: nothing needs to be written for it.
pub trait Subject: Protocol<Op: Operation<Ret = <Self as Protocol>::Ret>> {}

impl<P: Protocol<Op: Operation<Ret = <P as Protocol>::Ret>>> Subject for P {}
