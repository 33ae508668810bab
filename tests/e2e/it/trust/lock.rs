//! Checks the lock file of plugins: its entries, and the plugins that it makes the command reject.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use mlflow_deploy::manifest::TARGET;
use mlflow_deploy::{Error, Host, LoadError, Lock, blocking};
use mlflow_deploy_test_support::cdylib;

use crate::command::{Run, mlflow_deploy};

/// Returns a temporary working directory whose folder `plugins` contains a plugin.
fn workspace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("plugins")).unwrap();
    fs::copy(cdylib::path("mlflow-deploy-example-echo"), folder.path().join("plugins/echo.so")).unwrap();
    folder
}

fn run(arguments: &str, folder: &Path) -> Run {
    mlflow_deploy(arguments).current_dir(folder).plugin_dir(&folder.join("plugins"))
}

fn change_one_byte(folder: &Path) {
    OpenOptions::new().append(true).open(folder.join("plugins/echo.so")).unwrap().write_all(b"x").unwrap();
}

fn locked_digest(folder: &Path) -> String {
    Lock::read(&folder.join(Lock::FILE)).unwrap().plugins()[0].sha256.to_string()
}

#[test]
fn plugin_changed_by_one_byte_is_rejected() {
    let folder = workspace();
    let folder = folder.path();
    let locked = run("plugins lock", folder).run();
    assert!(locked.code == 0 && locked.stdout.contains("  added   echo 0.1.0, sha256 "), "{locked:?}");
    assert_eq!(run("plugins verify", folder).run().code, 0);
    assert_eq!(run("list-endpoints -t echo --locked", folder).run().code, 0);
    let expected = locked_digest(folder);

    change_one_byte(folder);
    let refused = run("list-endpoints -t echo --locked", folder).run();
    assert_eq!(refused.code, 3, "{refused:?}");
    println!("{}", refused.stderr);
    let file = folder.join("plugins/echo.so");
    let message = format!(
        "error: failed to load the plugin `{}`: differs from the plugin `echo` in the lock file: expected version 0.1.0 with SHA-256 {expected}, found version 0.1.0 with SHA-256 ",
        file.display()
    );
    assert!(refused.stderr.starts_with(&message), "{refused:?}");
    for arguments in ["plugins which echo --locked", "plugins doctor --locked", "plugins verify"] {
        assert_eq!(run(arguments, folder).run().code, 3, "{arguments}");
    }
    let by_variable = run("list-endpoints -t echo", folder).env("MLFLOW_DEPLOY_LOCK_FILE", folder.join(Lock::FILE));
    assert_eq!(by_variable.run().code, 3);
    assert_eq!(run("list-endpoints -t echo", folder).run().code, 0, "without `--locked` the lock file is not used");

    let again = run("plugins lock", folder).run();
    assert!(again.stdout.contains("  changed echo 0.1.0, sha256 "), "{again:?}");
    assert_eq!(run("list-endpoints -t echo --locked", folder).run().code, 0);
}

/// The hash in the lock file's entry matches the plugin, but another member of the entry does not.
#[test]
fn entry_with_a_wrong_version_or_scheme_is_rejected() {
    let folder = workspace();
    let folder = folder.path();
    assert_eq!(run("plugins lock", folder).run().code, 0);
    let lock = folder.join(Lock::FILE);
    let text = fs::read_to_string(&lock).unwrap();
    for (entry, wrong) in [("version = \"0.1.0\"", "version = \"9.9.9\""), ("\"echo\"]", "\"databricks\"]")] {
        assert!(text.contains(entry), "{text}");
        fs::write(&lock, text.replace(entry, wrong)).unwrap();
        for verb in ["plugins verify", "list-endpoints -t echo --locked"] {
            let refused = run(verb, folder).run();
            let said = format!("{refused:?}");
            assert!(refused.code == 3 && said.contains("the lock file describes the plugin"), "{said}");
            assert!(said.contains("found version 0.1.0, ABI 1 and the schemes `echo`"), "{said}");
        }
    }
}

