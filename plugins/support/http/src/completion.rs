//! Distinguishes a stream that was cut from a complete one, for the protocols that mark the end of a stream.
//!
//! A proxy that loses its server may close the connection as if the stream were complete. `[DONE]` ends every stream.
//! Some servers omit it, but mark the last chunk of an answer.

use std::collections::BTreeMap;

use serde_json::Value;

/// The progress of a stream. `missing` is the mark that has to end it; `None` before the first chunk of a known
/// protocol.
#[derive(Debug, Default)]
pub(crate) struct Completion {
    missing: Option<&'static str>,
    /// The choices by index: true if the choice has its `finish_reason`.
    choices: BTreeMap<u64, bool>,
    is_complete: bool,
}

impl Completion {
    /// Updates the progress with a chunk.
    pub(crate) fn observe(&mut self, chunk: &Value) {
        match chunk["type"].as_str() {
            Some("response.created") => self.missing = Some("`response.completed`"),
            Some("response.completed" | "response.incomplete" | "response.failed" | "response.cancelled") => {
                self.is_complete = true;
            }
            Some("message_start") => self.missing = Some("`message_stop`"),
            Some("message_stop") => self.is_complete = true,
            _ => self.observe_choices(chunk["choices"].as_array()),
        }
    }

    /// Marks the stream as complete, because `[DONE]` was received.
    pub(crate) fn end(&mut self) {
        self.is_complete = true;
    }

    /// Returns the mark that the stream lacks; `None` if the stream is complete or has no known protocol.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        let is_open = self.choices.values().any(|is_finished| !is_finished);
        let missing = if is_open { Some("`[DONE]` or a `finish_reason`") } else { self.missing };
        missing.filter(|_| !self.is_complete)
    }

    fn observe_choices(&mut self, choices: Option<&Vec<Value>>) {
        for choice in choices.into_iter().flatten() {
            let index = choice["index"].as_u64().unwrap_or_default();
            if choice["finish_reason"].as_str().is_some_and(|reason| !reason.is_empty()) {
                self.choices.insert(index, true);
            } else if choice.get("delta").or(choice.get("text")).is_some() {
                self.choices.entry(index).or_insert(false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_without_the_mark_of_its_end_is_incomplete() {
        let open = json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": null}]});
        let text = json!({"choices": [{"index": 0, "text": "a", "finish_reason": ""}]});
        let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        let second = json!({"choices": [{"index": 1, "delta": {"content": "b"}}]});
        let usage = json!({"choices": [], "usage": {"total_tokens": 3}});
        let created = json!({"type": "response.created"});
        let completed = json!({"type": "response.completed"});
        let own = json!({"type": "response.output_text.delta", "delta": "a"});
        for (chunks, is_complete) in [
            (vec![&open], false),
            (vec![&text], false),
            (vec![&open, &last, &usage], true),
            (vec![&open, &second, &last], false),
            (vec![&open, &last, &open], true),
            (vec![&usage], true),
            (vec![&created, &own], false),
            (vec![&created, &own, &completed], true),
            (vec![&own], true),
            (vec![], true),
        ] {
            let mut completion = Completion::default();
            chunks.iter().for_each(|chunk| completion.observe(chunk));
            assert_eq!(completion.missing().is_none(), is_complete, "{chunks:?}");
        }
    }
}
