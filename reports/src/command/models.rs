//! `shakedown models`: what can be judged.

use super::{Stopped, Streams};
use crate::args::{ListFormat, ModelsArgs};
use crate::exit::Exit;
use crate::judge;
use crate::terminal::{FAINT, STRONG, paint, wrap_into};
use serde_json::{Value as Json, json};
use shakedown_checkers::datatype::info::Info;
use shakedown_checkers::datatype::registry::CHECKERS;
use shakedown_checkers::model::{MODELS, ModelInfo, OperationInfo};
use shakedown_checkers::theory::{TRANSACTIONAL, Theory};
use std::fmt::Write as _;

/// Lists all models, or describes the one that `args` name.
pub fn run(args: &ModelsArgs, streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    let chosen: Vec<Entry> = match &args.name {
        Some(name) => vec![Entry::of(&judge::model_named(name)?)],
        None => {
            let objects = MODELS.iter().map(Entry::of_object);
            let transactional = TRANSACTIONAL.iter().map(|entry| Entry::of_info(&entry.1, "transactions"));
            let data = CHECKERS.iter().map(|checker| Entry::of_info(&checker.info, "data"));
            objects.chain(transactional).chain(data).collect()
        }
    };
    let text = match args.format {
        ListFormat::Json => format!("{:#}\n", chosen.iter().map(Entry::as_json).collect::<Json>()),
        ListFormat::Text => {
            let mut out = String::new();
            let mut kind = "";
            for entry in &chosen {
                if args.name.is_none() && std::mem::replace(&mut kind, entry.kind) != entry.kind {
                    wrap_into(&mut out, streams.width, "", "", heading(entry.kind));
                    out.push('\n');
                }
                entry.describe(&mut out, args.name.is_some(), streams.width);
            }
            if args.name.is_none() {
                let more = "In full: `shakedown models NAME`. A value [key value] on a register is an independent \
                            key, as in Jepsen.";
                wrap_into(&mut out, streams.width, "", "", more);
            }
            out
        }
    };
    streams.out.write_all(text.as_bytes())?;
    streams.out.flush()?;
    Ok(Exit::Valid)
}

/// What is common to the models of a kind.
fn heading(kind: &str) -> &'static str {
    match kind {
        "object" => "Objects: one order of the operations must explain every result.",
        "transactions" => "Transactions: cycles and other anomalies tell which isolation they lack.",
        _ => "Data types: what became of every element, as Jepsen's checkers count it.",
    }
}

/// A model, of whatever kind.
struct Entry {
    kind: &'static str,
    name: String,
    aliases: &'static [&'static str],
    summary: &'static str,
    operations: &'static [OperationInfo],
    /// What else there is to say, under its heading.
    more: Vec<(&'static str, &'static str)>,
}

impl Entry {
    fn of(theory: &Theory) -> Entry {
        match theory {
            Theory::Object(model) => Entry::of_object(model.info()),
            Theory::Data(checker) => Entry::of_info(&checker.info, "data"),
            Theory::Transactions(kind) => {
                let entry = TRANSACTIONAL.iter().find(|entry| entry.0 == *kind);
                Entry::of_info(&entry.expect("every kind is described").1, "transactions")
            }
        }
    }

    fn of_object(info: &ModelInfo) -> Entry {
        Entry {
            kind: "object",
            name: info.name.to_owned(),
            aliases: info.aliases,
            summary: info.summary,
            operations: info.operations,
            more: vec![("initial value", info.initial), ("judged in", info.engines)],
        }
    }

    fn of_info(info: &Info, kind: &'static str) -> Entry {
        Entry {
            kind,
            name: info.name.to_owned(),
            aliases: info.aliases,
            summary: info.summary,
            operations: info.operations,
            more: vec![("source", info.source)],
        }
    }

    fn describe(&self, out: &mut String, in_full: bool, width: usize) {
        wrap_into(out, width, "", "    ", &format!("{}  {}", paint(STRONG, &self.name), self.summary));
        for op in self.operations {
            let mut line = format!("{}  {}", op.functions.join(" or "), shape(op.input, op.output));
            if in_full {
                write!(line, ": {}", op.meaning).expect("writing to a String cannot fail");
            }
            wrap_into(out, width, "    ", "        ", &line);
        }
        if in_full {
            let also = if self.aliases.is_empty() { "none".to_owned() } else { self.aliases.join(", ") };
            for (what, text) in self.more.iter().copied().chain([("other names", also.as_str())]) {
                let what = paint(FAINT, &format!("{what}:"));
                wrap_into(out, width, "    ", "        ", &format!("{what} {text}"));
            }
        }
        out.push('\n');
    }

    fn as_json(&self) -> Json {
        let mut out = json!({
            "name": self.name,
            "kind": self.kind,
            "aliases": self.aliases,
            "summary": self.summary,
            "operations": self.operations.iter().map(|op| json!({
                "functions": op.functions,
                "input": op.input,
                "output": op.output,
                "meaning": op.meaning,
            })).collect::<Json>(),
        });
        for (what, text) in &self.more {
            let field = match *what {
                "initial value" => "initial",
                "judged in" => "engines",
                other => other,
            };
            out[field] = (*text).into();
        }
        out
    }
}

fn shape(input: &str, output: &str) -> String {
    format!("{input} → {output}")
}
