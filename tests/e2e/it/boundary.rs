//! Tests of the output and the exit code of the command if a plugin misbehaves.

use std::time::Duration;

use mlflow_deploy::args::{ListEndpoints, Predict};
use mlflow_deploy::{ErrorCode, Host, Payload};
use mlflow_deploy_test_support::cdylib;

use crate::command::{Ran, mlflow_deploy};

const MISBEHAVE: &str = "mlflow-deploy-fixture-misbehave";
const PANICS: &str = "mlflow-deploy-fixture-panics";
const ECHO: &str = "mlflow-deploy-example-echo";

fn misbehave(way: &str, arguments: &str) -> Ran {
    let run = mlflow_deploy(&format!("predict -t misbehave --endpoint e -I - {arguments}"));
    run.plugin(MISBEHAVE).env("MISBEHAVE", way).stdin("[1]").run()
}

/// The tests in `hostile` check the message for each fault.
#[test]
fn exit_code_depends_on_the_kind_of_fault() {
    for (way, arguments, code, said) in [
        ("future-abi", "", 3, "error: failed to load the plugin `"),
        ("init-crash", "--isolate", 3, "error: failed to load the plugin `"),
        ("open-fails", "", 2, "error: refused by the fixture\n"),
        ("null-slice", "", 4, "error: the plugin broke the contract: it "),
        ("chunk-without-credit", "--stream", 4, "error: the plugin broke the contract: it "),
        ("crash", "--isolate", 4, "error: the plugin's process was killed by signal 6 (SIGABRT)\n"),
        ("crash", "--isolate --stream", 4, "error: the plugin's process was killed by signal 6 (SIGABRT)\n"),
        ("no-reply", "--timeout 0.5", 6, "error: "),
        ("open-never", "--timeout 0.5 --isolate", 6, "error: "),
        ("slot-hang", "--timeout 0.5", 6, "error: "),
        ("slot-hang", "--timeout 0.5 --isolate", 6, "error: "),
    ] {
        let ran = misbehave(way, arguments);
        assert_eq!(ran.code, code, "{way} {arguments}: {ran:?}");
        assert!(ran.stderr.starts_with(said), "{way} {arguments}: {ran:?}");
    }
    let no_symbol = mlflow_deploy("list-endpoints -t no-symbol").plugin("mlflow-deploy-fixture-no-symbol").run();
    assert_eq!(no_symbol.code, 3);
    assert!(no_symbol.stderr.contains("does not export `mlflow_deploy_plugin_v1`"), "{no_symbol:?}");
}

#[test]
fn older_and_newer_tables_predict() {
    for isolate in ["", "--isolate"] {
        for way in ["", "old-table", "future-table", "late-reply"] {
            let ran = misbehave(way, isolate);
            assert_eq!((ran.code, ran.stdout.as_str()), (0, "[1]\n"), "{way}: {ran:?}");
        }
    }
}

#[test]
fn listed_operation_without_a_function_is_a_broken_contract() {
    const MESSAGE: &str =
        "the plugin broke the contract: its manifest lists `predict_stream`, but its table has no function for it";
    for isolate in ["", "--isolate"] {
        // The manifest declares `predict_stream`, but the plugin table ends before its slot.
        let ran = misbehave("old-table", &format!("--stream {isolate}"));
        assert_eq!((ran.code, ran.stderr), (4, format!("error: {MESSAGE}\n")), "{isolate}");
        let error = misbehave("old-table", &format!("--stream --json {isolate}")).error();
        assert_eq!(error["code"], "PLUGIN_PROTOCOL_VIOLATION", "{error}");
    }
}

#[test]
fn text_that_a_plugin_prints_is_not_in_the_output() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("/dev/stdout", &link).unwrap();
    for arguments in
        ["", "--json", "--stream", "-O -", "-O /dev/stdout", "-O /dev/fd/1", "-O /proc/self/fd/1", "-O link"]
    {
        let run = mlflow_deploy(&format!("predict -t misbehave --endpoint e -I - {arguments}"));
        let run = run.plugin(MISBEHAVE).env("MISBEHAVE", "print").current_dir(folder.path());
        let ran = run.stdin("[1]").run();
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "[1]\n"), "{arguments}: {ran:?}");
        assert_eq!(ran.stderr, "printed by the plugin\n", "{arguments}");
    }
    let isolated = misbehave("print", "--json --isolate");
    assert_eq!((isolated.code, isolated.stdout.as_str()), (0, "[1]\n"), "{isolated:?}");
}

#[test]
fn output_to_a_redirected_stdout_by_its_path_replaces_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.json");
    let run = mlflow_deploy("predict -t misbehave --endpoint e -I - -O /dev/stdout").plugin(MISBEHAVE).stdin("[1]");
    let ran = run.env("FILE", &file).in_shell(r#""$@" >"$FILE""#).run();
    assert_eq!((ran.code, std::fs::read_to_string(&file).unwrap().as_str()), (0, "[1]"), "{ran:?}");
}

