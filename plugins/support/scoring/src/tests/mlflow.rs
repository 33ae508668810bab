//! Tests that 1,266 requests are read as MLflow reads them, except for the differences listed in `differences.txt`.
//! `record.py` recorded the results of MLflow.

use std::collections::HashMap;
use std::fmt::Write;
use std::{env, fs};

use serde_json::{Value, json};

use super::signature;
use crate::{Inputs, ProtocolError, Tensor, read_request};

const RECORDED: &str = include_str!("recordings/mlflow.json");
const DIFFERENCES: &str = include_str!("recordings/differences.txt");

/// If the environment variable `DIFFERENCES` is set, rewrites `differences.txt`. Every changed line then needs a
/// review.
#[test]
fn requests_are_read_as_mlflow_reads_them_except_for_listed_differences() {
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let signatures: HashMap<_, _> = recorded["signatures"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, recorded)| (name.as_str(), signature(recorded)))
        .collect();
    let cases = recorded["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 1266);
    let mut same = 0;
    let mut differences: [Vec<String>; 4] = Default::default();
    for case in cases {
        let [name, content_type, body, theirs] = case.as_array().unwrap().as_slice() else { panic!("{case}") };
        let (name, content_type, body) =
            (name.as_str().unwrap(), content_type.as_str().unwrap(), body.as_str().unwrap());
        let ours = read_request(content_type, body.as_bytes(), signatures[name].as_ref());
        if is_same(theirs, &ours) {
            same += 1;
            continue;
        }
        let kind = match (theirs.get("refused"), &ours) {
            (None, Err(_)) => 0,
            (Some(_), Ok(_)) => 1,
            (None, Ok(_)) => 2,
            (Some(_), Err(_)) => 3,
        };
        let ours = match ours {
            Ok(inputs) => show(&inputs).to_string(),
            Err(error) => format!("{} {}: {error}", error.error_code(), error.error_class()),
        };
        differences[kind].push(format!("{name} {body}\n  MLflow {theirs}\n  here   {ours}\n"));
    }
    let titles = ["rejected here only", "accepted here only", "other values", "rejected by both with another code"];
    let mut listed = format!("{same} of {} are the same.\n", cases.len());
    for (title, differences) in titles.iter().zip(&differences) {
        writeln!(listed, "\n# {title}: {}\n\n{}", differences.len(), differences.concat()).unwrap();
    }
    if env::var_os("DIFFERENCES").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/recordings/differences.txt");
        fs::write(path, &listed).unwrap();
    } else {
        assert!(listed == DIFFERENCES, "the differences changed:\n{listed}");
    }
}

fn is_same(theirs: &Value, ours: &Result<Inputs, ProtocolError>) -> bool {
    match ours {
        Err(error) => theirs["refused"] == json!([error.error_code().as_str(), error.error_class()]),
        Ok(inputs) => {
            let (kind, ours) =
                show(inputs).as_object().unwrap().iter().next().map(|(k, v)| (k.clone(), v.clone())).unwrap();
            is_same_value(&theirs[kind], &ours)
        }
    }
}

/// Returns true if a value of MLflow and a value of this crate are equal. Allows each of numpy's names for string and
/// byte types.
fn is_same_value(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Array(theirs), Value::Array(ours)) => {
            theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(theirs, ours)| is_same_value(theirs, ours))
        }
        (Value::String(theirs), Value::String(ours)) if ours == "str" => {
            theirs == "object" || theirs == "str" || theirs.starts_with("<U")
        }
        (Value::String(theirs), Value::String(ours)) if ours == "bytes" => {
            theirs == "object" || theirs.starts_with("|S")
        }
        // MLflow's columns of lists are objects.
        (Value::String(theirs), Value::String(_)) if theirs == "object" => true,
        // `serde_json` may read the last digit of a float differently.
        (Value::Number(theirs), Value::Number(ours)) if theirs.is_f64() && ours.is_f64() => {
            let (theirs, ours) = (theirs.as_f64().unwrap(), ours.as_f64().unwrap());
            (theirs - ours).abs() <= theirs.abs() * f64::EPSILON
        }
        _ => theirs == ours,
    }
}

fn show(inputs: &Inputs) -> Value {
    match inputs {
        Inputs::Frame(columns) => {
            let column = |(name, tensor): &(String, Tensor)| json!([name, tensor.dtype().name(), values(tensor)]);
            json!({"frame": columns.iter().map(column).collect::<Vec<_>>()})
        }
        Inputs::Named(tensors) => {
            let tensor = |(name, tensor): &(String, Tensor)| {
                json!([name, tensor.dtype().name(), tensor.shape(), values(tensor)])
            };
            json!({"named": tensors.iter().map(tensor).collect::<Vec<_>>()})
        }
        Inputs::Single(tensor) => json!({"array": [tensor.dtype().name(), tensor.shape(), values(tensor)]}),
    }
}

/// Returns the values of a tensor as JSON, in the format of the recordings by `record.py`.
fn values(tensor: &Tensor) -> Value {
    match tensor {
        Tensor::Bool(array) => nested(array.view(), |truth| json!(truth)),
        Tensor::Int32(array) => nested(array.view(), |int| json!(int)),
        Tensor::Int64(array) => nested(array.view(), |int| json!(int)),
        Tensor::UInt8(array) => nested(array.view(), |int| json!(int)),
        Tensor::UInt64(array) => nested(array.view(), |int| json!(int)),
        Tensor::Float32(array) => nested(array.view(), |float| number(f64::from(*float))),
        Tensor::Float64(array) => nested(array.view(), |float| number(*float)),
        Tensor::String(array) => nested(array.view(), |text| json!(text)),
        Tensor::Binary(array) => nested(
            array.view(),
            |bytes| json!({"bytes": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()}),
        ),
        Tensor::Datetime(array) => nested(array.view(), |time| json!({"nanoseconds": time})),
        other => panic!("unexpected dtype {}", other.dtype()),
    }
}

fn nested<T>(array: ndarray::ArrayViewD<'_, T>, value: impl Fn(&T) -> Value + Copy) -> Value {
    match array.ndim() {
        0 => value(array.first().unwrap()),
        _ => array.outer_iter().map(|inner| nested(inner, value)).collect(),
    }
}

fn number(float: f64) -> Value {
    match float {
        float if float.is_nan() => json!({"float": "nan"}),
        f64::INFINITY => json!({"float": "inf"}),
        f64::NEG_INFINITY => json!({"float": "-inf"}),
        float => json!(float),
    }
}
