//! Tests the operations that create, update and delete a deployment.

use super::*;

#[tokio::test]
async fn create_uploads_the_model_once_and_deploys_it() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    let model = model();
    let config = json!({"num_replicas": 2, "num_cpus": 0.5, "env": {"TOKEN": "s3cret-value"}, "pip": ["scikit-learn"],
        "serve": {"proxy_location": "HeadOnly", "http_options": {"host": "127.0.0.1"}}});
    let created: Value = client.create_deployment(create("iris", model.path(), &config)).await.unwrap().json().unwrap();
    assert_eq!(
        (&created["status"], &created["replicas_running"], &created["replicas_wanted"]),
        (&json!("RUNNING"), &json!(2), &json!(2))
    );
    assert_eq!(created["url"], format!("{}/iris", cluster.url()));
    let sent = &cluster.changes()[0];
    assert_eq!((&sent["proxy_location"], &sent["http_options"]["host"]), (&json!("HeadOnly"), &json!("127.0.0.1")));
    let entry = &sent["applications"][0];
    assert_eq!(entry["args"], json!({"model_uri": "model", "source": model.path()}));
    assert_eq!(
        entry["deployments"],
        json!([{"name": "model", "num_replicas": 2, "ray_actor_options": {"num_cpus": 0.5}}])
    );
    assert_eq!((&entry["route_prefix"], &entry["import_path"]), (&json!("/iris"), &json!("mlflow_deploy_ray:app")));
    assert_eq!(entry["runtime_env"]["env_vars"], json!({"TOKEN": "s3cret-value"}));
    let again = json!({"route_prefix": "/again", "serve": {"proxy_location": "EveryNode"}});
    client.create_deployment(create("again", model.path(), &again)).await.unwrap();
    assert_eq!(cluster.uploads(), 1, "the same model has the same package");
    let sent = cluster.changes().pop().unwrap();
    assert_eq!(sent["proxy_location"], "HeadOnly", "a running Serve keeps its settings");
    assert_eq!(sent["applications"][0], *entry, "the other application is sent back as it was");
    let error = deploy(&client, "iris").await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::RESOURCE_ALREADY_EXISTS);
    assert!(cluster.requests().iter().all(|request| request.method != "DELETE"));
}

#[tokio::test]
async fn update_changes_only_what_is_given() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    client
        .create_deployment(create("iris", model().path(), &json!({"num_replicas": 1, "env": {"A": "1"}})))
        .await
        .unwrap();
    let before = cluster.edit(|all| all.config("iris").unwrap().clone());
    let updated: Value =
        client.update_deployment(update("iris", &json!({"num_replicas": 2}))).await.unwrap().json().unwrap();
    assert_eq!((&updated["status"], &updated["replicas_running"]), (&json!("RUNNING"), &json!(2)));
    let mut expected = before.clone();
    expected["deployments"][0]["num_replicas"] = 2.into();
    assert_eq!(cluster.edit(|all| all.config("iris").unwrap().clone()), expected);
    let scaled = json!({"autoscaling": {"min_replicas": 1, "max_replicas": 3}, "deployment": {"max_queued_requests": 7}, "route_prefix": "/i"});
    client.update_deployment(update("iris", &scaled)).await.unwrap();
    let config = cluster.edit(|all| all.config("iris").unwrap().clone());
    assert_eq!(
        config["deployments"],
        json!([{"name": "model", "autoscaling_config": {"min_replicas": 1, "max_replicas": 3}, "max_queued_requests": 7}])
    );
    assert_eq!((&config["route_prefix"], &config["args"]), (&json!("/i"), &before["args"]));
    let other = model_of("python_function");
    std::fs::write(other.path().join("model.pkl"), "other weights").unwrap();
    let request = update("iris", &json!({})).with_model_uri(other.path().to_str().unwrap());
    client.update_deployment(request).await.unwrap();
    let changed = cluster.edit(|all| all.config("iris").unwrap().clone());
    assert_ne!(changed["runtime_env"]["working_dir"], config["runtime_env"]["working_dir"]);
    assert_eq!(changed["runtime_env"]["env_vars"], json!({"A": "1"}));
    for (request, said) in [
        (update("iris", &json!({})), "nothing to update"),
        (update("nope", &json!({"num_replicas": 2})), "the cluster has no deployment `nope`: it has `iris`"),
    ] {
        let error = client.update_deployment(request).await.unwrap_err();
        assert!(error.message().contains(said), "{error}");
    }
}

