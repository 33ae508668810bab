//! Removes the frames of AWS's event streams, in which SageMaker sends the parts of a streamed answer.
//!
//! A frame has its length, the length of its headers, a checksum of both, the headers, the payload, and a checksum of all.

use mlflow_deploy_http::Unframe;
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};

/// The length of the two lengths and their checksum, in bytes.
const PRELUDE: usize = 12;

/// The length of a checksum, in bytes.
const CHECKSUM: usize = 4;

/// The maximum length of a frame, in bytes. AWS's own limit is 16 MiB.
const MAX_FRAME: usize = 24 << 20;

/// The frames that were received, of which the last one may be incomplete.
#[derive(Debug, Default)]
pub(crate) struct EventStream {
    received: Vec<u8>,
}

/// The headers of a frame that this plugin reads.
#[derive(Debug, Default)]
struct FrameHeaders {
    message_type: String,
    event_type: String,
    /// The type of an exception, or the code of an error.
    failure: String,
    message: String,
}

impl Unframe for EventStream {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.received.extend_from_slice(bytes);
        let (mut body, mut at) = (Vec::new(), 0);
        while let Some(length) = complete(&self.received[at..])? {
            if let Some(part) = payload(&self.received[at..at + length])? {
                body.extend_from_slice(part);
            }
            at += length;
        }
        self.received.drain(..at);
        Ok(body)
    }

    fn finish(&mut self) -> Result<()> {
        if self.received.is_empty() {
            return Ok(());
        }
        let message = format!("the stream was cut: it ended in a frame, after {} bytes of it", self.received.len());
        Err(Error::new(ErrorCode::TEMPORARILY_UNAVAILABLE, message))
    }
}

/// Returns the length of the first frame if it is complete.
fn complete(bytes: &[u8]) -> Result<Option<usize>> {
    let (Some(length), Some(headers), Some(checksum)) = (number(bytes, 0), number(bytes, 4), number(bytes, 8)) else {
        return Ok(None);
    };
    let (length, headers) = (length as usize, headers as usize);
    if crc32fast::hash(&bytes[..8]) != checksum {
        return Err(invalid("its lengths have another checksum"));
    }
    if !(PRELUDE + CHECKSUM..=MAX_FRAME).contains(&length) || headers > length - PRELUDE - CHECKSUM {
        return Err(invalid("its lengths are not possible"));
    }
    Ok((bytes.len() >= length).then_some(length))
}

/// Returns the part of the answer in a complete frame; `None` for a frame of another type.
fn payload(frame: &[u8]) -> Result<Option<&[u8]>> {
    let (end, headers_length) = (frame.len() - CHECKSUM, number(frame, 4).unwrap_or_default() as usize);
    if number(frame, end) != Some(crc32fast::hash(&frame[..end])) {
        return Err(invalid("its content has another checksum"));
    }
    let headers = FrameHeaders::read(&frame[PRELUDE..PRELUDE + headers_length])?;
    let payload = &frame[PRELUDE + headers_length..end];
    match headers.message_type.as_str() {
        "event" => Ok((headers.event_type == "PayloadPart").then_some(payload)),
        _ => Err(headers.error(payload)),
    }
}

impl FrameHeaders {
    fn read(mut bytes: &[u8]) -> Result<Self> {
        let mut headers = Self::default();
        while !bytes.is_empty() {
            let name = take(&mut bytes, 1).map(|length| usize::from(length[0]));
            let name = name.and_then(|length| take(&mut bytes, length));
            let kind = take(&mut bytes, 1);
            let (Some(name), Some([kind])) = (name, kind) else { return Err(invalid("a header is incomplete")) };
            let length = match kind {
                0 | 1 => Some(0),
                2 => Some(1),
                3 => Some(2),
                4 => Some(4),
                5 | 8 => Some(8),
                6 | 7 => take(&mut bytes, 2).map(|length| usize::from(u16::from_be_bytes([length[0], length[1]]))),
                9 => Some(16),
                _ => None,
            };
            let Some(value) = length.and_then(|length| take(&mut bytes, length)) else {
                return Err(invalid("a header is incomplete"));
            };
            let field = match name {
                b":message-type" => &mut headers.message_type,
                b":event-type" => &mut headers.event_type,
                b":exception-type" | b":error-code" => &mut headers.failure,
                b":error-message" => &mut headers.message,
                _ => continue,
            };
            *field = String::from_utf8_lossy(value).into_owned();
        }
        Ok(headers)
    }

    /// Returns the error that a frame reports.
    fn error(&self, payload: &[u8]) -> Error {
        let body: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
        let own = ["Message", "message"].iter().find_map(|name| body[*name].as_str());
        let message =
            own.or((!self.message.is_empty()).then_some(self.message.as_str())).unwrap_or("without a message");
        let message: String = message.chars().take(500).collect();
        let code = if self.failure == "ModelStreamError" {
            ErrorCode::INTERNAL_ERROR
        } else {
            ErrorCode::TEMPORARILY_UNAVAILABLE
        };
        let code_of_model = body["ErrorCode"].as_str().map(|code| format!(" ({code})")).unwrap_or_default();
        Error::new(code, format!("the stream ended with {}{code_of_model}: {message}", self.failure))
    }
}

/// Takes the first `length` bytes.
fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn invalid(reason: &str) -> Error {
    Error::internal(format!("the stream has an invalid frame: {reason}"))
}

#[cfg(test)]
mod tests {
    use mlflow_deploy_test_support::aws::{frame, part};

    use super::*;

    /// Pushes bytes one at a time.
    fn push(bytes: &[u8]) -> Result<String> {
        let (mut stream, mut body) = (EventStream::default(), Vec::new());
        for byte in bytes {
            body.extend(stream.push(&[*byte])?);
        }
        stream.finish()?;
        Ok(String::from_utf8(body).unwrap())
    }

    #[test]
    fn the_frame_of_aws_s_documentation_is_read() {
        // The example "minimal message" of the specification: 16 bytes without headers and payload.
        let minimal = [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(complete(&minimal).unwrap(), Some(16));
        assert_eq!(number(&minimal, 12), Some(crc32fast::hash(&minimal[..12])));
    }

    #[test]
    fn parts_are_joined_wherever_the_bytes_are_split() {
        let bytes =
            [part("{\"a\""), part(": 1}"), frame(&[(":message-type", "event"), (":event-type", "Other")], b"x")]
                .concat();
        assert_eq!(push(&bytes).unwrap(), "{\"a\": 1}");
        assert_eq!(EventStream::default().push(&bytes).unwrap(), b"{\"a\": 1}");
    }

    #[test]
    fn faults_of_frames_are_errors() {
        let good = part("abc");
        let mut lengths = good.clone();
        lengths[3] ^= 1;
        let mut content = good.clone();
        let last = content.len() - 6;
        content[last] ^= 1;
        let exception = frame(
            &[(":message-type", "exception"), (":exception-type", "ModelStreamError")],
            br#"{"Message": "no memory", "ErrorCode": "ModelInvocationTimeExceeded"}"#,
        );
        let failure =
            frame(&[(":message-type", "error"), (":error-code", "Internal"), (":error-message", "later")], b"");
        for (bytes, message) in [
            (&lengths, "its lengths have another checksum"),
            (&content, "its content has another checksum"),
            (&good[..good.len() - 1].to_vec(), "the stream was cut: it ended in a frame"),
            (&exception, "the stream ended with ModelStreamError (ModelInvocationTimeExceeded): no memory"),
            (&failure, "the stream ended with Internal: later"),
        ] {
            let error = push(bytes).unwrap_err();
            assert!(error.message().contains(message), "{error}");
        }
    }
}
