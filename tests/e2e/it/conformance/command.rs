//! Tests of the command `mlflow-deploy-conformance`: its output formats, its exit codes, and its reports of plugins
//! that crash or hang.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mlflow_deploy_conformance::Case;
use mlflow_deploy_test_support::cdylib;
use serde_json::Value;

use super::{check, harness};

pub(super) const ECHO: &str = "mlflow-deploy-example-echo";
const HERMIT: &str = "mlflow-deploy-fixture-hermit";
pub(super) const MISBEHAVE: &str = "mlflow-deploy-fixture-misbehave";

/// Returns a configuration of the conformance command for the plugin `misbehave`. It makes the plugin have the fault
/// `way`.
pub(super) fn misbehaving(way: &str) -> String {
    format!("[environment]\nMISBEHAVE = '{way}'\n[predict]\ninputs = '[1]'\n")
}

#[test]
fn crash_is_reported_with_its_signal_and_the_output_before_it() {
    let report =
        check(cdylib::path(MISBEHAVE), &misbehaving("crash"), &["--only", "operations-predict", "--seed", "7"]);
    let result = &report.results()[0];
    assert_eq!(
        (report.code, result["verdict"].as_str(), result["signal"].as_str()),
        (1, Some("fail"), Some("SIGABRT"))
    );
    let log: Vec<_> = result["log"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(log.last().unwrap().starts_with("calls `predict`"), "{log:?}");
    assert!(result["again"].as_str().unwrap().ends_with(" --only operations-predict --seed 7"), "{result}");
}

#[test]
fn crash_of_an_isolated_plugin_is_reported_with_its_output() {
    let config = "[predict]\nendpoint = 'abort'\ninputs = '[1]'\n";
    let report = check(cdylib::path(HERMIT), config, &["--only", "operations-predict", "--isolated", "--seed", "7"]);
    let result = &report.results()[0];
    assert_eq!(
        (report.code, result["verdict"].as_str(), result["message"].as_str(), result["signal"].as_str()),
        (1, Some("fail"), Some("the plugin crashed: SIGABRT"), Some("SIGABRT"))
    );
    let log: Vec<_> = result["log"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(log.iter().any(|line| line.starts_with("calls `predict`")), "{log:?}");
    assert!(log.last().unwrap().starts_with("its log: "), "{log:?}");
    let again = result["again"].as_str().unwrap();
    assert!(again.contains(" --isolated ") && again.ends_with(" --only operations-predict --seed 7"), "{result}");
    // The plugin crashes in the process of the plugin host. The report is the same as for a crash in the case's
    // process.
    let report = check(cdylib::path(MISBEHAVE), &misbehaving("load-crash"), &["--only", "abi-init", "--isolated"]);
    assert_eq!(report.bad(), [("abi-init", "fail", "the plugin crashed: SIGABRT")]);
}

#[test]
fn unresponsive_isolated_plugin_is_killed() {
    let report =
        check(cdylib::path(MISBEHAVE), &misbehaving("slot-hang"), &["--only", "operations-predict", "--isolated"]);
    let expected = ("operations-predict", "fail", "its process did not respond for 10 s and was killed");
    assert_eq!((report.code, report.bad()), (1, vec![expected]));
}

#[test]
fn isolation_without_the_plugin_host_is_an_error() {
    let echo = cdylib::path(ECHO);
    let output = harness(echo, "", &["--isolated", "--plugin-host", "/no/program"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    for said in ["not found at `/no/program`", "or set `MLFLOW_DEPLOY_PLUGIN_HOST`"] {
        assert!(stderr.contains(said), "{stderr}");
    }
    // A wrong plugin host program is a fault of the harness, not a failure of the plugin.
    let report = check(echo, "", &["--isolated", "--plugin-host", "/bin/true", "--only", "abi-init"]);
    assert_eq!((report.code, report.bad()[0].1), (2, "fault"), "{report:?}");
    let output = harness(echo, "", &["--plugin-host", "/bin/true"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--isolated"), "{output:?}");
}

#[test]
fn hanging_case_is_killed_with_its_child_processes() {
    // Isolated, `open` gets its reply within a third of the limit, and the host ends the process only after 10 s.
    for (limit, mode, said) in
        [("3", [].as_slice(), "timed out after 3 s"), ("27", &["--isolated"], "no reply to `predict`")]
    {
        let marker = format!("conformance-{}-{}", std::process::id(), mode.len());
        let config = misbehaving("spawn-hang").replace("[predict]", &format!("MARKER = '{marker}'\n[predict]"));
        let arguments = [&["--only", "operations-predict", "--timeout", limit], mode].concat();
        let report = check(cdylib::path(MISBEHAVE), &config, &arguments);
        assert_eq!((report.code, report.bad()[0].1), (1, "fail"), "{report:?}");
        assert!(report.bad()[0].2.starts_with(said), "{report:?}");
        wait_for_no_marked_process(&marker);
    }
}

fn wait_for_no_marked_process(marker: &str) {
    // The system removes a killed process some time later. A zombie does not have an environment.
    let ends = Instant::now() + Duration::from_secs(120);
    while has_marked_process(marker) {
        assert!(Instant::now() < ends, "a process that the plugin started is left");
        std::thread::yield_now();
    }
}

fn has_marked_process(marker: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let environments = processes.filter_map(|process| fs::read(process.path().join("environ")).ok());
    environments.into_iter().any(|environment| String::from_utf8_lossy(&environment).contains(marker))
}

#[test]
fn cases_that_depend_on_a_failed_case_are_skipped() {
    let report = check(cdylib::path(MISBEHAVE), &misbehaving("init-hang"), &["--timeout", "15"]);
    let ids: Vec<_> = report.bad().iter().map(|(id, ..)| *id).collect();
    assert_eq!((report.code, ids), (1, vec!["abi-init"]));
    let waits = report.results().iter().find(|result| result["id"] == "threads-any").unwrap();
    assert_eq!(
        (waits["verdict"].as_str(), waits["message"].as_str()),
        (Some("skip"), Some("`abi-init` has to pass first"))
    );
}

#[test]
fn usage_errors_have_exit_code_2() {
    let echo = cdylib::path(ECHO);
    for (plugin, config, arguments, said) in [
        (Path::new("/nowhere.so"), "", vec![], "no plugin at `/nowhere.so`"),
        (echo, "", vec!["--only", "load-nothing"], "unknown case `load-nothing`"),
        (echo, "nonsense = 1", vec![], "unknown field `nonsense`"),
        (echo, "", vec!["--list", "--format", "json"], "use `text` or `markdown`"),
        (echo, "", vec!["--timeout", "0"], "expected seconds"),
    ] {
        let output = harness(plugin, config, &arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr.contains(said) && output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn plugin_that_needs_a_server_needs_a_config() {
    for (plugin, option, said) in [
        ("mlflow-deploy-openai", "`api_key`", "`openai` cannot be opened: OPENAI_API_KEY environment variable not set"),
        ("mlflow-deploy-gateway", "`token`", "`http` cannot be opened: the target URI is `http`, which is not a URL"),
    ] {
        let output = harness(cdylib::path(plugin), "", &["--only", "operations-open", "semantics-predict"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "{text}");
        for expected in ["needs a config: options `", option, "\"Configuration\" in tests/conformance/README.md", said]
        {
            assert!(text.contains(expected), "expected `{expected}`: {text}");
        }
        assert!(!text.contains("not conformant"), "{text}");
    }
    // A target URI in the config that cannot be opened is a failure.
    let report = check(cdylib::path("mlflow-deploy-gateway"), "target_uris = ['http']", &["--only", "operations-open"]);
    assert_eq!((report.code, report.bad()[0].1), (1, "fail"));
}

#[test]
fn file_that_is_not_a_plugin_fails() {
    let report = check(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml").as_path(), "", &[]);
    let ids: Vec<_> = report.bad().iter().map(|(id, ..)| *id).collect();
    assert_eq!((report.code, ids), (1, vec!["manifest-present", "load-opens"]));
}

#[test]
fn junit_report_is_valid_xml() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("junit.xml");
    let arguments = ["--format", "junit", "--output", file.to_str().unwrap(), "--only", "load", "operations"];
    let output = harness(cdylib::path(MISBEHAVE), &misbehaving("bad-status"), &arguments);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), [].as_slice()), "{output:?}");
    let text = fs::read_to_string(&file).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let suites: Vec<_> = document.descendants().filter(|node| node.has_tag_name("testsuite")).collect();
    let names: Vec<_> = suites.iter().filter_map(|suite| suite.attribute("name")).collect();
    assert_eq!(names, ["load", "operations"]);
    let cases: Vec<_> = document.descendants().filter(|node| node.has_tag_name("testcase")).collect();
    let all = Case::all().filter(|case| ["load", "operations"].contains(&case.family())).count();
    assert_eq!(cases.len(), all);
    let failed = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
    let case = failed.parent().unwrap();
    assert_eq!(case.attribute("name"), Some("operations-predict"));
    assert!(failed.text().unwrap().contains("--only operations-predict --seed"), "{text}");
    let skipped = suites[1].descendants().filter(|node| node.has_tag_name("skipped")).count();
    assert_eq!(suites[1].attribute("failures"), Some("2"));
    assert_eq!(suites[1].attribute("skipped"), Some(skipped.to_string().as_str()));
}

#[test]
fn text_report_shows_the_expectation_and_how_to_reproduce_it() {
    let output =
        harness(cdylib::path(MISBEHAVE), &misbehaving("bad-status"), &["--only", "operations-predict", "--seed", "3"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for line in [
        "fail  operations-predict",
        "expected: `predict` returns a result, valid JSON if declared as such.",
        "contract: operations.answers A declared operation works",
        "--only operations-predict --seed 3",
        "not conformant: 0 passed, 1 failed of 1",
    ] {
        assert!(text.contains(line), "expected `{line}`: {text}");
    }
    let table = harness(cdylib::path(ECHO), "", &["--only", "load", "--format", "markdown"]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("| `load-opens` | required | pass |"), "{table:?}");
}

#[test]
fn rerun_command_gives_the_same_result() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("a config.toml");
    fs::write(&config, misbehaving("bad-head")).unwrap();
    let host = cdylib::program("mlflow-deploy-plugin-host");
    for mode in [vec![], vec!["--isolated", "--plugin-host", host.to_str().unwrap()]] {
        let mut command = Command::new(cdylib::program("mlflow-deploy-conformance"));
        command.arg(cdylib::path(MISBEHAVE)).args([
            "--config",
            "a config.toml",
            "--format",
            "json",
            "--timeout",
            "50.5",
        ]);
        command.args(["--only", "operations-reply-head", "--strict"]).args(mode).current_dir(folder.path());
        let verdict = |text: &[u8]| -> Value { serde_json::from_slice::<Value>(text).unwrap()["results"][0].clone() };
        let first = verdict(&command.output().unwrap().stdout);
        assert_eq!(first["verdict"], "fail", "{first}");
        let again = format!("{} --format json", first["again"].as_str().unwrap());
        assert!(again.contains(" --timeout 50.5 ") && again.contains(" --strict "), "{again}");
        let folder = cdylib::program("mlflow-deploy-conformance").parent().unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.display());
        let rerun = Command::new("sh").args(["-c", &again]).env("PATH", path).current_dir("/").output().unwrap();
        let second = verdict(&rerun.stdout);
        assert_eq!((&second["verdict"], &second["message"]), (&first["verdict"], &first["message"]), "{again}");
    }
}

#[test]
fn list_contains_every_case() {
    let output = harness(cdylib::path(ECHO), "", &["--list"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let listed: Vec<_> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed, Case::all().map(|case| case.id).collect::<Vec<_>>());
}

/// A plugin's author would write the same test, except that this test builds the plugin first.
#[test]
fn suite_passes_in_a_plugin_author_s_test() {
    // In a child process the suite runs one case and exits. Only the parent process needs the path.
    let plugin =
        if std::env::var_os("MLFLOW_DEPLOY_CONFORMANCE_CHILD").is_some() { Path::new("") } else { cdylib::path(ECHO) };
    let report = mlflow_deploy_conformance::suite(plugin).check();
    assert!(report.results.is_empty() || report.results.len() == Case::all().count());
}

#[test]
fn suite_passes_in_a_plugin_author_s_test_isolated() {
    let is_child = std::env::var_os("MLFLOW_DEPLOY_CONFORMANCE_CHILD").is_some();
    let (plugin, program) = if is_child {
        (Path::new(""), Path::new(""))
    } else {
        (cdylib::path(ECHO), cdylib::program("mlflow-deploy-plugin-host"))
    };
    let report = mlflow_deploy_conformance::suite(plugin).isolated().plugin_host(program).check();
    assert!(report.results.is_empty() || report.isolated && report.results.len() == Case::all().count());
}
