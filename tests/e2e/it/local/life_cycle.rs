//! Runs the command through the whole life cycle of local deployments and endpoints.

use serde_json::{Value, json};

use super::{FLOWERS, Machine, folder, iris, sample};

fn labels(answer: &Value) -> Vec<i64> {
    let rows = answer["predictions"].as_array().unwrap();
    rows.iter().map(|row| row["label"].as_i64().unwrap()).collect()
}

#[test]
fn deployment_is_created_updated_and_deleted() {
    let machine = Machine::new();
    assert_eq!(machine.names(), [""; 0]);
    let made = machine.ask("create --name iris -C intra_op_num_threads=1 -m").arg(iris()).run();
    assert_eq!((made.code, made.stdout.as_str()), (0, "\nonnx deployment iris is created\n"), "{made:?}");
    let again = machine.ask("create --name iris --json -m").arg(iris()).run();
    assert_eq!((again.code, &again.error()["code"]), (1, &json!("RESOURCE_ALREADY_EXISTS")), "{again:?}");

    let csv = folder("examples/iris/flowers.csv");
    let answer = machine.ask("predict --name iris -I").arg(csv).run().json();
    assert_eq!(labels(&answer), [0, 2, 2], "{answer}");

    let before = machine.ask("get --name iris --json").run().json();
    assert_eq!((&before["flavor"], &before["config"]), (&json!("onnx"), &json!({"intra_op_num_threads": 1})));
    let updated = machine.ask("update --name iris -f onnx -C sessions=2 -m").arg(sample("forest")).run();
    assert_eq!(
        (updated.code, updated.stdout.as_str()),
        (0, "Deployment iris is updated (with flavor onnx)\n"),
        "{updated:?}"
    );
    let after = machine.ask("get --name iris --json").run().json();
    assert_eq!(after["config"], json!({"intra_op_num_threads": 1, "sessions": 2}));
    assert_eq!(after["creation_timestamp"], before["creation_timestamp"]);
    let unset = machine.ask("update --name iris -C intra_op_num_threads:=null --json").run().json();
    assert_eq!(unset["config"], json!({"sessions": 2}));
    assert_eq!(machine.copies(), 1, "the model that was replaced is gone");

    for _twice in 0..2 {
        let deleted = machine.ask("delete --name iris").run();
        assert_eq!((deleted.code, deleted.stdout.as_str()), (0, "Deployment iris is deleted\n"), "{deleted:?}");
    }
    assert_eq!((machine.names().len(), machine.copies()), (0, 0));
    for verb in ["get --name iris", "predict --name iris -I -", "update --name iris -C sessions=1"] {
        let ran = machine.ask(&format!("{verb} --json")).stdin(FLOWERS).run();
        assert_eq!((ran.code, &ran.error()["code"]), (5, &json!("RESOURCE_DOES_NOT_EXIST")), "{ran:?}");
    }
}

#[test]
fn endpoint_splits_traffic() {
    let machine = Machine::new();
    let made = machine.ask("create-endpoint -C name=flowers").run();
    assert_eq!(made.code, 0, "{made:?}");
    let unassigned = machine.ask("predict --endpoint flowers -I - --json").stdin(FLOWERS).run();
    assert_eq!(unassigned.error()["code"], "RESOURCE_DOES_NOT_EXIST", "{unassigned:?}");
    for name in ["a", "b"] {
        let made = machine.ask("create --endpoint flowers --name").arg(name).arg("-m").arg(iris()).run();
        assert_eq!(made.code, 0, "{made:?}");
    }
    let shown = || machine.ask("get-endpoint --endpoint flowers --json").run().json()["traffic"].clone();
    assert_eq!(shown(), json!({"a": 100, "b": 0}), "the second gets nothing until the traffic is split");
    let who = || {
        let ran = machine.ask("predict --endpoint flowers -I - -vv").stdin(FLOWERS).run();
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stderr
    };
    assert!(who().contains("chose the deployment `a`"));
    let split = machine.ask("update-endpoint --endpoint flowers -C .traffic.a:=0 -C .traffic.b:=5").run();
    assert_eq!(split.code, 0, "{split:?}");
    assert!(who().contains("chose the deployment `b`"));

    assert_eq!(machine.ask("list --endpoint flowers --json").run().json().as_array().unwrap().len(), 2);
    machine.create("apart", &iris());
    let apart = machine.ask("get --endpoint flowers --name apart --json").run();
    assert_eq!(apart.error()["message"], "the endpoint `flowers` has no deployment `apart`");
    let deleted = machine.ask("delete --name b --endpoint flowers").run();
    assert_eq!(deleted.code, 0, "{deleted:?}");
    assert_eq!(shown(), json!({"a": 0}));
    let delete_again = || machine.ask("delete --json --name b --endpoint flowers").run();
    assert_eq!(delete_again().code, 0);
    let elsewhere = machine.ask("delete --json --name apart --endpoint flowers").run();
    assert_eq!(elsewhere.error()["message"], "the endpoint `flowers` has no deployment `apart`");
    for _twice in 0..2 {
        assert_eq!(machine.ask("delete-endpoint --endpoint flowers").run().code, 0);
    }
    assert_eq!(machine.ask("list-endpoints --json").run().json(), json!([]));
    assert_eq!(delete_again().code, 0, "the endpoint is deleted too");
    let unknown = machine.ask("delete --json --name apart --endpoint flowers").run();
    assert_eq!(unknown.error()["code"], "RESOURCE_DOES_NOT_EXIST", "{unknown:?}");
    assert_eq!(machine.names(), ["a", "apart"], "deployments outlive their endpoint");
}

