//! Builds a `curl` command that sends a sample request to the server. The user can paste the command into a shell.

use serde_json::{Map, Value, json};

use mlflow_deploy_scoring::{ColumnType, DType, Schema, Signature};

/// The maximum length of the body in the suggested command, in bytes.
const MAX_BODY_BYTES: usize = 1000;

/// Returns a `curl` command that sends a sample request. The body is the model's input example. For a model without an
/// example, the body has a zero for each input in the signature. If neither is available, or if the body is too long,
/// the command sends the file `inputs.json`.
pub(super) fn curl(url: &str, example: Option<String>, signature: Option<&Signature>) -> String {
    let zeros = || signature.and_then(|signature| signature.inputs.as_ref()).and_then(zeros);
    // The example is parsed and printed again, so that it is one line.
    let example = example.and_then(|text| serde_json::from_str::<Value>(&text).ok()).or_else(zeros);
    let body = example.map(|body| body.to_string()).filter(|body| body.len() <= MAX_BODY_BYTES);
    let body = body.map_or_else(|| "@inputs.json".to_owned(), |body| quoted(&body));
    format!("curl {url}/invocations -H 'Content-Type: application/json' -d {body}")
}

/// Puts a text in single quotes, so that a shell treats it as one word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns sample inputs that consist of zeros and empty strings. Returns `None` if the signature has an unknown type,
/// or if the inputs would be too long.
fn zeros(schema: &Schema) -> Option<Value> {
    match schema {
        Schema::Columns(columns) => {
            let row = columns.iter().map(|column| cell(&column.kind)).collect::<Option<Vec<_>>>()?;
            let names = columns.iter().map(|column| column.name.as_deref()).collect::<Option<Vec<_>>>();
            Some(match names {
                Some(names) => json!({"dataframe_split": {"columns": names, "data": [row]}}),
                None => json!({"dataframe_split": {"data": [row]}}),
            })
        }
        Schema::Tensors(tensors) => {
            let mut inputs = Map::new();
            for tensor in tensors {
                let sizes: Vec<usize> = tensor.shape.iter().map(|size| size.unwrap_or(1)).collect();
                let elements = sizes.iter().try_fold(1_usize, |elements, size| elements.checked_mul(*size))?;
                if !(1..=MAX_BODY_BYTES).contains(&elements) {
                    return None;
                }
                let zeros = sizes.iter().rev().fold(zero(tensor.dtype), |inner, size| Value::from(vec![inner; *size]));
                match &tensor.name {
                    Some(name) => inputs.insert(name.clone(), zeros),
                    None => return Some(json!({"inputs": zeros})),
                };
            }
            Some(json!({"inputs": inputs}))
        }
    }
}

fn cell(kind: &ColumnType) -> Option<Value> {
    match kind {
        ColumnType::Array(items) => Some(json!([cell(items)?])),
        ColumnType::Any | ColumnType::Other(_) => None,
        ColumnType::Scalar(scalar) => Some(zero(scalar.dtype())),
    }
}

fn zero(dtype: DType) -> Value {
    match dtype {
        DType::Binary | DType::String => json!(""),
        DType::Bool => json!(false),
        DType::Datetime => json!("1970-01-01"),
        DType::Float16 | DType::Float32 | DType::Float64 => json!(0.0),
        _ => json!(0),
    }
}
