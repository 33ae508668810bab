//! Checks that the command ignores environment variables if it has more privileges than its caller.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use mlflow_deploy_test_support::cdylib;
use rustix::fs::{StatVfsMountFlags, XattrFlags};
use serde_json::Value;

/// The capability `cap_net_bind_service=ep`, in the format of a file's extended attribute.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The process keeps the user and the group of its caller. It has more privileges only through the capability.
#[test]
fn command_with_a_file_capability_ignores_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let command = folder.path().join("mlflow-deploy");
    fs::copy(cdylib::command(), &command).unwrap();
    let list = || {
        let mut run = Command::new("setpriv");
        run.args(["--reuid=54321", "--regid=54321", "--clear-groups"])
            .arg(&command)
            .args(["plugins", "list", "--json"]);
        run.env("MLFLOW_DEPLOY_PLUGIN_PATH", "/of/the/environment").output()
    };
    let names_it = |stdout: &[u8]| {
        let listing: Value = serde_json::from_slice(stdout).unwrap();
        let directories = listing["directories"].as_array().unwrap();
        directories.iter().any(|directory| directory["path"] == "/of/the/environment")
    };
    let is_root = rustix::process::geteuid().is_root();
    let Some(ordinary) = is_root.then(list).and_then(Result::ok).filter(|ran| ran.status.success()) else {
        println!("skipped: needs root and `setpriv`");
        return;
    };
    assert!(names_it(&ordinary.stdout), "{ordinary:?}");
    if let Err(error) = rustix::fs::setxattr(&command, "security.capability", &CAPABILITY, XattrFlags::empty()) {
        println!("skipped: this file system does not support capabilities: {error}");
        return;
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let is_nosuid = rustix::fs::statvfs(&command).unwrap().f_flag.contains(StatVfsMountFlags::NOSUID);
    if is_nosuid || status.lines().any(|line| line.starts_with("NoNewPrivs:") && !line.ends_with('0')) {
        println!("skipped: this machine ignores file capabilities");
        return;
    }
    let raised = list().unwrap();
    assert!(raised.status.success() && !names_it(&raised.stdout), "{raised:?}");
}
