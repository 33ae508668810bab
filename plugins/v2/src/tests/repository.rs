//! Tests the operations that list, load and unload models.

use std::fs;
use std::path::Path;

use super::*;

fn names(list: &Payload) -> Vec<String> {
    let records: Vec<Value> = list.json().unwrap();
    records.iter().map(|record| record["name"].as_str().unwrap().to_owned()).collect()
}

async fn list(client: &V2) -> Vec<String> {
    names(&client.list_deployments(ListDeployments::all()).await.unwrap())
}

/// Writes an ONNX model of MLflow to `folder`, with a file of external data.
fn onnx_model(folder: &Path) -> String {
    let text = "flavors:\n  onnx:\n    data: model.onnx\n  python_function:\n    loader_module: mlflow.onnx\n";
    for (name, bytes) in
        [("MLmodel", text), ("model.onnx", "ONNX"), ("weights.data", "w"), ("requirements.txt", "mlflow")]
    {
        fs::write(folder.join(name), bytes).unwrap();
    }
    folder.display().to_string()
}

#[tokio::test]
async fn a_model_of_the_repository_is_loaded_and_unloaded() {
    for kind in [V2Kind::MlServer, V2Kind::Triton] {
        let server = v2::start(kind);
        let client = plain(&server);
        assert_eq!(list(&client).await, ["iris", "slow"]);
        let created = client.create_deployment(CreateDeployment::new("second", "repository:second")).await.unwrap();
        assert_eq!(text(&created), r#"{"name":"second","flavor":null,"state":"READY"}"#);
        assert_eq!(list(&client).await, ["iris", "second", "slow"]);
        let record: Value = client.get_deployment(GetDeployment::new("second")).await.unwrap().json().unwrap();
        assert_eq!((&record["name"], &record["ready"]), (&json!("second"), &json!(true)));
        assert!(record["inputs"].is_array());
        client.update_deployment(UpdateDeployment::new("second")).await.unwrap();
        for _ in 0..2 {
            client.delete_deployment(DeleteDeployment::new("second")).await.unwrap();
        }
        assert_eq!(list(&client).await, ["iris", "slow"]);
        let error = client.get_deployment(GetDeployment::new("second")).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
        let index = client.invoke(Invoke::new("repository-index")).await.unwrap();
        assert!(names(&index).contains(&"second".to_owned()), "{index:?}");
    }
}

#[tokio::test]
async fn an_mlflow_model_is_sent_to_triton() {
    let folder = tempfile::tempdir().unwrap();
    let model = onnx_model(folder.path());
    let server = v2::start(V2Kind::Triton);
    let client = plain(&server);
    let config = Config::new(&json!({"config": {"instance_group": [{"count": 2}]}})).unwrap();
    let created = client.create_deployment(CreateDeployment::new("sent", &model).with_config(config)).await.unwrap();
    assert_eq!(text(&created), r#"{"name":"sent","flavor":"onnx","state":"READY"}"#);
    let load = server.requests().into_iter().find(|request| request.path.ends_with("/load")).unwrap();
    let body: Value = serde_json::from_slice(&load.body).unwrap();
    let parameters = body["parameters"].as_object().unwrap();
    let files: Vec<_> = parameters.keys().map(String::as_str).collect();
    assert_eq!(files, ["config", "file:1/model.onnx", "file:1/weights.data"]);
    assert_eq!(parameters["file:1/model.onnx"], "T05OWA==");
    let config: Value = serde_json::from_str(parameters["config"].as_str().unwrap()).unwrap();
    let expected = json!({
        "name": "sent", "max_batch_size": 0, "backend": "onnxruntime", "default_model_filename": "model.onnx",
        "instance_group": [{"count": 2}],
    });
    assert_eq!(config, expected);
    // Triton's index does not have such a model, but its statistics do.
    assert_eq!(list(&client).await, ["iris", "slow", "sent"]);
    let update = UpdateDeployment::new("sent").with_model_uri(&model).with_flavor("python_function");
    let error = client.update_deployment(update).await.unwrap_err();
    assert!(error.message().starts_with("the model has no signature with inputs and outputs"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_triton_takes_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let model = onnx_model(folder.path());
    let server = v2::start(V2Kind::MlServer);
    let client = plain(&server);
    let error = client.create_deployment(CreateDeployment::new("new", &model)).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    assert_eq!(
        error.message(),
        "the server `mlserver` 1.7.1 loads only models of its own repository: copy the model there, and specify the \
         model URI `repository:new`"
    );
}

#[tokio::test]
async fn a_model_that_the_repository_does_not_have_is_an_error() {
    for (kind, status) in [(V2Kind::MlServer, 404), (V2Kind::Triton, 500)] {
        let server = v2::start(kind);
        let client = plain(&server);
        let error = client.create_deployment(CreateDeployment::new("new", "repository:new")).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
        assert!(error.message().contains(&format!("repository has no model `new`: {status}")), "{error}");
        let loads = request_lines(&server).iter().filter(|line| line.ends_with("/load")).count();
        assert_eq!(loads, 1, "a model that cannot be loaded is requested once");
    }
}

#[tokio::test]
async fn a_server_without_a_repository_lists_and_predicts_only() {
    let server = v2::start(V2Kind::KServe);
    let client = plain(&server);
    assert_eq!(list(&client).await, ["iris", "slow"]);
    client.get_deployment(GetDeployment::new("iris")).await.unwrap();
    let errors = [
        client.create_deployment(CreateDeployment::new("a", "repository:a")).await.unwrap_err(),
        client.create_deployment(CreateDeployment::new("a", "models:/a/1")).await.unwrap_err(),
        client.update_deployment(UpdateDeployment::new("iris")).await.unwrap_err(),
        client.delete_deployment(DeleteDeployment::new("iris")).await.unwrap_err(),
        client.invoke(Invoke::new("repository-index")).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.code(), &ErrorCode::NOT_IMPLEMENTED);
        let message = "the server `kserve` 0.21.0 has no model repository, and cannot load or unload models";
        assert!(error.message().starts_with(message), "{error}");
        assert_eq!(error.http_status(), Some(404));
    }
}

#[tokio::test]
async fn a_triton_server_with_fixed_models_says_how_to_start_it() {
    let refused = r#"{"error":"explicit model load / unload is not allowed if polling is enabled"}"#;
    let missing = Answer::new(400, r#"{"error":"Request for unknown model: 'a' is not found"}"#);
    let server = Server::start([Answer::new(200, TRITON), missing, Answer::new(400, refused)]);
    let client = plain(&server);
    for error in [
        client.create_deployment(CreateDeployment::new("a", "repository:a")).await.unwrap_err(),
        client.delete_deployment(DeleteDeployment::new("a")).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), &ErrorCode::NOT_IMPLEMENTED);
        assert!(error.message().contains("start it with `--model-control-mode=explicit`: 400"), "{error}");
    }
}

#[tokio::test]
async fn wrong_arguments_are_errors_before_a_model_is_loaded() {
    let server = v2::start(V2Kind::MlServer);
    let client = plain(&server);
    let config = Config::new(&json!({"config": {}})).unwrap();
    let cases = [
        (client.create_deployment(CreateDeployment::new("iris", "iris")).await, ErrorCode::RESOURCE_ALREADY_EXISTS),
        (client.update_deployment(UpdateDeployment::new("nope")).await, ErrorCode::RESOURCE_DOES_NOT_EXIST),
        (
            client.update_deployment(UpdateDeployment::new("iris").with_flavor("onnx")).await,
            ErrorCode::INVALID_PARAMETER_VALUE,
        ),
        (
            client.create_deployment(CreateDeployment::new("a", "repository:b")).await,
            ErrorCode::INVALID_PARAMETER_VALUE,
        ),
        (
            client.create_deployment(CreateDeployment::new("a", "a").with_endpoint("e")).await,
            ErrorCode::INVALID_PARAMETER_VALUE,
        ),
        (
            client.create_deployment(CreateDeployment::new("second", "second").with_config(config)).await,
            ErrorCode::INVALID_PARAMETER_VALUE,
        ),
        (client.invoke(Invoke::new("other")).await, ErrorCode::NOT_IMPLEMENTED),
    ];
    for (result, code) in cases {
        assert_eq!(result.unwrap_err().code(), &code);
    }
    assert!(!request_lines(&server).iter().any(|line| line.ends_with("/load")));
}

#[tokio::test]
async fn the_reason_of_a_failed_load_is_the_server_s() {
    let reason =
        r#"{"error":"load failed for model 'bad': version 1 is at UNAVAILABLE state: Invalid argument: no backend"}"#;
    let missing = Answer::new(400, r#"{"error":"Request for unknown model: 'bad' is not found"}"#);
    let server = Server::start([Answer::new(200, TRITON), missing, Answer::new(400, reason)]);
    let error = plain(&server).create_deployment(CreateDeployment::new("bad", "bad")).await.unwrap_err();
    assert!(error.code() == &ErrorCode::BAD_REQUEST && error.message().contains("no backend"), "{error}");
}
