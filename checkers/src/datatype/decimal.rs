//! The order of numbers of any size and precision: database timestamps do not fit 64 bits.

use crate::value::{Datum, Value, Values};
use std::cmp::Ordering;

/// A number by its sign, the place of its point, and its digits without zeros at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// The number is 0.`digits` times ten to this.
    point: i64,
    digits: Vec<u8>,
}

impl Decimal {
    /// The number that `value` is, or that its text is: `12`, `-0.5`, `1.5e18`, `"170000000000.0000000001"`.
    pub(super) fn of(values: &Values, value: Value) -> Option<Decimal> {
        match values.get(value) {
            Datum::Int(int) => Decimal::parse(&int.to_string()),
            Datum::Number(text) | Datum::Str(text) => Decimal::parse(text),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Decimal> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        digits.truncate(digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1));
        let point = whole.len() as i64 - zeros as i64 + i64::from(exponent);
        let is_zero = digits.is_empty();
        Some(Decimal { negative: negative && !is_zero, point: if is_zero { 0 } else { point }, digits })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        let sign = |number: &Decimal| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, negative) => {
                if negative {
                    -1
                } else {
                    1
                }
            }
        };
        let size = self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits));
        let size = if self.negative { size.reverse() } else { size };
        sign(self).cmp(&sign(other)).then(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_by_value() {
        let sorted = [
            "-1e30",
            "-123456789012345678901.5",
            "-123456789012345678901.25",
            "-2",
            "-1",
            "-0.5",
            "-0.05",
            "0",
            "0.049",
            "0.05",
            "1",
            "1.0000000001",
            "2",
            "10",
            "99",
            "100",
            "1.5e18",
            "1500000000000000000.0000000001",
            "1500000000000000000.0000000002",
            "1600000000000000000",
            "1e30",
        ];
        let numbers: Vec<Decimal> = sorted.iter().map(|text| Decimal::parse(text).unwrap()).collect();
        for (i, a) in numbers.iter().enumerate() {
            for (j, b) in numbers.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{} and {}", sorted[i], sorted[j]);
            }
        }
    }

    #[test]
    fn spellings_do_not_matter() {
        for (a, b) in [("0", "-0.00"), ("0e9", "0"), ("1", "+01.0"), ("12e1", "1.2E2"), ("100", "1e2")] {
            assert_eq!(Decimal::parse(a), Decimal::parse(b), "{a} and {b}");
        }
        for text in ["", "-", ".", "1/3", "1.2.3", "e5", "1e99999999999", "abc", "１"] {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }
}
