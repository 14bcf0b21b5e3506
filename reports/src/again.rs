//! What to type to see something again: whole commands, to be copied into the same folder's shell.

use shakedown_workloads::catalogue::Request;
use std::path::Path;

/// How this program was called, for commands that call it again.
pub fn program() -> String {
    let called = std::env::args_os().next().map(|name| name.to_string_lossy().into_owned());
    called.filter(|name| !name.is_empty()).unwrap_or_else(|| "shakedown".to_owned())
}

/// Runs one seed.
pub fn seed(program: &str, pattern: &str, request: &Request, seed: u64) -> String {
    let mut words = vec![program.to_owned(), "run".to_owned(), pattern.to_owned()];
    let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
    add("--world", request.world.name().to_owned());
    add("--seed", seed.to_string());
    if let Some(workload) = &request.workload {
        add("--workload", workload.clone());
    }
    if let Some(nemeses) = &request.nemeses {
        nemeses.iter().for_each(|nemesis| add("--nemesis", nemesis.name().to_owned()));
        if nemeses.is_empty() {
            add("--nemesis", "none".to_owned());
        }
    }
    if let Some(nodes) = request.nodes {
        add("--nodes", nodes.to_string());
    }
    if let Some(clients) = request.clients {
        add("--clients", clients.to_string());
    }
    if let Some(length_ms) = request.length_ms {
        add("--length", length_ms.to_string());
    }
    if let Some(mutant) = &request.mutant {
        add("--mutant", mutant.clone());
    }
    line(&words)
}

/// Looks at one case of the model world.
pub fn case(program: &str, pattern: &str, case: usize, mutant: Option<&str>) -> String {
    let case = case.to_string();
    let mut words = vec![program, "run", pattern, "--world", "model", "--case", case.as_str()];
    words.extend(mutant.iter().flat_map(|mutant| ["--mutant", mutant]));
    line(&words)
}

/// Replays a file.
pub fn replay(program: &str, file: &Path) -> String {
    line(&[program, "replay", &file.display().to_string()])
}

/// Makes a published table again, wherever the repository is.
pub fn table(typed: &[String], output: &Path) -> String {
    let words = ["cargo", "run", "--release", "--", "mutants"].map(str::to_owned).into_iter();
    let end = ["--format", "markdown", "--output"].map(str::to_owned).into_iter();
    let words = words.chain(typed.iter().cloned()).chain(end).chain([output.display().to_string()]);
    line(&words.collect::<Vec<_>>())
}

fn line(words: &[impl AsRef<str>]) -> String {
    // A word with a NUL in it never came from a shell.
    let quoted = words.iter().map(|word| shlex::try_quote(word.as_ref()).unwrap_or_default());
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_workloads::nemesis::Nemesis;
    use shakedown_workloads::world::WorldName;

    #[test]
    fn everything_that_was_asked_is_asked_again() {
        let mut request = Request::new(WorldName::Swarm);
        assert_eq!(seed("shakedown", "a/b", &request, 7), "shakedown run a/b --world swarm --seed 7");
        request.workload = Some("kv".to_owned());
        request.nodes = Some(5);
        request.clients = Some(2);
        request.length_ms = Some(300);
        request.nemeses = Some(vec![Nemesis::Crash, Nemesis::Power]);
        request.mutant = Some("x".to_owned());
        let whole = "p run a/b --world swarm --seed 7 --workload kv --nemesis crash --nemesis power --nodes 5 --clients 2 \
                     --length 300 --mutant x";
        assert_eq!(seed("p", "a/b", &request, 7), whole);
        request = Request { nemeses: Some(vec![]), ..Request::new(WorldName::Sim) };
        assert_eq!(seed("p", "a", &request, 0), "p run a --world sim --seed 0 --nemesis none");
        assert_eq!(case("p", "a", 2, Some("x")), "p run a --world model --case 2 --mutant x");
    }

    #[test]
    fn paths_with_blanks_survive_the_shell() {
        let command = replay("./my tools/shakedown", Path::new("a b/it's.json"));
        assert_eq!(command, "'./my tools/shakedown' replay \"a b/it's.json\"");
    }
}
