//! Replays the recordings of MLflow's clients with this project's command. Checks that the requests are equal and the
//! results are equivalent.

use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::{fs, thread};

use mlflow_deploy::{Host, Operation};
use mlflow_deploy_test_support::cdylib;
use mlflow_deploy_test_support::server::{Answer, Request, Server};
use serde_json::Value;

use super::differences::{Difference, Outcome};
use super::targets::{Inputs, TARGETS, Target};
use super::{outcome, recordings};
use crate::command::{Ran, mlflow_deploy};

/// The names of the headers that the tests compare. The other headers identify the client.
const SIGNIFICANT: [&str; 8] = [
    "api-key",
    "authorization",
    "content-type",
    "openai-organization",
    "openai-project",
    "x-databricks-org-id",
    "x-databricks-traffic-id",
    "x-mlflow-workspace",
];

#[test]
fn clients_behave_like_mlflow_s_except_for_listed_differences() {
    let mut failing = Vec::new();
    for target in TARGETS {
        let (mut same, mut different, mut wrong) = (0, 0, Vec::new());
        for (name, mismatches) in replay_all(target) {
            match (target.differences.iter().find(|difference| difference.name == name), mismatches) {
                (None, Mismatches { found, .. }) if found.is_empty() => same += 1,
                (Some(difference), Mismatches { found, requests, outcome }) if !found.is_empty() => {
                    match difference.holds(target, requests, &outcome) {
                        Ok(()) => different += 1,
                        Err(what) => wrong.push(format!("{name}: not as the difference says: {what}")),
                    }
                }
                (Some(_), _) => wrong.push(format!("{name}: listed as different, and is the same")),
                (None, Mismatches { found, .. }) => wrong.push(format!("{name}: {}", found.join("; "))),
            }
        }
        let prefix = target.prefix.trim_end_matches('_');
        println!("{prefix} recordings: {same} passing, {different} deliberately different, {} failing", wrong.len());
        failing.extend(wrong);
    }
    assert!(failing.is_empty(), "{}", failing.join("\n"));
}

/// Replays every recording of a target. Returns the name and the differences of each recording, ordered by name.
/// Replays several recordings in parallel, because some wait between retries.
fn replay_all(target: &Target) -> Vec<(String, Mismatches)> {
    const AT_ONCE: usize = 8;
    let waiting = Mutex::new(recordings(target.prefix));
    let replayed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let Some(case) = waiting.lock().unwrap().pop() else { return };
            let name = case["name"].as_str().unwrap().to_owned();
            let mismatches = replay(target, &case);
            replayed.lock().unwrap().push((name, mismatches));
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let mut replayed = replayed.into_inner().unwrap();
    replayed.sort_by(|(one, _), (other, _)| one.cmp(other));
    replayed
}

/// The result of a replay: its differences from the recording, its number of requests, and its outcome.
struct Mismatches {
    found: Vec<String>,
    requests: usize,
    outcome: Result<Value, Value>,
}

fn replay(target: &Target, case: &Value) -> Mismatches {
    let Some(mut arguments) = arguments(case) else { return unsupported(target, case) };
    let server = Server::start(case["server_script"].as_array().unwrap().iter().map(Answer::from_script));
    let url = server.url();
    let ignored = target.ignored.iter().map(|(path, answer)| (path, answer.replace("ADDRESS", &url)));
    let server = ignored.fold(server, |server, (path, answer)| server.with_route(path, Answer::new(200, answer)));
    let (address, _kept_full) = address(case, &server);
    // The recording contains the address of the server that was recorded.
    let base = case["base_url"].as_str().unwrap();
    let recorded = case["requests"].as_array().unwrap();
    let inputs = match recorded.first().and_then(|request| request["body"].as_str()) {
        Some(body) if !body.is_empty() && target.inputs == Inputs::AsSent => body.to_owned(),
        _ => case["args"].get("inputs").map(Value::to_string).unwrap_or_default(),
    };
    let mut run = mlflow_deploy("--json").plugin(target.package).stdin(inputs);
    let home = tempfile::tempdir().unwrap();
    if let Some(config) = case["args"].get("config") {
        let file = home.path().join("config.json");
        fs::write(&file, config.to_string()).unwrap();
        arguments.extend(["--config-file".to_owned(), file.display().to_string()]);
    }
    for argument in arguments {
        run = run.arg(argument);
    }
    for (path, text) in target.home {
        let file = home.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text.replace("ADDRESS", &address)).unwrap();
    }
    for (name, value) in case["env"].as_object().unwrap() {
        // A recording with a credentials file needs a home folder.
        run = match name.as_str() {
            "HOME" => run.env(name, home.path()),
            "DATABRICKS_CONFIG_FILE" => run.env(name, home.path().join("cfg")),
            _ => run.env(name, value.as_str().unwrap().replace(base, &address)),
        };
    }
    let uri = case["target"].as_str().unwrap().replace(base, &address);
    let ran = run.arg("--target").arg(uri).run();
    let outcome = if case["call"] == "predict_stream" { streamed(&ran) } else { outcome(&ran) };
    let mut requests = server.requests();
    requests.retain(|request| !target.ignored.iter().any(|(path, _)| request.path.starts_with(path)));
    let mut found = different_requests(recorded, &requests);
    found.extend(different_outcome(case, &outcome, &server.url()));
    Mismatches { found, requests: requests.len(), outcome }
}

