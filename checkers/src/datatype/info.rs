//! What there is to know of a checker of a data type before it is used: its names and its operations.

use crate::model::OperationInfo;

/// A checker, as `shakedown models` lists it.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// Its name on the command line; Jepsen's, where Jepsen has it.
    pub name: &'static str,
    /// Other names that are accepted.
    pub aliases: &'static [&'static str],
    /// What it demands, in one line.
    pub summary: &'static str,
    /// Its operations.
    pub operations: &'static [OperationInfo],
    /// Where the definition comes from.
    pub source: &'static str,
}

/// One row of [`Info::operations`].
pub(super) const fn op(
    functions: &'static [&'static str],
    input: &'static str,
    output: &'static str,
    meaning: &'static str,
) -> OperationInfo {
    OperationInfo { functions, input, output, meaning }
}
#[cfg(test)]
mod tests {
    use super::super::*;
    use super::Info;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_checkers_share_a_name_and_each_says_what_it_takes() {
        let all: [Info; 15] = [
            bank::INFO,
            broadcast::INFO,
            convergence::INFO,
            counter::INFO,
            fencing::INFO,
            g_set::INFO,
            pn_counter::INFO,
            pn_counter::G_COUNTER_INFO,
            queue::INFO,
            session::INFO,
            set::INFO,
            set_full::INFO,
            staleness::INFO,
            total_queue::INFO,
            unique_ids::INFO,
        ];
        let mut seen = BTreeSet::new();
        for info in all {
            for name in std::iter::once(&info.name).chain(info.aliases) {
                assert!(seen.insert(*name), "{name} twice");
            }
            assert!(!info.operations.is_empty() && !info.summary.ends_with('.'), "{}", info.name);
            assert!(info.source.contains(char::is_numeric) || info.source.contains("epsen"), "{}", info.name);
        }
    }
}
