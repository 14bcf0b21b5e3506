//! Replays a schedule: what each transaction read must be what it would have read.

use super::Facts;
use crate::transaction::complete::{Model, Order};
use crate::transaction::proof::{Certificate, Moment};
use crate::transaction::{Action, INITIAL, Kind, NOBODY, Status, TxnId, VersionId};

pub(super) fn replay(facts: &Facts<'_>, certificate: &Certificate) -> Result<(), String> {
    let mut replay = Replay::new(facts);
    match (certificate, facts.model) {
        (Certificate::Serial(order), Model::Serializable) => {
            for &txn in order {
                replay.start(txn)?;
                replay.commit(txn)?;
            }
        }
        (Certificate::Snapshots(moments), Model::SnapshotIsolation | Model::Prefix) => {
            for moment in moments {
                match *moment {
                    Moment::Start(txn) => replay.start(txn)?,
                    Moment::Commit(txn) => replay.commit(txn)?,
                }
            }
        }
        _ => return Err("the certificate is not of the kind that the model has".to_owned()),
    }
    replay.end()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Before,
    Open,
    After,
}

struct Replay<'a> {
    facts: &'a Facts<'a>,
    phase: Vec<Phase>,
    /// By key: the version that a snapshot would show now.
    latest: Vec<u32>,
    /// By key: the transaction that will write it and has started.
    writer: Vec<TxnId>,
    /// By session: the last transaction of it that has started.
    last_started: Vec<Option<TxnId>>,
    /// Who has started and was invoked last.
    last_invoked: Option<(u32, TxnId)>,
    /// By key, of lists: how much of the longest one is there.
    shown: Vec<usize>,
}

impl<'a> Replay<'a> {
    fn new(facts: &'a Facts<'a>) -> Replay<'a> {
        let keys = facts.txns.keys().len();
        Replay {
            facts,
            phase: vec![Phase::Before; facts.txns.len()],
            latest: vec![INITIAL; keys],
            writer: vec![NOBODY; keys],
            last_started: vec![None; facts.txns.session_count() as usize],
            last_invoked: None,
            shown: vec![0; keys],
        }
    }

    fn start(&mut self, txn: TxnId) -> Result<(), String> {
        if !self.facts.is_counted(txn) {
            return Err(format!("transaction {txn} does not count, but has a place"));
        }
        if self.phase[txn as usize] != Phase::Before {
            return Err(format!("transaction {txn} starts twice"));
        }
        self.phase[txn as usize] = Phase::Open;
        for (&key, &version) in &self.facts.reads[txn as usize] {
            if self.latest[key as usize] != version {
                return Err(format!(
                    "transaction {txn} starts where it would not read version {version} of key {key}"
                ));
            }
        }
        if self.facts.model == Model::SnapshotIsolation {
            for &key in self.facts.writes[txn as usize].keys() {
                let other = std::mem::replace(&mut self.writer[key as usize], txn);
                if other != NOBODY {
                    return Err(format!("transactions {other} and {txn} overlap, and both write key {key}"));
                }
            }
        }
        let row = self.facts.txns.txn(txn);
        let last = &mut self.last_started[row.session as usize];
        *last = (*last).max(Some(txn));
        self.last_invoked = self.last_invoked.max(Some((row.invoked, txn)));
        Ok(())
    }

    fn commit(&mut self, txn: TxnId) -> Result<(), String> {
        if self.phase.get(txn as usize) != Some(&Phase::Open) {
            return Err(format!("transaction {txn} commits without having started, or twice"));
        }
        self.phase[txn as usize] = Phase::After;
        let row = self.facts.txns.txn(txn);
        if self.facts.txns.kind() == Kind::ListAppend {
            self.append(txn)?;
        }
        for (&key, &version) in &self.facts.writes[txn as usize] {
            self.latest[key as usize] = version;
            self.writer[key as usize] = NOBODY;
        }
        // Whoever must come after this one must not have started.
        if self.facts.order != Order::Free
            && row.status == Status::Committed
            && let Some(later) = self.last_started[row.session as usize]
            && later > txn
        {
            return Err(format!(
                "transaction {later} starts before {txn}, which its session ran first, has committed"
            ));
        }
        if self.facts.order == Order::RealTime
            && row.status == Status::Committed
            && let Some((invoked, later)) = self.last_invoked
            && row.returned < invoked
        {
            return Err(format!(
                "transaction {later} starts before {txn} has committed, which had completed"
            ));
        }
        Ok(())
    }

    /// What is appended must be what the longest list shows next; what it does not show comes after all of it.
    fn append(&mut self, txn: TxnId) -> Result<(), String> {
        let txns = self.facts.txns;
        for op in txns.micro_ops(txn).iter().filter(|op| op.action == Action::Write) {
            let shown = &mut self.shown[op.key as usize];
            let rest = &txns.listed(op.key)[*shown..];
            let is_foreign = |version: &&VersionId| {
                let writer = txns.writer(**version);
                writer == NOBODY || !self.facts.is_counted(writer)
            };
            let foreign = rest.iter().take_while(is_foreign).count();
            *shown += foreign;
            match rest.get(foreign) {
                Some(next) if *next == op.version => *shown += 1,
                None if !txns.listed(op.key).contains(&op.version) => {}
                _ => {
                    return Err(format!(
                        "transaction {txn} appends version {} to key {} where the list does not show it",
                        op.version, op.key
                    ));
                }
            }
        }
        Ok(())
    }

    fn end(self) -> Result<(), String> {
        let missing = (0..)
            .zip(&self.phase)
            .find(|&(txn, phase): &(TxnId, _)| self.facts.is_counted(txn) && *phase != Phase::After);
        missing.map_or(Ok(()), |(txn, _)| {
            Err(format!("transaction {txn} counts, but the schedule leaves it out"))
        })
    }
}