/// Returns the address to which a replay connects. It is the address of `server`, unless the recorded server was
/// unreachable. In that case it is an unreachable address. The caller has to keep the returned listener, if any, open
/// during the replay.
fn address(case: &Value, server: &Server) -> (String, Option<FullListener>) {
    if case["server_dead"] == true {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        return (format!("http://{free}"), None);
    }
    if case["name"].as_str().unwrap().ends_with("connect_timeout") {
        let full = FullListener::bind();
        return (format!("http://{}", full.listener.local_addr().unwrap()), Some(full));
    }
    (server.url(), None)
}

/// A listener that does not accept connections. Its queue has one place, which a connection of its own takes. So
/// further connections time out.
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

/// Returns the arguments of the command for a recorded call, or `None` if the command does not have a verb for the
/// call.
fn arguments(case: &Value) -> Option<Vec<String>> {
    let given = &case["args"];
    let mut arguments: Vec<String> = match case["call"].as_str().unwrap() {
        "get_endpoint" => vec!["get-endpoint".to_owned()],
        "list_endpoints" => vec!["list-endpoints".to_owned()],
        "create_endpoint" => {
            let name = given["name"].as_str().or(given["config"]["name"].as_str()).unwrap_or_default();
            vec!["create-endpoint".to_owned(), "--endpoint".to_owned(), name.to_owned()]
        }
        "delete_endpoint" => vec!["delete-endpoint".to_owned()],
        "update_endpoint" => vec!["update-endpoint".to_owned()],
        update if update.starts_with("update_endpoint_") => vec!["invoke".to_owned(), update.to_owned()],
        "predict" => ["predict", "-I", "-"].map(str::to_owned).into(),
        "predict_stream" => ["predict", "-I", "-", "--stream"].map(str::to_owned).into(),
        _ => return None,
    };
    if let Some(endpoint) = given["endpoint"].as_str() {
        arguments.extend(["--endpoint".to_owned(), endpoint.to_owned()]);
    }
    Some(arguments)
}

/// Checks a recorded call that failed in MLflow, and for which the command has no verb. This project's client must not
/// support the operation of this call.
fn unsupported(target: &Target, case: &Value) -> Mismatches {
    let name = case["call"].as_str().unwrap();
    let operation: Operation = name.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let host = Host::builder().plugin(cdylib::path(target.package)).build();
    let client = runtime.block_on(host.get_deploy_client(Some(target.anywhere))).unwrap();
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
            found.push(format!("requested `{line}`, recorded was `{expected}`"));
        }
        if !is_same_body(sent, recorded["body"].as_str().unwrap_or_default()) {
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

/// Returns true if the body of a request agrees with the recorded body. The bodies have to be equal as bytes. If the
/// body is a configuration, equality as JSON is enough, because the client parses and serialises it.
fn is_same_body(sent: &Request, recorded: &str) -> bool {
    let json = |body: &[u8]| serde_json::from_slice::<Value>(body).ok();
    let is_config = sent.path.starts_with("/api/");
    sent.body == recorded.as_bytes() || (is_config && json(&sent.body) == json(recorded.as_bytes()))
}

fn different_outcome(case: &Value, outcome: &Result<Value, Value>, url: &str) -> Option<String> {
    match (outcome, case.get("error")) {
        (Ok(result), None) => {
            let base = case["base_url"].as_str().unwrap();
            let result_of = case.get("result_stream").unwrap_or(&case["result"]);
            let expected = without_classes(&result_of.to_string().replace(base, url).parse().unwrap());
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

/// Returns true if a result contains the recorded result. The result may have further members, because the plugin keeps
/// unknown members. It may lack a member that is recorded as `null`, because Python's classes add absent fields.
fn contains(result: &Value, recorded: &Value) -> bool {
    match (result, recorded) {
        (Value::Object(result), Value::Object(recorded)) => {
            recorded.iter().all(|(key, value)| contains(result.get(key).unwrap_or(&Value::Null), value))
        }
        (Value::Array(result), Value::Array(recorded)) => {
            result.len() == recorded.len() && result.iter().zip(recorded).all(|(one, other)| contains(one, other))
        }
        (result, recorded) => result == recorded,
    }
}

/// Returns the chunks that a run of `predict --stream` printed as a JSON array. Returns the JSON error of the run if it
/// failed.
fn streamed(ran: &Ran) -> Result<Value, Value> {
    let chunks = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    if ran.code == 0 { Ok(chunks) } else { Err(ran.error()) }
}

/// Returns a copy of a recorded result without the members `__class__`, which are the names of Python classes.
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
    /// Returns an error message unless the replay has the expected number of requests and the expected outcome, and the
    /// plugin's README explains the difference.
    fn holds(&self, target: &Target, requests: usize, outcome: &Result<Value, Value>) -> Result<(), String> {
        if !target.readme.contains(self.number) {
            return Err(format!("the README of `{}` has no `{}`", target.package, self.number));
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
