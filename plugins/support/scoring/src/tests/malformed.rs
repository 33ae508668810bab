//! Tests with malformed and huge requests. Each request is rejected, or read with memory in proportion to its size.

use serde_json::json;

use super::{JSON, signature};
use crate::{Inputs, Tensor, read_request};

const BODY_BYTES: usize = 64 << 20;
const MAX_COLUMNS: usize = 1 << 18;

fn assert_rejected(body: &str, message: &str) {
    let error = read_request(JSON, body.as_bytes(), None).unwrap_err();
    assert_eq!(error.status(), 400);
    assert!(error.message.contains(message), "{error}");
}

#[test]
fn arrays_nest_at_most_64_deep() {
    let nested = |key: &str, depth: usize| format!(r#"{{"{key}": {}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let Inputs::Single(tensor) = read_request(JSON, nested("inputs", 64).as_bytes(), None).unwrap() else { panic!() };
    assert_eq!(tensor.shape(), [1; 64]);
    assert_rejected(&nested("inputs", 65), "nest deeper than 64");
    for depth in [300, 1 << 20] {
        for key in ["inputs", "dataframe_split", "params", "other"] {
            assert_rejected(&nested(key, depth), "recursion limit exceeded");
            assert_rejected(&format!(r#"{{"{key}": {}"#, r#"{"a":"#.repeat(depth)), "recursion limit exceeded");
        }
    }
}

#[test]
fn a_body_of_64_mib_is_read() {
    let text = "é".repeat(BODY_BYTES / 2);
    let Inputs::Single(Tensor::String(array)) =
        read_request(JSON, format!(r#"{{"inputs": ["{text}"]}}"#).as_bytes(), None).unwrap()
    else {
        panic!()
    };
    assert_eq!(array[0], text);
    assert_rejected(&format!(r#"{{"inputs": "{text}"#), "EOF");
    assert_rejected(&" ".repeat(BODY_BYTES), "EOF");
    assert_rejected(&"[".repeat(BODY_BYTES), "is not an object");
}

#[test]
fn a_million_numbers_are_read() {
    let numbers = "1,".repeat(1 << 20);
    let body = format!(r#"{{"inputs": [{}]}}"#, numbers.trim_end_matches(','));
    let Inputs::Single(Tensor::Int64(array)) = read_request(JSON, body.as_bytes(), None).unwrap() else { panic!() };
    assert_eq!(array.len(), 1 << 20);
    assert_rejected(&format!(r#"{{"inputs": [{numbers}]}}"#), "not valid JSON");
    assert_rejected(&format!(r#"{{"inputs": [{numbers}"#), "EOF");
}

#[test]
fn a_column_that_csv_names_twice_is_renamed_as_in_pandas() {
    let Inputs::Frame(columns) = read_request("text/csv", b"n,n\n1,2\n", None).unwrap() else { panic!() };
    assert_eq!(columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["n", "n.1"]);
}

#[test]
fn upper_and_lower_case_are_the_same_in_a_content_type() {
    for content_type in ["Application/JSON", "application/json; Charset=UTF-8", "APPLICATION/JSON;charset=utf-8"] {
        let read = read_request(content_type, br#"{"inputs": [1]}"#, None);
        assert!(matches!(read, Ok(Inputs::Single(_))), "{content_type}");
    }
    read_request("Text/CSV", b"a\n1\n", None).unwrap();
    let error = read_request("Text/Plain", b"a", None).unwrap_err();
    assert_eq!(error.status(), 415);
    assert!(error.message.contains("`Text/Plain`"), "{error}");
}

#[test]
fn too_many_columns_are_rejected() {
    let row = "1,".repeat(MAX_COLUMNS + 1);
    let row = row.trim_end_matches(',');
    assert_rejected(&format!(r#"{{"dataframe_split": {{"data": [[{row}]]}}}}"#), "more than 262144 columns");
    assert_rejected(
        &format!(r#"{{"dataframe_split": {{"columns": [{row}], "data": []}}}}"#),
        "more than 262144 columns",
    );
    let members = (0..=MAX_COLUMNS).map(|index| format!(r#""{index}":1"#)).collect::<Vec<_>>().join(",");
    assert_rejected(&format!(r#"{{"dataframe_records": [{{{members}}}]}}"#), "more than 262144 columns");
    assert_rejected(&format!(r#"{{"inputs": {{{members}}}}}"#), "more than 262144 columns");
    let error = read_request("text/csv", row.as_bytes(), None).unwrap_err();
    assert!(error.message.contains("more than 262144 columns"), "{error}");
}

#[test]
fn records_without_common_keys_are_rejected() {
    let records = (0..20_000).map(|index| format!(r#"{{"{index}":1}}"#)).collect::<Vec<_>>().join(",");
    assert_rejected(&format!(r#"{{"dataframe_records": [{records}]}}"#), "more than 16777216 values are missing");
}

#[test]
fn surplus_columns_of_a_matrix_are_ignored() {
    let signature = signature(&json!({"inputs": [{"type": "long"}, {"type": "long"}]}));
    let row = "7,".repeat(4 << 20);
    let body = format!(r#"{{"inputs": [[{}]]}}"#, row.trim_end_matches(','));
    let Inputs::Frame(columns) = read_request(JSON, body.as_bytes(), signature.as_ref()).unwrap() else { panic!() };
    assert_eq!(columns.len(), 2);
}

#[test]
fn empty_arrays_keep_their_shape() {
    for (values, shape) in [("[]", &[0][..]), ("[[], []]", &[2, 0]), ("[[[]]]", &[1, 1, 0])] {
        let body = format!(r#"{{"inputs": {values}}}"#);
        let Inputs::Single(Tensor::Float64(array)) = read_request(JSON, body.as_bytes(), None).unwrap() else {
            panic!()
        };
        assert_eq!(array.shape(), shape);
    }
    assert_rejected(r#"{"inputs": [[], [1]]}"#, "expected a list of 0 items like the others, got 1");
    assert_rejected(r#"{"inputs": [[], 1]}"#, "expected a list like the others, got a value");
}

#[test]
fn truncated_and_damaged_bodies_do_not_panic() {
    let bodies = [
        r#"{"dataframe_split": {"columns": ["a", "é"], "index": [1], "data": [[1.5, "x"], [null, "\ud83d\ude00"]]}, "params": {"t": [1]}}"#,
        r#"{"dataframe_records": [{"a": 1, "b": true}, {"b": -0.0, "a": NaN}, {"a": -Infinity}]}"#,
        r#"{"inputs": {"x": [[1, 18446744073709551615], [2, 3]], "y": {"z": []}}}"#,
    ];
    for body in bodies {
        read_request(JSON, body.as_bytes(), None).ok();
        for end in 0..body.len() {
            read_request(JSON, &body.as_bytes()[..end], None).unwrap_err();
            let mut damaged = body.as_bytes().to_vec();
            for byte in [0, b'"', b'[', b'}', b',', 0xff] {
                damaged[end] = byte;
                read_request(JSON, &damaged, None).ok();
            }
        }
    }
}
