//! Quantiles as Jepsen's `frequency-distribution` takes them: of `n` numbers in order, the one at index
//! `floor(n * q)`, and the last for 1. No two numbers are averaged.

use super::Figure;

const QUANTILES: [f64; 5] = [0.0, 0.5, 0.95, 0.99, 1.0];

/// Latencies in nanoseconds as a figure in milliseconds; `None` if there are none.
pub(super) fn latencies_ms(mut nanoseconds: Vec<u64>) -> Option<Figure> {
    nanoseconds.sort_unstable();
    let at = |q| pick(&nanoseconds, q).map(|ns| (q, ns as f64 / 1e6));
    let points: Vec<(f64, f64)> = QUANTILES.into_iter().filter_map(at).collect();
    (!points.is_empty()).then_some(Figure::LatenciesMs(points))
}

/// Numbers as a figure; `None` if there are none.
pub(super) fn numbers(mut numbers: Vec<u64>) -> Option<Figure> {
    numbers.sort_unstable();
    let points: Vec<(f64, u64)> =
        QUANTILES.into_iter().filter_map(|q| Some((q, pick(&numbers, q)?))).collect();
    (!points.is_empty()).then_some(Figure::Quantiles(points))
}

fn pick(sorted: &[u64], q: f64) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    Some(sorted[((sorted.len() as f64 * q) as usize).min(last)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numbers_that_occur() {
        let hundred = (0..100).rev().map(|ms| ms * 1_000_000).collect();
        let expected = vec![(0.0, 0.0), (0.5, 50.0), (0.95, 95.0), (0.99, 99.0), (1.0, 99.0)];
        assert_eq!(latencies_ms(hundred), Some(Figure::LatenciesMs(expected)));
        let expected = vec![(0.0, 1), (0.5, 7), (0.95, 7), (0.99, 7), (1.0, 7)];
        assert_eq!(numbers(vec![7, 1]), Some(Figure::Quantiles(expected)));
        assert_eq!((latencies_ms(vec![]), numbers(vec![])), (None, None));
    }
}
