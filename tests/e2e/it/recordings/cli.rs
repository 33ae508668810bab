//! Replays the recordings of the command `mlflow deployments` with this project's command. Checks that each run
//! succeeds or fails as recorded and has the same output. This project prints JSON where MLflow prints Python's reprs.

use std::fs;
use std::path::Path;

use mlflow_deploy_test_support::server::{Answer, Server};
use serde_json::Value;

use super::recordings;
use crate::command::{Ran, Run, mlflow_deploy};

#[test]
fn command_behaves_like_mlflow_s() {
    let cases = recordings("cli_");
    let (mut different, mut failing) = (0, Vec::new());
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let ran = replay(case);
        let found = mismatches(case, &ran);
        match DIFFERENCES.iter().find(|difference| difference.name == name) {
            Some(difference) if found.is_empty() => failing.push(format!("{name}: no more {}", difference.number)),
            Some(difference) => match difference.holds(&ran) {
                Ok(()) => different += 1,
                Err(what) => failing.push(format!("{name}: {what}: {ran:?}")),
            },
            None if found.is_empty() => {}
            None => failing.push(format!("{name}: {}: {ran:?}", found.join("; "))),
        }
    }
    println!(
        "command recordings: {} passing, {different} deliberately different, {} failing",
        cases.len() - different - failing.len(),
        failing.len()
    );
    assert!(failing.is_empty(), "{}", failing.join("\n"));
}

/// Runs this project's command with the recorded arguments, in a folder with the recorded input files. A server sends
/// the recorded responses.
fn replay(case: &Value) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    inputs(&folder.path().join("inputs"));
    let script = case["server_script"].as_array().into_iter().flatten();
    let server = Server::start(script.map(Answer::from_script));
    let base = case["base_url"].as_str().unwrap();
    let mut run = mlflow_deploy("").current_dir(folder.path());
    for argument in case["args"].as_array().unwrap() {
        run = run.arg(renamed(argument.as_str().unwrap()).replace(base, &server.url()));
    }
    for (name, value) in case["env"].as_object().unwrap() {
        run = run.env(name, value.as_str().unwrap().replace(base, &server.url()));
    }
    let plugins = ["mlflow-deploy-fixture-faketarget", "mlflow-deploy-gateway", "mlflow-deploy-databricks"];
    plugins.into_iter().fold(run, Run::plugin).run()
}

/// Replaces the name `echo` of a recorded plugin by `mirror`, because an example plugin of this repository is called
/// `echo`.
fn renamed(text: &str) -> String {
    let is_name = text == "echo" || text.starts_with("echo:");
    if is_name { text.replacen("echo", "mirror", 1) } else { text.replace("[\"echo", "[\"mirror") }
}