#[test]
fn plugin_that_exits_the_process_is_a_plugin_fault() {
    for way in ["exit", "exit-success"] {
        let ran = misbehave(way, "");
        assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{way}: {ran:?}");
        assert!(ran.stderr.starts_with("error: a plugin called `exit`, which ends the command"), "{way}: {ran:?}");
        let ran = misbehave(way, "--json");
        assert_eq!((ran.code, ran.error()["code"].as_str()), (4, Some("PLUGIN_CRASHED")), "{way}: {ran:?}");
        let isolated = misbehave(way, "--isolate");
        assert_eq!(isolated.code, 4, "{way}: {isolated:?}");
        assert!(isolated.stderr.contains("the plugin's process exited with code"), "{way}: {isolated:?}");
    }
}

/// Returns a host with two plugins: `panics`, and an echo plugin that does not panic.
fn host() -> Host {
    Host::builder().plugin(cdylib::path(PANICS)).plugin(cdylib::path(ECHO)).on_event(|_| {}).build()
}

fn predict(endpoint: &str) -> Predict {
    let inputs = Payload::new("application/json", "[1]");
    Predict { endpoint: Some(endpoint.to_owned()), inputs, ..Predict::default() }
}

#[tokio::test]
async fn panic_ends_the_client_and_nothing_else() {
    let host = host();
    let client = host.get_deploy_client(Some("panics")).await.unwrap();
    let error = client.predict(predict("now")).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::PLUGIN_PANICKED);
    assert!(error.message().contains("(at tests/fixtures/panics/src/"), "the place is named: {error}");
    let again = client.predict(predict("fine")).await.unwrap_err();
    assert_eq!((again.code(), again.message()), (error.code(), error.message()));
    let other = host.get_deploy_client(Some("panics")).await.unwrap();
    assert_eq!(other.predict(predict("fine")).await.unwrap().bytes(), b"[1]");
    let echo = host.get_deploy_client(Some("echo")).await.unwrap();
    assert_eq!(echo.predict(predict("echo")).await.unwrap().bytes(), b"[1]");
}

#[test]
fn panic_prints_only_an_error() {
    for arguments in ["", "--isolate"] {
        let run = mlflow_deploy(&format!("predict -t panics --endpoint now -I - --json {arguments}"));
        let ran = run.plugin(PANICS).stdin("[1]").run();
        assert_eq!((ran.code, ran.error()["code"].as_str()), (4, Some("PLUGIN_PANICKED")), "{ran:?}");
        assert!(!ran.stderr.contains("RUST_BACKTRACE"), "the plugin's panic hook is silent: {ran:?}");
    }
    let close = mlflow_deploy("predict -t panics:/close --endpoint fine -I -").plugin(PANICS).stdin("[1]").run();
    assert_eq!((close.code, close.stdout.as_str()), (0, "[1]\n"), "{close:?}");
}

#[tokio::test]
async fn c_plugin_predicts() {
    let host = Host::builder().plugin(cdylib::c_plugin()).build();
    let client = host.get_deploy_client(Some("c-echo")).await.unwrap();
    assert_eq!(client.predict(predict("e")).await.unwrap().bytes(), b"[1]");
    assert!(!client.list_endpoints(ListEndpoints {}).await.unwrap().bytes().is_empty());
}

#[test]
fn streams_are_printed_as_json_lines() {
    let stream = |kind: &str| {
        let run = mlflow_deploy("predict -t echo --endpoint echo -I - --stream --content-type").arg(kind);
        run.plugin(ECHO).stdin("[1]\n[2]\n").run().stdout
    };
    assert_eq!(stream("application/json"), "[1]\n[2]\n");
    let line = |text: &str| format!(r#"{{"content_type":"text/csv","text":"{text}\n"}}"#) + "\n";
    assert_eq!(stream("text/csv"), line("[1]") + &line("[2]"));
}

#[test]
fn embedding_example_predicts() {
    for arguments in [["echo", "echo"].as_slice(), &["--blocking", "echo", "echo"]] {
        let mut example = std::process::Command::new(cdylib::program("embed-host"));
        let folder = cdylib::path(ECHO).parent().unwrap();
        example.args(arguments).env("MLFLOW_DEPLOY_PLUGIN_PATH", folder).stdin(std::process::Stdio::null());
        let output = example.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn client_works_without_an_async_runtime() {
    let host = Host::builder().plugin(cdylib::path(ECHO)).build();
    let mut work = Box::pin(async {
        let client = host.get_deploy_client(Some("echo")).await.unwrap();
        client.with_timeout(Some(Duration::MAX)).predict(predict("echo")).await.unwrap()
    });
    let waker = std::task::Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let answer = loop {
        match work.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(answer) => break answer,
            std::task::Poll::Pending => std::thread::park(),
        }
    };
    assert_eq!(answer.bytes(), b"[1]");
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn command_ends_while_a_library_hangs_in_its_constructor() {
    let ran = misbehave("load-hang", "--timeout 0.5");
    assert_eq!(ran.code, 6, "{ran:?}");
}