#[test]
fn invalid_arguments_are_rejected_and_change_nothing() {
    let machine = Machine::new();
    machine.create("iris", &iris());
    let model = iris();
    let model = model.to_str().unwrap();
    for (arguments, code, said) in [
        (
            format!("create --name ../iris -m {model}"),
            "INVALID_PARAMETER_VALUE",
            "invalid name `../iris` for a deployment",
        ),
        ("create --name n -m /no/where".to_owned(), "RESOURCE_DOES_NOT_EXIST", "no model at `/no/where`"),
        (format!("create --name n -m {model}/MLmodel"), "INVALID_PARAMETER_VALUE", "is a file: expected the folder"),
        ("create --name n -m models:/iris/1".to_owned(), "INVALID_PARAMETER_VALUE", "no tracking server given"),
        (
            format!("create --name n -f sklearn -m {model}"),
            "INVALID_PARAMETER_VALUE",
            "it has `onnx`, `python_function`",
        ),
        (
            format!("create --name n -f python_function -m {model}"),
            "INVALID_STATE",
            "no Python with MLflow's scoring server was found to run the flavor `python_function`",
        ),
        (
            format!("create --name n -f onnx -C engine=python -m {model}"),
            "INVALID_PARAMETER_VALUE",
            "the flavor `onnx` is not run by the engine `python`",
        ),
        (format!("create --name n -C sessions=0 -m {model}"), "INVALID_PARAMETER_VALUE", "a whole number from 1"),
        (
            format!("create --name n -C graph_optimization_level=7 -m {model}"),
            "INVALID_PARAMETER_VALUE",
            "unknown optimization level `7`",
        ),
        (
            format!("create --name n -C providers:=[\"X\"] -m {model}"),
            "INVALID_PARAMETER_VALUE",
            "unknown provider `X`",
        ),
        (
            format!("create --name n -C providers:=[\"CUDAExecutionProvider\"] -m {model}"),
            "INVALID_PARAMETER_VALUE",
            "is not part of this ONNX Runtime",
        ),
        (
            format!("create --name n --endpoint none -m {model}"),
            "RESOURCE_DOES_NOT_EXIST",
            "the endpoint `none` does not exist",
        ),
        ("update --name iris".to_owned(), "INVALID_PARAMETER_VALUE", "nothing to update"),
        (
            "delete --name iris --endpoint none".to_owned(),
            "RESOURCE_DOES_NOT_EXIST",
            "the endpoint `none` does not exist",
        ),
        (
            "update --name other -C sessions=1".to_owned(),
            "RESOURCE_DOES_NOT_EXIST",
            "the deployment `other` does not exist: expected one of `iris`",
        ),
        (
            "create-endpoint --endpoint e -C .traffic.none:=1".to_owned(),
            "RESOURCE_DOES_NOT_EXIST",
            "the deployment `none` does not exist",
        ),
        ("create-endpoint --endpoint e -C .traffic.iris:=0".to_owned(), "INVALID_PARAMETER_VALUE", "at least one"),
        (
            "update-endpoint --endpoint e -C .traffic.iris:=1".to_owned(),
            "RESOURCE_DOES_NOT_EXIST",
            "no endpoints exist",
        ),
    ] {
        let ran = machine.ask(&format!("{arguments} --json")).run();
        let error = ran.error();
        assert_eq!(error["code"], code, "{arguments}: {ran:?}");
        assert!(error["message"].as_str().unwrap().contains(said), "{arguments}: {ran:?}");
    }
    assert_eq!((machine.names(), machine.copies()), (vec!["iris".to_owned()], 1));
}

#[test]
fn file_uri_names_a_folder() {
    let machine = Machine::new();
    let folder = tempfile::Builder::new().prefix("a model ").tempdir().unwrap();
    for file in ["MLmodel", "model.onnx"] {
        std::fs::copy(iris().join(file), folder.path().join(file)).unwrap();
    }
    let uri = format!("file://{}", folder.path().to_str().unwrap().replace(' ', "%20"));
    let made = machine.ask("create --name iris -m").arg(uri).run();
    assert_eq!(made.code, 0, "{made:?}");
    drop(folder);
    let answer = machine.ask("predict --name iris -I -").stdin(FLOWERS).run().json();
    assert_eq!(labels(&answer), [0, 2], "a copy was deployed");
}

#[test]
fn delete_of_an_invalid_name_is_an_error() {
    let machine = Machine::new();
    for arguments in ["delete --json --name a/b", "delete-endpoint --json --endpoint a/b"] {
        let refused = machine.ask(arguments).run();
        assert_eq!(refused.error()["code"], "INVALID_PARAMETER_VALUE", "{refused:?}");
        assert!(refused.error()["message"].as_str().unwrap().starts_with("invalid name `a/b` for a"), "{refused:?}");
    }
}

/// All invalid inputs have the exit code 2, although their error codes differ.
#[test]
fn invalid_inputs_have_the_exit_code_of_usage_errors() {
    let machine = Machine::new();
    machine.create("iris", &iris());
    let header = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n";
    for (content_type, inputs) in [
        ("application/json", "{\"inputs\": ".to_owned()),
        ("application/json", String::new()),
        ("text/csv", format!("{header}abc,1,2,3\n")),
        ("text/csv", format!("{header}1,2,3\n")),
    ] {
        let ran = machine.ask("predict --json --name iris -I - --content-type").arg(content_type).stdin(&inputs).run();
        assert_eq!(ran.code, 2, "{inputs:?}: {ran:?}");
        machine.ask("predict --name iris -I -").stdin(FLOWERS).run().json();
    }
}
