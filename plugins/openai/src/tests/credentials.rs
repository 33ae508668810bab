//! Tests the credentials in requests, and their redaction in messages.

use super::*;

/// Returns the `Authorization` header that a client with the given options and variables sends. The target URI names
/// the server.
async fn authorization(options: &Value, variables: &[(&str, &str)]) -> Option<String> {
    let server = Server::start([Answer::new(200, "{}")]);
    openai(&target(&server), options, variables).unwrap().predict(predict("m", r#"{"prompt":1}"#)).await.unwrap();
    server.requests()[0].header("authorization").map(str::to_owned)
}

#[tokio::test]
async fn options_take_precedence_over_the_environment() {
    const KEY: (&str, &str) = ("OPENAI_API_KEY", "sk-env");
    let bearer = |key| Some(format!("Bearer {key}"));
    assert_eq!(authorization(&json!({}), &[]).await, None, "a compatible server may need no key");
    assert_eq!(authorization(&json!({}), &[KEY]).await, bearer("sk-env"));
    assert_eq!(authorization(&json!({"api_key": "sk-own"}), &[KEY]).await, bearer("sk-own"));
    assert_eq!(authorization(&json!({"api_key": ""}), &[KEY]).await, None, "an empty key disables the other one");
    let header = json!({"headers": {"Authorization": "Custom xyz"}, "api_key": "own"});
    assert_eq!(authorization(&header, &[]).await, Some("Custom xyz".to_owned()));
    let lines = ("OPENAI_CUSTOM_HEADERS", "X-A: b\nAuthorization:  Custom 2 \n");
    assert_eq!(authorization(&json!({}), &[KEY, lines]).await, Some("Custom 2".to_owned()));
}

#[test]
fn openai_needs_a_key() {
    for (target, options) in [
        ("openai", json!({})),
        ("openai://eu.api.openai.com/v1", json!({})),
        ("openai", json!({"base_url": "https://api.openai.com/v1/"})),
    ] {
        let error = openai(target, &options, &[("OPENAI_API_KEY", "")]).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().starts_with("OPENAI_API_KEY environment variable not set"), "{error}");
    }
}

#[tokio::test]
async fn a_key_is_not_sent_over_plain_http() {
    let options = json!({"base_url": "http://far.test/v1", "api_key": "sk-test-123"});
    let error = openai("openai", &options, &[]).unwrap().predict(predict("m", r#"{"prompt":1}"#)).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    assert!(error.message().contains("refusing to send credentials to `far.test` over plain `http`"), "{error}");
    let proxy = Server::start([Answer::new(200, "{}")]);
    let proxied = [("HTTP_PROXY", proxy.url())];
    let proxied: Vec<_> = proxied.iter().map(|(name, url)| (*name, url.as_str())).collect();
    let mut options = options;
    options["allow_http"] = json!(true);
    openai("openai", &options, &proxied).unwrap().predict(predict("m", r#"{"prompt":1}"#)).await.unwrap();
    let keyless = json!({"base_url": "http://far.test/v1"});
    openai("openai", &keyless, &proxied).unwrap().predict(predict("m", r#"{"prompt":1}"#)).await.unwrap();
    assert_eq!(request_lines(&proxy), ["POST http://far.test/v1/completions"; 2]);
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_not_followed() {
    let other = Server::start([Answer::new(200, "{}")]);
    let location = format!("{}/v1/models/m", other.url());
    let server = Server::start([Answer::status(307).header("Location", &location)]);
    let error = plain(&server).get_endpoint(GetEndpoint::new("m")).await.unwrap_err();
    assert!(error.message().contains("to another origin"), "{error}");
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn errors_and_debug_output_have_no_secrets() {
    let secrets = ["key-1234567", "header-123456", "custom-123456"];
    let echo = format!(r#"{{"error":{{"message":"wrong: {} {} {}"}}}}"#, secrets[0], secrets[1], secrets[2]);
    let server = Server::start([Answer::new(401, echo)]);
    let options = json!({"api_key": secrets[0], "headers": {"X-Key": secrets[1]}});
    let custom = format!("X-Other: {}", secrets[2]);
    let client = openai(&target(&server), &options, &[("OPENAI_CUSTOM_HEADERS", &custom)]).unwrap();
    let error = client.predict(predict("m", r#"{"prompt":1}"#)).await.unwrap_err();
    let shown = format!("{error} {error:?} {client:?}");
    assert!(shown.contains("wrong: <redacted> <redacted> <redacted>"), "{shown}");
    assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
}
