//! Tests the credentials for the dashboard, and that no secret is printed.

use super::*;

#[tokio::test]
async fn the_token_is_that_of_the_option_or_of_the_variable() {
    let cluster = ray::Ray::start();
    cluster.require_token("t0ken-of-the-option");
    let list = async |options: &Value, variables: &[(&str, &str)]| {
        let client = client(&cluster.target(), options, variables).unwrap();
        client.list_deployments(ListDeployments::all()).await
    };
    let variables = [("RAY_AUTH_TOKEN", "t0ken-of-the-option\n")];
    list(&json!({"token": "t0ken-of-the-option"}), &[("RAY_AUTH_TOKEN", "other")]).await.unwrap();
    list(&json!({}), &variables).await.unwrap();
    list(&json!({"headers": {"authorization": "Bearer t0ken-of-the-option"}}), &[]).await.unwrap();
    let error = list(&json!({"token": "wrong-token-value"}), &[]).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.http_status()), ("UNAUTHENTICATED", Some(401)));
    assert!(!format!("{error:?}").contains("wrong-token-value"));
}

#[test]
fn debug_shows_no_secret() {
    let options = json!({"token": "s3cret-1", "headers": {"a": "s3cret-2"}, "serve_headers": {"b": "s3cret-3"},
        "tracking_uri": "http://u:s3cret-4@h", "tracking_token": "s3cret-5"});
    let client = client("ray", &options, &[]).unwrap();
    assert!(!format!("{client:?}").contains("s3cret"), "{client:?}");
}
