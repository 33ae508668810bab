//! Tests of the command with the plugin `ray` and a fake of a Ray cluster.

use std::path::Path;

use mlflow_deploy_test_support::ray::Ray;
use serde_json::{Value, json};

use crate::command::{Run, mlflow_deploy};

fn command(cluster: &Ray, arguments: &str) -> Run {
    let run = mlflow_deploy(arguments).plugin("mlflow-deploy-ray").arg("-t").arg(cluster.target()).arg("--json");
    run.arg("--option").arg("poll_interval=0.05").env("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
}

/// Writes the model of a deployment to a folder.
fn save_model(folder: &Path) {
    let text = "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    python_version: 3.11.7\n";
    std::fs::write(folder.join("MLmodel"), text).unwrap();
}

#[test]
fn command_deploys_and_predicts_in_process_and_isolated() {
    let folder = tempfile::tempdir().unwrap();
    save_model(folder.path());
    for mode in ["", "--isolate"] {
        let cluster = Ray::start();
        let run = |arguments: &str| command(&cluster, &format!("{arguments} {mode}"));
        let create = run("create --name iris -C num_replicas=2 -C .env.TOKEN=s3cret-of-the-env -C num_cpus=0.5");
        let created = create.arg("-m").arg(folder.path().display().to_string()).run();
        assert_eq!((created.code, &created.json()["status"]), (0, &json!("RUNNING")), "{created:?}");
        let sent = &cluster.changes()[0]["applications"][0];
        assert_eq!(sent["deployments"][0]["num_replicas"], 2);
        assert_eq!(sent["runtime_env"]["env_vars"]["TOKEN"], "s3cret-of-the-env");
        assert!(!format!("{created:?}").contains("s3cret"), "{created:?}");
        let answer = run("predict --name iris -I - --content-type csv").stdin("a,b\n1,2\n").run();
        assert_eq!(answer.json(), json!({"predictions": [0, 1]}), "{answer:?}");
        assert_eq!(cluster.requests().pop().unwrap().text(), "a,b\n1,2\n", "CSV is sent as it is");
        assert_eq!(run("update --name iris -C num_replicas=3").run().json()["replicas_wanted"], 3);
        let listed = run("list").run().json();
        assert_eq!((&listed[0]["name"], &listed[0]["managed"]), (&json!("iris"), &json!(true)));
        assert_eq!((run("delete --name iris").run().code, run("list").run().json()), (0, json!([])));
        assert_eq!(run("get --name iris").run().code, 5);
    }
}

#[test]
fn failed_deployment_shows_the_traceback() {
    let folder = tempfile::tempdir().unwrap();
    save_model(folder.path());
    let cluster = Ray::start();
    let failed = command(&cluster, "create --name bad-model").arg("-m").arg(folder.path().display().to_string()).run();
    let last: Value = serde_json::from_str(failed.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((failed.code, &last["error"]["code"]), (1, &json!("DEPLOYMENT_FAILED")), "{failed:?}");
    assert!(last["error"]["causes"][0].as_str().unwrap().contains("Traceback (most recent call last)"), "{failed:?}");
    assert_eq!(command(&cluster, "list").run().json(), json!([]));
}

#[test]
fn wrong_addresses_name_the_port_of_the_dashboard() {
    for target in ["ray://127.0.0.1:10001", "ray://127.0.0.1:6379", "ray://127.0.0.1:9"] {
        let ran = mlflow_deploy(&format!("list -t {target} --option max_retries=0")).plugin("mlflow-deploy-ray").run();
        assert!(ran.code != 0 && ran.stderr.contains("8265"), "{ran:?}");
    }
    for address in ["auto", "ray://head:10001", "head:6379"] {
        let ran = mlflow_deploy("list -t ray").plugin("mlflow-deploy-ray").env("RAY_ADDRESS", address).run();
        assert!(
            ran.code == 2 && ran.stderr.contains("`RAY_ADDRESS` is") && ran.stderr.contains("port 8265"),
            "{ran:?}"
        );
    }
}
