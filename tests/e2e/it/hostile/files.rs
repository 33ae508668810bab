//! Files that are no plugins, or bad ones, beside a good one that goes on answering.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use mlflow_deploy::args::ListEndpoints;
use mlflow_deploy::{Host, blocking};
use mlflow_deploy_test_support::{broken, cdylib};
use serde_json::Value;

use super::Line;
use crate::command::mlflow_deploy;

const ECHO: &str = "mlflow-deploy-example-echo";

fn good_plugin(folder: &Path) {
    fs::copy(cdylib::path(ECHO), folder.join("good.so")).unwrap();
}

/// The lines of all files.
pub(super) fn lines() -> Vec<Line> {
    let mut lines = not_loaded();
    lines.push(changing());
    lines.extend(unreadable());
    lines
}

/// The line of a file that was refused with these words, and nobody was hurt by.
fn line(path: &Path, said: &str, faults: Vec<String>) -> Line {
    let what = format!("file: {}", path.file_stem().unwrap_or_default().to_string_lossy());
    let said = said.replace(&*path.to_string_lossy(), "FILE");
    Line { what, said, inside: "yes".to_owned(), isolated: "yes".to_owned(), faults }
}

/// What a listing or a diagnosis says of a file.
fn entry<'a>(listing: &'a Value, path: &Path) -> &'a Value {
    let entries = listing["plugins"].as_array().unwrap();
    let found = entries.iter().find(|entry| entry["file"].as_str() == path.to_str());
    found.unwrap_or_else(|| panic!("{} is not listed: {listing:#}", path.display()))
}

fn diagnosis(folder: &Path) -> Value {
    let ran = mlflow_deploy("plugins doctor --json").plugin_dir(folder).run();
    assert_eq!((ran.code, ran.stderr.contains("cannot be used")), (3, true), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

fn the_good_one_answers(folder: &Path) {
    let ran = mlflow_deploy("list-endpoints --json -t echo").plugin_dir(folder).run();
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "[{\"name\":\"echo\"}]\n", ""));
}

#[test]
fn what_can_be_seen_without_loading_is_said_and_nothing_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let bad = broken::all(folder.path());
    let unloadable = broken::unloadable(folder.path());
    good_plugin(folder.path());
    let listing = mlflow_deploy("plugins list --json").plugin_dir(folder.path()).run().json();
    let diagnosis = diagnosis(folder.path());
    assert_eq!(entry(&diagnosis, &folder.path().join("good.so"))["state"], "ready", "{diagnosis:#}");
    for (path, reason) in &bad {
        let (listed, diagnosed) = (entry(&listing, path), entry(&diagnosis, path));
        let said = listed["reason"].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{}: expected `{reason}`, got `{said}`", path.display());
        assert_eq!((&listed["state"], &diagnosed["state"]), (&"refused".into(), &"refused".into()));
        let opened = mlflow_deploy("list-endpoints -t c-echo --plugin").arg(path).run();
        assert_eq!((opened.code, opened.stderr.contains(said)), (3, true), "{opened:?}");
    }
    for (path, reason) in unloadable.iter().filter(|(_, reason)| reason.starts_with("needs ")) {
        let diagnosed = entry(&diagnosis, path);
        let said = diagnosed["reason"].as_str().unwrap_or_default();
        assert!(said.contains(reason) && diagnosed["fix"].is_string(), "expected `{reason}`, got {diagnosed:#}");
    }
    the_good_one_answers(folder.path());
}

