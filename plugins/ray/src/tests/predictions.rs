//! Tests predictions through Serve's HTTP proxy.

use mlflow_deploy_plugin_api::args::{Predict, PredictStream};
use mlflow_deploy_plugin_api::testing::natively;
use mlflow_deploy_test_support::server::{Answer, Server};

use super::*;

fn inputs() -> Payload {
    Payload::new("application/json", r#"{"inputs": [[1,  2.0e0]]}"#)
}

fn text(payload: &Payload) -> &str {
    str::from_utf8(payload.bytes()).unwrap()
}

#[tokio::test]
async fn inputs_and_answers_are_unchanged() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    deploy(&client, "iris").await.unwrap();
    let answer = client.predict(Predict::deployment("iris", inputs())).await.unwrap();
    assert_eq!(text(&answer), r#"{"predictions": [0, 1]}"#);
    let sent = cluster.requests().pop().unwrap();
    assert_eq!((sent.path.as_str(), sent.text().as_str()), ("/iris/invocations", r#"{"inputs": [[1,  2.0e0]]}"#));
    let csv = Payload::new("text/csv", "a,b\n1,2\n");
    client.predict(Predict::endpoint("iris", csv)).await.unwrap();
    let requests = cluster.requests();
    let sent = requests.last().unwrap();
    assert_eq!((sent.header("content-type"), sent.text().as_str()), (Some("text/csv"), "a,b\n1,2\n"));
    let gets = requests.iter().rev().take_while(|each| each.method != "PUT").filter(|each| each.path.contains("serve"));
    assert!(gets.count() <= 4, "the address is looked up once");
}

#[tokio::test]
async fn the_server_s_error_is_kept() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    deploy(&client, "iris").await.unwrap();
    let wrong = Predict::deployment("iris", Payload::new("application/json", "{bad"));
    let error = client.predict(wrong).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.http_status()), ("BAD_REQUEST", Some(400)));
    assert!(error.message().contains("Ensure that input is a valid JSON formatted string"), "{error}");
    for (request, said) in [
        (Predict::deployment("nope", inputs()), "the cluster has no deployment `nope`: it has `iris`"),
        (Predict { inputs: inputs(), ..Predict::default() }, "no deployment given"),
        (
            Predict::deployment("iris", inputs()).with_endpoint("other"),
            "the deployment `iris` and the endpoint `other`",
        ),
        (
            Predict::deployment("iris", inputs()).with_config(Config::new(&json!({"a": 1})).unwrap()),
            "unknown config key `a`",
        ),
        (Predict::deployment("iris", Payload::empty()), "no inputs given"),
    ] {
        let error = client.predict(request).await.unwrap_err();
        assert!(error.message().contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_moved_deployment_is_found_again_and_one_that_is_not_ready_is_named() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    deploy(&client, "iris").await.unwrap();
    client.predict(Predict::deployment("iris", inputs())).await.unwrap();
    plain(&cluster).update_deployment(update("iris", &json!({"route_prefix": "/moved"}))).await.unwrap();
    client.predict(Predict::deployment("iris", inputs())).await.unwrap();
    assert_eq!(cluster.requests().pop().unwrap().path, "/moved/invocations");
    let folder = model();
    let unfinished = create("stuck", folder.path(), &json!({"wait": false}));
    client.create_deployment(unfinished).await.unwrap();
    let error = client.predict(Predict::deployment("stuck", inputs())).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (&ErrorCode::TEMPORARILY_UNAVAILABLE, true));
    assert!(error.message().starts_with("the deployment `stuck` is not ready: it is DEPLOYING"), "{error}");
}

#[tokio::test]
async fn a_model_that_streams_is_streamed_and_another_one_answers_as_a_whole() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    deploy(&client, "streams").await.unwrap();
    deploy(&client, "iris").await.unwrap();
    for (name, count, first) in [("streams", 12, r#"{"part":0}"#), ("iris", 1, r#"{"predictions": [0, 1]}"#)] {
        let (answer, chunks) = natively(&client, PredictStream::deployment(name, inputs())).await;
        answer.unwrap();
        assert_eq!((chunks.len(), text(&chunks[0])), (count, first));
        let sent = cluster.requests().pop().unwrap();
        assert_eq!(
            (sent.header("accept"), sent.text().as_str()),
            (Some("text/event-stream"), r#"{"inputs": [[1,  2.0e0]]}"#)
        );
    }
}

#[tokio::test]
async fn a_given_proxy_gets_its_own_headers_only() {
    let cluster = ray::Ray::start();
    let proxy = Server::start([Answer::new(200, "{}")]);
    let options = json!({
        "poll_interval": 0.05, "token": "dashboard-token", "headers": {"x-dashboard": "dashboard-header"},
        "serve_url": format!("{}/serve", proxy.url()), "serve_headers": {"authorization": "proxy-secret"},
    });
    let client = client(&cluster.target(), &options, &[]).unwrap();
    deploy(&client, "iris").await.unwrap();
    client.predict(Predict::deployment("iris", inputs())).await.unwrap();
    let sent = proxy.requests().pop().unwrap();
    assert_eq!(
        (sent.path.as_str(), sent.header("authorization"), sent.header("x-dashboard")),
        ("/serve/iris/invocations", Some("proxy-secret"), None)
    );
    assert!(cluster.requests().iter().all(|each| each.header("authorization") == Some("Bearer dashboard-token")));
}
