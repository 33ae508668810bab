//! What the recordings do not show: hostile text, the words for floats, and what is left of a file.

use std::fs;

use arrow_array::RecordBatch;
use ndarray::ArrayD;

use crate::predictions::python::float_repr;
use crate::predictions::{PredictionsResponse, Value};

fn response(predictions: &str) -> PredictionsResponse {
    PredictionsResponse::from_json(format!("{{\"predictions\": {predictions}}}")).unwrap()
}

#[test]
fn deep_nesting_is_refused_and_does_not_exhaust_the_stack() {
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
fn a_few_long_rows_among_many_short_ones_do_not_exhaust_the_memory() {
    let zeros = |length: usize| vec!["0"; length].join(",");
    let lists = format!("[[{}]{}]", zeros(1 << 15), ",[]".repeat(1 << 14));
    let keys: Vec<_> = (0..1 << 15).map(|key| format!("\"{key}\":0")).collect();
    let records = format!("[{{{}}}{}]", keys.join(","), ",{}".repeat(1 << 14));
    let broadcast = format!("{{\"list\":[{}],{}}}", zeros(1 << 14), keys.join(","));
    for predictions in [lists, records, broadcast] {
        let error = response(&predictions).get_predictions::<RecordBatch>().unwrap_err();
        assert!(error.message().contains("cells, and a dataframe has at most 268435456: ask for JSON"), "{error}");
    }
}

#[test]
fn what_is_no_text_is_refused() {
    let error = PredictionsResponse::from_json(b"{\"predictions\": \"\xff\"}").unwrap_err();
    assert!(error.message().starts_with("predictions response contents are not valid JSON"), "{error}");
    let lone = PredictionsResponse::from_json(r#"{"predictions": "\ud800"}"#).unwrap_err();
    assert!(lone.message().starts_with("predictions response contents are not valid JSON"), "{lone}");
}

#[test]
fn a_float_is_written_as_python_writes_it() {
    for (float, text) in [
        (1.0, "1.0"),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (1.5e16, "1.5e+16"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-1.52587890625e-05, "-1.52587890625e-05"),
        (1e-7, "1e-07"),
        (2f64.powi(-25), "2.9802322387695312e-08"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::INFINITY, "inf"),
        (f64::NAN, "nan"),
    ] {
        assert_eq!(float_repr(float), text);
    }
}

#[test]
fn an_element_that_does_not_fit_is_named_with_its_place() {
    let error = response("[[1, 2], [3, 256]]").get_predictions::<ArrayD<u8>>().unwrap_err();
    assert_eq!(error.message(), "expected uint8, found `256` at [1, 1]: ask for an array of another dtype");
    let any: ArrayD<Value> = response("[[1], [2, 3]]").get_predictions().unwrap();
    assert_eq!((any.shape(), any[0].to_string().as_str()), ([2].as_slice(), "[1]"));
}

#[test]
fn a_file_is_replaced_whole_or_stays_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("response.json");
    fs::write(&path, "a longer text that was here before").unwrap();
    assert_eq!(response("[1]").to_json(Some(&path)).unwrap(), None);
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"predictions\": [1]}");
    let error = response("[2]").to_json(Some(&folder.path().join("no/response.json"))).unwrap_err();
    assert!(error.message().starts_with("failed to write `"), "{error}");
    response("[2]").to_json(Some(folder.path())).unwrap_err();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left");
}
