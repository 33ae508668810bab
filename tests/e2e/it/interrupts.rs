//! Checks Ctrl-C: the plugin cancels the call, the server sees that the connection is closed, and the terminal gets its
//! settings back.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::command::{Ran, mlflow_deploy, terminal};

const INPUTS: &str = r#"{"messages": []}"#;

/// The time limit of every wait in these tests. It is long enough for a busy machine.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Accepts a connection, reads one prediction request, and sends `answer`. Returns the open connection.
fn accept_prediction(listener: &TcpListener, answer: &[u8]) -> TcpStream {
    let (mut connection, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\"messages\": []}") {
        let mut some = [0; 1024];
        let read = connection.read(&mut some).unwrap();
        assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&request));
        request.extend_from_slice(&some[..read]);
    }
    connection.write_all(answer).unwrap();
    connection
}

/// Sends `SIGINT` to the command. Returns the time until the command has closed the connection, and the output of the
/// command.
fn interrupt(child: Child, mut connection: TcpStream) -> (Duration, Ran) {
    let begun = Instant::now();
    signal(&child, Signal::INT);
    connection.set_read_timeout(Some(MAX_WAIT)).unwrap();
    match connection.read(&mut [0]) {
        Ok(read) => assert_eq!(read, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    (begun.elapsed(), Ran::from(child.wait_with_output().unwrap()))
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn predict(listener: &TcpListener, more: &str) -> Child {
    let target = format!("http://{}", listener.local_addr().unwrap());
    let run = mlflow_deploy(&format!("predict --endpoint chat -I - {more} -t")).arg(target);
    run.plugin("mlflow-deploy-gateway").stdin(INPUTS).spawn()
}

#[test]
fn ctrl_c_closes_the_connection_of_a_prediction() {
    for isolate in ["", "--isolate"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let child = predict(&listener, isolate);
        let connection = accept_prediction(&listener, b"");
        let (closed, ran) = interrupt(child, connection);
        println!("predict {isolate}: closed {} ms after Ctrl-C, exit code {}", closed.as_millis(), ran.code);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (130, "", "error: interrupted\n"));
    }
}

#[test]
fn ctrl_c_closes_the_connection_of_a_stream() {
    for isolate in ["", "--isolate"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut child = predict(&listener, &format!("--stream {isolate}"));
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {\"n\":1}\n\n";
        let connection = accept_prediction(&listener, head);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (closed, ran) = interrupt(child, connection);
        println!("stream {isolate}: closed {} ms after Ctrl-C, exit code {}", closed.as_millis(), ran.code);
        assert_eq!((line.as_str(), ran.code, ran.stderr.as_str()), ("{\"n\":1}\n", 130, "error: interrupted\n"));
    }
}

#[test]
fn sigterm_sighup_and_sigquit_end_the_command_and_leave_no_partial_file() {
    for end in [Signal::TERM, Signal::HUP, Signal::QUIT] {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let child = predict(&listener, &format!("-O {}", folder.path().join("out.json").display()));
        let _connection = accept_prediction(&listener, b"");
        signal(&child, end);
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (130, "error: interrupted\n"), "{end:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{end:?}");
    }
}

#[test]
fn sighup_is_ignored_under_nohup() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let run = mlflow_deploy("predict --endpoint chat -I - -t").arg(target).plugin("mlflow-deploy-gateway");
    let child = run.stdin(INPUTS).in_shell(r#"trap '' HUP; exec "$@""#).spawn();
    let mut connection = accept_prediction(&listener, b"");
    signal(&child, Signal::HUP);
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "{}\n"), "{ran:?}");
}

#[test]
fn timeout_leaves_no_partial_file_while_a_plugin_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let run = mlflow_deploy("predict -t misbehave --endpoint e -I - --timeout 1 -O").arg(folder.path().join("out"));
    let ran = run.plugin("mlflow-deploy-fixture-misbehave").env("MISBEHAVE", "slot-hang").stdin("[1]").run();
    assert_eq!((ran.code, ran.stderr.contains(" within 1")), (6, true), "{ran:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn signals_stop_a_local_server_before_the_command_ends() {
    let ends = [Signal::INT, Signal::HUP, Signal::QUIT, Signal::TERM];
    for (isolate, end) in ["", "--isolate"].iter().flat_map(|isolate| ends.map(|end| (isolate, end))) {
        let run = mlflow_deploy(&format!("run-local -t faketarget --name n -m model --json {isolate}"));
        let mut child = run.plugin("mlflow-deploy-fixture-faketarget").spawn();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "{\"event\":\"ready\",\"url\":\"http://127.0.0.1:5000\"}\n");
        signal(&child, end);
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, 130, "{ran:?}");
        assert!(ran.stderr.contains(r#"{"warning":{"message":"stopped (plugin faketarget)"}}"#), "{ran:?}");
    }
}

#[test]
fn stopping_a_local_server_is_not_an_error() {
    for (more, said) in [("", Some("stopped")), ("-q", None)] {
        let run = mlflow_deploy(&format!("run-local -t faketarget --name n -m model {more}"));
        let mut child = run.plugin("mlflow-deploy-fixture-faketarget").spawn();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "n is served at http://127.0.0.1:5000; press Ctrl-C to stop\n");
        signal(&child, Signal::INT);
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.stderr.lines().last()), (130, said), "{ran:?}");
        assert!(!ran.stderr.contains("error"), "{ran:?}");
    }
}

#[test]
fn terminal_shows_progress_and_is_restored() {
    let (mut ours, theirs) = terminal();
    let folder = tempfile::tempdir().unwrap();
    let inputs = folder.path().join("in.json");
    std::fs::write(&inputs, "[1]").unwrap();
    let run = mlflow_deploy("predict -t mirror --endpoint slow -I").arg(inputs);
    let mut child = run.plugin("mlflow-deploy-fixture-faketarget").spawn_on(&theirs);
    let mut screen = Vec::new();
    let mut read_until = |words: &str| {
        while !String::from_utf8_lossy(&screen).contains(words) {
            let mut some = [0; 1024];
            let read = ours.read(&mut some).unwrap();
            screen.extend_from_slice(&some[..read]);
        }
        String::from_utf8_lossy(&screen).into_owned()
    };
    read_until("thinking (25 %)");
    signal(&child, Signal::INT);
    let screen = read_until("interrupted\r\n");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let (_, after) = screen.rsplit_once("thinking (25 %)").unwrap();
    assert_eq!(
        after.trim_start_matches(' '),
        "\r\u{1b}[2Kerror: interrupted\r\n",
        "the spinner's line is erased, and nothing else is left"
    );
}
