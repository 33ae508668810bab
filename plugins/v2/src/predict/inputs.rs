//! Reads MLflow's requests as the tensors of a model. Does not write the protocol's requests.

use memchr::memmem;
use mlflow_deploy_plugin_api::{Error, Payload, Result};
use mlflow_deploy_scoring::{Inputs, Tensor, read_params, read_request};
use serde_json::{Map, Value};

use super::signature::signatures;
use crate::datatype::Datatype;
use crate::model::ModelInfo;

/// The inputs of one prediction.
#[derive(Debug)]
pub(crate) struct ModelInputs {
    pub(crate) tensors: Vec<ModelInput>,
    /// The parameters of the request, which MLServer passes to an MLflow model.
    pub(crate) params: Map<String, Value>,
    pub(crate) form: InputForm,
}

/// The form of the inputs, which determines the form of the predictions. A server that does not know the inputs of its
/// model decodes the tensors to this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputForm {
    /// The columns of a dataframe.
    Frame,
    /// Tensors, each with its name.
    Named,
    /// One tensor, whose name the request does not contain.
    Single,
}

/// One tensor that a model takes.
#[derive(Debug)]
pub(crate) struct ModelInput {
    pub(crate) name: String,
    pub(crate) datatype: Datatype,
    pub(crate) tensor: Tensor,
}

/// Reads a request in one of MLflow's forms. Converts its values to the types in the metadata of the model. Infers the
/// types from the values if the metadata names no inputs.
///
/// # Errors
/// Fails as [`read_request`] does. The message names the column or input, the position and the value.
pub(crate) fn read_inputs(payload: &Payload, model: &ModelInfo) -> Result<ModelInputs> {
    let (content_type, body) = (payload.content_type(), payload.bytes());
    let params = match memmem::find(body, b"\"params\"") {
        Some(_) => read_params(content_type, body)?,
        None => Map::new(),
    };
    let names: Vec<_> = params.keys().cloned().collect();
    let is_frame = payload.media_type() == "text/csv"
        || ["\"dataframe_split\"", "\"dataframe_records\""]
            .iter()
            .any(|key| memmem::find(body, key.as_bytes()).is_some());
    let mut signatures = signatures(model, is_frame, &names).into_iter();
    let first = read_request(content_type, body, signatures.next().as_ref());
    let inputs = match first {
        Ok(inputs) => inputs,
        Err(error) => match signatures.find_map(|signature| read_request(content_type, body, Some(&signature)).ok()) {
            Some(inputs) => inputs,
            None => return Err(error.into()),
        },
    };
    let (form, tensors) = match inputs {
        Inputs::Frame(columns) => (InputForm::Frame, columns),
        // MLflow's scoring server reads columns of arrays as tensors, too.
        Inputs::Named(tensors) => (if is_frame { InputForm::Frame } else { InputForm::Named }, tensors),
        Inputs::Single(tensor) => {
            let name = model.inputs.first().map_or_else(|| "input-0".to_owned(), |input| input.name.clone());
            (InputForm::Single, vec![(name, tensor)])
        }
    };
    let tensors = tensors.into_iter().map(|(name, tensor)| input(name, tensor, model)).collect::<Result<_>>()?;
    Ok(ModelInputs { tensors, params, form })
}

fn input(name: String, tensor: Tensor, model: &ModelInfo) -> Result<ModelInput> {
    let info = model.input(&name);
    let datatype = info.map_or_else(|| Datatype::of(tensor.dtype()), |info| info.datatype);
    let rows = tensor.shape().first().copied();
    let tensor = match (info, rows, tensor.shape().len()) {
        (Some(info), Some(rows), 1) if info.is_column() => tensor.into_shape(&[rows, 1]),
        (_, _, 0) => tensor.into_shape(&[1]),
        _ => Some(tensor),
    };
    let tensor = tensor.ok_or_else(|| Error::internal(format!("failed to change the shape of the input `{name}`")))?;
    Ok(ModelInput { name, datatype, tensor })
}
