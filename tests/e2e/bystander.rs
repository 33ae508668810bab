//! A program with two plugins, one of which does its worst: what its callers are told, and whether the other goes on.
//!
//! `bystander inside|isolated GOOD BAD TARGET OPERATION ENDPOINT [--limit SECONDS] [--fault WORDS] [--trials FOLDER]` prints
//!
//! - `said: ` and what became of the call,
//! - `logged: ` and what was said of the plugin that holds these words; it waits for that,
//! - `alive: ` and what the good plugin answers after that,
//! - `memory: ` and the most MiB that it ever had, where the system tells.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use mlflow_deploy::args::{
    CreateDeployment, CreateEndpoint, DeleteDeployment, DeleteEndpoint, Explain, GetDeployment, GetEndpoint, Invoke,
    ListDeployments, ListEndpoints, Predict, PredictStream, RunLocal, UpdateDeployment, UpdateEndpoint,
};
use mlflow_deploy::{ClientOptions, DeployClient, Host, JSON, Level, Payload, PluginEvent, TargetError, blocking};

/// Longer than anything takes that comes to an end.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much later than its limit a call may end, on a machine that has other things to do.
const GRACE: Duration = Duration::from_secs(3);

/// What is said of the plugins' faults, and a way to wait for it.
#[derive(Default)]
struct Faults(Mutex<Vec<String>>, Condvar);

impl Faults {
    fn hear(&self, event: PluginEvent) {
        if matches!(event.level, Level::Error) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event.event.message);
            self.1.notify_all();
        }
    }

    /// Waits for one with these words.
    fn find(&self, words: &str) -> Option<String> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_missing = |faults: &mut Vec<String>| !faults.iter().any(|fault| fault.contains(words));
        let waited = self.1.wait_timeout_while(faults, PATIENCE, is_missing);
        let (faults, _) = waited.unwrap_or_else(PoisonError::into_inner);
        faults.iter().find(|fault| fault.contains(words)).cloned()
    }
}

/// What is to be asked of the bad plugin.
#[derive(Clone)]
struct Question {
    target: String,
    operation: String,
    endpoint: String,
    limit: Option<Duration>,
}

impl Question {
    async fn ask(self, host: &Host) -> Result<Payload, mlflow_deploy::Error> {
        match self.operation.as_str() {
            "target_help" => return host.target_help(Some(&self.target)).await,
            "run_local" => {
                let local = host.run_local(RunLocal { target_uri: self.target, ..RunLocal::default() });
                return Ok(local.await?.next().await.unwrap_or_else(|| Ok(Payload::empty()))?);
            }
            _ => {}
        }
        let target = host.target(Some(&self.target))?;
        let client = target.open(&ClientOptions::default(), self.limit).await?.with_timeout(self.limit);
        Ok(self.ask_client(&client).await?)
    }

    async fn ask_client(self, client: &DeployClient) -> Result<Payload, TargetError> {
        let (endpoint, inputs) = (Some(self.endpoint), Payload::new(JSON, "[1]"));
        match self.operation.as_str() {
            "create_deployment" => client.create_deployment(CreateDeployment::default()).await,
            "update_deployment" => client.update_deployment(UpdateDeployment::default()).await,
            "delete_deployment" => client.delete_deployment(DeleteDeployment::default()).await,
            "get_deployment" => client.get_deployment(GetDeployment::default()).await,
            "list_deployments" => client.list_deployments(ListDeployments::default()).await,
            "create_endpoint" => client.create_endpoint(CreateEndpoint::default()).await,
            "update_endpoint" => client.update_endpoint(UpdateEndpoint::default()).await,
            "delete_endpoint" => client.delete_endpoint(DeleteEndpoint::default()).await,
            "get_endpoint" => client.get_endpoint(GetEndpoint::default()).await,
            "list_endpoints" => client.list_endpoints(ListEndpoints::default()).await,
            "explain" => client.explain(Explain::default()).await,
            "invoke" => client.invoke(Invoke::default()).await,
            "predict_stream" => {
                let mut stream =
                    client.predict_stream(&PredictStream { endpoint, inputs, ..PredictStream::default() })?;
                let mut last = Payload::empty();
                while let Some(chunk) = stream.next().await {
                    last = chunk?;
                }
                Ok(last)
            }
            _ => client.predict(Predict { endpoint, inputs, ..Predict::default() }).await,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().unwrap_or_default();
    let (way, good, bad) = (next(), PathBuf::from(next()), PathBuf::from(next()));
    let (target, operation, endpoint) = (next(), next(), next());
    let (mut limit, mut fault, mut trials) = (None, None, None);
    while let (Some(option), Some(value)) = (arguments.next(), arguments.next()) {
        match option.as_str() {
            "--limit" => limit = Some(Duration::from_secs_f64(value.parse()?)),
            "--trials" => trials = Some(value),
            _ => fault = Some(value),
        }
    }
    let faults = Arc::new(Faults::default());
    let heard = Arc::clone(&faults);
    let host = Host::builder().plugin(&good).plugin(&bad).on_event(move |event| heard.hear(event));
    let host = match trials {
        Some(folder) => host.try_first_loads().state_dir(folder),
        None => host,
    };
    let host = if way == "isolated" { host.isolate(["misbehave", "panics"]) } else { host }.build();
    let echo = blocking::DeployClient::from(blocking::wait(host.get_deploy_client(Some("echo")))?);
    let is_alive = || echo.predict(Predict { inputs: Payload::new(JSON, "[2]"), ..Predict::default() });
    is_alive()?;

    // A thread that does not come back from the plugin is left where it is.
    let (sender, answer) = mpsc::channel();
    // While a library hangs as it is loaded, no thread can wait for the first time: that registers with the system's loader.
    let _nothing_yet = answer.recv_timeout(Duration::from_millis(1));
    let (asking, question) = (host.clone(), Question { target, operation, endpoint, limit });
    thread::spawn(move || sender.send(blocking::wait(question.ask(&asking))));
    let said = match answer.recv_timeout(limit.map_or(PATIENCE, |limit| limit + GRACE)) {
        Ok(Ok(answer)) => format!("answer {}", answer.bytes().escape_ascii()),
        Ok(Err(error)) => format!("{}: {error}", error.code()),
        Err(_) => "the call did not come back".to_owned(),
    };
    say("said", &said)?;
    if let Some(words) = fault {
        say("logged", &faults.find(&words).unwrap_or_else(|| format!("nothing with `{words}`")))?;
    }
    say("alive", &is_alive()?.bytes().escape_ascii().to_string())?;
    if let Some(most) = most_memory() {
        say("memory", &most.to_string())?;
    }
    mlflow_deploy::exit_now(0)
}

fn most_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1024)
}

fn say(what: &str, text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{what}: {}", text.replace('\n', "; "))?;
    stdout.flush()
}
