//! The recordings of MLflow's gateway client: the same requests, and the same meaning of the result.

use std::net::{TcpListener, TcpStream};

use mlflow_deploy::{Host, Operation};
use mlflow_deploy_test_support::cdylib;
use mlflow_deploy_test_support::server::{Answer, Request, Server};
use serde_json::Value;

use super::differences::{DIFFERENCES, Difference, Outcome};
use super::{outcome, recordings};
use crate::command::mlflow_deploy;

/// The headers that carry meaning; the others say who is asking.
const SIGNIFICANT: [&str; 4] = ["authorization", "content-type", "x-mlflow-workspace", "x-databricks-traffic-id"];

#[test]
fn the_client_does_what_mlflow_s_does_or_differs_on_purpose() {
    let (mut same, mut different, mut failing) = (0, 0, Vec::new());
    for case in recordings("gw_") {
        let name = case["name"].as_str().unwrap();
        let mismatches = replay(&case);
        match (DIFFERENCES.iter().find(|difference| difference.name == name), mismatches) {
            (None, Mismatches { found, .. }) if found.is_empty() => same += 1,
            (Some(difference), Mismatches { found, requests, outcome }) if !found.is_empty() => {
                match difference.holds(requests, &outcome) {
                    Ok(()) => different += 1,
                    Err(what) => failing.push(format!("{name}: not as the difference says: {what}")),
                }
            }
            (Some(_), _) => failing.push(format!("{name}: listed as different, and is the same")),
            (None, Mismatches { found, .. }) => failing.push(format!("{name}: {}", found.join("; "))),
        }
    }
    println!("client recordings: {same} passing, {different} deliberately different, {} failing", failing.len());
    assert!(failing.is_empty(), "{}", failing.join("\n"));
}

/// How a replay differs from its recording.
struct Mismatches {
    found: Vec<String>,
    requests: usize,
    outcome: Result<Value, Value>,
}

fn replay(case: &Value) -> Mismatches {
    let server = Server::start(case["server_script"].as_array().unwrap().iter().map(Answer::from_script));
    let (target, _kept_full) = target(case, &server);
    let Some(arguments) = arguments(case) else { return unsupported(case) };
    let recorded = case["requests"].as_array().unwrap();
    let inputs = match recorded.first().and_then(|request| request["body"].as_str()) {
        // The very bytes that the Python client sent: they are to be forwarded as they are.
        Some(body) if !body.is_empty() => body.to_owned(),
        _ => case["args"]["inputs"].to_string(),
    };
    let mut run = mlflow_deploy("--json").plugin("mlflow-deploy-gateway").stdin(inputs);
    for argument in arguments {
        run = run.arg(argument);
    }
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".mlflow")).unwrap();
    let credentials = "[mlflow]\nmlflow_tracking_username = fu\nmlflow_tracking_password = fp\n";
    std::fs::write(home.path().join(".mlflow/credentials"), credentials).unwrap();
    for (name, value) in case["env"].as_object().unwrap() {
        // A home folder is part of one recording: the one with a file of credentials in it.
        run = if name == "HOME" { run.env(name, home.path()) } else { run.env(name, value.as_str().unwrap()) };
    }
    let outcome = outcome(&run.arg("--target").arg(target).run());
    let requests = server.requests();
    let mut found = different_requests(recorded, &requests);
    found.extend(different_outcome(case, &outcome, &server.url()));
    Mismatches { found, requests: requests.len(), outcome }
}

/// The target, which the recording says in terms of a server of its own; and what has to stay alive for it.
fn target(case: &Value, server: &Server) -> (String, Option<FullListener>) {
    let (recorded, base) = (case["target"].as_str().unwrap(), case["base_url"].as_str().unwrap());
    let name = case["name"].as_str().unwrap();
    if case["server_dead"] == true {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        return (format!("http://{free}"), None);
    }
    if name.ends_with("connect_timeout") {
        let full = FullListener::bind();
        return (format!("http://{}", full.listener.local_addr().unwrap()), Some(full));
    }
    (recorded.replace(base, &server.url()), None)
}

/// A listener that takes no connection any more: its queue of one is filled, and further ones time out.
struct FullListener {
    listener: TcpListener,
    _filling: TcpStream,
}

impl FullListener {
    fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let filling = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Self { listener, _filling: filling }
    }
}

/// The command line of a call; `None` for a call that has no verb because the plugin does not support it.
fn arguments(case: &Value) -> Option<Vec<String>> {
    let given = &case["args"];
    let mut arguments: Vec<String> = match case["call"].as_str().unwrap() {
        "get_endpoint" => vec!["get-endpoint".to_owned()],
        "list_endpoints" => vec!["list-endpoints".to_owned()],
        "predict" => ["predict", "-I", "-"].map(str::to_owned).into(),
        "predict_stream" => ["predict", "-I", "-", "--stream"].map(str::to_owned).into(),
        _ => return None,
    };
    if let Some(endpoint) = given["endpoint"].as_str() {
        arguments.extend(["--endpoint".to_owned(), endpoint.to_owned()]);
    }
    Some(arguments)
}

