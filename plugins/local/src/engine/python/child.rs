//! The process of a model's server: started, watched, and gone with this process, however that ends.
//!
//! Two processes make one group. The first is a shell that reads from a pipe whose other end only this process has: when
//! that is closed, by us or by the kernel, the shell kills the whole group. The second is Python. The group is there
//! before Python is, so at no point in time can this process die and leave a server behind.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{self, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::watch;

use super::log::Log;

/// What the shell does: nothing is ever written to it.
const LEASH: &str = "while read -r _; do :; done; kill -s KILL 0";

/// Serves a model; see the file.
const SERVE: &str = include_str!("serve.py");

/// How long the log's last lines may take to arrive after a process has ended. What has left the group may keep it open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A server, which is killed when this is dropped.
pub(super) struct Child {
    address: SocketAddr,
    log: Arc<Log>,
    ended: watch::Receiver<Option<Ended>>,
    _leash: ChildStdin,
}

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended(ExitStatus);

impl Child {
    /// Starts the server of a model's folder. It listens before Python runs, so that requests wait for it. It blocks for a
    /// moment.
    ///
    /// # Errors
    /// Where the system gives no process, port or pipe.
    pub(super) fn start(python: &Path, model: &Path) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let mut leash = leash()?;
        let held = leash.stdin.take().expect("it was asked for");
        let (python, output) = match serve(python, model, listener, Pid::from_child(&leash)) {
            Ok(serving) => serving,
            Err(error) => {
                drop(held);
                let _reaped = leash.wait();
                return Err(error);
            }
        };
        let log = Arc::<Log>::default();
        let ended = watch_over(python, leash, output, Arc::clone(&log))?;
        Ok(Self { address, log, ended, _leash: held })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The last lines that it wrote.
    pub(super) fn tail(&self) -> String {
        self.log.tail()
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(Option::is_some).await.expect("the thread that waits for it says how it ended");
        ended.expect("it was waited for")
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(formatter, "ended with status {code}"),
            (None, Some(signal)) => write!(formatter, "was killed by signal {signal}"),
            (None, None) => formatter.write_str("ended"),
        }
    }
}

/// The shell, first of its group.
fn leash() -> io::Result<process::Child> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", LEASH]).env_clear().current_dir("/").process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Python, in the group; gives what it writes, too.
fn serve(
    python: &Path,
    model: &Path,
    listener: TcpListener,
    group: Pid,
) -> io::Result<(process::Child, io::PipeReader)> {
    let (output, writer) = io::pipe()?;
    let mut command = Command::new(python);
    command.args(["-u", "-c", SERVE]).env("__pyfunc_model_path__", model).process_group(group.as_raw_nonzero().get());
    if let Some(folder) = model.parent() {
        command.current_dir(folder);
    }
    for (name, value) in [
        // Who asks says how long it waits: MLflow's minute would end a prediction that somebody still waits for.
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

/// Follows what Python writes, waits for its end, and then ends and reaps the rest of its group.
fn watch_over(
    mut python: process::Child,
    mut leash: process::Child,
    output: io::PipeReader,
    log: Arc<Log>,
) -> io::Result<watch::Receiver<Option<Ended>>> {
    let (sender, ended) = watch::channel(None);
    let (last, has_last) = mpsc::channel::<()>();
    thread::Builder::new().name("mlflow-python-log".to_owned()).spawn(move || {
        log.follow(output);
        drop(last);
    })?;
    thread::Builder::new().name("mlflow-python".to_owned()).spawn(move || {
        let status = python.wait();
        // The group is the shell's as long as that is not reaped.
        let _gone_already = kill_process_group(Pid::from_child(&leash), Signal::KILL);
        let _reaped = leash.wait();
        let _closed_or_late = has_last.recv_timeout(LAST_WORDS);
        sender.send_replace(Some(Ended(status.unwrap_or_default())));
    })?;
    Ok(ended)
}
