//! The target URI, the options, and the variables.

use super::*;

fn message(target: &str, options: &Value) -> String {
    client(target, options, &[]).unwrap_err().message().to_owned()
}

#[tokio::test]
async fn the_target_names_the_region_and_the_role() {
    for (target, region, role) in [
        ("sagemaker", "us-west-2", None),
        ("sagemaker:/", "us-west-2", None),
        ("sagemaker:/eu-west-1", "eu-west-1", None),
        ("sagemaker:/eu-west-1/", "eu-west-1", None),
        ("sagemaker:/us-east-1/arn:aws:iam::1:role/a", "us-east-1", Some("arn:aws:iam::1:role/a")),
        ("sagemaker:/us-east-1///arn:aws:iam::1:role/a/b", "us-east-1", Some("arn:aws:iam::1:role/a/b")),
    ] {
        let shown = format!("{:?}", client(target, &json!({}), &[]).unwrap());
        assert!(shown.contains(&format!("region: \"{region}\", role: {role:?}")), "{target}: {shown}");
    }
}

#[test]
fn faults_of_the_target_and_of_options_are_named() {
    for (target, options, expected) in [
        ("sagemaker:/arn:aws:iam::1:role/a", json!({}), "the target has the ARN of a role without a region"),
        ("sagemaker:/EU/arn:aws:iam::1:role/a", json!({}), "invalid region `EU`"),
        ("sagemaker:/eu-west-1/role", json!({}), "invalid role `role` in the target"),
        ("sagemaker", json!({"poll_interval": 0}), "invalid `poll_interval` `0`"),
        ("sagemaker", json!({"timeout": 0}), "`timeout` is `0`"),
        ("sagemaker", json!({"regoin": "x"}), "unknown field `regoin`"),
    ] {
        let error = message(target, &options);
        assert!(error.contains(expected), "{target}: {error}");
    }
}

#[tokio::test]
async fn the_region_and_the_image_of_a_config_and_of_variables_are_used() {
    let fake = Aws::start();
    let url = fake.url();
    let variables =
        [("AWS_ENDPOINT_URL", url.as_str()), ("MLFLOW_SAGEMAKER_DEPLOY_IMG_URL", "own/image:1"), ("https_proxy", "")];
    let client = client("sagemaker:/eu-west-1", &json!({"poll_interval": 0.05}), &variables).unwrap();
    create(&client, &json!({"region_name": "ap-south-1", "bucket": "models", "execution_role_arn": ROLE}))
        .await
        .unwrap();
    assert_eq!(fake.last("CreateModel")["PrimaryContainer"]["Image"], "own/image:1");
    for request in fake.requests() {
        let authorization = request.header("authorization").unwrap();
        assert!(authorization.contains("/ap-south-1/"), "{authorization}");
    }
}
