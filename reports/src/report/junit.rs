//! Verdicts for CI servers: one JUnit XML report, a test case per file.
//!
//! An invalid history is a failure; one without a verdict is an error, because a pipeline that
//! cannot tell must not look like one that passed.

use super::text::explanation;
use super::{Failure, FileReport, Ruling, adjective, datatype, isolation, timestamps};
use crate::exit::Exit;
use crate::terminal::printable;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use shakedown_checkers::verdict::Verdict;

/// Columns of the explanations inside the report.
const WIDTH: usize = 100;

/// Collects the reports of all files.
#[derive(Debug)]
pub struct JunitReport {
    suite: TestSuite,
    certify: bool,
}

impl JunitReport {
    /// An empty report. With `certify`, explanations contain the proof.
    pub fn new(certify: bool) -> JunitReport {
        JunitReport { suite: TestSuite::new("shakedown check"), certify }
    }

    /// Adds one file.
    pub fn add(&mut self, report: &FileReport) {
        let mut case = TestCase::new(report.path.as_str(), status(report, self.certify));
        case.set_time(report.elapsed);
        if let Ok(judgement) = &report.result {
            case.set_classname(judgement.model.as_str());
            // A failure has its explanation in its own element already.
            if report.exit() == Exit::Valid {
                case.set_system_out(plain(&explanation(judgement, self.certify, WIDTH)));
            }
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

fn status(report: &FileReport, certify: bool) -> TestCaseStatus {
    let (kind, category, message, description) = match &report.result {
        Ok(judgement) => {
            let description = plain(&explanation(judgement, certify, WIDTH));
            if let Some(claim) = judgement.wrong_claim() {
                let message = format!("the independent validator refuses the proof: {claim}");
                (NonSuccessKind::Error, "internal", message, description)
            } else {
                let message = match &judgement.ruling {
                    Ruling::Object { consistency, verdict } => match verdict {
                        Verdict::Valid(_) => String::new(),
                        Verdict::Invalid(_) => format!("not {}", adjective(*consistency)),
                        Verdict::Unknown(unknown) => unknown.reason.to_string(),
                    },
                    Ruling::Isolation { asked, report } => isolation::headline(asked, report),
                    Ruling::Timestamps(stamped) => timestamps::headline(stamped),
                    Ruling::Data(report) => datatype::headline(report),
                };
                match judgement.ruling.exit() {
                    Exit::Valid => return TestCaseStatus::success(),
                    Exit::Invalid => (NonSuccessKind::Failure, "invalid", message, description),
                    _ => (NonSuccessKind::Error, "unknown", message, description),
                }
            }
        }
        Err(Failure::Input(input)) => {
            let help = input.help().map(|help| help.to_string()).unwrap_or_default();
            (NonSuccessKind::Error, "input", input.to_string(), help)
        }
        Err(Failure::Internal(message)) => {
            (NonSuccessKind::Error, "internal", message.clone(), String::new())
        }
        Err(Failure::Interrupted) => {
            (NonSuccessKind::Error, "unknown", "it was interrupted".to_owned(), String::new())
        }
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(category).set_message(printable(&message).into_owned()).set_description(description);
    status
}

fn plain(styled: &str) -> String {
    anstream::adapter::strip_str(styled).to_string()
}
