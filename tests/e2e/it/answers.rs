//! Tests of the command and each HTTP plugin, with responses as real servers and proxies send them.

use mlflow_deploy_test_support::server::{Answer, Server};

use crate::command::{Ran, Run, mlflow_deploy};

const ECHO: &str = "mlflow-deploy-example-echo";

/// The package of each HTTP plugin, with the arguments of the command that select its target. `ADDRESS` stands for the
/// address of the server.
const TARGETS: [(&str, &str); 3] = [
    ("mlflow-deploy-openai", "-t openai://ADDRESS/v1"),
    ("mlflow-deploy-gateway", "-t http://ADDRESS"),
    ("mlflow-deploy-databricks", "-t databricks --option host=http://ADDRESS --option token=t"),
];

const OPEN: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"Bonjour"},"finish_reason":null}]}"#;

fn command(target: (&str, &str), server: &Server, verb: &str) -> Run {
    let (package, options) = target;
    let options = options.replace("ADDRESS", server.url().trim_start_matches("http://"));
    mlflow_deploy(&format!("{verb} {options} --option max_retries:=0")).plugin(package)
}

/// Predicts with each of [`TARGETS`], from a server that sends the response `answer`. Asserts that all outputs are
/// equal, and returns one of them.
fn predict(answer: &Answer, flags: &str) -> Ran {
    let verb = format!("predict --endpoint m -I - {flags}");
    let inputs = r#"{"messages":[{"role":"user","content":"Salut"}]}"#;
    let run = |target| command(target, &Server::start([answer.clone()]), &verb).stdin(inputs).run();
    let [first, others @ ..] = TARGETS.map(run);
    for ran in others {
        assert_eq!((ran.code, &ran.stdout), (first.code, &first.stdout), "{ran:?} {first:?}");
    }
    first
}

#[test]
fn failure_in_a_success_has_exit_code_1() {
    for (body, reason) in [
        (r#"{"error":{"message":"the engine is dead","type":"server_error"}}"#, "the engine is dead"),
        (r#"{"error_type":"Overflow","error_message":"4097 tokens"}"#, "4097 tokens"),
        (r#"{"error_code":"BAD_REQUEST","message":"no such column"}"#, "no such column"),
        (r#"{"object":"error","message":"out of memory","code":507}"#, "out of memory"),
        (r#"{"detail":"the worker left"}"#, "the worker left"),
        (r#"{"choices":[{"index":0,"finish_reason":"error","error":{"message":"gone"}}]}"#, "gone"),
    ] {
        let whole = predict(&Answer::new(200, body), "");
        let said = format!("error: the server answered with an error: {reason}");
        assert_eq!((whole.code, whole.stdout.as_str(), whole.stderr.contains(&said)), (1, "", true), "{whole:?}");
        let streamed = predict(&Answer::chunks([format!("{OPEN}\n\ndata: {body}\n\ndata: [DONE]\n\n")]), "--stream");
        let said = format!("error: the server ended the stream with an error: {reason}");
        assert_eq!((streamed.code, streamed.stdout.lines().count()), (1, 1), "{streamed:?}");
        assert!(streamed.stderr.contains(&said), "{streamed:?}");
    }
}

#[test]
fn empty_error_is_no_failure() {
    let chunk = |error: &str| format!("data: {{\"choices\":[],\"error\":{error}}}\n\n");
    let errors = ["\"\"", "{}", "false", "null", "0.125", r#"{"message":"","code":null}"#];
    let body = errors.map(chunk).concat() + "data: [DONE]\n\n";
    let ran = predict(&Answer::chunks([body]), "--stream");
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, errors.len()), "{ran:?}");
}

#[test]
fn stream_is_known_by_its_bytes() {
    let body = format!("{OPEN}\n\ndata: [DONE]\n\n");
    let chunk = OPEN.trim_start_matches("data: ").to_owned() + "\n";
    let events = Answer::chunks([body]);
    for answer in [
        events.clone().without_content_type(),
        events.clone().header("Content-Type", "application/json"),
        events.header("Content-Type", "text/plain"),
    ] {
        let streamed = predict(&answer, "--stream");
        assert_eq!((streamed.code, &streamed.stdout), (0, &chunk), "{streamed:?}");
        let whole = predict(&answer, "");
        assert_eq!((whole.code, whole.stdout.as_str()), (1, ""), "{whole:?}");
        assert!(whole.stderr.contains("although a whole one was requested"), "{whole:?}");
    }
    let json = Answer::new(200, r#"{"id":"whole"}"#).header("Content-Type", "text/event-stream");
    for flags in ["--stream", ""] {
        assert_eq!(predict(&json, flags).stdout, "{\"id\":\"whole\"}\n");
    }
}

#[test]
fn stream_that_is_cut_has_exit_code_1() {
    let ran = predict(&Answer::chunks([format!("{OPEN}\n\n")]), "--stream");
    assert_eq!((ran.code, ran.stdout.lines().count()), (1, 1), "{ran:?}");
    assert!(ran.stderr.contains("the server's stream was cut"), "{ran:?}");
}

#[test]
fn json_flag_prints_json_or_fails() {
    let nan = r#"{"logprobs":[NaN,-Infinity]}"#;
    let whole = Answer::new(200, nan);
    let streamed = Answer::chunks([format!("data: {nan}\n\ndata: [DONE]\n\n")]);
    for (answer, flags) in [(whole, ""), (streamed, "--stream")] {
        let ran = predict(&answer, flags);
        assert_eq!((ran.code, ran.stdout), (0, format!("{nan}\n")));
        let ran = predict(&answer, &format!("{flags} --json"));
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
        assert!(ran.error()["message"].as_str().unwrap().contains("`NaN` and `Infinity` are invalid"), "{ran:?}");
    }
    for body in [b"{\"choices\":[{\"mess".as_slice(), b"OK", b"{\"a\":\"\xe2\x82\"}"] {
        for flags in ["", "--json", "--stream", "--stream --json"] {
            let ran = predict(&Answer::new(200, body), flags);
            assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
        }
    }
    let echoed = mlflow_deploy("predict -t echo --endpoint echo --json -I -").plugin(ECHO).stdin("{\"x\": NaN}").run();
    assert_eq!((echoed.code, echoed.stdout.as_str()), (1, ""), "{echoed:?}");
}

#[test]
fn lists_in_other_forms_are_read() {
    for (body, listed) in [(r#"[{"id":"q","name":"q"}]"#, r#"[{"id":"q","name":"q"}]"#), ("[]", "[]")] {
        for target in TARGETS {
            let server = Server::start([Answer::new(200, body)]);
            assert_eq!(command(target, &server, "list-endpoints --json").run().stdout.trim(), listed);
        }
    }
}

#[test]
fn missing_route_is_no_missing_resource() {
    for (target, body) in [
        (("mlflow-deploy-openai", "-t openai://ADDRESS"), r#"{"detail":"Not Found"}"#),
        (
            (
                "mlflow-deploy-databricks",
                "-t databricks --option host=http://ADDRESS/sql/login.html?o=9 --option token=t",
            ),
            r#"{"error_code":"ENDPOINT_NOT_FOUND","message":"No API found for 'GET /x'"}"#,
        ),
        (("mlflow-deploy-gateway", "-t http://ADDRESS/docs"), r#"{"detail":"Not Found"}"#),
    ] {
        let server = Server::start([Answer::new(404, body)]);
        let ran = command(target, &server, "list-endpoints").run();
        assert_eq!(ran.code, 1, "{ran:?}");
    }
}
