//! What came of a run, for programs: one JSON object per world, each on a line of its own.
//!
//! Field by field: `docs/run-json.md`.

use super::{
    CaseReport, Culprit, End, Failed, Looked, Scene, SeedsReport, Shrunk, ShrunkEnd, WorldReport, word,
};
use serde_json::{Map, Value as Json, json};
use shakedown_workloads::world::model::{Extent, Stop};
use std::time::Duration;

/// The report as one JSON object.
pub fn render(report: &WorldReport) -> Json {
    let mut out = json!({
        "pattern": report.pattern,
        "world": report.world.name(),
        "mutant": report.mutant,
        "verdict": report.word(),
        "elapsed_ms": ms(report.elapsed),
    });
    let object = out.as_object_mut().expect("made by json! with braces");
    match &report.result {
        Err(message) => {
            object.insert("error".to_owned(), format!("internal error: {message}").into());
        }
        Ok(Looked::Cases { cases, left }) => {
            object.insert("cases".to_owned(), cases.iter().map(case).collect());
            object.insert("cases_left".to_owned(), (*left).into());
        }
        Ok(Looked::Seeds(report)) => object.extend(seeds(report)),
    }
    if let Some(failed) = &report.failed {
        object.insert("failure".to_owned(), failure(failed));
    }
    out
}

fn case(case: &CaseReport) -> Json {
    json!({
        "case": case.number,
        "about": case.about,
        "verdict": word(case.exit()),
        "extent": extent(&case.exploration.extent),
        "never_happened": case.exploration.unseen().collect::<Vec<_>>(),
        "interrupted": case.is_interrupted,
        "elapsed_ms": ms(case.elapsed),
    })
}

fn extent(extent: &Extent) -> Json {
    match extent {
        Extent::Exhaustive { unique_states } => {
            json!({ "kind": "exhaustive", "unique_states": unique_states })
        }
        Extent::Bounded { unique_states, depth, stop, .. } => json!({
            "kind": "bounded",
            "unique_states": unique_states,
            "depth": depth,
            "stopped_by": match stop {
                Stop::States => "states",
                Stop::Depth => "depth",
                Stop::Time => "time",
                Stop::Violation => "violation",
                Stop::Interrupted => "interrupt",
            },
        }),
        Extent::Walked { walks, steps_max, seed } => {
            json!({ "kind": "walks", "walks": walks, "steps_max": steps_max, "seed": seed })
        }
    }
}

fn seeds(report: &SeedsReport) -> Map<String, Json> {
    let hunt = &report.hunt;
    let counts = &hunt.counts;
    let out = json!({
        "first_seed": report.asked.start,
        "seeds": hunt.seeds,
        "ended_by": match report.end {
            End::Seeds => "seeds",
            End::Time => "time",
            End::Failure => "failure",
            End::Interrupt => "interrupt",
        },
        "vacuous": report.is_vacuous(),
        "vacuous_seeds": hunt.vacuous,
        "undecided": hunt.undecided.iter().map(|(seed, why)| {
            json!({ "seed": seed, "why": why })
        }).collect::<Json>(),
        "operations": hunt.operations,
        "counts": {
            "answers_showing_others": counts.seen,
            "delivered": counts.delivered,
            "lost": counts.lost,
            "restarts": counts.restarts,
            "records_lost": counts.records_lost,
            "records_repaired": counts.records_repaired,
            "disks_refused": counts.disks_refused,
        },
        "faults": hunt.faults.iter().map(|(kind, (planned, vacuous))| {
            json!({ "kind": kind, "planned": planned, "vacuous": vacuous })
        }).collect::<Json>(),
    });
    match out {
        Json::Object(object) => object,
        _ => unreachable!("made by json! with braces"),
    }
}

fn failure(failed: &Failed) -> Json {
    let (which, number) = match failed.culprit {
        Culprit::Seed(seed) => ("seed", seed),
        Culprit::Case(case) => ("case", case as u64),
    };
    let mut out = json!({
        which: number,
        "command": failed.command,
        "kind": failed.told.kind,
        "sentences": failed.told.sentences,
    });
    if let Some(Shrunk { runs, end }) = failed.shrunk {
        out["shrunk"] = json!({ "runs": runs, "complete": end == ShrunkEnd::Smallest });
    }
    match &failed.told.scene {
        Scene::Case(about) => out["case_about"] = about.as_str().into(),
        Scene::Scenario(ran) => {
            out["scenario"] = json!({
                "nodes": ran.size.nodes,
                "clients": ran.size.clients,
                "operations": ran.size.operations,
                "length_ms": ran.size.length_ms,
                "told": ran.told,
                "faults": ran.faults.iter().map(|fault| {
                    json!({ "kind": fault.name, "words": fault.words, "effects": fault.effects })
                }).collect::<Json>(),
            });
        }
    }
    match &failed.files {
        Ok(files) => {
            let path = |name: &str| files.folder.join(name).display().to_string();
            out["files"] = json!({
                "replay": path("replay.json"),
                "history": path("history.jsonl"),
                "timeline": path("timeline.txt"),
            });
            out["replay_command"] = files.command.as_str().into();
        }
        Err(error) => out["write_error"] = error.as_str().into(),
    }
    out
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
