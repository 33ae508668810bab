//! Checks the gateway plugin with the real MLflow AI Gateway and the real tracking server. Both forward requests to
//! aimock, which serves fixed replies.

use std::sync::LazyLock;

use mlflow_deploy_test_support::peers::{Gateway, PASSWORD, TrackingServer, USER};
use serde_json::{Value, json};

use crate::command::{Ran, Run, mlflow_deploy};

static GATEWAY: LazyLock<Gateway> = LazyLock::new(Gateway::start);
static TRACKING: LazyLock<TrackingServer> = LazyLock::new(TrackingServer::start);

/// Returns a run of the command with the gateway plugin, and with the server at `url` as its target.
fn ask(url: &str, arguments: &str) -> Run {
    let run = mlflow_deploy(arguments).arg("--target").arg(url).arg("--json");
    run.plugin("mlflow-deploy-gateway").env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
}

fn chat(url: &str, endpoint: &str, message: &str, arguments: &str) -> Ran {
    let inputs = json!({"messages": [{"role": "user", "content": message}]});
    ask(url, &format!("predict --endpoint {endpoint} -I - {arguments}")).stdin(inputs.to_string()).run()
}

fn names(ran: &Ran) -> Vec<Value> {
    ran.json().as_array().unwrap().iter().map(|endpoint| endpoint["name"].clone()).collect()
}

/// Returns the texts of all chunks of a stream, joined into one text.
fn text(ran: &Ran) -> String {
    let chunks = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |chunk: Value| chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned();
    chunks.map(text).collect()
}

#[test]
fn gateway_lists_and_gets_its_endpoints() {
    let listed = ask(GATEWAY.url(), "list-endpoints").run();
    assert_eq!(names(&listed), ["chat", "embeddings", "chat-limited", "chat-locked"]);
    let shown = ask(GATEWAY.url(), "get-endpoint --endpoint chat").run().json();
    assert_eq!(shown["endpoint_url"], format!("{}/gateway/chat/invocations", GATEWAY.url().trim_end_matches('/')));
    assert_eq!(shown["model"], json!({"name": "gpt-4o-mini", "provider": "openai"}));
    let missing = ask(GATEWAY.url(), "get-endpoint --endpoint nope").run();
    assert_eq!((missing.code, missing.error()["http"]["status"].clone()), (5, json!(404)));
    assert!(missing.stderr.contains("is not present or active"), "{missing:?}");
}

#[test]
fn tracking_server_lists_and_gets_its_endpoints() {
    let listed = ask(TRACKING.url(), "list-endpoints").run();
    let mut listed = names(&listed);
    listed.sort_by_key(ToString::to_string);
    assert_eq!(listed, ["chat", "chat-locked", "embeddings"]);
    let shown = ask(TRACKING.url(), "get-endpoint --endpoint chat").run().json();
    assert_eq!(shown["name"], "chat");
    let missing = ask(TRACKING.url(), "get-endpoint --endpoint nope").run();
    assert_eq!((missing.code, missing.error()["code"].clone()), (5, json!("RESOURCE_DOES_NOT_EXIST")), "{missing:?}");
}

#[test]
fn gateway_and_tracking_server_predict() {
    for url in [GATEWAY.url(), TRACKING.url()] {
        let answer = chat(url, "chat", "hello", "").json();
        assert_eq!(answer["choices"][0]["message"]["content"], "Hello from upstream.");
        assert_eq!(answer["usage"]["total_tokens"], 5);
        let inputs = json!({"input": ["embed me", "embed me"]}).to_string();
        let embeddings = ask(url, "predict --endpoint embeddings -I -").stdin(inputs).run().json();
        assert_eq!(embeddings["data"][1]["embedding"], json!([0.25, -0.5, 0.75]));
    }
}

#[test]
fn isolated_plugin_reaches_gateway_and_tracking_server() {
    for url in [GATEWAY.url(), TRACKING.url()] {
        let listed = ask(url, "list-endpoints --isolate").run();
        assert!(names(&listed).contains(&json!("chat")), "{listed:?}");
        let answer = chat(url, "chat", "hello", "--isolate").json();
        assert_eq!(answer["choices"][0]["message"]["content"], "Hello from upstream.");
        assert_eq!(
            text(&chat(url, "chat", "count to ten", "--stream --isolate")),
            text(&chat(url, "chat", "count to ten", "--stream"))
        );
        let missing = |more| ask(url, &format!("get-endpoint --endpoint nope {more}")).run();
        assert_eq!(missing("--isolate").error(), missing("").error());
    }
}

