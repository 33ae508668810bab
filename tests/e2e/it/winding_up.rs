//! What a plugin does after its answer changes neither the answer nor the exit code.

use std::fs;
use std::io::{BufRead, BufReader};

use crate::command::{Ran, Run, mlflow_deploy};

/// Longer than winding up may take: a verb that waits for the plugin would end with exit code 6.
const LIMIT: &str = "--timeout 100";

const SAID: &str = "a plugin did not close its client or shut down within 3 s";

fn misbehaving(way: &str, arguments: &str) -> Run {
    let run = mlflow_deploy("").plugin("mlflow-deploy-fixture-misbehave").env("MISBEHAVE", way).stdin("[1]");
    format!("{arguments} -t misbehave {LIMIT}").split_whitespace().fold(run, Run::arg)
}

#[test]
fn a_plugin_that_does_not_wind_up_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.json");
    for way in ["close-hang", "shutdown-hang"] {
        let ran = misbehaving(way, "list-endpoints --json").run();
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.contains(SAID)), (0, "[]\n", true), "{way}: {ran:?}");
        let ran = misbehaving(way, "predict --endpoint e -I -").arg("-O").arg(&output).run();
        assert_eq!((ran.code, ran.stderr.contains(SAID)), (0, true), "{way}: {ran:?}");
        assert_eq!(fs::read_to_string(&output).unwrap(), "[1]");
        // A failure is as much an answer.
        let ran = misbehaving(way, "list").run();
        assert_eq!((ran.code, ran.stderr.lines().count()), (2, 2), "{way}: {ran:?}");
        assert!(ran.stderr.starts_with("error: the target does not support `list`"), "{way}: {ran:?}");
    }
}

#[test]
fn a_stream_that_is_not_read_to_its_end_ends_where_its_cancel_does_not_return() {
    let mut child = misbehaving("cancel-hang", "predict --stream --endpoint endless -I -").spawn();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((line.as_str(), ran.code, ran.stderr.contains(SAID)), ("[1]\n", 0, true), "{ran:?}");
}

#[test]
fn help_that_does_not_come_is_given_up() {
    let run = mlflow_deploy("help -t misbehave --timeout 1").plugin("mlflow-deploy-fixture-misbehave");
    let ran = run.env("MISBEHAVE", "help-hang").run();
    assert_eq!((ran.code, ran.stderr.contains("not done within 1 s")), (6, true), "{ran:?}");
}
