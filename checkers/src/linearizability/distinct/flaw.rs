//! Deliberate mistakes, one per line of the procedures that matters, switched on by tests only.
//!
//! A comparison with an oracle proves something only if it fails when the procedure is wrong. Each
//! flaw is asked for at the very line that it breaks; outside tests the answer is constant false.

/// A mistake that somebody could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Forward zones may overlap.
    ForwardZonesUnchecked,
    /// A backward zone may lie inside a forward one.
    BackwardZonesUnchecked,
    /// Zones that only touch count as overlapping: `<=` for `<`.
    TouchingZonesOverlap,
    /// The initial value may come back.
    InitialValueUnchecked,
    /// A read may complete before its write begins.
    ReadBeforeWriteUnchecked,
    /// Every read of the initial value is taken for one before that value was written again.
    RewrittenInitialIgnored,
    /// A take may complete before its put begins.
    TakeBeforePutUnchecked,
    /// A value may be taken twice; the last take counts.
    TakenTwiceUnchecked,
    /// Takes with unknown results are left out of account altogether.
    UnknownTakesIgnored,
    /// Takes with unknown results take the values that came last.
    UnknownTakesReversed,
    /// A completion precedes an invocation at the same position.
    EqualPositionsPrecede,
    /// An operation may find nothing at any time.
    NothingUnchecked,
    /// Values may leave a queue in any order.
    OvertakingUnchecked,
    /// A value that is never taken blocks nothing.
    NeverTakenUnchecked,
    /// A value may leave a priority queue while a larger one is there.
    LargerValueUnchecked,
    /// A value may enclose others on a stack though its push began later.
    PushAtAnyTime,
    /// A value may enclose others on a stack though its pop completed earlier.
    PopAtAnyTime,
    /// Reads of a growing set need not include each other.
    ChainUnchecked,
    /// A read may see a member before its add begins.
    ReadBeforeAddUnchecked,
    /// Operations of a growing set may come in any order.
    StagesUnchecked,
}

/// Whether `flaw` is on in this thread.
#[cfg(test)]
pub(super) fn on(flaw: Flaw) -> bool {
    CURRENT.get() == Some(flaw)
}

/// Whether `flaw` is on: never, outside tests.
#[cfg(not(test))]
pub(super) const fn on(_flaw: Flaw) -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static CURRENT: std::cell::Cell<Option<Flaw>> = const { std::cell::Cell::new(None) };
}

/// Runs `f` with `flaw` on.
#[cfg(test)]
pub(super) fn with<R>(flaw: Option<Flaw>, f: impl FnOnce() -> R) -> R {
    let before = CURRENT.replace(flaw);
    let result = f();
    CURRENT.set(before);
    result
}
