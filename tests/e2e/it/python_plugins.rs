//! Checks the package for process plugins in Python, and the end of a process in Python during calls.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures_util::future::join_all;
use mlflow_deploy::args::Predict;
use mlflow_deploy::{Config, ErrorCode, Host, Payload, blocking};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::isolation::orphans::children;

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn example() -> PathBuf {
    Path::new(WORKSPACE).join("examples/python-plugin/py_echo.plugin.json")
}

#[test]
fn package_for_python_passes_its_own_tests() {
    let tests = Path::new(WORKSPACE).join("tests/peers/python_plugins");
    let output =
        Command::new("python3").args(["-B", "-m", "unittest", "test_sdk"]).current_dir(tests).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn kill_of_the_process_fails_each_of_a_thousand_calls_once() {
    const CALLS: usize = 1000;
    let host = Host::builder().plugin(example()).quiet().build();
    let client = blocking::wait(host.get_deploy_client(Some("py-echo"))).unwrap();
    let slow = |delay: u64| {
        let config = Config::new(&json!({ "delay_ms": delay })).unwrap();
        Predict { config, ..Predict::endpoint("echo", Payload::new("text/plain", "x")) }
    };
    // Other tests start other processes.
    let runs_example = |process: &Pid| {
        let command = fs::read_to_string(format!("/proc/{}/cmdline", process.as_raw_nonzero())).unwrap_or_default();
        command.contains("py_echo.py")
    };
    let process = children(std::process::id()).into_iter().find(runs_example).unwrap();
    let begun = Cell::new(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let codes = runtime.block_on(async {
        let call = async || {
            begun.set(begun.get() + 1);
            client.predict(slow(3_600_000)).await.unwrap_err().code().clone()
        };
        let end = async {
            // One thread runs all tasks, so each call is sent when the last one has begun.
            while begun.get() < CALLS {
                tokio::task::yield_now().await;
            }
            // The process receives this call after the others.
            client.predict(slow(0)).await.unwrap();
            kill_process(process, Signal::KILL).unwrap();
        };
        let (codes, ()) = tokio::join!(join_all((0..CALLS).map(|_| call())), end);
        codes
    });
    assert_eq!(codes.len(), CALLS);
    assert!(codes.iter().all(|code| *code == ErrorCode::PLUGIN_CRASHED), "{codes:?}");
    assert_eq!(blocking::wait(client.predict(slow(0))).unwrap().bytes(), b"x");
}
