//! The parts of an answer that have been read so far.

use std::collections::BTreeMap;

use mlflow_deploy::Usage;
use serde_json::Value;

use super::tool_calls::ToolCalls;

/// The parts of an answer that have been read so far.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The text that can be printed now.
    pub(super) ready: String,
    /// The texts of all choices but the first, which are printed after the first.
    pub(super) later: BTreeMap<u64, String>,
    pub(super) tool_calls: ToolCalls,
    /// The kinds of parts that are not text, such as `image`.
    pub(super) other_parts: Vec<String>,
    pub(super) usage: Option<Usage>,
    pub(super) has_text: bool,
}

impl Parts {
    /// Adds text of the choice with this index.
    pub(super) fn add_text(&mut self, choice: u64, text: &str) {
        self.has_text |= !text.is_empty();
        match choice {
            0 => self.ready.push_str(text),
            later => self.later.entry(later).or_default().push_str(text),
        }
    }

    pub(super) fn add_other_part(&mut self, kind: &str) {
        if !self.other_parts.iter().any(|known| known == kind) {
            self.other_parts.push(kind.to_owned());
        }
    }

    /// Adds a usage. A later one replaces the numbers of an earlier one, because some servers count up in a stream.
    pub(super) fn add_usage(&mut self, value: &Value) {
        let Some(new) = Usage::read(value) else { return };
        let usage = self.usage.get_or_insert_default();
        usage.input_tokens = usage.input_tokens.max(new.input_tokens);
        usage.output_tokens = usage.output_tokens.max(new.output_tokens);
    }
}
