//! Detects a stream that was cut off, for the protocols that mark the end of a stream.
//!
//! A proxy that loses its connection to the server may end the stream as if it were complete. `[DONE]` ends a complete
//! stream. Some servers omit `[DONE]`, but mark the last chunk of the answer instead.

use std::collections::BTreeMap;

use jiter::{Jiter, JiterError, Peek};

use crate::answer_json::{read_text, skip};

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
    pub(crate) fn observe(&mut self, chunk: &ChunkMarks) {
        match chunk.kind.as_str() {
            "response.created" => self.missing = Some("`response.completed`"),
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                self.is_complete = true;
            }
            "message_start" => self.missing = Some("`message_stop`"),
            "message_stop" => self.is_complete = true,
            _ => chunk.choices.iter().for_each(|choice| self.observe_choice(choice)),
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

    fn observe_choice(&mut self, choice: &ChoiceMarks) {
        if choice.is_finished {
            self.choices.insert(choice.index, true);
        } else if choice.has_content {
            self.choices.entry(choice.index).or_insert(false);
        }
    }
}

/// The marks in one chunk of a stream that show if the stream is complete.
#[derive(Debug, Default)]
pub(crate) struct ChunkMarks {
    /// The member `type`; empty if it is missing or not a text.
    kind: String,
    choices: Vec<ChoiceMarks>,
}

/// The marks in one member of `choices`.
#[derive(Debug, Default)]
struct ChoiceMarks {
    index: u64,
    /// True if the `finish_reason` is a text that is not empty.
    is_finished: bool,
    /// True if the choice has a `delta` or a `text`.
    has_content: bool,
}

impl ChunkMarks {
    /// Reads the marks of a chunk, and skips everything else in it.
    ///
    /// # Errors
    /// Returns the reason if the chunk is not valid JSON. The reason contains no part of the chunk.
    pub(crate) fn read(chunk: &[u8]) -> Result<Self, String> {
        let mut marks = Self::default();
        read_text(chunk, |reader, text| {
            let value = reader.peek()?;
            read_members(reader, value, |reader, name, value| {
                if name == Name::Type && value == Peek::String {
                    reader.known_str()?.clone_into(&mut marks.kind);
                    return Ok(());
                }
                if name != Name::Choices || value != Peek::Array {
                    return reader.known_skip(value);
                }
                let mut next = reader.known_array()?;
                while let Some(choice) = next {
                    marks.choices.push(ChoiceMarks::read(reader, text, choice)?);
                    next = reader.array_step()?;
                }
                Ok(())
            })
        })?;
        Ok(marks)
    }
}

impl ChoiceMarks {
    fn read(reader: &mut Jiter<'_>, text: &str, choice: Peek) -> Result<Self, JiterError> {
        let mut marks = Self::default();
        read_members(reader, choice, |reader, name, value| {
            let part = skip(reader, text, value)?;
            match name {
                Name::Index => marks.index = part.parse().unwrap_or_default(),
                Name::FinishReason => marks.is_finished = value == Peek::String && part != "\"\"",
                Name::Content => marks.has_content = true,
                Name::Choices | Name::Type | Name::Other => {}
            }
            Ok(())
        })?;
        Ok(marks)
    }
}

/// The names of the JSON members that contain marks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Choices,
    Content,
    FinishReason,
    Index,
    Type,
    Other,
}

impl Name {
    fn of(name: &str) -> Self {
        match name {
            "choices" => Self::Choices,
            "delta" | "text" => Self::Content,
            "finish_reason" => Self::FinishReason,
            "index" => Self::Index,
            "type" => Self::Type,
            _ => Self::Other,
        }
    }
}

/// Calls `read` for each member of a JSON object. `read` must read or skip the value. Skips other JSON values.
fn read_members<'a>(
    reader: &mut Jiter<'a>,
    value: Peek,
    mut read: impl FnMut(&mut Jiter<'a>, Name, Peek) -> Result<(), JiterError>,
) -> Result<(), JiterError> {
    if value != Peek::Object {
        return reader.known_skip(value);
    }
    let mut next = reader.known_object()?.map(Name::of);
    while let Some(name) = next {
        let value = reader.peek()?;
        read(reader, name, value)?;
        next = reader.next_key()?.map(Name::of);
    }
    Ok(())
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
        let odd = json!({"type": 1, "choices": [null, 1, {"index": -1, "text": 1, "finish_reason": 2}]});
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
            (vec![&odd], false),
            (vec![&odd, &last], true),
            (vec![], true),
        ] {
            let mut completion = Completion::default();
            for chunk in &chunks {
                completion.observe(&ChunkMarks::read(chunk.to_string().as_bytes()).unwrap());
            }
            assert_eq!(completion.missing().is_none(), is_complete, "{chunks:?}");
        }
    }
}
