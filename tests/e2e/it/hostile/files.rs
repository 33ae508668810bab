//! Checks that the host reports files that are not plugins and faulty plugins, and that a good plugin still replies.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use mlflow_deploy::args::ListEndpoints;
use mlflow_deploy::{Host, blocking};
use mlflow_deploy_test_support::{broken, cdylib};
use serde_json::Value;

use super::case::print_row;
use crate::command::mlflow_deploy;

const ECHO: &str = "mlflow-deploy-example-echo";

/// Defines one test function for each named file. The files are those of `broken::all` and `broken::unloadable`.
macro_rules! files {
    ($($name:ident: $file:literal;)*) => {
        const TESTED: &[&str] = &[$($file),*];

        $(
            #[test]
            fn $name() {
                check($file);
            }
        )*
    };
}

files! {
    a_text_file_is_rejected: "text";
    an_empty_file_is_rejected: "empty";
    a_truncated_header_is_rejected: "header-cut-off";
    a_truncated_library_is_rejected: "cut-off";
    garbage_after_the_magic_is_rejected: "garbage";
    a_program_is_rejected: "program";
    a_library_for_another_processor_is_rejected: "other-processor";
    a_32_bit_library_is_rejected: "32-bit";
    a_truncated_segment_is_rejected: "segment-cut-off";
    a_mach_o_library_is_rejected: "mach-o";
    a_manifest_beyond_the_end_is_rejected: "beyond-the-end";
    a_manifest_above_the_limit_is_rejected: "too-large";
    a_manifest_of_64_mib_is_rejected: "64-mib";
    two_manifests_are_rejected: "twice";
    a_duplicate_member_is_rejected: "member-twice";
    a_deeply_nested_manifest_is_rejected: "nested";
    a_manifest_that_is_not_json_is_rejected: "not-json";
    an_incomplete_manifest_is_rejected: "incomplete";
    a_manifest_of_version_2_is_rejected: "version-2";
    an_invalid_name_is_rejected: "bad-name";
    a_manifest_without_a_scheme_is_rejected: "no-scheme";
    an_upper_case_scheme_is_rejected: "upper-case";
    a_manifest_of_abi_0_is_rejected: "abi-0";
    a_manifest_of_abi_2_is_rejected: "abi-2";
    a_library_for_another_libc_is_rejected: "other-libc";
    a_world_writable_library_is_rejected: "world-writable";
    a_dangling_link_is_rejected: "dangling";
    a_link_to_itself_is_rejected: "ring";
    a_socket_is_rejected: "socket";
    a_directory_is_rejected: "directory";
    a_pipe_is_rejected: "pipe";
    a_missing_dependency_is_a_load_error: "no-dependency";
    a_newer_libc_version_is_a_load_error: "too-new";
    a_library_without_segments_is_a_load_error: "no-segments";
    a_library_without_an_entry_point_is_a_load_error: "no-entry";
    an_undefined_symbol_is_a_load_error: "undefined-symbol";
}

/// Loads a file into the host's process, and into a separate process. Asserts that both loads fail for the expected
/// reason, and that a good plugin still replies afterwards.
fn check(file: &str) {
    let folder = tempfile::tempdir().unwrap();
    let broken = [broken::all(folder.path()), broken::unloadable(folder.path())].concat();
    let (path, reason) = broken.iter().find(|(path, _)| stem(path) == file).unwrap();
    let host = Host::builder().search_path([folder.path()]).plugin(cdylib::path(ECHO)).build();
    let client = blocking::DeployClient::from(blocking::wait(host.get_deploy_client(Some("echo"))).unwrap());
    let host = || Host::builder().search_path([folder.path()]).plugin(path);
    let isolated = host().isolate_all().plugin_host(cdylib::program("mlflow-deploy-plugin-host"));
    let load = |host: Host| blocking::wait(host.get_deploy_client(Some("c-echo"))).unwrap_err().to_string();
    let errors = [load(host().build()), load(isolated.build())];
    print_row(file, &errors[0].replace(&*path.to_string_lossy(), "FILE"), "yes", "yes");
    for error in errors {
        assert!(error.contains(reason), "expected `{reason}`, got `{error}`");
    }
    assert_eq!(client.list_endpoints(ListEndpoints {}).unwrap().bytes(), br#"[{"name":"echo"}]"#);
}

#[test]
fn every_broken_file_has_a_test() {
    let folder = tempfile::tempdir().unwrap();
    let broken = [broken::all(folder.path()), broken::unloadable(folder.path())].concat();
    let mut files: Vec<_> = broken.iter().map(|(path, _)| stem(path)).collect();
    let mut tested: Vec<_> = TESTED.iter().map(|file| (*file).to_owned()).collect();
    files.sort();
    tested.sort();
    assert_eq!(tested, files);
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

fn copy_good_plugin(folder: &Path) {
    fs::copy(cdylib::path(ECHO), folder.join("good.so")).unwrap();
}

/// Returns the entry for the file `path` in the output of `plugins list` or `plugins doctor`.
fn entry<'a>(listing: &'a Value, path: &Path) -> &'a Value {
    let entries = listing["plugins"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["file"].as_str() == path.to_str());
    entry.unwrap_or_else(|| panic!("{} is not listed: {listing:#}", path.display()))
}

