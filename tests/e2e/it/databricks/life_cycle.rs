//! Runs the command through the whole life cycle of an endpoint of Databricks.

use mlflow_deploy_test_support::databricks::{CLIENT_ID, CLIENT_SECRET, Databricks, TOKEN};
use serde_json::{Value, json};

use crate::command::{Run, mlflow_deploy};

/// Returns a run of the command on a fake Databricks workspace, with the workspace's access token.
fn ask(workspace: &Databricks, arguments: &str) -> Run {
    let run = mlflow_deploy(arguments).plugin("mlflow-deploy-databricks").arg("--target").arg("databricks");
    run.env("DATABRICKS_HOST", workspace.url()).env("DATABRICKS_TOKEN", TOKEN).arg("--option").arg("poll_interval:=0.1")
}

const SERVED: &str = r#".config.served_entities:=[{"name":"m","entity_name":"main.a.m","entity_version":"1"}]"#;

#[test]
fn plugin_creates_updates_and_deletes_an_endpoint() {
    run_life_cycle("");
}

#[test]
fn isolated_plugin_creates_updates_and_deletes_an_endpoint() {
    run_life_cycle("--isolate");
}

fn run_life_cycle(isolate: &str) {
    let ask = |workspace: &Databricks, arguments: &str| ask(workspace, &format!("{arguments} {isolate}"));
    let workspace = Databricks::start();
    let create = || ask(&workspace, "create-endpoint --endpoint chat --wait -v").arg("-C").arg(SERVED);
    let made = create().run();
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.stderr.contains("`chat` is ready") && made.stderr.contains("IN_PROGRESS; `m`: creating"), "{made:?}");
    let shown = ask(&workspace, "get-endpoint --endpoint chat --json").run().json();
    assert_eq!(shown["state"], json!({"ready": "READY", "config_update": "NOT_UPDATING"}));
    let listed = ask(&workspace, "list-endpoints --json").run().json();
    assert_eq!(listed.as_array().unwrap().iter().map(|each| &each["name"]).collect::<Vec<_>>(), ["chat"]);
    let tags = ask(&workspace, "invoke update_endpoint_tags --endpoint chat --json").arg("-C");
    let tags = tags.arg(r#"add_tags:=[{"key":"team","value":"a"}]"#).run().json();
    assert_eq!(tags, json!({"tags": [{"key": "team", "value": "a"}]}));
    let inputs = r#"{"messages": [{"role": "user", "content": "one two three"}]}"#;
    let answer = ask(&workspace, "predict --endpoint chat -I - --json").stdin(inputs).run().json();
    assert_eq!(answer["choices"][0]["message"]["content"], "one two three");
    let streamed = ask(&workspace, "predict --endpoint chat -I - --stream").stdin(inputs).run();
    assert_eq!((streamed.code, streamed.stdout.lines().count()), (0, 3), "{streamed:?}");
    let metrics = ask(&workspace, "invoke get_metrics --endpoint chat").run();
    assert!(metrics.stdout.contains("request_count_total{endpoint=\"chat\"} 0"), "{metrics:?}");
    for _twice in 0..2 {
        let deleted = ask(&workspace, "delete-endpoint --endpoint chat").run();
        assert_eq!((deleted.code, deleted.stdout.as_str()), (0, "\nEndpoint chat is deleted\n"), "{deleted:?}");
    }
    assert_eq!(ask(&workspace, "get-endpoint --endpoint chat --json").run().code, 5);
}

#[test]
fn config_names_the_new_endpoint() {
    let workspace = Databricks::start();
    let create = |arguments: &str| ask(&workspace, &format!("create-endpoint {arguments}")).arg("-C").arg(SERVED).run();
    let made = create("-C name=chat");
    assert_eq!((made.code, made.stdout.as_str()), (0, "\nEndpoint chat is created\n"), "{made:?}");
    assert!(!made.stderr.contains("deprecated"), "{made:?}");
    let conflict = create("-C name=chat --endpoint other --json");
    assert_eq!(conflict.code, 2, "{conflict:?}");
    assert_eq!(
        conflict.error()["message"],
        "conflicting endpoint names: the argument is `other`, but the config has `chat`; specify only one"
    );
    let unnamed = create("--json");
    assert_eq!(unnamed.error()["code"], "INVALID_PARAMETER_VALUE", "{unnamed:?}");
    let deprecated = create("--endpoint second");
    assert_eq!(deprecated.code, 0, "{deprecated:?}");
    assert!(deprecated.stderr.contains("specify it only as `name` in the config"), "{deprecated:?}");
}

#[test]
fn failed_update_reports_the_reason() {
    let workspace = Databricks::start();
    assert_eq!(ask(&workspace, "create-endpoint --endpoint chat --wait").arg("-C").arg(SERVED).run().code, 0);
    let update =
        || ask(&workspace, "update-endpoint --endpoint chat --json").arg("-C").arg(SERVED.replace(".config.", ""));
    assert_eq!(update().run().code, 0);
    let busy = update().run();
    assert_eq!(busy.error()["http"]["status"], 409, "{busy:?}");
    workspace.fail_update("chat", "the image cannot be built");
    ask(&workspace, "get-endpoint --endpoint chat").run();
    workspace.fail_update("chat", "no such model");
    let failed = update().arg("--wait").run();
    assert_eq!((failed.code, &failed.error()["code"]), (1, &json!("UPDATE_FAILED")), "{failed:?}");
    let expected = "the update of `chat` failed: UPDATE_FAILED: `m`: no such model";
    assert_eq!(failed.error()["message"], expected);
}

#[test]
fn service_principal_signs_in_and_a_wrong_secret_is_an_error() {
    let workspace = Databricks::start();
    let run = |secret: &str| {
        let run = mlflow_deploy("list-endpoints --target databricks --json").plugin("mlflow-deploy-databricks");
        let run = run.env("DATABRICKS_HOST", workspace.url()).env("DATABRICKS_CLIENT_ID", CLIENT_ID);
        run.env("DATABRICKS_CLIENT_SECRET", secret).run()
    };
    assert_eq!(run(CLIENT_SECRET).json(), Value::Array(Vec::new()));
    let refused = run("wrong-secret");
    assert_eq!(refused.error()["code"], "UNAUTHENTICATED", "{refused:?}");
    assert!(!refused.stderr.contains("wrong-secret"), "{refused:?}");
}
