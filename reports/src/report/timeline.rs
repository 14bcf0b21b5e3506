//! A few operations against time, in characters.
//!
//! ```text
//!    process  operation  lines  time →
//!          0  write 1    1-2    |---|
//!          1  write 2    3-8           |----------|
//!  >       2  read → 1   6-7                |---|
//! ```
//!
//! An operation too long for its column goes on below, and loses its middle if that does not do:
//! long values often begin alike.
//!
//! Not to scale: only the order of invocations and completions counts, so consecutive invocations
//! share a column, and so do consecutive completions. Two bars are apart if and only if one
//! operation returned before the other began, as long as there are columns enough for that.

use crate::terminal::{BAD, FAINT, fold, pad, paint, printable};
use shakedown_checkers::history::{ANONYMOUS, History, NEVER, OpId, Operation, Outcome};
use shakedown_checkers::value::{Value, Values};
use std::fmt::Write as _;
use textwrap::core::display_width;

/// Rows drawn at most; the rest is counted.
const ROWS_MAX: usize = 40;
/// Lines for one operation at most.
const LINES_MAX: usize = 3;
/// Columns of a bar's shortest useful drawing.
const BARS_MIN: usize = 16;
/// Columns between two neighbouring points in time, at most.
const STEP_MAX: usize = 4;

/// The operations `ops`, in the order given, as lines of at most `width` columns, each after
/// `indent` spaces. The operation `marked` stands out.
pub fn draw(history: &History, ops: &[OpId], marked: Option<OpId>, indent: usize, width: usize) -> String {
    let rows: Vec<Operation<'_>> = ops.iter().take(ROWS_MAX).map(|&id| history.operation(id)).collect();
    let cells: Vec<[String; 3]> = rows.iter().map(|op| cells(op, history.values())).collect();
    let heads = ["process", "operation", "lines"];
    let mut widths = heads.map(str::len);
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(display_width(cell));
        }
    }
    if cells.iter().all(|row| row[2].is_empty()) {
        widths[2] = 0;
    }
    // Marker, the three cells and the gaps after them; a long operation gives way to the bars.
    let fixed = indent + 2 + widths[0] + 2 + 2 + widths[2] + 2;
    widths[1] = widths[1].min(width.saturating_sub(fixed + BARS_MIN).max(heads[1].len()));
    let bars = Bars::new(&rows, width.saturating_sub(fixed + widths[1]).max(BARS_MIN));

    let mut out = String::new();
    let line = |marker: &str, [process, operation, lines]: [&str; 3], bar: &str| {
        let process = format!("{}{process}", " ".repeat(widths[0].saturating_sub(display_width(process))));
        let operation = pad(operation, widths[1]);
        let lines = if widths[2] == 0 { String::new() } else { pad(lines, widths[2] + 2) };
        let text = format!("{:indent$}{marker} {process}  {operation}  {lines}{bar}", "");
        text.trim_end().to_owned()
    };
    let head = line(" ", heads, "time →");
    writeln!(out, "{}", paint(FAINT, &head)).expect("writing to a String cannot fail");
    for (op, cells) in rows.iter().zip(&cells) {
        let is_marked = marked == Some(op.id);
        let [process, operation, lines] = cells;
        let folded = fold(operation, widths[1], LINES_MAX);
        for (i, piece) in folded.iter().enumerate() {
            let text = match i {
                0 => line(if is_marked { ">" } else { " " }, [process, piece, lines], &bars.draw(op)),
                _ => line(" ", ["", piece, ""], ""),
            };
            let text = if is_marked { paint(BAD, &text) } else { text };
            writeln!(out, "{text}").expect("writing to a String cannot fail");
        }
    }
    if ops.len() > rows.len() {
        let more = format!("{:indent$}  … and {} more (--format json lists all)", "", ops.len() - rows.len());
        writeln!(out, "{more}").expect("writing to a String cannot fail");
    }
    out
}

