//! Where a plugin runs, and who says so, is seen before it is loaded.

use std::fs;
use std::path::Path;

use mlflow_deploy::{CandidateState, Host, IsolatedBy, Refusal};
use mlflow_deploy_test_support::{broken, cdylib};

use super::HERMIT;
use crate::command::mlflow_deploy;

const ECHO: &str = "mlflow-deploy-example-echo";

/// What the three verbs say of the plugin of a target, as text and as JSON.
fn said(arguments: &str, target: &str, plugin: &Path, config: &Path) -> [Option<String>; 6] {
    let run = |verb: &str| {
        let run = mlflow_deploy(&format!("plugins {verb} {arguments}")).env("XDG_CONFIG_HOME", config);
        run.arg("--plugin").arg(plugin).run()
    };
    let text = |verb: &str| {
        let ran = run(verb);
        assert_eq!(ran.code, 0, "{ran:?}");
        let line = ran.stdout.lines().find_map(|line| line.split_once("a process of its own, for "));
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
fn a_plugin_that_is_isolated_is_shown_with_who_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("mlflow-deploy/config.toml");
    fs::create_dir(config.parent().unwrap()).unwrap();
    let (echo, hermit) = (cdylib::path(ECHO), cdylib::path(HERMIT));
    let expect = |arguments: &str, target: &str, plugin: &Path, why: Option<&str>| {
        let why = why.map(str::to_owned);
        assert_eq!(said(arguments, target, plugin, folder.path()), [(); 6].map(|()| why.clone()), "{target}");
    };
    expect("", "echo", echo, None);
    expect("--isolate", "echo", echo, Some("every plugin is to (`--isolate`)"));
    expect("--isolate", "hermit", hermit, Some("its manifest requires it"));
    fs::write(&config, "[plugins.echo]\nisolation = 'process'\n").unwrap();
    expect("", "echo", echo, Some(&format!("`{}` says so", config.display())));
    expect("", "hermit", hermit, Some("its manifest requires it"));
    let abort = &broken::isolated(folder.path())[0].0;
    let why = "it was built with `panic = \"abort\"`, and a panic in it would end this one";
    expect("", "c-echo", abort, Some(why));
}

#[test]
fn one_that_cannot_be_is_refused() {
    let run = |verb: &str| {
        let run = mlflow_deploy(&format!("plugins {verb} --isolate --json")).plugin(ECHO);
        run.env("MLFLOW_DEPLOY_PLUGIN_HOST", "/no/program").run()
    };
    let listed = run("list").json();
    assert_eq!(listed["plugins"][0]["state"], "refused", "{listed:#}");
    let ran = run("doctor");
    assert!(ran.code == 3 && ran.stdout.contains("install `mlflow-deploy-plugin-host`, or name it in"), "{ran:?}");
}

#[test]
fn a_program_learns_it_too() {
    let host = || Host::builder().plugin(cdylib::path(ECHO));
    let program = cdylib::program("mlflow-deploy-plugin-host");
    let isolated_by = |host: Host| host.discover().candidates[0].isolated_by().cloned();
    assert_eq!(isolated_by(host().build()), None);
    assert_eq!(isolated_by(host().isolate(["echo"]).plugin_host(program).build()), Some(IsolatedBy::Named));
    assert_eq!(isolated_by(host().isolate_all().plugin_host(program).build()), Some(IsolatedBy::All));
    let candidate = &host().isolate_all().plugin_host("/no/program").build().discover().candidates[0];
    assert!(
        matches!(&candidate.state, CandidateState::Refused(Refusal::NeedsIsolation { .. })),
        "{:?}",
        candidate.state
    );
}
