//! Objects, violations, positions, values and mixes as words on a command line, and back.

use super::{Mix, Object, Position, SyntheticError, Values, Violation, names};
use std::fmt;
use std::str::FromStr;

macro_rules! named {
    ($($type:ty, $what:literal;)*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = SyntheticError;

            fn from_str(text: &str) -> Result<Self, SyntheticError> {
                Self::ALL.into_iter().find(|it| it.name() == text).ok_or_else(|| {
                    SyntheticError::UnknownName {
                        what: $what,
                        found: text.to_owned(),
                        expected: format!("one of: {}", names(&Self::ALL)),
                    }
                })
            }
        }
    )*};
}

named! {
    Object, "model";
    Violation, "violation";
    Position, "position";
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Values::Distinct => f.write_str("distinct"),
            Values::Range { start, end } => write!(f, "{start}..{end}"),
        }
    }
}

impl FromStr for Values {
    type Err = SyntheticError;

    fn from_str(text: &str) -> Result<Values, SyntheticError> {
        let range = || {
            let (start, end) = text.split_once("..")?;
            let (start, end) = (start.parse().ok()?, end.parse().ok()?);
            (start < end).then_some(Values::Range { start, end })
        };
        let parsed = if text == "distinct" { Some(Values::Distinct) } else { range() };
        parsed.ok_or_else(|| SyntheticError::UnknownName {
            what: "values",
            found: text.to_owned(),
            expected: "distinct, or a range such as 0..5 (its end is left out)".to_owned(),
        })
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(u32::to_string).collect::<Vec<_>>().join(":"))
    }
}

impl FromStr for Mix {
    type Err = SyntheticError;

    fn from_str(text: &str) -> Result<Mix, SyntheticError> {
        let weights: Result<Vec<u32>, _> = text.split(':').map(str::parse).collect();
        weights.map(Mix).map_err(|_| SyntheticError::UnknownName {
            what: "mix",
            found: text.to_owned(),
            expected: "weights such as 1:1:1, one for each function".to_owned(),
        })
    }
}
