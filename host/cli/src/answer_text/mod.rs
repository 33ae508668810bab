//! Reads the text, the tool calls and the usage from answers of text models, whole or in chunks. Never prints.

mod forms;
mod tool_calls;

use std::collections::BTreeMap;

use mlflow_deploy::{ErrorCode, Payload, TargetError, Usage};
use serde_json::Value;

use self::tool_calls::ToolCalls;
use crate::report::CliError;

/// The text between two choices of one answer.
const BETWEEN_CHOICES: &str = "\n\n";

/// Collects the parts of an answer, which arrives as a whole or in chunks.
#[derive(Debug, Default)]
pub(crate) struct AnswerText {
    /// The text that can be printed now.
    ready: String,
    /// The texts of all choices but the first, which are printed after the first.
    later: BTreeMap<u64, String>,
    tool_calls: ToolCalls,
    /// The kinds of parts that are not text, such as `image`.
    other_parts: Vec<String>,
    usage: Option<Usage>,
    has_text: bool,
}

impl AnswerText {
    /// Reads a whole answer or the next chunk of one. Returns the text to print.
    ///
    /// # Errors
    /// The error that a chunk reports.
    pub(crate) fn read(&mut self, payload: &Payload) -> Result<String, CliError> {
        if payload.media_type().starts_with("text/") {
            self.add_text(0, &String::from_utf8_lossy(payload.bytes()));
        } else if let Ok(value) = payload.json::<Value>() {
            if let Some(message) = failure(&value) {
                return Err(CliError::Target(TargetError::new(ErrorCode::INTERNAL_ERROR, message).into()));
            }
            forms::read(&value, self);
        }
        Ok(std::mem::take(&mut self.ready))
    }

    /// Returns the rest of the text to print, after the last chunk.
    ///
    /// # Errors
    /// Fails if the answer has no text. The error names its tool calls.
    pub(crate) fn finish(&mut self) -> Result<String, CliError> {
        if self.has_text {
            let texts = std::mem::take(&mut self.later);
            return Ok(texts.into_values().map(|text| format!("{BETWEEN_CHOICES}{text}")).collect());
        }
        let found = match (self.tool_calls.names(), self.other_parts.as_slice()) {
            (names, _) if !names.is_empty() => format!("only calls of tools: `{}`", names.join("`, `")),
            (_, parts) if !parts.is_empty() => format!("only other parts: `{}`", parts.join("`, `")),
            _ => "expected a chat, a completion, a response or a message".to_owned(),
        };
        Err(CliError::Input(format!("the answer has no text, {found}; omit `--text` to print the answer")))
    }

    /// Returns a note for each part of the answer that is not printed: tool calls, and parts that are not text.
    pub(crate) fn notes(&self) -> Vec<String> {
        let parts = self.other_parts.iter().map(|kind| format!("the answer has a part that is not text: `{kind}`"));
        self.tool_calls.notes().chain(parts).collect()
    }

    /// Returns the usage that the target has told; `None` if it has told none.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Adds text of the choice with this index.
    fn add_text(&mut self, choice: u64, text: &str) {
        self.has_text |= !text.is_empty();
        match choice {
            0 => self.ready.push_str(text),
            later => self.later.entry(later).or_default().push_str(text),
        }
    }

    fn add_other_part(&mut self, kind: &str) {
        if !self.other_parts.iter().any(|known| known == kind) {
            self.other_parts.push(kind.to_owned());
        }
    }

    /// Adds a usage. A later one replaces the numbers of an earlier one, because some servers count up in a stream.
    fn add_usage(&mut self, value: &Value) {
        let Some(new) = Usage::read(value) else { return };
        let usage = self.usage.get_or_insert_default();
        usage.input_tokens = usage.input_tokens.max(new.input_tokens);
        usage.output_tokens = usage.output_tokens.max(new.output_tokens);
    }
}

/// Returns the message of a chunk that reports a failure instead of text.
fn failure(value: &Value) -> Option<String> {
    let kind = value["type"].as_str()?;
    let error = match kind {
        "error" if value["error"].is_object() => &value["error"],
        "error" => value,
        "response.failed" => &value["response"]["error"],
        _ => return None,
    };
    Some(match error["message"].as_str() {
        Some(message) => format!("the model failed: {message}"),
        None => format!("the model failed: `{kind}`"),
    })
}

#[cfg(test)]
mod tests;
