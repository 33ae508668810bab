//! Downloads the ONNX Runtime library with the same script as `make demo`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::cdylib;

/// Downloads the ONNX Runtime library on first use. Returns the folder that contains the library. This folder is in
/// cargo's target folder.
///
/// # Panics
/// Panics if the download fails.
pub fn folder() -> &'static Path {
    static FETCHED: OnceLock<PathBuf> = OnceLock::new();
    FETCHED.get_or_init(|| {
        let target = cdylib::command().ancestors().nth(2).expect("the command is in `target/debug`");
        let folder = target.join("lib/mlflow-deploy");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/local/runtime/install.sh");
        let fetched = Command::new("sh").arg(script).arg(&folder).status().expect("`sh` is installed");
        assert!(fetched.success(), "failed to download ONNX Runtime");
        folder
    })
}
