//! The process of a Python scoring server. It is killed whenever this process ends, even if this process crashes.
//!
//! A shell and Python form a process group. The shell reads from a pipe, and only this process holds the writing end.
//! When this process closes that end or ends, the shell kills the group. The shell starts before Python, so that Python
//! never runs without the shell.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::watch;

use super::log::LogTail;

/// The script of the shell that kills the process group when its standard input is closed. No process writes to that
/// input.
const WATCHDOG: &str = "while read -r _; do :; done; kill -s KILL 0";

/// The Python program that starts MLflow's scoring server.
const SERVE: &str = include_str!("serve.py");

/// The maximum time to wait for the rest of the output after Python has ended. A process that has left the process
/// group may keep the output open.
const MAX_LOG_WAIT: Duration = Duration::from_secs(1);

/// The process of a Python scoring server. The process is killed when this value is dropped.
pub(super) struct ServerProcess {
    address: SocketAddr,
    log: Arc<LogTail>,
    exit: watch::Receiver<Option<ServerExit>>,
    /// The standard input of the shell. The shell kills the process group when this pipe is closed.
    _watchdog_input: ChildStdin,
}

/// The exit status of a Python scoring server.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerExit(ExitStatus);

impl ServerProcess {
    /// Starts a server for the model in the folder `model`. Blocks for a short time. The port accepts connections
    /// before Python runs, so early requests wait until the server reads them.
    ///
    /// # Errors
    /// Fails if a process, a port or a pipe cannot be created.
    pub(super) fn start(python: &Path, model: &Path) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let mut watchdog = spawn_watchdog()?;
        let watchdog_input = watchdog.stdin.take().expect("standard input is a pipe");
        let (python, output) = match spawn_python(python, model, listener, Pid::from_child(&watchdog)) {
            Ok(spawned) => spawned,
            Err(error) => {
                drop(watchdog_input);
                let _reaped = watchdog.wait();
                return Err(error);
            }
        };
        let log = Arc::<LogTail>::default();
        let exit = watch_processes(python, watchdog, output, Arc::clone(&log))?;
        Ok(Self { address, log, exit, _watchdog_input: watchdog_input })
    }

    /// Returns the IP address and the port at which the server listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the last lines of the server's output, for an error message.
    pub(super) fn log(&self) -> String {
        self.log.lines()
    }

    /// Returns true if the server process has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.exit.borrow().is_some()
    }

    /// Waits until the server process has ended, and returns its exit status.
    pub(super) async fn wait(&self) -> ServerExit {
        let mut exit = self.exit.clone();
        let exit = exit.wait_for(Option::is_some).await.expect("the watching thread sends the status before it ends");
        exit.expect("the status was sent")
    }
}

impl fmt::Display for ServerExit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(formatter, "ended with status {code}"),
            (None, Some(signal)) => write!(formatter, "was killed by signal {signal}"),
            (None, None) => formatter.write_str("ended"),
        }
    }
}

/// Spawns the shell that kills the process group when its standard input is closed. The shell is the leader of a new
/// group.
fn spawn_watchdog() -> io::Result<Child> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", WATCHDOG]).env_clear().current_dir("/").process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Spawns Python in the process group `group`. Returns the process, and a pipe from which its output can be read.
fn spawn_python(python: &Path, model: &Path, listener: TcpListener, group: Pid) -> io::Result<(Child, io::PipeReader)> {
    let (output, writer) = io::pipe()?;
    let mut command = Command::new(python);
    command.args(["-u", "-c", SERVE]).env("__pyfunc_model_path__", model).process_group(group.as_raw_nonzero().get());
    if let Some(folder) = model.parent() {
        command.current_dir(folder);
    }
    for (name, value) in [
        // The caller has its own timeout, which MLflow's default of one minute would cut short.
        ("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "86400"),
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
    ] {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    command.stdin(OwnedFd::from(listener)).stdout(writer.try_clone()?).stderr(writer);
    Ok((command.spawn()?, output))
}

/// Starts two threads. One reads Python's output. The other waits until Python ends, and then kills and reaps the rest
/// of the process group. Returns a channel that receives Python's exit status.
fn watch_processes(
    mut python: Child,
    mut watchdog: Child,
    output: io::PipeReader,
    log: Arc<LogTail>,
) -> io::Result<watch::Receiver<Option<ServerExit>>> {
    let (sender, exit) = watch::channel(None);
    let (log_open, log_closed) = mpsc::channel::<()>();
    thread::Builder::new().name("mlflow-python-log".to_owned()).spawn(move || {
        log.read_all(output);
        drop(log_open);
    })?;
    thread::Builder::new().name("mlflow-python".to_owned()).spawn(move || {
        let status = python.wait();
        // The id of the group is not reused before the shell is reaped.
        let _already_ended = kill_process_group(Pid::from_child(&watchdog), Signal::KILL);
        let _reaped = watchdog.wait();
        let _closed_or_late = log_closed.recv_timeout(MAX_LOG_WAIT);
        sender.send_replace(Some(ServerExit(status.unwrap_or_default())));
    })?;
    Ok(exit)
}
