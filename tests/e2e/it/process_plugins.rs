//! Checks process plugins: programs that the file `NAME.plugin.json` on the search path describes, and that speak the
//! wire protocol.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::{Ran, Run, mlflow_deploy};
use crate::conformance::check;
use crate::isolation::orphans::{children, handle, wait_for_end};

const PLUGIN: &str = include_str!("../../fixtures/process-plugin/plugin.py");

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A folder with the plugin `wire`: its manifest, and the script `plugin.py`.
struct Wire(TempDir);

impl Wire {
    /// Returns a plugin that works.
    fn new() -> Self {
        Self::starting(&["1", "1", "works"])
    }

    /// Returns a plugin whose script receives these arguments.
    fn starting(arguments: &[&str]) -> Self {
        let exec: Vec<_> = ["python3", "-B", "./plugin.py"].iter().chain(arguments).collect();
        Self::with(&json!({"exec": exec}))
    }

    /// Returns a plugin with these members in its manifest.
    fn with(members: &Value) -> Self {
        let wire = Self(tempfile::tempdir().unwrap());
        let mut manifest = json!({
            "manifest": 1, "abi": 1, "name": "wire", "version": "1.0.0", "schemes": ["wire"],
            "operations": ["predict", "predict_stream"], "environment": [{"name": "WIRE_TOKEN", "secret": true}],
        });
        manifest.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        fs::write(wire.manifest(), manifest.to_string()).unwrap();
        fs::write(wire.script(), PLUGIN).unwrap();
        wire
    }

    fn manifest(&self) -> PathBuf {
        self.0.path().join("wire.plugin.json")
    }

    fn script(&self) -> PathBuf {
        self.0.path().join("plugin.py")
    }

    /// Returns a run of the command that finds the plugin, and stores its state in the folder.
    fn command(&self, arguments: &str) -> Run {
        let state = self.0.path().join("state");
        mlflow_deploy(arguments).plugin_dir(self.0.path()).env("PATH", PATH).env("XDG_STATE_HOME", state)
    }

    fn predict(&self, inputs: &Value) -> Ran {
        self.command("predict -t wire --endpoint e -I -").stdin(inputs.to_string()).run()
    }

    /// Predicts, and returns the result.
    fn predicted(&self, inputs: &Value) -> Value {
        let ran = self.predict(inputs);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.json()
    }

    /// Predicts, and returns the message of the error.
    fn refused(&self) -> String {
        let ran = self.predict(&json!(["x"]));
        assert_ne!(ran.code, 0, "{ran:?}");
        ran.stderr
    }
}

