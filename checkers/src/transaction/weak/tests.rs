//! Named cases, with the level that each shows; and long valid histories with one violation planted in them.
//! Comparison with the definitions is in `definition`.

mod definition;
mod script;

use super::{Violation, WeakAnswer, WeakLevel, check};
use crate::options::Options;
use crate::transaction::proof::{Certificate, Edge, Why};
use crate::transaction::{INITIAL, Transactions};
use crate::validate::validate_weak;
use WeakLevel::{
    Causal, MonotonicReads, MonotonicWrites, ReadAtomic, ReadCommitted, ReadYourWrites, WritesFollowReads,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use script::Script;

/// The answer, its proof re-checked.
fn answer(txns: &Transactions, level: WeakLevel) -> WeakAnswer {
    let answer = check(txns, level, &Options::default());
    if let Err(refusal) = validate_weak(txns, level, &answer) {
        panic!("{level:?}, {answer:?}: {refusal}");
    }
    answer
}

fn violation(txns: &Transactions, level: WeakLevel) -> Option<Violation> {
    match answer(txns, level) {
        WeakAnswer::Holds(_) => None,
        WeakAnswer::Violated(violation) => Some(violation),
        WeakAnswer::Unknown(reason) => panic!("{level:?}: {reason}"),
    }
}

/// The levels that `sessions` violates, and no others.
#[track_caller]
fn violates(sessions: &[&str], expected: &[WeakLevel]) {
    let txns = Script::parse(sessions).transactions();
    let found: Vec<WeakLevel> =
        WeakLevel::ALL.into_iter().filter(|level| violation(&txns, *level).is_some()).collect();
    assert_eq!(found, expected, "{sessions:?}");
}

/// The strongest of read committed, read atomic and causal that `sessions` satisfies.
#[track_caller]
fn strongest(sessions: &[&str], expected: Option<WeakLevel>) {
    let txns = Script::parse(sessions).transactions();
    let levels = [ReadCommitted, ReadAtomic, Causal];
    let holds: Vec<bool> = levels.iter().map(|level| violation(&txns, *level).is_none()).collect();
    let found = holds.iter().rposition(|holds| *holds).map(|at| levels[at]);
    assert_eq!(found, expected, "{sessions:?}");
    assert!(holds.is_sorted_by(|weaker, stronger| weaker >= stronger), "{sessions:?}: {holds:?}");
}

const ALL: &[WeakLevel] = &WeakLevel::ALL;

#[test]
fn what_causal_consistency_allows() {
    violates(&[], &[]);
    // Nobody overwrites anything: serializable.
    violates(&["w0=0 w1=1", "w0=2", "r0=2 | r1=1"], &[]);
    // Long fork: two readers see two independent writes in opposite orders.
    violates(&["w0=0 w1=0", "w0=1 | r0=1 r1=0", "w1=1 | r1=1 r0=0"], &[]);
    violates(&["w0=1", "w1=1", "r0=1 r1=nil", "r1=1 r0=nil"], &[]);
    // Lost update: both add to what they read.
    violates(&["w0=0", "r0=0 w0=1", "r0=0 w0=2"], &[]);
    // Write skew.
    violates(&["w0=0 w1=0", "r0=0 r1=0 w0=1", "r0=0 r1=0 w1=1"], &[]);
    // A stale read, by somebody who knows of nothing newer.
    violates(&["w0=1 | w0=2", "r0=1"], &[]);
}

#[test]
fn what_a_transaction_must_not_see() {
    // Part of a transaction, and then an older state.
    violates(&["w0=1 w1=1", "r0=1 r1=nil"], &[ReadCommitted, ReadAtomic, Causal, MonotonicReads]);
    violates(&["w0=1 w1=1 | w0=2 w1=2", "r0=2 r1=1"], &[ReadCommitted, ReadAtomic, Causal, MonotonicReads]);
    // First the older state: a fractured read, and only that.
    violates(&["w0=1 w1=1 | w0=2 w1=2", "r1=1 r0=2"], &[ReadAtomic, Causal]);
    violates(&["w0=1 w1=1", "r1=nil r0=1"], &[ReadAtomic, Causal]);
    // Two versions, in the order of their writers.
    violates(&["w0=1", "w0=2", "r0=1 r0=2"], &[ReadAtomic, Causal]);
    violates(&["w0=1", "r0=nil r0=1"], &[ReadAtomic, Causal]);
    // Back and forth.
    violates(&["w0=1", "w0=2", "r0=1 r0=2 r0=1"], &[ReadCommitted, ReadAtomic, Causal, MonotonicReads]);
    violates(&["w0=1", "r0=1 r0=nil"], &[ReadCommitted, ReadAtomic, Causal, MonotonicReads]);
}

#[test]
fn what_a_session_must_not_see() {
    // Its own older write.
    violates(&["w0=1 | w0=2 | r0=1"], &[ReadAtomic, Causal, ReadYourWrites]);
    violates(&["w0=1 | r0=nil"], &[ReadAtomic, Causal, ReadYourWrites]);
    // An older state than before.
    violates(&["w0=1 | w0=2", "r0=2 | r0=1"], &[Causal, MonotonicReads]);
    violates(&["w0=1", "r0=1 | r0=nil"], &[Causal, MonotonicReads]);
    // A write of a session without the one before it.
    violates(&["w0=1 | w1=1", "r1=1 r0=nil"], &[Causal, MonotonicWrites]);
    violates(&["w0=0", "r0=0 w0=1 | w1=1", "r1=1 r0=0"], &[Causal, MonotonicWrites]);
    // The other way round the second read may simply be of a later state.
    violates(&["w0=1 | w1=1", "r0=nil r1=1"], &[Causal]);
    // An answer without the question.
    violates(&["w0=1", "r0=1 | w1=1", "r1=1 r0=nil"], &[Causal, WritesFollowReads]);
    violates(&["w0=1", "r0=1 w1=1", "r1=1 r0=nil"], &[Causal, WritesFollowReads]);
    // The same in two steps, and through a session that only wrote in between.
    violates(&["w0=1", "r0=1 w1=1", "r1=1 | w3=1 | w2=1", "r2=1 r0=nil"], &[Causal, WritesFollowReads]);
    // Only all of it together: monotonic writes to an observer who must first go on himself.
    violates(&["w0=1 | w1=1", "r1=1 | r0=nil"], &[Causal]);
}

#[test]
fn information_in_circles_violates_everything() {
    violates(&["r1=1 w0=1", "r0=1 w1=1"], ALL);
    violates(&["r1=1 | w0=1", "r0=1 | w1=1"], ALL);
    violates(&["r0=1 | w0=1"], ALL);
}

/// The test histories of AWDIT, restated; the expected levels are those of the folders there.
#[test]
fn the_levels_that_awdit_finds() {
    strongest(&["r1=1 | w0=0", "r0=0 | w1=1"], None);
    let first = "w0=0 w1=0 w2=0 w3=0 w4=0";
    strongest(&[first, "r0=0", "r2=1 r2=2", "w2=1 | r1=0 | w2=2", "r2=1 | r2=0 r2=1"], Some(ReadCommitted));
    strongest(&["w0=0", "w0=1", "r0=0 r0=1"], Some(ReadCommitted));
    strongest(&["w0=1 w1=1", "w0=2 w1=2", "w2=2", "r0=1 r1=2 r2=2"], Some(ReadCommitted));
    strongest(&["w0=1 | w0=2", "r0=2 w1=1", "r0=1 r1=1"], Some(ReadAtomic));
    strongest(&[first, "r0=0", "r2=2 r4=0", "r3=0 w2=1 | r1=0 | w2=2", "r2=1 | r2=0 r2=0"], Some(ReadAtomic));
    strongest(&["w0=0 w1=1", "w0=2", "r0=2 | r1=1"], Some(Causal));
    strongest(&["w0=0 w1=0", "w0=1 | r0=1 r1=0", "w1=1 | r1=1 r0=0"], Some(Causal));
    strongest(&["w0=0", "r0=0 w0=1", "r0=0 w0=2"], Some(Causal));
}

#[test]
fn what_is_left_out_of_account() {
    // Versions that nobody wrote.
    violates(&["w0=1 w1=1", "r0=7 r1=1 r0=8 r0=7"], &[]);
    // Reads after own writes, and of own later writes.
    violates(&["w0=1 w1=1", "w1=2 r0=1 r1=1 r1=nil", "r2=1 w2=1"], &[]);
    // Aborted transactions, and those of which nobody knows, unless somebody saw them.
    violates(&["w0=1 | !w0=2 | ?w0=3 | r0=1"], &[]);
    violates(&["w0=1 | !w0=2 | r0=1", "r0=2"], &[ReadAtomic, Causal, ReadYourWrites]);
    // Of unknown outcome: it may have come after what its session did next, not before what it did earlier.
    violates(&["w0=1 | ?w0=3 | r0=1", "r0=3"], &[]);
    violates(&["w0=1 | ?w1=1", "r1=1 r0=nil"], &[Causal, MonotonicWrites]);
    violates(&["w0=1 | ?w1=1 | r0=1", "r1=1 r0=nil"], &[]);
    violates(&["!w0=1 w1=1", "r0=1 r1=nil"], &[ReadCommitted, ReadAtomic, Causal, MonotonicReads]);
    // An intermediate version is its writer's, like the last one.
    violates(&["w0=1 w0=2", "r0=1 r0=2 r0=1"], &[]);
    // One session may repeat what it reads.
    violates(&["w0=1", "w0=2", "r0=1 r0=1 | r0=1 | r0=2"], &[]);
}

#[test]
fn explanations_are_short_and_name_their_reasons() {
    let cycle = |sessions: &[&str], level| match violation(&Script::parse(sessions).transactions(), level) {
        Some(Violation::Cycle(edges)) => edges,
        other => panic!("{other:?}"),
    };
    // Numbers are those of invocation: sessions take turns. The stretch of the first session is one edge.
    let edges = cycle(&["w0=1 | w2=1 | w2=2 | w0=2", "r0=2 | r0=1"], MonotonicReads);
    let [Edge { from: 0, to: 5, why: Why::Session }, Edge { from: 5, to: 0, why }] = &edges[..] else {
        panic!("{edges:?}");
    };
    let Why::Visible { reader: 3, path, .. } = why else { panic!("{why:?}") };
    let [Edge { from: 5, to: 1, why: Why::Read { .. } }, Edge { from: 1, to: 3, why: Why::Session }] =
        path[..]
    else {
        panic!("{path:?}");
    };

    // Of two components the smaller one is told.
    let large = ["r1=1 w0=1", "r2=1 w1=1", "r3=1 w2=1", "r0=1 w3=1"];
    let edges = cycle(&[&large[..], &["r9=1 w8=1", "r8=1 w9=1"]].concat(), ReadCommitted);
    assert_eq!(edges.iter().map(|edge| edge.from).collect::<Vec<_>>(), [4, 5]);

    let txns = Script::parse(&["w0=1 | w1=1", "r1=1 w2=1", "r2=1 r0=nil"]).transactions();
    let Some(Violation::StaleInitial { reader: 2, missed, path }) = violation(&txns, Causal) else {
        panic!("a cycle");
    };
    assert_eq!(txns.writer(missed), 0);
    assert_eq!(path.iter().map(|edge| edge.to).collect::<Vec<_>>(), [3, 1, 2]);

    let txns = Script::parse(&["w0=1", "r0=nil r0=1"]).transactions();
    let Some(Violation::NonRepeatable { reader: 1, first: INITIAL, second, .. }) =
        violation(&txns, ReadAtomic)
    else {
        panic!("other evidence");
    };
    assert_eq!(txns.writer(second), 0);
}

/// Transactions that must be found wrong, on keys of their own.
const PLANTED: [(&[&str], &[WeakLevel]); 9] = [
    (&["w90=1 w91=1 | w90=2 w91=2", "r90=2 r91=1"], &[ReadCommitted, ReadAtomic, Causal, MonotonicReads]),
    (&["w90=1", "r90=1 r90=nil"], &[ReadCommitted, ReadAtomic, Causal, MonotonicReads]),
    (&["w90=1 w91=1 | w90=2 w91=2", "r91=1 r90=2"], &[ReadAtomic, Causal]),
    (&["w90=1", "w90=2", "r90=1 r90=2"], &[ReadAtomic, Causal]),
    (&["w90=1 | w90=2 | r90=1"], &[ReadAtomic, Causal, ReadYourWrites]),
    (&["w90=1 | w90=2", "r90=2 | r90=1"], &[Causal, MonotonicReads]),
    (&["w90=1 | w90=2 | w91=1", "r91=1 r90=1"], &[Causal, MonotonicWrites]),
    (&["w90=1 | w90=2", "r90=2 | w91=1", "r91=1 r90=1"], &[Causal, WritesFollowReads]),
    (&["w90=1 w91=1", "r92=1 | w90=2", "r90=2 w92=1"], ALL),
];

#[test]
fn planted_violations_are_found_in_long_histories() {
    for (seed, (planted, expected)) in PLANTED.iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
        let mut script = Script::causal_store(&mut rng, 10_000 + 250 * seed, [3, 40, 90][seed % 3], 80);
        for level in WeakLevel::ALL.into_iter().filter(|_| seed < 3) {
            assert_eq!(violation(&script.transactions(), level), None, "{level:?}");
        }
        script.plant(&mut rng, &Script::parse(planted));
        let txns = script.transactions();
        for level in WeakLevel::ALL {
            let found = violation(&txns, level);
            assert_eq!(found.is_some(), expected.contains(&level), "{planted:?}: {level:?} {found:?}");
            if let Some(Violation::Cycle(edges)) = found {
                assert!(edges.len() <= 4, "{planted:?}: {level:?}: {edges:?}");
            }
        }
    }
}

