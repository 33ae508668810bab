//! Checks that a conformance case is unproven if a call that it needs fails. Checks that a plugin without a
//! configuration still gets correct verdicts.

use std::fs;

use mlflow_deploy_test_support::cdylib;
use mlflow_deploy_test_support::patch::PluginFile;
use serde_json::{Value, json};

use super::command::{ECHO, MISBEHAVE, misbehaving};
use super::{Report, check, harness};

/// Returns the verdict and the message of the case named `case`.
fn result<'a>(report: &'a Report, case: &str) -> (&'a str, &'a str) {
    let result = report.results().iter().find(|result| result["id"] == case).unwrap();
    (result["verdict"].as_str().unwrap(), result["message"].as_str().unwrap())
}

/// The cases that need a successful prediction. If a plugin answered every prediction with an error, they would pass
/// wrongly unless they checked this.
const NEED_A_PREDICTION: [&str; 24] = [
    "load-signals",
    "abi-newer-request",
    "abi-unknown-ids",
    "abi-prompt",
    "operations-quiet",
    "payload-unknown-keys",
    "payload-large",
    "errors-client-lives",
    "stream-credit",
    "stream-resumes",
    "stream-one-end",
    "stream-cancel",
    "stream-close",
    "stream-serial",
    "stream-chunk-head",
    "stream-much-credit",
    "stream-plain",
    "cancel-one-reply",
    "cancel-early",
    "cancel-late",
    "cancel-code",
    "threads-one-client",
    "memory-calls",
    "fuzz-bodies",
];

#[test]
fn case_whose_prediction_fails_is_not_proven() {
    let config =
        "[predict]\ndeployment_name = 'missing'\ninputs = '[1]'\n[limits]\ncalls = 10\nbody_mib = 1\nfuzz = 5\n";
    let mutant = cdylib::path("mlflow-deploy-fixture-mutant");
    let only = [&["--only"], NEED_A_PREDICTION.as_slice()].concat();
    // The plugin streams its inputs for any deployment. So its streams work, but send too few chunks.
    let report = check(mutant, config, &only);
    for case in
        NEED_A_PREDICTION.into_iter().filter(|case| !case.starts_with("stream-") && !case.starts_with("cancel-"))
    {
        let (verdict, message) = result(&report, case);
        assert_eq!(verdict, "skip", "{case}: {message}");
        assert!(
            message.starts_with("not proven: the call failed; describe a prediction that succeeds in `[predict]`"),
            "{message}"
        );
    }
    let (verdict, message) = result(&report, "stream-credit");
    assert_eq!(verdict, "skip");
    assert!(message.starts_with("not proven: the stream sent too few chunks: 1, expected at least 2; "), "{message}");
    assert_eq!(report.code, 0, "{report:?}");
    let unproven = report.document["counts"]["unproven"].as_u64().unwrap();
    assert!(unproven >= 16, "{report:?}");
    let text = harness(mutant, config, &only);
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(
        text.contains(&format!(" {unproven} not proven")) && text.contains("with `--strict`, unproven cases fail"),
        "{text}"
    );
    let strict = check(mutant, config, &[only.as_slice(), &["--strict"]].concat());
    assert_eq!((strict.code, strict.bad().len() as u64), (1, unproven), "{strict:?}");
    assert!(strict.bad().iter().all(|(_, verdict, message)| *verdict == "fail" && message.starts_with("not proven: ")));
}

#[test]
fn call_that_was_refused_for_its_arguments_does_not_fail_the_case_of_a_cancel() {
    // The plugin rejects a deployment that does not exist, before and after a cancel.
    let config = "[predict]\ninputs = '1'\n[slow]\ndeployment_name = 'missing'\ninputs = '[1]'\n";
    let arguments = ["--only", "cancel-code", "cancel-early", "cancel-deadline", "abi-shutdown-calls"];
    let report = check(cdylib::path("mlflow-deploy-fixture-mutant"), config, &arguments);
    for case in report.results() {
        let message = case["message"].as_str().unwrap();
        assert!(case["verdict"] == "skip", "{case}");
        assert!(
            message
                .starts_with("not proven: the call ended without a cancel; describe an endless prediction in `[slow]`"),
            "{message}"
        );
    }
}

#[test]
fn secrets_are_generated_for_options_that_are_write_only() {
    let config = "[predict]\ninputs = '1'\n";
    let folder = tempfile::tempdir().unwrap();
    let honest = PluginFile::read(cdylib::path("mlflow-deploy-fixture-mutant"));
    let without = |member: &str, value: Value| {
        let file = folder.path().join(member).with_extension("so");
        fs::write(&file, honest.with_member(member, value)).unwrap();
        check(&file, config, &["--only", "errors-secrets"])
    };
    assert_eq!(result(&without("environment", json!([])), "errors-secrets"), ("pass", ""), "it has the option `token`");
    assert_eq!(result(&without("options", json!({})), "errors-secrets"), ("pass", ""), "it has `MUTANT_TOKEN`");
    let echo = check(cdylib::path(ECHO), config, &["--only", "errors-secrets"]);
    let (verdict, message) = result(&echo, "errors-secrets");
    assert_eq!(verdict, "skip");
    assert_eq!(message, "the manifest has no variable that is `secret` and no option that is `writeOnly`");
}

#[test]
fn stream_that_needs_no_argument_gets_credit_for_its_chunks() {
    // The plugin sends its inputs as a chunk, even if they are empty.
    let report = check(cdylib::path(MISBEHAVE), &misbehaving(""), &["--only", "payload", "errors"]);
    assert_eq!((report.code, report.bad()), (0, vec![]));
    assert_eq!(result(&report, "payload-empty-head"), ("pass", ""));
    assert_eq!(result(&report, "payload-deep"), ("pass", ""));
}
