//! How runs look to people: transcripts at a narrow and a wide width, reviewed by eye.
//!
//! The reports are made by hand, so that these tests are about the layout and stay as they are when a
//! world finds something else.

use shakedown::report::run::junit::RunJunit;
use shakedown::report::run::text::{announcement, explanation, files, verdict_line};
use shakedown::report::run::{
    CaseReport, Culprit, End, Failed, FailedRun, Files, Happened, Looked, Scenario, Scene, SeedsReport,
    Shrunk, ShrunkEnd, WorldReport, json,
};
use shakedown_checkers::history::{History, HistoryBuilder};
use shakedown_impls::protocol::NodeId;
use shakedown_workloads::hunt::Hunt;
use shakedown_workloads::outcome::Counts;
use shakedown_workloads::replay::Replay;
use shakedown_workloads::run::{Faulted, Size};
use shakedown_workloads::trace::{Kind, Place, Trace};
use shakedown_workloads::world::WorldName;
use shakedown_workloads::world::model::{Exploration, Extent, Stop};
use std::time::Duration;

const NARROW: usize = 60;
const WIDE: usize = 120;

#[test]
fn seeds_that_pass() {
    insta::assert_snapshot!(shown(&report(seeds(End::Seeds), None), NARROW));
    insta::assert_snapshot!(shown(&report(seeds(End::Time), None), WIDE));
}

#[test]
fn seeds_that_say_nothing() {
    let mut vacuous = seeds(End::Interrupt);
    vacuous.hunt.vacuous = vacuous.hunt.seeds;
    vacuous.hunt.undecided = (0..30).map(|seed| (seed, "the memory limit was reached".to_owned())).collect();
    vacuous.hunt.faults = [("pause", (3, 3))].into();
    insta::assert_snapshot!(shown(&report(vacuous, None), WIDE));
}

// Of a run that could not be judged nobody says that nothing is wrong with it.
#[test]
fn seeds_that_could_not_be_judged_are_not_among_those_that_pass() {
    let mut some = seeds(End::Seeds);
    some.hunt.undecided = vec![(502, "the memory limit was reached".to_owned())];
    let text = shown(&report(some, None), WIDE);
    assert!(text.contains("nothing is wrong in the 999 that could be judged."), "{text}");
    assert!(text.contains("Could not be judged: 1 seed (502): the memory limit was reached."), "{text}");
    let mut one = seeds(End::Seeds);
    (one.asked, one.hunt.seeds, one.hunt.vacuous) = (7..8, 1, 0);
    one.hunt.undecided = vec![(7, "the memory limit was reached".to_owned())];
    let text = shown(&report(one, None), WIDE);
    assert!(
        text.contains("1 seed (7) in 2.0 s: no run could be judged.") && !text.contains("nothing is wrong"),
        "{text}"
    );
}

#[test]
fn one_seed_with_its_faults() {
    let mut one = seeds(End::Seeds);
    (one.asked, one.hunt.seeds, one.hunt.vacuous) = (7..8, 1, 0);
    one.plan = Some(faults());
    insta::assert_snapshot!(shown(&report(one, None), NARROW));
}

#[test]
fn a_seed_that_fails() {
    let mut failing = seeds(End::Failure);
    failing.hunt.failing = Some(17);
    insta::assert_snapshot!(shown(&report(failing, Some(failed(3))), NARROW));
}

#[test]
fn a_long_story_is_told_from_its_end() {
    let mut failing = seeds(End::Failure);
    failing.hunt.failing = Some(17);
    let text = shown(&report(failing, Some(failed(100))), WIDE);
    let beats: Vec<&str> = text.lines().filter(|line| line.contains("timer")).collect();
    assert!(beats.len() == 78 && beats.iter().all(|line| !line.contains("beat 22 ")), "{text}");
    assert!(
        text.contains("… 23 earlier lines: all are in target/shakedown/x-swarm-17/timeline.txt"),
        "{text}"
    );
}

