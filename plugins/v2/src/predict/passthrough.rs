//! Recognizes requests of the protocol, which are sent unchanged.

use std::borrow::Cow;

use memchr::memmem;
use mlflow_deploy_plugin_api::{Error, Payload, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::api::{BINARY, InferBody};

/// The parts of a request by which it is recognized: a list of tensors, each with a name, a type and a shape.
#[derive(Deserialize)]
struct InferRequest<'a> {
    #[serde(borrow)]
    inputs: Vec<TensorHead<'a>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "the fields are only required to be there")]
struct TensorHead<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    shape: Vec<IgnoredAny>,
}

/// Returns a payload as the body of a request if it is one of the protocol: JSON with typed tensors, or such JSON with
/// tensors in binary behind it. Returns `None` if it is one of MLflow's requests.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the media type is that of binary tensors, and no JSON is before them.
pub(crate) fn as_infer_body(payload: &Payload) -> Result<Option<InferBody>> {
    let body = |json_length| InferBody { bytes: payload.bytes().to_vec().into(), json_length };
    if payload.media_type() == BINARY {
        let mut values = serde_json::Deserializer::from_slice(payload.bytes()).into_iter::<Value>();
        return match values.next() {
            Some(Ok(Value::Object(_))) => Ok(Some(body(Some(values.byte_offset())))),
            _ => Err(Error::invalid_parameter(format!(
                "the body has the media type `{BINARY}`, but does not begin with the JSON of a request: expected a \
                 request of the Open Inference Protocol with tensors in binary"
            ))),
        };
    }
    let may_be_one = payload.is_json() && memmem::find(payload.bytes(), b"\"datatype\"").is_some();
    let is_one = may_be_one
        && serde_json::from_slice::<InferRequest<'_>>(payload.bytes()).is_ok_and(|request| !request.inputs.is_empty());
    Ok(is_one.then(|| body(None)))
}

#[cfg(test)]
mod tests {
    use mlflow_deploy_plugin_api::JSON;

    use super::*;

    fn read(media_type: &str, body: &[u8]) -> Option<Option<usize>> {
        as_infer_body(&Payload::new(media_type, body)).unwrap().map(|body| body.json_length)
    }

    #[test]
    fn a_request_of_the_protocol_is_recognized() {
        let request = br#"{"id": "1", "inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}"#;
        assert_eq!(read(JSON, request), Some(None));
        for other in [
            r#"{"inputs": [[1.0]]}"#,
            r#"{"inputs": []}"#,
            r#"{"inputs": [{"name": "x", "datatype": "FP64"}]}"#,
            r#"{"dataframe_records": [{"name": "x", "shape": [1], "datatype": "FP64"}]}"#,
            r#"{"inputs": {"datatype": [1]}}"#,
        ] {
            assert_eq!(read(JSON, other.as_bytes()), None, "{other}");
        }
        assert_eq!(read("text/csv", request), None);
    }

    #[test]
    fn the_json_before_tensors_in_binary_has_its_length() {
        assert_eq!(read(BINARY, b"{\"inputs\": []}\0\0\x80?"), Some(Some(14)));
        let error = as_infer_body(&Payload::new(BINARY, b"\0\0\x80?".as_slice())).unwrap_err();
        assert!(error.message().contains("does not begin with the JSON of a request"), "{error}");
    }
}
