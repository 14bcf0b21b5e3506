//! The steps of a decision, cheapest first.

use super::arrange::{Arranger, Inspector, arrange, positions};
use super::explain::Explainer;
use super::graph::{Arc, Graph};
use super::instance::{Instance, Leeway, Maker};
use super::meter::Meter;
use super::paths::cycle;
use super::refutation::{Argument, Refutation};
use super::saturate::{Fact, saturate};
use super::search::{Outcome, Search};
use super::{Answer, Effort, Model, Order, Tactics, certificate, guess, minimize, nested};
use crate::transaction::proof::Certificate;
use crate::transaction::{Transactions, TxnId};
use crate::verdict::Reason;

/// What is asked of a history, or of a part of it.
#[derive(Clone, Copy)]
pub(super) struct Question<'t> {
    pub(super) txns: &'t Transactions,
    pub(super) model: Model,
    pub(super) order: Order,
}

/// Steps, for each transaction and version, that an order stronger than demanded is tried for.
const STRONGER_STEPS: u64 = 2000;

/// So often that order is tried, each time without binding those whose order was wrong before.
const STRONGER_TRIES: usize = 8;

/// How many transactions a refutation of it may be about to be asked about by themselves, without it.
const STRONGER_CORE_MAX: usize = 64;

/// What is found.
pub(super) enum Solved {
    /// Nodes in an order that explains every read.
    Explained(Vec<u32>),
    /// Why there is no such order.
    Refuted(Argument),
}

/// What a stronger order says of the one that is asked for.
enum Stronger {
    /// A schedule that respects both.
    Explained(Certificate),
    /// Why no schedule respects even the weaker one.
    Refuted(Argument),
}

