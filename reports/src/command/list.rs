//! `shakedown list`: the patterns, and what there is to know of each.

use super::{Stopped, Streams};
use crate::args::ListFormat;
use crate::args::pattern::ListArgs;
use crate::exit::Exit;
use crate::names::pattern_named;
use crate::terminal::{FAINT, STRONG, paint, wrap_into};
use serde_json::{Value as Json, json};
use shakedown_workloads::catalogue::{Entry, Pattern, all};
use shakedown_workloads::nemesis::Nemesis;
use shakedown_workloads::world::WorldName;

/// Columns that a description needs beside its name; where there are fewer it goes below.
const ABOUT_MIN: usize = 30;

/// Lists all patterns, or describes the one that `args` name.
pub fn run(args: &ListArgs, streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    let chosen: Vec<&dyn Pattern> = match &args.pattern {
        Some(name) => vec![pattern_named(name)?],
        None => all().to_vec(),
    };
    let text = match args.format {
        ListFormat::Json => {
            format!("{:#}\n", chosen.iter().map(|pattern| as_json(*pattern)).collect::<Json>())
        }
        ListFormat::Text => {
            let mut out = String::new();
            for pattern in &chosen {
                describe(&mut out, *pattern, args.pattern.is_some(), streams.width);
            }
            if args.pattern.is_none() {
                out.push('\n');
                let more = "In full: `shakedown list PATTERN`; the last part of its name will do.";
                wrap_into(&mut out, streams.width, "", "", more);
            }
            out
        }
    };
    streams.out.write_all(text.as_bytes())?;
    streams.out.flush()?;
    Ok(Exit::Valid)
}

fn describe(out: &mut String, pattern: &dyn Pattern, in_full: bool, width: usize) {
    let entry = pattern.entry();
    let worlds: Vec<&str> = entry.worlds.iter().map(|world| world.name()).collect();
    wrap_into(out, width, "", "    ", &format!("{}  {}", paint(STRONG, entry.name), entry.title));
    let mut say = |what: &str, text: &str| {
        let text = format!("{} {text}", paint(FAINT, &format!("{what}:")));
        wrap_into(out, width, "    ", "        ", &text);
    };
    if !in_full {
        return say("worlds", &worlds.join(", "));
    }
    say("guarantee", entry.guarantee);
    say("price", entry.price);
    say("not covered", entry.not_covered);
    say("source", entry.source);
    let worlds = entry.worlds.iter().map(|world| (world.name(), world.about()));
    table(out, "worlds", worlds, width);
    let numbers: Vec<String> = (1..=pattern.cases().len()).map(|number| number.to_string()).collect();
    let cases = numbers.iter().map(String::as_str).zip(pattern.cases());
    table(out, "cases of the model world", cases, width);
    let workloads: Vec<(&str, String)> =
        pattern.workloads().into_iter().map(|(name, model)| (name, format!("judged as {model}"))).collect();
    let workloads = workloads.iter().map(|(name, model)| (*name, model.as_str()));
    table(out, "workloads", workloads, width);
    let nemeses = entry.nemeses.iter().map(|nemesis| (nemesis.name(), nemesis.about()));
    table(out, "nemeses", nemeses, width);
    let special = special(&entry);
    let special = special.iter().map(|nemesis| (nemesis.name(), nemesis.about()));
    table(out, "nemeses for who asks for them", special, width);
    table(out, "mutants", pattern.mutants().into_iter(), width);
}

/// The trouble that it is given only if somebody asks for it.
fn special(entry: &Entry) -> Vec<Nemesis> {
    entry.nameable().into_iter().filter(|nemesis| !entry.nemeses.contains(nemesis)).collect()
}

/// Names and what they are, one to a line.
fn table<'a>(
    out: &mut String,
    heading: &str,
    rows: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    width: usize,
) {
    let Some(longest) = rows.clone().map(|(name, _)| name.len()).max() else { return };
    wrap_into(out, width, "    ", "    ", &paint(FAINT, &format!("{heading}:")));
    let rest = " ".repeat(8 + longest + 2);
    let is_beside = rest.len() + ABOUT_MIN <= width;
    for (name, about) in rows {
        if is_beside {
            let padding = " ".repeat(longest - name.len());
            wrap_into(out, width, &format!("        {}{padding}  ", paint(STRONG, name)), &rest, about);
        } else {
            wrap_into(out, width, "        ", "        ", &paint(STRONG, name));
            wrap_into(out, width, "            ", "            ", about);
        }
    }
}

fn as_json(pattern: &dyn Pattern) -> Json {
    let entry = pattern.entry();
    let named = |name: &str, about: &str| json!({ "name": name, "about": about });
    json!({
        "name": entry.name,
        "title": entry.title,
        "guarantee": entry.guarantee,
        "price": entry.price,
        "not_covered": entry.not_covered,
        "source": entry.source,
        "workloads": pattern
            .workloads()
            .iter()
            .map(|(name, model)| json!({ "name": name, "model": model.to_string() }))
            .collect::<Json>(),
        "worlds": entry.worlds.iter().map(|world: &WorldName| named(world.name(), world.about())).collect::<Json>(),
        "cases": pattern.cases(),
        "nemeses": entry.nemeses.iter().map(|nemesis| named(nemesis.name(), nemesis.about())).collect::<Json>(),
        "special_nemeses": special(&entry)
            .iter()
            .map(|nemesis| named(nemesis.name(), nemesis.about()))
            .collect::<Json>(),
        "mutants": pattern.mutants().iter().map(|(name, about)| named(name, about)).collect::<Json>(),
    })
}
