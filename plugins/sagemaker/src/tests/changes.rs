//! Creations, updates and deletions: their requests, their states, and what remains after a failure.

use std::collections::BTreeMap;
use std::io::Read;

use mlflow_deploy_plugin_api::{Error, ErrorCode};

use super::*;

/// Returns the files in an archive.
fn unpacked(archive: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let entry = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry: tar::Entry<'_, flate2::read::GzDecoder<&[u8]>> = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (entry.path().unwrap().display().to_string(), text)
    };
    archive.entries().unwrap().map(entry).filter(|(_, text)| !text.is_empty()).collect()
}

#[tokio::test]
async fn a_creation_uploads_the_model_and_has_the_names_and_tags_of_mlflow() {
    let fake = Aws::start();
    fake.edit(|state| state.states = ["Creating", "Creating"].into());
    let config = json!({"tags": {"team": "one"}, "env": {"A": 1}, "instance_type": "ml.m5.large", "instance_count": 2,
        "data_capture_config": {"EnableCapture": true}, "vpc_config": {"Subnets": ["s"]}});
    let made = create(&plain(&fake), &config).await.unwrap();
    assert_eq!([&made["name"], &made["flavor"], &made["EndpointStatus"]], ["iris", "python_function", "InService"]);
    let model = fake.last("CreateModel");
    let name = model["ModelName"].as_str().unwrap();
    let (bucket, key) = ("mlflow-sagemaker-eu-west-1-123456789012", format!("{name}/model.tar.gz"));
    assert!(name.starts_with("iris-model-") && name.len() == "iris-model-".len() + 20, "{name}");
    assert_eq!(
        model["PrimaryContainer"],
        json!({"Image": "1.dkr.ecr/mlflow-pyfunc:3.17.2", "ModelDataUrl": format!("s3://{bucket}/{key}"),
            "Environment": {"MLFLOW_DEPLOYMENT_FLAVOR_NAME": "python_function", "SERVING_ENVIRONMENT": "SageMaker", "A": "1"}})
    );
    assert_eq!(model["ExecutionRoleArn"], "arn:aws:iam::123456789012:role/path/caller");
    assert_eq!(
        (&model["VpcConfig"], &model["Tags"][0]),
        (&json!({"Subnets": ["s"]}), &json!({"Key": "team", "Value": "one"}))
    );
    let config = fake.last("CreateEndpointConfig");
    assert_eq!(
        config["ProductionVariants"],
        json!([{"VariantName": name, "ModelName": name, "InitialVariantWeight": 1, "InstanceType": "ml.m5.large", "InitialInstanceCount": 2}])
    );
    assert_eq!(
        (&config["DataCaptureConfig"], config.get("AsyncInferenceConfig")),
        (&json!({"EnableCapture": true}), None)
    );
    let tags = json!([{"Key": "app_name", "Value": "iris"}, {"Key": "team", "Value": "one"}]);
    assert_eq!(fake.last("CreateEndpoint")["Tags"], tags);
    let archive = fake.edit(|state| state.objects[&format!("{bucket}/{key}")].clone());
    let files = unpacked(&archive);
    assert_eq!((files.len(), files["code/model.pkl"].as_str()), (2, "weights"));
    assert_eq!(fake.edit(|state| state.buckets.clone()), [bucket]);
}

#[tokio::test]
async fn an_existing_endpoint_is_not_created_again() {
    let fake = Aws::start();
    let client = plain(&fake);
    create(&client, &json!({"execution_role_arn": ROLE, "bucket": "models", "image_url": "image"})).await.unwrap();
    let before = fake.counts();
    let error = create(&client, &json!({})).await.unwrap_err();
    assert_eq!((error.code(), fake.counts()), (&ErrorCode::RESOURCE_ALREADY_EXISTS, before), "{error}");
    let skipped = ["GetCallerIdentity", "DescribeRepositories", "GetRole", "HEAD"];
    assert!(fake.operations().iter().all(|each| !skipped.contains(&each.as_str())), "{:?}", fake.operations());
}

