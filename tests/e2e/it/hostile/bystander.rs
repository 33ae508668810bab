//! Runs the program of `tests/e2e/bystander.rs`: a host with a bad plugin and a good one, which may be ended by the bad.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use mlflow_deploy_test_support::cdylib;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// Where the bad plugin runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    Inside,
    Isolated,
}

/// What became of the program.
#[derive(Debug)]
pub(super) struct Ended {
    /// What the bad plugin's caller was told, and what was logged of it.
    pub(super) said: String,
    /// Whether the good plugin answered after that.
    pub(super) is_alive: bool,
    /// The most MiB that it had.
    pub(super) memory: Option<u64>,
    /// How the program ended.
    pub(super) how: String,
}

/// Runs it with the library of a package that misbehaves in this way.
pub(super) fn run(place: Place, package: &str, way: &str, question: &[&str]) -> Ended {
    let mut command = Command::new(cdylib::program("bystander"));
    command.arg(if place == Place::Inside { "inside" } else { "isolated" });
    command.args([cdylib::path("mlflow-deploy-example-echo"), cdylib::path(package)]).args(question);
    command.env_clear().env("MISBEHAVE", way);
    command.env("MLFLOW_DEPLOY_PLUGIN_HOST", cdylib::program("mlflow-deploy-plugin-host"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut program = command.spawn().unwrap();
    let id = Pid::from_child(&program);
    // A program that was stopped does not end.
    let options = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
    let is_stopped = waitid(WaitId::Pid(id), options).unwrap().is_some_and(|status| status.stopped());
    // What it has left behind holds on to its stdout.
    let _gone = kill_process_group(id, Signal::KILL);
    program.kill().unwrap();
    let status = program.wait().unwrap();
    let mut stdout = String::new();
    program.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let line = |name: &str| stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let said = [line("said"), line("logged")].into_iter().flatten().collect::<Vec<_>>().join("; logged: ");
    let said = said.replace(&*cdylib::path(package).to_string_lossy(), "FILE");
    let how = if is_stopped { "stopped".to_owned() } else { status.to_string() };
    let is_alive = line("alive") == Some("[2]");
    Ended { said, is_alive, memory: line("memory").and_then(|most| most.parse().ok()), how }
}
