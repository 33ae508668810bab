//! The role of a target, and that no secret is printed.

use mlflow_deploy_plugin_api::ErrorCode;
use mlflow_deploy_test_support::server::{Answer, Request, Server};

use super::*;

const ASSUMED: &str = "assumed-secret-0123456789";
const TOKEN: &str = "assumed-token-0123456789";

/// Answers STS with a temporary key, and all other requests with an error that repeats them.
fn echoing(request: &Request) -> Answer {
    if request.text().starts_with("Action=AssumeRole&") {
        return Answer::new(
            200,
            format!(
                "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>{ASSUMED}\
                 </SecretAccessKey><SessionToken>{TOKEN}</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>\
                 </AssumeRoleResult></AssumeRoleResponse>"
            ),
        );
    }
    let headers: String = request.headers.iter().map(|(name, value)| format!("{name}: {value}; ")).collect();
    let body = json!({"__type": "ValidationException", "message": format!("{ASSUMED} {TOKEN} {SECRET} {headers}")});
    Answer::new(400, body.to_string())
}

#[tokio::test]
async fn the_role_of_the_target_signs_every_request_and_no_secret_is_printed() {
    let server = Server::answering(echoing);
    let target = "sagemaker:/us-east-1/arn:aws:iam::1:role/deploy";
    let client = client(target, &json!({"max_retries": 0}), &[("AWS_ENDPOINT_URL", &server.url())]).unwrap();
    for _ in 0..2 {
        let error = get(&client, "iris").await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        let shown = format!("{error:?} {client:?}");
        let signature =
            server.requests().last().unwrap().header("authorization").unwrap().rsplit('=').next().unwrap().to_owned();
        for secret in [ASSUMED, TOKEN, &signature] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
        assert!(shown.contains("<redacted>"), "{shown}");
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests[0].header("authorization").unwrap().contains("=AKIDTEST/"));
    assert!(
        requests[0].text().ends_with("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fdeploy&RoleSessionName=mlflow-sagemaker")
    );
    for request in &requests[1..] {
        assert!(request.header("authorization").unwrap().contains("=ASIAROLE/"));
        assert_eq!(request.header("x-amz-security-token"), Some(TOKEN));
    }
}

#[tokio::test]
async fn without_credentials_no_request_is_sent() {
    let server = Server::start([Answer::status(500)]);
    let none = [
        ("AWS_ENDPOINT_URL", server.url()),
        ("AWS_ACCESS_KEY_ID", String::new()),
        ("AWS_SECRET_ACCESS_KEY", String::new()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ];
    let none: Vec<_> = none.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let client = client("sagemaker", &json!({}), &none).unwrap();
    let error = get(&client, "iris").await.unwrap_err();
    assert!(error.message().starts_with("no AWS credentials found: set `AWS_ACCESS_KEY_ID`"), "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn debug_shows_no_secret() {
    let options = json!({"tracking_uri": "http://u:s3cret-4@h", "tracking_token": "s3cret-5"});
    let variables = [("HTTPS_PROXY", "http://u:s3cret-6@p:1"), ("AWS_SESSION_TOKEN", "s3cret-7")];
    let client = client("sagemaker", &options, &variables).unwrap();
    assert!(!format!("{client:?}").contains("s3cret") && !format!("{client:?}").contains(SECRET), "{client:?}");
}
