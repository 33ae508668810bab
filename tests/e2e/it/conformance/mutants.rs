//! Checks that each conformance case detects its fault. For each case, a mutant is a plugin with one fault, which has
//! to fail only this case.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use mlflow_deploy_conformance::{Case, Level};
use mlflow_deploy_test_support::cdylib;
use mlflow_deploy_test_support::patch::PluginFile;
use serde_json::json;

use super::{Report, check};

const CONFIG: &str = include_str!("../../conformance/mutant.toml");

/// The number of mutants that are checked in parallel. Some checks spend most of their time waiting for a timeout.
const AT_ONCE: usize = 6;

/// Returns the cases that a library can fail. The others are for process plugins.
fn cases() -> impl Iterator<Item = &'static Case> {
    Case::all().filter(|case| case.id != "threads-host-end")
}

#[test]
fn target_without_a_fault_passes_every_case() {
    let honest = cdylib::path("mlflow-deploy-fixture-mutant");
    let report = check(honest, CONFIG, &["--seed", "1"]);
    assert_eq!((report.code, report.bad(), report.passed().len()), (0, vec![], cases().count()));
    assert_eq!(report.document["counts"]["unproven"], 0);
    let report = check(honest, CONFIG, &["--seed", "1", "--isolated", "--strict"]);
    assert_eq!((report.code, report.bad(), report.document["mode"].as_str()), (0, vec![], Some("isolated")));
}

#[test]
fn each_mutant_fails_only_its_own_case() {
    let expected: BTreeMap<_, _> =
        cases().map(|case| (case.id, vec![(case.id.to_owned(), verdict(case.level))])).collect();
    let found = each_mutant(|_, file| bad(&check(file, CONFIG, &["--seed", "1", "--timeout", "30", "--jobs", "1"])));
    let wrong: Vec<_> = found.iter().filter(|(case, failed)| expected[*case] != **failed).collect();
    println!("{} of {} mutants fail only their own case", found.len() - wrong.len(), expected.len());
    assert!(wrong.is_empty() && found.len() == expected.len(), "{wrong:#?}");
}

#[test]
fn isolated_mutants_fail_their_cases() {
    let found = each_mutant(|case, file| {
        let report = check(file, CONFIG, &["--seed", "1", "--timeout", "30", "--isolated", "--only", case.id]);
        let message = report.results()[0]["message"].as_str().unwrap();
        // Cases that need the plugin in-process are skipped if it is isolated.
        if message.ends_with("run without `--isolated`") { None } else { Some((verdict(case.level), bad(&report))) }
    });
    let isolated: Vec<_> = found.iter().filter_map(|(case, result)| Some((*case, result.as_ref()?))).collect();
    let wrong: Vec<_> =
        isolated.iter().filter(|(case, (verdict, bad))| *bad != [((*case).to_owned(), verdict.clone())]).collect();
    println!("{} of {} isolated mutants are caught", isolated.len() - wrong.len(), isolated.len());
    assert!(wrong.is_empty() && isolated.len() > 90, "{} ran: {wrong:#?}", isolated.len());
}

/// Runs `check` on the mutant of each conformance case. Returns the results by case name.
fn each_mutant<T: Send>(check: impl Fn(&Case, &Path) -> T + Sync) -> BTreeMap<&'static str, T> {
    let honest = PluginFile::read(cdylib::path("mlflow-deploy-fixture-mutant"));
    let echo = PluginFile::read(cdylib::path("mlflow-deploy-example-echo"));
    let folder = tempfile::tempdir().unwrap();
    let cases: Vec<_> = cases().collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let file = folder.path().join(case.id).with_extension("so");
                    fs::write(&file, mutant(case.id, &honest, &echo)).unwrap();
                    let came = check(case, &file);
                    fs::remove_file(&file).unwrap();
                    found.lock().unwrap().insert(case.id, came);
                }
            });
        }
    });
    found.into_inner().unwrap()
}

fn verdict(level: Level) -> String {
    if level == Level::Required { "fail" } else { "warn" }.to_owned()
}

/// Returns the name and the verdict of each case that failed or got a warning.
fn bad(report: &Report) -> Vec<(String, String)> {
    report.bad().into_iter().map(|(id, verdict, _)| (id.to_owned(), verdict.to_owned())).collect()
}

/// Returns the contents of a plugin's file that has the fault for `case`. Changes the file itself if the fault is in
/// the file. Otherwise writes the name of the fault to the section `.mutant`, which the plugin reads.
fn mutant(case: &str, honest: &PluginFile, echo: &PluginFile) -> Vec<u8> {
    match case {
        "manifest-present" => honest.with_replaced(b"\0.mlflow_deploy\0", b"\0.other_section\0"),
        "manifest-valid" => honest.with_bytes(honest.manifest_at, b"!"),
        "manifest-machine" => honest.with_member("target", json!("sparc64-unknown-netbsd")),
        "manifest-abi" => honest.with_member("abi", json!(2)),
        "manifest-panic" => honest.with_member("panic", json!("abort")),
        "manifest-schema" => honest.with_member("options", json!({"properties": []})),
        "manifest-config" => honest.with_member("config", json!({"no_such": {}})),
        "manifest-invoke" => honest.with_member("invoke", json!([{"name": "repeat"}, {"name": "repeat"}])),
        "manifest-accepts" => honest.with_member("accepts", json!(["text"])),
        "manifest-secrets" => honest.with_member("environment", json!([{"name": "MUTANT_TOKEN"}])),
        "load-opens" => honest.with_replaced(b"\0libc.so.6\0", b"\0libX.so.6\0"),
        "abi-entry" => honest.with_replaced(b"\0mlflow_deploy_plugin_v1\0", b"\0mlflow_deploy_plugin_v0\0"),
        // Only a plugin that the macro exports has the magic number of abi_stable's header.
        "abi-layout" => echo.with_replaced(b"abi stable library for Rust", b"abi stable library of Rust!"),
        other => honest.with_section(".mutant", format!("{other:64}").as_bytes()),
    }
}

#[test]
fn undeclared_operation_that_works_is_a_warning() {
    let honest = PluginFile::read(cdylib::path("mlflow-deploy-fixture-mutant"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("undeclared.so");
    fs::write(&file, honest.with_member("operations", json!(["predict", "invoke"]))).unwrap();
    let report = check(&file, CONFIG, &["--seed", "1", "--only", "operations-explain", "operations-predict"]);
    let expected = [("operations-explain", "warn", "the operation works, but the manifest does not declare it")];
    assert_eq!((report.code, report.bad()), (0, expected.to_vec()));
}
