//! The crate `raft` (tikv) with its own storage in memory, driven as lean as it allows: nothing is
//! serialised, a window is proposed in one message, limits are off, followers learn what is committed with
//! the next entries. There are no clients: entries are counted.

use super::{Node, Queues, Sink};
use raft::eraftpb::{Entry, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};

/// A node of the crate's.
pub struct Tikv {
    raw: RawNode<MemStorage>,
    entries: Vec<Entry>,
    sink: Sink,
    answered: usize,
}

/// A cluster with a leader.
pub fn cluster(nodes: u16) -> Queues<Tikv> {
    Queues::new((1..=u64::from(nodes)).map(|id| Tikv::new(id, nodes)).collect())
}

impl Tikv {
    fn new(id: u64, nodes: u16) -> Tikv {
        let config = Config {
            id,
            max_size_per_msg: u64::MAX,
            check_quorum: true,
            pre_vote: true,
            skip_bcast_commit: true,
            batch_append: true,
            ..Config::default()
        };
        let voters: Vec<u64> = (1..=u64::from(nodes)).collect();
        let storage = MemStorage::new_with_conf_state((voters, vec![]));
        let raw = RawNode::new(&config, storage, &slog::Logger::root(slog::Discard, slog::o!()));
        let raw = raw.expect("the configuration is valid");
        Tikv { raw, entries: vec![], sink: Sink::default(), answered: 0 }
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        let leads = self.raw.raft.state == StateRole::Leader;
        for entry in entries.iter().filter(|entry| !entry.data.is_empty()) {
            self.sink.take(&entry.data);
            self.answered += usize::from(leads);
        }
    }
}

fn send(messages: Vec<Message>, out: &mut Vec<(usize, Message)>) {
    out.extend(messages.into_iter().map(|msg| (msg.to as usize - 1, msg)));
}

impl Node for Tikv {
    type Msg = Message;

    fn campaign(&mut self, _: &mut Vec<(usize, Message)>) {
        self.raw.campaign().expect("nobody leads");
    }

    fn hear(&mut self, _: usize, msg: Message, _: &mut Vec<(usize, Message)>) {
        self.raw.step(msg).expect("it is of a member");
    }

    fn stock(&mut self, count: usize, payload: &str) {
        let entry = |_| Entry { data: payload.as_bytes().to_vec().into(), ..Entry::default() };
        self.entries = (0..count).map(entry).collect();
    }

    fn propose(&mut self, count: usize, _: &mut Vec<(usize, Message)>) {
        let mut msg = Message { from: self.raw.raft.id, ..Message::default() };
        msg.set_msg_type(MessageType::MsgPropose);
        msg.set_entries(self.entries.split_off(self.entries.len() - count).into());
        self.raw.step(msg).expect("it leads");
    }

    fn settle(&mut self, out: &mut Vec<(usize, Message)>) {
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            send(ready.take_messages(), out);
            self.apply(ready.take_committed_entries());
            let mut storage = self.raw.mut_store().wl();
            storage.append(&ready.take_entries()).expect("they follow");
            if let Some(hard_state) = ready.hs() {
                storage.set_hardstate(hard_state.clone());
            }
            drop(storage);
            send(ready.take_persisted_messages(), out);
            let mut light = self.raw.advance(ready);
            send(light.take_messages(), out);
            self.apply(light.take_committed_entries());
            self.raw.advance_apply();
        }
    }

    fn answered(&mut self) -> usize {
        std::mem::take(&mut self.answered)
    }

    fn sink(&self) -> Sink {
        self.sink.clone()
    }
}
