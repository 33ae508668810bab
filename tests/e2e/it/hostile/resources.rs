//! Checks the command with too little memory or too few threads.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use mlflow_deploy_test_support::{broken, cdylib};
use serde_json::Value;

/// Runs the command under the resource limit `limit`, an option of `prlimit`. Returns `None` if `prlimit` or `setpriv`
/// is not installed.
fn limited(limit: &str, arguments: &[&str], folder: &Path) -> Option<Output> {
    let mut run = Command::new("prlimit");
    if limit.starts_with("--nproc") && rustix::process::geteuid().is_root() {
        // The limit does not apply to root.
        run = Command::new("setpriv");
        run.args(["--reuid=54321", "--regid=54321", "--clear-groups", "prlimit"]);
    }
    run.arg(limit).arg(folder.join("mlflow-deploy")).args(arguments).arg("--plugin-dir").arg(folder);
    run.env_clear().env("PATH", "/usr/bin:/bin").env("MLFLOW_DEPLOY_PLUGIN_PATH_ONLY", "1").output().ok()
}

fn folder_with_command() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(cdylib::command(), folder.path().join("mlflow-deploy")).unwrap();
    fs::copy(cdylib::path("mlflow-deploy-example-echo"), folder.path().join("good.so")).unwrap();
    folder
}

/// The symbol table of the file has a declared size above the memory limit. The host must find the manifest without
/// reading this table.
#[test]
fn listing_does_not_read_a_symbol_table_of_1000_mib() {
    const MEMORY: &str = "--as=838860800";
    let folder = folder_with_command();
    let path = broken::large_symbol_table(folder.path());
    let Some(ran) = limited(MEMORY, &["plugins", "list", "--json"], folder.path()) else {
        println!("skipped: `prlimit` is not installed");
        return;
    };
    let listing: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let listed = listing["plugins"].as_array().unwrap().iter().find(|listed| listed["file"].as_str() == path.to_str());
    assert_eq!(listed.unwrap()["state"], "usable", "{listing:#}");
    let ran = limited(MEMORY, &["plugins", "doctor"], folder.path()).unwrap();
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
}

#[test]
fn failure_to_start_a_thread_is_an_error() {
    let folder = folder_with_command();
    for threads in 0..6 {
        let limit = format!("--nproc={threads}");
        let Some(ran) = limited(&limit, &["list-endpoints", "-t", "echo", "--json"], folder.path()) else {
            println!("skipped: `prlimit` or `setpriv` is not installed");
            return;
        };
        let stderr = String::from_utf8_lossy(&ran.stderr);
        let code = ran.status.code();
        assert!([Some(0), Some(1), Some(2), Some(3)].contains(&code), "{threads}: {ran:?}");
        let last = stderr.lines().last().unwrap_or_default();
        let is_error_or_success =
            code == Some(0) || last.starts_with("{\"error\":{") && !stderr.contains("panicked at");
        assert!(is_error_or_success, "{threads}: {stderr}");
    }
}
