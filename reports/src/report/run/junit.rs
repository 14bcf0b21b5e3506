//! What came of a run, for CI servers: one JUnit XML report, a test case for each world that takes seeds
//! and for each case of the model world.
//!
//! A failing run is a failure; one without a verdict is an error, because a pipeline that cannot tell must
//! not look like one that passed.

use super::timeline::Limit;
use super::{CaseReport, Failed, Looked, WorldReport, text};
use crate::exit::Exit;
use crate::terminal::printable;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// Columns of the explanations inside the report.
const WIDTH: usize = 100;

/// Collects the reports of all worlds.
#[derive(Debug)]
pub struct RunJunit {
    suite: TestSuite,
}

impl RunJunit {
    /// An empty report.
    pub fn new() -> RunJunit {
        RunJunit { suite: TestSuite::new("shakedown run") }
    }

    /// Adds one world.
    pub fn add(&mut self, report: &WorldReport) {
        let world = report.world.name();
        let explanation = || plain(&text::explanation(report, WIDTH));
        match &report.result {
            Err(message) => {
                let status = broken("internal", message, &explanation());
                self.push(report, world.to_owned(), status, report.elapsed, None);
            }
            Ok(Looked::Seeds(seeds)) => {
                let status = match (report.exit(), &report.failed) {
                    (Exit::Valid, _) => TestCaseStatus::success(),
                    (_, Some(failed)) => failing(failed, &explanation()),
                    _ => broken("unknown", "no verdict", &explanation()),
                };
                let out = (report.exit() == Exit::Valid).then(explanation);
                self.push(report, world.to_owned(), status, seeds.elapsed, out);
            }
            Ok(Looked::Cases { cases, left }) => {
                if cases.is_empty() {
                    let status = broken("unknown", "no cases", &explanation());
                    self.push(report, world.to_owned(), status, report.elapsed, None);
                }
                for case in cases {
                    let status = case_status(case, report.failed.as_ref());
                    let name = format!("{world}, case {}: {}", case.number, case.about);
                    let out = text::extent(&case.exploration.extent);
                    self.push(report, name, status, case.elapsed, Some(out));
                }
                if *left > 0 {
                    let mut status = TestCaseStatus::skipped();
                    let is_interrupted = cases.last().is_some_and(|case| case.is_interrupted);
                    let why =
                        if is_interrupted { "interrupted" } else { "a case before them ended the search" };
                    status.set_message(why);
                    let name = format!("{world}, {left} more");
                    self.push(report, name, status, Duration::ZERO, None);
                }
            }
        }
    }

    fn push(
        &mut self,
        report: &WorldReport,
        name: String,
        status: TestCaseStatus,
        time: Duration,
        out: Option<String>,
    ) {
        let mut case = TestCase::new(name, status);
        case.set_time(time).set_classname(report.pattern);
        if let Some(out) = out {
            case.set_system_out(out);
        }
        self.suite.add_test_case(case);
    }

    /// The XML text.
    pub fn finish(self) -> String {
        let mut report = Report::new("shakedown");
        report.add_test_suite(self.suite);
        report.to_string().expect("strings written to a string, as UTF-8")
    }
}

impl Default for RunJunit {
    fn default() -> RunJunit {
        RunJunit::new()
    }
}

fn case_status(case: &CaseReport, failed: Option<&Failed>) -> TestCaseStatus {
    match (case.exit(), failed) {
        (Exit::Valid, _) => TestCaseStatus::success(),
        (Exit::Invalid, Some(failed)) => {
            let story = text::story(&failed.told, failed.shrunk, Limit::usual("see timeline.txt"), WIDTH);
            failing(failed, &plain(&story))
        }
        _ => broken("unknown", "no verdict", &text::extent(&case.exploration.extent)),
    }
}

fn failing(failed: &Failed, explanation: &str) -> TestCaseStatus {
    let sentence = failed.told.sentences.first().cloned().unwrap_or_default();
    let again = match &failed.files {
        Ok(files) => format!("Run it again: {}\nReplay it made small: {}\n\n", failed.command, files.command),
        Err(error) => format!("Run it again: {}\n{error}\n\n", failed.command),
    };
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status
        .set_type(failed.told.kind.as_str())
        .set_message(printable(&sentence).into_owned())
        .set_description(format!("{again}{explanation}"));
    status
}

fn broken(category: &str, message: &str, explanation: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(category).set_message(printable(message).into_owned()).set_description(explanation);
    status
}

fn plain(styled: &str) -> String {
    anstream::adapter::strip_str(styled).to_string()
}
