//! The arguments of the commands that run patterns: `list`, `run`, `replay`, `explore`, `mutants`.

use super::{IncidentFormat, ListFormat, OutputFormat, TableFormat};
use clap::Args;
use shakedown_workloads::scenario::TIME_MS_MAX;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `shakedown list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  shakedown list
  shakedown list abd
  shakedown list --format json")]
pub struct ListArgs {
    /// Only this pattern, in full
    #[arg(value_name = "PATTERN")]
    pub pattern: Option<String>,

    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub format: ListFormat,
}

/// Arguments of `shakedown incident`.
#[derive(Debug, Args)]
#[command(after_help = "\
250 callers a second come to a dependency that is well for 5 seconds, slow
for 5, dead for 5, cold for 2 and well again for 10; then 750 a second for 3
seconds, and 250 for 5. Between them are all four layers (retry, circuit
breaker, backpressure, bulkhead), all but one, or none. Time is simulated: it
takes a second. Nothing but the seed decides what happens.

Examples:
  shakedown incident
  shakedown incident --only 'all four' --only none
  shakedown incident --format csv > incident.csv")]
pub struct IncidentArgs {
    /// Only with this between callers and dependency, such as 'all four', 'none', 'all but retry'; may be repeated
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,

    /// Where chance comes from
    #[arg(short, long, value_name = "N", default_value = "1", allow_negative_numbers = true, value_parser = parse_seed)]
    pub seed: u64,

    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub format: IncidentFormat,
}

/// Arguments of `shakedown run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each world is a line PATTERN<TAB>WORLD<TAB>true|false|unknown on standard
output, then, unless --quiet, what was done and found, indented. The model world
looks at every case of the pattern; the others run seed after seed, up to the
first that fails: 1,000 in the swarm, 50 in the simulation, unless told
otherwise. Nothing but the seed decides what happens in a run.

A failure is made small, told, and written to OUTPUT/PATTERN-WORLD-SEED/:
replay.json for `shakedown replay`, history.jsonl for `shakedown check`, and
timeline.txt.

Examples:
  shakedown run abd
  shakedown run abd --world swarm --time 30s
  shakedown run abd --world swarm --nemesis crash,power --nodes 5
  shakedown run abd --world swarm --seeds 5000..9000 --jobs 2
  shakedown run abd --mutant no-write-back
  shakedown run raft --world swarm --workload list-append --time 10m
  shakedown run abd --format junit > results.xml

Exit codes, the worst of the worlds (255, then 254, 1, 2, 0):
  0    nothing is wrong in what was looked at
  1    a run failed
  2    a run could not be judged, nothing happened that could have been wrong,
       or it was interrupted
  254  the arguments are wrong
  255  internal error: a bug in shakedown")]
pub struct RunArgs {
    /// The pattern, by its name or the last part of it (see `shakedown list`)
    #[arg(value_name = "PATTERN")]
    pub pattern: String,

    /// The worlds to run it in; all that it has if not given
    #[arg(short, long, value_name = "WORLD", value_delimiter = ',')]
    pub world: Vec<String>,

    /// Run this seed only
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = parse_seed, conflicts_with_all = ["seeds", "time"])]
    pub seed: Option<u64>,

    /// Run these seeds, the last one not included; `A..` begins at A
    #[arg(long, value_name = "A..B", allow_hyphen_values = true, value_parser = parse_seeds)]
    pub seeds: Option<Seeds>,

    /// Go on with more seeds for so long in each world, such as 500ms, 30s, 10m, 2h
    #[arg(short, long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_duration)]
    pub time: Option<Duration>,

    /// Look at this case only, in the model world
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub case: Option<u16>,

    /// The cluster, and its trouble
    #[command(flatten)]
    pub load: LoadArgs,

    /// Have the pattern make this mistake (see `shakedown list PATTERN`)
    #[arg(short, long, value_name = "MUTANT")]
    pub mutant: Option<String>,

    /// Threads; as many as there are processors if not given. What is found does not depend on it
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,

    /// Try for so long to make a failure small
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_duration, default_value = "60s")]
    pub shrink_time: Duration,

    /// Where failures are written
    #[arg(short, long, value_name = "DIR", default_value = "target/shakedown")]
    pub output: PathBuf,

    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,

    /// Print verdicts only, and seeds that fail
    #[arg(short, long)]
    pub quiet: bool,
}

