//! One token for all, renewed once for all.

use mlflow_deploy_test_support::databricks::{CLIENT_ID, CLIENT_SECRET, WORKSPACE_ID};

use super::*;

/// A client of a service principal, and an endpoint that is ready.
async fn principal(workspace: &databricks::Databricks) -> Databricks {
    let options = json!({
        "host": workspace.url(), "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "poll_interval": 0.1,
    });
    let client = client("databricks", &options, &[]).unwrap();
    client.create_endpoint(create("chat", &json!({"wait": true}))).await.unwrap();
    client
}

#[tokio::test]
async fn two_hundred_predictions_across_an_expiry_ask_for_one_token() {
    let workspace = databricks::Databricks::start();
    let client = std::sync::Arc::new(principal(&workspace).await);
    assert_eq!(workspace.tokens_issued(), 1);
    for expiry in 1..=3 {
        workspace.expire_tokens();
        client.config.workspace.as_ref().unwrap().age_token();
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
async fn the_host_is_asked_once_what_it_is() {
    let workspace = databricks::Databricks::start();
    let client = principal(&workspace).await;
    client.config.workspace.as_ref().unwrap().age_token();
    client.get_endpoint(get("chat")).await.unwrap();
    let requests = workspace.requests();
    let count = |path: &str| asked(&requests).iter().filter(|line| line.ends_with(path)).count();
    assert_eq!((count("/.well-known/databricks-config"), count("/oauth-authorization-server")), (1, 1));
    assert_eq!(count("POST /oidc/v1/token"), 2);
    let last = requests.last().unwrap();
    assert_eq!(last.header("x-databricks-org-id"), Some(WORKSPACE_ID), "it was said on the way");
}

#[tokio::test]
async fn a_token_that_ends_after_all_time_does_not_end() {
    for seconds in [json!(u64::MAX), json!(u64::MAX.to_string()), json!(i64::MAX)] {
        let answer = json!({"access_token": "AT", "expires_in": seconds, "expires_on": u64::MAX}).to_string();
        let server = Server::start([Answer::new(200, "{}")])
            .with_route("/.well-known/", Answer::status(404))
            .with_route("/token", Answer::new(200, answer));
        let document = json!({"token_endpoint": format!("{}/token", server.url())}).to_string();
        let server = server.with_route("/oidc/.well-known/", Answer::new(200, document));
        for given in [
            json!({"client_id": "cid", "client_secret": "csec"}),
            json!({"metadata_service_url": format!("{}/token", server.url())}),
        ] {
            let mut options = json!({"host": server.url()});
            options.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
            let client = client("databricks", &options, &[]).unwrap();
            client.list_endpoints(ListEndpoints {}).await.unwrap();
            client.list_endpoints(ListEndpoints {}).await.unwrap();
        }
        let given = server.requests().iter().filter(|request| request.path == "/token").count();
        assert_eq!(given, 2, "each is asked for once");
    }
}

#[tokio::test]
async fn an_answer_without_a_token_is_named_by_its_address() {
    let server = Server::start([Answer::new(200, "s3cret")]).with_route("/.well-known/", Answer::status(404));
    let options = json!({"host": server.url(), "client_id": "cid", "client_secret": "csec"});
    let error = client("databricks", &options, &[]).unwrap().list_endpoints(ListEndpoints {}).await.unwrap_err();
    let expected = format!("the answer of `{}/oidc/.well-known/oauth-authorization-server` is not JSON", server.url());
    assert!(error.message().starts_with(&expected) && !error.message().contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_token_that_is_refused_says_why_and_shows_no_secret() {
    let workspace = databricks::Databricks::start();
    let options = json!({"host": workspace.url(), "client_id": "nobody", "client_secret": "s3cret-of-nobody"});
    let error = client("databricks", &options, &[]).unwrap().list_endpoints(ListEndpoints {}).await.unwrap_err();
    assert_eq!((error.code(), error.http_status()), (&ErrorCode::UNAUTHENTICATED, Some(401)));
    assert!(error.message().contains("/oidc/v1/token: invalid_client: unknown client:"), "{error}");
    assert_eq!(error.details()["auth_type"], "oauth-m2m");
    assert!(!format!("{error:?}").contains("s3cret-of-nobody"));
}