/// Where a transaction wrote far more keys than its reader reads, the reader's keys are gone through.
#[test]
fn wide_transactions_are_seen_whole() {
    let wide = |value| (0..40).map(|key| format!("w{key}={value} ")).collect::<String>();
    let writer = [wide(1), wide(2)].join("|");
    let atomicity = [ReadCommitted, ReadAtomic, Causal, MonotonicReads];
    violates(&[&writer, "r7=2 r39=2 r0=2", "r8=1 r5=1"], &[]);
    violates(&[&writer, "r7=2 r39=1"], &atomicity);
    violates(
        &[&writer, "r7=2 r39=nil"],
        &[ReadCommitted, ReadAtomic, Causal, MonotonicReads, MonotonicWrites],
    );
    violates(&[&writer, "r7=1 r39=2"], &[ReadAtomic, Causal]);
    violates(&[&writer, "r7=nil r39=2"], &[ReadAtomic, Causal]);
    violates(&[&writer, "r7=2 | r39=1"], &[Causal, MonotonicReads]);
    violates(&[&writer, "r7=2 r40=nil | r39=2 r41=nil"], &[]);
}

#[test]
fn deep_histories_do_not_overflow_the_stack() {
    // A chain of reads through two sessions, as long as the history, and a reader of its first version.
    let links = 100_000;
    let link = |n: usize| if n == 0 { "w0=0".to_owned() } else { format!("r{}={} w{n}={n}", n - 1, n - 1) };
    let session = |parity| (parity..links).step_by(2).map(link).collect::<Vec<_>>().join(" | ");
    let last = format!("r{}={} r0=nil", links - 1, links - 1);
    for real_time in [true, false] {
        let mut script = Script::parse(&[&session(0), &session(1), &last]);
        script.has_real_time = real_time;
        // The reader comes first, so that the order must be found by going down the chain.
        script.txns.sort_by_key(|txn| txn.session != 2);
        let txns = script.transactions();
        assert!(violation(&txns, Causal).is_some());
        assert!(violation(&txns, WritesFollowReads).is_some());
        assert!(violation(&txns, ReadAtomic).is_none());
    }
}