/// What a cluster looks like, and what goes wrong: in worlds that take seeds.
#[derive(Clone, Debug, Default, Args)]
pub struct LoadArgs {
    /// What clients do, of what `shakedown list PATTERN` names; each in turn, seed by seed, if not given
    #[arg(long, value_name = "NAME")]
    pub workload: Option<String>,

    /// What may go wrong, of what `shakedown list PATTERN` names; `none` for nothing, all if not given
    #[arg(short, long, value_name = "LIST", value_delimiter = ',')]
    pub nemesis: Option<Vec<String>>,

    /// Nodes of the cluster; drawn from the seed if not given
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..=99))]
    pub nodes: Option<u16>,

    /// Clients; drawn from the seed if not given
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub clients: Option<u32>,

    /// How long clients ask and faults happen, in simulated milliseconds; drawn from the seed if not given
    #[arg(long, value_name = "MS", allow_hyphen_values = true, value_parser = parse_length)]
    pub length: Option<u64>,
}

/// Arguments of `shakedown replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  shakedown replay target/shakedown/abd-swarm-17/replay.json
  shakedown replay target/shakedown/abd-swarm-17/replay.json --world sim

Exit codes:
  0    it does not fail any more
  1    it fails
  2    it could not be judged, or was interrupted
  254  the file cannot be read, or does not fit
  255  internal error: a bug in shakedown")]
pub struct ReplayArgs {
    /// What `shakedown run` has written: a replay.json
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// The world to run it in; the one that it failed in if not given
    #[arg(short, long, value_name = "WORLD")]
    pub world: Option<String>,

    /// Print all of the timeline, however long
    #[arg(long)]
    pub full: bool,
}

/// Arguments of `shakedown explore`.
#[derive(Debug, Args)]
#[command(after_help = "\
It serves on localhost only, until it is interrupted.

Examples:
  shakedown explore abd
  shakedown explore abd --case 2 --mutant no-write-back --port 8080")]
pub struct ExploreArgs {
    /// The pattern, by its name or the last part of it (see `shakedown list`)
    #[arg(value_name = "PATTERN")]
    pub pattern: String,

    /// The case to look at, of those that `shakedown list PATTERN` has
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1)]
    pub case: u16,

    /// Have the pattern make this mistake
    #[arg(short, long, value_name = "MUTANT")]
    pub mutant: Option<String>,

    /// The port to serve on; 0 for any that is free
    #[arg(short, long, value_name = "PORT", allow_negative_numbers = true, default_value_t = 3000)]
    pub port: u16,
}

/// Arguments of `shakedown mutants`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each mutant is hunted in each world, several times, with other seeds each time;
then the pattern without mistakes has to pass the same seeds. Numbers are
medians. What is written to a file, and Markdown, is complete or not there; its
rows are told on standard error meanwhile.

Examples:
  shakedown mutants abd
  shakedown mutants abd --world swarm --repeats 9 --seeds-max 5000
  shakedown mutants abd --mutant no-write-back --format json
  shakedown mutants --format markdown --output reports/track-record.md

Exit codes:
  0    every mutant is caught in some world, and without them nothing fails
  1    a mutant survives, or the pattern without mistakes fails
  2    it was interrupted, or a run could not be judged
  254  the arguments are wrong
  255  internal error: a bug in shakedown")]
pub struct MutantsArgs {
    /// The pattern, by its name or the last part of it (see `shakedown list`); all of them if not given
    #[arg(value_name = "PATTERN")]
    pub pattern: Option<String>,

    /// The worlds to hunt in; all that it has if not given
    #[arg(short, long, value_name = "WORLD", value_delimiter = ',')]
    pub world: Vec<String>,

    /// Only these mutants
    #[arg(short, long, value_name = "MUTANT", value_delimiter = ',', requires = "pattern")]
    pub mutant: Vec<String>,

    /// How often each is hunted in each world that takes seeds
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = REPEATS, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub repeats: u16,

    /// How many seeds each hunt may take; 30,000 in the swarm, 200 in the simulation if not given
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub seeds_max: Option<u64>,

    /// How long each hunt may take; in the model world, all cases together
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_duration, default_value = HUNT_TIME)]
    pub time_max: Duration,

    /// The cluster, and its trouble
    #[command(flatten)]
    pub load: LoadArgs,

    /// Threads; as many as there are processors if not given
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,

    /// Try for so long to make one failure of each mutant small
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_duration, default_value = SHRINK_TIME)]
    pub shrink_time: Duration,

    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub format: TableFormat,

    /// Write it to this file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How often each mutant is hunted, unless somebody says otherwise.
