//! `shakedown incident`: what each layer of resilience is good for when a dependency slows, dies and returns.

use super::{Stopped, Streams};
use crate::args::IncidentFormat;
use crate::args::pattern::IncidentArgs;
use crate::diagnostic::InputError;
use crate::exit::Exit;
use crate::terminal::{FAINT, STRONG, paint, wrap_into};
use shakedown_workloads::resilience::incident::{Incident, PROTECTIONS, Phase, Protection, SLICE_MS, Slice};

/// Narrower than this a row of the table becomes a paragraph.
const TABLE_WIDTH: usize = 76;

/// Has the incident happen behind each of what `args` name, or behind everything.
pub fn run(args: &IncidentArgs, streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    let chosen = chosen(&args.only)?;
    if args.format == IncidentFormat::Csv {
        writeln!(
            streams.out,
            "protection,phase,from_ms,length_ms,calls,reached,answered,refused,failed,latency_ms_p50,latency_ms_p99,\
             latency_ms_max"
        )?;
    }
    if args.format == IncidentFormat::Markdown {
        write!(streams.out, "{}", preface(args.seed))?;
    }
    for protection in chosen {
        let incident = Incident::run(protection, args.seed);
        let text = match args.format {
            IncidentFormat::Text => text(&incident, streams.width),
            IncidentFormat::Markdown => markdown(&incident),
            IncidentFormat::Csv => csv(&incident),
        };
        streams.out.write_all(text.as_bytes())?;
        streams.out.flush()?;
    }
    if args.format == IncidentFormat::Text {
        let mut out = String::new();
        let legend = "reached: attempts that reached the dependency, of 100 calls; answered, refused (not made, not \
                      once), failed: of 100 calls; latency: until a caller knew, one way or the other.";
        wrap_into(&mut out, streams.width, "", "", &paint(FAINT, legend));
        streams.out.write_all(out.as_bytes())?;
    }
    Ok(Exit::Valid)
}

fn chosen(only: &[String]) -> Result<Vec<Protection>, InputError> {
    if only.is_empty() {
        return Ok(PROTECTIONS.to_vec());
    }
    let find = |name: &String| {
        let known = PROTECTIONS.into_iter().find(|protection| protection.name == name);
        known.ok_or_else(|| {
            let names = PROTECTIONS.iter().map(|protection| protection.name);
            InputError::unknown_name("protection", name, names)
        })
    };
    let mut chosen: Vec<Protection> = vec![];
    for protection in only.iter().map(find) {
        let protection = protection?;
        if !chosen.contains(&protection) {
            chosen.push(protection);
        }
    }
    Ok(chosen)
}

/// Of 100 calls, to one digit.
fn percent(part: u64, slice: &Slice) -> String {
    format!("{:.1}", part as f64 * 100.0 / slice.calls.max(1) as f64)
}

/// What a row says, without the name of its phase.
fn cells(slice: &Slice) -> [String; 7] {
    let latency = |percentile| slice.latency_ms_at(percentile).to_string();
    [
        percent(slice.reached, slice),
        percent(slice.answered, slice),
        percent(slice.refused, slice),
        percent(slice.failed, slice),
        latency(50.0),
        latency(99.0),
        latency(100.0),
    ]
}

fn text(incident: &Incident, width: usize) -> String {
    let mut out = format!("{}\n", paint(STRONG, incident.protection.name));
    if width >= TABLE_WIDTH {
        let head = format!(
            "  {:10} {:>8} {:>8} {:>8} {:>8}   {:>24}",
            "", "reached", "answered", "refused", "failed", "latency ms p50, p99, max"
        );
        out.push_str(&format!("{}\n", paint(FAINT, &head)));
    }
    for (phase, slice) in incident.phases() {
        let [reached, answered, refused, failed, p50, p99, max] = cells(&slice);
        if width >= TABLE_WIDTH {
            out.push_str(&format!(
                "  {:10} {reached:>8} {answered:>8} {refused:>8} {failed:>8}   {p50:>8}{p99:>8}{max:>8}\n",
                phase.name
            ));
        } else {
            let row = format!(
                "{}: reached {reached}, answered {answered}, refused {refused}, failed {failed}; latency {p50}, {p99}, {max} ms",
                phase.name
            );
            wrap_into(&mut out, width, "  ", "    ", &row);
        }
    }
    out.push('\n');
    out
}

fn preface(seed: u64) -> String {
    format!(
        "# A dependency slows, dies and returns\n\n\
         Made by `shakedown incident --seed {seed} --format markdown`; with `--format csv` a row for each half second. \
         250 callers a second (in the surge 750), each of whom waits for a second, and a dependency that can serve 500, but \
         for when it is slow (50), dead, or cold (167); one call in 50 breaks. *Reached*: attempts that reached the dependency, of 100 \
         calls; *answered*, *refused* (not made, not once) and *failed*: of 100 calls; *latency*: until a caller knew, one \
         way or the other, in simulated milliseconds.\n"
    )
}

fn markdown(incident: &Incident) -> String {
    let mut out = format!(
        "\n## {}\n\n| phase | reached | answered | refused | failed | p50 | p99 | max |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
        incident.protection.name
    );
    for (phase, slice) in incident.phases() {
        out.push_str(&format!("| {} | {} |\n", phase.name, cells(&slice).join(" | ")));
    }
    out
}

fn csv(incident: &Incident) -> String {
    let phases = incident.phases();
    let phase_at = |from_ms: u64| -> &Phase {
        let (phase, _) =
            phases.iter().find(|(phase, _)| from_ms < phase.until_ms).expect("it ends with the last phase");
        phase
    };
    let row = |slice: &Slice| {
        let Slice { from_ms, calls, reached, answered, refused, failed, .. } = slice;
        let [p50, p99, max] = [50.0, 99.0, 100.0].map(|percentile| slice.latency_ms_at(percentile));
        format!(
            "{},{},{from_ms},{SLICE_MS},{calls},{reached},{answered},{refused},{failed},{p50},{p99},{max}\n",
            incident.protection.name,
            phase_at(*from_ms).name
        )
    };
    incident.slices.iter().map(row).collect()
}
