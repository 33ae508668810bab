//! Checks the OpenAI plugin with a real server that speaks OpenAI's protocol, and with several clients in one process.

use std::sync::LazyLock;

use mlflow_deploy::args::Predict;
use mlflow_deploy::{ClientOptions, Host, Payload};
use mlflow_deploy_test_support::cdylib;
use mlflow_deploy_test_support::peers::{Aimock, UPSTREAM_KEY};
use mlflow_deploy_test_support::server::{Answer, Server};
use serde_json::{Value, json};

use crate::command::{Ran, Run, mlflow_deploy};

const OPENAI: &str = "mlflow-deploy-openai";

static AIMOCK: LazyLock<Aimock> = LazyLock::new(Aimock::start);

/// Returns a run of the command with the server aimock as its target. Its environment has the API key of this server.
fn ask(arguments: &str) -> Run {
    let target = AIMOCK.url().replace("http://", "openai://").trim_end_matches('/').to_owned() + "/v1";
    let run = mlflow_deploy(arguments).arg("--target").arg(target).arg("--json").plugin(OPENAI);
    run.env("OPENAI_API_KEY", UPSTREAM_KEY)
}

fn predict(inputs: &Value, arguments: &str) -> Ran {
    ask(&format!("predict --endpoint gpt-4o -I - {arguments}")).stdin(inputs.to_string()).run()
}

fn chat(message: &str, arguments: &str) -> Ran {
    predict(&json!({"messages": [{"role": "user", "content": message}]}), arguments)
}

