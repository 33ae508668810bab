//! Checks that the target receives the values of inputs and configurations with unchanged types and digits, for files
//! from many programs.

use std::fs;
use std::path::Path;

use mlflow_deploy_test_support::peers;
use serde_json::{Value, json};

use crate::command::{Ran, Run, mlflow_deploy};

const FAKE: &str = "mlflow-deploy-fixture-faketarget";
const ECHO: &str = "mlflow-deploy-example-echo";

/// Returns a run of a verb on the target `mirror`, which replies with the arguments that it receives.
fn mirror(verb: &str, arguments: &str) -> Run {
    mlflow_deploy(&format!("{verb} -t mirror --json")).plugin(FAKE).args(arguments)
}

/// Writes a CSV file and predicts with it. Returns the inputs that the target receives.
fn sent(folder: &Path, csv: &str) -> Value {
    let path = folder.join("input.csv");
    fs::write(&path, csv).unwrap();
    mirror("predict", "--endpoint e -I").arg(path).run().json()["args"][2].clone()
}

#[test]
fn csv_has_the_types_that_the_scoring_server_of_mlflow_finds() {
    let texts = [
        "on,off\nTrue,false\nFALSE,TRUE\n",
        "a,b\nyes,True\nno,\n",
        "small\n0.25\n1e-07\n",
        "price,n\n7.50,3\n12.00,-4\n",
        "f\n+.5\n5.\n1E3\n",
        "big\n18446744073709551615\n",
        "huge,h\n98765432109876543210987,x\n1,y\n",
        "m,t\nNaN,NA\n0.5,x\n",
        "blank, a b \r\n\r\n 6 ,\"q,\"\"r\"\"\"\r\n",
        "mixed\nTrue\n1\n",
        "\u{feff}first\n1\n",
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("texts.json");
    fs::write(&file, json!(texts).to_string()).unwrap();
    let expected = peers::run_script("read_csv.py", &[file.to_str().unwrap()]);
    let expected: Vec<Value> = serde_json::from_slice(&expected).unwrap();
    for (text, expected) in texts.iter().zip(expected) {
        assert_eq!(sent(folder.path(), text), json!({ "dataframe_split": expected }), "{text:?}");
    }
}

#[test]
fn csv_with_codes_keeps_their_zeros_and_a_number_that_json_lacks_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let codes = sent(folder.path(), "zip\n01067\n80331\n");
    assert_eq!(codes, json!({"dataframe_split": {"columns": ["zip"], "data": [["01067"], ["80331"]]}}));
    let ran = mirror("predict", "--endpoint e --content-type CSV -I -").stdin("x\n1\ninf\n").run();
    let said = "failed to read the input as CSV: line 3: JSON has no number for `inf` in the column `x`";
    assert_eq!((ran.code, ran.error()["message"].as_str()), (2, Some(said)), "{ran:?}");
}

#[test]
fn csv_is_unchanged_for_a_target_that_accepts_it() {
    let csv = "a\nTrue\n1e-05\n";
    let ran = mlflow_deploy("predict -t echo --endpoint echo --content-type csv -I -").plugin(ECHO).stdin(csv).run();
    assert_eq!((ran.code, ran.stdout.trim_end()), (0, csv.trim_end()), "{ran:?}");
}

#[test]
fn byte_order_mark_before_the_inputs_is_removed() {
    for (kind, input) in [("json", "[1]"), ("csv", "a\n1"), ("text/plain", "hi")] {
        let run = mlflow_deploy(&format!("predict -t echo --endpoint echo --content-type {kind} -I -")).plugin(ECHO);
        let ran = run.stdin(format!("\u{feff}{input}")).run();
        assert_eq!((ran.code, ran.stdout.trim_end()), (0, input), "{ran:?}");
    }
    let run = |verb: &str, arguments: &str| mirror(verb, arguments).stdin("\u{feff}\r\n{\"a\": 1}\r\n").run().json();
    assert_eq!(run("predict", "--endpoint e -I -")["args"][2], json!({"a": 1}));
    assert_eq!(run("invoke", "repeat --endpoint e -I -")["inputs"], json!({"a": 1}));
    // Inputs of another content type are not decoded as text.
    let image = mlflow_deploy("predict -t echo --endpoint echo --content-type image/x -I -").plugin(ECHO);
    assert_eq!(image.stdin("\u{feff}x").run().stdout, "\u{feff}x\n");
    let utf16 = mirror("predict", "--endpoint e -I -").stdin(b"\xff\xfe{\0}\0").run();
    let said = "failed to read the input `-`: found UTF-16, expected UTF-8: save it as UTF-8";
    assert_eq!((utf16.code, utf16.error()["message"].as_str()), (2, Some(said)), "{utf16:?}");
}

/// Writes a configuration file and creates an endpoint with it. Returns the output of the command.
fn configured(name: &str, text: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), text).unwrap();
    mirror("create-endpoint", "--endpoint e --config-file").arg(name).current_dir(folder.path()).run()
}

