//! The lines of the output: their order, their form, and rows that are sent together.

use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use mlflow_deploy_test_support::server::{Answer, Server};
use serde_json::{Value, json};

use super::fixture::{Rows, echo, line, number};
use crate::command::mlflow_deploy;

/// Starts a server whose answers arrive in another order than the requests.
fn shuffling() -> Server {
    Server::answering(|request| {
        let number = number(request);
        echo(number).after(Duration::from_millis((number * 7) % 23))
    })
}

#[test]
fn lines_are_in_the_order_of_the_input() {
    let (server, rows) = (shuffling(), Rows::new(300));
    let ran = rows.predict(&server, "--jobs 16").run();
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
    assert_eq!(rows.read("out.jsonl"), (0..300).map(line).collect::<String>());
    assert_eq!(rows.names(), ["out.jsonl", "rows.jsonl"]);
    assert!(ran.stderr.starts_with("300 rows, 0 failed\n300 requests (0 repeated) in "), "{ran:?}");
    assert_eq!(server.requests().len(), 300);
}

#[test]
fn unordered_lines_name_their_row() {
    let (server, rows) = (shuffling(), Rows::new(100));
    let ran = rows.predict(&server, "--unordered --quiet").run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let lines = rows.read("out.jsonl");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut numbers: Vec<_> = lines.iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert!(lines.iter().all(|line| line["answer"]["echo"].as_u64().unwrap() + 1 == line["line"].as_u64().unwrap()));
    assert!(!numbers.is_sorted(), "{numbers:?}");
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
}

#[test]
fn rows_from_stdin_are_answered_on_stdout() {
    let server = shuffling();
    let run = mlflow_deploy("predict-batch --endpoint chat -I - -q -t").arg(server.url());
    let ran = run.plugin("mlflow-deploy-gateway").stdin("{\"n\": 4}\n\n{\"n\": 5}").run();
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, &*(line(4) + &line(5)), ""));
}

#[test]
fn a_slow_pipe_does_not_delay_answers() {
    let server = shuffling();
    // The second row is written after the first answer has arrived.
    let script = r#"(echo '{"n": 1}'; while ! [ -s answers ]; do :; done; echo '{"n": 2}') | "$@" >answers"#;
    let rows = Rows::new(0);
    let run = mlflow_deploy("predict-batch --endpoint chat -I - -q -t").arg(server.url());
    let ran = run.plugin("mlflow-deploy-gateway").current_dir(&rows.path("")).in_shell(script).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(rows.read("answers"), line(1) + &line(2));
}

/// Starts a server that predicts twice the value of `x` in each record. It refuses a request with a negative value, and
/// records the number of rows in each request.
fn doubling(sizes: &'static Mutex<Vec<usize>>) -> Server {
    Server::answering(move |request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let records = body["dataframe_records"].as_array().cloned().unwrap_or_else(|| {
            let rows = body["dataframe_split"]["data"].as_array().unwrap();
            rows.iter().map(|row| json!({ "x": row[0] })).collect()
        });
        sizes.lock().unwrap().push(records.len());
        let values: Vec<_> = records.iter().map(|record| record["x"].as_i64().unwrap()).collect();
        if values.iter().any(|value| *value < 0) {
            return Answer::new(400, r#"{"error": {"message": "negative"}}"#);
        }
        let predictions: Vec<_> = values.iter().map(|value| value * 2).collect();
        Answer::new(200, json!({ "predictions": predictions, "took": 1 }).to_string())
    })
}

#[test]
fn rows_are_sent_together_and_answered_alone() {
    static SIZES: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let server = doubling(&SIZES);
    let records = Rows::lines(&(0..25).map(|x| format!("{{\"x\": {x}}}\n")).collect::<String>());
    let csv = Rows::lines(&(0..25).fold("x,y\n".to_owned(), |text, x| text + &format!("{x},\"a\nb\"\n")));
    let expected: String = (0..25).map(|x| format!("{{\"predictions\":[{}]}}\n", x * 2)).collect();
    for (rows, arguments) in
        [(&records, "--batch-rows 10"), (&csv, "--batch-rows 10 --content-type csv"), (&records, "--rows record")]
    {
        SIZES.lock().unwrap().clear();
        let ran = rows.predict(&server, arguments).run();
        assert_eq!(ran.code, 0, "{arguments}: {ran:?}");
        assert_eq!(rows.read("out.jsonl"), expected, "{arguments}");
        let mut sizes = SIZES.lock().unwrap().clone();
        sizes.sort_unstable();
        assert_eq!(sizes, if arguments.starts_with("--batch") { vec![5, 10, 10] } else { vec![1; 25] });
    }
}

#[test]
fn only_the_bad_rows_of_a_request_fail() {
    static SIZES: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let server = doubling(&SIZES);
    let text = "{\"x\": 1}\n{\"x\": -2}\nnope\n{\"x\": 4}\n{\"inputs\": [5]}\n{\"x\": 6}\n";
    let rows = Rows::lines(text);
    let ran = rows.predict(&server, "--batch-rows 6 --errors bad.jsonl").run();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.ends_with("error: 3 of 6 rows failed: `bad.jsonl` has their errors\n"), "{ran:?}");
    let [one, four, six] = [2, 8, 12].map(|value| format!("{{\"predictions\":[{value}]}}\n"));
    assert_eq!(rows.read("out.jsonl"), format!("{one}null\nnull\n{four}null\n{six}"));
    let errors: Vec<Value> = rows.read("bad.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown: Vec<_> = errors
        .iter()
        .map(|error| (error["line"].as_u64().unwrap(), error["error"]["code"].as_str().unwrap()))
        .collect();
    let invalid = "INVALID_PARAMETER_VALUE";
    assert_eq!(shown, [(2, "BAD_REQUEST"), (3, invalid), (5, invalid)]);
    assert!(errors[0]["error"]["message"].as_str().unwrap().contains("negative"), "{errors:?}");
}

#[test]
fn usage_is_summed() {
    let answer = r#"{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}"#;
    let server = Server::start([Answer::new(200, answer)]);
    let rows = Rows::new(10);
    let ran = rows.predict(&server, "").run();
    assert!(ran.stderr.ends_with("\nusage: 30 input tokens, 20 output tokens\n"), "{ran:?}");
    fs::remove_file(rows.path("out.jsonl")).unwrap();
    let ran = rows.predict(&server, "--json").run();
    let summary: Value = serde_json::from_str(&ran.stderr).unwrap();
    let usage = json!({"input_tokens": 30, "output_tokens": 20, "total_tokens": 50});
    assert_eq!((&summary["summary"]["usage"], &summary["summary"]["rows"]), (&usage, &json!(10)), "{ran:?}");
}