#[tokio::test]
async fn delete_is_idempotent_and_keeps_the_others() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    client.delete_deployment(DeleteDeployment::new("iris")).await.unwrap();
    assert_eq!(cluster.changes().len(), 0, "nothing is sent for a missing deployment");
    let error = client.delete_deployment(DeleteDeployment::new("")).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    deploy(&client, "iris").await.unwrap();
    deploy(&client, "other").await.unwrap();
    for _ in 0..2 {
        client.delete_deployment(DeleteDeployment::new("iris")).await.unwrap();
        assert_eq!(cluster.edit(|all| all.names().into_iter().map(str::to_owned).collect::<Vec<_>>()), ["other"]);
    }
    assert_eq!(get(&client, "iris").await.unwrap_err().code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    let wrong = DeleteDeployment::new("other").with_config(Config::new(&json!({"force": true})).unwrap());
    assert!(client.delete_deployment(wrong).await.unwrap_err().message().contains("unknown config key `force`"));
}

#[tokio::test]
async fn a_failed_create_has_the_traceback_and_leaves_the_others() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    deploy(&client, "iris").await.unwrap();
    let before = cluster.edit(|all| all.config("iris").unwrap().clone());
    for (name, exception) in [
        ("bad-model", "mlflow.exceptions.MlflowException: No such artifact: 'no-such-dir'"),
        ("bad-import", "ModuleNotFoundError: No module named 'nomod'"),
    ] {
        let error = deploy(&client, name).await.unwrap_err();
        assert_eq!(error.code().as_str(), "DEPLOYMENT_FAILED");
        assert_eq!(error.message(), format!("the cluster failed to deploy `{name}`: {exception}"));
        let cause = error.causes().next().unwrap();
        assert!(cause.contains("Traceback (most recent call last):\n  File") && !cause.contains('\u{1b}'), "{cause}");
        assert_eq!(cluster.edit(|all| all.names().into_iter().map(str::to_owned).collect::<Vec<_>>()), ["iris"]);
        assert_eq!(cluster.edit(|all| all.config("iris").unwrap().clone()), before);
    }
}

#[tokio::test]
async fn a_failed_update_restores_the_config() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    // The application fails when it is deployed again.
    let entry = json!({"name": "bad-model", "route_prefix": "/b", "import_path": "mlflow_deploy_ray:app", "args": {}, "deployments": [{"name": "model", "num_replicas": 1}]});
    cluster.edit(|all| all.replace(&json!({"applications": [entry]}))).unwrap();
    let error = client.update_deployment(update("bad-model", &json!({"num_replicas": 3}))).await.unwrap_err();
    assert_eq!(error.code().as_str(), "DEPLOYMENT_FAILED");
    assert_eq!(
        cluster.edit(|all| all.config("bad-model").unwrap()["deployments"][0]["num_replicas"].clone()),
        json!(1)
    );
}

#[tokio::test]
async fn a_wait_ends_after_its_timeout_and_the_deployment_remains() {
    let cluster = ray::Ray::start();
    let slow = client(&cluster.target(), &json!({"poll_interval": 60}), &[]).unwrap();
    let error = slow.create_deployment(create("stuck", model().path(), &json!({"timeout": 59}))).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (&ErrorCode::DEADLINE_EXCEEDED, true));
    assert!(
        error.message().starts_with("stopped waiting for `stuck`: the change was sent; the cluster continues"),
        "{error}"
    );
    let client = plain(&cluster);
    get(&client, "stuck").await.unwrap();
    let request = update("stuck", &json!({"num_replicas": 2, "wait": false}));
    let record: Value = client.update_deployment(request).await.unwrap().json().unwrap();
    assert_eq!((&record["status"], &record["replicas_wanted"]), (&json!("DEPLOYING"), &json!(2)));
}
