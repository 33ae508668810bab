//! A process with rights that whoever started it has not: what that one says in the environment is not heard.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use mlflow_deploy_test_support::cdylib;
use rustix::fs::{StatVfsMountFlags, XattrFlags};
use serde_json::Value;

/// `cap_net_bind_service=ep`, as Linux keeps it with a file.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Its user and group are those of whoever starts it: the capability alone raises it.
#[test]
fn a_capability_makes_the_environment_unheard() {
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
        println!("skipped: only root can give a file a capability, and be somebody else by `setpriv`");
        return;
    };
    assert!(names_it(&ordinary.stdout), "{ordinary:?}");
    if let Err(error) = rustix::fs::setxattr(&command, "security.capability", &CAPABILITY, XattrFlags::empty()) {
        println!("skipped: this file system keeps no capabilities: {error}");
        return;
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let is_nosuid = rustix::fs::statvfs(&command).unwrap().f_flag.contains(StatVfsMountFlags::NOSUID);
    if is_nosuid || status.lines().any(|line| line.starts_with("NoNewPrivs:") && !line.ends_with('0')) {
        println!("skipped: here a file's capabilities are not given to those who run it");
        return;
    }
    let raised = list().unwrap();
    assert!(raised.status.success() && !names_it(&raised.stdout), "{raised:?}");
}
