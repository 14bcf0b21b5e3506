//! Faults, counted: kind by kind there are more than anybody reads in a row, so they stand with the
//! trouble that they belong to, by the name that `--nemesis` gives it.

use crate::terminal::{count, pad, thousands, wrap_into};
use shakedown_workloads::nemesis::Nemesis;
use std::collections::BTreeMap;

/// How many faults of a kind there were, and how many of those changed nothing.
pub type Counted = (u64, u64);

/// What kinds of faults each trouble is made of. Those for a leader all begin with its name.
const KINDS: [(Nemesis, &[&str]); 7] = [
    (Nemesis::Partition, &["split", "flap", "mute", "deaf", "bridge", "ring"]),
    (Nemesis::Network, &["loss", "duplication", "delay", "corruption"]),
    (Nemesis::Crash, &["crash"]),
    (Nemesis::Power, &["power-loss"]),
    (Nemesis::Pause, &["pause"]),
    (Nemesis::Disk, &["slow-disk", "failing-disk", "bit-rot"]),
    (Nemesis::Clock, &["clock-jump", "clock-drift"]),
];
const LEADER: &str = "leader-";

/// Columns that kinds need beside their trouble; where there are fewer they go below.
const KINDS_MIN: usize = 30;

/// Faults of one trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The trouble; `None` if nobody knows.
    pub nemesis: Option<Nemesis>,
    /// All of them.
    pub all: Counted,
    /// Kind by kind, without what the trouble's name says already.
    pub kinds: Vec<(&'static str, Counted)>,
}

impl Group {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.nemesis.map_or("other", Nemesis::name)
    }
}

/// The trouble that a kind of fault belongs to.
pub fn nemesis_of(kind: &str) -> Option<Nemesis> {
    if kind.starts_with(LEADER) {
        return Some(Nemesis::Leader);
    }
    KINDS.iter().find(|(_, kinds)| kinds.contains(&kind)).map(|(nemesis, _)| *nemesis)
}

/// The faults of each trouble, in the order of [`Nemesis::ALL`].
pub fn groups(faults: &BTreeMap<&'static str, Counted>) -> Vec<Group> {
    let of = |nemesis: Option<Nemesis>| {
        let kinds = faults.iter().filter(|(kind, _)| nemesis_of(kind) == nemesis);
        let kinds: Vec<_> =
            kinds.map(|(kind, &counted)| (kind.strip_prefix(LEADER).unwrap_or(kind), counted)).collect();
        let all = kinds.iter().fold((0, 0), |(all, vacuous), (_, more)| (all + more.0, vacuous + more.1));
        Group { nemesis, all, kinds }
    };
    let known = Nemesis::ALL.into_iter().map(Some);
    known.chain([None]).map(of).filter(|group| !group.kinds.is_empty()).collect()
}

/// One line for each trouble, or more where it is narrow: how many faults, and how many of those changed
/// nothing, in brackets; then its kinds, if it has several.
pub fn table(faults: &BTreeMap<&'static str, Counted>, indent: &str, width: usize) -> String {
    let groups = groups(faults);
    let longest = |cells: &[String]| cells.iter().map(String::len).max().unwrap_or(0);
    let names: Vec<String> = groups.iter().map(|group| group.name().to_owned()).collect();
    let counts: Vec<String> = groups.iter().map(|group| counted(group.all)).collect();
    let (name_width, count_width) = (longest(&names), longest(&counts));
    let mut out = String::new();
    for ((group, name), all) in groups.iter().zip(&names).zip(&counts) {
        let first = format!("{indent}{}  {}  ", pad(name, name_width), pad(all, count_width));
        let kinds: Vec<String> =
            group.kinds.iter().map(|(kind, counts)| format!("{kind} {}", counted(*counts))).collect();
        let is_said = group.nemesis.is_some_and(has_one_kind);
        match if is_said { String::new() } else { kinds.join(", ") } {
            kinds if kinds.is_empty() => out.push_str(&format!("{}\n", first.trim_end())),
            kinds if first.len() + KINDS_MIN <= width => {
                wrap_into(&mut out, width, &first, &" ".repeat(first.len()), &kinds);
            }
            kinds => {
                out.push_str(&format!("{}\n", first.trim_end()));
                let below = format!("{indent}    ");
                wrap_into(&mut out, width, &below, &below, &kinds);
            }
        }
    }
    out
}

fn has_one_kind(nemesis: Nemesis) -> bool {
    KINDS.iter().any(|(known, kinds)| *known == nemesis && kinds.len() == 1)
}

/// `1,480 (124)`.
fn counted((all, vacuous): Counted) -> String {
    match vacuous {
        0 => thousands(all),
        _ => format!("{} ({})", thousands(all), thousands(vacuous)),
    }
}

/// `12 faults, 3 of which changed nothing`, of all of them.
pub fn total(faults: &BTreeMap<&'static str, Counted>) -> (String, Counted) {
    let all = faults.values().fold((0, 0), |(all, vacuous), more| (all + more.0, vacuous + more.1));
    (count(all.0, "fault"), all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_workloads::catalogue::{Pattern as _, Request};
    use shakedown_workloads::manner::StopFlag;
    use shakedown_workloads::replication::raft::RAFT;
    use shakedown_workloads::world::WorldName;
    use std::collections::BTreeSet;

    // Each of 24 kinds has a chance of about one in five to be in a run: 200 runs have them all.
    #[test]
    fn every_kind_of_fault_belongs_to_some_trouble() {
        let request = Request { length_ms: Some(20), clients: Some(1), ..Request::new(WorldName::Swarm) };
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            seen.extend(
                RAFT.run(&request, seed, &StopFlag::default()).unwrap().faults.iter().map(|fault| fault.name),
            );
        }
        assert!(seen.len() >= 24, "{seen:?}");
        let lost: Vec<_> = seen.iter().filter(|kind| nemesis_of(kind).is_none()).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }

    #[test]
    fn a_table_has_a_line_for_each_trouble_and_wraps_its_kinds() {
        let faults = [
            ("bridge", (172, 77)),
            ("flap", (174, 0)),
            ("split", (1_724, 234)),
            ("leader-split", (3, 1)),
            ("power-loss", (1_480, 124)),
            ("flood", (1, 0)),
        ];
        assert_eq!(
            table(&faults.into(), "  ", 60),
            "  partition  2,070 (311)  bridge 172 (77), flap 174, split\n  \
             \u{20}                       1,724 (234)\n  \
             power      1,480 (124)\n  \
             leader     3 (1)        split 3 (1)\n  \
             other      1            flood 1\n"
        );
        for line in table(&faults.into(), "    ", 40).lines() {
            assert!(line.chars().count() <= 40, "{line}");
        }
    }
}
