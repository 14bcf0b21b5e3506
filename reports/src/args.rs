//! The command line: what can be asked, with its help.
//!
//! Only structure and text; what each command does is in [`crate::command`].

pub mod elle;
pub mod pattern;
pub mod transactions;

use clap::{Args, Parser, Subcommand, ValueEnum};
use elle::ElleArgs;
use pattern::{ExploreArgs, IncidentArgs, ListArgs, MutantsArgs, ReplayArgs, RunArgs};
use std::path::PathBuf;
use std::time::Duration;
use transactions::TransactionArgs;

/// `shakedown` and its arguments.
#[derive(Debug, Parser)]
#[command(
    name = "shakedown",
    version,
    about = "Runs the patterns of distributed systems under faults, and judges what their clients saw",
    long_about = "Runs the patterns of distributed systems under every fault, seed after seed, and judges \
                  what their clients saw: what fails is made small, told, and replayed from its file.\n\n\
                  Judges recorded histories too: reads what Jepsen, Knossos, Porcupine or your own harness \
                  recorded, says whether one order of the operations explains every result, and proves its \
                  answer.\n\n\
                  Without a command it puts a Raft cluster on trial, for about 20 seconds, and has it make two \
                  famous mistakes, to see that they are caught.",
    after_help = "Examples:\n  \
        shakedown                                     a trial of Raft, 20 seconds\n  \
        shakedown list                                the patterns\n  \
        shakedown run abd                             run one in all its worlds\n  \
        shakedown run abd --mutant no-write-back      have it make a mistake\n  \
        shakedown replay FILE                         run a failure again\n  \
        shakedown check history.edn                   judge a history, guess its model\n  \
        shakedown check --model cas-register *.log    judge many\n  \
        shakedown models                              what can be judged\n  \
        shakedown convert history.edn history.jsonl   change the format\n  \
        shakedown generate --model stack -o h.jsonl   make a history to try things on\n\n\
        Exit codes: 0 valid, 1 invalid, 2 unknown, 254 bad arguments or\n\
        unreadable input, 255 internal error."
)]
pub struct Cli {
    /// What to do; nothing means the trial.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the patterns: what they claim, where they run, what mistakes they can make
    List(ListArgs),
    /// Run a pattern under faults, and judge what its clients saw
    Run(RunArgs),
    /// Run a failure again, from the file that `run` wrote
    Replay(ReplayArgs),
    /// Walk through the states of a small case in the browser
    Explore(ExploreArgs),
    /// Have a pattern make each of its mistakes, and see whether they are caught
    Mutants(MutantsArgs),
    /// A dependency slows, dies and returns: what each layer of resilience is good for
    Incident(IncidentArgs),
    /// Judge histories: is there an order of the operations that explains every result?
    Check(CheckArgs),
    /// List the models: their operations, and the shapes of their values
    Models(ModelsArgs),
    /// Write a history in another format
    Convert(ConvertArgs),
    /// Make a synthetic history, valid or with a planted violation
    Generate(GenerateArgs),
}

/// Arguments of `shakedown check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Output (text): for each file a line PATH<TAB>true|false|unknown on standard
output, then, unless --quiet, the explanation, indented. A file that cannot be
read is reported on standard error and does not stop the others.

