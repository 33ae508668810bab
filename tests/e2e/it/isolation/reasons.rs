//! Checks that `plugins list`, `which` and `doctor` show the plugins that the host isolates and the reason for each,
//! without loading a plugin.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use mlflow_deploy::{CandidateState, Host, IsolatedBy, LoadError};
use mlflow_deploy_test_support::{broken, cdylib};
use rustix::process::geteuid;

use super::HERMIT;
use crate::command::{Ran, mlflow_deploy};

const ECHO: &str = "mlflow-deploy-example-echo";

/// Returns the reason for a plugin's isolation as `plugins list`, `which` and `doctor` show it, first in text and then
/// in JSON. A reason is `None` if the verb shows none.
fn isolation_reasons(arguments: &str, target: &str, plugin: &Path, config: &Path) -> [Option<String>; 6] {
    let run = |verb: &str| {
        let run = mlflow_deploy(&format!("plugins {verb} {arguments}")).env("XDG_CONFIG_HOME", config);
        run.arg("--plugin").arg(plugin).run()
    };
    let text = |verb: &str| {
        let ran = run(verb);
        assert_eq!(ran.code, 0, "{ran:?}");
        let line = ran.stdout.lines().find_map(|line| line.split_once("its own process, because "));
        line.map(|(_, why)| why.to_owned())
    };
    let member = |verb: &str, at: &str| {
        let json = run(&format!("{verb} --json")).json();
        json.pointer(at).map(|why| why.as_str().unwrap().to_owned())
    };
    let which = format!("which {target}");
    [
        text("list"),
        text(&which),
        text("doctor"),
        member("list", "/plugins/0/isolated_by"),
        member(&which, "/isolated_by"),
        member("doctor", "/plugins/0/isolated_by"),
    ]
}

#[test]
fn configuration_of_an_unknown_plugin_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("mlflow-deploy/config.toml");
    fs::create_dir(config.parent().unwrap()).unwrap();
    let run = |verb: &str| mlflow_deploy(verb).env("XDG_CONFIG_HOME", folder.path()).plugin(ECHO).run();
    fs::write(&config, "[plugins.eco]\nisolation = 'process'\n[plugins.another]\n").unwrap();
    let file = config.display();
    let slip = format!("`{file}` configures the plugin `eco`, which is not found; did you mean `echo`?");
    let other = format!("`{file}` configures the plugin `another`, which is not found");
    let ran = run("list-endpoints -t echo");
    assert_eq!((ran.code, ran.stderr), (0, format!("warning: {slip} (plugin echo)\n")));
    assert_eq!(run("plugins list").stderr, format!("warning: {other}\nwarning: {slip}\n"));
    let diagnosis = run("plugins doctor");
    assert!(diagnosis.stdout.contains(&format!("warning: {other}\nwarning: {slip}\n")), "{diagnosis:?}");
    assert_eq!(run("plugins doctor --json").json()["configuration"][1], slip.as_str());
}

/// The command runs without root privileges, because root can read every file.
#[test]
fn unreadable_configuration_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config/mlflow-deploy/config.toml");
    let (command, plugin) = (folder.path().join("mlflow-deploy"), folder.path().join("plugins/echo.so"));
    for path in [&config, &plugin] {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
    }
    fs::write(&config, "[plugins.echo]\nisolation = 'process'\n").unwrap();
    fs::copy(cdylib::command(), &command).unwrap();
    fs::copy(cdylib::path(ECHO), &plugin).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let list = || {
        let mut run = Command::new(if geteuid().is_root() { "setpriv" } else { "env" });
        if geteuid().is_root() {
            run.args(["--reuid=54321", "--regid=54321", "--clear-groups"]);
        }
        run.arg(&command).args(["plugins", "list", "--plugin-dir"]).arg(plugin.parent().unwrap());
        Ran::from(run.env("XDG_CONFIG_HOME", folder.path().join("config")).output().unwrap())
    };
    fs::set_permissions(&config, Permissions::from_mode(0o000)).unwrap();
    let unread = list();
    let message =
        format!("error: the configuration `{}` cannot be used: Permission denied (os error 13)\n", config.display());
    assert_eq!((unread.code, unread.stderr), (2, message));
    fs::set_permissions(config.parent().unwrap(), Permissions::from_mode(0o000)).unwrap();
    let unseen = list();
    let message = format!("warning: `{}` is not read: access to its directory is denied", config.display());
    assert!(unseen.code == 0 && unseen.stderr.starts_with(&message), "{unseen:?}");
    fs::set_permissions(config.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn isolated_plugin_is_shown_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("mlflow-deploy/config.toml");
    fs::create_dir(config.parent().unwrap()).unwrap();
    let (echo, hermit) = (cdylib::path(ECHO), cdylib::path(HERMIT));
    let expect = |arguments: &str, target: &str, plugin: &Path, why: Option<&str>| {
        let why = why.map(str::to_owned);
        assert_eq!(
            isolation_reasons(arguments, target, plugin, folder.path()),
            [(); 6].map(|()| why.clone()),
            "{target}"
        );
    };
    expect("", "echo", echo, None);
    expect("--isolate", "echo", echo, Some("all plugins are isolated"));
    expect("--isolate", "hermit", hermit, Some("its manifest requires it"));
    fs::write(&config, "[plugins.echo]\nisolation = 'process'\n").unwrap();
    expect("", "echo", echo, Some(&format!("`{}` requires it", config.display())));
    expect("", "hermit", hermit, Some("its manifest requires it"));
    let abort = &broken::isolated(folder.path())[0].0;
    let why = "it was built with `panic = \"abort\"`, and a panic would end the host";
    expect("", "c-echo", abort, Some(why));
}

#[test]
fn plugin_that_cannot_be_isolated_is_rejected() {
    let run = |verb: &str| {
        let run = mlflow_deploy(&format!("plugins {verb} --isolate --json")).plugin(ECHO);
        run.env("MLFLOW_DEPLOY_PLUGIN_HOST", "/no/program").run()
    };
    let listed = run("list").json();
    assert_eq!(listed["plugins"][0]["state"], "refused", "{listed:#}");
    let ran = run("doctor");
    assert!(
        ran.code == 3 && ran.stdout.contains("install `mlflow-deploy-plugin-host`, or set `MLFLOW_DEPLOY_PLUGIN_HOST`"),
        "{ran:?}"
    );
}

#[test]
fn library_reports_the_reason_for_isolation() {
    let host = || Host::builder().plugin(cdylib::path(ECHO));
    let program = cdylib::program("mlflow-deploy-plugin-host");
    let isolated_by = |host: Host| host.discover().candidates[0].isolated_by().cloned();
    assert_eq!(isolated_by(host().build()), None);
    assert_eq!(isolated_by(host().isolate(["echo"]).plugin_host(program).build()), Some(IsolatedBy::Named));
    assert_eq!(isolated_by(host().isolate_all().plugin_host(program).build()), Some(IsolatedBy::All));
    let candidate = &host().isolate_all().plugin_host("/no/program").build().discover().candidates[0];
    assert!(
        matches!(&candidate.state, CandidateState::Refused(LoadError::NeedsIsolation { .. })),
        "{:?}",
        candidate.state
    );
}
