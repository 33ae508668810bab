//! The tests of MLflow's `deployments/test_cli.py`, repeated with this project's command. They check its standard
//! output.

use std::fs;

use crate::command::{Ran, mlflow_deploy};

fn run(arguments: &str) -> Ran {
    mlflow_deploy(arguments).plugin("mlflow-deploy-fixture-faketarget").run()
}

fn prints(arguments: &str, expected: &[&str]) {
    let ran = run(arguments);
    assert_eq!(ran.code, 0, "{ran:?}");
    for words in expected {
        assert!(ran.stdout.contains(words), "`{words}` is not in {ran:?}");
    }
}

#[test]
fn test_create() {
    let created = ["fake_flavor deployment fake_deployment_name is created"];
    prints("create --flavor fake_flavor --model-uri u --target faketarget --name fake_deployment_name", &created);
    prints("create -f fake_flavor -m u -t faketarget --name fake_deployment_name", &created);
}

#[test]
fn test_update() {
    prints("update -f fake_flavor -m u -t faketarget --name n", &["Deployment n is updated (with flavor fake_flavor)"]);
    prints("update -m u -t faketarget --name n", &["Deployment n is updated\n"]);
}

#[test]
fn test_delete_list_get() {
    prints("delete -t faketarget --name n", &["Deployment n is deleted"]);
    prints("list -t faketarget", &["[{\"name\":\"fake_deployment_name\"}]"]);
    prints("get -t faketarget --name n", &["key1: val1", "key2: val2"]);
}

#[test]
fn test_create_and_delete_with_custom_args() {
    for verb in ["create -m u", "delete"] {
        let ran = run(&format!("{verb} -t faketarget --name n -C raiseError=True"));
        assert_eq!((ran.code, ran.stderr.as_str()), (1, "error: Error requested\n"));
    }
}

#[test]
fn test_predict() {
    let folder = tempfile::tempdir().unwrap();
    let (inputs, output) = (folder.path().join("in.json"), folder.path().join("out.json"));
    fs::write(&inputs, r#"{"data": [5000]}"#).unwrap();
    prints(&format!("predict -t faketarget --name n -I {}", inputs.display()), &["{\"predictions\":[1,2,3]}"]);
    let written = run(&format!("predict -t faketarget --name n -I {} -O {}", inputs.display(), output.display()));
    assert_eq!((written.code, written.stdout.as_str()), (0, ""));
    assert_eq!(fs::read_to_string(output).unwrap(), "{\"predictions\":[1,2,3]}");
    prints(&format!("explain -t faketarget --name n -I {}", inputs.display()), &["1"]);
}

#[test]
fn test_target_help() {
    prints("help -t faketarget", &["Target help is called"]);
}

#[test]
fn test_run_local() {
    let ran = run("run-local -f fake_flavor -m brief -t faketarget --name n");
    let said = "Deployed locally at the key n using the model from brief. It's flavor is fake_flavor and config is {}";
    assert!(ran.code == 0 && ran.stderr.contains(said), "{ran:?}");
}