/// An operation in a few words: `write 1`, `read → 0`, `cas [0 1] → ?`.
pub fn describe(op: &Operation<'_>, values: &Values) -> String {
    /// Functions whose result is the point of them, nil included.
    const OBSERVERS: [&str; 9] =
        ["read", "get", "dequeue", "deq", "pop", "peek", "extract-max", "remove-max", "drain"];
    let mut text = op.f.to_owned();
    if let Some(key) = op.key {
        write!(text, " {}", values.show(key)).expect("writing to a String cannot fail");
    }
    let observes = OBSERVERS.contains(&op.f);
    let (input, output) = without_key(op, values, &mut text);
    // Knossos' histories invoke a read with the value that it will see.
    let is_echo = observes && op.outcome == Outcome::Ok && input == output;
    if !input.is_nil() && !is_echo {
        write!(text, " {}", values.show(input)).expect("writing to a String cannot fail");
    }
    match op.outcome {
        Outcome::Ok if observes || (output != input && !output.is_nil()) => {
            write!(text, " → {}", values.show(output)).expect("writing to a String cannot fail");
        }
        Outcome::Ok => {}
        Outcome::Info => text.push_str(" → ?"),
        Outcome::Fail => text.push_str(" → failed"),
    }
    printable(&text).into_owned()
}

/// Input and output, without the key where both are `[key value]` with one key: it is written once.
fn without_key(op: &Operation<'_>, values: &Values, text: &mut String) -> (Value, Value) {
    if let (Some((key, input)), Some((key_again, output))) = (values.pair(op.input), values.pair(op.output))
        && key == key_again
        && op.input != op.output
        && op.outcome == Outcome::Ok
    {
        write!(text, " {}", values.show(key)).expect("writing to a String cannot fail");
        return (input, output);
    }
    (op.input, op.output)
}

fn cells(op: &Operation<'_>, values: &Values) -> [String; 3] {
    let process = if op.process >= ANONYMOUS { "-".to_owned() } else { op.process.to_string() };
    let lines = match (op.invoke_line, op.complete_line) {
        (0, 0) => String::new(),
        (from, 0) => format!("{from}-"),
        (from, to) if from == to => from.to_string(),
        (from, to) => format!("{from}-{to}"),
    };
    [process, describe(op, values), lines]
}

/// Where on the time axis each position of the shown operations is drawn.
struct Bars {
    /// Positions at which a new column begins, sorted.
    columns_from: Vec<u32>,
    step: f64,
    width: usize,
}

impl Bars {
    fn new(rows: &[Operation<'_>], width: usize) -> Bars {
        let mut points: Vec<(u32, bool)> = Vec::with_capacity(rows.len() * 2);
        for op in rows {
            points.push((op.invoke_position, false));
            if op.returned() != NEVER {
                points.push((op.returned(), true));
            }
        }
        points.sort_unstable();
        // A completion read without its invocation shares that position; it still needs two columns.
        let mut columns_from = Vec::new();
        let mut last = None;
        for (position, is_return) in points {
            if last != Some(is_return) {
                columns_from.push(position);
                last = Some(is_return);
            }
        }
        // One more step than there are columns: open operations run on past the last event.
        let step = ((width - 2) as f64 / columns_from.len().max(1) as f64).min(STEP_MAX as f64);
        Bars { columns_from, step, width }
    }

    fn draw(&self, op: &Operation<'_>) -> String {
        let begin = self.column(op.invoke_position);
        let end = if op.returned() == NEVER { self.last_column() } else { self.column(op.returned()) };
        let mut bar = " ".repeat(begin);
        match op.returned() {
            NEVER => {
                bar.push('|');
                bar.push_str(&"-".repeat(end.saturating_sub(begin + 1)));
                bar.push('>');
            }
            _ if end <= begin => bar.push('|'),
            _ => {
                bar.push('|');
                bar.push_str(&"-".repeat(end - begin - 1));
                bar.push('|');
            }
        }
        bar
    }

    fn column(&self, position: u32) -> usize {
        let group = self.columns_from.partition_point(|&from| from <= position).saturating_sub(1);
        ((group as f64 * self.step) as usize).min(self.width - 2)
    }

    fn last_column(&self) -> usize {
        ((self.columns_from.len() as f64 * self.step) as usize).min(self.width - 1)
    }
}