#[test]
fn gateway_and_tracking_server_stream() {
    for url in [GATEWAY.url(), TRACKING.url()] {
        let ran = chat(url, "chat", "count to ten", "--stream");
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(text(&ran), "one two three four five six seven eight nine ten");
        assert!(ran.stdout.lines().count() > 5, "{ran:?}");
    }
}

#[test]
fn errors_contain_the_status_and_message_of_the_upstream() {
    for url in [GATEWAY.url(), TRACKING.url()] {
        for (message, status, code, words, exit) in [
            ("status 400", 400, "BAD_REQUEST", "This model does not like that.", 1),
            ("status 401", 401, "UNAUTHENTICATED", "Incorrect API key provided.", 1),
            ("status 404", 404, "RESOURCE_DOES_NOT_EXIST", "The model does not exist.", 5),
            ("status 429", 429, "RESOURCE_EXHAUSTED", "Rate limit reached.", 1),
            ("status 500", 500, "INTERNAL_ERROR", "The server had an error.", 1),
            ("status 503", 503, "TEMPORARILY_UNAVAILABLE", "The engine is overloaded.", 1),
        ] {
            let ran = chat(url, "chat", message, "");
            let error = ran.error();
            assert_eq!((&error["http"]["status"], &error["code"]), (&json!(status), &json!(code)), "{url} {ran:?}");
            assert!(error["message"].as_str().unwrap().contains(words), "{ran:?}");
            assert_eq!(ran.code, exit, "{ran:?}");
        }
        let locked = chat(url, "chat-locked", "hello", "");
        assert_eq!(locked.error()["http"]["status"], 401, "{locked:?}");
        let unknown = chat(url, "nope", "hello", "");
        assert_eq!(unknown.code, 5, "{unknown:?}");
    }
}

#[test]
fn recovered_server_replies_to_a_retry() {
    let run = ask(GATEWAY.url(), "predict --endpoint chat -I -").env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1");
    let inputs = json!({"messages": [{"role": "user", "content": "recover"}]}).to_string();
    let answer = run.stdin(inputs).run().json();
    assert_eq!(answer["choices"][0]["message"]["content"], "Well again.");
}

#[test]
fn rate_limit_of_the_gateway_is_distinguished() {
    let calls = [(); 2].map(|()| chat(GATEWAY.url(), "chat-limited", "hello", ""));
    assert_eq!(calls[0].code, 0, "{calls:?}");
    let error = calls[1].error();
    assert_eq!((&error["code"], &error["retryable"]), (&json!("RESOURCE_EXHAUSTED"), &json!(true)));
    assert!(error["message"].as_str().unwrap().contains("Rate limit exceeded: 1 per 1 hour"));
}

#[test]
fn broken_stream_is_an_error_after_its_chunks() {
    for url in [GATEWAY.url(), TRACKING.url()] {
        let ran = chat(url, "chat", "break the stream", "--stream");
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    }
    let refused = chat(TRACKING.url(), "chat", "status 429", "--stream");
    assert!(refused.error()["message"].as_str().unwrap().contains("Rate limit reached."), "{refused:?}");
    for url in [GATEWAY.url(), TRACKING.url()] {
        let empty = chat(url, "chat", "talk nonsense", "--stream");
        assert_ne!(empty.code, 0, "a stream without an event is an error: {empty:?}");
    }
}

#[test]
fn deadline_ends_a_slow_reply() {
    let ran = chat(GATEWAY.url(), "chat", "be slow", "--timeout 1");
    assert_eq!(ran.code, 6, "{ran:?}");
}

#[test]
fn server_with_authentication_requires_credentials() {
    let server = TrackingServer::start_protected();
    let refused = ask(server.url(), "list-endpoints").run();
    assert_eq!(refused.error()["code"], "UNAUTHENTICATED", "{refused:?}");
    let by_environment = ask(server.url(), "list-endpoints")
        .env("MLFLOW_TRACKING_USERNAME", USER)
        .env("MLFLOW_TRACKING_PASSWORD", PASSWORD);
    assert_eq!(names(&by_environment.run()).len(), 3);
    let by_option = ask(server.url(), "get-endpoint --endpoint chat");
    let by_option =
        by_option.arg("--option").arg(format!("username={USER}")).arg("--option").arg(format!("password={PASSWORD}"));
    assert_eq!(by_option.run().json()["name"], "chat");
    let wrong = ask(server.url(), "list-endpoints --option username=admin --option password=wrong-secret").run();
    assert_eq!(wrong.code, 1);
    assert!(!wrong.stderr.contains("wrong-secret"), "{wrong:?}");
}
