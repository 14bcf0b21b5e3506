//! Mistakes that the tests make the engine make, and must notice.

/// One broken rule of [`Jit`](super::Jit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// Rule 1 for operations that do change the state: reads take effect whenever they please.
    ReadsAlwaysFit,
    /// Rule 2 without the condition that effects are equal.
    OnlyFirstWrite,
    /// Rule 3 for writes that were invoked after the write that is to absorb them.
    AbsorbAlways,
    /// Rule 3 without its other half: what may be absorbed is not tried on its own, either.
    NeverTwoWrites,
    /// Rule 4 for configurations that have nothing to do with each other.
    DominanceByAny,
    /// A crashed operation is never used.
    CrashedNever,
    /// The exploration ends with the first way to the goal.
    FirstWayOnly,
}

impl Sabotage {
    pub(crate) const ALL: [Sabotage; 7] = [
        Sabotage::ReadsAlwaysFit,
        Sabotage::OnlyFirstWrite,
        Sabotage::AbsorbAlways,
        Sabotage::NeverTwoWrites,
        Sabotage::DominanceByAny,
        Sabotage::CrashedNever,
        Sabotage::FirstWayOnly,
    ];
}
