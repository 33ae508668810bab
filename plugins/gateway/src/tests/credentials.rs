//! Tests the credentials in requests, and their redaction in messages.

use super::*;

/// Returns the `Authorization` header that a client with the given settings sends. `userinfo` is the part of the target
/// URI before the host.
async fn authorization(userinfo: &str, options: &Value, variables: &[(&str, &str)]) -> Option<String> {
    let server = Server::start([Answer::new(200, "{}")]);
    let target = server.url().replace("://", &format!("://{userinfo}"));
    gateway(&target, options, variables).unwrap().predict(predict("chat")).await.unwrap();
    server.requests()[0].header("authorization").map(str::to_owned)
}

#[tokio::test]
async fn credentials_are_used_in_the_documented_order() {
    const USER: (&str, &str) = ("MLFLOW_TRACKING_USERNAME", "us:er");
    const PASSWORD: (&str, &str) = ("MLFLOW_TRACKING_PASSWORD", "pä ss");
    const TOKEN: (&str, &str) = ("MLFLOW_TRACKING_TOKEN", "tkn");
    let basic = Some("Basic dXM6ZXI6cMOkIHNz".to_owned());
    let bearer = |token| Some(format!("Bearer {token}"));
    assert_eq!(authorization("", &json!({}), &[]).await, None);
    assert_eq!(authorization("", &json!({}), &[TOKEN]).await, bearer("tkn"));
    assert_eq!(authorization("", &json!({}), &[USER, PASSWORD, TOKEN]).await, basic);
    assert_eq!(
        authorization("", &json!({}), &[USER, TOKEN]).await,
        bearer("tkn"),
        "a user name without a password is ignored"
    );
    assert_eq!(authorization("", &json!({"token": "own"}), &[USER, PASSWORD, TOKEN]).await, bearer("own"));
    assert_eq!(authorization("", &json!({"username": "us:er", "password": "pä ss"}), &[TOKEN]).await, basic);
    assert_eq!(authorization("us%3Aer:p%C3%A4%20ss@", &json!({}), &[TOKEN]).await, basic);
    let header = json!({"headers": {"Authorization": "Custom xyz"}, "token": "own"});
    assert_eq!(authorization("", &header, &[]).await, Some("Custom xyz".to_owned()));
}

#[tokio::test]
async fn the_credentials_file_complements_the_environment() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".mlflow")).unwrap();
    let file = "# mine\n[other]\nmlflow_tracking_username = no\n[mlflow]\nMLFLOW_TRACKING_USERNAME = fu\nmlflow_tracking_password=fp\n[x]\nmlflow_tracking_username = no\n";
    std::fs::write(home.path().join(".mlflow/credentials"), file).unwrap();
    let home = ("HOME", home.path().to_str().unwrap());
    let token = ("MLFLOW_TRACKING_TOKEN", "tkn");
    assert_eq!(authorization("", &json!({}), &[home, token]).await.unwrap(), "Basic ZnU6ZnA=");
    let username = ("MLFLOW_TRACKING_USERNAME", "u");
    assert_eq!(authorization("", &json!({}), &[home, username]).await.unwrap(), "Basic dTpmcA==");
}

#[test]
fn incomplete_or_conflicting_credentials_are_an_error() {
    for options in
        [json!({"username": "u"}), json!({"password": "p"}), json!({"username": "u", "password": "p", "token": "t"})]
    {
        let error = gateway("http://h", &options, &[]).unwrap_err();
        assert!(error.message().starts_with("set either the option `token`"), "{error}");
    }
}

#[tokio::test]
async fn errors_and_debug_output_have_no_secrets() {
    let secrets = ["token-123456", "password-123456", "header-123456"];
    let echo = format!(r#"{{"detail":"wrong: {} {}"}}"#, secrets[0], secrets[2]);
    let server = Server::start([Answer::new(401, echo)]);
    let target = server.url().replace("://", &format!("://user:{}@", secrets[1]));
    let options = json!({"token": secrets[0], "headers": {"X-Key": secrets[2]}});
    let client = gateway(&target, &options, &[]).unwrap();
    let error = client.predict(predict("chat")).await.unwrap_err();
    let shown = format!("{error} {error:?} {client:?}");
    assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
}
