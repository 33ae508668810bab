//! Reads the text, the tool calls and the usage from answers of text models, whole or in chunks. Never prints.

mod forms;
mod parts;
mod tool_calls;

use mlflow_deploy::{ErrorCode, Payload, TargetError, Usage};
use serde_json::Value;

use self::parts::Parts;
use crate::report::CliError;

/// The text between two choices of one answer.
const BETWEEN_CHOICES: &str = "\n\n";

/// Collects the parts of an answer, which arrives as a whole or in chunks.
#[derive(Debug, Default)]
pub(crate) struct AnswerText(Parts);

impl AnswerText {
    /// Reads a whole answer or the next chunk of one. Returns the text to print.
    ///
    /// # Errors
    /// The error that a chunk reports.
    pub(crate) fn read(&mut self, payload: &Payload) -> Result<String, CliError> {
        if payload.media_type().starts_with("text/") {
            self.0.add_text(0, &String::from_utf8_lossy(payload.bytes()));
        } else if let Ok(value) = payload.json::<Value>() {
            if let Some(message) = failure(&value) {
                return Err(CliError::Target(TargetError::new(ErrorCode::INTERNAL_ERROR, message).into()));
            }
            forms::read(&value, &mut self.0);
        }
        Ok(std::mem::take(&mut self.0.ready))
    }

    /// Returns the rest of the text to print, after the last chunk.
    ///
    /// # Errors
    /// Fails if the answer has no text. The error names its tool calls.
    pub(crate) fn finish(&mut self) -> Result<String, CliError> {
        if self.0.has_text {
            let texts = std::mem::take(&mut self.0.later);
            return Ok(texts.into_values().map(|text| format!("{BETWEEN_CHOICES}{text}")).collect());
        }
        let found = match (self.0.tool_calls.names(), self.0.other_parts.as_slice()) {
            (names, _) if !names.is_empty() => format!("only calls of tools: `{}`", names.join("`, `")),
            (_, parts) if !parts.is_empty() => format!("only other parts: `{}`", parts.join("`, `")),
            _ => "expected a chat, a completion, a response or a message".to_owned(),
        };
        Err(CliError::Input(format!("the answer has no text, {found}; omit `--text` to print the answer")))
    }

    /// Returns a note for each part of the answer that is not printed: tool calls, and parts that are not text.
    pub(crate) fn notes(&self) -> Vec<String> {
        let parts = self.0.other_parts.iter().map(|kind| format!("the answer has a part that is not text: `{kind}`"));
        self.0.tool_calls.notes().chain(parts).collect()
    }

    /// Returns the usage that the target has told; `None` if it has told none.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.0.usage
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
