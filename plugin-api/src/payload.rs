//! The inputs and results of operations: bytes with a media type.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result, file};

/// The media type of JSON, which is the default of a payload.
///
/// See [`Payload`] for an example.
pub const JSON: &str = "application/json";

/// The inputs or the result of an operation: bytes and their media type.
///
/// The bytes are forwarded unchanged: CSV, Arrow, and the JSON that Python writes (with `NaN`) arrive as they were
/// sent.
///
/// ```
/// use mlflow_deploy_plugin_api::{JSON, Payload};
///
/// let table = Payload::new("text/csv; charset=utf-8", "a,b\n1,2\n");
/// assert_eq!((table.media_type().as_str(), table.is_json()), ("text/csv", false));
///
/// let record = Payload::from_json(&serde_json::json!({"name": "chat"}))?;
/// assert_eq!((record.content_type(), record.bytes()), (JSON, br#"{"name":"chat"}"#.as_slice()));
/// assert_eq!(record.json::<serde_json::Value>()?["name"], "chat");
/// # Ok::<(), mlflow_deploy_plugin_api::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    pub(crate) content_type: Cow<'static, str>,
    pub(crate) bytes: Vec<u8>,
}

impl Payload {
    /// Returns a payload with this media type and these bytes.
    pub fn new(content_type: impl Into<String> + AsRef<str>, bytes: impl Into<Vec<u8>>) -> Self {
        let content_type = match content_type.as_ref() {
            JSON => Cow::Borrowed(JSON),
            _ => Cow::Owned(content_type.into()),
        };
        Self { content_type, bytes: bytes.into() }
    }

    /// Returns a payload without bytes, for an operation without a result.
    pub fn empty() -> Self {
        Self::new(JSON, Vec::new())
    }

    /// Returns a payload with a value as JSON.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the value has no JSON form, such as a map whose keys are not strings.
    pub fn from_json(value: &(impl Serialize + ?Sized)) -> Result<Self> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| Error::invalid_parameter(format!("failed to write the value as JSON: {error}")))?;
        Ok(Self::new(JSON, bytes))
    }

    /// Parses the bytes as JSON. An empty payload is parsed as `null`; a byte order mark is skipped.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the bytes are not JSON, or do not have the form of `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let bytes = if self.bytes.is_empty() { b"null" } else { file::without_byte_order_mark(&self.bytes) };
        serde_json::from_slice(bytes).map_err(|error| {
            let shown = match excerpt(&self.bytes) {
                text if text.is_empty() => "an empty text".to_owned(),
                text => format!("`{text}`"),
            };
            Error::invalid_parameter(format!("failed to read {shown} as JSON: {error}"))
        })
    }

    /// Parses the bytes as a JSON object. Unlike [`json`](Self::json), it refuses a list of the fields of a struct, which
    /// serde's derived code accepts in the place of an object.
    ///
    /// ```
    /// use mlflow_deploy_plugin_api::{JSON, Payload};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Inputs {
    ///     text: String,
    /// }
    ///
    /// let inputs: Inputs = Payload::new(JSON, r#"{"text": "one"}"#).json_object()?;
    /// assert_eq!(inputs.text, "one");
    /// assert!(Payload::new(JSON, r#"["one"]"#).json_object::<Inputs>().is_err());
    /// # Ok::<(), mlflow_deploy_plugin_api::Error>(())
    /// ```
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the bytes are not a JSON object, or do not have the form of `T`.
    pub fn json_object<T: DeserializeOwned>(&self) -> Result<T> {
        let members: serde_json::Map<String, serde_json::Value> = self.json()?;
        serde_json::from_value(members.into())
            .map_err(|error| Error::invalid_parameter(format!("failed to read the JSON object: {error}")))
    }

    /// Returns the media type with its parameters, such as `text/csv; charset=utf-8`.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Returns the media type without its parameters, in lower case.
    pub fn media_type(&self) -> String {
        self.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Returns true if the media type is `application/json`, or if it ends with `+json`.
    pub fn is_json(&self) -> bool {
        let media_type = self.media_type();
        media_type == JSON || media_type.ends_with("+json")
    }

    /// Returns the bytes. They are empty for an operation without a result, such as a delete.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Consumes the payload and returns its bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::empty()
    }
}

/// Shows only the media type and the size, because the bytes may be large or private.
impl fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Payload({}, {} bytes)", self.content_type, self.bytes.len())
    }
}

/// Returns the start of the bytes as text, to quote it in an error message.
fn excerpt(bytes: &[u8]) -> String {
    const MAX_LEN: usize = 60;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_LEN)]).into_owned();
    if bytes.len() > MAX_LEN { text + "…" } else { text }
}
