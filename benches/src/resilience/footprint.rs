//! Memory of the contenders, counted in a process of its own: the binary `footprint`, whose allocator counts. That
//! allocator would slow down what allocates, so what measures time does without.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs something, and says what it took.
pub type Count<'a> = &'a dyn Fn(&mut dyn FnMut()) -> Counted;

/// What something took.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// How often memory was asked for.
    pub allocations: u64,
    /// Bytes that were not given back.
    pub bytes_kept: u64,
}

/// What a contender takes of memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Footprint {
    /// An instance, before its first call: itself and what it points to.
    pub bytes: u64,
    /// How often a call asks for memory.
    pub allocations_a_call: f64,
}

/// Footprints by group, contender and tasks.
pub type Footprints = BTreeMap<(String, String, usize), Footprint>;

/// The process's side: a line for each.
pub fn serve(count: Count) {
    for group in super::groups() {
        for contender in &group.contenders {
            for tasks in super::TASKS.into_iter().filter(|&tasks| tasks >= group.tasks_min) {
                let Footprint { bytes, allocations_a_call } = contender.footprint(tasks, count);
                println!("{}\t{}\t{tasks}\t{bytes}\t{allocations_a_call}", group.name, contender.name);
            }
        }
    }
}

/// Runs `program` (the binary `footprint`) and reads what it says.
///
/// # Panics
/// If it fails, or says something else.
pub fn footprints(program: &Path) -> Footprints {
    let output = Command::new(program)
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
    assert!(output.status.success(), "{}: {}", program.display(), output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| parse(line).unwrap_or_else(|| panic!("this is no footprint: {line:?}"))).collect()
}

fn parse(line: &str) -> Option<((String, String, usize), Footprint)> {
    let mut parts = line.split('\t');
    let mut part = || parts.next();
    let key = (part()?.to_owned(), part()?.to_owned(), part()?.parse().ok()?);
    let footprint = Footprint { bytes: part()?.parse().ok()?, allocations_a_call: part()?.parse().ok()? };
    Some((key, footprint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footprint_is_read_back() {
        let expected = Footprint { bytes: 416, allocations_a_call: 1.5 };
        let key = ("retry".to_owned(), "tower Retry".to_owned(), 8);
        assert_eq!(parse("retry\ttower Retry\t8\t416\t1.5"), Some((key, expected)));
        assert_eq!(parse("retry\ttower Retry\t8\t416"), None);
    }
}
