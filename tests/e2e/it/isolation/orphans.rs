//! Checks that the process of an isolated plugin ends with its host, and so do the processes that the plugin started.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::{hermit, predict};
use crate::command::mlflow_deploy;

/// Returns a file descriptor that refers to a process. It still refers to the same process if the system reuses the
/// process id.
pub(crate) fn handle(process: Pid) -> OwnedFd {
    pidfd_open(process, PidfdFlags::empty()).unwrap()
}

/// Waits until a process has ended. Panics if it has not ended after two minutes.
pub(crate) fn wait_for_end(process: &OwnedFd) {
    let mut process = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    let patience = Timespec { tv_sec: 120, tv_nsec: 0 };
    assert_eq!(poll(&mut process, Some(&patience)).unwrap(), 1, "the process lives on");
}

/// Returns the ids of the child processes of the process `parent`.
pub(crate) fn children(parent: u32) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let id: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The file contains `12 (name) S 11 …`. The name may contain any character.
        let its_parent: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        (its_parent == parent).then(|| Pid::from_raw(id))?
    });
    processes.collect()
}

#[test]
fn kill_of_the_host_ends_the_plugin_process() {
    for endpoint in ["wait", "stop"] {
        let run = mlflow_deploy(&format!("predict -t hermit --endpoint {endpoint} -I -"));
        let mut command = run.plugin("mlflow-deploy-fixture-hermit").stdin("[1]").spawn();
        let mut line = String::new();
        BufReader::new(command.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "warning: waiting (plugin hermit)\n");
        let started = children(command.id());
        assert_eq!(started.len(), 1);
        let process = handle(started[0]);
        let killed = Instant::now();
        kill_process(Pid::from_child(&command), Signal::KILL).unwrap();
        command.wait().unwrap();
        wait_for_end(&process);
        println!("kill -9 of the host, its plugin in `{endpoint}`: no orphan {:?} after it", killed.elapsed());
    }
}

#[test]
fn kill_of_the_host_ends_a_plugin_that_blocks_the_reading_thread() {
    for way in ["slot-hang", "init-hang", "load-hang"] {
        let run = mlflow_deploy("predict -t misbehave --endpoint e -I - --isolate --timeout 5");
        let run = run.plugin("mlflow-deploy-fixture-misbehave").env("MISBEHAVE", way);
        let mut command = run.stdin("[1]").spawn();
        let process = loop {
            // The command starts one process before it reaches its limit.
            match children(command.id()).first() {
                Some(process) => break handle(*process),
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(command.wait().unwrap().code(), Some(6), "{way}");
        wait_for_end(&process);
    }
}

#[tokio::test]
async fn child_processes_of_the_plugin_end_with_it() {
    let host = hermit().build();
    let client = host.get_deploy_client(Some("hermit")).await.unwrap();
    let pid = |endpoint| {
        let answer = client.predict(predict(endpoint));
        async { Pid::from_raw(answer.await.unwrap().json().unwrap()).unwrap() }
    };
    let (process, helper) = (handle(pid("pid").await), handle(pid("helper").await));
    drop((client, host));
    wait_for_end(&process);
    wait_for_end(&helper);
}
