//! Thousands of small simulations, each with another mix of trouble: nothing that Raft promises is
//! broken, everything that may happen does happen, and of the mistakes that it can be told to make those
//! that show in such a storm are found.

use super::super::*;
use super::simulation::{Random, Setting, Story, run, tell};
use std::collections::BTreeMap;

const SEEDS: u64 = 3000;

/// Another cluster and other trouble for each seed.
fn setting(seed: u64) -> Setting {
    let mut random = Random::new(seed ^ 0xabcd);
    let voters = 3 + random.below(3) as u16;
    let has_spare = random.chance(1, 3);
    let mut config = Config::new(voters + u16::from(has_spare));
    config.voters.truncate(usize::from(voters));
    config.has_pre_vote = random.chance(3, 4);
    config.has_check_quorum = random.chance(3, 4);
    config.batch_after = random.chance(1, 2).then_some(std::time::Duration::ZERO);
    if random.chance(1, 3) {
        config.reads = Reads::Lease { clock_drift_permille_max: 50 };
    }
    config.limits.entries_per_message = 1 + random.below(4) as usize;
    config.limits.messages_in_flight = 1 + random.below(4) as usize;
    if random.chance(1, 2) {
        config.limits.snapshot_after = 3 + random.below(10) as usize;
        config.limits.log_kept = random.below(4) as usize;
        config.limits.snapshot_chunk_bytes = 16 + random.below(100) as usize;
    }
    Setting {
        config,
        lost: random.below(3) * random.below(60),
        doubled: random.below(3) * random.below(100),
        late: random.below(3) * random.below(60),
        crashes: random.below(3) * random.below(8),
        partitions: random.below(2) * random.below(7),
        administration: random.below(2) * random.below(4),
        drift: random.below(50),
    }
}

fn total(stories: &[Story]) -> BTreeMap<String, u64> {
    let mut total = BTreeMap::new();
    for (kind, count) in stories.iter().flat_map(|story| &story.notes) {
        *total.entry(kind.clone()).or_default() += count;
    }
    total
}

#[test]
fn nothing_breaks_and_everything_happens() {
    let stories: Vec<Story> = (0..SEEDS)
        .map(|seed| run(&setting(seed), seed).unwrap_or_else(|_| panic!("{}", tell(&setting(seed), seed))))
        .collect();
    let total = total(&stories);
    for kind in [
        "elected",
        "deposed",
        "stepped-down",
        "conflict-truncated",
        "snapshot-installed",
        "config-changed",
        "lease-expired",
        "read-index",
        "transfer",
    ] {
        assert!(total.get(kind).copied().unwrap_or(0) > 100, "{kind}: {total:?}");
    }
    let twice = stories.iter().filter(|story| story.leaders > 1).count();
    assert!(twice > 500, "two leaders in different terms: {twice}");
    let crashes: u64 = stories.iter().map(|story| story.crashes).sum();
    assert!(crashes > 1000, "{crashes}");
}

#[test]
fn a_seed_repeats() {
    for seed in 0..20 {
        assert_eq!(run(&setting(seed), seed), run(&setting(seed), seed));
    }
}
