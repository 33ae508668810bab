//! Checks the warnings that the library prints to stderr. A process prints each warning only once, so each case runs in
//! a new process of this test binary.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use mlflow_deploy::{Host, HostBuilder, blocking};
use mlflow_deploy_test_support::cdylib;

/// The environment variable with the name of the case that the test binary runs.
const CASE: &str = "LIBRARY_WARNINGS_CASE";

/// The name of the test that runs a case in a new process.
const PROGRAM: &str = "library_warnings::program_loads_plugins_that_its_group_can_change";

/// Creates a plugin that its group can change. The library warns about such a plugin.
fn group_writable(folder: &Path, name: &str) {
    let file = folder.join(name);
    fs::copy(cdylib::path("mlflow-deploy-example-echo"), &file).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
}

/// Loads two copies of a plugin, with the host that the environment variable [`CASE`] selects.
#[test]
fn program_loads_plugins_that_its_group_can_change() {
    let Ok(case) = env::var(CASE) else { return };
    for name in ["one.so", "two.so"] {
        let builder = Host::builder().plugin(Path::new(&env::var("FOLDER").unwrap()).join(name));
        let host = match case.as_str() {
            "listener" => builder.on_event(|event| println!("heard: {}", event.event.message)),
            "quiet" => builder.quiet(),
            _ => builder,
        };
        open(host);
    }
}

fn open(builder: HostBuilder) {
    let host = builder.build();
    blocking::wait(host.get_deploy_client(Some("echo"))).unwrap();
}

/// Runs a case in a new process. Returns the process's stdout and stderr.
fn run(case: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    ["one.so", "two.so"].iter().for_each(|name| group_writable(folder.path(), name));
    let mut run = Command::new(env::current_exe().unwrap());
    let run = run.args(["--exact", PROGRAM, "--nocapture"]).env(CASE, case).env("FOLDER", folder.path());
    let output = run.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(folder.path().to_str().unwrap(), "FOLDER");
    (text(output.stdout), text(output.stderr))
}

#[test]
fn program_without_a_listener_gets_a_kind_of_warning_once() {
    let (_, stderr) = run("nothing set up");
    let warning = "warning: `FOLDER/one.so` can be changed by its group: `chmod g-w FOLDER/one.so` (plugin echo; printed \
                   once per kind)\n";
    assert_eq!(stderr, warning);
}

#[test]
fn quiet_host_and_host_with_a_listener_print_nothing() {
    assert_eq!(run("quiet").1, "");
    let (stdout, stderr) = run("listener");
    assert_eq!((stdout.matches("can be changed by its group").count(), stderr.as_str()), (2, ""), "{stdout}");
}
