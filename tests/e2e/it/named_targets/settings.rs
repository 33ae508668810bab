//! Checks the precedence of options and timeouts, and the isolation of the plugin.

use std::fs;
use std::time::Duration;

use mlflow_deploy_test_support::server::{Answer, Server};
use serde_json::json;

use super::fixture::{ECHO, FAKETARGET, HERMIT, Home, OPENAI};

#[test]
fn given_options_win_over_the_target_and_the_target_over_the_environment() {
    let server = Server::start([Answer::new(200, "{}")]);
    let home = Home::new("");
    let marker = home.outside("marker");
    let script = home.script("key", &format!("touch '{}'; echo key-of-target", marker.display()));
    let url = server.url();
    let config = format!(
        "[targets.prod]\nuri = 'openai'\n[targets.prod.options]\nbase_url = '{url}/target'\napi_key = {{ command = [{script:?}] }}\n"
    );
    fs::write(home.config(), config).unwrap();
    fs::write(home.outside("options.json"), json!({"api_key": "key-of-file"}).to_string()).unwrap();
    let run = |arguments: &str| {
        let run = home.run(&format!("predict -t prod --endpoint m -I - {arguments}")).plugin(OPENAI);
        let run = run.env("OPENAI_API_KEY", "key-of-environment").env("OPENAI_API_BASE", "http://127.0.0.1:1");
        let ran = run.stdin(r#"{"messages": []}"#).run();
        assert_eq!(ran.code, 0, "{ran:?}");
        let last = server.requests().pop().unwrap();
        (last.path.clone(), last.header("authorization").unwrap().to_owned())
    };
    let (path, key) = run(&format!("--option base_url={url}/given --option api_key=key-of-option"));
    assert_eq!((path.as_str(), key.as_str()), ("/given/chat/completions", "Bearer key-of-option"));
    let (_, key) = run(&format!("--options-file {}", home.outside("options.json").display()));
    assert_eq!(key, "Bearer key-of-file");
    assert!(!marker.exists(), "the program of an overridden option is not run");
    let (path, key) = run("");
    assert_eq!((path.as_str(), key.as_str()), ("/target/chat/completions", "Bearer key-of-target"));
    assert!(marker.exists());
}

#[test]
fn texts_get_the_types_of_the_plugin_and_unknown_options_are_errors() {
    let home = Home::new("");
    let write = |option: &str| {
        fs::write(home.config(), format!("[targets.t]\nuri = 'openai'\n[targets.t.options]\n{option}\n")).unwrap();
    };
    let check = || home.run("targets check t").plugin(OPENAI).env("OPENAI_API_KEY", "k").run();
    for option in ["max_retries = '3'", "max_retries = 3", "headers = '{\"x-a\": \"b\"}'", "insecure = 'true'"] {
        write(option);
        assert_eq!(check().code, 0, "{option}");
    }
    write("max_retries = 'many'");
    let ran = check();
    assert!(ran.code == 2 && ran.stderr.contains("its value is invalid: the target expects an integer"), "{ran:?}");
    write("api_kye = 'x'");
    let ran = check();
    assert!(ran.code == 2 && ran.stderr.contains("does not have this option; did you mean `api_key`?"), "{ran:?}");
}

#[test]
fn the_timeout_of_a_target_is_the_default() {
    let home = Home::new(
        "[targets.short]\nuri = 'faketarget'\ntimeout = 0.2\n[targets.long]\nuri = 'faketarget'\ntimeout = 600\n",
    );
    let slow = |arguments: &str| {
        home.run(&format!("predict {arguments} --endpoint slow -I -")).plugin(FAKETARGET).stdin("1").run()
    };
    let expired = slow("-t short");
    assert!(expired.code == 6 && expired.stderr.contains("within"), "{expired:?}");
    assert_eq!(slow("-t long --timeout 0.2").code, 6);
    // An explicit limit replaces a shorter one of the target.
    fs::write(home.config(), "[targets.none]\nuri = 'faketarget'\ntimeout = 0.000001\n").unwrap();
    let list = |arguments: &str| home.run(&format!("list -t none {arguments}")).plugin(FAKETARGET).run().code;
    assert_eq!((list(""), list("--timeout 600")), (6, 0));
}

#[test]
fn the_timeout_of_a_target_ends_a_plugin_that_blocks_its_thread() {
    let home = Home::new("[targets.stuck]\nuri = 'misbehave'\ntimeout = 0.5\n");
    let run = home.run("predict -t stuck --endpoint e -I -").plugin("mlflow-deploy-fixture-misbehave");
    let ran = run.env("MISBEHAVE", "slot-hang").stdin("1").run();
    assert_eq!(ran.code, 6, "{ran:?}");
}

#[test]
fn the_timeout_of_a_target_limits_each_request_of_a_batch() {
    let server = Server::answering(|request| match request.text().contains("slow") {
        true => Answer::new(200, "{}").after(Duration::from_secs(600)),
        false => Answer::new(200, "{}"),
    });
    let url = server.url();
    let home = Home::new(&format!(
        "[targets.t]\nuri = 'openai'\ntimeout = 3\n[targets.t.options]\nbase_url = '{url}'\napi_key = 'k'\nmax_retries = 0\n"
    ));
    let row = |text: &str| json!({"messages": [{"role": "user", "content": text}]}).to_string() + "\n";
    let run = home.run("predict-batch -t t --endpoint m -I - --jobs 1 --errors errors.jsonl").plugin(OPENAI);
    let ran = run.current_dir(&home.path()).stdin(row("fast") + &row("slow") + &row("fast")).run();
    // The run goes on after a time that exceeds the timeout.
    assert_eq!((ran.code, ran.stdout.as_str()), (1, "{}\nnull\n{}\n"), "{ran:?}");
    let errors = fs::read_to_string(home.path().join("errors.jsonl")).unwrap();
    assert_eq!(errors.matches("DEADLINE_EXCEEDED").count(), 1, "{errors}");
}

#[test]
fn a_batch_takes_the_retries_of_the_target() {
    let unavailable = || Server::start([Answer::status(503).header("retry-after-ms", "1")]);
    for (retries, requests) in [("0", 1), ("2", 3)] {
        let server = unavailable();
        let url = server.url();
        let home = Home::new(&format!(
            "[targets.t]\nuri = 'openai'\n[targets.t.options]\nbase_url = '{url}'\napi_key = 'k'\nmax_retries = '{retries}'\n"
        ));
        let run = home.run("predict-batch -t t --endpoint m -I -").plugin(OPENAI);
        let ran = run.stdin("{\"messages\": []}\n").run();
        assert_eq!((ran.code, server.requests().len()), (1, requests), "{ran:?}");
    }
}

#[test]
fn a_target_isolates_its_plugin() {
    let home = Home::new("[targets.apart]\nuri = 'echo'\nisolation = 'process'\n[targets.inside]\nuri = 'echo'\n");
    let run = |target: &str| home.run(&format!("list-endpoints -t {target} -vv")).plugin(ECHO).run();
    let reason = format!("the plugin runs in its own process: `{}` requires it", home.config().display());
    let (apart, inside) = (run("apart"), run("inside"));
    assert!(apart.code == 0 && apart.stderr.contains(&reason), "{apart:?}");
    assert!(inside.code == 0 && inside.stderr.contains("the plugin runs in this process"), "{inside:?}");
    let missing =
        home.run("list-endpoints -t apart").plugin(ECHO).env("MLFLOW_DEPLOY_PLUGIN_HOST", "/no/program").run();
    assert!(missing.code == 3 && missing.stderr.contains("requires it"), "{missing:?}");
}

#[test]
fn options_reach_an_isolated_plugin() {
    let home =
        Home::new("[targets.h]\nuri = 'hermit'\n[targets.h.options]\na = 'x'\nb = 2\nc = true\nd = { env = 'D' }\n");
    let run = home.run("predict -t h --endpoint options -I - --option e=y --json").plugin(HERMIT);
    let ran = run.env("D", "secret-of-d").stdin("1").run();
    assert_eq!(ran.json(), json!({"e": "y", "a": "x", "b": 2, "c": true, "d": "secret-of-d"}));
}
