//! Tests of the plugin search: the reasons for which files are rejected, and the order of precedence.

use std::fs;
use std::path::Path;
use std::process::Command;

use mlflow_deploy::{Error, Host, LoadError};
use mlflow_deploy_test_support::{broken, cdylib};
use serde_json::Value;

use crate::command::{Ran, mlflow_deploy};

const ECHO: &str = "mlflow-deploy-example-echo";
const GATEWAY: &str = "mlflow-deploy-gateway";

fn put(package: &str, directory: &Path, name: &str) {
    fs::create_dir_all(directory).unwrap();
    fs::copy(cdylib::path(package), directory.join(name)).unwrap();
}

fn with_state<'a>(listing: &'a Value, state: &str) -> Vec<&'a Value> {
    listing["plugins"].as_array().unwrap().iter().filter(|plugin| plugin["state"] == state).collect()
}

#[test]
fn broken_files_do_not_hide_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let bad = broken::all(folder.path());
    assert!(bad.len() >= 20, "{} bad files", bad.len());
    put(ECHO, folder.path(), "good_echo.so");
    put(GATEWAY, folder.path(), "good_gateway.so");
    fs::copy(cdylib::c_plugin(), folder.path().join("good_c.so")).unwrap();
    let ran = mlflow_deploy("plugins list --json").plugin_dir(folder.path()).run();
    let listing = ran.json();
    assert_eq!(with_state(&listing, "usable").len(), 3, "{listing:#}");
    for (path, reason) in bad {
        let listed = |plugin: &&Value| plugin["file"].as_str() == path.to_str();
        let plugin = listing["plugins"].as_array().unwrap().iter().find(listed);
        let plugin = plugin.unwrap_or_else(|| panic!("{} is not listed: {listing:#}", path.display()));
        let said = plugin["reason"].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{}: expected `{reason}`, got `{said}`", path.display());
    }
    for scheme in ["echo", "http", "https", "c-echo"] {
        let ran = mlflow_deploy(&format!("plugins which {scheme}")).plugin_dir(folder.path()).run();
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

#[test]
fn unknown_target_error_lists_the_search_path_and_a_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    put(ECHO, folder.path(), "echo.so");
    fs::write(folder.path().join("text.so"), "hello").unwrap();
    let ran = mlflow_deploy("list-endpoints -t ecko://x --plugin-dir /nowhere/at/all").plugin_dir(folder.path()).run();
    assert_eq!(ran.code, 3);
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(
        lines[0],
        "error: no plugin found for the target `ecko://x`; did you mean `echo`?; known schemes: `echo`"
    );
    let folder = folder.path().display();
    assert_eq!(
        lines[2..5],
        [
            "  /nowhere/at/all (given): does not exist".to_owned(),
            format!("  {folder} (given): 2 files, 1 usable as plugins"),
            "refused:".to_owned(),
        ]
    );
    assert!(lines[5].starts_with(&format!("  {folder}/text.so: not a shared library: ")), "{ran:?}");
}

#[test]
fn address_without_a_scheme_gets_a_hint_and_an_unrelated_word_none() {
    for (target, said) in [
        ("localhost:5000", "; did you mean `http://localhost:5000`?"),
        ("127.0.0.1:5000/api", "; did you mean `http://127.0.0.1:5000/api`?"),
        ("nope", "`; known schemes"),
        ("ftp://x", "`; known schemes"),
    ] {
        let ran = mlflow_deploy(&format!("list-endpoints -t {target}")).plugin(GATEWAY).run();
        assert!(ran.code == 3 && ran.stderr.contains(said), "{ran:?}");
    }
}

#[test]
fn unknown_target_error_has_json_details() {
    let ran = mlflow_deploy("list-endpoints -t ecko --json --plugin-dir /nowhere/at/all").plugin(ECHO).run();
    let error = ran.error();
    assert_eq!((ran.code, &error["code"]), (3, &Value::from("PLUGIN_NOT_FOUND")));
    assert_eq!((&error["details"]["target"], &error["details"]["nearest"]), (&"ecko".into(), &"echo".into()));
    assert_eq!(error["details"]["found"]["directories"][0]["state"], "does not exist");
    assert_eq!(error["details"]["found"]["plugins"][0]["name"], "echo");
    let usage = mlflow_deploy("predict --json").run();
    assert_eq!((usage.code, usage.error()["code"].clone()), (2, "INVALID_PARAMETER_VALUE".into()));
    assert!(usage.error().get("causes").is_none(), "an error without causes has no member `causes`: {usage:?}");
}

