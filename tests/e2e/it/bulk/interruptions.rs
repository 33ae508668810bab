//! Runs that are killed or interrupted, and resumed.

use std::fs;
use std::process::Child;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use mlflow_deploy_test_support::server::Server;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::fixture::{Rows, echo, line, number};
use crate::command::Ran;

/// Starts a server that tells the number of each row that it is asked for.
fn telling() -> (Server, Receiver<u64>) {
    let (sender, told) = channel();
    let sender = Mutex::new(sender);
    let server = Server::answering(move |request| {
        let number = number(request);
        // Fails if the test does not listen any longer.
        let _ended = sender.lock().unwrap().send(number);
        echo(number).after(Duration::from_millis(number % 5))
    });
    (server, told)
}

/// Waits until the server has received so many requests. Returns false if the command ends before.
fn wait_for(count: u64, told: &Receiver<u64>, child: &mut Child) -> bool {
    let mut received = 0;
    while received < count {
        match told.recv_timeout(Duration::from_millis(20)) {
            Ok(_) => received += 1,
            Err(_) if child.try_wait().unwrap().is_some() => return false,
            Err(_) => {}
        }
    }
    true
}

#[test]
fn a_killed_run_is_resumed_without_lost_or_doubled_lines() {
    const ROWS: u64 = 2_000;
    const JOBS: u64 = 8;
    for arguments in ["--jobs 8", "--jobs 8 --unordered"] {
        let ((server, told), rows) = (telling(), Rows::new(ROWS));
        let mut kills = 0;
        for count in [1, 40, 7, 200, 100, 350, 90, 3, 150, 60] {
            let mut child = rows.predict(&server, &format!("{arguments} --resume")).spawn();
            if wait_for(count, &told, &mut child) {
                child.kill().unwrap();
                kills += 1;
            }
            child.wait().unwrap();
        }
        assert_eq!(kills, 10);
        let ran = rows.predict(&server, &format!("{arguments} --resume")).run();
        assert_eq!(ran.code, 0, "{ran:?}");
        let lines = rows.read("out.jsonl");
        if arguments.contains("unordered") {
            let mut found: Vec<u64> = lines
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64().unwrap())
                .collect();
            found.sort_unstable();
            assert_eq!(found, (1..=ROWS).collect::<Vec<_>>());
        } else {
            assert_eq!(lines, (0..ROWS).map(line).collect::<String>());
        }
        let repeated = u64::try_from(server.requests().len()).unwrap() - ROWS;
        println!("{arguments}: {repeated} requests repeated after {kills} kills");
        assert!(repeated <= JOBS * kills, "{repeated} requests repeated after {kills} kills");
        assert_eq!(rows.names(), ["out.jsonl", "rows.jsonl"]);
    }
}

#[test]
fn ctrl_c_leaves_a_run_that_can_be_resumed() {
    let ((server, told), rows) = (telling(), Rows::new(500));
    let mut child = rows.predict(&server, "--jobs 4").spawn();
    assert!(wait_for(50, &told, &mut child));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    let hint = "warning: the run is not complete: the same command with `--resume` continues it";
    assert_eq!((ran.code, ran.stderr), (130, format!("{hint}\nerror: interrupted\n")));
    assert_eq!(rows.names(), ["out.jsonl", "out.jsonl.journal", "rows.jsonl"]);

    let again = rows.predict(&server, "--jobs 4").run();
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.stderr.contains("an interrupted run has left the journal `out.jsonl.journal`: add `--resume`"));
    let resumed = rows.predict(&server, "--jobs 9 --resume").run();
    assert_eq!((resumed.code, rows.read("out.jsonl")), (0, (0..500).map(line).collect::<String>()), "{resumed:?}");
    assert!(resumed.stderr.contains("500 rows, 0 failed, of which "), "{resumed:?}");
    assert!(server.requests().len() <= 504);
    let complete = rows.predict(&server, "--jobs 9 --resume").run();
    assert_eq!((complete.code, server.requests().len() <= 504), (0, true), "{complete:?}");
    assert_eq!(complete.stderr, "the run is complete: the output has a line for each row of the input\n");
    fs::write(rows.path("out.jsonl"), "of another program\n").unwrap();
    let foreign = rows.predict(&server, "--resume").run();
    assert_eq!((foreign.code, rows.read("out.jsonl").as_str()), (2, "of another program\n"), "{foreign:?}");
    assert!(foreign.stderr.contains("`out.jsonl` has no journal `out.jsonl.journal`, so "), "{foreign:?}");
}

#[test]
fn another_input_and_other_options_are_refused() {
    let ((server, told), rows) = (telling(), Rows::new(500));
    let mut child = rows.predict(&server, "--jobs 4").spawn();
    assert!(wait_for(100, &told, &mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    let input = rows.read("rows.jsonl");
    let output = rows.read("out.jsonl");
    let other = input.replacen("{\"n\": 0}", "{\"n\": 9}", 1);
    for (text, arguments, message) in [
        (&input, "--unordered", "the interrupted run had other settings: --unordered: was `false`, is `true`; use"),
        (&input, "--batch-rows 2", "--batch-rows: was not set, is `2`"),
        (&input, "-C temperature=1", "--config temperature: was not set, is another value"),
        (&input, "--errors bad", "--errors: was not set, is `/"),
        (&(input.clone() + "{\"n\": 500}\n"), "", "size of the input: was `5390`, is `5401`"),
        (&other, "", "the input differs from that of the interrupted run, in its first "),
    ] {
        fs::write(rows.path("rows.jsonl"), text).unwrap();
        let ran = rows.predict(&server, &format!("--resume --jobs 4 {arguments}")).run();
        assert_eq!(ran.code, 2, "{arguments}: {ran:?}");
        assert!(ran.stderr.contains(message), "{arguments}: {ran:?}");
        assert!(output.starts_with(&rows.read("out.jsonl")), "the output has no new line");
    }
    fs::write(rows.path("rows.jsonl"), &input).unwrap();
    let ran = rows.predict(&server, "--resume --jobs 4").run();
    assert_eq!((ran.code, rows.read("out.jsonl")), (0, (0..500).map(line).collect::<String>()), "{ran:?}");
}
