//! Writes the body of Triton's load request, file by file.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mlflow_deploy_plugin_api::{Error, Result};

/// The maximum size of all files of a model, in bytes. In the request they are a third larger.
const MAX_BYTES: usize = 1 << 30;

/// The body of a load request that is being written.
#[derive(Debug, Default)]
pub(super) struct LoadBody {
    /// The members of `parameters` so far: a member for each file, whose value is its bytes in Base64.
    members: String,
    bytes: usize,
}

impl LoadBody {
    /// Returns the number of bytes that may still be added.
    pub(super) fn free(&self) -> usize {
        MAX_BYTES - self.bytes
    }

    /// Adds a file of the model's only version. `path` is relative to the folder of the version.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the files are too large for a request.
    pub(super) fn add(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.free() {
            return Err(too_large(path));
        }
        self.bytes += bytes.len();
        let name = serde_json::to_string(&format!("file:1/{path}")).expect("a string has a JSON form");
        self.members.push(',');
        self.members.push_str(&name);
        self.members.push_str(":\"");
        BASE64_STANDARD.encode_string(bytes, &mut self.members);
        self.members.push('"');
        Ok(())
    }

    /// Returns the body with a model configuration, which is JSON text.
    pub(super) fn finish(self, config: &str) -> Vec<u8> {
        let config = serde_json::to_string(config).expect("a string has a JSON form");
        format!("{{\"parameters\":{{\"config\":{config}{}}}}}", self.members).into_bytes()
    }
}

/// Returns the error for a model that is too large for a request. `path` is the file that no longer fits.
pub(super) fn too_large(path: &str) -> Error {
    Error::invalid_parameter(format!(
        "the model has more than {} MiB, which is too large for a load request, at its file `{path}`: copy the model to \
         the server's repository, and specify the model URI `repository:`",
        MAX_BYTES >> 20
    ))
}
