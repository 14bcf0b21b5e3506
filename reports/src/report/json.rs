//! Verdicts for programs: one JSON object per file, each on a line of its own.
//!
//! Field by field: `docs/verdict-json.md`.

use super::{Failure, FileReport, Judgement, Ruling, datatype, isolation, timestamps};
use serde_json::{Value as Json, json};
use shakedown_checkers::history::{ANONYMOUS, OpId, Outcome};
use shakedown_checkers::options::Consistency;
use shakedown_checkers::validate::Refusal;
use shakedown_checkers::value::{Datum, Value, Values};
use shakedown_checkers::verdict::{Reason, Verdict};

/// The report as one JSON object. The order of operations is in it only if `certify` is set.
pub fn render(report: &FileReport, certify: bool) -> Json {
    let mut out = json!({
        "file": report.path,
        "verdict": report.word(),
        "elapsed_ms": u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
    });
    let object = out.as_object_mut().expect("made by json! with braces");
    match &report.result {
        Ok(judgement) => object.extend(judged(judgement, certify)),
        Err(Failure::Input(input)) => {
            object.insert("error".to_owned(), Json::from(input.to_string()));
            object.insert("help".to_owned(), Json::from(input.help().map(|help| help.to_string())));
        }
        Err(Failure::Internal(message)) => {
            object.insert("error".to_owned(), Json::from(format!("internal error: {message}")));
        }
        Err(Failure::Interrupted) => {
            object.insert("unknown".to_owned(), json!({ "reason": "interrupted" }));
        }
    }
    out
}

fn judged(judgement: &Judgement, certify: bool) -> serde_json::Map<String, Json> {
    let history = &judgement.history;
    let mut out = json!({
        "model": judgement.model,
        "model_guessed": judgement.guess.is_some(),
        "consistency": match &judgement.ruling {
            Ruling::Object { consistency, .. } => match consistency {
                Consistency::Linearizable => Json::from("linearizable"),
                Consistency::Sequential => Json::from("sequential"),
                Consistency::PerKey => Json::from("per-key"),
            },
            Ruling::Isolation { asked, .. } => asked.levels.iter().map(ToString::to_string).collect(),
            Ruling::Timestamps(stamped) => json!([stamped.level.to_string()]),
            Ruling::Data(_) => Json::Null,
        },
        "input_format": judgement.format.name(),
        "operations": history.len(),
        "events": history.event_count(),
        "notes": judgement.notes,
    });
    match &judgement.ruling {
        Ruling::Object { verdict, .. } => object(&mut out, judgement, verdict, certify),
        Ruling::Isolation { asked, report } => {
            out["isolation"] = isolation::json(judgement, asked, report, certify);
        }
        Ruling::Timestamps(stamped) => out["timestamps"] = timestamps::json(judgement, stamped),
        Ruling::Data(report) => out["data"] = datatype::json(judgement, report),
    }
    if let Some(validation) = &judgement.validation {
        out["certified"] = validation.is_ok().into();
        if let Err(Refusal::TooLarge) = validation {
            out["not_certified_because"] = Refusal::TooLarge.to_string().into();
        }
    }
    if let Some(claim) = judgement.wrong_claim() {
        out["error"] = format!("the independent validator refuses the proof: {claim}").into();
    }
    match out {
        Json::Object(object) => object,
        _ => unreachable!("made by json! with braces"),
    }
}

/// What an order of the operations, or the lack of one, adds.
fn object(out: &mut Json, judgement: &Judgement, verdict: &Verdict, certify: bool) {
    let values = judgement.history.values();
    let key = |key: Option<Value>| key.map_or(Json::Null, |key| value_json(values, key));
    match verdict {
        Verdict::Valid(certificate) if certify => {
            let parts = certificate.parts.iter();
            out["certificate"] =
                parts.map(|part| json!({ "key": key(part.key), "order": part.order })).collect();
        }
        Verdict::Valid(certificate) => out["parts"] = certificate.parts.len().into(),
        Verdict::Invalid(witness) => {
            out["witness"] = json!({
                "key": key(witness.key),
                "failed": witness.failed,
                "core": witness.core.iter().map(|&id| operation(judgement, id)).collect::<Json>(),
                "values": witness.values.as_ref().map(|list| {
                    list.iter().map(|&value| value_json(values, value)).collect::<Json>()
                }),
                "states_seen": witness.states_seen,
                "minimal": witness.minimal,
                "sentences": witness.sentences,
            });
        }
        Verdict::Unknown(unknown) => {
            out["unknown"] = json!({
                "reason": match unknown.reason {
                    Reason::Time => "time",
                    Reason::Memory => "memory",
                    Reason::Interrupted => "interrupted",
                    Reason::Concurrency => "concurrency",
                },
                "key": key(unknown.key),
                "placed": unknown.placed,
                "total": unknown.total,
                "configurations": unknown.configurations,
                "memory_bytes": unknown.memory_bytes,
                "parts_valid": unknown.parts.0,
                "parts": unknown.parts.1,
                "advice": unknown.advice,
            });
        }
    }
}

/// One operation, with Jepsen's field names where there are any.
pub(super) fn operation(judgement: &Judgement, id: OpId) -> Json {
    let op = judgement.history.operation(id);
    let values = judgement.history.values();
    let line = |line: u32| if line == 0 { Json::Null } else { line.into() };
    json!({
        "id": id,
        "process": if op.process >= ANONYMOUS { Json::Null } else { op.process.into() },
        "f": op.f,
        "key": op.key.map(|key| value_json(values, key)),
        "input": value_json(values, op.input),
        "output": value_json(values, op.output),
        "type": match op.outcome {
            Outcome::Ok => "ok",
            Outcome::Fail => "fail",
            Outcome::Info => "info",
        },
        "invoke_line": line(op.invoke_line),
        "complete_line": line(op.complete_line),
    })
}

/// `value` as JSON, with the same losses as a history written as JSON lines: keywords and symbols
/// become strings, sets become arrays, the keys of a map their text. What is nested deeper than 64
/// levels is given as EDN text.
pub fn value_json(values: &Values, value: Value) -> Json {
    json_at(values, value, 0)
}

fn json_at(values: &Values, value: Value, depth: usize) -> Json {
    if depth > 64 {
        return Json::from(values.show(value));
    }
    match values.get(value) {
        Datum::Nil => Json::Null,
        Datum::Bool(bool) => bool.into(),
        Datum::Int(int) => int.into(),
        Datum::Number(text) => text.parse::<serde_json::Number>().map_or_else(|_| text.into(), Into::into),
        Datum::Str(text) | Datum::Symbol(text) | Datum::Keyword(text) => text.into(),
        Datum::List(members) | Datum::Set(members) => {
            members.iter().map(|&member| json_at(values, member, depth + 1)).collect()
        }
        Datum::Map(flat) => flat
            .chunks_exact(2)
            .map(|pair| {
                let key = values.text(pair[0]).map_or_else(|| values.show(pair[0]), str::to_owned);
                (key, json_at(values, pair[1], depth + 1))
            })
            .collect(),
    }
}
