//! Checks the option `--json`: a verb prints one JSON document to stdout, or nothing to stdout and a JSON error to
//! stderr.

use std::fs;

use mlflow_deploy_test_support::server::{Answer, Server};
use serde_json::Value;

use crate::command::{Run, mlflow_deploy};

const ECHO: &str = "mlflow-deploy-example-echo";
const FAKE: &str = "mlflow-deploy-fixture-faketarget";

/// Returns a run of a verb with these inputs, on a target that replies with its inputs.
fn echo(verb: &str, input: impl AsRef<[u8]>) -> Run {
    mlflow_deploy(&format!("{verb} -t echo --endpoint echo -I -")).plugin(ECHO).stdin(input)
}

#[test]
fn result_that_is_labelled_json_and_is_none_is_an_error() {
    let bodies: [&[u8]; 9] = [
        b"service unavailable",
        b"<html></html>",
        b"[1, NaN]",
        b"{\"p\": -Infinity}",
        b"{\"predictions\": [1, 2",
        b"[1] [2]",
        b"{'a': 1}",
        b" \n",
        b"[01]",
    ];
    for body in bodies {
        for verb in ["predict", "predict --stream"] {
            let ran = echo(&format!("{verb} --json"), body).run();
            let error = ran.error();
            let said = error["message"].as_str().unwrap();
            assert!(said.starts_with("the result is not JSON, where `NaN` and `Infinity` are invalid: "), "{ran:?}");
            assert!(said.ends_with("; omit `--json` to print it unchanged"), "{ran:?}");
            assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
        }
        let plain = echo("predict", body).run();
        assert_eq!((plain.code, plain.stdout.as_bytes()), (0, [body, b"\n"].concat().as_slice()));
    }
}

#[test]
fn unusual_json_is_printed() {
    for (body, expected) in [
        ("1e400", "1e400"),
        ("98765432109876543210", "98765432109876543210"),
        ("\"\\ud800\"", "\"\\ud800\""),
        ("\u{feff}{}", "{}"),
        ("", "null"),
        ("[\"\u{7f}\"]", "[\"\\u007f\"]"),
    ] {
        let ran = echo("predict --json", body).run();
        assert_eq!((ran.code, ran.stdout.trim_end()), (0, expected), "{ran:?}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(echo("predict --json", &deep).run().stdout.trim_end(), deep);
}

#[test]
fn output_file_gets_json_or_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "before").unwrap();
    let run = |body: &str| echo("predict --json", body).arg("-O").arg(&file).run().code;
    assert_eq!((run("[nan]"), fs::read_to_string(&file).unwrap()), (1, "before".to_owned()));
    assert_eq!((run("[1]"), fs::read_to_string(&file).unwrap()), (0, "[1]".to_owned()));
}

#[test]
fn every_verb_prints_json() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("pages");
    for arguments in [
        "create -t mirror --name n -m m",
        "update -t mirror --name n",
        "delete -t mirror --name n",
        "list -t mirror",
        "get -t mirror --name n",
        "predict -t mirror --name n -I -",
        "explain -t mirror --name n -I -",
        "create-endpoint -t mirror --endpoint e",
        "update-endpoint -t mirror --endpoint e",
        "delete-endpoint -t mirror --endpoint e",
        "list-endpoints -t mirror",
        "get-endpoint -t mirror --endpoint e",
        "invoke repeat -t mirror",
        "run-local -t mirror --name n -m brief",
        "help",
        "help -t mirror",
        "plugins list",
        "plugins doctor",
        "plugins which mirror",
        "plugins lock",
        "plugins verify",
        "plugins retry",
        "completions bash",
        "man",
        "man --output-dir PAGES",
        "--help",
        "--version",
        "predict --help",
    ] {
        let arguments = arguments.replace("PAGES", pages.to_str().unwrap());
        let run = mlflow_deploy(&format!("{arguments} --json")).plugin(FAKE).current_dir(folder.path());
        let ran = run.stdin("[1]").run();
        assert_eq!(ran.code, 0, "{arguments}: {ran:?}");
        assert!(serde_json::from_str::<Value>(&ran.stdout).is_ok(), "{arguments}: {ran:?}");
    }
}

#[test]
fn record_keeps_the_digits_of_its_numbers() {
    let ran = mlflow_deploy("get -t mirror --name n").plugin(FAKE).run();
    assert_eq!(ran.stdout, "name: n\nendpoint: null\nnested: {\"a\":[1,null,true]}\n\n\n");
    let record = r#"{"name": "e", "id": 98765432109876543210, "o": {"x": [1.50, 18446744073709551616]}}"#;
    let server = Server::start([Answer::new(200, record)]);
    let options = format!("--option host={} --option token=t --endpoint e", server.url());
    let run = mlflow_deploy(&format!("get-endpoint -t databricks {options}")).plugin("mlflow-deploy-databricks");
    let ran = run.run();
    let expected = "name: e\nid: 98765432109876543210\no: {\"x\":[1.50,18446744073709551616]}\n\n\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (0, expected), "{ran:?}");
}

#[test]
fn predictions_are_printed_as_a_table_or_as_csv() {
    let answer =
        r#"{"predictions": [{"label": "cat, small", "score": 0.5}, {"label": "dog", "score": 1e-07}], "id": 1}"#;
    let printed = |form: &str| echo(&format!("predict --format {form}"), answer).run();
    assert_eq!(printed("json").stdout, format!("{answer}\n"));
    assert_eq!(printed("csv").stdout, "label,score\n\"cat, small\",0.5\ndog,1e-07\n");
    assert_eq!(printed("table").stdout, "label       score\ncat, small    0.5\ndog         1e-07\n");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("predictions.csv");
    let ran = echo(&format!("predict --format csv -O {}", file.display()), answer).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "label,score\n\"cat, small\",0.5\ndog,1e-07\n");
    let chat = echo(&format!("predict --format csv -O {}", file.display()), r#"{"choices": []}"#).run();
    assert_eq!(chat.code, 2, "{chat:?}");
    assert!(chat.stderr.contains("the answer is not a table: "), "{chat:?}");
    assert!(chat.stderr.contains("`--format json` prints every answer"), "{chat:?}");
    assert!(fs::read_to_string(&file).unwrap().starts_with("label,score"), "the file is unchanged");
}

#[test]
fn a_form_of_predictions_does_not_go_with_a_stream_or_with_json() {
    for (form, options, said) in [
        ("csv", "--stream", "cannot be used with"),
        ("table", "--json", "`--json` prints JSON: remove it, or use `--format json`"),
        ("excel", "", "possible values: json, table, csv"),
    ] {
        let ran = echo(&format!("predict --format {form} {options}"), r#"{"predictions": [1]}"#).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains(said), "{ran:?}");
    }
}
