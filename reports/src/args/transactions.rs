//! Arguments of `shakedown generate` for histories of transactions.

use clap::Args;
use std::ops::RangeInclusive;

/// What only `list-append` and `rw-register` have.
#[derive(Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Transactions (list-append and rw-register only)")]
pub struct TransactionArgs {
    /// What the store guarantees; strict-serializable if not given
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<String>,

    /// Reads and writes in a transaction, such as 1-4
    #[arg(long, value_name = "MIN-MAX", value_parser = parse_length, allow_hyphen_values = true)]
    pub length: Option<RangeInclusive<u32>>,

    /// The share of reads among them, from 0 to 1
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub read_share: Option<f64>,

    /// Have every write come after a read of the same key in its transaction
    #[arg(long)]
    pub read_modify_write: bool,

    /// How unevenly keys are used: uniform, zipf:EXPONENT or exponential:BASE
    #[arg(long, value_name = "SKEW")]
    pub key_skew: Option<String>,

    /// How unevenly transactions are spread over clients, likewise
    #[arg(long, value_name = "SKEW")]
    pub session_skew: Option<String>,

    /// Replace a key after so many writes, or never; 32 for lists if not given, never for registers
    #[arg(long, value_name = "N|never", value_parser = parse_key_life, allow_hyphen_values = true)]
    pub key_life: Option<KeyLife>,

    /// The share of transactions that abort by chance, from 0 to 1
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub abort_rate: Option<f64>,

    /// Record when the store says that each transaction started and committed
    #[arg(long)]
    pub timestamps: bool,
}

/// After how many writes a key is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLife(pub Option<u32>);

fn parse_length(text: &str) -> Result<RangeInclusive<u32>, String> {
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    match (min.parse(), max.parse()) {
        (Ok(min), Ok(max)) => Ok(min..=max),
        _ => Err("expected a number, or two such as 1-4".to_owned()),
    }
}

fn parse_key_life(text: &str) -> Result<KeyLife, String> {
    match text {
        "never" => Ok(KeyLife(None)),
        number => number
            .parse()
            .map(|life| KeyLife(Some(life)))
            .map_err(|_| "expected a number, or never".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_lives_are_numbers_or_words() {
        assert_eq!(parse_length("1-4"), Ok(1..=4));
        assert_eq!(parse_length("3"), Ok(3..=3));
        assert!(parse_length("-1").is_err() && parse_length("1..4").is_err());
        assert_eq!(parse_key_life("never"), Ok(KeyLife(None)));
        assert_eq!(parse_key_life("32"), Ok(KeyLife(Some(32))));
        assert!(parse_key_life("-1").is_err() && parse_key_life("always").is_err());
    }
}
