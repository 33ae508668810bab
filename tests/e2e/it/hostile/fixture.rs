//! Runs the program `tests/e2e/isolation_fixture.rs`, a host with a faulty plugin and a good plugin. The faulty plugin
//! may end this program.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use mlflow_deploy_test_support::cdylib;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// The process in which the faulty plugin runs: the host's process, or a separate one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    InProcess,
    Isolated,
}

/// The outcome of one run of the program.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The reply or the error of the call. It is empty if the program ended before the call did.
    pub(super) result: String,
    /// The log entry that contains the text of `--log`, or `None` if the program did not print such an entry.
    pub(super) logged: Option<String>,
    /// True if the good plugin replied after the call.
    pub(super) is_alive: bool,
    /// The program's peak memory in MiB, or `None` if the program did not print it.
    pub(super) memory: Option<u64>,
    /// The program's exit status, or `stopped` if a signal stopped the program.
    pub(super) exit: String,
}

/// Runs the program with the shared library of `package` as its faulty plugin. The other arguments of the program
/// describe the call.
pub(super) fn run(place: Place, package: &str, fault: &str, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(cdylib::program("isolation_fixture"));
    command.arg(if place == Place::InProcess { "inside" } else { "isolated" });
    command.args([cdylib::path("mlflow-deploy-example-echo"), cdylib::path(package)]).args(arguments);
    command.env_clear().env("MISBEHAVE", fault);
    command.env("MLFLOW_DEPLOY_PLUGIN_HOST", cdylib::program("mlflow-deploy-plugin-host"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut program = command.spawn().unwrap();
    let id = Pid::from_child(&program);
    // The wait also ends if a signal has stopped the program, because a stopped program does not exit.
    let options = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
    let is_stopped = waitid(WaitId::Pid(id), options).unwrap().is_some_and(|status| status.stopped());
    // Processes that the program left behind would keep its stdout open.
    let _ended = kill_process_group(id, Signal::KILL);
    program.kill().unwrap();
    let status = program.wait().unwrap();
    let mut stdout = String::new();
    program.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let file = cdylib::path(package).to_string_lossy();
    let value = |name: &str| {
        let value = stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?;
        Some(value.replace(&*file, "FILE"))
    };
    Outcome {
        result: value("result").unwrap_or_default(),
        logged: value("logged"),
        is_alive: value("alive").as_deref() == Some("[2]"),
        memory: value("memory").and_then(|peak| peak.parse().ok()),
        exit: if is_stopped { "stopped".to_owned() } else { status.to_string() },
    }
}
