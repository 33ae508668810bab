//! What operations take and give back: bytes with the name of their format.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// The media type of JSON, which is what a payload is unless it says otherwise.
pub const JSON: &str = "application/json";

/// Inputs or results: bytes and their media type.
///
/// The bytes are forwarded, never decoded and encoded again on the way: CSV, Arrow, and the JSON that Python writes
/// (with its `NaN`) arrive as they were sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    pub(crate) content_type: String,
    pub(crate) bytes: Vec<u8>,
}

impl Payload {
    /// Bytes of the given media type.
    pub fn new(content_type: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { content_type: content_type.into(), bytes: bytes.into() }
    }

    /// Nothing: what an operation without a result gives back.
    pub fn empty() -> Self {
        Self::new(JSON, Vec::new())
    }

    /// A value, written as JSON.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the value has no JSON form, such as a map whose keys are not strings.
    pub fn from_json(value: &(impl Serialize + ?Sized)) -> Result<Self> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| Error::invalid_parameter(format!("failed to write the value as JSON: {error}")))?;
        Ok(Self::new(JSON, bytes))
    }

    /// Reads the bytes as JSON. An empty payload reads as `null`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the bytes are not JSON or not of the type asked for.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let bytes = if self.bytes.is_empty() { b"null" } else { self.bytes.as_slice() };
        serde_json::from_slice(bytes).map_err(|error| {
            Error::invalid_parameter(format!("failed to read `{}` as JSON: {error}", excerpt(&self.bytes)))
        })
    }

    /// The media type, such as `application/json` or `text/csv`.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The media type without its parameters, lower-case.
    pub fn media_type(&self) -> String {
        self.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Whether the media type is JSON, or one of those that are written as JSON.
    pub fn is_json(&self) -> bool {
        let media_type = self.media_type();
        media_type == JSON || media_type.ends_with("+json")
    }

    /// The bytes. Empty where an operation has nothing to say, such as a delete.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::empty()
    }
}

/// Shows the format and the size; the bytes may be large, or private.
impl fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Payload({}, {} bytes)", self.content_type, self.bytes.len())
    }
}

/// The start of some bytes, as a person can read it in a message.
fn excerpt(bytes: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]).into_owned();
    if bytes.len() > LONGEST { text + "…" } else { text }
}
