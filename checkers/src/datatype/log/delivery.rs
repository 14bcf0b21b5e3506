//! Whether messages arrive: lost, unseen, duplicate, misplaced, or polled before or without being sent.

use super::order::{NOWHERE, Order};
use super::traffic::{Entry, Traffic, UNKNOWN, What};
use super::{Anomaly, Case};
use crate::history::{OpId, Outcome};

pub(super) fn find(traffic: &Traffic<'_>, order: &Order, cases: &mut Vec<Case>) {
    places(traffic, order, cases);
    messages(traffic, order, cases);
    lost(traffic, order, cases);
    precommitted(traffic, cases);
}

/// Offsets with several messages, and messages with too many offsets.
fn places(traffic: &Traffic<'_>, order: &Order, cases: &mut Vec<Case>) {
    for key in 0..traffic.keys.len() as u32 {
        for place in 0..order.len(key) {
            let rows = order.at(key, place);
            if let [first, second, ..] = rows {
                cases.push(Case {
                    anomaly: Anomaly::InconsistentOffsets,
                    excused: false,
                    operations: [first.op, second.op],
                    messages: [first.message, second.message],
                    offsets: [first.offset, second.offset],
                    skipped: None,
                });
            }
            for row in rows {
                let places = order.places[row.message as usize];
                if places.last == place && places.count > traffic.messages[row.message as usize].sends.max(1)
                {
                    let first = order.at(key, places.first).iter().find(|other| other.message == row.message);
                    let first = first.expect("its first place");
                    cases.push(Case {
                        anomaly: Anomaly::Duplicate,
                        excused: false,
                        operations: [first.op, row.op],
                        messages: [row.message; 2],
                        offsets: [first.offset, row.offset],
                        skipped: None,
                    });
                }
            }
        }
    }
}

/// Messages that were acknowledged and never polled, and messages that were polled and not sent.
fn messages(traffic: &Traffic<'_>, order: &Order, cases: &mut Vec<Case>) {
    for (id, message) in traffic.messages.iter().enumerate() {
        let case = |anomaly, excused, operations| {
            let first = order.places[id].first;
            let offset = match first {
                NOWHERE => UNKNOWN,
                first => order.at(message.key, first)[0].offset,
            };
            Case {
                anomaly,
                excused,
                operations,
                messages: [id as u32; 2],
                offsets: [offset; 2],
                skipped: None,
            }
        };
        match (message.writer, message.reader) {
            (Some(writer), None) if message.is_acknowledged => {
                cases.push(case(Anomaly::Unseen, traffic.poll_count == 0, [writer; 2]));
            }
            (Some(writer), Some(reader)) if message.sends == 0 => {
                cases.push(case(Anomaly::G1a, false, [writer, reader]));
            }
            _ => {}
        }
    }
}

/// Messages that took effect and were never polled, before one that was polled.
fn lost(traffic: &Traffic<'_>, order: &Order, cases: &mut Vec<Case>) {
    // Of each log the last place that was polled, and by which entry.
    let mut last: Vec<Option<(u32, Entry)>> = vec![None; traffic.keys.len()];
    for step in traffic.steps.iter().filter(|step| step.op.outcome == Outcome::Ok) {
        let What::Transfer { entries, .. } = &step.what else { continue };
        for at in entries.clone() {
            let (entry, place) = (traffic.entries[at], order.of_entry[at]);
            let last = &mut last[entry.key as usize];
            if !entry.is_send && place != NOWHERE && last.is_none_or(|(former, _)| former < place) {
                *last = Some((place, entry));
            }
        }
    }
    for (key, last) in last.iter().enumerate() {
        let Some((bound, polled)) = last else { continue };
        for place in 0..=*bound {
            for row in order.at(key as u32, place) {
                let message = row.message as usize;
                let is_last = order.places[message].last == place;
                let Some(writer) = order.committed[message].filter(|_| is_last) else { continue };
                if traffic.messages[message].reader.is_none() {
                    cases.push(Case {
                        anomaly: Anomaly::LostWrite,
                        excused: false,
                        operations: [writer, polled.op],
                        messages: [row.message, polled.message],
                        offsets: [row.offset, order.at(key as u32, *bound)[0].offset],
                        skipped: None,
                    });
                }
            }
        }
    }
}

/// Operations that polled what they alone sent.
fn precommitted(traffic: &Traffic<'_>, cases: &mut Vec<Case>) {
    // The last operation that sent it, and how often, for each message.
    let mut sent: Vec<(OpId, u32)> = vec![(OpId::MAX, 0); traffic.messages.len()];
    for step in &traffic.steps {
        let What::Transfer { entries, .. } = &step.what else { continue };
        let entries = &traffic.entries[entries.clone()];
        for entry in entries.iter().filter(|entry| entry.is_send) {
            let sent = &mut sent[entry.message as usize];
            *sent = (entry.op, if sent.0 == entry.op { sent.1 + 1 } else { 1 });
        }
        for entry in entries.iter().filter(|entry| !entry.is_send) {
            let message = &traffic.messages[entry.message as usize];
            let sent = &mut sent[entry.message as usize];
            if *sent == (entry.op, message.sends + message.failed_sends) {
                // Once is enough.
                *sent = (OpId::MAX, 0);
                cases.push(Case {
                    anomaly: Anomaly::PrecommittedRead,
                    excused: false,
                    operations: [entry.op; 2],
                    messages: [entry.message; 2],
                    offsets: [entry.offset; 2],
                    skipped: None,
                });
            }
        }
    }
}
