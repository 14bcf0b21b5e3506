//! Faults that begin and are healed, and what they do to nodes and their disks.

use super::disk::Found;
use super::{Event, MS, US, World};
use crate::nemesis::FaultKind;
use crate::operation::Subject;
use crate::trace::{Kind, Place};
use shakedown_impls::protocol::NodeId;

impl<P: Subject> World<'_, P> {
    pub(super) fn begin(&mut self, fault: usize) {
        self.active.push(fault);
        if let FaultKind::Leader(aim) = self.kinds[fault] {
            self.kinds[fault] = aim.at(self.leader);
        }
        let kind = self.kinds[fault].clone();
        self.trace(Place::World, Kind::Fault, || format!("begins: {kind}"));
        self.recorder.fault_begins(&kind, self.now);
        match kind {
            FaultKind::Crash(node) | FaultKind::BitRot(node) => self.kill(fault, node, false),
            FaultKind::PowerLoss(nodes) => nodes.into_iter().for_each(|node| self.kill(fault, node, true)),
            FaultKind::Pause(node) => self.nodes[usize::from(node.0)].paused += 1,
            FaultKind::ClockJump(node, ms) => {
                let at = &mut self.nodes[usize::from(node.0)];
                at.clock.jump(self.now, ms);
            }
            FaultKind::ClockDrift(node, permille) => {
                let at = &mut self.nodes[usize::from(node.0)];
                at.clock.drift_more(self.now, i64::from(permille));
            }
            _ => {}
        }
    }

    pub(super) fn heal(&mut self, fault: usize) {
        self.active.retain(|&other| other != fault);
        let kind = self.kinds[fault].clone();
        let effects = self.effects[fault];
        self.trace(Place::World, Kind::Fault, || format!("is healed: {kind} ({effects} effects)"));
        self.recorder.fault_ends(&kind, effects, self.now);
        match kind {
            FaultKind::Crash(node) | FaultKind::FailingDisk(node) => self.revive(fault, node),
            FaultKind::BitRot(node) => {
                let at = &mut self.nodes[usize::from(node.0)];
                // Another fault may have started it meanwhile; a disk rots under a node that is down.
                if at.downed_by.contains(&fault) {
                    let found = at.disk.rot(&mut at.random);
                    self.found(node, found);
                }
                self.revive(fault, node);
            }
            FaultKind::PowerLoss(nodes) => nodes.into_iter().for_each(|node| self.revive(fault, node)),
            FaultKind::Pause(node) => {
                self.nodes[usize::from(node.0)].paused -= 1;
                self.go_on(node);
            }
            FaultKind::ClockDrift(node, permille) => {
                let at = &mut self.nodes[usize::from(node.0)];
                at.clock.drift_more(self.now, -i64::from(permille));
            }
            _ => {}
        }
    }

    /// Has the node write what it has to write, which takes time.
    pub(super) fn write(&mut self, id: NodeId) {
        let mut slower = None;
        for i in 0..self.active.len() {
            let fault = self.active[i];
            match self.kinds[fault] {
                FaultKind::FailingDisk(node) if node == id => return self.kill(fault, id, false),
                FaultKind::SlowDisk(node, ms) if node == id => {
                    self.effects[fault] += 1;
                    slower = slower.max(Some(ms));
                }
                _ => {}
            }
        }
        let node = &mut self.nodes[usize::from(id.0)];
        let mut takes = node.random.duration(self.scenario.disk_us * US);
        if let Some(ms) = slower {
            takes += node.random.below(u64::from(ms) * MS + 1);
        }
        let life = node.life;
        self.queue.push(self.now + takes, Event::Written { node: id, life });
    }

    fn kill(&mut self, fault: usize, id: NodeId, is_power: bool) {
        let node = &mut self.nodes[usize::from(id.0)];
        let was_down = node.is_down();
        node.downed_by.push(fault);
        if was_down {
            return;
        }
        self.effects[fault] += 1;
        let written = node.disk.writing.len();
        let (lost, found) = match is_power {
            true => node.disk.lose_power(&mut node.random),
            false => (node.disk.kill(&mut node.random), Found::Log { repaired: 0 }),
        };
        node.forget();
        self.watch.crashed(id);
        self.counts.records_lost += lost;
        self.trace(Place::Node(id), Kind::Down, || match written {
            0 => "nothing was being written".to_owned(),
            _ => format!("{lost} of {written} records that were being written are lost"),
        });
        self.found(id, found);
    }

    fn found(&mut self, id: NodeId, found: Found) {
        match found {
            Found::Log { repaired } => self.counts.records_repaired += repaired,
            Found::Damage => {
                self.counts.disks_refused += 1;
                self.nodes[usize::from(id.0)].is_lost = true;
                let what = "its disk is damaged beyond repair: it will not start again".to_owned();
                self.trace(Place::Node(id), Kind::Down, || what);
            }
        }
    }

    fn revive(&mut self, fault: usize, id: NodeId) {
        let node = &mut self.nodes[usize::from(id.0)];
        let was_down = !node.downed_by.is_empty();
        node.downed_by.retain(|&other| other != fault);
        if was_down && !node.is_down() {
            self.counts.restarts += 1;
            self.boot(id);
        }
    }

    /// Notes that a node goes by its clock while a fault has it wrong.
    pub(super) fn clock_matters(&mut self, id: NodeId) {
        self.took_effect(|kind| match kind {
            FaultKind::ClockJump(node, _) | FaultKind::ClockDrift(node, _) => *node == id,
            _ => false,
        });
    }

    pub(super) fn took_effect(&mut self, is_it: impl Fn(&FaultKind) -> bool) {
        for &fault in &self.active {
            self.effects[fault] += u64::from(is_it(&self.kinds[fault]));
        }
    }
}
