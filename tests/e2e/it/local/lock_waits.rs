//! Checks a command whose lock another process holds. The command reports that it waits, and stops waiting at its
//! deadline.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

use super::{FLOWERS, Machine, iris};
use crate::command::Run;

/// Returns a machine with a deployment. Also returns the arguments of commands that wait for a lock, each with the path
/// of that lock.
fn waiting() -> (Machine, Vec<(&'static str, PathBuf)>) {
    let machine = Machine::new();
    machine.create("a", &iris());
    let copy = fs::read_dir(machine.state_dir().join("models")).unwrap().next().unwrap().unwrap().path();
    let waits = vec![
        ("create-endpoint --endpoint new", machine.state_dir().join("lock")),
        ("predict --name a -I -", copy.join("lock")),
    ];
    (machine, waits)
}

fn hold(lock: &PathBuf) -> File {
    let held = File::options().read(true).write(true).open(lock).unwrap();
    held.lock().unwrap();
    held
}

/// Starts the command and reads the first line of its stderr. Returns the process, a reader of the remaining stderr,
/// and the line.
fn start_and_read(run: Run) -> (Child, BufReader<std::process::ChildStderr>, String) {
    let mut child = run.stdin(FLOWERS).spawn();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    (child, stderr, line)
}

#[test]
fn wait_for_a_lock_is_reported_and_continues() {
    let (machine, waits) = waiting();
    for (verb, lock) in waits {
        let held = hold(&lock);
        let (mut child, mut stderr, line) = start_and_read(machine.ask(verb));
        let holder = format!("is held by process {} (`", std::process::id());
        assert!(line.contains(&format!("waiting for the lock `{}`", lock.display())), "{line}");
        assert!(line.contains(&holder) && line.contains("giving up after 60 s"), "{line}");
        drop(held);
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        assert!(child.wait().unwrap().success(), "{rest}");
    }
}

#[test]
fn wait_for_a_lock_ends_with_its_caller() {
    let (machine, waits) = waiting();
    for (verb, lock) in waits {
        let _held = hold(&lock);
        let late = machine.ask(verb).arg("--timeout").arg("0.5").stdin(FLOWERS).run();
        assert_eq!(late.code, 6, "{verb}: {late:?}");
        let (mut child, _stderr, line) = start_and_read(machine.ask(verb));
        assert!(line.contains("waiting for the lock"), "{line}");
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{verb}");
    }
}
