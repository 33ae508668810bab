//! Checks predictions and explanations of models that run in Python.

use std::fs;
use std::sync::{Arc, Mutex};

use mlflow_deploy::args::{Predict, UpdateDeployment};
use mlflow_deploy::{ClientOptions, Host, Payload};
use mlflow_deploy_test_support::cdylib;
use serde_json::{Value, json};

use super::super::samples::{CLOSE, distance};
use super::super::{LOCAL, Machine, folder, sample};
use super::fixture::{ask, client, create, doubled, interpreter, mood, moody, predict, python_sample, servers, until};

#[tokio::test]
async fn predictions_equal_those_of_mlflow_s_scoring_server() {
    let machine = Machine::new();
    let client = client(&machine).await;
    let (mut same, mut failing) = (0, Vec::new());
    for model in ["sklearn_iris", "sklearn_nosig"] {
        create(&client, model, &python_sample(model)).await;
        let recorded = folder("plugins/support/scoring/src/tests/recordings").join(format!("{model}.json"));
        let recorded: Value = serde_json::from_slice(&fs::read(recorded).unwrap()).unwrap();
        for case in recorded["cases"].as_array().unwrap() {
            let (request, response) = (&case["request"], &case["response"]);
            let text = |key: &str| request[key].as_str().map(str::to_owned);
            // The other recordings test HTTP. A payload always has a content type.
            let (Some(content_type), Some(body)) = (text("content_type"), text("body")) else { continue };
            if request["path"] != "/invocations" || content_type.is_empty() {
                continue;
            }
            let inputs = Payload::new(content_type, body);
            let predict = Predict { deployment_name: Some(model.to_owned()), inputs, ..Predict::default() };
            let ours = client.predict(predict).await;
            let is_same = match &ours {
                Ok(answer) => {
                    let theirs = response["body"].as_str().unwrap_or_default();
                    response["status"] == 200
                        && (answer.bytes() == theirs.as_bytes()
                            || distance(&answer.json().unwrap(), &serde_json::from_str(theirs).unwrap()) <= CLOSE)
                }
                Err(error) => {
                    let theirs = &response["error"];
                    let is_text = theirs.is_null();
                    let is_their = |detail: &str| Some(&theirs[detail]) == error.details().get(detail);
                    error.http_status().is_some_and(|status| response["status"] == status)
                        && (is_text || theirs["error_code"] == error.code().as_str())
                        && (is_text || is_their("error_class") && is_their("sqlstate"))
                }
            };
            match is_same {
                true => same += 1,
                false => failing.push(format!("{model}/{}: {ours:?}, and MLflow {response}", case["name"])),
            }
        }
    }
    println!("scoring recordings through Python: {same} passing, {} failing", failing.len());
    assert!(failing.is_empty(), "{}", failing.join("\n"));
}

#[test]
fn model_without_onnx_runs_in_python_and_the_output_reports_it() {
    let machine = Machine::new();
    let made = ask(&machine, "create --name iris -v -m").arg(python_sample("sklearn_iris")).run();
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.stdout.contains("python_function deployment iris is created"), "{made:?}");
    assert!(made.stderr.contains("the flavor `python_function` is run by ") && made.stderr.contains("MLflow 3.17.2"));
    let record = machine.ask("get --name iris --json").run().json();
    assert_eq!((&record["engine"], &record["flavor"]), (&"python".into(), &"python_function".into()));
    assert_eq!(record["python"], interpreter().to_str().unwrap());
    // The deployment stores its interpreter, so the calls do not need it in their environment. Two calls run in
    // parallel.
    let request = fs::read(python_sample("sklearn_iris/serving_input_example.json")).unwrap();
    let two = [(); 2].map(|()| {
        let predict = machine.ask("predict --name iris -I - --json").env("HOME", machine.0.path());
        predict.stdin(&request).spawn()
    });
    for one in two {
        let ended = one.wait_with_output().unwrap();
        let answer: Value = serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        assert_eq!(answer, json!({"predictions": [0, 0, 0]}));
    }
    // The list contains a killed process until the system has removed it.
    until("the servers are gone", || servers(&machine).is_empty().then_some(()));
}

