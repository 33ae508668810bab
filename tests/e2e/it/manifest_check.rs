//! Tests of `plugins check`: manifests in files, on stdin and in libraries.

use std::fs;

use mlflow_deploy_test_support::{broken, cdylib};
use serde_json::json;

use crate::command::mlflow_deploy;

const WHOLE: &str = "{\n  \"manifest\": 1, \"abi\": 1, \"name\": \"calc\", \"version\": \"2.1.0\",\n  \"target\": \"x86_64-unknown-linux-gnu\",\n  \"schemes\": [\"calc\", \"sum\"], \"operations\": [\"predict\"],\n  \"panic\": \"none\"\n}\n";

#[test]
fn plugins_check_prints_every_fault_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.json");
    fs::write(
        &file,
        WHOLE.replace("\"sum\"", "\"é\", 7").replace("none", "never").replace("\n}", ",\n  \"secrets\": []\n}"),
    )
    .unwrap();
    let ran = mlflow_deploy("plugins check").arg(&file).run();
    let path = file.display();
    let places: Vec<_> = ran.stdout.lines().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    let expected = ["4:23", "4:28", "5:12", "6:3"].map(|place| format!("{path}:{place}"));
    assert_eq!((ran.code, places), (3, expected.to_vec()), "{ran:?}");
    assert!(ran.stdout.contains(":6:3: unknown member `secrets`: expected `manifest`"), "{ran:?}");
    assert!(ran.stderr.contains("has 4 faults"), "{ran:?}");
    let json = mlflow_deploy("plugins check --json").arg(&file).run();
    let faults = serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap();
    assert_eq!((json.code, &faults["valid"], faults["faults"].as_array().unwrap().len()), (3, &json!(false), 4));
    assert_eq!(faults["faults"][1]["line"], 4);
    assert_eq!(faults["faults"][1]["member"], "schemes[2]");
}

#[test]
fn plugins_check_of_a_valid_manifest_prints_its_name_version_schemes_and_operations() {
    let said = "-: valid: calc 2.1.0, schemes: calc, sum; operations: predict\n";
    for text in [WHOLE.to_owned(), format!("\u{feff}{}", WHOLE.replace('\n', "\r\n"))] {
        let ran = mlflow_deploy("plugins check -").stdin(text).run();
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, said, ""));
    }
    let part = mlflow_deploy("plugins check -").stdin("{\"description\": \"d\"}").run();
    assert!(part.code == 0 && part.stdout.contains("`export_plugin!`"), "{part:?}");
    for package in ["mlflow-deploy-example-echo", "mlflow-deploy-fixture-misbehave"] {
        // The plugin would hang if its code ran.
        let ran = mlflow_deploy("plugins check").arg(cdylib::path(package)).env("MISBEHAVE", "init-hang").run();
        assert!(ran.code == 0 && ran.stdout.contains(": valid: "), "{ran:?}");
    }
}

#[test]
fn plugins_check_of_a_file_without_a_manifest_fails() {
    let folder = tempfile::tempdir().unwrap();
    for (text, place) in [("", "1:1"), ("{\"name\": \"a\",\n}", "2:1"), ("[]", "1:1"), (" {", "1:2")] {
        let ran = mlflow_deploy("plugins check -").stdin(text).run();
        assert!(ran.code == 3 && ran.stdout.starts_with(&format!("-:{place}: ")), "{text}: {ran:?}");
    }
    let missing = mlflow_deploy("plugins check /nowhere.json").run();
    assert!(missing.code == 2 && missing.stderr.contains("No such file"), "{missing:?}");
    let library = mlflow_deploy("plugins check").arg(broken::plain_library(folder.path())).run();
    assert!(library.code == 3 && library.stderr.contains("without a manifest"), "{library:?}");
}
