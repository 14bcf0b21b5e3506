//! From what was typed to what is meant: patterns, worlds, nemeses and mutants by name. What is not there
//! is answered with what is, and the nearest name.

use crate::diagnostic::{InputError, nearest, suggestion};
use crate::terminal::printable;
use shakedown_workloads::catalogue::{Pattern, RequestError, all, find};
use shakedown_workloads::nemesis::Nemesis;
use shakedown_workloads::world::WorldName;

/// The pattern of that name, or of that last part of a name.
pub fn pattern_named(name: &str) -> Result<&'static dyn Pattern, InputError> {
    find(name).ok_or_else(|| {
        let names: Vec<&str> = all().iter().map(|pattern| pattern.entry().name).collect();
        // Near to the last part is near enough.
        let near = nearest(last_part(name), names.iter().map(|full| last_part(full)));
        let meant = near.and_then(|near| names.iter().copied().find(|full| last_part(full) == near));
        let help = suggestion("known patterns", meant.unwrap_or(name), names.iter().copied());
        InputError::new(format!("there is no pattern {}", printable(name)), Some(help))
    })
}

/// `abd` of `replication/leaderless/abd`.
pub fn last_part(pattern: &str) -> &str {
    pattern.rsplit('/').next().unwrap_or(pattern)
}

/// The worlds of these names, each once; all that `pattern` has if there are none.
pub fn worlds_named(pattern: &dyn Pattern, names: &[String]) -> Result<Vec<WorldName>, InputError> {
    if names.is_empty() {
        return Ok(pattern.entry().worlds.to_vec());
    }
    let mut worlds = vec![];
    for name in names {
        let world = world_named(pattern, name)?;
        if !worlds.contains(&world) {
            worlds.push(world);
        }
    }
    Ok(worlds)
}

/// The world of that name, in which `pattern` can be run.
pub fn world_named(pattern: &dyn Pattern, name: &str) -> Result<WorldName, InputError> {
    let entry = pattern.entry();
    let is_it = |world: &WorldName| world.name() == name;
    let Some(world) = WorldName::ALL.into_iter().find(is_it) else {
        return Err(InputError::unknown_name("world", name, entry.worlds.iter().map(|world| world.name())));
    };
    if !entry.worlds.contains(&world) {
        let help = suggestion("it runs in", name, entry.worlds.iter().map(|world| world.name()));
        let message = format!("{} does not run in the {name} world", entry.name);
        return Err(InputError::new(message, Some(help)));
    }
    Ok(world)
}

/// The workload of that name, of those that `pattern` has.
pub fn workload_named(pattern: &dyn Pattern, name: &str) -> Result<String, InputError> {
    let workloads = pattern.workloads();
    let names = workloads.iter().map(|(name, _)| *name);
    if names.clone().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let help = suggestion("its workloads", name, names);
    let message = format!("{} has no workload {}", pattern.entry().name, printable(name));
    Err(InputError::new(message, Some(help)))
}

/// The nemeses of these names, of those that `pattern` is given; `none` is none of them.
pub fn nemeses_named(pattern: &dyn Pattern, names: &[String]) -> Result<Vec<Nemesis>, InputError> {
    let known = pattern.entry().nameable();
    if names.iter().any(String::is_empty) {
        let help = suggestion("known nemeses", "", known.iter().map(|nemesis| nemesis.name()));
        return Err(InputError::new("a nemesis has no name; `none` stands for no trouble", Some(help)));
    }
    if names.iter().any(|name| name == "none") {
        let complaint = || InputError::new("`none` stands alone: there is trouble or there is none", None);
        return if names.len() == 1 { Ok(vec![]) } else { Err(complaint()) };
    }
    let named = |name: &String| {
        let is_it = |nemesis: &&Nemesis| nemesis.name() == name;
        known.iter().find(is_it).copied().ok_or_else(|| {
            let names = known.iter().map(|nemesis| nemesis.name()).chain(["none"]);
            let help = suggestion("known nemeses", name, names);
            InputError::new(format!("there is no nemesis {}", printable(name)), Some(help))
        })
    };
    names.iter().map(named).collect()
}

/// `name`, if `pattern` has a mutant of that name.
pub fn mutant_named(pattern: &dyn Pattern, name: &str) -> Result<&'static str, InputError> {
    let mutants = pattern.mutants();
    let names = mutants.iter().map(|(name, _)| *name);
    names.clone().find(|known| *known == name).ok_or_else(|| {
        let help = suggestion("its mutants", name, names);
        let message = format!("{} has no mutant {}", pattern.entry().name, printable(name));
        InputError::new(message, Some(help))
    })
}

/// What the catalogue refuses, arranged for the terminal.
pub fn refused(error: &RequestError) -> InputError {
    let help = match error {
        RequestError::Scenario { .. } => {
            "run the seed again: the pattern has changed, or the file was edited"
        }
        _ => "see `shakedown list`",
    };
    InputError::new(error.to_string(), Some(help.to_owned()))
}