#[test]
fn plugin_of_the_first_directory_shadows_a_later_one() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(ECHO, first.path(), "a.so");
    put(ECHO, second.path(), "b.so");
    let search = || mlflow_deploy("plugins").plugin_dir(first.path()).plugin_dir(second.path());
    let which = search().arg("which").arg("echo").run();
    let (a, b) = (first.path().join("a.so"), second.path().join("b.so"));
    assert_eq!(which.stdout, format!("{}\nshadows {} (echo 0.1.0)\n", a.display(), b.display()));
    let listing = search().arg("list").arg("--json").run().json();
    assert_eq!(with_state(&listing, "shadowed")[0]["file"].as_str(), b.to_str());
    let chosen = search().arg("which").arg("echo").arg("--plugin").arg(&b).run();
    assert!(chosen.stdout.starts_with(b.to_str().unwrap()), "{chosen:?}");
}

#[test]
fn two_plugins_for_a_scheme_in_one_directory_are_an_error_for_that_scheme() {
    let folder = tempfile::tempdir().unwrap();
    put(ECHO, folder.path(), "a.so");
    put(ECHO, folder.path(), "b.so");
    put(GATEWAY, folder.path(), "c.so");
    let ran = mlflow_deploy("list-endpoints -t echo").plugin_dir(folder.path()).run();
    let (a, b) = (folder.path().join("a.so"), folder.path().join("b.so"));
    let message = format!(
        "error: two plugins in one directory serve `echo`: `{}` and `{}`; remove one, or choose with `--plugin PATH`\n",
        a.display(),
        b.display()
    );
    assert_eq!((ran.code, ran.stderr), (3, message));
    let listing = mlflow_deploy("plugins list --json").plugin_dir(folder.path()).run().json();
    assert_eq!(
        (with_state(&listing, "ambiguous").len(), with_state(&listing, "shadowed").len()),
        (2, 0),
        "{listing:#}"
    );
    let listed = mlflow_deploy("plugins list").plugin_dir(folder.path()).run().stdout;
    let each = format!("  {}: `{}` in the same directory serves one of the same schemes\n", b.display(), a.display());
    assert!(listed.contains("ambiguous, so using them is an error") && listed.contains(&each), "{listed}");
    assert_eq!(mlflow_deploy("plugins which http").plugin_dir(folder.path()).run().code, 0);
    fs::remove_file(&b).unwrap();
    std::os::unix::fs::symlink(&a, &b).unwrap();
    assert_eq!(mlflow_deploy("plugins which echo").plugin_dir(folder.path()).run().code, 0, "two names of one file");
}

#[test]
fn relative_entry_of_the_search_path_is_skipped_with_a_warning() {
    let ran = mlflow_deploy("plugins list").env("MLFLOW_DEPLOY_PLUGIN_PATH", "plugins:/nowhere").run();
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("plugins (MLFLOW_DEPLOY_PLUGIN_PATH): not read: relative path"), "{ran:?}");
}

#[test]
fn missing_directory_of_the_search_path_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    put(ECHO, &folder.join("plugins"), "echo.so");
    fs::write(folder.join("rows.csv"), "a\n1\n").unwrap();
    let here = folder.display();
    for (flags, variable, said) in [
        ("--plugin-dir nope", "", format!("plugin directory `{here}/nope` (given): does not exist")),
        ("--plugin-dir rows.csv", "", format!("plugin directory `{here}/rows.csv` (given): not read: ")),
        ("", "plugs", "plugin directory `plugs` (MLFLOW_DEPLOY_PLUGIN_PATH): not read: relative path".to_owned()),
    ] {
        for verb in ["list-endpoints -t echo", "plugins which echo", "plugins list", "help"] {
            let run = mlflow_deploy(&format!("{verb} {flags}")).env("MLFLOW_DEPLOY_PLUGIN_PATH", variable);
            let ran = run.current_dir(folder).plugin_dir(&folder.join("plugins")).run();
            assert!(ran.code == 0 && ran.stderr.starts_with(&format!("warning: {said}")), "{verb}: {ran:?}");
        }
    }
}

#[test]
fn inspect_shows_a_manifest_without_running_the_plugin() {
    let ran = mlflow_deploy("plugins inspect --json").arg(cdylib::path("mlflow-deploy-fixture-misbehave"));
    let manifest = ran.env("MISBEHAVE", "init-hang").run().json();
    assert_eq!(manifest["schemes"][0], "misbehave");
    let by_name = mlflow_deploy("plugins inspect echo").plugin(ECHO).run();
    assert!(by_name.code == 0 && by_name.stdout.starts_with("echo 0.1.0: "), "{by_name:?}");
    let slip = mlflow_deploy("plugins inspect ecko").plugin(ECHO).run();
    let said = "error: unknown plugin or file `ecko`; did you mean `echo`?\n";
    assert_eq!((slip.code, slip.stderr.as_str()), (2, said));
    let nothing = mlflow_deploy("plugins inspect /nowhere.so").run();
    assert_eq!((nothing.code, nothing.stderr.contains("no such file")), (3, true), "{nothing:?}");
}