fn inputs(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for (name, text) in [
        ("bad.json", "null and void"),
        ("dsplit.json", r#"{"dataframe_split": {"columns": ["a"], "data": [[1]]}}"#),
        ("in.csv", "a,b\n1,x\n"),
        ("in.json", r#"{"p": [1, 2]}"#),
        ("rec.json", r#"[{"a": 1, "b": "x"}, {"a": null, "b": "2020-01-01"}]"#),
        ("scalar.json", r#"{"a": 1}"#),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// Returns a text for each difference between a run and its recording.
fn mismatches(case: &Value, ran: &Ran) -> Vec<String> {
    let mut found = Vec::new();
    let is_usage = |code: i64| code == 2;
    let (recorded, code) = (case["exit_code"].as_i64().unwrap(), i64::from(ran.code));
    if (recorded == 0) != (code == 0) || is_usage(recorded) != is_usage(code) {
        found.push(format!("exit code {code}, recorded was {recorded}"));
    }
    let stdout = &renamed(case["stdout"].as_str().unwrap());
    if stdout.starts_with("Usage:") {
        let missing = options(stdout).into_iter().filter(|option| !ran.stdout.contains(option.as_str()));
        found.extend(missing.map(|option| format!("its help has no `{option}`")));
    } else if as_json(stdout) != as_json(&ran.stdout) {
        found.push(format!("printed {:?}, recorded was {stdout:?}", ran.stdout));
    }
    let stderr = [&case["stderr"], &case["stderr_last"]].map(|text| text.as_str().unwrap_or_default()).concat();
    found.extend(missing_parts(&stderr, &ran.stderr));
    found
}

/// Converts the Python reprs in a text to JSON without spaces between tokens.
fn as_json(text: &str) -> String {
    let words = [("None", "null"), ("True", "true"), ("False", "false"), ("'", "\""), (", ", ","), ("\": ", "\":")];
    words.iter().fold(text.to_owned(), |text, (python, json)| text.replace(python, json))
}

/// Returns the names of the options in a help text, such as `--name` and `-t`.
fn options(help: &str) -> Vec<String> {
    let lines = help.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.starts_with('-'));
    let names = |line: &'_ str| {
        let words = line.split([' ', ',']).filter(|word| !word.is_empty());
        words.take_while(|word| word.starts_with('-')).map(str::to_owned).collect::<Vec<_>>()
    };
    lines.flat_map(names).collect()
}

/// Returns a text for each part of a recorded error that the error `ours` lacks. The compared parts are the options
/// that the recorded error names, or the message of its exception.
fn missing_parts(recorded: &str, ours: &str) -> Vec<String> {
    let last = recorded.lines().last().unwrap_or_default();
    let (ours, missing) = (ours.to_lowercase(), |what: &str| format!("does not say `{what}`"));
    if let Some(complaint) = last.strip_prefix("Error: ") {
        let quoted = complaint.split(['\'', '`', ' ', '.']).filter(|word| word.starts_with("--"));
        return quoted.filter(|word| !ours.contains(&word.to_lowercase())).map(missing).collect();
    }
    let message = last.split_once(": ").map_or("", |(_exception, message)| message);
    if ours.contains(&message.to_lowercase()) { Vec::new() } else { vec![missing(message)] }
}

/// A deliberate difference from MLflow's command.
struct Difference {
    /// The name of the recording that differs.
    name: &'static str,
    /// The number or a text of the explanation of this difference in `COMPATIBILITY.md`.
    number: &'static str,
    /// The expected exit code of this project's command.
    code: i32,
    /// A text that the output must contain: the stdout of a successful run, or the stderr of a failed run.
    says: &'static str,
}

impl Difference {
    /// Returns an error message unless the run has the expected exit code and output, and `COMPATIBILITY.md` explains
    /// the difference.
    fn holds(&self, ran: &Ran) -> Result<(), String> {
        if !include_str!("../../../../host/COMPATIBILITY.md").contains(self.number) {
            return Err(format!("the compatibility page has no `{}`", self.number));
        }
        let output = if self.code == 0 { &ran.stdout } else { &ran.stderr };
        match (ran.code == self.code, output.contains(self.says)) {
            (true, true) => Ok(()),
            (false, _) => Err(format!("exit code {}, and not {}", ran.code, self.code)),
            (_, false) => Err(format!("does not say {:?}", self.says)),
        }
    }
}

const fn difference(name: &'static str, number: &'static str, code: i32, says: &'static str) -> Difference {
    Difference { name, number, code, says }
}

const DIFFERENCES: &[Difference] = &[
    difference("cli_bad_target_uri", "B26", 2, "invalid target URI ``"),
    difference("cli_create_endpoint", "B20", 0, "\nEndpoint e is created\n"),
    difference("cli_create_no_flavor_key", "B24", 0, "\nDeployment n is created\n"),
    difference("cli_delete", "Output of plugins", 0, "Deployment n is deleted\n"),
    difference("cli_delete_oldstyle", "Output of plugins", 0, "Deployment n is deleted\n"),
    difference("cli_explain_fake", "Line ends", 0, "\"1\"\n"),
    difference("cli_get_endpoint_http", "B21", 0, "name: chat\n"),
    difference("cli_help_http", "B27", 0, "# MLflow AI Gateway"),
    difference("cli_help_none", "B27", 0, "Target URIs:"),
    difference("cli_list_endpoints_http", "Records", 0, "List of all endpoints:\n[{\"name\": \"chat\""),
    difference("cli_plugin_importerror", "B28", 3, "no plugin found for the target `importerror`"),
    difference("cli_plugin_missingfuncs", "B28", 3, "no plugin found for the target `missingfuncs`"),
    difference("cli_plugin_twoclients", "B28", 3, "no plugin found for the target `twoclients`"),
    difference("cli_list_http", "Exit codes", 2, "does not support `list`, only `get-endpoint`"),
    difference("cli_predict_bad_json", "B22", 0, "\"null and void\""),
    difference("cli_predict_csv", "B22", 0, r#"{"dataframe_split":{"columns":["a","b"],"data":[[1,"x"]]}}"#),
    difference(
        "cli_predict_csv_content_type",
        "B22",
        0,
        r#"{"dataframe_split":{"columns":["a","b"],"data":[[1,"x"]]}}"#,
    ),
    difference("cli_predict_dataframe_split", "B22", 0, r#"{"dataframe_split":{"columns":["a"],"data":[[1]]}}"#),
    difference("cli_predict_dict_result", "B23", 0, "{\"predictions\":[1,2,3]}\n"),
    difference("cli_predict_endpoint", "B22", 0, r#"[null,"e",[{"a":1,"b":"x"},{"a":null,"b":"2020-01-01"}]]"#),
    difference("cli_predict_missing_file", "Exit codes", 2, "No such file or directory"),
    difference("cli_predict_scalar_dict", "B22", 0, r#"[null,"e",{"a":1}]"#),
    difference("cli_run_local_http", "B27", 2, "does not support `run-local`"),
    difference("cli_target_uri_suffix", "B24", 0, "\nDeployment [\"mirror:/some/suffix\""),
    difference("cli_unknown_target", "Exit codes", 3, "no plugin found for the target `wrong_target`"),
    difference("cli_update_returns_none", "B24", 0, "Deployment n is updated\n"),
];
