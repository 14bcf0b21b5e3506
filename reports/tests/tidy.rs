//! Rules of the repository that the compiler does not know: which package may depend on which, how
//! long a file may be, which items have no place in it.
//!
//! Each rule is a function from text to complaints, so that the rules themselves are tested, below,
//! on text that breaks them.

use std::fs;
use std::path::{Path, PathBuf};
use toml::Table;

/// Who may depend on whom, by folder and package: the picture in `ARCHITECTURE.md`.
const ARROWS: [(&str, &str, &[&str]); 5] = [
    ("impls", "shakedown-impls", &[]),
    ("checkers", "shakedown-checkers", &[]),
    ("workloads", "shakedown-workloads", &["shakedown-impls", "shakedown-checkers"]),
    ("reports", "shakedown", &["shakedown-impls", "shakedown-checkers", "shakedown-workloads"]),
    ("benches", "shakedown-benches", &["shakedown-impls", "shakedown-checkers", "shakedown-workloads"]),
];

/// Past this a file is mentioned; past the second it is refused.
const LINES_WARN: usize = 600;
const LINES_MAX: usize = 1000;

/// Banned everywhere. Spelled in halves, because this file is read too.
const BANNED: [&str; 4] =
    [concat!("to", "do!"), concat!("unimpl", "emented!"), concat!("#[ig", "nore"), concat!("db", "g!")];
/// Banned in the patterns, which must do the same in every run.
const BANNED_IN_IMPLS: [&str; 5] =
    ["HashMap", "HashSet", concat!("Instant", "::now"), concat!("SystemTime", "::now"), "thread_rng"];

#[test]
fn every_dependency_between_packages_is_an_arrow_of_the_picture() {
    let root = table(&root().join("Cargo.toml"));
    let mut complaints = member_complaints(&root);
    for (folder, package, allowed) in ARROWS {
        let manifest = table(&self::root().join(folder).join("Cargo.toml"));
        complaints.extend(arrow_complaints(package, allowed, &manifest, &root));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn files_are_short_and_free_of_banned_items() {
    let mut files = Vec::new();
    for (folder, ..) in ARROWS {
        collect_rust(&root().join(folder), &mut files);
    }
    assert!(
        files.len() > 10,
        "the walk found only {} files: it does not look where the code is",
        files.len()
    );
    let mut complaints = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).expect("source files are UTF-8");
        let name = path.strip_prefix(root()).expect("found under the root").display().to_string();
        if text.lines().count() > LINES_WARN {
            println!("{name}: more than {LINES_WARN} lines; is it one idea?");
        }
        complaints.extend(size_complaint(&name, &text));
        complaints.extend(banned_complaints(&name, &text));
        complaints.extend(module_doc_complaint(&name, &text));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_guard_of_rafts_departures_is_in_the_code() {
    let page = fs::read_to_string(root().join("docs/raft-departures.md")).expect("it is UTF-8");
    let guards = guards(&page);
    let departures = page.matches(GUARD).count();
    assert!(departures > 10 && guards.len() > 2 * departures, "only {} guards are found", guards.len());
    let complaints: Vec<String> =
        guards.iter().filter_map(|guard| guard_complaint(guard, &read_raft)).collect();
    assert!(complaints.is_empty(), "docs/raft-departures.md: {}", complaints.join("\n"));
}

/// The workspace has the five members, and no package is called what no arrow names.
fn member_complaints(root: &Table) -> Vec<String> {
    let members = root["workspace"].get("members").and_then(|members| members.as_array());
    let mut found: Vec<&str> = members.into_iter().flatten().filter_map(|member| member.as_str()).collect();
    let mut expected = ARROWS.map(|(folder, ..)| folder);
    found.sort_unstable();
    expected.sort_unstable();
    if found == expected {
        return Vec::new();
    }
    vec![format!("Cargo.toml: the members are {found:?}; expected {expected:?}")]
}

fn arrow_complaints(package: &str, allowed: &[&str], manifest: &Table, root: &Table) -> Vec<String> {
    let mut complaints = Vec::new();
    if manifest["package"].get("name").and_then(|name| name.as_str()) != Some(package) {
        complaints.push(format!("{package}: the manifest in its folder has another package name"));
    }
    let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    if inherits.and_then(|inherits| inherits.as_bool()) != Some(true) {
        complaints.push(format!("{package}: does not take the workspace's lints"));
    }
    let mut sections = vec![manifest];
    let targets = manifest.get("target").and_then(|target| target.as_table());
    sections.extend(
        targets.into_iter().flat_map(|targets| targets.values()).filter_map(|target| target.as_table()),
    );
    for section in sections {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = section.get(kind).and_then(|dependencies| dependencies.as_table())
            else {
                continue;
            };
            for (name, spec) in dependencies {
                let target = renamed(name, spec, root);
                if ours(&target) && target != package && !allowed.contains(&target.as_str()) {
                    complaints.push(format!("{package}: {kind} has {target}, an arrow that is not drawn"));
                }
            }
        }
    }
    complaints
}

/// The package that `name` stands for, seen through `package =` here and in the workspace.
fn renamed(name: &str, spec: &toml::Value, root: &Table) -> String {
    let package = |spec: &toml::Value| spec.get("package").and_then(|name| name.as_str()).map(str::to_owned);
    let inherited = || root["workspace"].get("dependencies").and_then(|all| all.get(name)).and_then(package);
    let by_path = spec.get("path").and_then(|path| path.as_str()).and_then(|path| {
        let folder = Path::new(path).file_name()?.to_str()?;
        ARROWS.iter().find(|arrow| arrow.0 == folder).map(|arrow| arrow.1.to_owned())
    });
    package(spec).or_else(inherited).or(by_path).unwrap_or_else(|| name.to_owned())
}

fn ours(package: &str) -> bool {
    ARROWS.iter().any(|arrow| arrow.1 == package)
}

fn size_complaint(name: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES_MAX).then(|| format!("{name}: {lines} lines; split it, {LINES_MAX} are the most"))
}

