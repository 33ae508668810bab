//! Rows that fail, and failures that end a run.

use mlflow_deploy_test_support::server::{Answer, Server};
use serde_json::Value;

use super::fixture::{Rows, echo, line, number};
use crate::command::mlflow_deploy;

#[test]
fn a_bad_row_is_recorded_with_its_line() {
    let server = Server::answering(|request| match number(request) {
        4 => Answer::new(422, r#"{"detail": "four"}"#),
        number => echo(number),
    });
    let rows = Rows::lines("{\"n\": 1}\n\n{\"n\": 3\n{\"n\": 4}\n{\"n\": 5}\n");
    let ran = rows.predict(&server, "--errors bad.jsonl").run();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(rows.read("out.jsonl"), format!("{}null\nnull\n{}", line(1), line(5)));
    let errors: Vec<Value> = rows.read("bad.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((errors[0]["line"].as_u64(), errors[1]["line"].as_u64(), errors.len()), (Some(3), Some(4), 2));
    assert_eq!(errors[1]["error"]["http"]["status"], 422);
    assert_eq!(rows.names(), ["bad.jsonl", "out.jsonl", "rows.jsonl"], "a run with failed rows is complete");

    let ran = rows.predict(&server, "").run();
    assert_eq!(ran.code, 1, "{ran:?}");
    for part in
        ["warning: line 3 failed: the row is not JSON", "warning: line 4 failed: ", "2 of 4 rows failed: `--errors"]
    {
        assert!(ran.stderr.contains(part), "{ran:?}");
    }
    let ran = rows.predict(&server, "--json").run();
    let error = ran.error();
    assert_eq!((ran.code, error["message"].as_str().unwrap().starts_with("2 of 4 rows")), (1, true), "{ran:?}");
}

#[test]
fn refused_credentials_end_the_run() {
    let server = Server::start([Answer::new(401, "no"), Answer::new(200, "1")]);
    let rows = Rows::new(100);
    let ran = rows.predict(&server, "--jobs 1").run();
    assert_eq!((ran.code, server.requests().len()), (1, 1), "{ran:?}");
    assert!(ran.stderr.contains("warning: the run is not complete: the same command with `--resume`"), "{ran:?}");
    let ran = rows.predict(&server, "--jobs 1 --resume").run();
    assert_eq!((ran.code, rows.read("out.jsonl")), (0, "1\n".repeat(100)), "{ran:?}");
}

#[test]
fn a_missing_endpoint_ends_the_run() {
    let server = Server::start([Answer::new(404, r#"{"error": {"code": "model_not_found", "message": "no"}}"#)]);
    let rows = Rows::new(100);
    let target = server.url().replace("http://", "openai://") + "/v1";
    let run =
        mlflow_deploy("predict-batch --endpoint chat -I rows.jsonl -O out.jsonl --jobs 2 -C task=chat -t").arg(target);
    let ran = run.plugin("mlflow-deploy-openai").env("OPENAI_API_KEY", "k").current_dir(&rows.path("")).run();
    assert_eq!((ran.code, server.requests().len() <= 2), (5, true), "{ran:?}");
}

#[test]
fn invalid_arguments_are_reported_before_a_file_is_changed() {
    let server = Server::start([Answer::new(200, "1")]);
    let rows = Rows::new(3);
    let input = rows.read("rows.jsonl");
    for (arguments, message) in [
        ("-I rows.jsonl -O rows.jsonl", "`rows.jsonl` is the input, too: specify different files"),
        ("--errors rows.jsonl -O out", "`rows.jsonl` is the input, too"),
        ("--errors out.jsonl", "the output and the errors are one file"),
        ("--batch-rows 0", "invalid value '0'"),
        ("--rate 0", "expected a positive number of requests in a second"),
        ("--rows request --batch-rows 2", "`--batch-rows` groups rows"),
        ("--content-type parquet", "expected `csv` or `jsonl`"),
        ("-I missing.jsonl", "failed to read the input `missing.jsonl`"),
    ] {
        let whole = if arguments.contains("-I") { String::new() } else { "-I rows.jsonl ".to_owned() };
        let output = if arguments.contains("-O") { "" } else { "-O out.jsonl " };
        let run = mlflow_deploy(&format!("predict-batch --endpoint e {whole}{output}{arguments} -t"));
        let ran = run.arg(server.url()).plugin("mlflow-deploy-gateway").current_dir(&rows.path("")).run();
        assert_eq!(ran.code, 2, "{arguments}: {ran:?}");
        assert!(ran.stderr.contains(message), "{arguments}: {ran:?}");
        assert_eq!(rows.read("rows.jsonl"), input, "{arguments}");
    }
    assert_eq!(server.requests().len(), 0);
}
