//! A host program with a faulty plugin and a good plugin. It calls the faulty plugin, and then checks that the good
//! plugin still replies.
//!
//! `isolation_fixture inside|isolated GOOD FAULTY TARGET OPERATION ENDPOINT [--timeout SECONDS] [--log TEXT]
//! [--preflight FOLDER]` prints
//!
//! - `result: ` and the reply or the error of the call,
//! - `logged: ` and the first error that the host logged for a plugin and that contains `TEXT`,
//! - `alive: ` and the reply of the good plugin after that call,
//! - `memory: ` and the peak memory in MiB, on Linux.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use mlflow_deploy::args::{
    CreateDeployment, CreateEndpoint, DeleteDeployment, DeleteEndpoint, Explain, GetDeployment, GetEndpoint, Invoke,
    ListDeployments, ListEndpoints, Predict, PredictStream, RunLocal, UpdateDeployment, UpdateEndpoint,
};
use mlflow_deploy::{ClientOptions, DeployClient, Host, JSON, Level, Payload, PluginEvent, TargetError, blocking};
use mlflow_deploy_plugin_api::sync::lock;

/// The time limit of a call if `--timeout` is not given. It is long enough for a busy machine.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// The time limit for an expected log entry to arrive.
const MAX_LOG_WAIT: Duration = Duration::from_secs(20);

/// The extra time that a call may take after its timeout, because the machine may be busy.
const GRACE: Duration = Duration::from_secs(3);

/// The errors that the host has logged for its plugins.
#[derive(Default)]
struct ErrorLog(Mutex<Vec<String>>, Condvar);

impl ErrorLog {
    fn push(&self, event: PluginEvent) {
        if matches!(event.level, Level::Error) {
            lock(&self.0).push(event.event.message);
            self.1.notify_all();
        }
    }

    /// Waits for an error that contains `text`, and returns that error. Returns `None` after [`MAX_LOG_WAIT`].
    fn find(&self, text: &str) -> Option<String> {
        let is_missing = |entries: &mut Vec<String>| !entries.iter().any(|entry| entry.contains(text));
        let waited = self.1.wait_timeout_while(lock(&self.0), MAX_LOG_WAIT, is_missing);
        let (entries, _) = waited.unwrap_or_else(PoisonError::into_inner);
        entries.iter().find(|entry| entry.contains(text)).cloned()
    }
}

/// The call that the program makes on the faulty plugin.
#[derive(Clone)]
struct Call {
    target: String,
    operation: String,
    endpoint: String,
    timeout: Option<Duration>,
}

impl Call {
    async fn run(self, host: &Host) -> Result<Payload, mlflow_deploy::Error> {
        match self.operation.as_str() {
            "target_help" => return host.target_help(Some(&self.target)).await,
            "run_local" => {
                let local = host.run_local(RunLocal { target_uri: self.target, ..RunLocal::default() });
                return Ok(local.await?.next().await.unwrap_or_else(|| Ok(Payload::empty()))?);
            }
            _ => {}
        }
        let target = host.target(Some(&self.target))?;
        let client = target.open(&ClientOptions::default(), self.timeout).await?.with_timeout(self.timeout);
        Ok(self.run_with(&client).await?)
    }

    async fn run_with(self, client: &DeployClient) -> Result<Payload, TargetError> {
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
    let (place, good, faulty) = (next(), PathBuf::from(next()), PathBuf::from(next()));
    let (target, operation, endpoint) = (next(), next(), next());
    let (mut timeout, mut text, mut preflight) = (None, None, None);
    while let (Some(option), Some(value)) = (arguments.next(), arguments.next()) {
        match option.as_str() {
            "--timeout" => timeout = Some(Duration::from_secs_f64(value.parse()?)),
            "--preflight" => preflight = Some(value),
            _ => text = Some(value),
        }
    }
    // Opened before the plugin may use up the file descriptors.
    let status = File::open("/proc/self/status").ok();
    let errors = Arc::new(ErrorLog::default());
    let log = Arc::clone(&errors);
    let host = Host::builder().plugin(&good).plugin(&faulty).on_event(move |event| log.push(event));
    let host = match preflight {
        Some(folder) => host.try_first_loads().state_dir(folder),
        None => host,
    };
    let host = if place == "isolated" { host.isolate(["misbehave", "panics"]) } else { host }.build();
    let echo = blocking::DeployClient::from(blocking::wait(host.get_deploy_client(Some("echo")))?);
    let check_alive = || echo.predict(Predict { inputs: Payload::new(JSON, "[2]"), ..Predict::default() });
    check_alive()?;

    // The call runs on a thread of its own, because it may hang in the plugin.
    let (sender, result) = mpsc::channel();
    // The first wait of a thread needs the lock of the dynamic loader. A library that hangs in its constructor holds
    // this lock, so the thread waits once before the library is loaded.
    let _empty = result.recv_timeout(Duration::from_millis(1));
    let (caller, call) = (host.clone(), Call { target, operation, endpoint, timeout });
    thread::spawn(move || sender.send(blocking::wait(call.run(&caller))));
    let shown = match result.recv_timeout(timeout.map_or(MAX_WAIT, |timeout| timeout + GRACE)) {
        Ok(Ok(reply)) => format!("answer {}", reply.bytes().escape_ascii()),
        Ok(Err(error)) => format!("{}: {error}", error.code()),
        Err(_) => "the call did not return".to_owned(),
    };
    print("result", &shown)?;
    if let Some(entry) = text.and_then(|text| errors.find(&text)) {
        print("logged", &entry)?;
    }
    print("alive", &check_alive()?.bytes().escape_ascii().to_string())?;
    if let Some(peak) = status.and_then(peak_memory) {
        print("memory", &peak.to_string())?;
    }
    mlflow_deploy::exit_now(0)
}

/// Returns the peak memory of this process in MiB, read from the open file `status`. The file is `/proc/self/status`.
fn peak_memory(mut status: File) -> Option<u64> {
    let mut text = String::new();
    status.read_to_string(&mut text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1024)
}

fn print(name: &str, text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{name}: {}", text.replace('\n', "; "))?;
    stdout.flush()
}
