//! The services that give credentials to a container and to an instance, against scripted servers.

use mlflow_deploy_test_support::server::{Answer, Server};

use super::{Home, assert_hidden, parts};

const KEY: &str = r#"{"Code": "Success", "AccessKeyId": "ASIAMETA", "SecretAccessKey": "s", "Token": "t", "Expiration": "2999-01-01T00:00:00Z"}"#;

#[tokio::test]
async fn a_container_has_a_key() {
    let server = Server::start([Answer::new(200, KEY)]);
    let home = Home::new()
        .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/role", server.url()))
        .with("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container-token-0123");
    assert_eq!(parts(&home.key().await.unwrap()), ["ASIAMETA", "s", "t"]);
    assert_eq!(server.requests()[0].header("authorization"), Some("container-token-0123"));

    let server = Server::start([Answer::new(403, r#"{"message": "not container-token-0123"}"#)]);
    let error = home.with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &server.url()).key().await.unwrap_err();
    assert!(
        error.message().starts_with("no AWS credentials from the credentials service of the container: "),
        "{error}"
    );
    assert_hidden(&error, &["container-token-0123"]);
}

#[tokio::test]
async fn an_instance_has_a_key() {
    let text = |text: &str| Answer::new(200, text).header("Content-Type", "text/plain");
    let server = Server::start([text("imds-token"), text("role-one"), Answer::new(200, KEY)]);
    let home =
        Home::new().with("AWS_EC2_METADATA_DISABLED", "false").with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url());
    assert_eq!(parts(&home.key().await.unwrap()), ["ASIAMETA", "s", "t"]);
    let requests = server.requests();
    let shown: Vec<_> = requests.iter().map(|each| (each.method.as_str(), each.path.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("PUT", "/latest/api/token"),
            ("GET", "/latest/meta-data/iam/security-credentials/"),
            ("GET", "/latest/meta-data/iam/security-credentials/role-one"),
        ]
    );
    assert_eq!(requests[2].header("x-aws-ec2-metadata-token"), Some("imds-token"));
}

#[tokio::test]
async fn without_any_source_the_error_says_what_to_set() {
    let error = Home::new().key().await.unwrap_err();
    assert_eq!(
        error.message(),
        "no AWS credentials found: set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_PROFILE` (the profile \
         `default` has no credentials)"
    );
    let server = Server::start([Answer::status(404)]);
    let home =
        Home::new().with("AWS_EC2_METADATA_DISABLED", "false").with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url());
    let error = home.key().await.unwrap_err();
    assert!(error.message().starts_with("no AWS credentials found: set `AWS_ACCESS_KEY_ID`"), "{error}");
}
