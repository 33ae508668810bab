//! The weights of variants, autoscaling and tags.

use mlflow_deploy_plugin_api::ErrorCode;
use mlflow_deploy_plugin_api::args::{GetEndpoint, Invoke, UpdateEndpoint};

use super::*;

fn invoke(operation: &str, config: &Value) -> Invoke {
    Invoke {
        operation: operation.to_owned(),
        name: Some("iris".to_owned()),
        config: Config::new(config).unwrap(),
        ..Invoke::default()
    }
}

/// Returns a fake with the endpoint `iris`.
async fn with_endpoint() -> (Aws, SageMaker) {
    let fake = Aws::start();
    let client = plain(&fake);
    create(&client, &json!({})).await.unwrap();
    (fake, client)
}

#[tokio::test]
async fn weights_and_numbers_of_instances_are_changed() {
    let (fake, client) = with_endpoint().await;
    let update = async |config: Value| {
        let request = UpdateEndpoint { endpoint: "iris".to_owned(), config: Config::new(&config).unwrap() };
        client.update_endpoint(request).await
    };
    let variants =
        json!({"variants": [{"name": "one", "weight": 0.25}, {"name": "two", "weight": 1, "instance_count": 3}]});
    let updated: Value = update(variants).await.unwrap().json().unwrap();
    assert_eq!(
        (&updated["name"], updated["endpoint_config"]["ProductionVariants"].as_array().unwrap().len()),
        (&json!("iris"), 1)
    );
    assert_eq!(
        fake.last("UpdateEndpointWeightsAndCapacities")["DesiredWeightsAndCapacities"],
        json!([{"VariantName": "one", "DesiredWeight": 0.25}, {"VariantName": "two", "DesiredWeight": 1.0, "DesiredInstanceCount": 3}])
    );
    for (config, message) in [
        (json!({"variants": []}), "`variants` is empty"),
        (json!({"variants": [{"name": "one"}]}), "the variant `one` has no change"),
        (json!({"variants": [{"name": "one", "weight": -1}]}), "invalid `weight` `-1`"),
        (json!({"variant": []}), "did you mean `variants`?"),
    ] {
        let error = update(config).await.unwrap_err();
        assert!(error.message().contains(message), "{error}");
    }
    let got: Value = client.get_endpoint(GetEndpoint { endpoint: "iris".to_owned() }).await.unwrap().json().unwrap();
    assert_eq!(got["endpoint_config"]["Tags"][0]["Key"], "app_name");
}

#[tokio::test]
async fn a_variant_is_scaled_by_its_load() {
    let (fake, client) = with_endpoint().await;
    let config = json!({"min_instances": 1, "max_instances": 3, "invocations_per_instance": 70});
    let scaling: Value = client.invoke(invoke("set-scaling", &config)).await.unwrap().json().unwrap();
    assert_eq!(scaling, json!({"target": {"MinCapacity": 1, "MaxCapacity": 3}, "policies": []}));
    let target = fake.last("RegisterScalableTarget");
    assert_eq!((&target["ResourceId"], &target["MaxCapacity"]), (&json!("endpoint/iris/variant/only"), &json!(3)));
    let policy = fake.last("PutScalingPolicy");
    assert_eq!(policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"], 70.0);
    client.invoke(invoke("get-scaling", &json!({"variant": "only"}))).await.unwrap();
    client.invoke(invoke("delete-scaling", &json!({}))).await.unwrap();
    assert_eq!(fake.last("DeregisterScalableTarget")["ScalableDimension"], "sagemaker:variant:DesiredInstanceCount");
    let error = client.invoke(invoke("get-scaling", &json!({"variant": "other"}))).await.unwrap_err();
    assert!(
        error.message().contains("there is no variant `other`: expected one of the endpoint's variants: `only`"),
        "{error}"
    );
    let config = json!({"min_instances": 2, "max_instances": 1, "invocations_per_instance": 1});
    let error = client.invoke(invoke("set-scaling", &config)).await.unwrap_err();
    assert!(error.message().starts_with("invalid numbers of instances 2 to 1"), "{error}");
}

#[tokio::test]
async fn tags_are_listed_added_and_deleted() {
    let (fake, client) = with_endpoint().await;
    let listed: Value = client.invoke(invoke("list-tags", &json!({}))).await.unwrap().json().unwrap();
    assert_eq!(listed, json!({"team": "one"}));
    client.invoke(invoke("add-tags", &json!({"a": "b", "n": 1}))).await.unwrap();
    assert_eq!(fake.last("AddTags")["Tags"], json!([{"Key": "a", "Value": "b"}, {"Key": "n", "Value": "1"}]));
    client.invoke(invoke("delete-tags", &json!({"names": ["a"]}))).await.unwrap();
    assert_eq!(fake.last("DeleteTags"), json!({"ResourceArn": "arn:iris", "TagKeys": ["a"]}));
    let error = client.invoke(invoke("scale", &json!({}))).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::NOT_IMPLEMENTED);
}
