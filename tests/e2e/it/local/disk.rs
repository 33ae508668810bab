//! Checks full and read-only disks: a change of a deployment fails with a clear error, and existing deployments still
//! work.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use mlflow_deploy_test_support::{cdylib, onnxruntime};

use super::{LOCAL, iris};

/// Mounts a new file system of `bytes` bytes at `$disk`, and runs a shell script. In the script, the function `ask`
/// runs the command with its state directory on that file system. Returns the output of the script. Returns `None` if
/// this machine cannot mount and `MLFLOW_DEPLOY_TEST_NO_MOUNT` is set.
fn on_a_disk(bytes: usize, script: &str) -> Option<String> {
    const PRELUDE: &str = r#"
        set -u
        disk=$(mktemp -d)
        trap 'umount "$disk" && rmdir "$disk"' EXIT
        mount -t tmpfs -o "size=$BYTES" none "$disk" || exit 77
        ask() {
            verb=$1 && shift
            "$COMMAND" "$verb" --plugin "$PLUGIN" -t local --json "$@" 2>&1
        }
        export MLFLOW_DEPLOY_LOCAL_STATE="$disk/state"
    "#;
    let script = format!("{PRELUDE}{script}");
    let ran = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", &script])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("BYTES", bytes.to_string())
        .env("COMMAND", cdylib::command())
        .env("PLUGIN", cdylib::path(LOCAL))
        .env("MODEL", iris())
        .env("FLOWERS", Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/iris/flowers.csv"))
        .env("MLFLOW_DEPLOY_PLUGIN_PATH_ONLY", "1")
        .env("ORT_DYLIB_PATH", onnxruntime::folder())
        .output();
    let ran = ran.expect("`unshare` of util-linux is installed");
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    if stderr.contains("Operation not permitted") || stderr.contains("unshare failed") || ran.status.code() == Some(77)
    {
        let why = format!("mounting is not permitted: {stderr}");
        let is_left_out = std::env::var_os("MLFLOW_DEPLOY_TEST_NO_MOUNT").is_some();
        assert!(is_left_out, "{why}; set MLFLOW_DEPLOY_TEST_NO_MOUNT=1 to skip these tests");
        println!("skipped: {why}");
        return None;
    }
    assert!(ran.status.success(), "{stdout}\n{stderr}");
    Some(stdout.into_owned())
}

#[test]
fn full_disk_keeps_existing_deployments() {
    // The script fills the disk except for some pages. With each additional page, a create takes more steps before it
    // runs out of space.
    let script = r#"
        ask create --name first -m "$MODEL" >/dev/null || exit 1
        for pages in $(seq 0 24); do
            free=$(df --output=avail -B 4096 "$disk" | tail -n 1)
            dd if=/dev/zero of="$disk/filler" bs=4096 count=$((free - pages)) 2>/dev/null
            answer=$(ask create --name next -m "$MODEL")
            echo "create $? $answer"
            echo "list $(ask list | tr -d '\n' | grep -o '"name":"[a-z]*"' | tr '\n' ' ') models $(ls "$disk/state/models" | wc -l)"
            ask predict --name first -I "$FLOWERS" >/dev/null || echo "first cannot predict"
            rm "$disk/filler"
            ask delete --name next >/dev/null || echo "cannot delete"
        done
    "#;
    let Some(said) = on_a_disk(256 * 1024, script) else { return };
    let (mut refused, mut made) = (0, 0);
    let mut lines = said.lines();
    while let (Some(create), Some(list)) = (lines.next(), lines.next()) {
        if create.starts_with("create 0") {
            assert_eq!(list, r#"list "name":"first" "name":"next"  models 2"#, "{said}");
            made += 1;
        } else {
            assert!(create.starts_with("create 1") && create.contains("RESOURCE_EXHAUSTED"), "{create}");
            assert_eq!(list, r#"list "name":"first"  models 1"#, "{create}");
            refused += 1;
        }
    }
    assert!(refused > 3 && made > 3, "{said}");
    println!("creates on a full disk: {refused} rejected with RESOURCE_EXHAUSTED, {made} succeeded");
}

#[test]
fn read_only_directory_still_predicts() {
    let script = r#"
        ask create --name first -m "$MODEL" >/dev/null || exit 1
        mount -o remount,ro "$disk"
        for verb in "create --name next -m $MODEL" "update --name first -m $MODEL" "delete --name first" "create-endpoint --endpoint e"; do
            ask $verb
            echo "$verb: exit code $?"
        done
        ask list >/dev/null && ask predict --name first -I "$FLOWERS" >/dev/null && echo "predicts"
        export MLFLOW_DEPLOY_LOCAL_STATE="$disk/new"
        ask list
        ask create --name next -m "$MODEL"
        echo "new: exit code $?"
    "#;
    let Some(said) = on_a_disk(1024 * 1024, script) else { return };
    assert_eq!(said.matches("PERMISSION_DENIED").count(), 5, "{said}");
    assert_eq!(said.matches("exit code 1").count(), 5, "{said}");
    assert_eq!(said.matches("choose a writable directory").count(), 5, "{said}");
    assert!(said.contains("predicts\n[]\n"), "{said}");
    println!("changes of a read-only directory: 5, each rejected with PERMISSION_DENIED; list and predict succeed");
}
