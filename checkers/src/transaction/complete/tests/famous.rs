//! What must be said of histories that everybody knows, and of what is particular to ours.

use super::histories::parse;
use super::*;

/// A history, and for each model the orders under which it holds: F(ree), S(ession), R(eal time).
struct Row(&'static str, &'static [&'static str], [&'static str; 3]);

const ALL: &str = "FSR";

const TABLE: [Row; 22] = [
    Row("nothing", &[], [ALL; 3]),
    Row("one after the other", &["0 rxnil wx1", "1 rx1 wx2", "2 rx2 rynil wy1"], [ALL; 3]),
    Row("lost update", &["0 rxnil wx1 {", "1 rxnil wx2", "} 0 rxnil wx1"], ["", "", ALL]),
    Row("write skew", &["0 rxnil rynil wx1 {", "1 rxnil rynil wy2", "} 0 rxnil rynil wx1"], ["", ALL, ALL]),
    Row("read skew", &["0 wx1 wy1", "1 rx1 rynil"], [""; 3]),
    Row("long fork", &["0 wx1", "1 wy1", "2 rx1 rynil", "3 rxnil ry1"], [""; 3]),
    // Fekete, O'Neil & O'Neil (SIGMOD Record 2004): what only a reader can see.
    Row(
        "read-only anomaly",
        &["0 rxnil rynil wx9 {", "1 rynil wy20", "2 rxnil ry20", "} 0 rxnil rynil wx9"],
        ["", ALL, ALL],
    ),
    Row("stale read of another", &["0 wx1", "1 rxnil"], ["FS"; 3]),
    Row("stale read of one's own", &["0 wx1", "0 rxnil"], ["F"; 3]),
    Row("two orders of two writes", &["0 wx1", "1 wx2", "2 rx1", "2 rx2", "3 rx2", "3 rx1"], ["F"; 3]),
    Row("blind writes in one order", &["0 wx1 {", "1 wx2 wy1", "2 rx2", "3 rx1 ry1", "} 0 wx1"], [ALL; 3]),
    Row("blind writes in none", &["0 wx1 wy1", "1 wx2 wy2", "2 rx1 ry2"], [""; 3]),
    Row("three blind writers", &["0 wx1 wy1", "1 wx2", "2 wy3", "3 rx1 ry3", "4 rx2 ry1"], [""; 3]),
    Row("a lost write may come late", &["0 wx1 !", "1 rxnil", "2 rx1"], [ALL; 3]),
    Row("later than what its process did next", &["0 wx1 !", "0 rxnil", "1 rx1"], [ALL; 3]),
    Row("but not before what its process did before", &["0 wy1", "0 wx1 !", "1 rx1 rynil"], ["F"; 3]),
    Row("a lost write that nobody saw", &["0 wx1 !", "1 rxnil", "1 wx2", "2 rx2"], [ALL; 3]),
    Row("reads of what was never committed are left to others", &["0 wx1 ~", "1 rx1", "2 rx7"], [ALL; 3]),
    Row("intermediate reads, too", &["0 wx1 wx2 {", "1 rx1", "} 0 wx1 wx2", "2 rx2"], [ALL; 3]),
    Row("and reads of one's own", &["0 wx1 rx2", "1 rx1 wx3 rx1"], [ALL; 3]),
    Row(
        "two readers of a version that write other keys",
        &["0 rxnil wy1 {", "1 rxnil wz1", "} 0 rxnil wy1"],
        [ALL; 3],
    ),
    Row(
        "writers of a key that overlap",
        &["0 rynil wx1 {", "1 wx2 wy1", "} 0 rynil wx1", "2 rx1 ry1"],
        ["", "", ALL],
    ),
];

#[test]
fn famous_histories_get_the_answers_that_they_are_famous_for() {
    let mut met = Met::default();
    for Row(name, lines, holds) in &TABLE {
        let txns = parse(lines);
        compare(&txns, lines, &mut met);
        let said = MODELS.map(|model| {
            let holds =
                |order: &Order| matches!(decide(&txns, model, *order, &Options::default()), Answer::Holds(_));
            let letters = ORDERS.into_iter().zip(["F", "S", "R"]).filter(|(order, _)| holds(order));
            letters.map(|(_, letter)| letter).collect::<String>()
        });
        assert_eq!(said, *holds, "{name}");
    }
}

fn refutation(lines: &[&str], model: Model, order: Order) -> Refutation {
    match decide(&parse(lines), model, order, &Options::default()) {
        Answer::Violated(refutation) => *refutation,
        answer => panic!("{lines:?}: {answer:?}"),
    }
}

// However much surrounds it, what is told is what the textbook has: a version, and the two that updated it.
#[test]
fn a_lost_update_in_a_long_history_is_told_by_three_transactions() {
    let lines: Vec<String> = (0..200)
        .map(|n| match n {
            100 | 101 => format!("{} rx{} wx{}", n % 5, 100, n + 1),
            n => format!(
                "{} rx{} wx{} rz{}",
                n % 5,
                if n > 101 { n.to_string() } else { nil(n) },
                n + 1,
                7000 + n
            ),
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for (model, order) in [(Model::Serializable, Order::Free), (Model::SnapshotIsolation, Order::Free)] {
        let refutation = refutation(&lines, model, order);
        assert_eq!(refutation.core, [99, 100, 101], "{model:?}: {refutation:#?}");
        assert!(refutation.minimal && matches!(refutation.argument, Argument::Cycle(_)));
    }
}

fn nil(n: i32) -> String {
    if n == 0 { "nil".to_owned() } else { n.to_string() }
}
