//! Levels, anomalies and skews as words on a command line, and back.

use super::super::names;
use super::{Level, PlantedAnomaly, Skew, SyntheticError};
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
                Self::ALL.into_iter().find(|it| it.name().eq_ignore_ascii_case(text)).ok_or_else(|| {
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
    Level, "level";
    PlantedAnomaly, "anomaly";
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Skew::Uniform => f.write_str("uniform"),
            Skew::Zipf(exponent) => write!(f, "zipf:{exponent}"),
            Skew::Exponential(base) => write!(f, "exponential:{base}"),
        }
    }
}

impl FromStr for Skew {
    type Err = SyntheticError;

    fn from_str(text: &str) -> Result<Skew, SyntheticError> {
        let (name, number) = text.split_once(':').unwrap_or((text, ""));
        let parsed = match (name, number.parse()) {
            ("uniform", _) if number.is_empty() => Some(Skew::Uniform),
            ("zipf", Ok(exponent)) => Some(Skew::Zipf(exponent)),
            ("exponential", Ok(base)) => Some(Skew::Exponential(base)),
            _ => None,
        };
        parsed.ok_or_else(|| SyntheticError::UnknownName {
            what: "skew",
            found: text.to_owned(),
            expected: "uniform, zipf:EXPONENT such as zipf:1, or exponential:BASE such as exponential:2"
                .to_owned(),
        })
    }
}
