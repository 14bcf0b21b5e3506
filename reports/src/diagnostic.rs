//! Errors of the user's input, arranged for a terminal by miette.
//!
//! The quoted line is all of the file that is at hand by the time an error is shown, so the source
//! given to miette is that one line, with its true number.

use crate::terminal::printable;
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, Report,
    SourceCode, SourceSpan, SpanContents,
};
use std::fmt;
use std::io::IsTerminal;

/// What is wrong with the input, where, and what to try.
#[derive(Debug)]
pub struct InputError {
    /// What happened, with the file's name.
    pub message: String,
    /// What to try next.
    pub help: Option<String>,
    /// The line it happened on.
    pub quote: Option<Box<Quote>>,
}

/// One line of a file, with a part underlined.
#[derive(Debug)]
pub struct Quote {
    /// The file.
    pub name: String,
    /// The line's number, from 1.
    pub line: usize,
    /// The column of the underlined part, from 1.
    pub column: usize,
    /// The line's text.
    pub text: String,
    /// The bytes of `text` to underline.
    pub span: std::ops::Range<usize>,
    /// What to write under it.
    pub label: String,
}

impl InputError {
    /// An error that is about no line in particular.
    pub fn new(message: impl Into<String>, help: Option<String>) -> InputError {
        InputError { message: message.into(), help, quote: None }
    }

    /// A name that is none of `known`: the answer has the nearest one, and the list.
    pub fn unknown_name<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> InputError {
        let message = format!("there is no {what} {}", printable(name));
        InputError::new(message, Some(suggestion(&format!("known {}", plural(what)), name, known)))
    }
}

/// `models`, `anomalies`.
fn plural(noun: &str) -> String {
    noun.strip_suffix('y').map_or_else(|| format!("{noun}s"), |stem| format!("{stem}ies"))
}

/// The name of `known` nearest to `name`, if one is near, and then all of them after `heading`.
pub fn suggestion<'a>(heading: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = nearest(name, known.iter().copied());
    let offer = nearest.map_or(String::new(), |nearest| format!("did you mean {nearest}? "));
    format!("{offer}{heading}: {}", known.join(", "))
}

/// The name of `known` that is nearest to `name`, if one is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for InputError {}

impl Diagnostic for InputError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.quote.as_deref().map(|quote| quote as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let quote = self.quote.as_ref()?;
        let span = LabeledSpan::new(Some(quote.label.clone()), quote.span.start, quote.span.len());
        Some(Box::new(std::iter::once(span)))
    }
}

impl SourceCode for Quote {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        _context_lines_before: usize,
        _context_lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        if span.offset() + span.len() > self.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            self.text.as_bytes(),
            SourceSpan::from((0, self.text.len())),
            self.line - 1,
            self.column - 1,
            1,
        )))
    }
}

/// The error as text of at most `width` columns: in colour and with line drawing where `fancy`.
pub fn render(report: &Report, fancy: bool, width: usize) -> String {
    let theme = if fancy { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_width(width)
        .with_word_splitter(textwrap::WordSplitter::NoHyphenation);
    let mut out = String::new();
    handler.render_report(&mut out, report.as_ref()).expect("writing to a String cannot fail");
    out.trim_start_matches('\n').to_owned()
}

/// Whether standard error takes colour and line drawing.
pub fn stderr_is_fancy() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quoted_line_keeps_its_number() {
        let error = InputError {
            message: "found `]`; expected a value".to_owned(),
            help: Some("close the map first".to_owned()),
            quote: Some(Box::new(Quote {
                name: "h.edn".to_owned(),
                line: 1234,
                column: 9,
                text: "{:type :]}".to_owned(),
                span: 8..9,
                label: "here".to_owned(),
            })),
        };
        let text = render(&Report::new(error), false, 60);
        for expected in
            ["found `]`; expected a value", "h.edn:1234:9", "1234 | {:type :]}", "here", "close the map"]
        {
            assert!(text.contains(expected), "no {expected:?} in:\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "colour in a plain rendering:\n{text}");
    }

    #[test]
    fn the_nearest_name_is_offered_and_all_are_listed() {
        let known = ["register", "cas-register", "mutex"];
        let error = InputError::unknown_name("model", "cas-regster", known);
        assert_eq!(error.message, "there is no model cas-regster");
        let help = "did you mean cas-register? known models: register, cas-register, mutex";
        assert_eq!(error.help.as_deref(), Some(help));
        let error = InputError::unknown_name("anomaly", "elephant", ["G0"]);
        assert_eq!(error.help.as_deref(), Some("known anomalies: G0"));
        let error = InputError::unknown_name("model", "elephant", known);
        assert_eq!(error.help.as_deref(), Some("known models: register, cas-register, mutex"));
    }
}
