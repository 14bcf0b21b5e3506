//! `shakedown models`: what can be judged.

use super::{Stopped, Streams};
use crate::args::{ListFormat, ModelsArgs};
use crate::exit::Exit;
use crate::judge;
use crate::terminal::{FAINT, STRONG, paint, wrap_into};
use serde_json::{Value as Json, json};
use shakedown_checkers::model::{MODELS, ModelInfo};
use std::fmt::Write as _;

/// Lists all models, or describes the one that `args` name.
pub fn run(args: &ModelsArgs, streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    let chosen: Vec<&ModelInfo> = match &args.name {
        Some(name) => vec![judge::model_named(name)?.info()],
        None => MODELS.iter().collect(),
    };
    let text = match args.format {
        ListFormat::Json => format!("{:#}\n", chosen.iter().map(|info| as_json(info)).collect::<Json>()),
        ListFormat::Text => {
            let mut out = String::new();
            for info in &chosen {
                describe(&mut out, info, args.name.is_some(), streams.width);
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

fn describe(out: &mut String, info: &ModelInfo, in_full: bool, width: usize) {
    wrap_into(out, width, "", "    ", &format!("{}  {}", paint(STRONG, info.name), info.summary));
    for op in info.operations {
        let mut line = format!("{}  {}", op.functions.join(" or "), shape(op.input, op.output));
        if in_full {
            write!(line, ": {}", op.meaning).expect("writing to a String cannot fail");
        }
        wrap_into(out, width, "    ", "        ", &line);
    }
    if in_full {
        let also = if info.aliases.is_empty() { "none".to_owned() } else { info.aliases.join(", ") };
        for (what, text) in
            [("initial value", info.initial), ("judged in", info.engines), ("other names", also.as_str())]
        {
            wrap_into(
                out,
                width,
                "    ",
                "        ",
                &format!("{} {text}", paint(FAINT, &format!("{what}:"))),
            );
        }
    }
    out.push('\n');
}

fn shape(input: &str, output: &str) -> String {
    format!("{input} → {output}")
}

fn as_json(info: &ModelInfo) -> Json {
    json!({
        "name": info.name,
        "aliases": info.aliases,
        "summary": info.summary,
        "initial": info.initial,
        "engines": info.engines,
        "operations": info.operations.iter().map(|op| json!({
            "functions": op.functions,
            "input": op.input,
            "output": op.output,
            "meaning": op.meaning,
        })).collect::<Json>(),
    })
}
