//! Options of elle-cli that `shakedown check` has under another name, or has no use for.
//!
//! They are hidden from the help. What only governs plots is taken, so that a command line of elle-cli goes on
//! working; what would promise something that does not happen is refused, with what to write instead.

use crate::diagnostic::InputError;
use clap::Args;

/// What elle-cli takes besides.
#[derive(Debug, Default, Args)]
pub struct ElleArgs {
    /// Milliseconds for a component's cycles.
    #[arg(long, hide = true, value_name = "MS")]
    cycle_search_timeout: Option<String>,

    /// Where plots go.
    #[arg(long, hide = true, value_name = "DIR")]
    directory: Option<String>,

    /// More output, as JSON.
    #[arg(long, hide = true)]
    verbose: bool,

    /// What elle-cli calls `--output`.
    #[arg(short = 'v', long = "output", hide = true, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "json")]
    output: Option<String>,

    /// `png` or `svg`.
    #[arg(long, hide = true, value_name = "FORMAT")]
    plot_format: Option<String>,

    /// Milliseconds for a plot.
    #[arg(long, hide = true, value_name = "MS")]
    plot_timeout: Option<String>,

    /// Size of the largest plot.
    #[arg(long, hide = true, value_name = "BYTES")]
    max_plot_bytes: Option<String>,

    /// The largest transfer that the bank's clients tried.
    #[arg(long, hide = true, value_name = "N")]
    max_transfer: Option<String>,
}

impl ElleArgs {
    /// Refuses what must not be passed over.
    pub fn check(&self) -> Result<(), InputError> {
        let verbose =
            "explanations are printed unless --quiet is given, and --format json prints all that was found";
        for (is_given, option, instead) in [
            (
                self.cycle_search_timeout.is_some(),
                "--cycle-search-timeout",
                "the search for cycles has no time-out of its own here; --time-limit SECONDS limits all of it",
            ),
            (
                self.directory.is_some(),
                "--directory",
                "no files are written here; --format json has every cycle with its edges",
            ),
            (self.verbose, "--verbose", verbose),
            (self.output.is_some(), "--output", verbose),
        ] {
            if is_given {
                return Err(InputError::new(format!("{option} is elle-cli's"), Some(instead.to_owned())));
            }
        }
        Ok(())
    }

    /// The options that were given and mean nothing here.
    pub fn idle(&self) -> Vec<&'static str> {
        let all = [
            (&self.plot_format, "--plot-format"),
            (&self.plot_timeout, "--plot-timeout"),
            (&self.max_plot_bytes, "--max-plot-bytes"),
            (&self.max_transfer, "--max-transfer"),
        ];
        all.into_iter().filter(|(given, _)| given.is_some()).map(|(_, name)| name).collect()
    }
}
