//! Checks the command with the plugin `v2` and scripted servers of the Open Inference Protocol. `make test-v2` asks the
//! real ones.

use mlflow_deploy_test_support::cdylib;
use mlflow_deploy_test_support::server::Server;
use mlflow_deploy_test_support::v2::{self, V2Kind};
use serde_json::{Value, json};

use crate::command::{Run, mlflow_deploy};

const KINDS: [V2Kind; 3] = [V2Kind::KServe, V2Kind::MlServer, V2Kind::Triton];

const FLOWERS: &str = r#"{"dataframe_split": {
    "columns": ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"],
    "data": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}}"#;

fn ask(server: &Server, arguments: &str) -> Run {
    mlflow_deploy(arguments).arg("-t").arg(format!("v2+{}", server.url())).arg("--json").plugin("mlflow-deploy-v2")
}

fn names(records: &Value) -> Vec<&str> {
    records.as_array().unwrap().iter().map(|record| record["name"].as_str().unwrap()).collect()
}

#[test]
fn models_of_every_server_are_listed_described_and_asked() {
    for kind in KINDS {
        let server = v2::start(kind);
        assert_eq!(names(&ask(&server, "list").run().json()), ["iris", "slow"], "{kind:?}");
        let record = ask(&server, "get --name iris").run().json();
        assert_eq!((&record["name"], &record["ready"]), (&json!("iris"), &json!(true)), "{kind:?}");
        let answer = ask(&server, "predict --name iris -I -").stdin(FLOWERS).run();
        assert_eq!((answer.code, answer.json()), (0, json!({"predictions": [0, 1]})), "{kind:?}");
        for arguments in ["get --name nope", "predict --name nope -I -"] {
            let missing = ask(&server, arguments).stdin(FLOWERS).run();
            let code = missing.error()["code"].clone();
            assert_eq!((missing.code, code), (5, json!("RESOURCE_DOES_NOT_EXIST")), "{kind:?} {missing:?}");
        }
    }
}

#[test]
fn a_server_with_a_repository_loads_and_unloads_models() {
    for kind in [V2Kind::MlServer, V2Kind::Triton] {
        let server = v2::start(kind);
        ask(&server, "create --name second -m repository:second").run().json();
        assert_eq!(names(&ask(&server, "list").run().json()), ["iris", "second", "slow"], "{kind:?}");
        let again = ask(&server, "create --name second -m repository:second").run();
        assert_eq!(again.error()["code"], "RESOURCE_ALREADY_EXISTS", "{again:?}");
        ask(&server, "update --name second").run().json();
        assert_eq!(ask(&server, "delete --name second").run().code, 0);
        assert_eq!(names(&ask(&server, "list").run().json()), ["iris", "slow"], "{kind:?}");
        let index = ask(&server, "invoke repository-index").run().json();
        assert_eq!(names(&index), ["iris", "second", "slow"], "{kind:?}");
    }
}

#[test]
fn an_onnx_model_is_sent_to_triton() {
    let server = v2::start(V2Kind::Triton);
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/iris/model");
    let created = ask(&server, "create --name flowers").arg("-m").arg(model).run().json();
    assert_eq!(created, json!({"name": "flowers", "flavor": "onnx", "state": "READY"}));
    let load = server.requests().into_iter().find(|request| request.path.ends_with("/flowers/load")).unwrap();
    let body: Value = serde_json::from_slice(&load.body).unwrap();
    let parameters: Vec<_> = body["parameters"].as_object().unwrap().keys().collect();
    assert_eq!(parameters, ["config", "file:1/model.onnx"]);
    let answer = ask(&server, "predict --name flowers -I -").stdin(FLOWERS).run().json();
    assert_eq!(answer, json!({"predictions": [0, 1]}));
}

#[test]
fn a_server_without_a_repository_says_why_it_loads_no_model() {
    let server = v2::start(V2Kind::KServe);
    for arguments in ["create --name a -m repository:a", "update --name iris", "delete --name iris"] {
        let refused = ask(&server, arguments).run();
        let error = refused.error();
        assert_eq!((refused.code, &error["code"]), (1, &json!("NOT_IMPLEMENTED")), "{refused:?}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("the server `kserve` 0.21.0 has no model repository"), "{message}");
    }
}

#[test]
fn nulls_are_refused_by_name() {
    let server = v2::start(V2Kind::MlServer);
    let inputs = FLOWERS.replace("3.0", "null");
    let refused = ask(&server, "predict --name iris -I -").stdin(inputs).run();
    let message = refused.error()["message"].clone();
    let expected = "input `sepal width (cm)`, row 1: the value is missing (`null` or `NaN`)";
    assert!(refused.code == 2 && message.as_str().unwrap().starts_with(expected), "{refused:?}");
}

#[test]
fn every_scheme_selects_the_plugin() {
    for scheme in ["v2", "v2+https", "mlserver", "mlserver+http", "triton", "triton+https"] {
        let ran = mlflow_deploy(&format!("plugins which {scheme}")).plugin("mlflow-deploy-v2").run();
        assert!(ran.stdout.contains(cdylib::path("mlflow-deploy-v2").to_str().unwrap()), "{scheme} {ran:?}");
    }
    let port = v2::start(V2Kind::MlServer).url().rsplit_once(':').map(|(_, port)| port.to_owned()).unwrap();
    let ran = mlflow_deploy(&format!("list -t v2+https://127.0.0.1:{port} --option max_retries:=0"));
    let ran = ran.plugin("mlflow-deploy-v2").run();
    assert!(ran.code == 1 && ran.stderr.contains(&format!("https://127.0.0.1:{port}")), "{ran:?}");
}