fn banned_complaints(name: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let in_impls = name.replace('\\', "/").starts_with("impls/src/");
        let banned = BANNED.iter().chain(BANNED_IN_IMPLS.iter().filter(|_| in_impls));
        for item in banned.filter(|item| has_word(code, item)) {
            complaints.push(format!("{name}:{}: {item} is banned", number + 1));
        }
    }
    complaints
}

/// Whether `item` occurs in `code`, not as the tail of a longer word.
fn has_word(code: &str, item: &str) -> bool {
    code.match_indices(item).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !item.starts_with(char::is_alphanumeric) || !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn module_doc_complaint(name: &str, text: &str) -> Option<String> {
    let doc = text.lines().find(|line| !line.starts_with("#!")).and_then(|line| line.strip_prefix("//! "));
    let says_something = doc.is_some_and(|doc| doc.len() > 10);
    (!says_something).then(|| format!("{name}: does not begin with a `//!` that says what it is"))
}

/// Begins the part of a departure, to the end of its paragraph, that says what would notice it.
const GUARD: &str = "*Guard:*";

/// What `page` names as guards, in backticks: what follows each [`GUARD`], and every path of a test elsewhere.
/// `…::test` is in the file of the test before it.
fn guards(page: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for paragraph in page.split("\n\n") {
        let guard_from = paragraph.find(GUARD).unwrap_or(paragraph.len());
        let mut file = "";
        let mut at = 0;
        for (number, span) in paragraph.split('`').enumerate() {
            at += span.len() + 1;
            // Types and their parts are no tests: `Limits::sessions`.
            let is_path = span.contains("::") && !span.starts_with(char::is_uppercase);
            if number % 2 == 0 || !(is_path || at > guard_from) {
                continue;
            }
            match span.rsplit_once("::") {
                Some(("…", test)) => found.push(format!("{file}::{test}")),
                Some((module, _)) => {
                    file = module;
                    found.push(span.to_owned());
                }
                None => found.push(span.to_owned()),
            }
        }
    }
    // The page says with these what its names mean.
    found.retain(|guard| !guard.ends_with("::x"));
    found
}

/// Raft's file of this path, from the folder of its modules; `None` if there is none.
fn read_raft(path: &str) -> Option<String> {
    fs::read_to_string(root().join("impls/src/replication/raft").join(path)).ok()
}

/// What is wrong with a guard: `file::test` of `raft/tests/`, `file::tests::test` of a unit test, `x.snap`
/// of a transcript, all tests of a `file`, or the name of a mutant.
fn guard_complaint(guard: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let parts: Vec<&str> = guard.split("::").collect();
    let (paths, test) = match parts[..] {
        [file, "tests", test] => (vec![format!("{file}.rs"), format!("../{file}.rs")], Some(test)),
        [file, test] => (vec![format!("tests/{file}.rs")], Some(test)),
        [name] if name.ends_with(".snap") => (vec![format!("tests/transcripts/{name}")], None),
        [name] => {
            let is_mutant = read("mutant.rs").is_some_and(|text| text.contains(&format!("= \"{name}\"")));
            if is_mutant {
                return None;
            }
            (vec![format!("tests/{name}.rs")], None)
        }
        _ => return Some(format!("{guard}: no form that a guard has")),
    };
    let Some(text) = paths.iter().find_map(|path| read(path)) else {
        return Some(format!("{guard}: there is no {}, and no such mutant", paths.join(", no ")));
    };
    let test = test.filter(|test| !has_test(&text, test))?;
    Some(format!("{guard}: {} has no test {test}", paths.join(" or ")))
}

fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_head =
        |line: &str| line.strip_prefix("fn ").is_some_and(|rest| rest.starts_with(&format!("{name}(")));
    lines.iter().position(|line| is_head(line)).is_some_and(|at| {
        let mut attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        attributes.any(|line| *line == "#[test]")
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package stands in the workspace")
}

fn table(path: &Path) -> Table {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All `.rs` files under `folder`, in the order of their names.
fn collect_rust(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("a folder of the workspace").path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
}

mod the_rules_can_fail {
    use super::*;

    const ROOT: &str = "[workspace]\nmembers = ['checkers', 'impls']\n[workspace.dependencies]\n\
                        shakedown-impls = { path = 'impls' }\nsneaky = { path = 'impls', package = 'shakedown-impls' }";

    fn arrows(package: &str, allowed: &[&str], manifest: &str) -> Vec<String> {
        arrow_complaints(package, allowed, &manifest.parse().unwrap(), &ROOT.parse().unwrap())
    }

    #[test]
    fn on_an_arrow_that_is_not_drawn_however_it_is_written() {
        let head = "[package]\nname = 'shakedown-checkers'\n[lints]\nworkspace = true\n";
        for dependency in [
            "[dependencies]\nshakedown-impls.workspace = true",
            "[dev-dependencies]\nshakedown-impls = { path = '../impls' }",
            "[build-dependencies]\nsneaky.workspace = true",
            "[dependencies]\nother = { path = '../impls', package = 'shakedown-impls' }",
            "[target.'cfg(unix)'.dependencies]\nshakedown-impls.workspace = true",
        ] {
            let complaints = arrows("shakedown-checkers", &[], &format!("{head}{dependency}"));
            assert_eq!(complaints.len(), 1, "{dependency}: {complaints:?}");
            assert!(complaints[0].contains("shakedown-impls"), "{complaints:?}");
        }
        let drawn = format!("{head}[dependencies]\nshakedown-impls.workspace = true\nmemchr = '2'");
        assert!(arrows("shakedown-checkers", &["shakedown-impls"], &drawn).is_empty());
    }

    #[test]
    fn on_a_manifest_without_the_workspace_lints_or_with_another_name() {
        assert_eq!(arrows("shakedown-checkers", &[], "[package]\nname = 'shakedown-checkers'").len(), 1);
        assert_eq!(
            arrows("shakedown-impls", &[], "[package]\nname = 'x'\n[lints]\nworkspace = true").len(),
            1
        );
    }

    #[test]
    fn on_a_missing_or_an_extra_member() {
        assert_eq!(member_complaints(&ROOT.parse().unwrap()).len(), 1);
    }

    #[test]
    fn on_long_files() {
        assert!(size_complaint("a.rs", &"x\n".repeat(LINES_MAX)).is_none());
        assert!(size_complaint("a.rs", &"x\n".repeat(LINES_MAX + 1)).is_some());
    }

    #[test]
    fn on_banned_items_but_not_on_words_that_end_like_them_or_comments() {
        for item in BANNED {
            assert_eq!(banned_complaints("checkers/src/a.rs", &format!("    {item}(1)]")).len(), 1, "{item}");
        }
        for item in BANNED_IN_IMPLS {
            assert_eq!(banned_complaints("impls/src/a.rs", &format!("let x = {item};")).len(), 1, "{item}");
            assert_eq!(
                banned_complaints("checkers/src/a.rs", &format!("let x = {item};")).len(),
                0,
                "{item}"
            );
        }
        let innocent = format!("// a {} in a comment\nmy_{}(x)", BANNED[0], BANNED[3]);
        assert!(banned_complaints("impls/src/a.rs", &innocent).is_empty());
    }

    #[test]
    fn on_guards_that_are_not_in_the_code() {
        let page = "Names: `a::x`, `a::all_of_it`.\n\n`Limits::sessions`. *Guard:* `a::one`,\n`…::two`, `q::tests::three`; \
                    `no-vote`, `a.snap`, all of `a`.\n\n`not-a-guard`, `Config::plain`";
        let named = ["a::all_of_it", "a::one", "a::two", "q::tests::three", "no-vote", "a.snap", "a"]
            .map(str::to_owned);
        assert_eq!(guards(page), named);
        let read = |path: &str| match path {
            "tests/a.rs" => {
                Some("#[test]\nfn all_of_it() {}\n#[test]\nfn one() {}\n#[test]\nfn two() {}\nfn helper() {}")
            }
            "../q.rs" => Some("mod tests {\n    #[test]\n    #[cfg(unix)]\n    fn three() {"),
            "mutant.rs" => Some("NoVote = \"no-vote\","),
            "tests/transcripts/a.snap" => Some(""),
            _ => None,
        };
        let complaint = |guard: &str| guard_complaint(guard, &|path| read(path).map(str::to_owned));
        for guard in named {
            assert_eq!(complaint(&guard), None, "{guard}");
        }
        for bad in [
            "a::on",
            "a::helper",
            "q::three",
            "b::one",
            "a::tests::one",
            "no-vot",
            "b.snap",
            "b",
            "a::b::c::d",
            "::",
        ] {
            assert!(complaint(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn on_a_module_that_does_not_say_what_it_is() {
        assert!(module_doc_complaint("a.rs", "//! What operations mean.\n").is_none());
        for bad in ["//! .\n", "use std::fs;\n", ""] {
            assert!(module_doc_complaint("a.rs", bad).is_some(), "{bad:?}");
        }
    }
}
