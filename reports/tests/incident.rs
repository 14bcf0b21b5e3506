//! `shakedown incident`: what is published is what it prints, at any width, and what it does not know it says.

mod shell;

use shell::{code, command, shakedown, stderr, stdout};
use std::fs;
use std::path::Path;

#[test]
fn the_published_figures_are_those_of_the_command() {
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("figures");
    for (format, file) in [("markdown", "incident.md"), ("csv", "incident.csv")] {
        let run = shakedown(&["incident", "--format", format]);
        let made = "make it again: shakedown incident --format";
        assert!(fs::read_to_string(published.join(file)).unwrap() == stdout(&run), "{file}: {made} {format}");
    }
    // And those in the page that explains them are among these.
    let figures = stdout(&shakedown(&["incident", "--format", "markdown"]));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/resilience.md");
    let page = fs::read_to_string(page).unwrap();
    for (column, table) in [(2, "| answered |"), (1, "| reached the dependency |")] {
        let rows = page.split(table).nth(1).expect("the page has this table").lines().skip(2);
        for row in rows.take_while(|row| !row.is_empty()) {
            let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
            let section = figures.split(&format!("\n## {}\n", cells[0])).nth(1).expect("it is among them");
            let rows = section.lines().skip(3).take_while(|row| !row.is_empty());
            let of: Vec<&str> =
                rows.filter_map(|row| row.trim_matches(['|', ' ']).split(" | ").nth(column)).collect();
            assert_eq!(cells[1..], of, "{row}");
        }
    }
}

#[test]
fn it_keeps_to_the_width_and_to_what_is_asked() {
    for width in ["40", "75", "76", "120"] {
        let run = command(&["incident", "--only", "all four", "--seed", "7"])
            .env("COLUMNS", width)
            .output()
            .unwrap();
        let text = stdout(&run);
        assert_eq!(code(&run), 0);
        assert!(text.contains("at last") && !text.contains("naive"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= width.parse().unwrap()), "{text}");
    }
    let unknown = shakedown(&["incident", "--only", "all five"]);
    assert_eq!(code(&unknown), 254);
    assert!(stderr(&unknown).contains("all four"), "{}", stderr(&unknown));
}
