//! Checks the command with standard streams that are closed or full, and with a limit of the file size. If output is
//! lost, the exit code must not be 0.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use mlflow_deploy_test_support::cdylib;
use rustix::process::{Pid, Signal, kill_process};

use crate::command::{Ran, Run, mlflow_deploy};

const ECHO: &str = "mlflow-deploy-example-echo";

/// Shell scripts that run the command (`"$@"`) with a stdout that is closed, full, read-only, or limited in size.
const LOST: [&str; 4] = [r#""$@" >&-"#, r#""$@" >/dev/full"#, r#""$@" 1</dev/null"#, r#"ulimit -f 0; "$@" >"$FILE""#];

fn echo(arguments: &str) -> Run {
    let run = mlflow_deploy("").plugin(ECHO).stdin("[1]");
    arguments.split_whitespace().fold(run, Run::arg)
}

#[test]
fn lost_output_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for script in LOST {
        for arguments in [
            "list-endpoints -t echo",
            "list-endpoints -t echo --json",
            "get-endpoint -t echo --endpoint echo",
            "predict -t echo --endpoint echo -I -",
            "predict -t echo --endpoint echo -I - --stream",
            "predict -t echo --endpoint echo -I - --json -O -",
            "predict -t echo --endpoint echo -I - -O /dev/stdout",
            "help",
            "help -t echo",
            "plugins list",
            "plugins list --json",
            "plugins which echo",
            "man",
            "completions bash",
            "--help",
            "--version",
            "predict --help",
        ] {
            if arguments.contains("/dev/stdout") && script.contains("1</dev/null") {
                // Writing to `/dev/null` by its path succeeds.
                continue;
            }
            let ran = echo(arguments).env("FILE", folder.path().join("file")).in_shell(script).run();
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments}, {script}: {ran:?}");
            assert!(ran.stderr.contains("failed to write the output"), "{arguments}, {script}: {ran:?}");
        }
        let lock = folder.path().join("lock");
        let locked = echo("plugins lock --lock-file").arg(&lock).env("FILE", folder.path().join("file"));
        let ran = locked.in_shell(script).run();
        assert_eq!(ran.code, 2, "{script}: {ran:?}");
    }
}

#[test]
fn output_to_dev_null_and_closed_stderr_succeed() {
    for script in [r#""$@" >/dev/null"#, r#""$@" 1<>/dev/null"#, r#""$@" 2>&-"#] {
        assert_eq!(echo("list-endpoints -t echo").in_shell(script).run().code, 0, "{script}");
    }
}

#[test]
fn closed_stdin_is_an_error() {
    for script in [r#""$@" <&-"#, r#""$@" 0>/dev/null"#] {
        let ran = echo("predict -t echo --endpoint echo -I -").in_shell(script).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{script}: {ran:?}");
        assert!(ran.stderr.starts_with("error: failed to read the input `-`: "), "{script}: {ran:?}");
    }
    let ran = echo("predict -t echo --endpoint echo -I /dev/stdin").in_shell(r#""$@" <&-"#).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
}

#[test]
fn plugin_replies_with_all_standard_streams_closed() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.json"), folder.path().join("out.json"));
    fs::write(&input, "[1]").unwrap();
    for isolate in ["", "--isolate"] {
        let run = echo(&format!("predict -t echo --endpoint echo {isolate} -I")).arg(&input).arg("-O").arg(&output);
        assert_eq!(run.in_shell(r#""$@" <&- >&- 2>&-"#).run().code, 0, "{isolate}");
        assert_eq!(fs::read_to_string(&output).unwrap(), "[1]", "{isolate}");
        fs::remove_file(&output).unwrap();
    }
}

#[test]
fn exceeded_file_size_limit_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (state, output) = (folder.path().join("state"), folder.path().join("out.json"));
    let limited = |run: Run| run.env("XDG_STATE_HOME", &state).in_shell(r#"ulimit -f 0; exec "$@""#).run();
    // The verb continues even though it cannot store the result of the preflight.
    let listed = limited(echo("list-endpoints -t echo --json"));
    assert_eq!((listed.code, listed.stdout.as_str()), (0, "[{\"name\":\"echo\"}]\n"), "{listed:?}");
    let ran = limited(echo("predict -t echo --endpoint echo -I - -O").arg(&output));
    assert_eq!((ran.code, ran.stderr.contains("out.json`: File too large")), (2, true), "{ran:?}");
    let left =
        |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(left(folder.path().to_owned()), ["state"]);
    for notes in left(state.join("mlflow-deploy")) {
        assert_eq!(left(state.join("mlflow-deploy").join(notes)).len(), 0, "no partial file is left");
    }
}

/// The command changes its own signal dispositions. The process of an isolated plugin must not inherit the changes.
#[test]
fn isolated_plugin_has_the_default_signal_dispositions() {
    if !Path::new("/proc/self/task").exists() {
        return;
    }
    let run = mlflow_deploy("predict -t mirror --endpoint slow -I - --isolate -v").stdin("[1]");
    let mut child = run.plugin("mlflow-deploy-fixture-faketarget").spawn();
    let id = child.id();
    let says = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(says.into_iter().any(|line| line.contains("thinking")));
    let of_thread = |task: std::io::Result<fs::DirEntry>| {
        fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default()
    };
    let children: String = fs::read_dir(format!("/proc/{id}/task")).unwrap().map(of_thread).collect();
    let plugin = children.split_whitespace().next().unwrap_or_else(|| panic!("no process of the plugin's"));
    let status = fs::read_to_string(format!("/proc/{plugin}/status")).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    assert_eq!(
        u64::from_str_radix(ignored, 16).unwrap() & (1 << (25 - 1) | 1 << (1 - 1) | 1 << (3 - 1)),
        0,
        "{ignored}"
    );
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(Ran::from(child.wait_with_output().unwrap()).code, 130);
}

#[test]
fn lost_report_of_the_conformance_command_is_an_error() {
    let plugin = cdylib::path(ECHO);
    for script in LOST {
        for arguments in ["--list", "--help", "--only manifest"] {
            let mut run = std::process::Command::new("sh");
            let folder = tempfile::tempdir().unwrap();
            run.args(["-c", script, "sh"]).arg(cdylib::program("mlflow-deploy-conformance")).arg(plugin);
            run.args(arguments.split(' ')).env("FILE", folder.path().join("file"));
            let output = run.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments}, {script}: {said}");
            assert!(said.contains("failed to write the output"), "{arguments}, {script}: {said}");
        }
    }
}
