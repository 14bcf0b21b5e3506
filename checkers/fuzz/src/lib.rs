//! What the fuzz targets share: properties that hold whatever the bytes are.

mod judge;
mod made;

pub use judge::{check, check_data_types, check_transactions};

use shakedown_checkers::format::{self, Format, Limits};
use shakedown_checkers::history::History;

/// Small enough that a fuzzer meets them.
fn limits() -> Limits {
    Limits { record_bytes: 1 << 20, depth: 16, memory_bytes: 64 << 20 }
}

/// Reads `bytes`. A history must survive being written and read again; an error must be printable.
pub fn read(bytes: &[u8], format: Option<Format>) -> Option<History> {
    let history = match format::read(bytes, "fuzz", format, &limits()) {
        Ok(history) => history,
        Err(error) => {
            if let Some(place) = error.place() {
                assert!(place.line >= 1 && place.column >= 1);
                let underlined = place.source_line.get(place.span.clone());
                assert!(underlined.is_some(), "{place:?}");
                assert!(!place.source_line.contains('\n'), "{place:?}");
            }
            assert!(!error.message().is_empty() && !error.to_string().is_empty());
            error.help();
            return None;
        }
    };
    for notation in [Format::Edn, Format::JsonLines] {
        let again = rewritten(&history, notation);
        let columns = |history: &History| -> Vec<_> {
            let row = |op: shakedown_checkers::history::Operation<'_>| {
                let timestamps = history.timestamps_of(op.id);
                let marks = (timestamps, history.is_marked_final(op.id));
                (op.process, op.f.to_owned(), op.outcome, op.invoke_position, op.complete_position, marks)
            };
            history.operations().map(row).collect()
        };
        assert_eq!(columns(&history), columns(&again));
        assert_eq!(history.event_count(), again.event_count());
    }
    for log in [Format::JepsenLog, Format::PorcupineKv] {
        let mut text = Vec::new();
        if format::write(&history, log, &mut text).is_ok() {
            let again = format::read(&text[..], "written", Some(log), &Limits::default());
            assert_eq!(again.expect("what fits reads back").len(), history.len());
        }
    }
    for sessions in [Format::Plume, Format::Awdit] {
        let (mut text, mut same) = (Vec::new(), Vec::new());
        if format::write(&history, sessions, &mut text).is_ok() {
            let again = format::read(&text[..], "written", Some(sessions), &Limits::default());
            let again = again.expect("what fits reads back");
            assert!(!again.has_real_time());
            format::write(&again, sessions, &mut same).expect("what reads back fits");
            assert_eq!(text, same);
        }
    }
    Some(history)
}

fn rewritten(history: &History, format: Format) -> History {
    let mut text = Vec::new();
    format::write(history, format, &mut text).expect("EDN and JSON can say everything");
    match format::read(&text[..], "written", Some(format), &Limits::default()) {
        Ok(again) => again,
        Err(error) => panic!("{error}\n{}", text.escape_ascii()),
    }
}
