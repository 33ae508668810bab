//! Checks every protobuf message in an ONNX model. The time is linear in the size of the file, and the depth of nested
//! messages is limited.

use std::path::Path;

use mlflow_deploy_plugin_api::{Error, Result, file};

use super::schema::{MODEL, MessageType, NODE, TENSOR};
use super::tensor::ExternalTensor;
use super::wire::FieldReader;

/// The maximum size of a protobuf message, in bytes.
const MAX_LEN: u64 = i32::MAX as u64;

/// The maximum depth of nested messages, as in protobuf's own parsers.
const MAX_DEPTH: usize = 100;

/// The key with which a tensor names its external file. A field that is not in the schema must not contain this text.
const LOCATION: &[u8] = b"location";

/// The operator of a subgraph that was compiled for an accelerator. The accelerator's execution provider may read the
/// subgraph from a file that an attribute names.
const COMPILED: &[u8] = b"EPContext";

/// The number of the field in `ModelProto` that contains the graph.
const MODEL_GRAPH: u32 = 7;

/// The number of the field in `NodeProto` that contains the name of the operator.
const NODE_OPERATOR: u32 = 4;

/// Fails unless a file is an ONNX model, and all of its external files are regular files in the model's folder.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the file is not an ONNX model, or if an external file is invalid. The message for an
/// external file contains the tensor, the path and the reason.
pub(crate) fn check(file: &Path) -> Result<()> {
    // The message omits the folder, which may be a temporary copy.
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ort")) {
        return Err(other_format(&name));
    }
    let bytes = file::read(file, MAX_LEN)
        .map_err(|error| Error::invalid_parameter(format!("failed to read `{name}`: {error}")))?;
    check_model(&bytes, file.parent().unwrap_or(Path::new(".")), &name)
}

/// Checks the bytes of a model's file as [`check`] does. `folder` is the folder of the file, and `name` is its name for
/// messages.
pub(super) fn check_model(bytes: &[u8], folder: &Path, name: &str) -> Result<()> {
    // The magic number of ONNX Runtime's own format.
    if bytes.get(4..8) == Some(b"ORTM") {
        return Err(other_format(name));
    }
    let check = ModelCheck { folder, name };
    check.message(&MODEL, bytes, MAX_DEPTH)?;
    let mut fields = FieldReader::of(bytes);
    while let Some(field) = fields.next().map_err(|reason| check.damaged(reason))? {
        if field.number == MODEL_GRAPH {
            return Ok(());
        }
    }
    Err(check.damaged("it has no graph"))
}

struct ModelCheck<'a> {
    folder: &'a Path,
    /// The name of the model's file, for messages.
    name: &'a str,
}

impl ModelCheck<'_> {
    /// Checks a protobuf message and all messages nested in it. `depth` is the number of nested messages that are still
    /// allowed.
    fn message(&self, message: &'static MessageType, bytes: &[u8], depth: usize) -> Result<()> {
        let depth = depth
            .checked_sub(1)
            .ok_or_else(|| self.damaged(&format!("it has more than {MAX_DEPTH} nested messages")))?;
        let (mut fields, mut seen) = (FieldReader::of(bytes), 0_u64);
        while let Some(field) = fields.next().map_err(|reason| self.damaged(reason))? {
            let number = field.number;
            if let Some(inner) = message.message_field(number) {
                let bytes = field.bytes.ok_or_else(|| {
                    self.damaged(&format!("field {number} of `{}` is a number, not a message", message.name))
                })?;
                // Parsers merge repetitions of the field into one message, but this check would see each repetition
                // alone.
                if inner.is_single && seen & 1 << number != 0 {
                    return Err(self.damaged(&format!("field {number} of `{}` is repeated", message.name)));
                }
                seen |= 1 << number;
                self.message(inner.message, bytes, depth)?;
            } else if !message.scalars.contains(&number) {
                self.unknown(message, number, field.bytes.unwrap_or_default())?;
            } else if message.name == NODE.name && number == NODE_OPERATOR && field.bytes == Some(COMPILED) {
                return Err(Error::invalid_parameter(format!(
                    "`{}` has the operator `EPContext`, a subgraph that was compiled for an accelerator and may name \
                     any file: export the model without it",
                    self.name
                )));
            }
        }
        if message.name == TENSOR.name {
            ExternalTensor::read(bytes).map_err(|reason| self.damaged(&reason))?.check(self.folder)?;
        }
        Ok(())
    }

    /// Fails if a field that is not in the schema contains the text `location`. In a later version of ONNX, such a
    /// field may contain a tensor that names a file. The bytes of the text are contiguous in every encoding of the
    /// field.
    fn unknown(&self, message: &MessageType, number: u32, bytes: &[u8]) -> Result<()> {
        if !bytes.windows(LOCATION.len()).any(|window| window == LOCATION) {
            return Ok(());
        }
        Err(Error::invalid_parameter(format!(
            "`{}` has the unknown field {number} in `{}`, and the field contains `location`, with which a tensor names a \
             file: update this plugin, or save the model for an earlier version of ONNX",
            self.name, message.name
        )))
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::invalid_parameter(format!("`{}` is damaged or not an ONNX model: {reason}", self.name))
    }
}

fn other_format(name: &str) -> Error {
    Error::invalid_parameter(format!(
        "the model's `{name}` is in ONNX Runtime's own format, which cannot be checked: save it as `.onnx`"
    ))
}
