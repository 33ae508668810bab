//! Checks that a plugin which hangs after its reply changes neither the output nor the exit code of the command.

use std::fs;
use std::io::{BufRead, BufReader};

use crate::command::{Ran, Run, mlflow_deploy};

/// A timeout that is longer than the host's time limit for the shutdown of a plugin. If the command waited for the
/// plugin until this timeout, it would exit with code 6.
const LIMIT: &str = "--timeout 100";

const SAID: &str = "a plugin did not close its client or shut down within 3 s";

fn misbehaving(way: &str, arguments: &str) -> Run {
    let run = mlflow_deploy("").plugin("mlflow-deploy-fixture-misbehave").env("MISBEHAVE", way).stdin("[1]");
    format!("{arguments} -t misbehave {LIMIT}").split_whitespace().fold(run, Run::arg)
}

#[test]
fn hang_after_the_reply_does_not_delay_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.json");
    for way in ["close-hang", "shutdown-hang"] {
        let ran = misbehaving(way, "list-endpoints --json").run();
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.contains(SAID)), (0, "[]\n", true), "{way}: {ran:?}");
        let ran = misbehaving(way, "predict --endpoint e -I -").arg("-O").arg(&output).run();
        assert_eq!((ran.code, ran.stderr.contains(SAID)), (0, true), "{way}: {ran:?}");
        assert_eq!(fs::read_to_string(&output).unwrap(), "[1]");
        // The same after an error.
        let ran = misbehaving(way, "list").run();
        assert_eq!((ran.code, ran.stderr.lines().count()), (2, 2), "{way}: {ran:?}");
        assert!(ran.stderr.starts_with("error: the target does not support `list`"), "{way}: {ran:?}");
    }
}

#[test]
fn unread_stream_ends_if_cancel_hangs() {
    let mut child = misbehaving("cancel-hang", "predict --stream --endpoint endless -I -").spawn();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((line.as_str(), ran.code, ran.stderr.contains(SAID)), ("[1]\n", 0, true), "{ran:?}");
}

#[test]
fn hang_in_target_help_times_out() {
    let run = mlflow_deploy("help -t misbehave --timeout 1").plugin("mlflow-deploy-fixture-misbehave");
    let ran = run.env("MISBEHAVE", "help-hang").run();
    assert_eq!((ran.code, ran.stderr.contains(" within 1")), (6, true), "{ran:?}");
}
