//! Checks deployments from every kind of model URI. MLflow's client has logged the models to a real tracking server.

use std::fs;

use mlflow_deploy_test_support::peers::presigning::PresigningServer;
use mlflow_deploy_test_support::peers::{PASSWORD, TrackingServer, USER, run_script};
use serde_json::{Value, json};

use super::{FLOWERS, Machine, copy_of, iris};
use crate::command::Run;

/// Logs the demo model with MLflow's client to the tracking server or the folder `url`. Returns a JSON object with the
/// ids of the run and of the model, and the location of the artifacts.
fn log(url: &str) -> Value {
    serde_json::from_slice(&run_script("log_onnx.py", &[url, iris().to_str().unwrap()])).unwrap()
}

fn labels(machine: &Machine, name: &str) -> Value {
    let answer = machine.ask(&format!("predict --name {name} -I -")).stdin(FLOWERS).run().json();
    answer["predictions"].as_array().unwrap().iter().map(|row| row["label"].clone()).collect()
}

#[test]
fn logged_model_is_deployed_by_every_uri_and_predicts_offline() {
    let machine = Machine::new();
    let server = TrackingServer::start();
    let url = server.url().trim_end_matches('/').to_owned();
    let known = |run: Run| run.env("MLFLOW_TRACKING_URI", &url);
    let first = log(&url);
    let [run_id, model_id, artifacts] = ["run_id", "model_id", "artifacts"].map(|name| first[name].as_str().unwrap());
    let proxied = artifacts.replace("mlflow-artifacts:", &format!("{url}/api/2.0/mlflow-artifacts/artifacts"));
    let uris = [
        (format!("runs:/{run_id}/model"), Value::Null),
        ("models:/iris@champion".to_owned(), json!("1")),
        ("models:/iris/1".to_owned(), json!("1")),
        ("models:/iris/latest".to_owned(), json!("1")),
        (format!("models:/{model_id}"), Value::Null),
        (artifacts.to_owned(), Value::Null),
        (proxied, Value::Null),
    ];
    for (number, (uri, version)) in uris.iter().enumerate() {
        let made = known(machine.ask(&format!("create --json --name m{number} -m"))).arg(uri).run();
        let record = made.json();
        assert_eq!((&record["model_uri"], &record["model_version"]), (&json!(uri), version), "{made:?}");
    }

    // The deployment keeps its model until the next update, even if the alias names another version.
    log(&url);
    assert_eq!(machine.ask("get --json --name m1").run().json()["model_version"], "1");
    let updated = known(machine.ask("update --json --name m1 -m models:/iris@champion")).run().json();
    assert_eq!(updated["model_version"], "2");
    let kept = machine.ask("update --json --name m1 -C sessions=1").run().json();
    assert_eq!((&kept["model_version"], &kept["model_uri"]), (&json!("2"), &json!("models:/iris@champion")));

    for (uri, code, said) in [
        ("models:/iris/3", "RESOURCE_DOES_NOT_EXIST", "(name=iris, version=3) not found"),
        ("models:/iris@none", "RESOURCE_DOES_NOT_EXIST", "has no alias `none`"),
        ("runs:/00000000000000000000000000000000/model", "RESOURCE_DOES_NOT_EXIST", "not found"),
        ("s3://KEY:hunter2@bucket/m?token=hunter2", "INVALID_PARAMETER_VALUE", "a user before `@` is not supported"),
    ] {
        let refused = known(machine.ask("create --json --name refused -m")).arg(uri).run();
        let error = refused.error();
        assert_eq!(error["code"], code, "{refused:?}");
        assert!(error["message"].as_str().unwrap().contains(said), "{refused:?}");
        assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
    }
    assert_eq!((machine.names().len(), machine.copies()), (uris.len(), uris.len()), "no partial download is left");

    drop(server);
    for number in 0..uris.len() {
        assert_eq!(labels(&machine, &format!("m{number}")), json!([0, 2]), "m{number}");
    }
    let gone = known(machine.ask("create --json --name gone --option max_retries=0 -m models:/iris/1")).run();
    assert_eq!(gone.code, 1, "{gone:?}");
    assert_eq!((machine.names().len(), machine.copies()), (uris.len(), uris.len()));
}

