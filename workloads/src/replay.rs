//! A failing run in a file: everything that running it again takes.

use crate::judge::Finding;
use crate::scenario::Scenario;
use crate::world::WorldName;
use crate::world::model::Violation;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The version of the file that this version writes and reads.
pub const VERSION: u32 = 1;

/// A failing run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// [`VERSION`].
    pub shakedown_replay: u32,
    /// The pattern's name in the catalogue.
    pub pattern: String,
    /// What its clients did, of a pattern that has several workloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// The world that it failed in.
    pub world: WorldName,
    /// The mistake that the pattern was told to make.
    pub mutant: Option<String>,
    /// The seed that failed first, before it was made small; 0 in the model world, which takes none.
    pub found_with_seed: u64,
    /// What kind of finding it is.
    pub kind: String,
    /// The finding in words.
    pub finding: String,
    /// The run, made small; in the model world, the [`SmallCase`].
    scenario: serde_json::Value,
}

/// A case of the model world, as a replay file names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmallCase {
    /// Its number, from 1.
    pub case: usize,
    /// What it is: another case may have that number by now.
    pub about: String,
}

/// What was run.
#[derive(Clone, Copy, Debug)]
pub struct Header<'h> {
    /// The pattern's name.
    pub pattern: &'h str,
    /// What its clients do, if it has several workloads.
    pub workload: Option<&'h str>,
    /// The world.
    pub world: WorldName,
    /// The mistake that the pattern was told to make.
    pub mutant: Option<&'h str>,
}

/// What is wrong with a replay file.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// It is not JSON, or not of this shape.
    #[error("line {line}, column {column}: {what}; expected a replay file as `shakedown run` writes it")]
    Damaged {
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
        /// What the parser says.
        what: String,
    },
    /// It is of another version.
    #[error(
        "the file is of version {found}, this is a shakedown that replays version {VERSION}; run the seed \
         again, or use the version that wrote it"
    )]
    Version {
        /// The file's.
        found: u64,
    },
}

impl Replay {
    /// `scenario`, made from `seed`, fails with `finding`.
    pub fn new<Op: Serialize>(
        header: &Header<'_>,
        seed: u64,
        finding: &Finding,
        scenario: &Scenario<Op>,
    ) -> Replay {
        Replay {
            shakedown_replay: VERSION,
            pattern: header.pattern.to_owned(),
            workload: header.workload.map(str::to_owned),
            world: header.world,
            mutant: header.mutant.map(str::to_owned),
            found_with_seed: seed,
            kind: finding.kind().to_owned(),
            finding: finding.to_string(),
            scenario: serde_json::to_value(scenario).expect("scenarios are plain data"),
        }
    }

    /// A case of the model world has a violation. A path is not kept: the search finds it again, and
    /// looks at everything else when it is gone.
    pub fn of_case(header: &Header<'_>, case: SmallCase, violation: &Violation) -> Replay {
        Replay {
            shakedown_replay: VERSION,
            pattern: header.pattern.to_owned(),
            workload: header.workload.map(str::to_owned),
            world: header.world,
            mutant: header.mutant.map(str::to_owned),
            found_with_seed: 0,
            kind: violation.finding.kind().to_owned(),
            finding: violation.sentences().join("\n"),
            scenario: serde_json::to_value(case).expect("cases' names are plain data"),
        }
    }

    /// The case of the model world that it names. `Err`: what does not fit.
    pub fn case(&self) -> Result<SmallCase, String> {
        serde_json::from_value(self.scenario.clone()).map_err(|error| error.to_string())
    }

    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Replay, ReplayError> {
        let damaged = |error: serde_json::Error| ReplayError::Damaged {
            line: error.line(),
            column: error.column(),
            what: describe(&error),
        };
        let any: serde_json::Value = serde_json::from_str(text).map_err(damaged)?;
        match any.get("shakedown_replay").and_then(serde_json::Value::as_u64) {
            Some(found) if found != u64::from(VERSION) => Err(ReplayError::Version { found }),
            _ => serde_json::from_str(text).map_err(damaged),
        }
    }

    /// The file's text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("replays are plain data") + "\n"
    }

    /// The run. `Err`: what does not fit.
    pub fn scenario<Op: DeserializeOwned>(&self) -> Result<Scenario<Op>, String> {
        let scenario: Scenario<Op> =
            serde_json::from_value(self.scenario.clone()).map_err(|error| error.to_string())?;
        scenario.complaint().map_or(Ok(scenario), Err)
    }
}

/// What the parser says, without the place, which is told apart.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned())
}
