//! Checks tables and arrays as inputs: the types of the library, and files in the formats of `pandas.read_json`.

use std::fs;

use mlflow_deploy::args::{Explain, Predict};
use mlflow_deploy::inputs::TableInputs;
use mlflow_deploy::predictions::arrow_array::RecordBatch;
use mlflow_deploy::predictions::ndarray::{ArrayD, arr1};
use mlflow_deploy::{Config, Host, JSON, Payload, PredictionsResponse};
use mlflow_deploy_test_support::cdylib;
use serde_json::{Value, json};

use super::{FLOWERS, Machine, iris, sample};
use crate::command::mlflow_deploy;

const COLUMNS: [&str; 4] = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"];

/// Returns the rows of [`FLOWERS`] as the library's table type, read from a response.
fn flowers() -> RecordBatch {
    let mut rows: Value = serde_json::from_str(FLOWERS).unwrap();
    let rows = rows["dataframe_split"]["data"].take();
    let record = |row: &Value| {
        let members = COLUMNS.iter().zip(row.as_array().unwrap());
        Value::Object(members.map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    };
    let records: Vec<Value> = rows.as_array().unwrap().iter().map(record).collect();
    PredictionsResponse::from_json(json!({"predictions": records}).to_string()).unwrap().get_predictions().unwrap()
}

#[tokio::test]
async fn record_batch_is_an_input_of_predict_and_explain() {
    let machine = Machine::new();
    machine.create("iris", &iris());
    let client = machine.client().await;
    let (ours, text) = (Payload::from_batch(&flowers()).unwrap(), Payload::new(JSON, FLOWERS));
    let request = |inputs: &Payload| Predict {
        deployment_name: Some("iris".to_owned()),
        inputs: inputs.clone(),
        ..Predict::default()
    };
    let answer = client.predict(request(&ours)).await.unwrap();
    assert_eq!(answer, client.predict(request(&text)).await.unwrap());
    let table: RecordBatch = PredictionsResponse::from_json(answer.bytes()).unwrap().get_predictions().unwrap();
    assert_eq!(table.num_rows(), 2);

    let background: Value = serde_json::from_slice(ours.bytes()).unwrap();
    let config = Config::new(&json!({"background": background})).unwrap();
    let request = |inputs: &Payload| Explain {
        deployment_name: Some("iris".to_owned()),
        config: config.clone(),
        inputs: inputs.clone(),
        ..Explain::default()
    };
    let explanation = client.explain(request(&ours)).await.unwrap();
    assert_eq!(explanation, client.explain(request(&text)).await.unwrap());
}

#[tokio::test]
async fn array_is_an_input_of_predict() {
    let machine = Machine::new();
    machine.create("times_2", &sample("times_2"));
    let client = machine.client().await;
    let inputs = Payload::from_array(&arr1(&[1.5, -2.0]));
    let request = Predict { deployment_name: Some("times_2".to_owned()), inputs, ..Predict::default() };
    let answer = client.predict(request).await.unwrap();
    let output: Value = serde_json::from_slice(answer.bytes()).unwrap();
    let output = match &output["predictions"] {
        Value::Object(outputs) => outputs.values().next().unwrap().clone(),
        list => list.clone(),
    };
    let array: ArrayD<f64> =
        PredictionsResponse::from_json(json!({"predictions": output}).to_string()).unwrap().get_predictions().unwrap();
    assert_eq!(array, arr1(&[3.0, -4.0]).into_dyn());
}

#[test]
fn csv_is_an_input_as_the_target_takes_it() {
    let host = |package: &str| Host::builder().plugin(cdylib::path(package)).build();
    let csv = "a,b\n1,x\n";
    let local = host("mlflow-deploy-local").target(Some("local")).unwrap();
    assert_eq!(Payload::from_csv(csv, local.manifest()).unwrap(), Payload::new("text/csv", csv));
    let databricks = host("mlflow-deploy-databricks").target(Some("databricks")).unwrap();
    let json = r#"{"dataframe_split":{"columns":["a","b"],"data":[[1,"x"]]}}"#;
    assert_eq!(Payload::from_csv(csv, databricks.manifest()).unwrap(), Payload::new(JSON, json));
    let error = Payload::from_csv("a,b\n1\n", databricks.manifest()).unwrap_err();
    let reason = "failed to read the input as CSV: line 2 has 1 field, the header line has 2";
    assert!(error.message().starts_with(reason), "{error}");
}

/// Returns the rows of [`FLOWERS`] as JSON, in each of four layouts that `pandas.read_json` reads.
fn forms() -> [String; 4] {
    let [one, two] = [[5.1, 3.5, 1.4, 0.2], [6.2, 3.4, 5.4, 2.3]];
    let members = |value: &dyn Fn(usize) -> Value| {
        Value::Object(COLUMNS.iter().enumerate().map(|(at, name)| ((*name).to_owned(), value(at))).collect())
    };
    [
        json!([members(&|at| json!(one[at])), members(&|at| json!(two[at]))]).to_string(),
        json!({"columns": COLUMNS, "index": [0, 1], "data": [one, two]}).to_string(),
        members(&|at| json!({"0": one[at], "1": two[at]})).to_string(),
        members(&|at| json!([one[at], two[at]])).to_string(),
    ]
}

#[test]
fn command_reads_the_tables_of_pandas_if_the_target_takes_tables() {
    let machine = Machine::new();
    machine.create("iris", &iris());
    let predict =
        |input: &str, more: &str| machine.ask(&format!("predict --name iris -I - --json {more}")).stdin(input).run();
    let expected = predict(FLOWERS, "").json();
    for form in forms() {
        assert_eq!(predict(&form, "").json(), expected, "{form}");
        assert_eq!(predict(&form, "--inputs-format pandas").json(), expected, "{form}");
        let raw = predict(&form, "--inputs-format raw");
        assert_eq!((raw.code, raw.stdout.as_str()), (2, ""), "{form}: {raw:?}");
    }
    let wrong = predict("[1, 2]", "--inputs-format pandas");
    let said = "failed to read the input as a table of pandas: the rows are not all records or all lists: expected";
    assert!(wrong.code == 2 && wrong.error()["message"].as_str().unwrap().starts_with(said), "{wrong:?}");
}

#[test]
fn command_does_not_guess_if_the_target_takes_other_requests() {
    let folder = tempfile::tempdir().unwrap();
    let predict = |input: &str, more: &str| {
        let file = folder.path().join("input.json");
        fs::write(&file, input).unwrap();
        let run = mlflow_deploy(&format!("predict -t c-echo --endpoint e {more} -I")).arg(&file);
        run.arg("--plugin").arg(cdylib::c_plugin()).run()
    };
    let (records, split) = (r#"[{"a":1}]"#, r#"{"dataframe_split":{"columns":["a"],"data":[[1]]}}"#);
    for (more, answer) in [("", records), ("--inputs-format raw", records), ("--inputs-format pandas", split)] {
        let ran = predict(records, more);
        assert_eq!(ran.json(), serde_json::from_str::<Value>(answer).unwrap(), "{more}: {ran:?}");
    }
}

#[test]
fn predict_batch_predicts_each_row_of_csv_and_json_lines() {
    let machine = Machine::new();
    machine.create("iris", &iris());
    let expected = machine.ask("predict --name iris -I - --json").stdin(FLOWERS).run().json();
    // The runtime rounds differently for another number of rows.
    let shown = |prediction: &Value| {
        let probabilities: Vec<f64> = serde_json::from_value(prediction["probabilities"].clone()).unwrap();
        format!("{} {probabilities:.6?}", prediction["label"])
    };
    let expected: Vec<_> = expected["predictions"].as_array().unwrap().iter().map(shown).collect();
    let [one, two] = [[5.1, 3.5, 1.4, 0.2], [6.2, 3.4, 5.4, 2.3]];
    let record = |row: [f64; 4]| {
        let members = COLUMNS.iter().zip(row).map(|(name, value)| ((*name).to_owned(), json!(value)));
        Value::Object(members.collect()).to_string()
    };
    let csv = format!("{}\n5.1,3.5,1.4,0.2\n6.2,3.4,5.4,2.3\n", COLUMNS.join(","));
    let records = format!("{}\n{}\n", record(one), record(two));
    let split = |row: [f64; 4]| json!({"dataframe_split": {"columns": COLUMNS, "data": [row]}}).to_string() + "\n";
    let answers = |input: &str, more: &str| {
        let ran = machine.ask(&format!("predict-batch --name iris -I - -q {more}")).stdin(input).run();
        assert_eq!(ran.code, 0, "{more}: {ran:?}");
        let prediction = |line| serde_json::from_str::<Value>(line).unwrap()["predictions"][0].take();
        ran.stdout.lines().map(|line| shown(&prediction(line))).collect::<Vec<_>>()
    };
    for more in ["", "--batch-rows 2", "--batch-rows 100"] {
        assert_eq!(answers(&csv, &format!("--content-type csv {more}")), expected, "{more}");
        assert_eq!(answers(&records, more), expected, "{more}");
    }
    assert_eq!(answers(&(split(one) + &split(two)), ""), expected);
    let text = records.clone() + "{\"sepal length (cm)\": \"wide\"}\n" + &records;
    let ran = machine.ask("predict-batch --name iris -I - -q --batch-rows 9").stdin(text).run();
    assert_eq!((ran.code, ran.stdout.lines().nth(2), ran.stdout.lines().count()), (1, Some("null"), 5), "{ran:?}");
}