#[test]
fn lock_file_behind_a_link_is_replaced_and_keeps_its_mode() {
    let folder = workspace();
    let folder = folder.path();
    symlink("real.lock", folder.join(Lock::FILE)).unwrap();
    assert_eq!(run("plugins lock", folder).run().code, 0);
    assert!(fs::symlink_metadata(folder.join(Lock::FILE)).unwrap().is_symlink());
    fs::set_permissions(folder.join("real.lock"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(run("plugins lock", folder).run().code, 0);
    assert_eq!(fs::metadata(folder.join("real.lock")).unwrap().permissions().mode() & 0o777, 0o600);
    let nowhere = run("plugins lock --lock-file no/lock", folder).run();
    let said = "error: failed to write the lock file `no/lock`: the directory `no` does not exist\n";
    assert_eq!((nowhere.code, nowhere.stderr.as_str()), (2, said));
}

#[test]
fn plugin_without_an_entry_is_rejected_and_a_missing_plugin_is_reported() {
    let folder = workspace();
    let folder = folder.path();
    assert_eq!(run("plugins lock", folder).run().code, 0);
    fs::copy(cdylib::c_plugin(), folder.join("plugins/c.so")).unwrap();
    let refused = run("list-endpoints -t c-echo --locked", folder).run();
    let said = format!("the lock file has no entry for the plugin `c-echo` on {TARGET}");
    assert!(refused.code == 3 && refused.stderr.contains(&said), "{refused:?}");
    fs::remove_file(folder.join("plugins/echo.so")).unwrap();
    let verified = run("plugins verify --json", folder).run();
    assert_eq!(verified.code, 3);
    let verdicts: serde_json::Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!(
        (&verdicts["plugins"][0]["state"], &verdicts["plugins"][1]["state"]),
        (&"refused".into(), &"missing".into())
    );
    assert_eq!(verified.error()["message"], "2 of 2 plugins do not match the lock file `mlflow-deploy.lock`");
}

#[test]
fn entries_of_other_platforms_are_kept_and_the_text_is_stable() {
    let folder = workspace();
    let (folder, path) = (folder.path(), folder.path().join(Lock::FILE));
    assert_eq!(run("plugins lock", folder).run().code, 0);
    let ours = fs::read_to_string(&path).unwrap();
    let both = ours.clone() + &ours[ours.find("\n[[plugin]]").unwrap()..].replace(TARGET, "wasm32-elsewhere");
    fs::write(&path, &both).unwrap();
    change_one_byte(folder);
    let again = run("plugins lock --json", folder).run().json();
    assert_eq!((&again["other_platforms"], &again["plugins"][0]["change"]), (&1.into(), &"changed".into()));
    let text = fs::read_to_string(&path).unwrap();
    let old = text.find("wasm32-elsewhere").unwrap();
    assert!(text.find(TARGET).unwrap() != old && text.contains(&ours[ours.find("sha256").unwrap()..]), "{text}");
    fs::write(folder.join("plugins/text.so"), "hello").unwrap();
    let unchanged = run("plugins lock --json", folder).run();
    assert!(unchanged.stderr.contains("text.so`: not a shared library: "), "{unchanged:?}");
    assert_eq!(unchanged.json()["plugins"][0]["change"], "kept");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn invalid_lock_file_is_an_error_and_is_not_overwritten() {
    let folder = workspace();
    let (folder, path) = (folder.path(), folder.path().join(Lock::FILE));
    let none = run("list-endpoints -t echo --locked", folder).run();
    let message = "error: the lock file `mlflow-deploy.lock` cannot be used: no such file; create it with `mlflow-deploy plugins lock`\n";
    assert_eq!((none.code, none.stderr.as_str()), (2, message));
    let future = "version = 2\n";
    fs::write(&path, future).unwrap();
    for arguments in ["list-endpoints -t echo --locked", "plugins lock", "plugins verify"] {
        let refused = run(arguments, folder).run();
        assert!(refused.code == 2 && refused.stderr.contains("expected 1; upgrade the host"), "{refused:?}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), future);
}

#[test]
fn embedded_host_uses_a_lock_file() {
    let folder = workspace();
    let folder = folder.path();
    assert_eq!(run("plugins lock", folder).run().code, 0);
    let host = || Host::builder().search_path([folder.join("plugins")]).lock_file(folder.join(Lock::FILE)).build();
    blocking::wait(host().get_deploy_client(Some("echo"))).unwrap();
    change_one_byte(folder);
    let error = blocking::wait(host().get_deploy_client(Some("echo"))).unwrap_err();
    assert!(matches!(&error, Error::Load { refusal: LoadError::LockMismatch { .. }, .. }), "{error}");
}
