//! Every way in which the fixtures misbehave, in a process of its own: the host survives each, and says the same.

use crate::command::{Ran, mlflow_deploy};

fn misbehave(way: &str, arguments: &str) -> Ran {
    let run = mlflow_deploy(&format!("predict -t misbehave --endpoint e -I - --isolate {arguments}"));
    run.plugin("mlflow-deploy-fixture-misbehave").env("MISBEHAVE", way).stdin("[1]").run()
}

#[test]
fn what_ends_a_process_is_an_error_like_any_other() {
    for (way, code, reason) in [
        ("crash", 4, "error: the plugin's process was ended by signal 6 (SIGABRT)"),
        ("exit", 4, "error: the plugin's process ended with exit code 3"),
        ("close-all", 4, "error: the plugin's process "),
        ("fork-crash", 4, "error: the plugin's process was ended by signal 6 (SIGABRT)"),
        ("init-crash", 3, "its process was ended by signal 6 (SIGABRT)"),
        ("load-crash", 3, "its process was ended by signal 6 (SIGABRT)"),
    ] {
        let ran = misbehave(way, "");
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{way}: {ran:?}");
        assert!(ran.stderr.contains(reason), "{way}: {ran:?}");
    }
    let ran = misbehave("crash", "--stream --json");
    assert_eq!((ran.code, ran.error()["code"].as_str()), (4, Some("PLUGIN_CRASHED")), "{ran:?}");
}

#[test]
fn what_hangs_is_ended() {
    for (way, code, reason) in [
        ("init-hang", 3, "did not finish loading within 10 s"),
        ("load-hang", 3, "did not finish loading within 10 s"),
        ("slot-hang", 4, "error: the plugin's process did not react for 10 s, and was ended"),
    ] {
        let ran = misbehave(way, "");
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{way}: {ran:?}");
        assert!(ran.stderr.contains(reason), "{way}: {ran:?}");
    }
    for way in ["no-reply", "open-never", "slot-hang"] {
        let ran = misbehave(way, "--timeout 0.5");
        assert_eq!(ran.code, 6, "{way}: {ran:?}");
    }
}

#[test]
fn what_is_said_wrong_is_found_as_in_one_process() {
    for (way, code, reason) in [
        ("", 0, ""),
        ("old-table", 0, ""),
        ("future-table", 0, ""),
        ("late-reply", 0, ""),
        ("null-table", 3, "`mlflow_deploy_plugin_v1` gave no table"),
        ("tiny-table", 3, "`mlflow_deploy_plugin_v1` gave no table"),
        ("past-abi", 3, "speaks plugin ABI 0, and this host ABI 1: upgrade the plugin"),
        ("future-abi", 3, "speaks plugin ABI 2, and this host ABI 1: upgrade the host"),
        ("missing-open", 3, "its table lacks `open`"),
        ("missing-credit", 3, "its table lacks `credit`"),
        ("init-null", 3, "failed to start: the plugin's `init` failed"),
        ("open-fails", 1, "error: asked to refuse"),
        ("bad-status", 4, "status 9"),
        ("bad-head", 4, "a head that cannot be read"),
        ("bad-error-json", 4, "an error that cannot be read"),
        ("null-slice", 4, "a slice that is NULL but not empty"),
        ("plain-chunk", 4, "a chunk in answer to a call that is no stream"),
        ("double-reply", 0, ""),
        ("unknown-call-reply", 0, ""),
        ("event-garbage", 0, ""),
    ] {
        let ran = misbehave(way, "");
        assert_eq!((ran.code, ran.stdout.as_str()), (code, if code == 0 { "[1]\n" } else { "" }), "{way}: {ran:?}");
        assert!(ran.stderr.contains(reason), "{way}: {ran:?}");
    }
    for (way, code, reason) in [
        ("old-table", 1, "does not support `predict_stream`"),
        ("chunk-without-credit", 4, "it sent a chunk without credit"),
        ("chunk-after-reply", 0, ""),
    ] {
        let ran = misbehave(way, "--stream");
        assert_eq!(ran.code, code, "{way}: {ran:?}");
        assert!(ran.stderr.contains(reason), "{way}: {ran:?}");
    }
}

#[test]
fn panics_are_contained_there_too() {
    for (target, endpoint, stream) in [
        ("panics:/connect", "fine", ""),
        ("panics", "now", ""),
        ("panics", "later", ""),
        ("panics", "payload", ""),
        ("panics", "blocking", ""),
        ("panics", "stream", "--stream"),
    ] {
        let run = mlflow_deploy(&format!("predict -t {target} --endpoint {endpoint} -I - {stream} --json --isolate"));
        let ran = run.plugin("mlflow-deploy-fixture-panics").stdin("[1]").run();
        assert_eq!(
            (ran.code, ran.error()["code"].as_str()),
            (4, Some("PLUGIN_PANICKED")),
            "{target} {endpoint}: {ran:?}"
        );
    }
}
