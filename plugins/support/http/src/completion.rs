//! Detects a stream that was cut off, for the protocols that mark the end of a stream.
//!
//! A proxy that loses its connection to the server may end the stream as if it were complete. `[DONE]` ends a complete
//! stream. Some servers omit `[DONE]`, but mark the last chunk of the answer instead.

use std::collections::BTreeMap;

use serde_json::Value;

/// Tracks if a stream is complete. `missing` names the mark that has to end the stream. It is `None` before the first
/// chunk of a known protocol.
#[derive(Debug, Default)]
pub(crate) struct Completion {
    missing: Option<&'static str>,
    /// The choices by index: true if the choice has its `finish_reason`.
    choices: BTreeMap<u64, bool>,
    is_complete: bool,
}

impl Completion {
    /// Records a received chunk of the stream.
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

    /// Records that the stream is complete, because `[DONE]` was received.
    pub(crate) fn end(&mut self) {
        self.is_complete = true;
    }

    /// Returns the name of the end mark that the stream lacks. Returns `None` if the stream is complete or its protocol
    /// is unknown.
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