fn diagnosis(folder: &Path) -> Value {
    let ran = mlflow_deploy("plugins doctor --json").plugin_dir(folder).run();
    assert_eq!((ran.code, ran.stderr.contains("cannot be used")), (3, true), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

fn check_good_plugin(folder: &Path) {
    let ran = mlflow_deploy("list-endpoints --json -t echo").plugin_dir(folder).run();
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "[{\"name\":\"echo\"}]\n", ""));
}

#[test]
fn list_and_doctor_report_broken_files_without_loading_them() {
    let folder = tempfile::tempdir().unwrap();
    let rejected = broken::all(folder.path());
    let unloadable = broken::unloadable(folder.path());
    copy_good_plugin(folder.path());
    let listing = mlflow_deploy("plugins list --json").plugin_dir(folder.path()).run().json();
    let diagnosis = diagnosis(folder.path());
    assert_eq!(entry(&diagnosis, &folder.path().join("good.so"))["state"], "ready", "{diagnosis:#}");
    for (path, reason) in &rejected {
        let (listed, diagnosed) = (entry(&listing, path), entry(&diagnosis, path));
        let message = listed["reason"].as_str().unwrap_or_default();
        assert!(message.contains(reason), "{}: expected `{reason}`, got `{message}`", path.display());
        assert_eq!((&listed["state"], &diagnosed["state"]), (&"refused".into(), &"refused".into()));
        let opened = mlflow_deploy("list-endpoints -t c-echo --plugin").arg(path).run();
        assert_eq!((opened.code, opened.stderr.contains(message)), (3, true), "{opened:?}");
    }
    for (path, reason) in unloadable.iter().filter(|(_, reason)| reason.starts_with("needs ")) {
        let diagnosed = entry(&diagnosis, path);
        let message = diagnosed["reason"].as_str().unwrap_or_default();
        assert!(message.contains(reason) && diagnosed["fix"].is_string(), "expected `{reason}`, got {diagnosed:#}");
    }
    check_good_plugin(folder.path());
}

#[test]
fn constructors_run_only_for_a_call_of_their_own_target() {
    let folder = tempfile::tempdir().unwrap();
    let constructors = broken::constructors(folder.path());
    copy_good_plugin(folder.path());
    let ran = mlflow_deploy("plugins list --json").plugin_dir(folder.path()).run();
    let listing = ran.json();
    let _diagnosis = diagnosis(folder.path());
    for (path, fault) in &constructors {
        let reason = match *fault {
            "crash" => "its process was killed by signal 11 (SIGSEGV) during loading",
            _ => "did not finish loading within 10 s",
        };
        assert_ne!(entry(&listing, path)["state"], "refused", "{listing:#}");
        let which = mlflow_deploy("plugins which c-echo --plugin").arg(path).run();
        assert_eq!(which.code, 0, "{which:?}");
        let opened = mlflow_deploy("list-endpoints -t c-echo --plugin").arg(path).run();
        assert_eq!((opened.code, opened.stdout.as_str()), (3, ""), "{fault}: {opened:?}");
        assert!(opened.stderr.contains(reason), "{fault}: {opened:?}");
        check_good_plugin(folder.path());
    }
}

/// The host may read the file while it is incomplete or replaced, and must not crash.
#[test]
fn a_file_that_changes_during_discovery_is_survived() {
    const LISTINGS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    copy_good_plugin(folder.path());
    let whole = fs::read(cdylib::c_plugin()).unwrap();
    let (path, stop) = (folder.path().join("changing.so"), AtomicBool::new(false));
    fs::write(&path, &whole).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // Truncated, whole, then replaced by another file.
                fs::write(&path, &whole[..whole.len() * (round % 7) / 7]).unwrap();
                fs::write(&path, &whole).unwrap();
                let other = path.with_extension("new");
                fs::write(&other, "no library at all, and long enough to be looked at").unwrap();
                fs::rename(&other, &path).unwrap();
            }
        });
        let mut states: Vec<_> = (0..LISTINGS)
            .map(|_| {
                let listing = mlflow_deploy("plugins list --json").plugin_dir(folder.path()).run().json();
                assert_eq!(entry(&listing, &folder.path().join("good.so"))["state"], "usable", "{listing:#}");
                let changing = entry(&listing, &path);
                changing["reason"].as_str().unwrap_or("usable").to_owned()
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        states.sort();
        states.dedup();
        print_row("changing", &states.join(" / "), "yes", "yes");
    });
    check_good_plugin(folder.path());
}

#[test]
fn an_unreadable_file_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    copy_good_plugin(folder.path());
    let path = folder.path().join("unreadable.so");
    fs::copy(cdylib::c_plugin(), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let Some(output) = run_unprivileged(folder.path(), &["plugins", "list", "--json"]) else {
        println!("skipped: root can read every file, and `setpriv` is not installed");
        return;
    };
    let listing: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let message = entry(&listing, &path)["reason"].as_str().unwrap_or_default();
    assert!(message.starts_with("cannot be read: Permission denied"), "{listing:#}");
    assert_eq!(entry(&listing, &folder.path().join("good.so"))["state"], "usable", "{listing:#}");
    print_row("unreadable", message, "yes", "yes");
}

/// Runs a copy of the command without root privileges. Returns `None` if the copy cannot be started.
fn run_unprivileged(folder: &Path, arguments: &[&str]) -> Option<Output> {
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