#[tokio::test]
async fn workers_are_processes_that_predict_at_the_same_time() {
    let (machine, model) = (Machine::new(), moody());
    let made = ask(&machine, "create --name moody -C workers=2 -m").arg(model.path()).run();
    assert_eq!(made.code, 0, "{made:?}");
    let client = client(&machine).await;
    let folder = tempfile::tempdir().unwrap();
    // Each prediction waits until another process has also started a prediction.
    let meet = mood(&format!("meet {}", folder.path().display()));
    let (one, other) = tokio::join!(predict(&client, "moody", &meet), predict(&client, "moody", &meet));
    assert_eq!((one.unwrap(), other.unwrap()), (doubled(), doubled()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);

    let refused = ask(&machine, "create --name other --json -C workers=2 -m").arg(sample("times_2")).run();
    let message = refused.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the engine `onnx` does not use `workers`"), "{message}");
    let refused = ask(&machine, "update --name moody --json -C workers=0").run();
    assert_eq!(refused.code, 2, "{refused:?}");
}

#[test]
fn python_model_is_explained() {
    let (machine, model) = (Machine::new(), moody());
    assert_eq!(ask(&machine, "create --name moody -m").arg(model.path()).run().code, 0);
    let background = r#"background={"dataframe_split": {"columns": ["x", "do"], "data": [[1, "a"], [4, "b"]]}}"#;
    let explain = ask(&machine, "explain --name moody -I - --json -C").arg(background.replacen('=', ":=", 1));
    let explained = explain.stdin(mood("")).run().json();
    // The model is linear, so the value of `x` is twice its distance from the mean. The text column adds 0.
    assert_eq!(explained["feature_names"], json!(["x", "do"]));
    assert_eq!(explained["output"], "x");
    assert_eq!(explained["base_values"], json!([5.0]));
    assert_eq!(explained["values"], json!([[[37.0], [0.0]]]));
    assert_eq!(explained["predictions"], json!([[42.0]]));
}

#[test]
fn engine_option_selects_the_flavor() {
    let machine = Machine::new();
    let request = r#"{"inputs": [1.0]}"#;
    for (config, engine) in [("engine=python", "python"), ("engine=onnx", "onnx")] {
        let verb = if engine == "python" { "create" } else { "update" };
        let made = ask(&machine, verb).arg("--name").arg("double").arg("-C").arg(config);
        let made = if engine == "python" { made.arg("-m").arg(sample("times_2")) } else { made };
        let made = made.run();
        assert_eq!(made.code, 0, "{made:?}");
        let record = machine.ask("get --name double --json").run().json();
        assert_eq!(record["engine"], engine, "{record}");
        let answer = ask(&machine, "predict --name double --json -I -").stdin(request).run().json();
        assert_eq!(answer, json!({"predictions": {"y": [2.0]}}), "{engine}");
    }
    let refused =
        ask(&machine, "create --name other --json -C engine=onnx -m").arg(python_sample("sklearn_iris")).run();
    let message = refused.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("no flavor `onnx`: it has `python_function`, `sklearn`"), "{message}");
}

#[test]
fn stored_settings_of_another_engine_are_dropped_with_a_warning() {
    let (machine, model) = (Machine::new(), moody());
    let made = ask(&machine, "create --name m -C sessions=2 -C intra_op_num_threads=1 -m").arg(sample("times_2")).run();
    assert_eq!(made.code, 0, "{made:?}");

    let refused = ask(&machine, "update --name m --json -C sessions=2 -m").arg(model.path()).run();
    let message = refused.error()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("the engine `python` does not use `sessions` of the config: remove it; it uses"),
        "{message}"
    );
    assert_eq!(machine.ask("get --name m --json").run().json()["config"]["sessions"], 2);

    let updated = ask(&machine, "update --name m -C start_timeout=100 -m").arg(model.path()).run();
    assert_eq!(updated.code, 0, "{updated:?}");
    let warning =
        "the engine `python`, which does not use `sessions`, `intra_op_num_threads` of the stored config: dropped";
    assert!(updated.stderr.contains(warning), "{updated:?}");
    assert_eq!(machine.ask("get --name m --json").run().json()["config"], json!({"start_timeout": 100}));

    let back = ask(&machine, "update --name m -m").arg(sample("times_2")).run();
    assert!(back.stderr.contains("does not use `start_timeout` of the stored config: dropped"), "{back:?}");
    assert_eq!(machine.ask("get --name m --json").run().json()["config"], json!({}));
    let answer = ask(&machine, "predict --name m -I -").stdin(r#"{"inputs": [1.0]}"#).run().json();
    assert_eq!(answer, json!({"predictions": {"y": [2.0]}}));
}

#[tokio::test]
async fn a_program_hears_of_dropped_settings() {
    let (machine, model) = (Machine::new(), moody());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    let host = Host::builder().plugin(cdylib::path(LOCAL)).on_event(move |event| {
        listener.lock().unwrap().push(event.event.message.clone());
    });
    let options = json!({"state_dir": machine.state_dir(), "python": interpreter()});
    let options = ClientOptions::new(&options).unwrap();
    let client = host.build().get_deploy_client_with(Some("local"), &options).await.unwrap();
    let made = ask(&machine, "create --name m -C sessions=2 -m").arg(sample("times_2")).run();
    assert_eq!(made.code, 0, "{made:?}");
    let model_uri = Some(model.path().display().to_string());
    let update = UpdateDeployment { name: "m".to_owned(), model_uri, ..UpdateDeployment::default() };
    client.update_deployment(update).await.unwrap();
    let heard = heard.lock().unwrap();
    let dropped = heard.iter().filter(|message| message.contains("does not use `sessions` of the stored config"));
    assert_eq!(dropped.count(), 1, "{heard:?}");
}
