//! Exit codes, Jepsen's.

use shakedown_checkers::verdict::Verdict;
use std::process::ExitCode;

/// How one file, or the whole command, ended. The order is from best to worst: whatever is worst
/// among the files decides the command's exit code.
///
/// Invalid is worse than unknown (one broken history is an answer, an undecided one is not), and
/// input that could not be read is worse than both, because nothing at all is known about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Valid, or simply done: 0.
    #[default]
    Valid,
    /// Not decided: 2.
    Unknown,
    /// Invalid: 1.
    Invalid,
    /// Bad arguments or unreadable input: 254.
    BadInput,
    /// A bug in shakedown: 255.
    Internal,
}

impl Exit {
    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Exit::Valid => 0,
            Exit::Invalid => 1,
            Exit::Unknown => 2,
            Exit::BadInput => 254,
            Exit::Internal => 255,
        }
    }
}

impl From<&Verdict> for Exit {
    fn from(verdict: &Verdict) -> Exit {
        match verdict {
            Verdict::Valid(_) => Exit::Valid,
            Verdict::Invalid(_) => Exit::Invalid,
            Verdict::Unknown(_) => Exit::Unknown,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_file_decides() {
        let worst_first = [Exit::Internal, Exit::BadInput, Exit::Invalid, Exit::Unknown, Exit::Valid];
        assert_eq!(worst_first.map(Exit::code), [255, 254, 1, 2, 0]);
        assert!(worst_first.is_sorted_by(|a, b| a > b));
    }
}