#[test]
fn numbers_of_a_config_keep_their_digits_or_are_errors() {
    let yaml = "zip: 01067\nlong: 00098765432109876543\nmax: 18446744073709551615\nshare: 1.50\nexp: 1e21\n";
    let config = &configured("c.yaml", yaml).json()["config"];
    let expected = json!({
        "zip": "01067", "long": "00098765432109876543", "max": 18_446_744_073_709_551_615_u64, "share": 1.5, "exp": 1e21
    });
    assert_eq!(*config, expected);
    for (name, text, line) in [
        ("c.yaml", "a: 1\nids: [1, -9223372036854775809]\n", 2),
        ("c.json", "{\"a\":\n{\"id\":\n98765432109876543210}}", 3),
    ] {
        let ran = configured(name, text);
        let said = format!(
            "failed to read `{name}`: the integer at line {line} has more than 64 bits: quote it to send it as text"
        );
        assert_eq!((ran.code, ran.error()["message"].as_str()), (2, Some(&*said)), "{ran:?}");
    }
    let nested = mirror("create-endpoint", "--endpoint e -C o:={\"id\":98765432109876543210}").run();
    assert!(nested.code == 2 && nested.stderr.contains("`--config o:=…` has an integer with more than 64 bits"));
}

#[test]
fn repeated_key_of_a_config_is_an_error_with_its_line() {
    for (name, text) in
        [("c.yaml", "o:\n  size: 1\n  size: 2\n"), ("c.json", "{\"o\": {\r\n\"size\": 1,\r\n\"size\": 2}}")]
    {
        let ran = configured(name, text);
        let said = format!(
            "failed to read `{name}`: the key `size` is given twice, the second time at line 3: remove one of them"
        );
        assert_eq!((ran.code, ran.error()["message"].as_str()), (2, Some(&*said)), "{ran:?}");
    }
    let toml = configured("c.toml", "size = 1\nsize = 2\n");
    assert!(toml.code == 2 && toml.stderr.contains("not TOML at line 2: duplicate key"), "{toml:?}");
}

#[test]
fn files_and_variables_from_windows_are_read_like_others() {
    for (name, text) in [
        ("c.json", "\u{feff}{\r\n\"n\": \"x\"}\r\n"),
        ("c.yaml", "\u{feff}n: x\r\n"),
        ("c.toml", "\u{feff}n = 'x'\r\n"),
    ] {
        assert_eq!(configured(name, text).json()["config"], json!({"n": "x"}), "{name}");
    }
    let option = mirror("create-endpoint", "--endpoint e -C").arg("n=x\r\n").run().json();
    assert_eq!(option["config"], json!({"n": "x"}));

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("mlflow-deploy")).unwrap();
    fs::write(path("mlflow-deploy/config.toml"), "\u{feff}try-first-loads = false\r\n").unwrap();
    let lock = path("lock");
    assert_eq!(mlflow_deploy("plugins lock --lock-file").arg(&lock).plugin(ECHO).run().code, 0);
    let text = fs::read_to_string(&lock).unwrap().replace('\n', "\r\n");
    fs::write(&lock, format!("\u{feff}{text}")).unwrap();
    let value = |path: &Path| format!("{}\r\n", path.display());
    let run = mlflow_deploy("list-endpoints --json").plugin(ECHO).env("XDG_CONFIG_HOME", folder.path());
    let run = run.env("MLFLOW_DEPLOY_LOCK_FILE", value(&lock)).env("MLFLOW_DEPLOYMENTS_TARGET", " \u{feff}echo\r\n");
    assert_eq!(run.run().json(), json!([{"name": "echo"}]));
}

#[test]
fn variable_with_a_wrong_value_is_named() {
    for (name, value, code, said) in [
        ("MLFLOW_DEPLOYMENTS_TARGET", "://x", 2, "`MLFLOW_DEPLOYMENTS_TARGET`: invalid target URI `://x`"),
        (
            "MLFLOW_DEPLOYMENTS_TARGET",
            "ecko",
            3,
            "no plugin found for the target `ecko` of `MLFLOW_DEPLOYMENTS_TARGET`",
        ),
        (
            "MLFLOW_DEPLOY_LOCK_FILE",
            "/no/lock",
            2,
            "create it with `mlflow-deploy plugins lock`; `MLFLOW_DEPLOY_LOCK_FILE` names it",
        ),
        (
            "MLFLOW_DEPLOY_PLUGIN_PATH_ONLY",
            "on",
            0,
            "warning: `MLFLOW_DEPLOY_PLUGIN_PATH_ONLY` is `on`: expected `1` or `0`",
        ),
    ] {
        let target = if name == "MLFLOW_DEPLOYMENTS_TARGET" { "" } else { "-t echo" };
        let run = mlflow_deploy(&format!("list-endpoints {target}")).plugin(ECHO);
        let ran = run.env("MLFLOW_DEPLOYMENTS_TARGET", "echo").env(name, value).run();
        assert_eq!((ran.code, ran.stderr.contains(said)), (code, true), "{name}={value}: {ran:?}");
    }
}