#[test]
fn plugin_in_a_world_writable_directory_is_rejected() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    put(ECHO, folder.path(), "echo.so");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let ran = mlflow_deploy("list-endpoints -t echo").plugin_dir(folder.path()).run();
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("every user can change it") && ran.stderr.contains("chmod o-w"), "{ran:?}");
}

#[test]
fn plugin_of_one_terabyte_is_rejected_at_once() {
    let folder = tempfile::tempdir().unwrap();
    put(ECHO, folder.path(), "echo.so");
    let file = fs::OpenOptions::new().write(true).open(folder.path().join("echo.so")).unwrap();
    // The file is sparse.
    file.set_len(1 << 40).unwrap();
    for arguments in ["list-endpoints -t echo", "plugins doctor"] {
        let ran = mlflow_deploy(arguments).plugin_dir(folder.path()).run();
        let is_said = format!("{ran:?}").contains("the file is larger than the maximum of 1 GiB");
        assert!(ran.code == 3 && is_said, "{ran:?}");
    }
}

#[test]
fn file_on_a_noexec_mount_is_rejected_before_loading() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "mount -t tmpfs -o noexec,mode=755 none \"$1\" || exit 77; cp \"$2\" \"$1/echo.so\"; shift 2; exec \"$@\"";
    for verb in [&["list-endpoints", "-t", "echo"][..], &["plugins", "doctor"], &["plugins", "which", "echo"]] {
        let mut run = Command::new("unshare");
        run.args(["-m", "sh", "-c", script, "sh"]).arg(folder.path()).arg(cdylib::path(ECHO));
        run.arg(cdylib::command()).args(verb).arg("--plugin").arg(folder.path().join("echo.so"));
        let ran = run.output().map(Ran::from);
        let Some(ran) = ran.ok().filter(|ran| ran.code != 77 && !ran.stderr.starts_with("unshare: ")) else {
            println!("skipped: only root on Linux can mount a file system");
            return;
        };
        assert!(ran.code == 3 && format!("{ran:?}").contains("mounted with `noexec`"), "{ran:?}");
    }
}

#[test]
fn fault_found_by_loading_is_a_load_error() {
    let folder = tempfile::tempdir().unwrap();
    for (path, reason) in broken::unloadable(folder.path()) {
        let ran = mlflow_deploy("list-endpoints -t c-echo --plugin").arg(&path).run();
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.stderr.contains(reason), "{}: expected `{reason}`, got {ran:?}", path.display());
    }
}

#[test]
fn library_without_a_manifest_that_is_named_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let library = broken::plain_library(folder.path());
    let reason = "it is a library without a plugin manifest; specify the file of a plugin";
    for (option, arguments) in [
        ("--plugin", "list-endpoints -t http://127.0.0.1:1"),
        ("--trusted-plugin", "predict -t echo --endpoint echo -I -"),
        ("--plugin", "plugins which echo"),
        ("--plugin", "help -t echo"),
    ] {
        // Another plugin could serve the target, but the command does not use it instead of the named file.
        let ran = mlflow_deploy(arguments).plugin(ECHO).arg(option).arg(&library).run();
        let expected = format!("error: failed to load the plugin `{}`: {reason}", library.display());
        assert_eq!((ran.code, ran.stderr.starts_with(&expected)), (3, true), "{arguments}: {ran:?}");
    }
    let named = |arguments: &str| mlflow_deploy(arguments).arg("--plugin").arg(&library).run();
    let listing = named("plugins list --json").json();
    assert_eq!(with_state(&listing, "refused")[0]["file"].as_str(), library.to_str(), "{listing}");
    let diagnosis = named("plugins doctor");
    assert_eq!((diagnosis.code, diagnosis.stdout.contains("state:   refused")), (3, true), "{diagnosis:?}");
    let error = Host::builder().search_path::<&str>([]).plugin(&library).build().target(Some("echo")).unwrap_err();
    assert!(matches!(&error, Error::Load { refusal: LoadError::NoManifest, .. }), "{error:?}");
}

#[test]
fn library_without_a_manifest_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let library = broken::plain_library(folder.path());
    let listing = mlflow_deploy("plugins list --json").plugin_dir(folder.path()).run().json();
    assert_eq!(with_state(&listing, "ignored")[0]["file"].as_str(), library.to_str());
    let inspected = mlflow_deploy("plugins inspect").arg(&library).run();
    assert_eq!(
        (inspected.code, inspected.stderr.contains("is not a plugin: it is a library without a manifest")),
        (3, true),
        "{inspected:?}"
    );
}
