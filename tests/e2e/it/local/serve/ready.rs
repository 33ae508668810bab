//! Checks the output of `run-local` when its server is ready: the address, and a `curl` command line as an example.

use std::process::Command;

use super::super::{Machine, sample};
use super::http::{ask, request};
use super::{Running, Served, run_local};

/// Splits a command line into words, as a shell does.
fn words(line: &str) -> Vec<String> {
    let script = format!("curl() {{ printf '%s\\n' \"$@\"; }}\n{line}");
    let read = Command::new("sh").arg("-c").arg(script).output().unwrap();
    assert!(read.status.success(), "{read:?}");
    String::from_utf8(read.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn example_command_line_gets_a_prediction() {
    let machine = Machine::new();
    // These models have an input example, columns, text, and named tensors.
    for model in ["onnx_iris_tensor", "forest", "pipeline_two_inputs", "several_outputs"] {
        let served = Served::start(&sample(model), &machine, "");
        let words = words(served.ready["example"].as_str().unwrap());
        let [url, h, content_type, d, body] = words.as_slice() else { panic!("{words:?}") };
        assert_eq!(*url, format!("http://{}/invocations", served.address));
        assert_eq!((h.as_str(), content_type.as_str(), d.as_str()), ("-H", "Content-Type: application/json", "-d"));
        let answer = ask(served.address, &request("POST", "/invocations", Some("application/json"), body.as_bytes()));
        assert_eq!(answer.status, 200, "{model}: {answer:?}");
    }
}

#[test]
fn text_output_shows_the_address_and_the_command_line() {
    let machine = Machine::new();
    let mut served = Running::start(run_local(&sample("times_2"), &machine, ""));
    let first = served.line();
    let (prefix, address) = first.split_once("http://").unwrap();
    let address = address.strip_suffix("; press Ctrl-C to stop\n").unwrap();
    assert_eq!(prefix, "iris is served at ");
    let second = served.line();
    let expected =
        format!("curl http://{address}/invocations -H 'Content-Type: application/json' -d '{{\"inputs\":[0.0]}}'\n");
    assert_eq!(second, expected);
}