#[test]
fn little_memory_is_a_narrower_block_and_too_little_an_unknown() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut script = Script::causal_store(&mut rng, 6_000, 70, 50);
    let options = |bytes| Options { memory_limit_bytes: bytes, ..Options::default() };
    for planted in [false, true] {
        if planted {
            script.plant(&mut rng, &Script::parse(PLANTED[7].0));
        }
        let txns = script.transactions();
        for level in [Causal, WritesFollowReads] {
            let narrow = check(&txns, level, &options(4 << 20));
            assert_eq!(matches!(narrow, WeakAnswer::Violated(_)), planted, "{narrow:?}");
            validate_weak(&txns, level, &narrow).unwrap();
            let WeakAnswer::Unknown(crate::verdict::Reason::Memory) = check(&txns, level, &options(1 << 10))
            else {
                panic!("nothing fits in a kilobyte");
            };
        }
    }
}

#[test]
fn a_commit_order_keeps_to_what_happened_where_it_may() {
    let txns = Script::parse(&["w0=1 | r1=1", "w1=1 | r0=1"]).transactions();
    assert_eq!(answer(&txns, Causal), WeakAnswer::Holds(Certificate::CommitOrder(vec![0, 1, 2, 3])));
}

/// A number below `bound`.
fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    (rng.next_u64() % bound as u64) as usize
}
