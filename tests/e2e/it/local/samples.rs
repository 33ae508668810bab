//! Checks the predictions of every sample model against those of ONNX Runtime in Python.

use std::fs;

use mlflow_deploy_test_support::peers;
use serde_json::{Map, Value};

use super::{Machine, folder, sample};

/// The largest accepted difference between two floats. It is relative to the larger float if that is above 1, and
/// absolute otherwise.
pub(super) const CLOSE: f64 = 1e-5;

#[test]
fn outputs_equal_those_of_onnx_runtime_in_python() {
    let models = folder("tests/e2e/models");
    let theirs = peers::run_script("onnx_outputs.py", &[models.to_str().unwrap()]);
    let theirs: Map<String, Value> = serde_json::from_slice(&theirs).unwrap();
    let machine = Machine::new();
    let (mut largest, mut compared) = (0.0_f64, 0);
    for (name, theirs) in &theirs {
        machine.create(name, &sample(name));
        let file: Value = serde_json::from_slice(&fs::read(models.join(format!("{name}.json"))).unwrap()).unwrap();
        let ran = machine.ask("predict -I - --json --name").arg(name).stdin(file["request"].to_string()).run();
        if name == "sequence" {
            assert_eq!(ran.error()["code"], "NOT_IMPLEMENTED", "{ran:?}");
            continue;
        }
        let ours = by_output(&ran.json()["predictions"]);
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.as_object().unwrap().keys().collect::<Vec<_>>(), "{name}");
        for (output, ours) in &ours {
            let apart = distance(ours, &theirs[output]);
            assert!(apart <= CLOSE, "{name}: `{output}` is {apart} apart: {ours} and {}", theirs[output]);
            largest = largest.max(apart);
        }
        compared += 1;
    }
    println!("models compared with ONNX Runtime in Python: {compared}, largest difference {largest:e}");
}

/// Returns predictions as an object with one member per output. Converts a list of records to such an object, and
/// leaves other predictions unchanged.
fn by_output(predictions: &Value) -> Map<String, Value> {
    let Some(rows) = predictions.as_array() else { return predictions.as_object().unwrap().clone() };
    let mut outputs: Map<String, Value> = Map::new();
    for row in rows {
        for (name, value) in row.as_object().unwrap() {
            let column = outputs.entry(name.as_str()).or_insert_with(|| Value::Array(Vec::new()));
            column.as_array_mut().unwrap().push(value.clone());
        }
    }
    outputs
}

/// Returns the largest difference between corresponding numbers of two values, or infinity if the structures of the
/// values differ.
pub(super) fn distance(ours: &Value, theirs: &Value) -> f64 {
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            ours.iter().zip(theirs).map(|(ours, theirs)| distance(ours, theirs)).fold(0.0, f64::max)
        }
        // A record has a single value of an inner dimension without an array.
        (ours, Value::Array(theirs)) if theirs.len() == 1 => distance(ours, &theirs[0]),
        (Value::Object(ours), Value::Object(theirs)) if ours.keys().eq(theirs.keys()) => {
            ours.values().zip(theirs.values()).map(|(ours, theirs)| distance(ours, theirs)).fold(0.0, f64::max)
        }
        (Value::Number(ours), Value::Number(theirs)) if ours != theirs => {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            (ours - theirs).abs() / ours.abs().max(theirs.abs()).max(1.0)
        }
        (ours, theirs) if ours == theirs => 0.0,
        _ => f64::INFINITY,
    }
}
