//! Figures: how fast and how small the checkers are, beside the best peer on the same histories.
//!
//! - [`rows`]: the workloads, what they are expected to say, and the goals.
//! - [`isolation`]: the same for histories of transactions, where there is no peer.
//! - [`peer`]: Porcupine's algorithm (the crate porcupine-rs) on our histories.
//! - [`probe`]: one row in a process of its own, for peak memory and for what may never end.
//! - [`table`]: the Markdown summary.
//! - [`machine`]: when and on what a table was measured.
//! - [`raft`]: clusters in memory, ours and the peers', under the same load.
//! - [`resilience`]: patterns before a service that answers at once, ours and the peers'.
//!
//! `cargo bench -p shakedown-benches` measures everything and rewrites the tables in
//! `reports/figures`; a part of a row's name after it measures those rows only and writes nothing.

pub mod isolation;
pub mod machine;
pub mod peer;
pub mod probe;
pub mod raft;
pub mod resilience;
pub mod rows;
pub mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder at the repository's root that `name` is in.
pub fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("benches is a folder of the repository").join(name)
}

/// What the thread has used of the processor: it stands still while something else has that.
pub fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("the processor has not run for less than no time")
}

/// What the command line of a benchmark asks for, as far as it matters before criterion reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Only names that contain this.
    pub filter: Option<String>,
    /// Only names, or one iteration to see that it works: nothing is measured.
    pub dry: bool,
}

impl Request {
    /// From the arguments after the program's name.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Request {
        const SWITCHES: [&str; 13] = [
            "--bench",
            "--test",
            "--list",
            "--exact",
            "--ignored",
            "--nocapture",
            "--noplot",
            "-n",
            "--discard-baseline",
            "--quick",
            "--verbose",
            "-v",
            "--quiet",
        ];
        // `cargo test` leaves `--bench` out, and then criterion tries out instead of measuring.
        let mut request = Request { filter: None, dry: true };
        let mut tries_out = false;
        let mut value_expected = false;
        for argument in arguments {
            if value_expected {
                value_expected = false;
            } else if argument.starts_with('-') {
                tries_out |= argument == "--test" || argument == "--list";
                request.dry &= argument != "--bench";
                value_expected = !SWITCHES.contains(&argument.as_str()) && !argument.contains('=');
            } else {
                request.filter = Some(argument);
            }
        }
        request.dry |= tries_out;
        request
    }

    /// Whether a benchmark of this name is asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.filter.as_deref().is_none_or(|filter| name.contains(filter))
    }

    /// Prints what was measured, and publishes it as `reports/figures/{name}.md` if that is all of it. Under
    /// its heading it says when and on what machine.
    ///
    /// # Panics
    /// If it cannot be written, or has no heading.
    pub fn publish(&self, name: &str, table: &str) {
        println!("\n{}", self.keep(name, table));
    }

    /// The same without printing, for what takes long: a run that is cut short leaves what it had. Returns what
    /// it wrote, or would have.
    ///
    /// # Panics
    /// If it cannot be written, or has no heading.
    pub fn keep(&self, name: &str, table: &str) -> String {
        let table = machine::sign(table, &machine::measured());
        if self.filter.is_none() {
            let path = repository(&format!("reports/figures/{name}.md"));
            std::fs::write(&path, &table).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_the_argument_that_belongs_to_no_flag() {
        let parse = |text: &str| Request::parse(text.split_whitespace().map(str::to_owned));
        assert_eq!(parse("--bench"), Request { filter: None, dry: false });
        assert_eq!(parse("--save-baseline main --bench").filter, None);
        assert_eq!(parse("cas --sample-size 10 --bench").filter.as_deref(), Some("cas"));
        assert!(parse("--test").dry && parse("--bench --test").dry && parse("").dry);
        assert!(parse("cas").wants("cas-1k-c20/shakedown") && !parse("cas").wants("stack"));
    }
}
