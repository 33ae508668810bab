//! Requests that nobody should send: each is refused, or read in memory that its size explains.

use serde_json::json;

use super::{JSON, signature};
use crate::tensor::Tensor;
use crate::{Inputs, read};

const MANY: usize = 64 << 20;
const MOST_COLUMNS: usize = 1 << 18;

fn refused(body: &str, why: &str) {
    let fault = read(JSON, body.as_bytes(), None).unwrap_err();
    assert_eq!(fault.status(), 400);
    assert!(fault.message.contains(why), "{}", fault.message);
}

#[test]
fn nesting_that_no_array_has() {
    let nested = |key: &str, depth: usize| format!(r#"{{"{key}": {}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let Inputs::Single(tensor) = read(JSON, nested("inputs", 64).as_bytes(), None).unwrap() else { panic!() };
    assert_eq!(tensor.shape(), [1; 64]);
    refused(&nested("inputs", 65), "nest deeper than 64");
    for depth in [300, 1 << 20] {
        for key in ["inputs", "dataframe_split", "params", "other"] {
            refused(&nested(key, depth), "recursion limit exceeded");
            refused(&format!(r#"{{"{key}": {}"#, r#"{"a":"#.repeat(depth)), "recursion limit exceeded");
        }
    }
}

#[test]
fn a_body_of_64_mib() {
    let text = "é".repeat(MANY / 2);
    let Inputs::Single(Tensor::String(array)) =
        read(JSON, format!(r#"{{"inputs": ["{text}"]}}"#).as_bytes(), None).unwrap()
    else {
        panic!()
    };
    assert_eq!(array[0], text);
    refused(&format!(r#"{{"inputs": "{text}"#), "EOF");
    refused(&" ".repeat(MANY), "EOF");
    refused(&"[".repeat(MANY), "is not an object");
}

#[test]
fn a_million_numbers() {
    let numbers = "1,".repeat(1 << 20);
    let body = format!(r#"{{"inputs": [{}]}}"#, numbers.trim_end_matches(','));
    let Inputs::Single(Tensor::Int64(array)) = read(JSON, body.as_bytes(), None).unwrap() else { panic!() };
    assert_eq!(array.len(), 1 << 20);
    refused(&format!(r#"{{"inputs": [{numbers}]}}"#), "not valid JSON");
    refused(&format!(r#"{{"inputs": [{numbers}"#), "EOF");
}

#[test]
fn columns_without_end() {
    let row = "1,".repeat(MOST_COLUMNS + 1);
    let row = row.trim_end_matches(',');
    refused(&format!(r#"{{"dataframe_split": {{"data": [[{row}]]}}}}"#), "more than 262144 columns");
    refused(&format!(r#"{{"dataframe_split": {{"columns": [{row}], "data": []}}}}"#), "more than 262144 columns");
    let members = (0..=MOST_COLUMNS).map(|index| format!(r#""{index}":1"#)).collect::<Vec<_>>().join(",");
    refused(&format!(r#"{{"dataframe_records": [{{{members}}}]}}"#), "more than 262144 columns");
    refused(&format!(r#"{{"inputs": {{{members}}}}}"#), "more than 262144 columns");
    let fault = read("text/csv", row.as_bytes(), None).unwrap_err();
    assert!(fault.message.contains("more than 262144 columns"), "{}", fault.message);
}

#[test]
fn records_that_have_nothing_in_common() {
    let records = (0..20_000).map(|index| format!(r#"{{"{index}":1}}"#)).collect::<Vec<_>>().join(",");
    refused(&format!(r#"{{"dataframe_records": [{records}]}}"#), "leave out more than 16777216 values");
}

#[test]
fn a_matrix_wider_than_its_signature() {
    let signature = signature(&json!({"inputs": [{"type": "long"}, {"type": "long"}]}));
    let row = "7,".repeat(4 << 20);
    let body = format!(r#"{{"inputs": [[{}]]}}"#, row.trim_end_matches(','));
    let Inputs::Frame(columns) = read(JSON, body.as_bytes(), signature.as_ref()).unwrap() else { panic!() };
    assert_eq!(columns.len(), 2);
}

#[test]
fn shapes_without_values() {
    for (values, shape) in [("[]", &[0][..]), ("[[], []]", &[2, 0]), ("[[[]]]", &[1, 1, 0])] {
        let body = format!(r#"{{"inputs": {values}}}"#);
        let Inputs::Single(Tensor::Float64(array)) = read(JSON, body.as_bytes(), None).unwrap() else { panic!() };
        assert_eq!(array.shape(), shape);
    }
    refused(r#"{"inputs": [[], [1]]}"#, "a list has 1 items where others have 0");
    refused(r#"{"inputs": [[], 1]}"#, "a value is where others are lists");
}

#[test]
fn text_that_is_cut_anywhere_is_refused_without_a_panic() {
    let bodies = [
        r#"{"dataframe_split": {"columns": ["a", "é"], "index": [1], "data": [[1.5, "x"], [null, "\ud83d\ude00"]]}, "params": {"t": [1]}}"#,
        r#"{"dataframe_records": [{"a": 1, "b": true}, {"b": -0.0, "a": NaN}, {"a": -Infinity}]}"#,
        r#"{"inputs": {"x": [[1, 18446744073709551615], [2, 3]], "y": {"z": []}}}"#,
    ];
    for body in bodies {
        read(JSON, body.as_bytes(), None).ok();
        for end in 0..body.len() {
            read(JSON, &body.as_bytes()[..end], None).unwrap_err();
            let mut damaged = body.as_bytes().to_vec();
            for byte in [0, b'"', b'[', b'}', b',', 0xff] {
                damaged[end] = byte;
                // Whatever comes of it, it is no panic.
                read(JSON, &damaged, None).ok();
            }
        }
    }
}