#[tokio::test]
async fn a_failed_creation_leaves_nothing() {
    let denied = (400, r#"{"__type": "AccessDeniedException", "message": "not allowed"}"#.to_owned());
    for operation in ["CreateModel", "CreateEndpointConfig", "CreateEndpoint", "PUT partNumber", "POST uploadId"] {
        let fake = Aws::start();
        fake.edit(|state| state.failing.insert(operation.to_owned(), denied.clone()));
        let error = create(&plain(&fake), &json!({"execution_role_arn": ROLE})).await.unwrap_err();
        assert!(!error.message().contains("could not be deleted"), "{operation}: {error}");
        assert_eq!((fake.counts(), fake.edit(|state| state.parts.len())), ([0; 4], 0), "{operation}: {error}");
    }
    let fake = Aws::start();
    fake.edit(|state| (state.states, state.failure) = (["Creating"].into(), Some("Failed")));
    let error = create(&plain(&fake), &json!({})).await.unwrap_err();
    assert_eq!(error.code().as_str(), "DEPLOYMENT_FAILED");
    assert!(error.message().ends_with("the container did not pass the ping health check"), "{error}");
    assert_eq!(fake.counts(), [0; 4]);
}

#[tokio::test]
async fn what_cannot_be_cleaned_up_is_named() {
    let fake = Aws::start();
    let denied = (400, r#"{"__type": "AccessDeniedException", "message": "not allowed"}"#.to_owned());
    fake.edit(|state| {
        state.failure = Some("Failed");
        state.failing.insert("DeleteModel".to_owned(), denied);
    });
    let error = create(&plain(&fake), &json!({})).await.unwrap_err();
    assert_eq!(fake.counts(), [0, 0, 1, 0]);
    let name = fake.edit(|state| state.models.keys().next().unwrap().clone());
    let left = format!(
        "these resources could not be deleted: the model `{name}` (`DeleteModel` failed: AccessDeniedException: not allowed"
    );
    assert!(error.message().contains(&left), "{error}");
}

#[tokio::test]
async fn an_update_replaces_or_adds_a_variant() {
    let fake = Aws::start();
    let client = plain(&fake);
    let first = json!({"variant_name": "one", "data_capture_config": {"EnableCapture": true}});
    create(&client, &first).await.unwrap();
    fake.edit(|state| state.states = ["InService", "Updating"].into());
    update(&client, &json!({"mode": "add", "variant_name": "two"})).await.unwrap();
    let config = fake.last("CreateEndpointConfig");
    let variants = config["ProductionVariants"].as_array().unwrap();
    assert_eq!([&variants[0]["VariantName"], &variants[1]["VariantName"]], ["one", "two"]);
    assert_eq!(
        (&variants[1]["InitialVariantWeight"], &config["DataCaptureConfig"]),
        (&json!(0), &json!({"EnableCapture": true}))
    );
    assert_eq!(fake.counts(), [1, 1, 2, 2]);
    let error = update(&client, &json!({"mode": "add", "variant_name": "two"})).await.unwrap_err();
    assert_eq!((error.code(), fake.counts()), (&ErrorCode::RESOURCE_ALREADY_EXISTS, [1, 1, 2, 2]), "{error}");
    update(&client, &json!({"archive": true})).await.unwrap();
    assert_eq!(fake.counts(), [1, 2, 3, 3]);
    update(&client, &json!({})).await.unwrap();
    // The models of the archived config remain.
    assert_eq!(fake.counts(), [1, 2, 3, 3]);
}

#[tokio::test]
async fn a_failed_update_leaves_nothing_and_the_old_config_remains() {
    let fake = Aws::start();
    let client = plain(&fake);
    create(&client, &json!({})).await.unwrap();
    let before = fake.edit(|state| state.configs.keys().cloned().collect::<Vec<_>>());
    fake.edit(|state| {
        (state.states, state.failure) = (["InService", "Updating", "RollingBack"].into(), Some("InService"));
    });
    let error = update(&client, &json!({})).await.unwrap_err();
    assert_eq!(error.code().as_str(), "DEPLOYMENT_FAILED");
    assert!(error.message().ends_with("the container did not pass the ping health check"), "{error}");
    assert_eq!(fake.counts(), [1, 1, 1, 1]);
    assert_eq!(fake.edit(|state| state.configs.keys().cloned().collect::<Vec<_>>()), before);
}

#[tokio::test]
async fn a_change_that_takes_too_long_is_not_undone() {
    let fake = Aws::start();
    fake.edit(|state| state.failure = Some("Creating"));
    // The second poll would be after the deadline.
    let (options, url) = (json!({"poll_interval": 60}), fake.url());
    let client = client("sagemaker:/eu-west-1", &options, &[("AWS_ENDPOINT_URL", &url)]).unwrap();
    let error = create(&client, &json!({"timeout_seconds": 50})).await.unwrap_err();
    assert_eq!((error.code(), fake.counts()), (&ErrorCode::DEADLINE_EXCEEDED, [1; 4]), "{error}");
    assert!(error.message().contains("in the state `Creating`: SageMaker continues"), "{error}");
}

#[tokio::test]
async fn a_change_that_is_not_waited_for_returns_at_once() {
    let fake = Aws::start();
    fake.edit(|state| state.failure = Some("Creating"));
    let made = create(&plain(&fake), &json!({"synchronous": false, "archive": true})).await.unwrap();
    assert_eq!((&made["EndpointStatus"], fake.counts()), (&json!("Creating"), [1; 4]));
}

#[tokio::test]
async fn a_deletion_deletes_all_and_a_second_one_succeeds() {
    let fake = Aws::start();
    let client = plain(&fake);
    create(&client, &json!({})).await.unwrap();
    delete(&client, &json!({})).await.unwrap();
    assert_eq!(fake.counts(), [0; 4]);
    delete(&client, &json!({})).await.unwrap();
    create(&client, &json!({})).await.unwrap();
    delete(&client, &json!({"archive": true})).await.unwrap();
    assert_eq!(fake.counts(), [0, 1, 1, 1]);
}

#[tokio::test]
async fn throttled_requests_are_repeated() {
    let fake = Aws::start();
    fake.edit(|state| {
        state.throttled = BTreeMap::from([("CreateModel".to_owned(), 2), ("DescribeEndpoint".to_owned(), 2)]);
    });
    create(&plain(&fake), &json!({})).await.unwrap();
    assert_eq!(fake.counts(), [1; 4]);
    let count = |name: &str| fake.operations().iter().filter(|each| *each == name).count();
    assert_eq!(count("CreateModel"), 3);
}

#[tokio::test]
async fn a_list_has_all_pages() {
    let fake = Aws::start();
    fake.edit(|state| state.endpoints = ["a", "b", "c", "d", "e"].map(|name| (name.to_owned(), json!({}))).into());
    let listed: Value = plain(&fake).list_deployments(ListDeployments::all()).await.unwrap().json().unwrap();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn a_missing_endpoint_does_not_exist() {
    let fake = Aws::start();
    let client = plain(&fake);
    let is_missing = |error: Error| {
        assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
        assert!(
            error.message().starts_with("the deployment `iris` does not exist in the region `eu-west-1`"),
            "{error}"
        );
    };
    is_missing(get(&client, "iris").await.unwrap_err());
    is_missing(update(&client, &json!({})).await.unwrap_err());
    assert_eq!(fake.counts(), [0; 4]);
}

#[tokio::test]
async fn a_model_without_the_flavor_is_refused_before_the_upload() {
    let fake = Aws::start();
    let folder = model_of("onnx");
    let request = CreateDeployment::new("iris", folder.path().to_str().unwrap());
    let error = plain(&fake).create_deployment(request).await.unwrap_err();
    assert!(error.message().contains("has no flavor `python_function`"), "{error}");
    assert_eq!(fake.operations(), ["DescribeEndpoint"]);
}
