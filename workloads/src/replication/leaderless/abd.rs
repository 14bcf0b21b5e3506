//! The ABD register, as the catalogue knows it.

use crate::catalogue::{Definition, Entry, Search, Small};
use crate::nemesis::Nemesis;
use crate::world::WorldName;
use crate::world::model::{Budget, Case, Walks};
use shakedown_impls::mutants::Mutants;
use shakedown_impls::object::register::Op;
use shakedown_impls::protocol::NodeId;
use shakedown_impls::replication::leaderless::abd::{Abd, Config, Mutant};

/// The entry.
#[derive(Debug)]
pub struct Register;

impl Definition for Register {
    type Protocol = Abd;
    type Mutant = Mutant;
    type Watch = ();

    const ENTRY: Entry = Entry {
        name: "replication/leaderless/abd",
        title: "a register by majorities",
        guarantee: "every read and write of a key is linearizable, while a majority of the nodes answers in time; \
                    what was answered survives crashes and power loss",
        price: "two round trips for a write, one or two for a read, a disk write at a majority before each answer",
        not_covered: "requests that arrive twice; compare-and-set, which needs consensus",
        source: "Attiya, Bar-Noy & Dolev, J. ACM 1995; Lynch & Shvartsman, FTCS 1997",
        worlds: &WorldName::ALL,
        nemeses: &Nemesis::ANY,
    };

    const WORKLOAD: &str = "register";

    fn config(nodes: u16, _variety: u64, mutants: Mutants<Mutant>) -> Config {
        Config { mutants, ..Config::new(nodes) }
    }

    fn cases(mutants: Mutants<Mutant>) -> Vec<Small<Abd>> {
        // Without timers: a message that is not lost need not be sent again.
        let cluster = |nodes| Case::new(nodes, Config { mutants, resend_after: None, ..Config::new(nodes) });
        let one_crash = Budget { crashes: 1, ..Budget::default() };
        let at = |node, op| (NodeId(node), op);
        let (read, write) = (Op::Read { key: 1 }, |value| Op::Write { key: 1, value });
        let walks = Walks { walks: 2_000, steps_max: 60, seed: 1 };
        vec![
            Small {
                about: "2 nodes: a write at one, then a read at the other",
                case: cluster(2).client([at(0, write(5)), at(1, read)]),
                search: Search::Everything,
            },
            Small {
                about: "3 nodes: a write while another client reads",
                case: cluster(3).client([at(0, write(5))]).client([at(1, read)]),
                search: Search::Everything,
            },
            Small {
                about: "3 nodes, one of which may crash at any point: a write, then a read elsewhere",
                case: cluster(3).client([at(0, write(5)), at(2, read)]).budget(one_crash),
                search: Search::Everything,
            },
            Small {
                about: "3 nodes: a write while another client reads at one node, then at another",
                case: cluster(3).client([at(0, write(5))]).client([at(1, read), at(2, read)]),
                search: Search::Everything,
            },
            Small {
                about: "3 nodes: two writes at one node, then reads at the others",
                case: cluster(3).client([at(0, write(5))]).client([
                    at(0, write(6)),
                    at(1, read),
                    at(2, read),
                ]),
                search: Search::Walks(walks),
            },
        ]
    }
}