fn chunks(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn list_endpoints_lists_the_models() {
    let listed = ask("list-endpoints").run().json();
    let first = &listed.as_array().unwrap()[0];
    assert_eq!((&first["name"], &first["id"], &first["object"]), (&json!("gpt-4"), &json!("gpt-4"), &json!("model")));
    let missing = ask("get-endpoint --endpoint nope").run();
    assert_eq!((missing.code, missing.error()["code"].clone()), (5, json!("RESOURCE_DOES_NOT_EXIST")), "{missing:?}");
}

#[test]
fn chat_embeddings_and_responses_predict() {
    let answer = chat("hello", "").json();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello from upstream.");
    assert_eq!(answer["model"], "gpt-4o");
    let tools = chat("weather", "").json();
    assert_eq!(tools["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "get_weather");
    let embedded = predict(&json!({"input": ["embed me", "embed me"]}), "").json();
    assert_eq!(embedded["data"][1]["embedding"], json!([0.25, -0.5, 0.75]));
    let response = predict(&json!({"input": "hello", "instructions": "be kind"}), "").json();
    assert_eq!(response["output"][0]["content"][0]["text"], "Hello from upstream.");
    let by_config = predict(&json!({"input": "hello"}), "-C task=responses").json();
    assert_eq!(by_config["output"][0]["content"], response["output"][0]["content"]);
}

#[test]
fn chat_and_responses_stream() {
    let ran = chat("count to ten", "--stream");
    assert_eq!(ran.code, 0, "{ran:?}");
    let text = |chunk: &Value| chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned();
    assert_eq!(chunks(&ran).iter().map(text).collect::<String>(), "one two three four five six seven eight nine ten");
    assert!(chunks(&ran).len() > 5, "{ran:?}");
    let ran = predict(&json!({"input": "count to ten"}), "--stream");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(chunks(&ran).last().unwrap()["type"], "response.completed");
    let broken = chat("break the stream", "--stream");
    assert_eq!((broken.code, broken.error()["code"].clone()), (1, json!("TEMPORARILY_UNAVAILABLE")), "{broken:?}");
    assert!(!chunks(&broken).is_empty(), "the chunks before the failure are printed: {broken:?}");
}

#[test]
fn errors_contain_the_message_of_the_server() {
    for (message, status, code, own) in [
        ("status 400", 400, "BAD_REQUEST", "bad_taste"),
        ("status 401", 401, "UNAUTHENTICATED", "invalid_api_key"),
        ("status 404", 404, "RESOURCE_DOES_NOT_EXIST", "model_not_found"),
        ("status 429", 429, "RESOURCE_EXHAUSTED", "rate_limit_exceeded"),
        ("status 500", 500, "INTERNAL_ERROR", "internal_error"),
    ] {
        let error = chat(message, "--option max_retries:=0").error();
        assert_eq!((&error["http"]["status"], &error["code"]), (&json!(status), &json!(code)), "{error}");
        assert_eq!(error["details"]["error_code"], own);
        assert!(error["http"]["request_id"].as_str().unwrap().starts_with("req-"), "{error}");
    }
    assert_eq!(chat("recover", "").json()["choices"][0]["message"]["content"], "Well again.");
    let wrong = chat("hello", "--option api_key=wrong-key");
    assert_eq!(wrong.error()["code"], "UNAUTHENTICATED", "{wrong:?}");
}

#[test]
fn isolated_plugin_has_the_same_results() {
    let (here, there) = (ask("list-endpoints").run(), ask("list-endpoints --isolate").run());
    assert_eq!((here.code, here.stdout), (0, there.stdout));
    for message in ["hello", "weather"] {
        let (here, there) = (chat(message, "").json(), chat(message, "--isolate").json());
        assert_eq!(here["choices"], there["choices"], "{message}");
    }
    let deltas = |more: &str| {
        let ran = chat("count to ten", &format!("--stream {more}"));
        chunks(&ran).into_iter().map(|chunk| chunk["choices"][0]["delta"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(deltas(""), deltas("--isolate"));
    let (here, there) = (chat("status 404", "").error(), chat("status 404", "--isolate").error());
    assert_eq!((&here["code"], &here["message"]), (&there["code"], &there["message"]));
}

#[test]
fn azure_paths_and_keys_are_used() {
    let inputs = json!({"messages": [{"role": "user", "content": "hello"}]}).to_string();
    let run = mlflow_deploy("predict -t openai --endpoint my-dep -I - --json").plugin(OPENAI).stdin(inputs);
    let run = run.env("OPENAI_API_TYPE", "azure").env("OPENAI_API_VERSION", "2024-10-21");
    let ran = run.env("OPENAI_API_BASE", AIMOCK.url()).env("OPENAI_API_KEY", UPSTREAM_KEY).run();
    assert_eq!(ran.json()["choices"][0]["message"]["content"], "Hello from upstream.");
}

#[tokio::test]
async fn two_clients_in_one_process_use_their_own_keys() {
    let servers = [(); 2].map(|()| Server::start([Answer::new(200, "{}")]));
    let host = Host::builder().plugin(cdylib::path(OPENAI)).build();
    let mut clients = Vec::new();
    for (server, key) in servers.iter().zip(["key-one", "key-two"]) {
        let target = server.url().replace("http://", "openai://") + "/v1";
        let options = ClientOptions::new(&json!({"api_key": key})).unwrap();
        clients.push(host.get_deploy_client_with(Some(&target), &options).await.unwrap());
    }
    for _ in 0..3 {
        for client in &clients {
            let inputs = Payload::new("application/json", r#"{"prompt":"p"}"#);
            let request = Predict { endpoint: Some("m".to_owned()), inputs, ..Predict::default() };
            client.predict(request).await.unwrap();
        }
    }
    for (server, key) in servers.iter().zip(["Bearer key-one", "Bearer key-two"]) {
        let keys: Vec<_> =
            server.requests().iter().map(|request| request.header("authorization").map(str::to_owned)).collect();
        assert_eq!(keys, vec![Some(key.to_owned()); 3]);
    }
}

/// Asks for the text of an answer, without `--json`.
fn text(inputs: &Value, arguments: &str) -> Ran {
    let target = AIMOCK.url().replace("http://", "openai://").trim_end_matches('/').to_owned() + "/v1";
    let run = mlflow_deploy(&format!("predict --endpoint gpt-4o -I - --text {arguments}")).arg("--target").arg(target);
    run.plugin(OPENAI).env("OPENAI_API_KEY", UPSTREAM_KEY).stdin(inputs.to_string()).run()
}

#[test]
fn the_text_of_an_answer_is_printed_alone() {
    let chat = |message: &str| json!({"messages": [{"role": "user", "content": message}]});
    let counted = "one two three four five six seven eight nine ten\n";
    for (inputs, arguments, expected) in [
        (chat("hello"), "", "Hello from upstream.\n"),
        (chat("count to ten"), "--stream", counted),
        (json!({"input": "hello", "instructions": "be kind"}), "", "Hello from upstream.\n"),
        (json!({"input": "count to ten"}), "--stream", counted),
    ] {
        let ran = text(&inputs, arguments);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, expected, ""), "{inputs} {arguments}");
    }
    let verbose = text(&chat("hello"), "-v");
    assert!(verbose.stderr.contains("info: usage: "), "{verbose:?}");
    let tools = text(&chat("weather"), "");
    assert_eq!((tools.code, tools.stdout.as_str()), (2, ""), "{tools:?}");
    assert!(tools.stderr.starts_with("error: the answer has no text, only calls of tools: `get_weather`"), "{tools:?}");
    let embedding = text(&json!({"input": ["embed me"]}), "");
    assert!(embedding.stderr.starts_with("error: the answer has no text, expected a chat"), "{embedding:?}");
}

#[test]
fn a_called_tool_is_named_beside_the_text() {
    let call = json!({"function": {"name": "get_weather", "arguments": "{\"city\":\"Bern\"}"}});
    let answer = json!({"choices": [{"message": {"content": "Let me look.", "tool_calls": [call]}}]});
    let server = Server::start([Answer::new(200, answer.to_string())]);
    let folder = tempfile::tempdir().unwrap();
    let target = server.url().replace("http://", "openai://") + "/v1";
    for (output, stdout) in [(None, "Let me look.\n"), (Some(folder.path().join("text")), "")] {
        let mut run = mlflow_deploy("predict --endpoint m -I - --text --target").arg(&target).plugin(OPENAI);
        if let Some(output) = &output {
            run = run.arg("-O").arg(output);
        }
        let ran = run.env("OPENAI_API_KEY", "k").stdin(r#"{"messages": []}"#).run();
        let note = "the answer calls the tool `get_weather` with `{\"city\":\"Bern\"}`\n";
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, stdout, note));
        if let Some(output) = output {
            assert_eq!(std::fs::read_to_string(output).unwrap(), "Let me look.", "a file has the text alone");
        }
    }
}
