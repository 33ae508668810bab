//! Runs the transcripts of commands in `cmd/`, one per file, and compares their output. They cover the help, successes
//! and failures of every verb.
//!
//! `TRYCMD=overwrite cargo test -p mlflow-deploy-e2e transcripts` replaces the transcripts by the current output.

use std::fs;

use mlflow_deploy::manifest::TARGET;
use mlflow_deploy_test_support::cdylib;

/// Runs the transcripts that match a pattern. They share a search path and a configuration.
fn run_transcripts(pattern: &str) {
    let (plugins, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = plugins.path().join("faketarget.so");
    fs::copy(cdylib::path("mlflow-deploy-fixture-faketarget"), library).unwrap();
    let cases = trycmd::TestCases::new();
    cases
        .register_bin("mlflow-deploy", cdylib::command())
        .env("MLFLOW_DEPLOY_PLUGIN_PATH_ONLY", "1")
        .env("MLFLOW_DEPLOYMENTS_TARGET", "")
        // Without the user's configuration and preflight results.
        .env("XDG_CONFIG_HOME", state.path().to_str().unwrap())
        .env("XDG_STATE_HOME", state.path().to_str().unwrap())
        .env("MLFLOW_DEPLOY_PLUGIN_PATH", plugins.path().to_str().unwrap())
        .insert_var("[PLUGINS]", plugins.path().to_str().unwrap().to_owned())
        .unwrap()
        .insert_var("[CONFIG]", state.path().to_str().unwrap().to_owned())
        .unwrap()
        .insert_var("[TARGET]", TARGET)
        .unwrap();
    cases.case(pattern);
}

#[test]
fn transcripts() {
    run_transcripts("cmd/*.trycmd");
}

/// These transcripts change the configuration, so the others do not share it.
#[test]
fn transcripts_of_targets() {
    run_transcripts("cmd/targets/*.trycmd");
}
