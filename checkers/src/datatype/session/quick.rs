//! A quick answer: the order of invocations often explains everything, and then nothing else need be
//! looked for.
//!
//! Put every write at its invocation and every read at its completion. That agrees with sessions and with
//! who read from whom, so each guarantee holds in that order, but for one thing: a read must not have a
//! later write than the one that it saw, of the same key, in its causal past. Only writes between the two
//! can be. There are few, as a rule none, and to find out whether they are in the causal past takes a
//! search backwards that ends at the first of them. So the cost is about linear, however many sessions
//! there are, where the full answer takes O(n s).

use super::constraints::Sessions;
use crate::datatype::register::Registers;
use crate::history::{History, OpId, Outcome};

/// Operations that the searches may visit, for each operation of the history.
const VISITS_MAX: usize = 32;

/// No node.
const NONE: u32 = u32::MAX;

/// True if the order of invocations explains all four guarantees; false says nothing.
pub(super) fn is_explained(history: &History, registers: &Registers, sessions: &Sessions) -> bool {
    if !history.has_real_time() {
        return false;
    }
    let past = Past::new(history, registers, sessions);
    let mut of_key: Vec<Vec<u32>> = vec![Vec::new(); registers.keys.len()];
    for (at, write) in registers.writes.iter().enumerate() {
        of_key[write.key as usize].push(at as u32);
    }
    let mut visits_left = VISITS_MAX * past.position.len() + (1 << 16);
    let mut visited = vec![NONE; past.position.len()];
    let mut stack = Vec::new();
    for (at, read) in registers.reads.iter().enumerate() {
        let node = past.write_count + at as u32;
        let writes = &of_key[read.key as usize];
        // Writes are in the order of their invocations.
        let later = read.saw.map_or(0, |saw| writes.partition_point(|write| *write <= saw));
        let Some(first) = writes.get(later).map(|write| past.position[*write as usize]) else { continue };
        if first > past.position[node as usize] {
            continue;
        }
        stack.push(node);
        while let Some(node) = stack.pop() {
            let is_write_of_key = node < past.write_count && registers.writes[node as usize].key == read.key;
            if is_write_of_key || visits_left == 0 {
                return false;
            }
            visits_left -= 1;
            for before in past.before[node as usize] {
                if before != NONE
                    && past.position[before as usize] >= first
                    && visited[before as usize] != at as u32
                {
                    visited[before as usize] = at as u32;
                    stack.push(before);
                }
            }
        }
    }
    true
}

/// The causal past: for each operation, what comes directly before it. Writes come first, then reads.
struct Past {
    write_count: u32,
    /// The invocation of a write, the completion of a read.
    position: Vec<u32>,
    /// The operation before it in its session that completed ok, and the write that it saw.
    before: Vec<[u32; 2]>,
}

impl Past {
    fn new(history: &History, registers: &Registers, sessions: &Sessions) -> Past {
        let write_count = registers.writes.len() as u32;
        let invoked = |id: OpId| history.operation(id).invoke_position;
        let completed = |id: OpId| history.operation(id).complete_position;
        let position = registers.writes.iter().map(|write| invoked(write.id));
        let position: Vec<u32> =
            position.chain(registers.reads.iter().map(|read| completed(read.id))).collect();
        let mut before = vec![[NONE; 2]; position.len()];
        for (at, read) in registers.reads.iter().enumerate() {
            before[registers.writes.len() + at][1] = read.saw.unwrap_or(NONE);
        }
        for session in sessions.in_order() {
            let mut last = NONE;
            for node in session {
                before[node as usize][0] = last;
                let is_sure = node >= write_count
                    || history.operation(registers.writes[node as usize].id).outcome == Outcome::Ok;
                if is_sure {
                    last = node;
                }
            }
        }
        Past { write_count, position, before }
    }
}
