//! Tests the models that are rejected before the cluster changes.

use super::*;

#[tokio::test]
async fn unusable_models_change_nothing() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    let (onnx, python) = (model_of("onnx"), model());
    let empty = tempfile::tempdir().unwrap();
    let python = python.path();
    for (request, said) in [
        (create("a", onnx.path(), &json!({})), "has no flavor `python_function`, which Ray needs, but [\"onnx\"]"),
        (create("a", empty.path(), &json!({})), "is not an MLflow model: it has no file `MLmodel`"),
        (create("a", &python.join("model.pkl"), &json!({})), "is a file: expected the folder of an MLflow model"),
        (create("a", &python.join("no"), &json!({})), "not found"),
        (create("a", python, &json!({})).with_flavor("onnx"), "the flavor `onnx` is not supported"),
        (create("a", python, &json!({})).with_endpoint("e"), "Ray Serve has no endpoints"),
        (create("a/b", python, &json!({})), "invalid name `a/b` for a deployment"),
        (
            create("a", python, &json!({"application": {"import_path": "x:y"}})),
            "`application.import_path` is set by this plugin",
        ),
        (create("a", python, &json!({"replicas": 2})), "unknown config key `replicas`"),
        (CreateDeployment::new("a", "hdfs://host/model"), "or set `model_source` to `remote`"),
    ] {
        let error = client.create_deployment(request).await.unwrap_err();
        assert!(error.message().contains(said), "{error}");
    }
    cluster.set_python_version(Some("3.12.1"));
    let error = deploy(&client, "a").await.unwrap_err();
    assert!(
        error.message().starts_with("the model was saved with Python 3.11.7, but the cluster runs Python 3.12.1"),
        "{error}"
    );
    assert_eq!((cluster.changes().len(), cluster.uploads()), (0, 0));
    client.create_deployment(create("a", python, &json!({"check_python": false}))).await.unwrap();
    cluster.set_python_version(None);
    deploy(&client, "b").await.unwrap();
}

#[tokio::test]
async fn a_remote_model_stays_where_it_is() {
    let cluster = ray::Ray::start();
    let request = CreateDeployment::new("a", "s3://bucket/model")
        .with_config(Config::new(&json!({"model_source": "remote"})).unwrap());
    let record: Value = plain(&cluster).create_deployment(request).await.unwrap().json().unwrap();
    assert_eq!(record["model_uri"], "s3://bucket/model");
    assert_eq!(cluster.changes()[0]["applications"][0]["args"]["model_uri"], "s3://bucket/model");
    let uploaded =
        cluster.requests().into_iter().find(|each| each.path.starts_with("/api/packages/") && each.method == "PUT");
    let package = uploaded.unwrap().body;
    assert!(package.windows(8).any(|part| part == b"def app(") && package.len() < 8192);
}

#[tokio::test]
async fn the_refusal_of_ray_is_reported() {
    let cluster = ray::Ray::start();
    // The fake refuses a route that Serve would refuse, which the plugin finds only if it is that of another application.
    cluster.edit(|all| all.put(json!({"name": "x", "route_prefix": "/x"})));
    cluster.edit(|all| all.run_program("p", "/p"));
    let error = deploy(&plain(&cluster), "a").await.unwrap_err();
    assert_eq!((error.code(), error.http_status()), (&ErrorCode::INVALID_PARAMETER_VALUE, Some(400)));
    assert!(
        error.message().starts_with("Ray Serve refused the config: 1 validation error for ServeDeploySchema: "),
        "{error}"
    );
    assert!(error.message().ends_with("; nothing was changed"), "{error}");
}
