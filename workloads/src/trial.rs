//! Your own implementation, in every world, from a test of a few lines.
//!
//! Write the protocol ([`Protocol`]); let its clients ask what an object's clients ask
//! ([`shakedown_impls::object`], or an [`Operation`] of your own); then:
//!
//! ```
//! use shakedown_impls::replication::leaderless::abd::{Abd, Config};
//! use shakedown_workloads::trial::Trial;
//!
//! # #[allow(clippy::test_attr_in_doctest)]
//! // #[test]
//! fn my_register_is_linearizable() {
//!     Trial::of::<Abd>(Config::new).seeds(0..20).check();
//! }
//! # my_register_is_linearizable();
//! ```
//!
//! [`Trial::check`] searches every schedule of a small case, then runs the seeds in the swarm and in the
//! simulated network. What fails is made small, written to `target/shakedown/`, and told: what the
//! checker says, what was asked, what went wrong, and what happened line by line. The message ends with
//! the command that runs it again.

use crate::generator::Generator;
use crate::hunt::{Hunt, hunt_with};
use crate::manner::{Manner, StopFlag};
use crate::nemesis::Nemesis;
use crate::operation::{Operation, Subject};
use crate::replay::{Header, Replay};
use crate::run::{Failure, Ran, fail_in, judged, run_in};
use crate::scenario::{Scenario, Settings};
use crate::world::WorldName;
use crate::world::model::{Case, Exploration, Limits, explore};
use crate::world::sim::{AskError, SERVER_NEMESES, Server, ServerResult, run_server_with};
use shakedown_impls::protocol::{NodeId, Protocol};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{env, fs, thread};

/// What an implementation is put through.
pub struct Trial<'t, Op: Operation> {
    name: String,
    settings: Settings<Op::Kind>,
    /// Searches a small case, on so many nodes.
    search: Option<Box<Search<'t>>>,
    /// How a seed is run, in each world that takes seeds.
    run: Vec<(WorldName, Box<Run<'t, Op>>)>,
    seeds: Range<u64>,
    directory: PathBuf,
}

type Search<'t> = dyn Fn(u16) -> Exploration + Sync + 't;
type Run<'t, Op> = dyn Fn(&Scenario<Op>, &Manner) -> Ran + Sync + 't;

/// What a trial found wrong.
#[derive(Clone, Debug)]
pub enum Failed {
    /// In the model world.
    Exploration(Box<Exploration>),
    /// With a seed.
    Seed(Box<Failure>),
    /// Nothing was found wrong, and it says nothing: of so many seeds in that world none had an answer
    /// that showed what another operation did.
    Vacuous(WorldName, u64),
}

/// Where to find the replay file of a run that is to be repeated.
const REPLAY_VARIABLE: &str = "SHAKEDOWN_REPLAY";

