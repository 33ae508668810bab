//! Servers that are overloaded, and the rate of requests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mlflow_deploy_test_support::server::{Answer, Server};

use super::fixture::{Rows, echo, line, number};
use crate::command::mlflow_deploy;

#[test]
fn all_requests_wait_if_one_is_throttled() {
    for status in [429, 503] {
        let throttled = Answer::status(status).header("retry-after", "1");
        let server = Server::start([throttled, Answer::new(200, "1")]);
        let rows = Rows::new(6);
        let ran = rows.predict(&server, "--jobs 1").run();
        assert_eq!((ran.code, rows.read("out.jsonl")), (0, "1\n".repeat(6)), "{ran:?}");
        let requests = server.requests();
        assert_eq!(requests.len(), 7, "{status}");
        let wait = requests[1].at.duration_since(requests[0].at);
        assert!(wait >= Duration::from_millis(990), "{status}: the next request came after {wait:?}");
        assert!(ran.stderr.contains("7 requests (1 repeated)"), "{ran:?}");
    }
}

#[test]
fn throttled_rows_are_answered_in_the_end() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    let server = Server::answering(|request| {
        let is_throttled = SEEN.fetch_add(1, Ordering::Relaxed).is_multiple_of(5);
        if is_throttled { Answer::status(429) } else { echo(number(request)) }
    });
    let rows = Rows::new(200);
    let ran = rows.predict(&server, "--jobs 8 --option max_retries:=0").run();
    // Without retries, each throttled row fails.
    assert_eq!(ran.code, 1, "{ran:?}");
    SEEN.store(0, Ordering::Relaxed);
    let ran = rows.predict(&server, "--jobs 8").run();
    assert_eq!((ran.code, rows.read("out.jsonl")), (0, (0..200).map(line).collect::<String>()), "{ran:?}");
}

#[test]
fn a_row_that_always_fails_does_not_end_the_run() {
    let server = Server::answering(|request| match number(request) {
        3 => Answer::status(503),
        number => echo(number),
    });
    let rows = Rows::new(20);
    let ran = rows.predict(&server, "--jobs 4 --option max_retries:=1 --errors bad.jsonl").run();
    assert_eq!(ran.code, 1, "{ran:?}");
    let expected: String = (0..20).map(|number| if number == 3 { "null\n".to_owned() } else { line(number) }).collect();
    assert_eq!(rows.read("out.jsonl"), expected);
    assert_eq!(server.requests().iter().filter(|request| number(request) == 3).count(), 2);
}

#[test]
fn an_unreachable_server_ends_the_run() {
    let url = Server::start([Answer::status(200)]).url();
    let rows = Rows::new(100);
    let run = mlflow_deploy("predict-batch --endpoint e -I rows.jsonl -O out.jsonl -t").arg(url);
    let run = run.args("--option max_retries:=0").plugin("mlflow-deploy-gateway").current_dir(&rows.path(""));
    let ran = run.run();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("failed to connect") || ran.stderr.contains("refused"), "{ran:?}");
    assert_eq!(rows.read("out.jsonl"), "");
}

#[test]
fn the_rate_is_not_exceeded() {
    let server = Server::answering(|request| echo(number(request)));
    let rows = Rows::new(8);
    let ran = rows.predict(&server, "--rate 20").run();
    assert_eq!(ran.code, 0, "{ran:?}");
    let requests = server.requests();
    let took = requests[7].at.duration_since(requests[0].at);
    assert!(took >= Duration::from_millis(300), "7 intervals of 50 ms took {took:?}");
}
