//! From a request's body to the inputs of a model: the way through this module.

use std::str;

use crate::array::Array;
use crate::content_type::{Format, format};
use crate::convert::{Target, infer};
use crate::fault::Fault;
use crate::frame::{Column, Frame};
use crate::request::{Data, Request};
use crate::signature::{Schema, Signature};
use crate::tensor::Tensor;
use crate::{columns, params, tensors};

/// What a model is given.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// The columns of a dataframe, in the order of the signature or of the request. The outermost dimension of each is
    /// rows, and most have no other.
    Frame(Vec<(String, Tensor)>),
    /// Tensors by name.
    Named(Vec<(String, Tensor)>),
    /// One tensor, for a model that takes one.
    Single(Tensor),
}

/// Reads a request: its inputs, converted to the types of the signature, or to those that pandas and numpy would find.
///
/// The parameters are checked and dropped: a model of ONNX takes none.
///
/// # Errors
/// What MLflow's scoring server refuses, and what it takes and changes silently, such as 2147483648 or 1.5 for an
/// `integer`. The message names the column or input, the place (which counts from 0), and the value.
pub fn read(content_type: &str, body: &[u8], signature: Option<&Signature>) -> Result<Inputs, Fault> {
    let format = format(content_type)?;
    let text = str::from_utf8(body)
        .map_err(|error| Fault::bad_request(format!("the body is not UTF-8: see its byte {}", error.valid_up_to())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (data, given) = match format {
        Format::Csv => (Data::Frame(Frame::read_csv(text)?), None),
        Format::Json => {
            let request = Request::new(text)?;
            let given = request.params();
            (request.data()?, given)
        }
    };
    let inputs = match signature.and_then(|signature| signature.inputs.as_ref()) {
        None => without_schema(data)?,
        Some(Schema::Columns(specs)) => columns::enforce(data, specs)?,
        Some(Schema::Tensors(specs)) => tensors::enforce(data, specs)?,
    };
    if let Some(specs) = signature.and_then(|signature| signature.params.as_ref())
        && let Some(given) = given
    {
        params::check(text, given, specs)?;
    }
    Ok(inputs)
}

/// The inputs as the types that pandas and numpy would find.
fn without_schema(data: Data) -> Result<Inputs, Fault> {
    let column = |column: Column| {
        let name = column.label.into_text();
        let tensor = infer(column.data, Target::column(&name))?;
        Ok((name, tensor))
    };
    let named = |(name, array): (String, Array)| {
        let tensor = infer(array, Target::input(Some(&name)))?;
        Ok((name, tensor))
    };
    Ok(match data {
        Data::Frame(frame) | Data::Records(frame) => {
            Inputs::Frame(frame.columns.into_iter().map(column).collect::<Result<_, _>>()?)
        }
        Data::Instances(frame) => Inputs::Named(frame.columns.into_iter().map(column).collect::<Result<_, _>>()?),
        Data::Named(arrays) => Inputs::Named(arrays.into_iter().map(named).collect::<Result<_, _>>()?),
        Data::Array(array) => Inputs::Single(infer(array, Target::input(None))?),
    })
}
