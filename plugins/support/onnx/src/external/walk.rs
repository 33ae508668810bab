//! Walks through every message of a model. Its work grows with the length of the file, and its depth has a limit.

use std::path::Path;

use mlflow_deploy_plugin_api::{Error, Result, file};

use super::schema::{MODEL, Message, NODE, TENSOR};
use super::tensor::Tensor;
use super::wire::Fields;

/// Bytes; protobuf has no longer messages.
const MAX_LEN: u64 = i32::MAX as u64;

/// Messages within messages; protobuf's own readers stop there.
const MAX_DEPTH: usize = 100;

/// The key by which a tensor names a file. A place that the schema does not have must not contain it.
const LOCATION: &[u8] = b"location";

/// The operator for a part of a model that was compiled for one accelerator. Its provider may read that part from a file
/// that an attribute names.
const COMPILED: &[u8] = b"EPContext";

/// Fails unless a file is an ONNX model whose external files are regular files in its folder.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` with the tensor, the path and the reason; also if the file is not an ONNX model.
pub(crate) fn check(file: &Path) -> Result<()> {
    // Without the folder: it may be a copy that is gone before the message is read.
    let shown = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ort")) {
        return Err(other_format(&shown));
    }
    let bytes = file::read(file, MAX_LEN)
        .map_err(|error| Error::invalid_parameter(format!("failed to read `{shown}`: {error}")))?;
    check_model(&bytes, file.parent().unwrap_or(Path::new(".")), &shown)
}

/// As [`check`], for the bytes of a file.
pub(super) fn check_model(bytes: &[u8], folder: &Path, shown: &str) -> Result<()> {
    // The mark of a file of ONNX Runtime's own format.
    if bytes.get(4..8) == Some(b"ORTM") {
        return Err(other_format(shown));
    }
    let walk = Walk { folder, shown };
    walk.message(&MODEL, bytes, MAX_DEPTH)?;
    let mut fields = Fields::of(bytes);
    while let Some(field) = fields.next().map_err(|why| walk.damaged(why))? {
        if field.number == MODEL_GRAPH {
            return Ok(());
        }
    }
    Err(walk.damaged("it has no graph"))
}

/// The field of a model's graph.
const MODEL_GRAPH: u32 = 7;

/// The field of a node's operator.
const NODE_OPERATOR: u32 = 4;

struct Walk<'a> {
    folder: &'a Path,
    /// The name of the model's file.
    shown: &'a str,
}

impl Walk<'_> {
    /// Checks a message and everything in it.
    fn message(&self, message: &'static Message, bytes: &[u8], depth: usize) -> Result<()> {
        let depth = depth
            .checked_sub(1)
            .ok_or_else(|| self.damaged(&format!("it has more than {MAX_DEPTH} messages within each other")))?;
        let (mut fields, mut seen) = (Fields::of(bytes), 0_u64);
        while let Some(field) = fields.next().map_err(|why| self.damaged(why))? {
            let number = field.number;
            let inner = message.inner(number);
            if let Some(inner) = inner {
                let bytes = field.bytes.ok_or_else(|| {
                    self.damaged(&format!("field {number} of `{}` is a number, not a message", message.name))
                })?;
                // Readers make one message of several, which would be checked here one by one.
                if inner.is_single && seen & 1 << number != 0 {
                    return Err(self.damaged(&format!("field {number} of `{}` is there twice", message.name)));
                }
                seen |= 1 << number;
                self.message(inner.message, bytes, depth)?;
            } else if !message.plain.contains(&number) {
                self.unknown(message, number, field.bytes.unwrap_or_default())?;
            } else if message.name == NODE.name && number == NODE_OPERATOR && field.bytes == Some(COMPILED) {
                return Err(Error::invalid_parameter(format!(
                    "`{}` has the operator `EPContext`, a part that was compiled for one accelerator and may name any \
                     file: export the model without it",
                    self.shown
                )));
            }
        }
        if message.name == TENSOR.name {
            Tensor::read(bytes).map_err(|why| self.damaged(&why))?.check(self.folder)?;
        }
        Ok(())
    }

    /// Fails if a field that the schema does not have could name a file. A later ONNX may have a tensor there; whatever
    /// encloses it, the bytes of its key follow each other.
    fn unknown(&self, message: &Message, number: u32, bytes: &[u8]) -> Result<()> {
        if !bytes.windows(LOCATION.len()).any(|window| window == LOCATION) {
            return Ok(());
        }
        Err(Error::invalid_parameter(format!(
            "`{}` has field {number} in `{}`, which this version does not know, and `location` in it, as where a tensor \
             names a file: update this plugin, or save the model for an earlier version of ONNX",
            self.shown, message.name
        )))
    }

    fn damaged(&self, why: &str) -> Error {
        Error::invalid_parameter(format!("`{}` is not an ONNX model, or damaged: {why}", self.shown))
    }
}

fn other_format(shown: &str) -> Error {
    Error::invalid_parameter(format!(
        "the model's `{shown}` is in ONNX Runtime's own format, which is not looked into: save it as `.onnx`"
    ))
}