Examples:
  shakedown check history.edn
  shakedown check --model cas-register --initial 0 knossos/*.edn
  shakedown check --model kv --time-limit 60 --memory-limit 4G run.jsonl.zst
  shakedown check --model list-append --consistency snapshot-isolation txn.edn
  shakedown check --consistency snapshot-isolation --timestamps txn.jsonl
  shakedown check --model set-full adds.edn
  zcat history.edn.gz | shakedown check --input-format edn -
  shakedown check --quiet *.log | grep false
  shakedown check --format junit *.edn > results.xml
  shakedown check --certify history.edn

Exit codes, the worst of the files (255, then 254, 1, 2, 0):
  0    every history is valid
  1    a history is invalid
  2    a history could not be decided within its budget, or was interrupted
  254  the arguments are wrong, or a file could not be read
  255  internal error: a bug in shakedown")]
pub struct CheckArgs {
    /// The model that the operations follow (see `shakedown models`); guessed if not given, or `auto`
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,

    /// The object's initial value, as EDN or JSON; nil if not given (Knossos' registers start at 0)
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub initial: Option<String>,

    /// What to demand. Of objects: linearizable (unless given), sequential, per-key. Of transactions:
    /// strict-serializable (unless given), serializable, snapshot-isolation, read-committed and others, several
    /// with commas between them
    #[arg(short, long, alias = "consistency-models", value_name = "LEVEL", value_delimiter = ',')]
    pub consistency: Vec<String>,

    /// Transactions: anomalies that make a history invalid whatever the level, such as G1c,G-single-process
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    pub anomalies: Vec<String>,

    /// rw-register: take each key by itself to be sequentially consistent
    #[arg(long)]
    pub sequential_keys: bool,

    /// rw-register: take each key by itself to be linearizable
    #[arg(long)]
    pub linearizable_keys: bool,

    /// Transactions: whether to see a value that nobody wrote is an anomaly. If not given, it is one in lists and
    /// in formats that have transactions only
    #[arg(long, value_name = "WHETHER")]
    pub unwritten_reads: Option<UnwrittenReads>,

    /// Transactions: judge by the timestamps that the system gave them, start-ts and commit-ts. To be serializable
    /// each must have read and written at its commit-ts; under prefix and snapshot-isolation read at its start-ts.
    /// In strong-session-, strong- and strict- levels nobody may start, by these timestamps, before one has committed
    /// that had completed, by the order of events, before he was invoked. Correct in another order is not correct
    /// here
    #[arg(long, conflicts_with_all = ["anomalies", "sequential_keys", "linearizable_keys"])]
    pub timestamps: bool,

    /// long-fork: how many keys are read together; as many as in the first read if not given
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub group_size: Option<u16>,

    /// bank: the sum of all balances; that of the first read if not given
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub total_amount: Option<i64>,

    /// bank: balances may be below zero
    #[arg(long)]
    pub allow_negative_balances: bool,

    /// staleness: how many versions a read may be behind
    #[arg(long, value_name = "N")]
    pub staleness_max_versions: Option<u64>,

    /// staleness: how many milliseconds a read may be behind
    #[arg(long, value_name = "MS")]
    pub staleness_max_ms: Option<u64>,

    /// The files' format; recognised by content if not given
    #[arg(short, long, value_name = "FORMAT")]
    pub input_format: Option<String>,

    /// Give up judging a file after this many seconds, fractions allowed, reading it not included; the
    /// verdict is then unknown
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, allow_hyphen_values = true)]
    pub time_limit: Option<Duration>,

    /// Memory that the engines may use beside the history, in bytes or with a suffix K, M, G or T (of
    /// 1024)
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, default_value = "2G", allow_hyphen_values = true)]
    pub memory_limit: usize,

    /// Threads; as many as there are processors if not given. Verdicts do not depend on it
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,

    /// Print verdicts only, without explanations and summary
    #[arg(short, long)]
    pub quiet: bool,

    /// Print the proof of each verdict, and have the independent validator check it
    #[arg(long)]
    pub certify: bool,

    /// Histories, `-` for standard input; .gz and .zst are decompressed
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// For command lines of elle-cli
    #[command(flatten)]
    pub elle: ElleArgs,
}

/// Arguments of `shakedown models`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  shakedown models
  shakedown models cas-register
  shakedown models --format json")]
pub struct ModelsArgs {
    /// Only this model, in full
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub format: ListFormat,
}

/// Arguments of `shakedown convert`.
#[derive(Debug, Args)]
#[command(after_help = "\
The format to write goes by the file's extension, under .gz or .zst if there is
one: .edn, .jsonl or .json (JSON lines), .log (Jepsen's text log), .txt
(Porcupine's key-value log), .plume (transactions, as in Plume and PolySI),
.awdit (as in AWDIT). Standard output and names without one get JSON lines.
A log holds only what it has words for, .plume and .awdit only transactions on
registers; EDN and JSON lines hold everything.

Formats by name: edn, json, jepsen-log, porcupine-kv, plume, awdit; and to read
only dbcop, dbcop-hist, dbcop-bincode, cobra.

Examples:
  shakedown convert history.edn history.jsonl
  shakedown convert history.jsonl history.edn.gz
  shakedown convert etcd.log - --output-format edn | less
  shakedown convert txns.jsonl txns.plume")]
pub struct ConvertArgs {
    /// The history to read, `-` for standard input
    #[arg(value_name = "IN")]
    pub input: PathBuf,

    /// The file to write, `-` for standard output
    #[arg(value_name = "OUT")]
    pub output: PathBuf,

    /// The format of IN; recognised by content if not given
    #[arg(short, long, value_name = "FORMAT")]
    pub input_format: Option<String>,

    /// The format of OUT; by its extension if not given
    #[arg(short, long, value_name = "FORMAT")]
    pub output_format: Option<String>,
}

/// Arguments of `shakedown generate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Clients work in a closed loop: each invokes its next operation when the last one
has returned, after exponentially distributed latencies. The same arguments and
seed give the same bytes.

Transactions run on a simulated store. Its levels: strict-serializable,
serializable, snapshot-isolation, parallel-snapshot-isolation, causal,
read-atomic, read-committed; lists have neither causal nor read-atomic. One
anomaly can be planted with --violation.

Examples:
  shakedown generate --model register -n 1000 -c 10 -o history.jsonl
  shakedown generate --model cas-register --values 0..5 --crash-rate 0.05 -s 7
  shakedown generate --model register --violation stale-read | shakedown check -
  shakedown generate --model list-append -n 100000 -c 20 -o txns.jsonl
  shakedown generate --model rw-register --violation long-fork -o fork.edn")]
pub struct GenerateArgs {
    /// The model that the history follows; list-append and rw-register are transactions on lists and on
    /// registers
    #[arg(short, long, value_name = "MODEL", default_value = "register")]
    pub model: String,

    /// Number of operations, or of transactions
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000, allow_negative_numbers = true)]
    pub operations: u32,

    /// Number of clients at work at once
    #[arg(short, long, value_name = "N", default_value_t = 5, allow_negative_numbers = true)]
    pub clients: u32,

    /// Number of keys, for models that have them; values of registers are then `[key value]`. Transactions
    /// have 10 if not given
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    pub keys: Option<u32>,

    /// The share of operations that crash, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, allow_negative_numbers = true)]
    pub crash_rate: f64,

    /// Plant this violation, in transactions this anomaly; a valid history if not given
    #[arg(long, value_name = "KIND")]
    pub violation: Option<String>,

    /// Where to plant it: early, middle or end
    #[arg(long, value_name = "WHERE", requires = "violation")]
    pub position: Option<String>,

    /// The values put in: `distinct`, or a range such as 0..5
    #[arg(long, value_name = "VALUES")]
    pub values: Option<String>,

    /// Weights of the model's functions, such as 2:1:1
    #[arg(long, value_name = "WEIGHTS")]
    pub mix: Option<String>,

    /// The seed of everything random in it
    #[arg(short, long, value_name = "SEED", default_value_t = 0, allow_negative_numbers = true)]
    pub seed: u64,

    /// The file to write, `-` for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,

    /// The format to write; by the file's extension if not given, JSON lines to standard output
    #[arg(long, value_name = "FORMAT")]
    pub output_format: Option<String>,

    /// For transactions only
    #[command(flatten)]
    pub transactions: TransactionArgs,
}

/// Whether a read of what nobody wrote is an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UnwrittenReads {
    /// It came from outside of the history, and says nothing
    Ignore,
    /// It is a garbage read
    Forbid,
}

/// What `check` and `run` print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people: a line per file or world, then the explanation
    Text,
    /// For programs: one JSON object per file or world, each on its line
    Json,
    /// For CI servers: one JUnit XML report
    Junit,
}

/// What `models` and `list` print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For people
    Text,
    /// For programs: JSON
    Json,
}

/// What `incident` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IncidentFormat {
    /// For people: a table of each
    Text,
    /// For the web: a Markdown document, with the command that makes it again
    Markdown,
    /// For charts: a row for each half second, as comma-separated values
    Csv,
}

/// What `mutants` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// For people: a row as soon as it is known
    Text,
    /// For programs: one JSON object per pattern
    Json,
    /// For the web: a Markdown document, with the command that makes it again
    Markdown,
}

/// `0.5`, `60`: a duration in seconds.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number of seconds from 0 up, such as 60 or 0.5".to_owned();
    let seconds: f64 = text.parse().map_err(|_| expected())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| expected())
}

/// `1000000`, `512M`, `2G`, `1GiB`: a number of bytes.
fn parse_bytes(text: &str) -> Result<usize, String> {
    let expected = || "expected a number of bytes, such as 512M, 2G or 1000000".to_owned();
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(digits_end);
    let shift = match suffix.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(expected()),
    };
    let number: usize = digits.parse().map_err(|_| expected())?;
    let bytes = number.checked_mul(1 << shift).ok_or("more bytes than this machine can address")?;
    if bytes == 0 { Err("expected at least one byte".to_owned()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_a_terminal_of_80_columns() {
        let root = Cli::command();
        for command in std::iter::once(&root).chain(root.get_subcommands()) {
            // What is written by hand; clap wraps the rest, and would break these lines anywhere.
            let text = command.get_after_help().expect("every command has examples").to_string();
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
        }
    }

    #[test]
    fn sizes_take_suffixes_of_1024() {
        assert_eq!(parse_bytes("512M"), Ok(512 << 20));
        assert_eq!(parse_bytes("2g"), Ok(2 << 30));
        assert_eq!(parse_bytes("3KiB"), Ok(3 << 10));
        assert_eq!(parse_bytes("77"), Ok(77));
        for bad in ["", "G", "-1", "1.5G", "2X", "0", "99999999T"] {
            assert!(parse_bytes(bad).is_err(), "{bad} must be refused");
        }
    }

    #[test]
    fn seconds_are_finite_and_not_negative() {
        assert_eq!(parse_seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "-1", "nan", "inf", "1e99", "soon"] {
            assert!(parse_seconds(bad).is_err(), "{bad} must be refused");
        }
    }
}
