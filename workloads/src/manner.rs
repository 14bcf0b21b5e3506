//! How a scenario is run, whatever is in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that somebody sets when what is going on is not wanted any more: the user wants to stop, or a time
/// is over.
pub type StopFlag = Arc<AtomicBool>;

/// How a scenario is run. None of it changes what happens, as long as the run comes to its end.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// Whether to write down what happens ([`crate::outcome::Outcome::trace`]).
    pub is_traced: bool,
    /// Once it is set the run, or the judging of it, ends where it is, within milliseconds. What came of it
    /// says nothing then.
    pub stop: StopFlag,
}

impl Manner {
    /// To the end, and with a trace.
    pub fn traced() -> Manner {
        Manner { is_traced: true, ..Manner::default() }
    }

    /// Without a trace, up to its end or until `stop` is set.
    pub fn until(stop: &StopFlag) -> Manner {
        Manner { is_traced: false, stop: Arc::clone(stop) }
    }

    /// Whether the run is not wanted any more.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
