//! Checks that text from plugins and servers cannot control the terminal and cannot imitate the output of the command.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use mlflow_deploy_test_support::{cdylib, patch};
use serde_json::json;

use crate::command::mlflow_deploy;

const ECHO: &str = "mlflow-deploy-example-echo";

/// A plugin version with control and invisible characters. It imitates the entry of another plugin, and hides the text
/// that follows.
const VERSION: &str =
    "1\n  schemes: databricks\nwarning: forged\r\u{202e}\u{200b}\u{2028}\u{2066}\u{feff}\u{9b}31m\u{e0041}";

const SHOWN: &str =
    r"1\n  schemes: databricks\nwarning: forged\r\u{202e}\u{200b}\u{2028}\u{2066}\u{feff}\u{9b}31m\u{e0041}";

/// Returns a folder that contains a plugin with the version [`VERSION`], and the path of this plugin.
fn spoof() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = json!({
        "manifest": 1, "abi": 1, "name": "spoof", "version": VERSION, "target": mlflow_deploy::manifest::TARGET,
        "schemes": ["spoof"], "operations": ["predict"], "panic": "unwind", "description": "a\nb\u{202e}",
        "options": {"properties": {"k\u{202e}": {"description": "x\ny"}}},
    });
    let plugin = folder.path().join("spoof.so");
    fs::write(&plugin, patch::PluginFile::read(cdylib::path(ECHO)).with_manifest(manifest.to_string().as_bytes()))
        .unwrap();
    (folder, plugin)
}

/// Returns true if a text contains neither invisible characters nor control characters, apart from line breaks.
fn is_plain(text: &str) -> bool {
    let hidden = |letter: char| {
        letter.is_control() && letter != '\n' || "\u{202e}\u{200b}\u{2028}\u{2066}\u{feff}\u{e0041}".contains(letter)
    };
    !text.contains(hidden)
}

#[test]
fn control_characters_of_a_manifest_are_escaped() {
    let (folder, plugin) = spoof();
    for arguments in [
        "plugins list",
        "plugins doctor",
        "plugins which spoof",
        "plugins inspect spoof",
        "plugins lock --lock-file lock",
        "plugins verify --lock-file lock",
        "help",
        "help -t spoof",
        "list-endpoints -t nope",
    ] {
        // The plugin is also given by `--plugin`, so that one copy shadows the other.
        let run = mlflow_deploy(arguments).plugin_dir(folder.path()).arg("--plugin").arg(&plugin);
        let ran = run.current_dir(folder.path()).run();
        let output = ran.stdout.clone() + &ran.stderr;
        let is_forged = |line: &str| line.starts_with("  schemes: databricks") || line.starts_with("warning: forged");
        assert!(!output.lines().any(is_forged) && is_plain(&output), "{arguments}: {ran:?}");
    }
    let ran = mlflow_deploy("plugins list").plugin_dir(folder.path()).run();
    assert!(ran.stdout.starts_with(&format!("spoof {SHOWN}\n  schemes: spoof\n")), "{ran:?}");
}

#[test]
fn json_output_escapes_control_characters() {
    let (folder, _) = spoof();
    let ran = mlflow_deploy("plugins list --json").plugin_dir(folder.path()).run();
    assert!(is_plain(&ran.stdout), "{ran:?}");
    assert_eq!(ran.json()["plugins"][0]["version"], VERSION);
    let input = "[\"\u{9b}31m\u{202e}👩\u{200d}🚀\"]";
    let ran = mlflow_deploy("predict -t echo --endpoint echo -I - --json").plugin(ECHO).stdin(input).run();
    assert_eq!(ran.stdout, "[\"\\u009b31m\\u202e👩\u{200d}🚀\"]\n");
    let error = mlflow_deploy("get-endpoint -t echo --json --endpoint \u{9b}31m").plugin(ECHO).run();
    assert!(is_plain(&error.stderr) && error.error()["message"].as_str().unwrap().contains('\u{9b}'), "{error:?}");
}

#[test]
fn reply_is_escaped_on_a_terminal_and_raw_in_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let answer = b"\x1b]0;title\x07\x9b31m\xc2\x9b1m\xe2\x80\xae\tcaf\xc3\xa9\n[1]";
    fs::write(&input, answer).unwrap();
    let predict = |more: &str| {
        let run = mlflow_deploy(&format!("predict -t echo --endpoint echo --content-type text/plain {more} -I"));
        run.arg(&input).plugin(ECHO)
    };
    let (code, screen) = predict("").run_on_a_terminal();
    let screen = String::from_utf8(screen).unwrap();
    let shown = "\\u{1b}]0;title\\u{7}\\x9b31m\\u{9b}1m\\u{202e}\tcafé\r\n[1]\r\n";
    assert_eq!((code, screen.rsplit("\u{1b}[2K").next().unwrap()), (0, shown));
    // The terminal adds a carriage return to each line.
    let (code, screen) = predict("--raw").run_on_a_terminal();
    let raw = [&answer[..answer.len() - 4], b"\r\n[1]\r\n"].concat();
    assert!(code == 0 && screen.ends_with(&raw), "{}", String::from_utf8_lossy(&screen));
    assert_eq!(predict("").arg("-O").arg(&output).run().code, 0);
    assert_eq!(fs::read(&output).unwrap(), answer);
    assert_eq!(predict("").arg("-O").arg(&output).in_shell(r#""$@" | cat"#).run().code, 0);
    assert_eq!(predict("").in_shell(r#""$@" >"$FILE""#).env("FILE", &output).run().code, 0);
    assert_eq!(fs::read(&output).unwrap(), [answer, b"\n".as_slice()].concat());
}

#[test]
fn line_breaks_of_a_message_are_escaped() {
    let run = mlflow_deploy("get-endpoint -t echo --endpoint").arg("x\nerror: forged\r\u{202e}").plugin(ECHO);
    let ran = run.run();
    assert_eq!(ran.code, 5, "{ran:?}");
    assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("error:")).count(), 1, "{ran:?}");
    assert!(ran.stderr.contains("\n  error: forged\\r\\u{202e}"), "{ran:?}");
    let ran = mlflow_deploy("list-endpoints -t echo --timeout").arg("\u{1b}[31m\u{202e}").run();
    assert!(ran.code == 2 && is_plain(&ran.stderr), "{ran:?}");
}

#[test]
fn conformance_report_escapes_control_characters() {
    let (folder, plugin) = spoof();
    for format in ["text", "json", "junit", "markdown"] {
        let mut run = Command::new(cdylib::program("mlflow-deploy-conformance"));
        let output = run.arg(&plugin).args(["--format", format]).current_dir(folder.path()).output().unwrap();
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(!report.is_empty() && is_plain(&report), "{format}: {report}");
        assert!(!report.contains("\nwarning: forged"), "{format}: {report}");
    }
}
