//! The calls of tools that an answer asks for. In a stream their arguments arrive in parts.

use std::collections::BTreeMap;

use serde_json::Value;

/// The calls of tools in an answer, in their order. The key is the choice and the position in it.
#[derive(Debug, Default)]
pub(super) struct ToolCalls(BTreeMap<(u64, u64), ToolCall>);

#[derive(Debug, Default)]
struct ToolCall {
    name: String,
    arguments: String,
}

impl ToolCalls {
    /// Adds a part of the call at this position. The parts of a name and of the arguments are joined.
    pub(super) fn add(&mut self, choice: u64, position: u64, name: Option<&str>, arguments: &Value) {
        let call = self.0.entry((choice, position)).or_default();
        call.name.push_str(name.unwrap_or_default());
        match arguments {
            Value::Null => {}
            Value::String(part) => call.arguments.push_str(part),
            whole => call.arguments.push_str(&whole.to_string()),
        }
    }

    /// Adds a call that is complete, after all known calls.
    pub(super) fn push(&mut self, name: &str, arguments: &Value) {
        let position = self.0.keys().last().map_or(0, |(_, position)| position + 1);
        self.add(0, position, Some(name), arguments);
    }

    /// Returns the names of the called tools.
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.values().map(ToolCall::name).collect()
    }

    /// Returns a note for each call.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.0.values().map(|call| match call.arguments.trim() {
            "" | "{}" => format!("the answer calls the tool `{}`", call.name()),
            arguments => format!("the answer calls the tool `{}` with `{arguments}`", call.name()),
        })
    }
}

impl ToolCall {
    fn name(&self) -> &str {
        if self.name.is_empty() { "unnamed" } else { &self.name }
    }
}
