//! Tests that read signatures and input examples in the form in which MLflow saves them.

use serde_json::json;

use crate::{ColumnType, InputExampleKind, ScalarType, Schema, Signature};

#[test]
fn every_column_type_and_any_default_are_read() {
    let inputs = json!([
        {"type": "array", "items": {"type": "double"}, "name": "a"},
        {"type": "any", "name": "b", "required": false},
        {"type": "object", "properties": {}, "name": "c", "required": true},
    ]);
    let params = r#"[{"name": "t", "default": NaN, "shape": null, "type": "double"},
        {"name": "stop", "default": ["a"], "shape": [-1], "type": "string"}]"#;
    let signature = Signature::from_json(Some(&inputs.to_string()), Some(params)).unwrap();
    let Some(Schema::Columns(columns)) = signature.inputs else { panic!("{:?}", signature.inputs) };
    let double = ColumnType::Scalar(ScalarType::Double);
    assert_eq!(columns[0].kind, ColumnType::Array(Box::new(double)));
    assert_eq!((&columns[1].kind, columns[1].required), (&ColumnType::Any, false));
    assert_eq!(columns[2].kind, ColumnType::Other("object".to_owned()));
    let params = signature.params.unwrap();
    assert_eq!((params[0].kind, params[0].is_list), (Some(ScalarType::Double), false));
    assert_eq!((params[1].kind, params[1].is_list), (Some(ScalarType::String), true));
}

#[test]
fn invalid_signatures_are_rejected() {
    for (inputs, message) in [
        ("[{", "in `inputs` of the signature: it is not JSON"),
        ("{}", "expected a list, got `{}`"),
        ("[]", "it is empty"),
        (r#"[{"type": "decimal"}]"#, "unknown type `decimal`"),
        (r#"[{"type": "long", "name": "a"}, {"type": "long"}]"#, "some inputs have a name and some do not"),
        (
            r#"[{"type": "tensor", "tensor-spec": {"dtype": "complex64", "shape": [-1]}}]"#,
            "unsupported dtype `complex64`",
        ),
        (r#"[{"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": [-2]}}]"#, "invalid shape `[-2]`"),
    ] {
        let error = Signature::from_json(Some(inputs), None).unwrap_err().to_string();
        assert!(error.contains(message), "{inputs}: {error}");
    }
    let error = Signature::from_json(None, Some(r#"[{"type": "long"}]"#)).unwrap_err().to_string();
    assert_eq!(error, "in `params` of the signature: a parameter has no `name`");
}

#[test]
fn input_examples_become_requests() {
    let request =
        |kind: &str, saved: &str| InputExampleKind::from_name(kind).map(|kind| kind.request(saved.to_owned()));
    let split = r#"{"columns": ["a"], "data": [[1]]}"#;
    assert_eq!(request("dataframe", split).unwrap(), format!(r#"{{"dataframe_split": {split}}}"#));
    assert_eq!(request("ndarray", "[[1]]").as_deref(), Some(r#"{"inputs": [[1]]}"#));
    assert_eq!(request("ndarray", r#"{"inputs": [[1]]}"#).as_deref(), Some(r#"{"inputs": [[1]]}"#));
    assert_eq!(request("sparse_matrix_csr", "{}"), None);
}
