//! Plugins that misbehave, loaded and called as any other: what the caller sees, and that the process lives to say it.

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

#[test]
fn what_is_wrong_with_a_table_is_said_before_it_is_used() {
    for (way, reason) in [
        ("null-table", "`mlflow_deploy_plugin_v1` gave no table"),
        ("tiny-table", "`mlflow_deploy_plugin_v1` gave no table"),
        ("past-abi", "speaks plugin ABI 0, and this host ABI 1: upgrade the plugin"),
        ("future-abi", "speaks plugin ABI 2, and this host ABI 1: upgrade the host"),
        ("missing-open", "its table lacks `open`"),
        ("missing-credit", "its table lacks `credit`"),
        ("init-null", "failed to start: the plugin's `init` failed"),
    ] {
        let ran = misbehave(way, "");
        assert_eq!(ran.code, 3, "{way}: {ran:?}");
        assert!(ran.stderr.starts_with("error: failed to load the plugin `"), "{way}: {ran:?}");
        assert!(ran.stderr.contains(reason), "{way}: {ran:?}");
    }
    let no_symbol = mlflow_deploy("list-endpoints -t no-symbol").plugin("mlflow-deploy-fixture-no-symbol").run();
    assert_eq!(no_symbol.code, 3);
    assert!(no_symbol.stderr.contains("does not export `mlflow_deploy_plugin_v1`"), "{no_symbol:?}");
}

#[test]
fn older_and_newer_tables_work() {
    for way in ["", "old-table", "future-table", "late-reply"] {
        let ran = misbehave(way, "");
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "[1]\n"), "{way}: {ran:?}");
    }
    let ran = misbehave("old-table", "--stream");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("does not support `predict_stream`"), "{ran:?}");
}

#[test]
fn broken_replies_are_the_plugin_s_fault() {
    for (way, what) in [
        ("bad-status", "status 9"),
        ("bad-head", "a head that cannot be read"),
        ("bad-error-json", "an error that cannot be read"),
        ("null-slice", "a slice that is NULL but not empty"),
        ("plain-chunk", "a chunk in answer to a call that is no stream"),
    ] {
        let ran = misbehave(way, "");
        assert_eq!(ran.code, 4, "{way}: {ran:?}");
        assert!(
            ran.stderr.contains("error: the plugin broke the contract: it ") && ran.stderr.contains(what),
            "{way}: {ran:?}"
        );
    }
    let ran = misbehave("chunk-without-credit", "--stream");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("it sent a chunk without credit"), "{ran:?}");
}

#[test]
fn too_many_replies_change_nothing_and_are_logged() {
    for (way, arguments, fault) in [
        ("double-reply", "", "it replied to a call that it was not asked for, or has answered already"),
        ("unknown-call-reply", "", "it replied to a call that it was not asked for"),
        ("chunk-after-reply", "--stream", "it sent a chunk for a call that has ended"),
        ("event-garbage", "", "it sent an event that cannot be read"),
    ] {
        let ran = misbehave(way, arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "[1]\n"), "{way}: {ran:?}");
        // The fault may come after the answer, when the command has ended already.
        assert!(ran.stderr.is_empty() || ran.stderr.contains(fault), "{way}: {ran:?}");
    }
}

#[test]
fn a_plugin_that_does_not_answer_runs_into_the_deadline() {
    for way in ["no-reply", "open-never", "slot-hang"] {
        let ran = misbehave(way, "--timeout 0.5");
        assert_eq!(ran.code, 6, "{way}: {ran:?}");
    }
    let ran = misbehave("open-fails", "");
    assert_eq!((ran.code, ran.stderr.as_str()), (1, "error: asked to refuse\n"));
}

#[test]
fn a_plugin_that_hangs_while_it_starts_is_left_behind() {
    let ran = misbehave("init-hang", "");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("did not finish loading within 10 s"), "{ran:?}");
}

/// A host with the panicking plugin and an honest one.
fn host() -> Host {
    Host::builder().plugin(cdylib::path(PANICS)).plugin(cdylib::path(ECHO)).on_event(|_| {}).build()
}

fn predict(endpoint: &str) -> Predict {
    let inputs = Payload::new("application/json", "[1]");
    Predict { endpoint: Some(endpoint.to_owned()), inputs, ..Predict::default() }
}

#[tokio::test]
async fn after_a_panic_the_client_is_done_for_and_all_else_goes_on() {
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
fn panics_reach_their_caller_wherever_they_are_raised() {
    for (target, endpoint, stream) in [
        ("panics:/connect", "fine", ""),
        ("panics", "now", ""),
        ("panics", "later", ""),
        ("panics", "payload", ""),
        ("panics", "blocking", ""),
        ("panics", "stream", "--stream"),
    ] {
        let run = mlflow_deploy(&format!("predict -t {target} --endpoint {endpoint} -I - {stream} --json"));
        let ran = run.plugin(PANICS).stdin("[1]").run();
        assert_eq!(ran.code, 4, "{target} {endpoint}: {ran:?}");
        assert_eq!(ran.error()["code"], "PLUGIN_PANICKED", "{target} {endpoint}");
        assert!(!ran.stderr.contains("RUST_BACKTRACE"), "the plugin's panic hook is silent: {ran:?}");
    }
    let dropped =
        mlflow_deploy("predict -t panics --endpoint drop -I - --timeout 0.3").plugin(PANICS).stdin("[1]").run();
    assert_eq!(dropped.code, 6, "{dropped:?}");
    let help = mlflow_deploy("help -t panics").plugin(PANICS).run();
    assert_eq!(help.code, 4, "{help:?}");
    let close = mlflow_deploy("predict -t panics:/close --endpoint fine -I -").plugin(PANICS).stdin("[1]").run();
    assert_eq!((close.code, close.stdout.as_str()), (0, "[1]\n"), "{close:?}");
}

#[tokio::test]
async fn a_plugin_in_c_is_a_plugin_like_any_other() {
    let host = Host::builder().plugin(cdylib::c_plugin()).build();
    let client = host.get_deploy_client(Some("c-echo")).await.unwrap();
    assert_eq!(client.predict(predict("e")).await.unwrap().bytes(), b"[1]");
    assert!(!client.list_endpoints(ListEndpoints {}).await.unwrap().bytes().is_empty());
}

#[test]
fn streams_are_json_lines_whatever_streams() {
    let stream = |kind: &str| {
        let run = mlflow_deploy("predict -t echo --endpoint echo -I - --stream --content-type").arg(kind);
        run.plugin(ECHO).stdin("[1]\n[2]\n").run().stdout
    };
    assert_eq!(stream("application/json"), "[1]\n[2]\n");
    let line = |text: &str| format!(r#"{{"content_type":"text/csv","text":"{text}\n"}}"#) + "\n";
    assert_eq!(stream("text/csv"), line("[1]") + &line("[2]"));
}

#[test]
fn the_example_that_embeds_the_host_predicts() {
    for arguments in [["echo", "echo"].as_slice(), &["--blocking", "echo", "echo"]] {
        let mut example = std::process::Command::new(cdylib::program("embed-host"));
        let folder = cdylib::path(ECHO).parent().unwrap();
        example.args(arguments).env("MLFLOW_DEPLOY_PLUGIN_PATH", folder).stdin(std::process::Stdio::null());
        let output = example.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn a_client_needs_no_runtime() {
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
fn a_library_that_never_finishes_loading_does_not_keep_the_command() {
    let ran = misbehave("load-hang", "--timeout 0.5");
    assert_eq!(ran.code, 6, "{ran:?}");
}