const REPEATS: u16 = 5;
/// How long a hunt may take, unless somebody says otherwise.
const HUNT_TIME: &str = "60s";
/// How long a failure of a mutant may be made smaller, unless somebody says otherwise.
const SHRINK_TIME: &str = "20s";

impl MutantsArgs {
    /// What was typed after the command's name, as far as it decides what is found; the formats aside.
    pub fn typed(&self) -> Vec<String> {
        let mut words: Vec<String> = self.pattern.iter().cloned().collect();
        let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
        let duration = |time: Duration| format!("{}ms", time.as_millis());
        let usual = |time: &str| parse_duration(time).expect("a constant");
        self.world.iter().for_each(|world| add("--world", world.clone()));
        self.mutant.iter().for_each(|mutant| add("--mutant", mutant.clone()));
        if self.repeats != REPEATS {
            add("--repeats", self.repeats.to_string());
        }
        if let Some(seeds) = self.seeds_max {
            add("--seeds-max", seeds.to_string());
        }
        if self.time_max != usual(HUNT_TIME) {
            add("--time-max", duration(self.time_max));
        }
        if self.shrink_time != usual(SHRINK_TIME) {
            add("--shrink-time", duration(self.shrink_time));
        }
        let LoadArgs { workload, nemesis, nodes, clients, length } = &self.load;
        workload.iter().for_each(|name| add("--workload", name.clone()));
        nemesis.iter().flatten().for_each(|name| add("--nemesis", name.clone()));
        nodes.iter().for_each(|nodes| add("--nodes", nodes.to_string()));
        clients.iter().for_each(|clients| add("--clients", clients.to_string()));
        length.iter().for_each(|length| add("--length", length.to_string()));
        words
    }
}

/// The largest seed: larger numbers do not survive every reader of JSON.
pub const SEED_MAX: u64 = (1 << 53) - 1;

/// A range of seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    /// The first.
    pub from: u64,
    /// The one after the last, if it ends.
    pub until: Option<u64>,
}

fn parse_seed(text: &str) -> Result<u64, String> {
    let seed = text.parse().map_err(|_| "expected a whole number, such as 17".to_owned())?;
    if seed > SEED_MAX { Err(format!("expected at most {SEED_MAX}")) } else { Ok(seed) }
}

/// `0..1000`, `500..`.
fn parse_seeds(text: &str) -> Result<Seeds, String> {
    let expected = || "expected a range such as 0..1000 (999 is the last) or 500..".to_owned();
    let (from, until) = text.split_once("..").ok_or_else(expected)?;
    // A number that is too large is told as such.
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parse = |text: &str| match is_number(text) {
        true => {
            text.parse().ok().filter(|&seed| seed <= SEED_MAX).ok_or(format!("expected at most {SEED_MAX}"))
        }
        false => Err(expected()),
    };
    let from = parse(from)?;
    let until = if until.is_empty() { None } else { Some(parse(until)?) };
    match until {
        Some(until) if until <= from => Err("there is no seed in this range".to_owned()),
        until => Ok(Seeds { from, until }),
    }
}

/// `500ms`, `30s`, `1.5m`, `2h`: a duration with its unit.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time from 0 up with its unit, such as 500ms, 30s, 10m or 2h".to_owned();
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(expected()),
    };
    let number: f64 = number.parse().map_err(|_| expected())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| expected())
}

/// `500`: simulated milliseconds.
fn parse_length(text: &str) -> Result<u64, String> {
    let length = text.parse().ok().filter(|length| (1..=TIME_MS_MAX).contains(length));
    length.ok_or_else(|| format!("expected a number of milliseconds from 1 to {TIME_MS_MAX}, such as 2000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_ranges_without_their_end() {
        assert_eq!(parse_seeds("0..1000"), Ok(Seeds { from: 0, until: Some(1000) }));
        assert_eq!(parse_seeds("500.."), Ok(Seeds { from: 500, until: None }));
        for bad in ["", "5", "..", "..5", "5..5", "9..3", "a..b", "0..=5", "-1..5", "0..99999999999999999999"]
        {
            assert!(parse_seeds(bad).is_err(), "{bad} must be refused");
        }
        assert!(parse_seed(&SEED_MAX.to_string()).is_ok() && parse_seed("9007199254740992").is_err());
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "30", "s", "-1s", "1d", "1e9h", "1.2.3s", "30 s", "99999999999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad} must be refused");
        }
    }
}
