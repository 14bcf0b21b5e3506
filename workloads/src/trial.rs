//! Your own implementation, in every world, from a test of a few lines.
//!
//! Write the protocol ([`Protocol`](shakedown_impls::protocol::Protocol)); let its clients ask what an
//! object's clients ask ([`shakedown_impls::object`], or an [`Operation`] of your own); then:
//!
//! ```
//! use shakedown_impls::replication::leaderless::abd::{Abd, Config};
//! use shakedown_workloads::trial::Trial;
//!
//! # #[allow(clippy::test_attr_in_doctest)]
//! // #[test]
//! fn my_register_is_linearizable() {
//!     Trial::<Abd>::of(Config::new).seeds(0..20).check();
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
use crate::nemesis::Nemesis;
use crate::operation::{Operation, Subject};
use crate::replay::{Header, Replay};
use crate::run::{Failure, fail_in, run_in};
use crate::scenario::{Scenario, Settings};
use crate::world::WorldName;
use crate::world::model::{Case, Exploration, Limits, explore};
use shakedown_impls::protocol::{NodeId, Protocol};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::{env, fs, thread};

/// What a protocol is put through.
pub struct Trial<'t, P: Subject> {
    config: Box<dyn Fn(u16) -> P::Config + Sync + 't>,
    settings: Settings<<P::Op as Operation>::Kind>,
    worlds: Vec<WorldName>,
    seeds: Range<u64>,
    runs_max: u64,
    directory: PathBuf,
}

/// What a trial found wrong.
#[derive(Clone, Debug)]
pub enum Failed {
    /// In the model world.
    Exploration(Box<Exploration>),
    /// With a seed.
    Seed(Box<Failure>),
}

/// Where to find the replay file of a run that is to be repeated.
const REPLAY_VARIABLE: &str = "SHAKEDOWN_REPLAY";

impl<'t, P: Subject> Trial<'t, P> {
    /// Of a protocol that is configured like this for a number of nodes: the usual load, every fault,
    /// 200 seeds, every world.
    pub fn of(config: impl Fn(u16) -> P::Config + Sync + 't) -> Trial<'t, P> {
        Trial {
            config: Box::new(config),
            settings: Settings::usual::<P::Op>(),
            worlds: WorldName::ALL.to_vec(),
            seeds: 0..200,
            runs_max: 20_000,
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
    pub fn load(mut self, load: Generator<<P::Op as Operation>::Kind>) -> Self {
        self.settings.load = load;
        self
    }

    /// With these seeds.
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// In these worlds only.
    pub fn worlds(mut self, worlds: &[WorldName]) -> Self {
        self.worlds = worlds.to_vec();
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
        let mut hunts = vec![];
        for &world in &self.worlds {
            if world == WorldName::Model {
                self.search()?;
            } else {
                hunts.push((world, self.hunt(world)?));
            }
        }
        Ok(hunts)
    }

    /// A small case: each operation of a client at the next node, one crash. What is too large to look
    /// at as a whole is looked at in part.
    fn search(&self) -> Result<(), Failed> {
        let nodes = self.settings.nodes.unwrap_or(3);
        let mut case = Case::<P>::new(nodes, (self.config)(nodes));
        for (client, script) in P::Op::small().into_iter().enumerate() {
            let node = |at: usize| NodeId(((client + at) % usize::from(nodes)) as u16);
            case = case.client(script.into_iter().enumerate().map(|(at, op)| (node(at), op)));
        }
        let exploration = explore(&case, &Limits { states_max: 100_000, ..Limits::default() });
        if exploration.violation.is_some() { Err(Failed::Exploration(Box::new(exploration))) } else { Ok(()) }
    }

    fn hunt(&self, world: WorldName) -> Result<Hunt, Failed> {
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        let stop = AtomicBool::new(false);
        let run = |scenario: &Scenario<P::Op>, is_traced| {
            run_in::<P>(world, &(self.config)(scenario.nodes), scenario, is_traced)
        };
        let one = |seed| Ok::<_, Infallible>(run(&Scenario::draw(seed, &self.settings), false));
        let hunt =
            hunt_with(&one, self.seeds.clone(), jobs, &stop, &|_| ()).unwrap_or_else(|never| match never {});
        let Some(seed) = hunt.failing else { return Ok(hunt) };
        let header = Header { pattern: name::<P>(), world, mutant: None };
        let scenario = Scenario::draw(seed, &self.settings);
        let runs_max = if world == WorldName::Swarm { self.runs_max } else { self.runs_max / 100 };
        let failure =
            fail_in(&header, &scenario, runs_max, &stop, &mut |scenario, traced| run(scenario, traced));
        Err(Failed::Seed(Box::new(failure.expect("a seed that failed fails again"))))
    }

    fn check_again(&self, file: &Path) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let replay = Replay::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        if replay.pattern != name::<P>() {
            println!("{} is about {}, not about {}: skipped", file.display(), replay.pattern, name::<P>());
            return;
        }
        let scenario = replay.scenario().unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        let ran = run_in::<P>(replay.world, &(self.config)(scenario.nodes), &scenario, true);
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
                return format!("{violation}\n{}, in the model world\n", exploration.extent);
            }
            Failed::Seed(failure) => failure,
        };
        let Failure { replay, ran, .. } = &**failure;
        let (seed, world) = (replay.found_with_seed, replay.world.name());
        let mut text =
            format!("{}\n\nFound with seed {seed} in the {world} world, then made small:\n", replay.finding);
        let trace = ran.outcome.trace.as_ref().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "{}\nWhat happened:\n{trace}", ran.told);
        let file = self.directory.join(format!("{}-{world}-{seed}.json", short(name::<P>())));
        let written = fs::create_dir_all(&self.directory).and_then(|()| fs::write(&file, replay.text()));
        match written {
            Ok(()) => {
                let file = file.canonicalize().unwrap_or(file);
                let test = thread::current().name().map(|name| format!(" {name}")).unwrap_or_default();
                let _ = writeln!(text, "Run it again: {REPLAY_VARIABLE}={} cargo test{test}", file.display());
            }
            Err(error) => {
                let _ = writeln!(text, "The replay file {} could not be written: {error}", file.display());
                let _ = writeln!(text, "Run it again: .seeds({seed}..{})", seed + 1);
            }
        }
        text
    }
}

/// Where cargo builds: tests run in the package's folder, which may be one of several in a workspace.
fn build_directory() -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    let root = here.ancestors().find(|folder| folder.join("Cargo.lock").exists()).unwrap_or(&here);
    root.join("target")
}

fn name<P: Protocol>() -> &'static str {
    std::any::type_name::<P>()
}

/// A type's name without its path and parameters: what a file can be called.
fn short(name: &str) -> String {
    let end = name.find('<').unwrap_or(name.len());
    name[..end].rsplit("::").next().unwrap_or(name).to_lowercase()
}