impl<'t, Op: Operation> Trial<'t, Op> {
    /// Of a protocol that is configured like this for a number of nodes: the usual load, every fault,
    /// 200 seeds in the swarm and as many in the simulated network.
    pub fn of<P>(config: impl Fn(u16) -> P::Config + Clone + Sync + 't) -> Trial<'t, Op>
    where
        P: Protocol<Op = Op> + Subject,
    {
        let in_world = |world| {
            let config = config.clone();
            let run = move |scenario: &Scenario<Op>, manner: &Manner| {
                run_in::<P>(world, &config(scenario.nodes), scenario, manner)
            };
            (world, Box::new(run) as Box<Run<'t, Op>>)
        };
        Trial {
            name: std::any::type_name::<P>().to_owned(),
            settings: Settings::usual::<Op>(),
            run: vec![in_world(WorldName::Swarm), in_world(WorldName::Sim)],
            search: Some(Box::new(move |nodes| search::<P>(nodes, config(nodes)))),
            seeds: 0..200,
            directory: build_directory().join("shakedown"),
        }
    }

    /// Of any asynchronous server that uses turmoil's sockets, and files if it has any, in the simulated
    /// network: the usual load, every fault that does not need our driver, 200 seeds. `serve` serves on a
    /// node until it is killed; `ask` asks a node one thing. See [`crate::world::sim::run_server`].
    pub fn server<S, SF, A, AF>(name: &str, serve: S, ask: A) -> Trial<'t, Op>
    where
        S: Fn(Server) -> SF + Clone + Sync + 'static,
        SF: Future<Output = ServerResult> + 'static,
        A: Fn(Op, NodeId) -> AF + Clone + Sync + 'static,
        AF: Future<Output = Result<Op::Ret, AskError>> + 'static,
    {
        let run = move |scenario: &Scenario<Op>, manner: &Manner| {
            judged(run_server_with(scenario, manner, serve.clone(), ask.clone()), scenario, manner)
        };
        Trial {
            name: name.to_owned(),
            settings: Settings { nemeses: SERVER_NEMESES.to_vec(), ..Settings::usual::<Op>() },
            run: vec![(WorldName::Sim, Box::new(run))],
            search: None,
            seeds: 0..200,
            directory: build_directory().join("shakedown"),
        }
    }

    /// With so many nodes. Otherwise 3 to 5, by the seed.
    ///
    /// # Panics
    /// If there are none.
    pub fn nodes(mut self, nodes: u16) -> Self {
        assert!(nodes > 0, "a cluster has at least one node");
        self.settings.nodes = Some(nodes);
        self
    }

    /// With so many clients. Otherwise 2 to 6, by the seed.
    pub fn clients(mut self, clients: u32) -> Self {
        self.settings.clients = Some(clients);
        self
    }

    /// With this trouble only.
    pub fn nemeses(mut self, nemeses: &[Nemesis]) -> Self {
        self.settings.nemeses = nemeses.to_vec();
        self
    }

    /// With this load.
    pub fn load(mut self, load: Generator<Op::Kind>) -> Self {
        self.settings.load = Some(load);
        self
    }

    /// With these seeds.
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// In these worlds only.
    ///
    /// # Panics
    /// If it does not run in one of them.
    pub fn worlds(mut self, worlds: &[WorldName]) -> Self {
        let has = |world| self.run.iter().any(|(other, _)| *other == world);
        for &world in worlds {
            let is_there = if world == WorldName::Model { self.search.is_some() } else { has(world) };
            assert!(is_there, "{} does not run in the {} world", self.name, world.name());
        }
        self.run.retain(|(world, _)| worlds.contains(world));
        self.search = self.search.filter(|_| worlds.contains(&WorldName::Model));
        self
    }

    /// Runs it.
    ///
    /// If the environment has `SHAKEDOWN_REPLAY`, only what that file holds is run.
    ///
    /// # Panics
    /// If something is wrong with the protocol; the message tells what.
    pub fn check(&self) {
        if let Some(file) = env::var_os(REPLAY_VARIABLE) {
            return self.check_again(Path::new(&file));
        }
        if let Err(failed) = self.run() {
            panic!("{}", self.told(&failed));
        }
    }

    /// Runs it, and returns what came of each world that takes seeds, or the first failure.
    pub fn run(&self) -> Result<Vec<(WorldName, Hunt)>, Failed> {
        if let Some(search) = &self.search {
            let exploration = search(self.settings.nodes.unwrap_or(3));
            if exploration.violation.is_some() {
                return Err(Failed::Exploration(Box::new(exploration)));
            }
        }
        let mut hunts = vec![];
        for (world, run) in &self.run {
            let hunt = self.hunt(*world, &**run)?;
            if hunt.seeds > 0 && hunt.vacuous == hunt.seeds {
                return Err(Failed::Vacuous(*world, hunt.seeds));
            }
            hunts.push((*world, hunt));
        }
        Ok(hunts)
    }

    fn hunt(&self, world: WorldName, run: &Run<'t, Op>) -> Result<Hunt, Failed> {
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        let stop = StopFlag::default();
        let draw = |seed| Scenario::draw(seed, &self.settings);
        let one = |seed| Ok::<_, Infallible>(run(&draw(seed), &Manner::default()));
        let hunt =
            hunt_with(&one, self.seeds.clone(), jobs, &stop, &|_| ()).unwrap_or_else(|never| match never {});
        let Some(seed) = hunt.failing else { return Ok(hunt) };
        let header = Header { pattern: &self.name, workload: None, world, mutant: None };
        // A run in the simulated network takes about a hundred times as long.
        let runs_max = if world == WorldName::Swarm { 20_000 } else { 400 };
        let failure =
            fail_in(&header, &draw(seed), runs_max, &stop, &mut |scenario, manner| run(scenario, manner));
        Err(Failed::Seed(Box::new(failure.expect("a seed that failed fails again"))))
    }

    fn check_again(&self, file: &Path) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let replay = Replay::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let run = self.run.iter().find(|(world, _)| *world == replay.world && replay.pattern == self.name);
        let Some((world, run)) = run else {
            let Replay { pattern, world, .. } = &replay;
            println!(
                "{} is about {pattern} in the {} world: nothing to do here",
                file.display(),
                world.name()
            );
            return;
        };
        println!("{} again, in the {} world", file.display(), world.name());
        let scenario = replay.scenario().unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        let ran = run(&scenario, &Manner::traced());
        if let Some(finding) = &ran.finding {
            let trace = ran.outcome.trace.as_ref().map(ToString::to_string).unwrap_or_default();
            panic!("{finding}\n\n{}\n{trace}", ran.told);
        }
        println!("{} does not fail any more", file.display());
    }

    /// A failure as a message. Writes the replay file.
    fn told(&self, failed: &Failed) -> String {
        let failure = match failed {
            Failed::Exploration(exploration) => {
                let violation = exploration.violation.as_ref().expect("a failed exploration has a violation");
                return format!(
                    "{violation}\n{}, in the model world. Run it again: the same test; a search finds the same.\n",
                    exploration.extent
                );
            }
            Failed::Vacuous(world, seeds) => {
                return format!(
                    "vacuous: in none of {seeds} seeds in the {} world did an answer show what another operation \
                     did; does anybody answer?",
                    world.name()
                );
            }
            Failed::Seed(failure) => failure,
        };
        let Failure { replay, ran, .. } = &**failure;
        let (seed, world) = (replay.found_with_seed, replay.world.name());
        let mut text =
            format!("{}\n\nFound with seed {seed} in the {world} world, then made small:\n", replay.finding);
        let trace = ran.outcome.trace.as_ref().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "{}\nWhat happened:\n{trace}", ran.told);
        let file = self.directory.join(format!("{}-{world}-{seed}.json", short(&self.name)));
        let written = fs::create_dir_all(&self.directory).and_then(|()| fs::write(&file, replay.text()));
        match written {
            Ok(()) => {
                let file = file.canonicalize().unwrap_or(file);
                // A test has a thread of its own, of its name; the main thread is that of a program.
                let command = match thread::current().name() {
                    Some(test) if test != "main" => format!("cargo test {test}"),
                    _ => "and the same command".to_owned(),
                };
                let _ = writeln!(text, "Run it again: {REPLAY_VARIABLE}={} {command}", file.display());
            }
            Err(error) => {
                let _ = writeln!(text, "The replay file {} could not be written: {error}", file.display());
                let _ = writeln!(text, "Run it again: .seeds({seed}..{})", seed + 1);
            }
        }
        text
    }
}

/// A small case: each operation of a client at the next node. What is too large to look at as a whole is
/// looked at in part.
fn search<P: Subject>(nodes: u16, config: P::Config) -> Exploration {
    let mut case = Case::<P>::new(nodes, config);
    for (client, script) in P::Op::small().into_iter().enumerate() {
        let node = |at: usize| NodeId(((client + at) % usize::from(nodes)) as u16);
        case = case.client(script.into_iter().enumerate().map(|(at, op)| (node(at), op)));
    }
    explore(&case, &Limits { states_max: 100_000, ..Limits::default() })
}

/// Where cargo builds: tests run in the package's folder, which may be one of several in a workspace.
fn build_directory() -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    let root = here.ancestors().find(|folder| folder.join("Cargo.lock").exists()).unwrap_or(&here);
    root.join("target")
}

/// A type's name without its path and parameters: what a file can be called.
fn short(name: &str) -> String {
    let end = name.find('<').unwrap_or(name.len());
    name[..end].rsplit("::").next().unwrap_or(name).to_lowercase()
}
