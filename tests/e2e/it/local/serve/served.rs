//! A model that the command serves with `run-local`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::super::{Machine, ask};
use super::http::{self, Answer};
use crate::command::{Ran, Run};

/// Returns a run of the command that serves a model with `run-local` on a free port.
pub(super) fn run_local(model: &Path, machine: &Machine, arguments: &str) -> Run {
    let run = ask("run-local --name iris -C port=0 -m", &machine.state_dir()).arg(model);
    arguments.split_whitespace().fold(run, Run::arg)
}

/// A running `run-local`. Its process is killed when this value is dropped.
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) stdout: BufReader<ChildStdout>,
}

/// A running `run-local` whose server is ready, and the address of this server.
pub(super) struct Served {
    pub(super) running: Running,
    pub(super) ready: Value,
    pub(super) address: SocketAddr,
}

impl Running {
    pub(super) fn start(run: Run) -> Self {
        let mut child = run.spawn();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Reads the next line of the command's stdout. If the command has ended, panics with its stderr.
    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut stderr = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            panic!("the command ended: {stderr}");
        }
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // If the process has exited already, the kill fails and the wait only reaps it.
        let _ended = self.child.kill();
        self.child.wait().unwrap();
    }
}

impl Served {
    /// Starts `run-local` with a model and further arguments. Waits until the server is ready.
    pub(super) fn start(model: &Path, machine: &Machine, arguments: &str) -> Self {
        let mut running = Running::start(run_local(model, machine, &format!("--json {arguments}")));
        let ready: Value = serde_json::from_str(&running.line()).unwrap();
        let address = ready["url"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
        Self { running, ready, address }
    }

    /// Sends a scoring request with this JSON body to the server. Returns the response.
    pub(super) fn predict(&self, body: &str) -> Answer {
        http::ask(self.address, &http::request("POST", "/invocations", Some("application/json"), body.as_bytes()))
    }

    /// Sends the head of a scoring request and only the first `sent` bytes of its body. Returns the open connection.
    pub(super) fn begin(&self, body: &str, sent: usize) -> TcpStream {
        let request = http::request("POST", "/invocations", Some("application/json"), body.as_bytes());
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.write_all(&request[..request.len() - body.len() + sent]).unwrap();
        connection
    }

    pub(super) fn process(&self) -> Pid {
        Pid::from_child(&self.running.child)
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(self.process(), signal).unwrap();
    }

    /// Waits until the command has ended. Returns its exit code and its output.
    pub(super) fn end(mut self) -> Ran {
        let Running { child, stdout } = &mut self.running;
        let mut ran = Ran { code: 0, stdout: String::new(), stderr: String::new() };
        child.stderr.take().unwrap().read_to_string(&mut ran.stderr).unwrap();
        stdout.read_to_string(&mut ran.stdout).unwrap();
        ran.code = child.wait().unwrap().code().unwrap();
        ran
    }
}
