//! Tests of error messages, which name the position, the value, and the expected value or type.

use serde_json::json;

use super::{JSON, signature};
use crate::read_request;

fn message_of(content_type: &str, body: &str, inputs: serde_json::Value) -> String {
    let signature = signature(&json!({ "inputs": inputs }));
    let error = read_request(content_type, body.as_bytes(), signature.as_ref()).unwrap_err();
    assert_eq!(mlflow_deploy_plugin_api::Error::from(error.clone()).message(), error.message);
    error.message
}

#[test]
fn a_message_names_the_column_the_row_and_the_value() {
    let columns = json!([{"type": "integer", "name": "age"}, {"type": "double", "name": "income"}]);
    for (content_type, body, message) in [
        (
            JSON,
            r#"{"dataframe_split": {"columns": ["age", "income"], "data": [[1, 2], [3.5, 4]]}}"#,
            "column `age`, row 1: `3.5` has a fraction; the model takes `integer`",
        ),
        (
            JSON,
            r#"{"dataframe_records": [{"age": 1, "income": 1}, {"age": 2}, {"age": 3, "income": "low"}]}"#,
            "column `income`, row 2: `\"low\"` is not a number; the model takes `double`",
        ),
        ("text/csv", "age,income\n1,2\n,3\n", "column `age`, row 1: the value is missing; the model takes `integer`"),
        ("text/csv", "age,income\n1,2\n3\n", "the body is not valid CSV: line 3 has 1 field, and the header has 2"),
        (
            "text/csv",
            "age,incoem\n1,2\n",
            "the request lacks `income`, which the model takes: the request has `age`, `incoem`",
        ),
        (
            JSON,
            r#"{"dataframe_split": {"columns": ["age", "income"], "data": [[[1], 2]]}}"#,
            "column `age` has a list in a row; the model takes one value of `integer`",
        ),
        (
            JSON,
            r#"{"dataframe_split": {"columns": ["age"], "data": [[1], [2, 3]]}}"#,
            "row 1 of `dataframe_split` has 2 values, but row 0 has 1",
        ),
        (
            JSON,
            r#"{"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}}"#,
            "`dataframe_split` has 1 names in `columns`, but 2 values in each row of `data`",
        ),
    ] {
        assert_eq!(message_of(content_type, body, columns.clone()), message);
    }
}

#[test]
fn a_message_names_the_input_and_the_indexes() {
    let tensor = json!([{"type": "tensor", "name": "x", "tensor-spec": {"dtype": "uint8", "shape": [-1, 2]}}]);
    for (body, message) in [
        (
            r#"{"inputs": {"x": [[0, 255], [1, 256]]}}"#,
            "input `x` at [1][1]: `256` is out of range; the model takes `uint8`",
        ),
        (r#"{"inputs": [[1, 2, 3]]}"#, "input `x` has shape (1, 3); the model takes (-1, 2)"),
        (
            r#"{"inputs": [[1, 2], [3]]}"#,
            "input `x` is not an array: expected a list of 2 items like the others, got 1 at [1]",
        ),
        (
            r#"{"inputs": [[1, 2], 3]}"#,
            "input `x` is not an array: expected a list like the others, got a value at [1]",
        ),
        (r#"{"inputs": [1, [2]]}"#, "input `x` is not an array: expected a value like the others, got a list at [1]"),
        (r#"{"inputs": {"y": [[1, 2]]}}"#, "the request lacks `x`, which the model takes: the request has `y`"),
    ] {
        assert_eq!(message_of(JSON, body, tensor.clone()), message);
    }
}

#[test]
fn an_unsupported_type_is_named() {
    let columns = json!([{"type": "map", "values": {"type": "long"}, "name": "a"}]);
    assert_eq!(
        message_of(JSON, r#"{"dataframe_records": [{"a": {}}]}"#, columns),
        "column `a` is `map` in the model's signature, which this target does not support",
    );
}

#[test]
fn invalid_json_is_rejected_with_its_position() {
    for (body, message) in [
        ("{\"inputs\":\n [1, x]}", "the body is not valid JSON: expected value at line 2 column 6"),
        (r#"{"inputs": [1e999]}"#, "the number `1e999` at line 1 column 13 is out of range for a float"),
        (
            r#"{"a": 1, "params": {}}"#,
            "the body has `a`: expected an object with one of `inputs`, `instances`, `dataframe_records` and `dataframe_split`",
        ),
        (
            r#"{"inputs": 1, "instances": 1}"#,
            "the body has `inputs` and `instances`: expected an object with one of `inputs`, `instances`, `dataframe_records` and `dataframe_split`",
        ),
    ] {
        assert_eq!(read_request(JSON, body.as_bytes(), None).unwrap_err().message, message);
    }
    let error = read_request(JSON, b"{\"inputs\": \"\xff\"}", None).unwrap_err();
    assert_eq!(error.message, "the body is not UTF-8: invalid byte at offset 12");
}

#[test]
fn long_values_and_many_names_are_shortened() {
    let long = "x".repeat(1 << 16);
    let body = json!({"dataframe_records": [{"a": long, "b": long}]}).to_string();
    let message = message_of(JSON, &body, json!([{"type": "double", "name": "a"}]));
    assert!(message.len() < 200, "{message}");
    let names: serde_json::Map<_, _> =
        (0..1000).map(|index| (format!("{index}{}", &long[..100]), json!([1]))).collect();
    let message = message_of(JSON, &json!({ "inputs": names }).to_string(), json!([{"type": "double", "name": "a"}]));
    assert!(message.len() < 1000 && message.contains("992 more"), "{message}");
}