/// A call that the client refuses without asking the server: the plugin has no slot for it.
fn unsupported(case: &Value) -> Mismatches {
    let name = case["call"].as_str().unwrap();
    let operation: Operation = name.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let host = Host::builder().plugin(cdylib::path("mlflow-deploy-gateway")).build();
    let client = runtime.block_on(host.get_deploy_client(Some("http://127.0.0.1:1"))).unwrap();
    let found = if client.supports(operation) { vec![format!("`{name}` is supported")] } else { Vec::new() };
    assert!(case.get("error").is_some(), "{name} did not fail for MLflow");
    Mismatches { found, requests: 0, outcome: Err(Value::Null) }
}

fn different_requests(recorded: &[Value], sent: &[Request]) -> Vec<String> {
    let mut found = Vec::new();
    if recorded.len() != sent.len() {
        found.push(format!("{} requests, recorded were {}", sent.len(), recorded.len()));
    }
    for (recorded, sent) in recorded.iter().zip(sent) {
        let line = format!("{} {}", sent.method, sent.path);
        let expected = format!("{} {}", recorded["method"].as_str().unwrap(), recorded["path"].as_str().unwrap());
        if line != expected {
            found.push(format!("asked `{line}`, recorded was `{expected}`"));
        }
        if sent.body != recorded["body"].as_str().unwrap_or_default().as_bytes() {
            found.push(format!("sent `{}`, recorded was `{}`", sent.text(), recorded["body"]));
        }
        for name in SIGNIFICANT {
            let mut pairs = recorded["headers"].as_array().unwrap().iter();
            let expected = pairs.find(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name));
            let expected = expected.map(|pair| pair[1].as_str().unwrap());
            if sent.header(name) != expected {
                found.push(format!("`{name}: {:?}`, recorded was {expected:?}", sent.header(name)));
            }
        }
    }
    found
}

fn different_outcome(case: &Value, outcome: &Result<Value, Value>, url: &str) -> Option<String> {
    match (outcome, case.get("error")) {
        (Ok(result), None) => {
            let base = case["base_url"].as_str().unwrap();
            let expected = without_classes(&case["result"].to_string().replace(base, url).parse().unwrap());
            (!contains(result, &expected)).then(|| format!("got {result}, recorded was {expected}"))
        }
        (Err(error), Some(recorded)) => {
            let (status, expected) = (&error["http"]["status"], &recorded["response_status"]);
            (!expected.is_null() && status != expected).then(|| format!("status {status}, recorded was {expected}"))
        }
        (Ok(result), Some(recorded)) => Some(format!("got {result}, recorded was {}", recorded["message"])),
        (Err(error), None) => Some(format!("failed with {error}, recorded was {}", case["result"])),
    }
}

/// Whether a result has all that was recorded. A record may have more: unknown fields are kept.
fn contains(result: &Value, recorded: &Value) -> bool {
    match (result, recorded) {
        (Value::Object(result), Value::Object(recorded)) => {
            recorded.iter().all(|(key, value)| result.get(key).is_some_and(|result| contains(result, value)))
        }
        (Value::Array(result), Value::Array(recorded)) => {
            result.len() == recorded.len() && result.iter().zip(recorded).all(|(one, other)| contains(one, other))
        }
        (result, recorded) => result == recorded,
    }
}

/// A result without the names of the Python classes that held it.
fn without_classes(result: &Value) -> Value {
    match result {
        Value::Object(object) => object
            .iter()
            .filter(|(key, _)| *key != "__class__")
            .map(|(key, value)| (key.clone(), without_classes(value)))
            .collect(),
        Value::Array(list) => list.iter().map(without_classes).collect(),
        other => other.clone(),
    }
}

impl Difference {
    /// Whether a replay did what the difference says.
    fn holds(&self, requests: usize, outcome: &Result<Value, Value>) -> Result<(), String> {
        let readme = include_str!("../../../../plugins/gateway/README.md");
        if !readme.contains(self.number) {
            return Err(format!("the gateway's README has no `{}`", self.number));
        }
        if requests != self.requests {
            return Err(format!("{requests} requests, and not {}", self.requests));
        }
        match (self.outcome, outcome) {
            (Outcome::Answers, Ok(_)) => Ok(()),
            (Outcome::Fails(code), Err(error)) if error["code"] == code => Ok(()),
            (_, outcome) => Err(format!("{outcome:?}")),
        }
    }
}