#[test]
fn server_gets_the_password_of_the_options_and_output_does_not_contain_it() {
    let machine = Machine::new();
    let server = TrackingServer::start_protected();
    let host = server.url().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let names = log(&format!("http://{USER}:{PASSWORD}@{host}"));
    let path = names["artifacts"].as_str().unwrap().trim_start_matches("mlflow-artifacts:");

    let ask = |name: &str, uri: &str| {
        machine.ask(&format!("create --json --name {name} --option tracking_uri=http://{host} -m")).arg(uri)
    };
    let refused = ask("refused", "models:/iris@champion").run();
    assert_eq!((refused.code, &refused.error()["code"]), (1, &json!("UNAUTHENTICATED")), "{refused:?}");
    let password = format!("password={PASSWORD}");
    let by_option = ask("a", "models:/iris@champion").arg("--option").arg(format!("username={USER}"));
    assert_eq!(by_option.arg("--option").arg(&password).run().json()["model_version"], "1");

    let by_uri = format!("http://{USER}:{PASSWORD}@{host}/api/2.0/mlflow-artifacts/artifacts{path}");
    let made = machine.ask("create --json --name b -m").arg(&by_uri).run();
    let shown = by_uri.replace(&format!("{USER}:{PASSWORD}@"), "");
    assert_eq!(made.json()["model_uri"], json!(shown));
    let state = fs::read_to_string(machine.state_dir().join("state.json")).unwrap();
    let listed = machine.ask("list --json").run();
    for text in [&state, &made.stdout, &made.stderr, &listed.stdout, &refused.stderr] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    assert_eq!([labels(&machine, "a"), labels(&machine, "b")], [json!([0, 2]), json!([0, 2])]);
}

/// `mlflow server --artifacts-presigned-only` of MLflow 3.18 does not send files. It signs URLs with which the client
/// fetches each file from the storage.
#[test]
fn model_is_fetched_from_the_storage_of_a_server_that_signs_urls() {
    let machine = Machine::new();
    let server = PresigningServer::start();
    let logged = server.run_script("log_onnx.py", &[server.url(), iris().to_str().unwrap()]);
    let names: Value = serde_json::from_slice(&logged).unwrap();
    let uris = ["models:/iris/1", "models:/iris@champion"].map(str::to_owned);
    let others =
        [format!("runs:/{}/model", names["run_id"].as_str().unwrap()), names["artifacts"].as_str().unwrap().to_owned()];
    for (number, uri) in uris.iter().chain(&others).enumerate() {
        let made = machine
            .ask(&format!("create --json --name m{number} -m"))
            .arg(uri)
            .env("MLFLOW_TRACKING_URI", server.url())
            .env("MLFLOW_TRACKING_TOKEN", "a-token-for-the-tracking-server")
            .run();
        assert_eq!(made.json()["model_uri"], json!(uri), "{made:?}");
        assert_eq!(labels(&machine, &format!("m{number}")), json!([0, 2]));
    }
    let log = server.storage_log();
    assert!(log.matches("X-Amz-Signature").count() >= 4 * 2, "{log}");

    // The server rejects the request for a model version that does not exist.
    let refused =
        machine.ask("create --json --name n -m models:/iris/2").env("MLFLOW_TRACKING_URI", server.url()).run();
    assert_eq!(refused.error()["code"], "RESOURCE_DOES_NOT_EXIST", "{refused:?}");
}

/// The plugin reads the model's metadata from MLflow's file store, and copies the model's files.
#[test]
fn model_in_a_file_store_is_copied() {
    let (machine, place) = (Machine::new(), tempfile::tempdir().unwrap());
    let names = log(place.path().join("mlruns").to_str().unwrap());
    let uri = format!("runs:/{}/model", names["run_id"].as_str().unwrap());
    let made = machine.ask("create --json --name a -m").arg(&uri).current_dir(place.path()).run();
    assert_eq!(made.json()["model_uri"], json!(uri));
    drop(place);
    assert_eq!(labels(&machine, "a"), json!([0, 2]));
}

#[test]
fn existing_path_is_a_path_even_if_it_looks_like_a_uri() {
    let (machine, place) = (Machine::new(), tempfile::tempdir().unwrap());
    let model = copy_of(&iris());
    for uri in ["models:/iris/1", "my:model@home"] {
        let folder = place.path().join(uri);
        fs::create_dir_all(folder.parent().unwrap()).unwrap();
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(model.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        let made = machine.ask("create --json --name a -m").arg(uri).current_dir(place.path()).run();
        assert_eq!(made.json()["model_uri"], json!(uri), "{made:?}");
        assert_eq!(labels(&machine, "a"), json!([0, 2]));
        assert_eq!(machine.ask("delete --name a").run().code, 0);
    }
}

#[test]
fn invalid_options_are_rejected() {
    let machine = Machine::new();
    for (option, said) in [("nope=1", "nope"), ("timeout:=-1", "timeout"), ("username=me", "password")] {
        let refused = machine.ask("create --json --name a -m models:/iris/1 --option").arg(option).run();
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
}
