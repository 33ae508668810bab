//! Checks named targets in programs that use the library.

use std::process::Command;

use mlflow_deploy_test_support::cdylib;

use super::fixture::{ECHO, FAKETARGET, HERMIT, Home};
use crate::command::Ran;

const SECRET: &str = "S3CR3T-library-0123456789";

fn program(home: &Home, name: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new(cdylib::program(name));
    command.env_clear().env("HOME", home.path()).env("THE_TOKEN", SECRET).current_dir(home.path()).args(arguments);
    Ran::from(command.output().unwrap())
}

#[test]
fn a_host_with_the_user_configuration_takes_names() {
    let home = Home::new(
        "[targets.mine]\nuri = 'mirror://x'\n[targets.leaky]\nuri = 'hermit'\n[targets.leaky.options]\nkey = { env = 'THE_TOKEN' }\n",
    );
    let plugin = |package: &str| cdylib::path(package).to_str().unwrap();
    let ran = program(&home, "named_target_fixture", &["mine", "e", plugin(FAKETARGET)]);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(&lines[..2], ["current: mine", "target: mine mirror://x"], "{ran:?}");
    assert!(lines[2].starts_with("predict: ") && lines[3].contains("\"ready\""), "{ran:?}");
    let ran = program(&home, "named_target_fixture", &["leaky", "leak", plugin(HERMIT)]);
    assert!(ran.stdout.contains("predict: INTERNAL_ERROR failed with the options {\"key\":\"<redacted>\"}"), "{ran:?}");
    assert!(ran.stderr.contains("Warn: the options are {\"key\":\"<redacted>\"}"), "{ran:?}");
    assert!(!format!("{ran:?}").contains("S3CR3T"), "{ran:?}");
}

#[test]
fn the_functions_of_the_module_take_names() {
    let home = Home::new("[targets.mine]\nuri = 'echo'\n");
    for blocking in [&[][..], &["--blocking"]] {
        let mut command = Command::new(cdylib::program("embed-host"));
        command.env_clear().env("HOME", home.path()).env("MLFLOW_DEPLOY_PLUGIN_PATH_ONLY", "1").args(blocking);
        command.env("MLFLOW_DEPLOY_PLUGIN_PATH", home.outside("")).args(["mine", "e"]);
        std::fs::copy(cdylib::path(ECHO), home.outside("libecho.so")).unwrap();
        let ran = Ran::from(command.stdin(std::process::Stdio::null()).output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{blocking:?}");
    }
}

#[test]
fn one_host_runs_a_plugin_inside_and_apart() {
    let home = Home::new("[targets.inside]\nuri = 'echo'\n[targets.apart]\nuri = 'echo'\nisolation = 'process'\n");
    let plugin = cdylib::path(ECHO).to_str().unwrap();
    let ran = program(&home, "named_target_fixture", &["inside,apart,inside,apart", "e", plugin]);
    assert_eq!(ran.stdout.matches("predict: 1\n").count(), 4, "{ran:?}");
    for message in ["the plugin runs in this process", "the plugin runs in its own process: "] {
        assert_eq!(ran.stderr.matches(message).count(), 1, "{ran:?}");
    }
}
