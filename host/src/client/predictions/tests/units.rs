//! Tests cases that the recordings of mlflow, pandas and numpy do not cover: malicious text, conversion errors and
//! files.

use std::fs;

use arrow_array::RecordBatch;
use ndarray::ArrayD;

use crate::client::predictions::{PredictionsResponse, Value};

fn response(predictions: &str) -> PredictionsResponse {
    PredictionsResponse::from_json(format!("{{\"predictions\": {predictions}}}")).unwrap()
}

#[test]
fn deep_nesting_is_rejected_without_a_stack_overflow() {
    for depth in [199, 1_000_000] {
        let text = format!("{{\"predictions\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
        match PredictionsResponse::from_json(text) {
            Ok(response) => assert_eq!((depth, response.to_json(None).unwrap().unwrap().len()), (199, 17 + 2 * 199)),
            Err(error) => assert!(depth > 199 && error.message().contains("at most 200 nested"), "{error}"),
        }
    }
    let error =
        response(&format!("{}1{}", "[".repeat(70), "]".repeat(70))).get_predictions::<ArrayD<i64>>().unwrap_err();
    assert!(error.message().contains("at most 64 dimensions"), "{error}");
}

#[test]
fn a_dataframe_of_few_long_and_many_short_rows_is_rejected() {
    let zeros = |length: usize| vec!["0"; length].join(",");
    let lists = format!("[[{}]{}]", zeros(1 << 15), ",[]".repeat(1 << 14));
    let keys: Vec<_> = (0..1 << 15).map(|key| format!("\"{key}\":0")).collect();
    let records = format!("[{{{}}}{}]", keys.join(","), ",{}".repeat(1 << 14));
    let broadcast = format!("{{\"list\":[{}],{}}}", zeros(1 << 14), keys.join(","));
    for predictions in [lists, records, broadcast] {
        let error = response(&predictions).get_predictions::<RecordBatch>().unwrap_err();
        assert!(error.message().contains("cells, but a dataframe has at most 268435456: use JSON"), "{error}");
    }
}

#[test]
fn text_that_is_not_utf_8_is_rejected() {
    let error = PredictionsResponse::from_json(b"{\"predictions\": \"\xff\"}").unwrap_err();
    assert!(error.message().starts_with("predictions response contents are not valid JSON"), "{error}");
    let lone = PredictionsResponse::from_json(r#"{"predictions": "\ud800"}"#).unwrap_err();
    assert!(lone.message().starts_with("predictions response contents are not valid JSON"), "{lone}");
}

#[test]
fn an_element_out_of_range_is_reported_with_its_position() {
    let error = response("[[1, 2], [3, 256]]").get_predictions::<ArrayD<u8>>().unwrap_err();
    assert_eq!(error.message(), "expected uint8, found `256` at [1, 1]: use an array of another dtype");
    let any: ArrayD<Value> = response("[[1], [2, 3]]").get_predictions().unwrap();
    assert_eq!((any.shape(), any[0].to_string().as_str()), ([2].as_slice(), "[1]"));
}

#[test]
fn a_file_is_replaced_or_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("response.json");
    fs::write(&path, "a longer text that was here before").unwrap();
    assert_eq!(response("[1]").to_json(Some(&path)).unwrap(), None);
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"predictions\": [1]}");
    let error = response("[2]").to_json(Some(&folder.path().join("no/response.json"))).unwrap_err();
    assert!(error.message().starts_with("failed to write `"), "{error}");
    response("[2]").to_json(Some(folder.path())).unwrap_err();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}
