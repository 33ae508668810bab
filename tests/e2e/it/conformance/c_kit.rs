//! Tests of the helper for plugins in C and C++, and of the examples that use it.

use std::process::Command;

use mlflow_deploy::args::{Predict, PredictStream};
use mlflow_deploy::{ClientOptions, Host, Payload};
use mlflow_deploy_conformance::Case;
use mlflow_deploy_test_support::c_kit::{self, Example};
use mlflow_deploy_test_support::cdylib;
use serde_json::json;

use super::check;

/// The examples that use the helper, and the schemes of their targets.
const ON_THE_KIT: [(Example, &str); 2] = [(Example::Words, "words"), (Example::WordsCpp, "words-cpp")];

/// A configuration of the conformance command with a prediction that works, and one that ends only if it is cancelled.
const CONFIG: &str = include_str!("../../../../examples/c-plugin/conformance.toml");

#[test]
fn examples_on_the_c_kit_are_strictly_conformant() {
    let folder = tempfile::tempdir().unwrap();
    for (example, _) in ON_THE_KIT {
        let library = example.library(folder.path());
        for mode in [[].as_slice(), &["--isolated"]] {
            let arguments = [&["--strict", "--seed", "1", "--timeout", "90"], mode].concat();
            let report = check(&library, CONFIG, &arguments);
            println!("{}", report.summary());
            assert_eq!((report.bad(), report.unproven(), report.code), (vec![], vec![], 0), "{example:?} {mode:?}");
            for case in ["stream-cancel", "cancel-code", "cancel-deadline", "abi-shutdown-calls", "threads-close"] {
                assert!(report.passed().contains(&case), "{example:?} {mode:?}: {case}");
            }
        }
    }
}

#[test]
fn every_operation_on_the_c_kit_is_conformant() {
    let config = "[options]\ntoken = 's3cret-token'\n[predict]\ninputs = '[1]'\n[explain]\ninputs = '[1]'\n\
        [invoke]\noperation = 'count'\ninputs = '[1]'\n[run_local]\nmodel_uri = '/m'\n\
        [deployment]\nmodel_uri = '/m'\nflavor = 'python_function'\ninputs = '[1]'\n\
        [endpoint.config]\n[endpoint.update_config]\nmodel = '/n'\n\
        [limits]\ncalls = 1000\nthreads = 16\nbody_mib = 8\nfuzz = 100\n";
    let folder = tempfile::tempdir().unwrap();
    let library = Example::Records.library(folder.path());
    let report = check(&library, config, &["--strict", "--seed", "1", "--timeout", "90"]);
    println!("{}", report.summary());
    assert_eq!((report.bad(), report.unproven(), report.code), (vec![], vec![], 0));
    let operations = Case::all().map(|case| case.id).filter(|id| {
        let is_needed =
            ["operations-", "semantics-", "payload-", "errors-secrets"].iter().any(|part| id.starts_with(part));
        is_needed && !["operations-targets", "operations-predict-stream"].contains(id)
    });
    for case in operations {
        assert!(report.passed().contains(&case), "{case}");
    }
}

#[tokio::test]
async fn examples_on_the_c_kit_read_options_and_stream() {
    let folder = tempfile::tempdir().unwrap();
    for (example, scheme) in ON_THE_KIT {
        let library = example.library(folder.path());
        for is_isolated in [false, true] {
            let host = Host::builder().plugin(&library).plugin_host(cdylib::program("mlflow-deploy-plugin-host"));
            let host = if is_isolated { host.isolate_all().build() } else { host.build() };
            let upper = ClientOptions::new(&json!({"upper": true})).unwrap();
            let client = host.get_deploy_client_with(Some(scheme), &upper).await.unwrap();
            let inputs = || Payload::new("text/plain", "one two\nthree ");
            let counted = client.predict(Predict { inputs: inputs(), ..Predict::default() }).await.unwrap();
            assert_eq!(counted.bytes(), br#"{"words":3}"#, "{scheme}");
            let mut stream =
                client.predict_stream(&PredictStream { inputs: inputs(), ..PredictStream::default() }).unwrap();
            let mut words = Vec::new();
            while let Some(chunk) = stream.next().await {
                words.push(String::from_utf8(chunk.unwrap().into_bytes()).unwrap());
            }
            assert_eq!(words, ["ONE", "TWO", "THREE"], "{scheme}");
            let lower = ClientOptions::new(&json!({"lower": true})).unwrap();
            let error = host.get_deploy_client_with(Some(scheme), &lower).await.unwrap_err();
            assert!(error.to_string().contains("unknown option `lower`"), "{scheme}: {error}");
        }
    }
}

#[test]
fn sanitizers_find_no_fault_in_the_c_examples() {
    let folder = tempfile::tempdir().unwrap();
    for sanitizer in ["address,undefined", "thread"] {
        for example in [Example::Echo, Example::Words, Example::WordsCpp] {
            let program = example.driver(folder.path(), sanitizer);
            let arguments: &[_] = if example == Example::Echo { &[] } else { &["pending"] };
            let output = c_kit::run(&program, arguments);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{example:?} {sanitizer} {}: {said}", output.status);
            let calls = String::from_utf8_lossy(&output.stdout);
            assert!(calls.ends_with(" calls\n"), "{example:?} {sanitizer}: {calls}");
        }
    }
}

#[test]
fn c_kit_reads_and_writes_json() {
    let folder = tempfile::tempdir().unwrap();
    let output = c_kit::run(&c_kit::json_checks(folder.path(), "address,undefined"), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn c_example_on_the_kit_exports_one_function_and_is_short() {
    let folder = tempfile::tempdir().unwrap();
    let library = Example::Words.library(folder.path());
    let output = Command::new("nm").args(["--dynamic", "--defined-only", "--format=posix"]).arg(library).output();
    let symbols = String::from_utf8(output.unwrap().stdout).unwrap();
    let names: Vec<_> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["mlflow_deploy_plugin_v1"]);
    for name in ["words.c", "words.cpp"] {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/c-plugin/").to_owned() + name;
        let lines = std::fs::read_to_string(source).unwrap().lines().count();
        assert!(lines <= 80, "{name} has {lines} lines");
    }
}
