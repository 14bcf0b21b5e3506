//! Backpressure, as the catalogue knows it.

pub mod callers;
mod client;
pub mod credits;
pub mod ledger;
pub mod link;

use super::component::{Ask, Case, Component, Guard, Witness};
use crate::catalogue::Entry;
use crate::world::WorldName;
use crate::world::callers::ticks;
use crate::world::sim::SERVER_NEMESES;
use callers::Callers;
use credits::Credits;
use shakedown_impls::mutants::Mutants;
use shakedown_impls::resilience::backpressure::{Config, Mutant, Shed, Strategy, ThrottleBy, credit};
use shakedown_impls::resilience::token_bucket::Rate;

/// It.
pub static BACKPRESSURE: Guard<Buffer> = Guard(Buffer);

/// What defines it.
pub struct Buffer;

impl Component for Buffer {
    type Mutant = Mutant;

    const ENTRY: Entry = Entry {
        name: "resilience/backpressure",
        title: "a bounded buffer, and a rule for when it is full",
        guarantee: "what was accepted is what was processed, dropped and is queued, at every instant; never more is queued \
                    than there is room for, nor accepted faster than the rate; a blocked producer is woken, first come \
                    first served; what goes by credit over a lossy link arrives once and in order",
        price: "producers wait, or something is lost",
        not_covered: "how many calls are under way at a time without a queue (a bulkhead's job); which of them matter \
                      more than others",
        source: "Nichols & Jacobson, Controlling Queue Delay, 2012, and RFC 8289; ITU-T I.371; RFC 9000, §4.1",
        worlds: &[WorldName::Model, WorldName::Sim],
        nemeses: &SERVER_NEMESES,
    };

    fn cases(mutants: Mutants<Mutant>) -> Vec<(&'static str, Case)> {
        let config = |buffer_size, strategy| Config { buffer_size, strategy, mutants, ..Config::default() };
        let callers =
            |config, callers, calls, ticks, back| Box::new(Callers { config, callers, calls, ticks, back });
        let throttled = |throttle_by, config| Config {
            throttle_rate: Some(Rate::new(1, ticks(2))),
            throttle_burst: 2,
            throttle_by,
            ..config
        };
        let shed = Some(Shed { target: ticks(1), interval: ticks(2) });
        let shedding = Config { shed, ..config(4, Strategy::DropNewest) };
        let credit = |window| credit::Config { window, resend_after: ticks(1), mutants };
        let gcra = throttled(ThrottleBy::Gcra, config(3, Strategy::DropNewest));
        let bucket = throttled(ThrottleBy::TokenBucket, config(2, Strategy::Block));
        vec![
            (
                "three producers of two items each are blocked by a buffer of one",
                callers(config(1, Strategy::Block), 3, 2, 0, 0),
            ),
            (
                "two producers of three items each; of a buffer of two, the oldest is dropped",
                callers(config(2, Strategy::DropOldest), 2, 3, 0, 0),
            ),
            (
                "two producers of three items each; one passes in two milliseconds, and the clock is set back",
                callers(gcra, 2, 3, 6, 2),
            ),
            (
                "two producers of two items each wait until they do not come too fast, and the clock is set back",
                callers(bucket, 2, 2, 5, 2),
            ),
            ("of a queue that does not get shorter, items are shed", callers(shedding, 1, 5, 6, 0)),
            (
                "three items by a credit of two, over a link that loses, doubles and reorders",
                Box::new(Credits { config: credit(2), items: 3, patience: 1 }),
            ),
        ]
    }

    fn client(mutants: Mutants<Mutant>, seed: u64, witness: Witness) -> Ask {
        client::through_buffers(mutants, seed, witness)
    }
}