#[test]
fn cases_that_pass_and_do_not() {
    let case = |number, extent: Extent, is_seen, is_interrupted| CaseReport {
        number,
        about: "3 nodes: a write while another client reads",
        exploration: Exploration { extent, violation: None, sometimes: vec![("a node crashes", is_seen)] },
        is_interrupted,
        elapsed: Duration::from_millis(1_250),
    };
    let bounded = |stop| Extent::Bounded {
        unique_states: 12_345,
        depth: 9,
        elapsed: Duration::from_millis(1_200),
        stop,
    };
    let cases = vec![
        case(1, Extent::Exhaustive { unique_states: 48 }, true, false),
        case(2, Extent::Walked { walks: 2_000, steps_max: 60, seed: 1 }, false, false),
        case(3, bounded(Stop::States), true, false),
        case(4, bounded(Stop::Interrupted), true, true),
    ];
    let model = |cases| WorldReport {
        world: WorldName::Model,
        result: Ok(Looked::Cases { cases, left: 2 }),
        ..report(seeds(End::Seeds), None)
    };
    let all = model(cases);
    assert_eq!(all.exit().code(), 2);
    insta::assert_snapshot!(shown(&all, NARROW));
    let proven = model(vec![case(1, Extent::Exhaustive { unique_states: 48 }, true, false)]);
    assert_eq!(proven.exit().code(), 0);
    let mut junit = RunJunit::new();
    junit.add(&all);
    let text = junit.finish();
    assert!(text.contains(r#"tests="5" skipped="1" failures="0" errors="2""#), "{text}");
}

#[test]
fn no_line_is_wider_than_asked_but_for_commands_and_folders() {
    let mut failing = seeds(End::Failure);
    failing.hunt.failing = Some(17);
    let report = report(failing, Some(failed(3)));
    for width in [40, NARROW, 80, WIDE] {
        for line in plain(&explanation(&report, width)).lines() {
            assert!(textwrap::core::display_width(line) <= width, "wider than {width}: {line}");
        }
    }
}

#[test]
fn a_bug_of_ours_has_no_verdict() {
    let broken = WorldReport { result: Err("seed 7: oh".to_owned()), ..report(seeds(End::Seeds), None) };
    assert_eq!((broken.exit().code(), verdict_line(&broken)), (255, None));
    let object = json::render(&broken);
    assert_eq!(
        (&object["verdict"], &object["error"]),
        (&"error".into(), &"internal error: seed 7: oh".into())
    );
    let mut junit = RunJunit::new();
    junit.add(&broken);
    assert!(junit.finish().contains(r#"errors="1""#));
}

fn shown(report: &WorldReport, width: usize) -> String {
    let mut out = verdict_line(report).unwrap() + "\n";
    if let Some(failed) = &report.failed {
        out.push_str(&announcement(failed.culprit, &failed.command));
    }
    out.push_str(&explanation(report, width));
    if let Some(Ok(written)) = report.failed.as_ref().map(|failed| &failed.files) {
        out.push_str(&files(written));
    }
    plain(&out)
}

fn plain(styled: &str) -> String {
    anstream::adapter::strip_str(styled).to_string()
}

fn report(seeds: SeedsReport, failed: Option<Failed>) -> WorldReport {
    WorldReport {
        pattern: "replication/x",
        world: WorldName::Swarm,
        mutant: failed.as_ref().map(|_| "forgets".to_owned()),
        result: Ok(Looked::Seeds(Box::new(seeds))),
        failed,
        elapsed: Duration::from_millis(2_100),
    }
}

fn seeds(end: End) -> SeedsReport {
    let counts = Counts {
        events: 90_000,
        delivered: 30_000,
        lost: 1_200,
        seen: 5_000,
        restarts: 34,
        records_lost: 1,
        records_repaired: 2,
        disks_refused: 0,
    };
    let faults = [("crash", (12, 0)), ("loss", (7, 2)), ("power-loss", (1_234, 56))].into();
    let hunt = Hunt {
        failing: None,
        seeds: 1_000,
        complete: true,
        undecided: vec![],
        vacuous: 3,
        operations: 12_345,
        counts,
        plan: vec![],
        faults,
    };
    SeedsReport { asked: 500..1_500, hunt, end, plan: None, elapsed: Duration::from_millis(1_960) }
}

fn faults() -> Vec<Faulted> {
    let fault = |name, words: &str, effects| Faulted { name, words: words.to_owned(), effects };
    vec![
        fault("split", "5 to 6 ms: n1 cut off from the others", 1),
        fault("pause", "9 to 12 ms: n0 paused", 0),
        fault("loss", "12 to 90 ms: 300 of 1000 messages lost", 1_234),
    ]
}

fn failed(beats: usize) -> Failed {
    let mut trace = Trace::default();
    let (n0, n1) = (NodeId(0), NodeId(1));
    trace.push(0, Place::Node(n0), Kind::Start, "with an empty disk");
    for beat in 1..=beats {
        trace.push(900_000, Place::Node(n0), Kind::Timer, format!("beat {beat} "));
    }
    trace.push(1_234_567, Place::Client(0), Kind::Asks, "n0: Write { key: 0, value: Some(5) }");
    let message =
        "Hold(RoundId { node: NodeId(0), boots: 1, number: 0 }, Some(5), \"as long as anybody wants\")";
    trace.push(1_300_000, Place::Link(n0, n1), Kind::Lost, format!("{message} (split)"));
    let told = "seed 3: 3 nodes, 1 client, 9 ms, requests given up after 100 ms\n\
                fault: 5 to 6 ms: n1 cut off from the others\nfault: 9 to 12 ms: n0 paused\n\
                fault: 12 to 90 ms: 300 of 1000 messages lost\nc0, at 1.234 ms: Write { key: 0, value: Some(5) }";
    let size = Size { nodes: 3, clients: 1, operations: 1, faults: 3, length_ms: 9 };
    let run = FailedRun {
        kind: "stalled".to_owned(),
        sentences: vec![
            "no progress: 1 requests were not answered within 5000 ms after every fault was healed"
                .to_owned(),
        ],
        judgement: None,
        history: empty(),
        scene: Scene::Scenario(Scenario {
            size,
            told: told.lines().map(str::to_owned).collect(),
            faults: faults(),
        }),
        happened: Happened::Trace(trace),
    };
    let replay = r#"{ "shakedown_replay": 1, "pattern": "replication/x", "world": "swarm", "mutant": "forgets",
        "found_with_seed": 17, "kind": "stalled", "finding": "no progress", "scenario": {} }"#;
    Failed {
        culprit: Culprit::Seed(17),
        command: "shakedown run replication/x --world swarm --seed 17 --mutant forgets".to_owned(),
        told: run,
        replay: Replay::parse(replay).unwrap(),
        shrunk: Some(Shrunk { runs: 12_345, end: ShrunkEnd::Smallest }),
        files: Ok(Files {
            folder: "target/shakedown/x-swarm-17".into(),
            command: "shakedown replay target/shakedown/x-swarm-17/replay.json".to_owned(),
        }),
    }
}

fn empty() -> History {
    HistoryBuilder::new().finish()
}
