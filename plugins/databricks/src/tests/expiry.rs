//! Tests the renewal of expired tokens.

use mlflow_deploy_test_support::databricks::{CLIENT_ID, CLIENT_SECRET, WORKSPACE_ID};

use super::*;

/// Returns a client that logs in as a service principal. Also creates the endpoint `chat`, and waits until it is ready.
async fn principal(workspace: &databricks::Databricks) -> Databricks {
    let options = json!({
        "host": workspace.url(), "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "poll_interval": 0.1,
    });
    let client = client("databricks", &options, &[]).unwrap();
    client.create_endpoint(create("chat", &json!({"wait": true}))).await.unwrap();
    client
}

#[tokio::test]
async fn concurrent_predictions_after_an_expiry_request_one_token() {
    let workspace = databricks::Databricks::start();
    let client = std::sync::Arc::new(principal(&workspace).await);
    assert_eq!(workspace.tokens_issued(), 1);
    for expiry in 1..=3 {
        workspace.expire_tokens();
        client.config.workspace.as_ref().unwrap().expire_token();
        let mut predictions = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let client = std::sync::Arc::clone(&client);
            predictions.spawn(async move { client.predict(predict("chat")).await });
        }
        for answer in predictions.join_all().await {
            answer.unwrap();
        }
        assert_eq!(workspace.tokens_issued(), 1 + expiry);
    }
}

#[tokio::test]
async fn a_rejected_token_is_renewed_and_the_request_is_repeated() {
    let workspace = databricks::Databricks::start();
    let client = principal(&workspace).await;
    workspace.expire_tokens();
    client.predict(predict("chat")).await.unwrap();
    assert_eq!(workspace.tokens_issued(), 2);
    workspace.expire_tokens();
    let error = client.get_endpoint(get("chat")).await.unwrap_err();
    assert_eq!(error.http_status(), Some(401), "the second rejection in a row is final");
    assert_eq!(workspace.tokens_issued(), 2);
    client.config.workspace.as_ref().unwrap().expire_token();
    client.get_endpoint(get("chat")).await.unwrap();
    workspace.expire_tokens();
    let request = PredictStream::endpoint("chat", chat());
    let (end, _) = natively(&client, request).await;
    end.unwrap();
    assert_eq!(workspace.tokens_issued(), 4);
}

#[tokio::test]
async fn a_rejected_personal_access_token_is_not_retried() {
    let server = Server::start([Answer::new(401, "{}")]);
    plain(&server.url()).get_endpoint(get("chat")).await.unwrap_err();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn metadata_and_discovery_document_are_read_once() {
    let workspace = databricks::Databricks::start();
    let client = principal(&workspace).await;
    client.config.workspace.as_ref().unwrap().expire_token();
    client.get_endpoint(get("chat")).await.unwrap();
    let requests = workspace.requests();
    let count = |path: &str| request_lines(&requests).iter().filter(|line| line.ends_with(path)).count();
    assert_eq!((count("/.well-known/databricks-config"), count("/oauth-authorization-server")), (1, 1));
    assert_eq!(count("POST /oidc/v1/token"), 2);
    let last = requests.last().unwrap();
    assert_eq!(last.header("x-databricks-org-id"), Some(WORKSPACE_ID), "the metadata contains it");
}

#[tokio::test]
async fn an_unrepresentable_expiry_counts_as_none() {
    for seconds in [json!(u64::MAX), json!(u64::MAX.to_string()), json!(i64::MAX)] {
        let answer = json!({"access_token": "AT", "expires_in": seconds, "expires_on": u64::MAX}).to_string();
        let server = Server::start([Answer::new(200, "{}")])
            .with_route("/.well-known/", Answer::status(404))
            .with_route("/token", Answer::new(200, answer));
        let document = json!({"token_endpoint": format!("{}/token", server.url())}).to_string();
        let server = server.with_route("/oidc/.well-known/", Answer::new(200, document));
        for credentials in [
            json!({"client_id": "cid", "client_secret": "csec"}),
            json!({"metadata_service_url": format!("{}/token", server.url())}),
        ] {
            let mut options = json!({"host": server.url()});
            options.as_object_mut().unwrap().extend(credentials.as_object().unwrap().clone());
            let client = client("databricks", &options, &[]).unwrap();
            client.list_endpoints(ListEndpoints::all()).await.unwrap();
            client.list_endpoints(ListEndpoints::all()).await.unwrap();
        }
        let requested = server.requests().iter().filter(|request| request.path == "/token").count();
        assert_eq!(requested, 2, "each token is requested once");
    }
}

#[tokio::test]
async fn an_invalid_token_response_is_named_by_its_url() {
    let server = Server::start([Answer::new(200, "s3cret")]).with_route("/.well-known/", Answer::status(404));
    let options = json!({"host": server.url(), "client_id": "cid", "client_secret": "csec"});
    let error = client("databricks", &options, &[]).unwrap().list_endpoints(ListEndpoints::all()).await.unwrap_err();
    let url = format!("{}/oidc/.well-known/oauth-authorization-server", server.url());
    let expected = format!("the server did not answer with a discovery document at `{url}`: expected value at line 1");
    assert!(error.message().starts_with(&expected) && !error.message().contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_refused_token_request_is_an_error_without_secrets() {
    let workspace = databricks::Databricks::start();
    let options = json!({"host": workspace.url(), "client_id": "unknown", "client_secret": "s3cret-of-unknown"});
    let error = client("databricks", &options, &[]).unwrap().list_endpoints(ListEndpoints::all()).await.unwrap_err();
    assert_eq!((error.code(), error.http_status()), (&ErrorCode::UNAUTHENTICATED, Some(401)));
    assert!(error.message().contains("/oidc/v1/token: invalid_client: unknown client:"), "{error}");
    assert_eq!(error.details()["auth_type"], "oauth-m2m");
    assert!(!format!("{error:?}").contains("s3cret-of-unknown"));
}