impl Question<'_> {
    /// The answer about these transactions, whose rows ascend, with its proof.
    pub(super) fn answer(
        &self,
        included: Vec<TxnId>,
        tactics: Tactics,
        effort: &mut Effort,
        meter: &mut Meter,
    ) -> Result<Answer, Reason> {
        meter.report(0, included.len(), 0);
        meter.look()?;
        let micro_ops: usize = included.iter().map(|&id| self.txns.micro_ops(id).len()).sum();
        meter.hold(Instance::bytes(included.len(), micro_ops))?;
        let mut maker = Maker::new(self.txns);
        if tactics.stronger
            && let Some(answer) = self.ask_stronger(&mut maker, &included, tactics, effort, meter)?
        {
            return Ok(match answer {
                Stronger::Explained(certificate) => Answer::Holds(certificate),
                Stronger::Refuted(argument) => self.violated(&mut maker, argument, meter),
            });
        }
        let instance = maker.make(included, self.model, self.order);
        meter.look()?;
        let mut graph = Graph::new(self.txns, &instance);
        let shape = graph.shape;
        Ok(match self.solve(&instance, &mut graph, tactics, effort, meter)? {
            Solved::Explained(order) => Answer::Holds(certificate(&instance, shape, &order)),
            Solved::Refuted(argument) => self.violated(&mut maker, argument, meter),
        })
    }

    /// The answer that an argument is, about as few transactions as possible.
    fn violated(&self, maker: &mut Maker<'_>, argument: Argument, meter: &Meter) -> Answer {
        let refutation = minimize::minimize(self, maker, argument, meter);
        let argument = match nested::nested(self.txns, refutation.argument) {
            Argument::Cycle(cycle) => Argument::Cycle(nested::turned(self.txns, cycle)),
            cases => cases,
        };
        Answer::Violated(Box::new(Refutation { argument, ..refutation }))
    }

    /// A system mostly keeps to an order that nobody asked about; to ask for it makes a correct history
    /// easier, since less is left open, and a schedule that respects it will do. If there is none, those who show it
    /// may be in trouble without it, too; else there may be a schedule that keeps to it but for those few. Nothing is
    /// known if none is found soon.
    fn ask_stronger(
        &self,
        maker: &mut Maker<'_>,
        included: &[TxnId],
        tactics: Tactics,
        effort: &mut Effort,
        meter: &mut Meter,
    ) -> Result<Option<Stronger>, Reason> {
        let order = if self.txns.has_real_time() { Order::RealTime } else { Order::Session };
        if self.order == order || !self.txns.has_real_time() && self.order == Order::RealTime {
            return Ok(None);
        }
        let question = Question { order, ..*self };
        let mut leeway = Leeway { loose: Vec::new(), order: self.order };
        let mut share = None;
        for _ in 0..STRONGER_TRIES {
            let instance = maker.make_with(included.to_vec(), self.model, order, &leeway);
            let size = instance.len() + instance.reads.len() + instance.versions.len();
            let share = share.get_or_insert_with(|| meter.share(STRONGER_STEPS * size as u64));
            let mut graph = Graph::new(self.txns, &instance);
            let shape = graph.shape;
            let found = match question.solve(&instance, &mut graph, tactics, effort, share) {
                Ok(Solved::Explained(order)) => {
                    Some(Stronger::Explained(certificate(&instance, shape, &order)))
                }
                Ok(Solved::Refuted(argument)) => {
                    let bound = argument.bound_beyond(self.order);
                    if bound.is_empty() {
                        Some(Stronger::Refuted(argument))
                    } else {
                        leeway.loose.extend(bound);
                        self.refute_alone(maker, &argument, share).map(Stronger::Refuted)
                    }
                }
                Err(_) => break,
            };
            if found.is_some() {
                meter.absorb(share);
                return Ok(found);
            }
            leeway.loose.sort_unstable();
            leeway.loose.dedup();
        }
        if let Some(share) = &share {
            meter.absorb(share);
        }
        meter.look()?;
        Ok(None)
    }

    /// Why those whom an argument about a stronger order names are wrong by themselves, if they are.
    fn refute_alone(
        &self,
        maker: &mut Maker<'_>,
        argument: &Argument,
        meter: &mut Meter,
    ) -> Option<Argument> {
        let core = argument.transactions(self.txns);
        if core.len() > STRONGER_CORE_MAX {
            return None;
        }
        match self.solve_part(&maker.make(core, self.model, self.order), meter) {
            Ok(Solved::Refuted(argument)) => Some(argument),
            _ => None,
        }
    }

    /// The same about a part of the history, without minimizing.
    pub(super) fn solve_part(&self, instance: &Instance, meter: &mut Meter) -> Result<Solved, Reason> {
        let mut graph = Graph::new(self.txns, instance);
        let tactics = Tactics { guesses: false, stronger: false, saturation: true };
        self.solve(instance, &mut graph, tactics, &mut Effort::default(), meter)
    }

    fn solve(
        &self,
        instance: &Instance,
        graph: &mut Graph,
        tactics: Tactics,
        effort: &mut Effort,
        meter: &mut Meter,
    ) -> Result<Solved, Reason> {
        let bytes = graph.bytes() + Arranger::bytes(instance, graph);
        meter.hold(bytes)?;
        let solved = self.solve_steps(instance, graph, tactics, effort, meter);
        meter.release(bytes);
        solved
    }

    fn solve_steps(
        &self,
        instance: &Instance,
        graph: &mut Graph,
        tactics: Tactics,
        effort: &mut Effort,
        meter: &mut Meter,
    ) -> Result<Solved, Reason> {
        let guesses = if tactics.guesses { guess::guesses(self.txns, instance) } else { Vec::new() };
        for guess in &guesses {
            let order = arrange(instance, graph, guess, false, meter)?;
            if let Some(solved) = self.judge(instance, graph, &order, meter)? {
                return Ok(solved);
            }
        }
        let guess = guesses.into_iter().next_back().unwrap_or_else(|| guess::blind(instance));
        let mut order = arrange(instance, graph, &guess, true, meter)?;
        if let Some(solved) = self.judge(instance, graph, &order, meter)? {
            return Ok(solved);
        }
        let mut facts = Vec::new();
        let mut position = Vec::new();
        if tactics.saturation {
            let saturated = saturate(self.txns, instance, graph, order, meter)?;
            effort.facts = saturated.facts.len();
            (facts, position) = (saturated.facts, saturated.position);
            if let Some(cycle) = saturated.cycle {
                return Ok(Solved::Refuted(
                    self.explainer(instance, graph, &facts, &position, None).cycle(cycle, meter)?,
                ));
            }
            order = arrange(instance, graph, &guess, true, meter)?;
            if let Some(solved) = self.judge(instance, graph, &order, meter)? {
                return Ok(solved);
            }
        }
        let mut search = Search::new(instance, graph, positions(&order, graph.nodes));
        let outcome = search.run(meter);
        (effort.choices, effort.conflicts) = (search.choices(), search.solver.conflicts);
        Ok(match outcome? {
            Outcome::Explained(position) => {
                order.sort_unstable_by_key(|node| position[*node as usize]);
                Solved::Explained(order)
            }
            Outcome::Refuted(conflict) => {
                let explainer = self.explainer(instance, graph, &facts, &position, Some(&search));
                Solved::Refuted(explainer.search(conflict, meter)?)
            }
        })
    }

    /// Whether an order of the known arcs decides the question: it explains everything, or is cut short by a
    /// cycle.
    fn judge(
        &self,
        instance: &Instance,
        graph: &Graph,
        order: &[u32],
        meter: &mut Meter,
    ) -> Result<Option<Solved>, Reason> {
        if order.len() < graph.nodes as usize {
            let cycle: Vec<Arc> = cycle(graph, order, meter)?;
            let argument = self.explainer(instance, graph, &[], &[], None).cycle(cycle, meter)?;
            return Ok(Some(Solved::Refuted(argument)));
        }
        let accepts = Inspector::new(instance, graph).accepts(&positions(order, graph.nodes), meter)?;
        Ok(accepts.then(|| Solved::Explained(order.to_vec())))
    }

    fn explainer<'a>(
        &'a self,
        instance: &'a Instance,
        graph: &'a Graph,
        facts: &'a [Fact],
        position: &'a [u32],
        search: Option<&'a Search<'a>>,
    ) -> Explainer<'a> {
        Explainer { txns: self.txns, instance, graph, facts, position, search }
    }
}
