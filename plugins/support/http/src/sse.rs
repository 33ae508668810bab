//! Parses server-sent events. The bytes may be split at any position.
//!
//! Only LF, CR and CRLF end a line, because JSON may contain U+2028 or U+0085. A byte order mark is skipped, and
//! several `data` lines form one text. Unlike a browser, the reader returns the last event even if the blank line after
//! it is missing. The event is complete, because the body has ended regularly.
//!
//! Two crates were tested with each of the test cases below, split at every byte. Neither is used:
//! - `eventsource-stream` 0.2.3 loses the last event if it ends in CR CR or without a blank line, panics on a byte
//!   order mark, and does not limit the size of an event.
//! - `sse-stream` 0.3.0 loses the last event without a blank line, and does not limit the size of an event.
//!
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use memchr::memchr2;
use mlflow_deploy_plugin_api::{Error, Result};

use crate::answer_json::BYTE_ORDER_MARK;

/// The maximum size of a server-sent event or of a line, in bytes.
pub(crate) const MAX_LEN: usize = 16 * 1024 * 1024;

/// A server-sent event with data. The reader skips events without data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The name of the event; empty if the event has none.
    pub name: String,
    /// The data lines of the event, joined with LF.
    pub data: String,
}

/// Parses received bytes into server-sent events.
#[derive(Debug, Default)]
pub struct SseReader {
    line: Vec<u8>,
    name: String,
    data: Option<String>,
    /// True if the last byte was a CR. If an LF follows, it belongs to the same line end.
    after_cr: bool,
    /// True once the first line of the body has been parsed.
    has_begun: bool,
}

impl SseReader {
    /// Parses the next bytes and returns the events that they complete.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` if an event is longer than 16 MiB or is not UTF-8.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        if self.after_cr && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            self.after_cr = false;
        }
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            events.extend(self.end_line_with(&bytes[..end])?);
            let is_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if is_cr {
                self.after_cr = bytes.is_empty();
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
        }
        self.grow(bytes)?;
        Ok(events)
    }

    /// Returns the last event if the body has ended without a blank line after it; `None` if there is no such event.
    ///
    /// # Errors
    /// Fails as [`push`](Self::push) does.
    pub fn finish(&mut self) -> Result<Option<Event>> {
        if !self.line.is_empty() {
            self.end_line_with(&[])?;
        }
        Ok(self.end_event())
    }

    /// Adds bytes to the unfinished line.
    fn grow(&mut self, bytes: &[u8]) -> Result<()> {
        self.check_size(bytes)?;
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn check_size(&self, bytes: &[u8]) -> Result<()> {
        if self.line.len() + self.data.as_ref().map_or(0, String::len) + bytes.len() > MAX_LEN {
            return Err(Error::internal(format!("the server sent an event of more than {MAX_LEN} bytes")));
        }
        Ok(())
    }

    /// Parses the line that ends with `bytes`. Returns the event that it completes.
    fn end_line_with(&mut self, bytes: &[u8]) -> Result<Option<Event>> {
        if self.line.is_empty() {
            self.check_size(bytes)?;
            return self.parse_line(bytes);
        }
        self.grow(bytes)?;
        let line = std::mem::take(&mut self.line);
        self.parse_line(&line)
    }

    fn parse_line(&mut self, mut line: &[u8]) -> Result<Option<Event>> {
        if !self.has_begun {
            self.has_begun = true;
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.end_event());
        }
        let line = str::from_utf8(line)
            .map_err(|error| Error::internal("the server sent an event that is not UTF-8").with_cause(&error))?;
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (field, &mut self.data) {
            ("data", Some(data)) => {
                data.push('\n');
                data.push_str(value);
            }
            ("data", none) => *none = Some(value.to_owned()),
            ("event", _) => value.clone_into(&mut self.name),
            // `id` and `retry` matter for reconnecting only. A line that begins with a colon is a comment.
            _ => {}
        }
        Ok(None)
    }

    /// Returns the event that a blank line ends, or `None` if the event has no data, such as a ping.
    fn end_event(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        self.data.take().filter(|data| !data.is_empty()).map(|data| Event { name, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test cases: the text of a body, and the data of each event in it.
    const CASES: &[(&str, &[&str])] = &[
        ("data: a\n\ndata: b\n\n", &["a", "b"]),
        ("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
        ("data: a\r\rdata: b\r\r", &["a", "b"]),
        ("\n\r\n   \n\n\ndata: a\n\n\n\n", &["a"]),
        (": hi\n\ndata: a\n: between\n\n", &["a"]),
        ("id: 1\nevent: m\nretry: 10\ndata: a\nunknown\n\n", &["a"]),
        ("id: 1\n\ndata: a\n\n", &["a"]),
        ("data: a\ndata: b\n\n", &["a\nb"]),
        ("data: {\ndata:\ndata: }\n\n", &["{\n\n}"]),
        ("data:[DONE]\n\n", &["[DONE]"]),
        ("data:  a \n\n", &[" a "]),
        ("\u{feff}data: a\n\n", &["a"]),
        ("data\n\ndata:\n\ndata: a\n\n", &["a"]),
        ("event: ping\n\ndata: a\n\n", &["a"]),
        ("data: {\"t\":\"a\u{2028}b\u{2029}c\u{85}d\"}\n\n", &["{\"t\":\"a\u{2028}b\u{2029}c\u{85}d\"}"]),
        ("data: é€😀\n\n", &["é€😀"]),
        ("data: a\n\ndata: b\n", &["a", "b"]),
        ("data: a\n\ndata: b", &["a", "b"]),
        ("", &[]),
    ];

    fn read(parts: &[&[u8]]) -> Vec<Event> {
        let mut reader = SseReader::default();
        let mut events: Vec<_> = parts.iter().flat_map(|part| reader.push(part).unwrap()).collect();
        events.extend(reader.finish().unwrap());
        events
    }

    #[test]
    fn a_transcript_yields_the_same_events_wherever_it_is_split() {
        for (transcript, expected) in CASES {
            let bytes = transcript.as_bytes();
            for split in 0..=bytes.len() {
                let data: Vec<_> =
                    read(&[&bytes[..split], &bytes[split..]]).into_iter().map(|event| event.data).collect();
                assert_eq!(data, *expected, "{transcript:?} split at {split}");
            }
            let single: Vec<_> = bytes.chunks(1).collect();
            assert_eq!(read(&single).len(), expected.len(), "{transcript:?} byte by byte");
        }
    }

    #[test]
    fn a_name_applies_to_one_event_only() {
        let events = read(&[b"event: error\ndata: a\n\ndata: b\n\n"]);
        assert_eq!((events[0].name.as_str(), events[1].name.as_str()), ("error", ""));
    }

    #[test]
    fn an_event_beyond_the_limit_fails() {
        let mut reader = SseReader::default();
        let line = [b"data: ".as_slice(), &[b'x'; 1 << 20], b"\n"].concat();
        let failed = (0..17).find_map(|_| reader.push(&line).err());
        assert!(failed.unwrap().message().contains("16777216 bytes"));
        let endless = vec![b':'; MAX_LEN + 1];
        SseReader::default().push(&endless).unwrap_err();
    }

    #[test]
    fn an_event_that_is_not_utf8_fails() {
        let error = SseReader::default().push(b"data: \xff\n\n").unwrap_err();
        assert_eq!(error.message(), "the server sent an event that is not UTF-8");
    }
}
