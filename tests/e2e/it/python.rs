//! Checks that the real Python clients and the command send equal requests.

use std::fs;

use mlflow_deploy_test_support::peers;
use mlflow_deploy_test_support::server::{Answer, Request, Server};
use serde_json::{Map, Value, json};

use crate::command::mlflow_deploy;

/// The names of the headers that the tests compare. The other headers identify the client or count retries.
const SIGNIFICANT: [&str; 7] =
    ["accept", "api-key", "authorization", "content-type", "openai-organization", "openai-project", "x-team"];

#[test]
fn openai_requests_equal_those_of_the_openai_and_mlflow_clients() {
    let file = peers::source("openai_requests.json");
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let (theirs, ours) = (Server::start(cases.iter().map(answer)), Server::start(cases.iter().map(answer)));
    peers::run_script("openai_requests.py", &[file.to_str().unwrap(), &theirs.url()]);
    for case in &cases {
        ask(case, &ours.url());
    }
    let (theirs, ours) = (theirs.requests(), ours.requests());
    assert_eq!((theirs.len(), ours.len()), (cases.len(), cases.len()));
    for ((case, theirs), ours) in cases.iter().zip(&theirs).zip(&ours) {
        assert_eq!(essence(ours), essence(theirs), "{}", case["case"]);
    }
    println!("requests compared with those of the Python clients: {}", cases.len());
}

/// Returns a response to the request of `case`. Both the Python clients and the command accept this response.
fn answer(case: &Value) -> Answer {
    if case["stream"] == true {
        return Answer::chunks(["data: {\"type\":\"response.created\",\"choices\":[]}\n\n", "data: [DONE]\n\n"]);
    }
    let text =
        json!({"id": "m", "object": "list", "data": [{"id": "m", "embedding": [0.5], "index": 0}], "choices": []});
    Answer::new(200, text.to_string())
}

/// Runs the command with arguments for which it sends the request of `case`.
fn ask(case: &Value, url: &str) {
    let none = Map::new();
    let variables = case["env"].as_object().unwrap_or(&none);
    let is_azure = variables.get("OPENAI_API_TYPE").is_some();
    let base = if is_azure { url.to_owned() } else { format!("{url}/v1") };
    let verb = match case["call"].as_str() {
        Some("models.list") => "list-endpoints",
        Some("models.retrieve") => "get-endpoint",
        _ => "predict -I -",
    };
    let mut run = mlflow_deploy(verb).arg("--json").plugin("mlflow-deploy-openai").arg("--target").arg("openai");
    run = run.stdin(case["inputs"].to_string()).env("OPENAI_API_KEY", "sk-test").env("OPENAI_API_BASE", base);
    for (name, value) in variables {
        run = run.env(name, value.as_str().unwrap());
    }
    if let Some(endpoint) = case["endpoint"].as_str() {
        run = run.arg("--endpoint").arg(endpoint);
    }
    let ran = if case["stream"] == true { run.arg("--stream").run() } else { run.run() };
    assert_eq!(ran.code, 0, "{}: {ran:?}", case["case"]);
}

/// Returns a JSON object with the parts of a request that the tests compare.
fn essence(request: &Request) -> Value {
    let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    // A GET request does not have a body, so its content type is not compared.
    let headers = SIGNIFICANT.iter().filter(|name| request.method != "GET" || **name != "content-type");
    let headers: Map<_, _> = headers.map(|name| ((*name).to_owned(), json!(request.header(name)))).collect();
    json!({"method": request.method, "path": request.path, "body": sorted(&body), "headers": headers})
}

/// Returns a copy of a JSON value in which the members of every object are sorted by name.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