/// Loads all that cannot be, into this process and into others, beside a good plugin that goes on answering.
fn not_loaded() -> Vec<Line> {
    let folder = tempfile::tempdir().unwrap();
    let bad = [broken::all(folder.path()), broken::unloadable(folder.path())].concat();
    good_plugin(folder.path());
    let host = Host::builder().search_path([folder.path()]).build();
    let client = blocking::DeployClient::from(blocking::wait(host.get_deploy_client(Some("echo"))).unwrap());
    let line = |(path, reason): &(PathBuf, &str)| {
        let host = || Host::builder().search_path([folder.path()]).plugin(path);
        let isolated = host().isolate_all().plugin_host(cdylib::program("mlflow-deploy-plugin-host"));
        let load = |host: Host| blocking::wait(host.get_deploy_client(Some("c-echo"))).unwrap_err().to_string();
        let said = [load(host().build()), load(isolated.build())];
        assert_eq!(client.list_endpoints(ListEndpoints {}).unwrap().bytes(), br#"[{"name":"echo"}]"#);
        let is_wrong = |said: &&String| !said.contains(reason);
        let fault = |said: &String| format!("{}: expected `{reason}`, got `{said}`", path.display());
        line(path, &said[0], said.iter().filter(is_wrong).map(fault).collect())
    };
    bad.iter().map(line).collect()
}

#[test]
fn a_constructor_runs_only_when_its_own_target_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let constructors = broken::constructors(folder.path());
    good_plugin(folder.path());
    let ran = mlflow_deploy("plugins list --json").plugin_dir(folder.path()).run();
    let listing = ran.json();
    let _diagnosis = diagnosis(folder.path());
    for (path, way) in &constructors {
        let reason = match *way {
            "crash" => "its process was killed by signal 11 (SIGSEGV) during loading",
            _ => "did not finish loading within 10 s",
        };
        assert_ne!(entry(&listing, path)["state"], "refused", "{listing:#}");
        let which = mlflow_deploy("plugins which c-echo --plugin").arg(path).run();
        assert_eq!(which.code, 0, "{which:?}");
        let opened = mlflow_deploy("list-endpoints -t c-echo --plugin").arg(path).run();
        assert_eq!((opened.code, opened.stdout.as_str()), (3, ""), "{way}: {opened:?}");
        assert!(opened.stderr.contains(reason), "{way}: {opened:?}");
        the_good_one_answers(folder.path());
    }
}

/// Whoever writes to files while they are looked at can be seen to have done so, or not; the host lives either way.
fn changing() -> Line {
    const LOOKS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    good_plugin(folder.path());
    let whole = fs::read(cdylib::c_plugin()).unwrap();
    let (path, stop) = (folder.path().join("changing.so"), AtomicBool::new(false));
    fs::write(&path, &whole).unwrap();
    let line = std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // Now cut off in place, now whole, now another file of the same name.
                fs::write(&path, &whole[..whole.len() * (round % 7) / 7]).unwrap();
                fs::write(&path, &whole).unwrap();
                let other = path.with_extension("new");
                fs::write(&other, "no library at all, and long enough to be looked at").unwrap();
                fs::rename(&other, &path).unwrap();
            }
        });
        let mut said: Vec<_> = (0..LOOKS)
            .map(|_| {
                let listing = mlflow_deploy("plugins list --json").plugin_dir(folder.path()).run().json();
                assert_eq!(entry(&listing, &folder.path().join("good.so"))["state"], "usable", "{listing:#}");
                let changing = entry(&listing, &path);
                changing["reason"].as_str().unwrap_or("usable").to_owned()
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        said.sort();
        said.dedup();
        line(&path, &said.join(" / "), Vec::new())
    });
    the_good_one_answers(folder.path());
    line
}

/// A file that may not be read; none where nobody can be found who may not.
fn unreadable() -> Option<Line> {
    let folder = tempfile::tempdir().unwrap();
    good_plugin(folder.path());
    let path = folder.path().join("unreadable.so");
    fs::copy(cdylib::c_plugin(), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let Some(output) = as_somebody_else(folder.path(), &["plugins", "list", "--json"]) else {
        println!("skipped: root reads all, and there is no `setpriv` to be somebody else with");
        return None;
    };
    let listing: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let said = entry(&listing, &path)["reason"].as_str().unwrap_or_default();
    assert!(said.starts_with("cannot be read: Permission denied"), "{listing:#}");
    assert_eq!(entry(&listing, &folder.path().join("good.so"))["state"], "usable", "{listing:#}");
    Some(line(&path, said, Vec::new()))
}

/// Runs the command as a user who is not root, from a place where everybody may read it; `None` where that cannot be.
fn as_somebody_else(folder: &Path, arguments: &[&str]) -> Option<Output> {
    let command: PathBuf = folder.join("mlflow-deploy");
    fs::copy(cdylib::command(), &command).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let mut run = if rustix::process::geteuid().is_root() {
        let mut run = Command::new("setpriv");
        run.args(["--reuid=54321", "--regid=54321", "--clear-groups"]).arg(&command);
        run
    } else {
        Command::new(&command)
    };
    let run = run.args(arguments).arg("--plugin-dir").arg(folder).env("MLFLOW_DEPLOY_PLUGIN_PATH_ONLY", "1").output();
    run.ok()
}
