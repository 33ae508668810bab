//! ONNX Runtime's library, fetched as `make demo` fetches it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::cdylib;

/// The folder that holds the library, beside the folder of the command that was built.
///
/// # Panics
/// Where it cannot be fetched.
pub fn folder() -> &'static Path {
    static FETCHED: OnceLock<PathBuf> = OnceLock::new();
    FETCHED.get_or_init(|| {
        let target = cdylib::command().ancestors().nth(2).expect("the command is in `target/debug`");
        let folder = target.join("lib/mlflow-deploy");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/local/runtime/install.sh");
        let fetched = Command::new("sh").arg(script).arg(&folder).status().expect("a shell");
        assert!(fetched.success(), "failed to fetch ONNX Runtime");
        folder
    })
}
