//! All parts of a history as one object: for sequential consistency, which is not local.
//!
//! Each key of a store may be sequentially consistent although the store is not: the orders that
//! explain the keys need not fit together (Herlihy & Wing 1990, §3.3). So the parts' states become one
//! state, and the parts go.

use super::persistent::Map;
use super::{Flow, Model, ModelError, Token};
use crate::history::Operation;
use crate::value::{Value, Values};

/// A model without its parts.
#[derive(Clone, Copy, Debug)]
pub struct Joined<'m, M>(
    /// The model of each part.
    pub &'m M,
);

impl<M: Model> Model for Joined<'_, M> {
    /// Parts that are as they began are not in the map.
    type State = Map<Option<Value>, M::State>;
    type Action = (Option<Value>, M::Action);

    fn initial(&self) -> Self::State {
        Map::empty()
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<Self::Action>, ModelError> {
        let action = self.0.action(op, values)?;
        Ok(action.map(|action| (self.0.part(op, values), action)))
    }

    fn step(&self, state: &Self::State, (part, action): &Self::Action) -> Option<Self::State> {
        let initial = self.0.initial();
        let before = state.get(part).unwrap_or(&initial);
        let after = self.0.step(before, action)?;
        if after == *before {
            return Some(state.clone());
        }
        Some(state.with(*part, (after != initial).then_some(after)))
    }

    fn is_pure(&self, (_, action): &Self::Action) -> bool {
        self.0.is_pure(action)
    }

    /// A token's own place, if the parts have several, gives way to the part.
    fn flows(&self, (part, action): &Self::Action, each: &mut dyn FnMut(Flow)) {
        let within = |token: Token| Token { place: part.or(token.place), ..token };
        self.0.flows(action, &mut |flow| {
            each(match flow {
                Flow::Brings(token) => Flow::Brings(within(token)),
                Flow::Sees(token) => Flow::Sees(within(token)),
                Flow::Takes(token) => Flow::Takes(within(token)),
                Flow::Anything => Flow::Anything,
            });
        });
    }

    fn is_promising(&self, state: &Self::State) -> bool {
        state.iter().all(|(_, part)| self.0.is_promising(part))
    }

    fn state_bytes(&self, state: &Self::State) -> usize {
        // Which part the last step changed is not known; the largest bounds it.
        let largest = state.iter().map(|(_, part)| self.0.state_bytes(part)).max();
        state.own_bytes() + largest.unwrap_or(0)
    }

    fn show_state(&self, state: &Self::State, values: &Values) -> String {
        let shown: Vec<String> = state
            .iter()
            .map(|(part, state)| {
                let key = part.map_or("no key".to_owned(), |key| values.show(key));
                format!("{key}: {}", self.0.show_state(state, values))
            })
            .collect();
        if shown.is_empty() { "as it began".to_owned() } else { shown.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kv::Kv;
    use super::super::transcript::{actions, history};
    use super::*;
    use crate::linearizability;
    use crate::options::Options;

    #[test]
    fn parts_share_one_order_and_one_state() {
        let h = history(&["put [1 5]", "put [2 6]", "delete 1", "get 2 | ok 6", "get 1 | ok 5"]);
        let kv = Kv::for_history(Value::NIL, &h);
        let joined = Joined(&kv);
        assert!(h.operations().all(|op| joined.part(&op, h.values()).is_none()));
        let a = actions(&joined, &h);
        let mut state = joined.initial();
        let mut shown = Vec::new();
        for action in &a[..4] {
            state = joined.step(&state, action).unwrap();
            shown.push(joined.show_state(&state, h.values()));
        }
        assert_eq!(shown, ["1: 5", "1: 5, 2: 6", "2: 6", "2: 6"]);
        assert!(joined.step(&state, &a[4]).is_none());
        assert!(joined.is_pure(&a[3]) && !joined.is_pure(&a[2]));
    }

    #[test]
    fn tiny_histories_are_judged() {
        let word = |lines: &[&str]| {
            let h = history(lines);
            let kv = Kv::for_history(Value::NIL, &h);
            linearizability::check(&h, &Joined(&kv), &Options::default()).unwrap().word()
        };
        assert_eq!(word(&["put [1 5] | ok", "put [2 6] | ok", "get 1 | ok 5"]), "true");
        assert_eq!(word(&["put [1 5] | ok", "put [2 6] | ok", "get 1 | ok nil"]), "false");
    }
}
