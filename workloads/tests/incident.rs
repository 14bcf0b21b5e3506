//! An incident with and without each layer of resilience: what each is good for, in figures that one seed gives again.

use shakedown_workloads::resilience::incident::{Incident, PROTECTIONS, Slice};

/// What comes of it: well, slow, dead, cold, well again, surge, at last.
fn phases(name: &str) -> [Slice; 7] {
    let protection =
        PROTECTIONS.into_iter().find(|protection| protection.name == name).expect("there is one");
    let phases: Vec<Slice> =
        Incident::run(protection, 1).phases().into_iter().map(|(_, slice)| slice).collect();
    phases.try_into().expect("there are seven phases")
}

/// Of each call.
fn share(part: u64, slice: &Slice) -> f64 {
    part as f64 / slice.calls as f64
}

#[test]
fn one_seed_gives_one_incident() {
    let told = |seed| format!("{:?}", Incident::run(PROTECTIONS[2], seed).slices);
    assert_eq!(told(3), told(3));
    assert_ne!(told(3), told(4));
}

#[test]
fn every_caller_is_told_something_once() {
    for protection in PROTECTIONS {
        let incident = Incident::run(protection, 2);
        let sum = |of: fn(&Slice) -> u64| incident.slices.iter().map(of).sum::<u64>();
        assert_eq!(sum(|slice| slice.calls), 10_250);
        assert_eq!(sum(|slice| slice.answered + slice.refused + slice.failed), 10_250);
    }
}

// The trigger is gone for ten seconds, and they still keep it down: each asks three times for what it can do twice.
#[test]
fn naive_retries_keep_it_from_coming_back() {
    let [_, _, _, _, again, ..] = phases("naive retries only");
    assert!(share(again.answered, &again) < 0.01 && share(again.reached, &again) > 2.9, "{again:?}");
    let [_, _, _, _, again, ..] = phases("none");
    assert!(share(again.answered, &again) > 0.97);
}

#[test]
fn with_all_four_it_comes_back_and_nobody_waits_for_what_is_dead() {
    let [_, slow, dead, _, again, surge, last] = phases("all four");
    assert!(share(again.answered, &again) > 0.98 && share(again.reached, &again) < 1.1, "{again:?}");
    assert!(share(last.answered, &last) > 0.99, "{last:?}");
    assert!(share(dead.reached, &dead) < 0.05 && dead.latency_ms_at(50.0) < 10, "{dead:?}");
    // As many are answered as it can do: ten at a time, 200 ms each.
    assert!(share(slow.answered, &slow) > 0.18, "{slow:?}");
    assert!(share(surge.answered, &surge) > 0.5, "{surge:?}");
    let [_, slow, dead, _, _, surge, _] = phases("none");
    assert!(share(slow.answered, &slow) < 0.1 && dead.latency_ms_at(50.0) == 1_000);
    assert!(surge.latency_ms_at(50.0) > 500, "{surge:?}");
}

#[test]
fn each_layer_is_missed() {
    let [well, slow, dead, _, _, surge, _] = phases("all four");
    // Without the breaker what is dead is called on and on, and waited for.
    let [_, _, missed, ..] = phases("all but circuit breaker");
    assert!(missed.reached > 3 * dead.reached && missed.latency_ms_at(50.0) > dead.latency_ms_at(50.0));
    // Without the bulkhead more is sent at a time than can be done, and it comes to nothing.
    let [_, missed, ..] = phases("all but bulkhead");
    assert!(missed.answered * 2 < slow.answered, "{missed:?}");
    // Without backpressure all is sent that it can bear, and nothing is left for others: 400 a second were agreed.
    let [.., missed, _] = phases("all but backpressure");
    assert!(
        surge.reached <= 3 * 400 + 20 && missed.reached > 3 * 450,
        "{} {}",
        surge.reached,
        missed.reached
    );
    // Without retries each call that breaks is somebody's.
    let [missed, ..] = phases("all but retry");
    assert!(well.answered == well.calls && share(missed.answered, &missed) < 0.99);
}
