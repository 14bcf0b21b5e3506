//! Independent keys, as Jepsen's `independent` writes them: many small objects in one history, and each
//! operation's value `[key value]`. A history whose format has a field for keys needs no pairs.

use crate::history::{History, Operation};
use crate::model::{ModelError, has_independent_keys};
use crate::value::{Value, Values};

/// Where the operations of a history say which object they are about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Independent {
    in_values: bool,
}

impl Independent {
    /// In their values, if every operation was invoked with a pair; else in their key field, if any.
    pub(crate) fn of(history: &History) -> Independent {
        Independent { in_values: has_independent_keys(history) }
    }

    /// The key, nil if there is but one object, and the rest of what the operation was invoked with.
    pub(crate) fn input(self, op: &Operation<'_>, values: &Values) -> (Value, Value) {
        match values.pair(op.input) {
            Some(pair) if self.in_values => pair,
            _ => (op.key.unwrap_or(Value::NIL), op.input),
        }
    }

    /// What the operation returned, without its key; nil may come bare.
    pub(crate) fn output(
        self,
        op: &Operation<'_>,
        values: &Values,
        expected: &str,
    ) -> Result<Value, ModelError> {
        if !self.in_values || op.output.is_nil() {
            return Ok(op.output);
        }
        match values.pair(op.output) {
            Some((key, value)) if key == self.input(op, values).0 => Ok(value),
            _ => Err(ModelError::output(
                op,
                values,
                &format!("[key value] with its own key and, in it, {expected}"),
            )),
        }
    }
}

/// ` of key k`, or nothing if there is but one object.
pub(crate) fn of_key(key: Value, values: &Values) -> String {
    if key.is_nil() { String::new() } else { format!(" of key {}", values.show(key)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::transcript::{history, keyed_history};

    /// Key and value of each operation's input, then its output, in words.
    fn parts(history: &History) -> Vec<String> {
        let values = history.values();
        let keys = Independent::of(history);
        let show = |op: Operation<'_>| {
            let (key, input) = keys.input(&op, values);
            let output = keys.output(&op, values, "a number");
            let output = output.map_or_else(|error| error.message, |output| values.show(output));
            format!("{} {} {output}", values.show(key), values.show(input))
        };
        history.operations().map(show).collect()
    }

    #[test]
    fn keys_are_in_pairs_or_in_a_field_or_nowhere() {
        assert_eq!(parts(&history(&["write [1 2] | ok", "read [1 nil] | ok [1 2]"])), ["1 2 nil", "1 nil 2"]);
        assert_eq!(
            parts(&history(&["write [1 2] | ok", "read nil | ok [1 2]"])),
            ["nil [1 2] nil", "nil nil [1 2]"]
        );
        assert_eq!(parts(&keyed_history(&[(":a", "write [1 2] | ok 7")])), [":a [1 2] 7"]);
        let error =
            "read returned the value [2 2]; expected [key value] with its own key and, in it, a number";
        assert_eq!(parts(&history(&["read [1 nil] | ok [2 2]"])), [format!("1 nil {error}")]);
    }
}
