//! Tests of inputs from tables and arrays: every type that has a JSON form, types that have none, and arrays of each
//! shape.

use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, BinaryArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array, ListArray,
    RecordBatch, StringViewArray, StructArray, TimestampMillisecondArray, TimestampSecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field};
use half::f16;
use mlflow_deploy_plugin_api::Payload;
use ndarray::{ArrayD, arr0, arr1, arr3};

use super::TableInputs;
use crate::client::predictions::{PredictionsResponse, Value};

fn json(columns: Vec<(&str, ArrayRef)>) -> String {
    let inputs = Payload::from_batch(&RecordBatch::try_from_iter(columns).unwrap()).unwrap();
    assert!(inputs.is_json());
    String::from_utf8(inputs.into_bytes()).unwrap()
}

/// Returns the JSON of the only value in an array.
fn cell(array: impl arrow_array::Array + 'static) -> String {
    let json = json(vec![("a", Arc::new(array))]);
    let cell = json.strip_prefix(r#"{"dataframe_split": {"columns": ["a"], "data": [["#);
    cell.and_then(|cell| cell.strip_suffix("]]}}")).unwrap_or_else(|| panic!("{json}")).to_owned()
}

#[test]
fn values_of_each_type_are_written_as_json() {
    assert_eq!(cell(UInt64Array::from(vec![u64::MAX])), "18446744073709551615");
    assert_eq!(cell(Float32Array::from(vec![0.1])), "0.10000000149011612");
    assert_eq!(cell(Float64Array::from(vec![f64::NAN])), "NaN");
    assert_eq!(cell(Float64Array::from(vec![None])), "null");
    assert_eq!(cell(StringViewArray::from(vec!["a\"b"])), r#""a\"b""#);
    assert_eq!(cell(BinaryArray::from(vec![b"\xff\x00".as_slice()])), r#""/wA=""#);
    assert_eq!(cell(Date32Array::from(vec![-1])), r#""1969-12-31""#);
    assert_eq!(cell(TimestampMillisecondArray::from(vec![1_500])), r#""1970-01-01T00:00:01.500""#);
    assert_eq!(cell(TimestampSecondArray::from(vec![0]).with_timezone("+02:00")), r#""1970-01-01T00:00:00+00:00""#);
    let list = ListArray::from_iter_primitive::<Int8Type, _, _>([Some([Some(1), None])]);
    assert_eq!(cell(list), "[1, null]");
    let member = (Arc::new(Field::new("b", DataType::UInt64, true)), Arc::new(UInt64Array::from(vec![7])) as ArrayRef);
    assert_eq!(cell(StructArray::from(vec![member])), r#"{"b": 7}"#);
    assert_eq!(cell(["x"].into_iter().collect::<DictionaryArray<Int8Type>>()), r#""x""#);
}

#[test]
fn a_table_without_rows_keeps_its_columns() {
    let columns: Vec<(&str, ArrayRef)> = vec![("a", Arc::new(UInt64Array::from(Vec::<u64>::new())))];
    assert_eq!(json(columns), r#"{"dataframe_split": {"columns": ["a"], "data": []}}"#);
}

#[test]
fn a_type_without_a_json_form_is_rejected_with_its_column() {
    let columns: Vec<(&str, ArrayRef)> = vec![("price", Arc::new(Decimal128Array::from(vec![1])))];
    let error = Payload::from_batch(&RecordBatch::try_from_iter(columns).unwrap()).unwrap_err();
    let message = error.message();
    assert!(
        message.starts_with("failed to write the column `price` as JSON: expected booleans, numbers,"),
        "{message}"
    );
    assert!(message.ends_with("found Decimal128(38, 10): cast it first"), "{message}");
}

#[test]
fn a_dataframe_that_came_out_goes_in_with_its_index_and_objects() {
    let predictions = r#"{"predictions": {"a": {"x": 1, "y": 2}, "b": {"x": [1, NaN], "y": {"k": "v"}}}}"#;
    let table: RecordBatch = PredictionsResponse::from_json(predictions).unwrap().get_predictions().unwrap();
    let json = Payload::from_batch(&table).unwrap().into_bytes();
    assert_eq!(
        String::from_utf8(json).unwrap(),
        r#"{"dataframe_split": {"index": ["x", "y"], "columns": ["a", "b"], "data": [[1, [1, NaN]], [2, {"k": "v"}]]}}"#
    );
}

#[test]
fn an_array_becomes_nested_lists() {
    let json = |payload: Payload| String::from_utf8(payload.into_bytes()).unwrap();
    assert_eq!(
        json(Payload::from_array(&arr3(&[[[1_u8], [2]], [[3], [4]]]))),
        r#"{"inputs": [[[1], [2]], [[3], [4]]]}"#
    );
    assert_eq!(json(Payload::from_array(&arr1(&[f16::from_f32(0.5), f16::NAN]))), r#"{"inputs": [0.5, NaN]}"#);
    assert_eq!(json(Payload::from_array(&arr1(&["a", "é"]))), r#"{"inputs": ["a", "\u00e9"]}"#);
    assert_eq!(json(Payload::from_array(&arr1(&[Some(true), None]))), r#"{"inputs": [true, null]}"#);
    assert_eq!(json(Payload::from_array(&arr0(u64::MAX))), r#"{"inputs": 18446744073709551615}"#);
    let turned = arr3(&[[[1_i64, 2], [3, 4]]]).reversed_axes();
    assert_eq!(json(Payload::from_array(&turned)), r#"{"inputs": [[[1], [3]], [[2], [4]]]}"#);
    let none = ArrayD::<f64>::zeros(vec![2, 0]);
    assert_eq!(json(Payload::from_array(&none)), r#"{"inputs": [[], []]}"#);
    let any = arr1(&[Value::Null, Value::BigInt("1".repeat(30))]);
    assert_eq!(json(Payload::from_array(&any)), format!("{{\"inputs\": [null, {}]}}", "1".repeat(30)));
}
