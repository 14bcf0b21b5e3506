//! Deliberate mistakes, switched on by name: what a test suite is tested with.
//!
//! A pattern asks about its mutant at the very line where the famous mistake is made. Without the
//! feature `mutants` the answer is constant false and a set of mutants takes no room.

use std::fmt::{self, Debug};
use std::marker::PhantomData;

/// The mutants of one pattern: an enum without fields, which [`mutants!`](crate::mutants!) writes.
pub trait Mutant: Copy + Debug + Eq + Send + Sync + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// What it is called on a command line: `no-write-back`.
    fn name(self) -> &'static str;

    /// What goes wrong, and where the mistake is known from.
    fn about(self) -> &'static str;
}

/// A set of mutants of one pattern; empty by default.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mutants<M> {
    #[cfg(feature = "mutants")]
    on: u64,
    of: PhantomData<fn() -> M>,
}

impl<M> Default for Mutants<M> {
    fn default() -> Mutants<M> {
        Mutants {
            #[cfg(feature = "mutants")]
            on: 0,
            of: PhantomData,
        }
    }
}

impl<M: Mutant> Mutants<M> {
    /// Just this one.
    #[cfg(feature = "mutants")]
    pub fn only(mutant: M) -> Mutants<M> {
        Mutants { on: 1 << Self::index(mutant), of: PhantomData }
    }

    /// The one of that name.
    #[cfg(feature = "mutants")]
    pub fn named(name: &str) -> Option<Mutants<M>> {
        M::ALL.iter().find(|mutant| mutant.name() == name).map(|&mutant| Mutants::only(mutant))
    }

    /// Whether the mistake is to be made.
    #[cfg(feature = "mutants")]
    #[inline]
    pub fn has(&self, mutant: M) -> bool {
        self.on != 0 && self.on >> Self::index(mutant) & 1 == 1
    }

    /// Whether the mistake is to be made: never.
    #[cfg(not(feature = "mutants"))]
    #[inline]
    pub const fn has(&self, _mutant: M) -> bool {
        false
    }

    #[cfg(feature = "mutants")]
    fn index(mutant: M) -> usize {
        M::ALL.iter().position(|&other| other == mutant).expect("ALL has every mutant")
    }
}

impl<M: Mutant> Debug for Mutants<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = M::ALL.iter().filter(|&&mutant| self.has(mutant));
        f.debug_set().entries(on.map(|mutant| mutant.name())).finish()
    }
}

/// Declares a pattern's mutants: a doc comment that says what goes wrong and where that is known
/// from, a variant, and its name.
///
/// ```
/// shakedown_impls::mutants! {
///     /// The mistakes of a thermostat.
///     pub enum Mutant {
///         /// Heats when it is warm. (Anon.)
///         Reversed = "reversed",
///     }
/// }
/// use shakedown_impls::mutants::{Mutant as _, Mutants};
/// assert_eq!(Mutant::ALL.len(), 1);
/// assert!(!Mutants::<Mutant>::default().has(Mutant::Reversed));
/// ```
#[macro_export]
macro_rules! mutants {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident {
            $($(#[doc = $about:literal])+ $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[doc = $about])+ $variant,)+
        }

        impl $crate::mutants::Mutant for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            fn about(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($about,)+).trim_ascii(),)+
                }
            }
        }
    };
}

#[cfg(all(test, feature = "mutants"))]
mod tests {
    use super::*;

    mutants! {
        enum Two {
            /// One.
            One = "one",
            /// The
            /// other.
            Other = "other",
        }
    }

    #[test]
    fn a_set_has_what_was_switched_on() {
        let other = Mutants::<Two>::named("other").unwrap();
        assert!(other.has(Two::Other) && !other.has(Two::One));
        assert_eq!(format!("{other:?}"), "{\"other\"}");
        assert_eq!(Mutants::<Two>::named("neither"), None);
        assert_eq!(Two::Other.about(), "The other.");
        assert_eq!(Mutants::<Two>::default(), Mutants::default());
    }
}
