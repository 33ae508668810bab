//! Converts the metadata of a model to the signatures by which MLflow's requests are read.

use mlflow_deploy_scoring::{ColumnSpec, ColumnType, ParamSpec, ScalarType, Schema, Signature, TensorSpec};

use crate::datatype::Datatype;
use crate::model::{ModelInfo, TensorInfo};

/// Returns the signatures by which a request may be read, in the order in which they are tried. Returns an empty list if
/// the metadata names no inputs. `is_frame` is true if the request has a dataframe, and `params` are the names of its
/// parameters.
///
/// - The columns of a dataframe are the columns of one matrix if the model takes a single tensor.
/// - MLServer describes a column as a tensor with an inner dimension of size 1. A request has values in its place.
pub(super) fn signatures(model: &ModelInfo, is_frame: bool, params: &[String]) -> Vec<Signature> {
    if model.inputs.is_empty() {
        return Vec::new();
    }
    let columns = model.inputs.iter().map(column).collect::<Option<_>>().map(Schema::Columns);
    let tensors = model.inputs.iter().map(tensor);
    let tensors = match model.inputs.as_slice() {
        [_] if is_frame => tensors.map(|tensor| TensorSpec { name: None, ..tensor }).collect(),
        _ => tensors.collect(),
    };
    let schemas = match columns {
        Some(columns) if is_frame => vec![columns],
        columns => columns.into_iter().chain([Schema::Tensors(tensors)]).collect(),
    };
    let param = |name: &String| ParamSpec { name: name.clone(), kind: None, is_list: false };
    let params: Vec<_> = params.iter().map(param).collect();
    schemas.into_iter().map(|inputs| Signature { inputs: Some(inputs), params: Some(params.clone()) }).collect()
}

/// Returns a tensor as a column, or `None` if it is not a column of MLServer's.
fn column(input: &TensorInfo) -> Option<ColumnSpec> {
    if !input.is_column() {
        return None;
    }
    let kind = match (input.datatype, input.content_type()?) {
        (Datatype::Bool, _) => ScalarType::Boolean,
        (Datatype::Int32, _) => ScalarType::Integer,
        (Datatype::Int64, _) => ScalarType::Long,
        (Datatype::Float32, _) => ScalarType::Float,
        (Datatype::Float64, _) => ScalarType::Double,
        (Datatype::Bytes, "base64") => ScalarType::Binary,
        // A date is sent as the text of the request.
        (Datatype::Bytes, "str" | "datetime") => ScalarType::String,
        _ => return None,
    };
    Some(ColumnSpec { name: Some(input.name.clone()), kind: ColumnType::Scalar(kind), required: true })
}

fn tensor(input: &TensorInfo) -> TensorSpec {
    let shape = input.shape.iter().map(|size| usize::try_from(*size).ok()).collect();
    TensorSpec { name: Some(input.name.clone()), dtype: input.datatype.dtype(), shape }
}
