//! Enforces a signature of tensors: MLflow's rules on names and shapes. It converts no value itself.

use std::collections::HashMap;
use std::iter;

use crate::array::Array;
use crate::convert::{Target, tensor};
use crate::fault::Fault;
use crate::frame::{Column, Frame};
use crate::json::{excerpt, listing};
use crate::read::Inputs;
use crate::request::Data;
use crate::signature::TensorSpec;
use crate::tensor::Tensor;

/// How an array becomes a tensor of the signature.
type Fit = fn(Array, &TensorSpec) -> Result<Tensor, Fault>;

/// The tensors of a signature, from a request.
pub(crate) fn enforce(data: Data, specs: &[TensorSpec]) -> Result<Inputs, Fault> {
    if let [spec] = specs
        && let Data::Array(array) = data
    {
        let tensor = exact(array, spec)?;
        return Ok(match &spec.name {
            None => Inputs::Single(tensor),
            Some(name) => Inputs::Named(vec![(name.clone(), tensor)]),
        });
    }
    if let [spec @ TensorSpec { name: None, .. }] = specs {
        return match data {
            Data::Frame(frame) => from_frame(frame, spec).map(Inputs::Single),
            Data::Named(_) => Err(Fault::bad_request(
                "the model takes one array without a name, and the request has an object of arrays",
            )),
            Data::Array(_) | Data::Instances(_) | Data::Records(_) => {
                Err(Fault::schema("the model takes one array without a name, and the request has a list of objects"))
            }
        };
    }
    let names: Vec<_> = specs.iter().map(|spec| spec.name.as_deref().unwrap_or_default()).collect();
    let expected = listing(names.iter().copied());
    let (given, fit): (Vec<(String, Array)>, Fit) = match data {
        Data::Frame(frame) => (named(frame), reshaped),
        Data::Instances(frame) => (named(frame), exact),
        Data::Named(arrays) => (arrays.into_iter().collect(), exact),
        Data::Array(_) => {
            return Err(Fault::schema(format!(
                "the model takes {expected}, and the request has an array without a name"
            )));
        }
        Data::Records(_) => {
            return Err(Fault::schema(format!("the model takes {expected}, and `inputs` is a list of objects")));
        }
    };
    let labels: Vec<_> = given.iter().map(|(name, _)| name.clone()).collect();
    let mut given: HashMap<_, _> = given.into_iter().collect();
    let missing: Vec<_> = names.iter().copied().filter(|name| !given.contains_key(*name)).collect();
    if !missing.is_empty() {
        return Err(Fault::schema(format!(
            "the model takes {}, which the request lacks: it has {}",
            listing(missing),
            listing(labels.iter().map(String::as_str)),
        )));
    }
    let take = |(name, spec): (&str, &TensorSpec)| {
        let array = given.remove(name).unwrap_or_default();
        Ok((name.to_owned(), fit(array, spec)?))
    };
    names.iter().copied().zip(specs).map(take).collect::<Result<_, _>>().map(Inputs::Named)
}

fn named(frame: Frame) -> Vec<(String, Array)> {
    frame.columns.into_iter().map(|column| (column.label.into_text(), column.data)).collect()
}

/// The one tensor of a model, from a dataframe: of a column that holds its rows, or of columns of single values.
fn from_frame(mut frame: Frame, spec: &TensorSpec) -> Result<Tensor, Fault> {
    if frame.rows == 0 || frame.columns.is_empty() {
        return Err(Fault::schema("the dataframe is empty"));
    }
    if frame.columns.len() == 1
        && let Some(column) = frame.columns.pop()
    {
        return reshaped(column.data, spec);
    }
    let width = frame.columns.len();
    if !fits(&[frame.rows, width], spec) {
        return Err(Fault::schema(format!(
            "the dataframe has {width} columns, and the model takes one array of the shape {}",
            show(&spec.shape),
        )));
    }
    let column = |Column { label, data }: Column| {
        let name = label.text();
        if data.shape.len() != 1 {
            return Err(Fault::schema(format!("column `{}` holds lists, where one value was expected", excerpt(name))));
        }
        tensor(data, spec.dtype, Target { expected: spec.dtype.name(), ..Target::column(name) })
    };
    let columns: Vec<_> = frame.columns.into_iter().map(column).collect::<Result<_, _>>()?;
    Tensor::from_columns(columns).ok_or_else(|| Fault::schema("the columns are of different lengths"))
}

/// The values as they are nested.
fn exact(array: Array, spec: &TensorSpec) -> Result<Tensor, Fault> {
    let target = Target { expected: spec.dtype.name(), ..Target::input(spec.name.as_deref()) };
    let tensor = tensor(array, spec.dtype, target)?;
    if fits(tensor.shape(), spec) {
        return Ok(tensor);
    }
    Err(Fault::schema(format!(
        "{} has the shape {}, and the model takes {}",
        target.subject(),
        show(&tensor.shape().iter().copied().map(Some).collect::<Vec<_>>()),
        show(&spec.shape),
    )))
}

/// The values of a column, whose cells hold the inner dimensions one after another.
fn reshaped(mut array: Array, spec: &TensorSpec) -> Result<Tensor, Fault> {
    let wanted: Option<Vec<usize>> = spec.shape.iter().skip(1).copied().collect();
    if let (None, Some(wanted), [rows, inner @ ..]) = (&array.uneven, wanted, array.shape.as_slice())
        && product(&wanted) == product(inner)
    {
        array.shape = iter::once(*rows).chain(wanted).collect();
    }
    exact(array, spec)
}

fn product(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size))
}

fn fits(shape: &[usize], spec: &TensorSpec) -> bool {
    let fits = |(size, expected): (&usize, &Option<usize>)| expected.is_none_or(|expected| expected == *size);
    shape.len() == spec.shape.len() && shape.iter().zip(&spec.shape).all(fits)
}

/// A shape as numpy writes it.
fn show(shape: &[Option<usize>]) -> String {
    let sizes: Vec<_> =
        shape.iter().map(|size| size.map_or_else(|| "-1".to_owned(), |size| size.to_string())).collect();
    match sizes.as_slice() {
        [one] => format!("({one},)"),
        more => format!("({})", more.join(", ")),
    }
}
