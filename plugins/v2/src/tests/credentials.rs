//! Tests the credentials in requests, and their redaction in messages.

use super::*;

/// Returns the `Authorization` header that a client with the given settings sends.
async fn authorization(options: &Value, variables: &[(&str, &str)]) -> Option<String> {
    let server = Server::start([Answer::new(200, "[]")]);
    let client = client(&target(&server), options, variables).unwrap();
    client.invoke(Invoke::new("repository-index")).await.unwrap();
    server.requests()[0].header("authorization").map(str::to_owned)
}

#[tokio::test]
async fn credentials_are_used_in_the_documented_order() {
    const TOKEN: (&str, &str) = ("MLFLOW_DEPLOY_V2_TOKEN", "tkn");
    let bearer = |token| Some(format!("Bearer {token}"));
    assert_eq!(authorization(&json!({}), &[]).await, None);
    assert_eq!(authorization(&json!({}), &[TOKEN]).await, bearer("tkn"));
    assert_eq!(authorization(&json!({"token": "own"}), &[TOKEN]).await, bearer("own"));
    let basic = json!({"username": "us:er", "password": "pä ss"});
    assert_eq!(authorization(&basic, &[TOKEN]).await, Some("Basic dXM6ZXI6cMOkIHNz".to_owned()));
    let header = json!({"headers": {"Authorization": "Custom xyz"}, "token": "own"});
    assert_eq!(authorization(&header, &[]).await, Some("Custom xyz".to_owned()));
}

#[tokio::test]
async fn the_credentials_of_the_tracking_server_are_not_sent() {
    let tracking =
        [("MLFLOW_TRACKING_TOKEN", "tracking"), ("MLFLOW_TRACKING_USERNAME", "me"), ("MLFLOW_TRACKING_PASSWORD", "pw")];
    assert_eq!(authorization(&json!({}), &tracking).await, None);
}

#[test]
fn incomplete_or_conflicting_credentials_are_an_error() {
    for options in
        [json!({"username": "u"}), json!({"password": "p"}), json!({"username": "u", "password": "p", "token": "t"})]
    {
        let error = client("v2://h", &options, &[]).unwrap_err();
        assert!(error.message().starts_with("set either the option `token`"), "{error}");
    }
}

#[tokio::test]
async fn errors_and_debug_output_have_no_secrets() {
    let secrets = ["token-123456", "header-123456"];
    let echo = format!(r#"{{"error":"wrong: {} {}"}}"#, secrets[0], secrets[1]);
    let server = Server::start([Answer::new(401, echo)]);
    let options = json!({"token": secrets[0], "headers": {"X-Key": secrets[1]}});
    let client = client(&target(&server), &options, &[]).unwrap();
    let error = client.list_deployments(ListDeployments::all()).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::UNAUTHENTICATED);
    let shown = format!("{error} {error:?} {client:?}");
    assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
}