#[test]
fn calls_streams_and_events_of_a_process_plugin_reach_the_user() {
    let wire = Wire::new();
    assert_eq!(wire.predicted(&json!({"a": [1, null, "é"]})), json!({"a": [1, null, "é"]}));
    let warned = wire.predict(&json!("event"));
    assert_eq!((warned.code, warned.stderr.as_str()), (0, "warning: the deployment is old (plugin wire)\n"));
    let stream = wire.command("predict -t wire --endpoint e --stream -I -").stdin(r#""one two""#).run();
    assert_eq!((stream.code, stream.stdout.as_str()), (0, "\"one\"\n\"two\"\n"), "{stream:?}");
    let missing = wire.command("list-endpoints -t wire").run();
    assert!(missing.code == 2 && missing.stderr.contains("does not support `list-endpoints`"), "{missing:?}");
}

#[test]
fn listing_shows_a_process_plugin_and_runs_nothing() {
    let wire = Wire::with(&json!({"exec": ["/bin/sh", "-c", "touch started"], "files": ["./plugin.py"]}));
    let listed = wire.command("plugins list").current_dir(wire.0.path()).run();
    let expected = format!(
        "wire 1.0.0\n  schemes: wire\n  file:    {}\n  runs in: its own process, because it is a process plugin\n",
        wire.manifest().display()
    );
    assert!(listed.stdout.starts_with(&expected), "{listed:?}");
    let doctor = wire.command("plugins doctor").current_dir(wire.0.path()).run();
    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert!(!wire.0.path().join("started").exists());
}

#[test]
fn only_declared_variables_reach_the_process() {
    let wire = Wire::new();
    let run = wire.command("predict -t wire --endpoint e -I -").stdin(r#""environment""#);
    let ran = run.env("WIRE_TOKEN", "t").env("OTHER_TOKEN", "o").run();
    let names: Vec<String> = serde_json::from_str(&ran.stdout).unwrap();
    let has = |name: &str| names.iter().any(|each| each == name);
    assert!(has("WIRE_TOKEN") && has("PATH") && !has("OTHER_TOKEN"), "{names:?}");
}

#[test]
fn declared_secrets_that_a_plugin_sends_are_redacted() {
    let wire = Wire::with(&json!({
        "exec": ["python3", "-B", "./plugin.py", "1", "1", "works"],
        "options": {"properties": {"key": {"type": "string", "writeOnly": true}}},
    }));
    let run = wire.command("predict -t wire --endpoint e --option key=0123456789abcdef -I -").stdin(r#""leak""#);
    let ran = run.env("WIRE_TOKEN", "fedcba9876543210").run();
    let said = "warning: sent the token <redacted> (plugin wire)\nerror: refused <redacted> and <redacted>\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (2, said), "{ran:?}");
}

#[test]
fn newest_common_version_is_chosen_and_no_common_version_is_an_error() {
    assert_eq!(Wire::starting(&["7", "1", "works"]).predicted(&json!("version")), 1);
    for (newest, oldest) in [("3", "2"), ("0", "0"), ("1", "0")] {
        let refused = Wire::starting(&[newest, oldest, "works"]).refused();
        let expected =
            format!("does not follow the wire protocol: it speaks the versions {oldest} to {newest}, but this host 1");
        assert!(refused.contains(&expected), "{refused}");
    }
}

#[test]
fn program_that_does_not_start_is_an_error_with_the_reason() {
    for (start, message) in [
        (
            "exits",
            "its process exited with code 1 during loading; its log ends with `ModuleNotFoundError: No module named 'numpy'`",
        ),
        ("babbles", "does not follow the wire protocol: a part has "),
        ("fails", "failed to start: no licence"),
        ("crashes", "was killed by signal 11 (SIGSEGV)"),
    ] {
        let refused = Wire::starting(&["1", "1", start]).refused();
        assert!(refused.contains(message), "{start}: {refused}");
    }
    let slow = Wire::with(&json!({"exec": ["python3", "-B", "./plugin.py", "1", "1", "hangs"], "start_timeout": 1}));
    let refused = slow.refused();
    assert!(refused.contains("did not finish loading within 1 s"), "{refused}");
}

#[test]
fn program_that_crashes_at_its_start_is_quarantined_until_its_script_changes() {
    let wire = Wire::starting(&["1", "1", "crashes"]);
    assert!(wire.refused().contains("SIGSEGV"));
    assert!(wire.refused().contains("quarantined"));
    let listed = wire.command("plugins list").run();
    assert!(listed.stdout.contains("quarantined, because on its first load its process was killed"), "{listed:?}");
    fs::write(wire.script(), PLUGIN.replace("os.kill(os.getpid(), signal.SIGSEGV)", "pass")).unwrap();
    assert_eq!(wire.predicted(&json!([1])), json!([1]));
    // A program that exits is not quarantined: the installation of a missing package changes none of its files.
    let lacking = Wire::starting(&["1", "1", "exits"]);
    assert!(lacking.refused().contains("No module named"));
    assert!(lacking.refused().contains("No module named"));
}

#[test]
fn unusable_program_or_file_is_refused_with_its_name() {
    for (members, message) in [
        (json!({"exec": ["no-such-python"]}), "`no-such-python` was not found in `PATH`"),
        (json!({"exec": ["./none"]}), "`./none` does not exist"),
        (json!({"exec": ["./plugin.py"]}), "`./plugin.py` is not executable"),
        (json!({"exec": ["python3", "./none.py"]}), "/none.py` cannot be read: No such file"),
        (json!({"exec": []}), "its manifest is invalid: missing program: `exec` is missing or empty"),
        (json!({"exec": ["python3"], "name": "W"}), "its manifest is invalid: invalid plugin name `W`"),
        (json!({"exec": ["python3"], "abi": 2}), "uses plugin ABI 2, but this host supports ABI 1"),
    ] {
        let wire = Wire::with(&members);
        for verb in ["plugins list", "plugins doctor"] {
            let ran = wire.command(verb).run();
            assert!(ran.stdout.contains(message), "{verb}: {ran:?}");
        }
        let refused = wire.refused();
        assert!(refused.contains(message), "{refused}");
    }
    let wire = Wire::new();
    fs::write(wire.manifest(), "{\"manifest\": 1,\n}").unwrap();
    assert!(wire.refused().contains("trailing comma at line 2 column 1"), "{}", wire.refused());
}

#[test]
fn program_that_another_user_can_change_is_refused() {
    for (name, message) in
        [("plugin.py", "plugin.py` has mode 666"), ("wire.plugin.json", "wire.plugin.json` has mode 666")]
    {
        let wire = Wire::new();
        fs::set_permissions(wire.0.path().join(name), Permissions::from_mode(0o666)).unwrap();
        let (refused, listed) = (wire.refused(), wire.command("plugins list").run());
        assert!(refused.contains(message), "{refused}");
        assert!(listed.stdout.contains("refused:") && listed.stdout.contains(message), "{listed:?}");
    }
}

#[test]
fn lock_file_holds_the_hash_of_the_script() {
    let wire = Wire::new();
    let lock = wire.0.path().join("lock");
    let locked = wire.command("plugins lock").arg("--lock-file").arg(&lock).run();
    assert_eq!(locked.code, 0, "{locked:?}");
    let text = fs::read_to_string(&lock).unwrap();
    assert!(text.contains("\nfiles = \""), "{text}");
    let predict = || wire.command("predict -t wire --endpoint e -I -").arg("--lock-file").arg(&lock).stdin("[1]").run();
    assert_eq!(predict().code, 0, "{:?}", predict());
    fs::write(wire.script(), format!("{PLUGIN}\n# changed\n")).unwrap();
    let refused = predict();
    assert!(
        refused.code != 0 && refused.stderr.contains("differs from the plugin `wire` in the lock file"),
        "{refused:?}"
    );
    assert_eq!(refused.stderr.matches(", and files with SHA-256 ").count(), 2, "{refused:?}");
}

#[test]
fn process_that_dies_fails_its_call_with_its_log() {
    let ran = Wire::new().predict(&json!("die"));
    let expected = "error: the plugin's process was killed by signal 6 (SIGABRT)\ncaused by: its log: about to abort\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (4, expected));
}

#[test]
fn kill_of_the_host_ends_the_process() {
    let wire = Wire::new();
    let mut command = wire.command("predict -t wire --endpoint e -I -").stdin(r#""wait""#).spawn();
    let mut line = String::new();
    BufReader::new(command.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "warning: waiting (plugin wire)\n");
    let [started] = children(command.id())[..] else { panic!("expected one process") };
    let process = handle(started);
    kill_process(Pid::from_child(&command), Signal::KILL).unwrap();
    command.wait().unwrap();
    wait_for_end(&process);
}

#[test]
fn number_and_length_of_warnings_are_limited() {
    let wire = Wire::new();
    let ran = wire.predict(&json!("flood"));
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert_eq!((ran.code, lines.len()), (0, 101), "{lines:?}");
    assert_eq!((lines[0], lines[1].len() - lines[0].len()), ("warning: 0 (plugin wire)", 1024));
    assert_eq!(lines[99], format!("warning: {} (plugin wire)", "x".repeat(1 << 16)));
    assert_eq!(lines[100], "warning: more warnings of plugins are not shown: use `--verbose` to see them");
    let all = wire.command("predict -t wire --endpoint e -I - --verbose").stdin(r#""flood""#).run();
    assert_eq!((all.code, all.stderr.matches("warning: ").count()), (0, 200));
}

#[test]
fn process_that_remains_after_its_connection_fails_its_case() {
    let config = "predict.inputs = '\"a\"'";
    let report = |start| check(&Wire::starting(&["1", "1", start]).manifest(), config, &["--only", "threads-host-end"]);
    let works = report("works");
    assert_eq!((works.code, works.passed()), (0, vec!["threads-host-end"]));
    let message = "its process did not exit within 3 s of the end of its connection and was killed";
    assert_eq!(report("remains").bad(), [("threads-host-end", "fail", message)]);
}

#[test]
fn files_that_are_added_to_a_folder_of_the_plugin_are_noticed() {
    let wire = Wire::with(&json!({"exec": ["python3", "-B", "./plugin.py", "1", "1", "works"], "files": ["."]}));
    let lock = tempfile::tempdir().unwrap();
    let lock = lock.path().join("lock");
    let run = |verb: &str| {
        wire.command(verb).env("XDG_STATE_HOME", lock.parent().unwrap()).arg("--lock-file").arg(&lock).run()
    };
    assert_eq!(run("plugins lock").code, 0);
    assert_eq!(run("plugins verify").code, 0);
    fs::write(wire.0.path().join("added.py"), "").unwrap();
    assert_eq!(run("plugins verify").code, 3);
}

#[test]
fn messages_that_come_with_the_end_of_the_start_are_handled() {
    let wire = Wire::starting(&["1", "1", "talks"]);
    let ran = wire.predict(&json!([1]));
    let expected = "warning: one (plugin wire)\nwarning: two (plugin wire)\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (0, expected), "{ran:?}");
    let lacking = Wire::starting(&["1", "1", "lacks"]).refused();
    assert!(lacking.contains("`loaded` lacks the slots `open` and `shutdown`"), "{lacking}");
}

#[test]
fn bulk_prediction_works_without_options_in_the_manifest() {
    let wire = Wire::new();
    let rows = wire.0.path().join("rows.jsonl");
    fs::write(&rows, "[1]\n[2]\n").unwrap();
    let run = wire.command("predict-batch -t wire --endpoint e").arg("-I").arg(&rows).arg("-O");
    let ran = run.arg(wire.0.path().join("out.jsonl")).run();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read_to_string(wire.0.path().join("out.jsonl")).unwrap(), "[1]\n[2]\n");
}

#[test]
fn check_of_a_manifest_knows_process_plugins_by_their_name() {
    let wire = Wire::new();
    let check = |text: &str| {
        fs::write(wire.manifest(), text).unwrap();
        wire.command("plugins check").arg(wire.manifest()).run()
    };
    let manifest = fs::read_to_string(wire.manifest()).unwrap();
    let valid = check(&manifest);
    assert!(valid.code == 0 && valid.stdout.contains(": valid: wire 1.0.0, schemes: wire"), "{valid:?}");
    let part = check(r#"{"exec": ["python3"], "description": "d"}"#);
    assert!(part.code == 3 && part.stdout.contains("missing member `name`"), "{part:?}");
    assert!(!part.stdout.contains("missing member `target`"), "{part:?}");
}
