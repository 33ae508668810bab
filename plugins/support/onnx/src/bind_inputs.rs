//! Assigns the tensors of a request to the inputs of a model, in the type and rank that each input takes.
//!
//! Source: `_OnnxModelWrapper.predict` of MLflow, which passes the columns of a frame as one matrix to a model with one
//! input, and by name to a model with several. MLflow keeps columns at rank 1, so pipelines with several inputs always
//! fail; here a column takes the rank of its input.

use mlflow_deploy_plugin_api::{Error, Result};
use mlflow_deploy_scoring::{Inputs, Tensor};
use ndarray::Axis;
use ort::value::TensorElementType;

use crate::cast::cast;

/// An input of a model.
#[derive(Clone, Debug)]
pub(crate) struct InputSpec {
    pub(crate) name: String,
    pub(crate) element_type: TensorElementType,
    /// The dimensions, outermost first; a negative one has any size. Empty for a scalar or an unknown shape.
    pub(crate) shape: Vec<i64>,
}

/// Returns the tensor of each input of the model, in the model's order.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if an input is missing, or has another shape or type than the model expects.
pub(crate) fn bind_inputs(specs: &[InputSpec], inputs: Inputs) -> Result<Vec<(&str, Tensor)>> {
    match (specs, inputs) {
        ([spec], Inputs::Single(tensor)) => Ok(vec![(&spec.name, spec.convert(tensor)?)]),
        (_, Inputs::Single(_)) => Err(Error::invalid_parameter(format!(
            "expected {} named inputs, found one unnamed array: pass each by name: {}",
            specs.len(),
            names(specs)
        ))),
        ([spec], Inputs::Frame(columns)) => Ok(vec![(&spec.name, spec.matrix(columns)?)]),
        (_, Inputs::Frame(named) | Inputs::Named(named)) => by_name(specs, named),
    }
}

/// Selects tensors by name. Ignores names that the model does not have, as MLflow ignores columns outside of a signature.
fn by_name(specs: &[InputSpec], mut named: Vec<(String, Tensor)>) -> Result<Vec<(&str, Tensor)>> {
    let all: Vec<String> = named.iter().map(|(name, _)| format!("`{name}`")).collect();
    let mut bound = Vec::with_capacity(specs.len());
    for spec in specs {
        let Some(index) = named.iter().position(|(name, _)| *name == spec.name) else {
            return Err(Error::invalid_parameter(format!(
                "the model's input `{}` is missing: found {}, expected {}",
                spec.name,
                if all.is_empty() { "no inputs".to_owned() } else { all.join(", ") },
                names(specs)
            )));
        };
        bound.push((spec.name.as_str(), spec.convert(named.swap_remove(index).1)?));
    }
    Ok(bound)
}

fn names(specs: &[InputSpec]) -> String {
    specs.iter().map(|spec| format!("`{}`", spec.name)).collect::<Vec<_>>().join(", ")
}

impl InputSpec {
    /// Converts a tensor to the type of the input, and a column to a matrix if the input has rank 2.
    fn convert(&self, tensor: Tensor) -> Result<Tensor> {
        let tensor = cast(tensor, self.element_type)
            .map_err(|reason| Error::invalid_parameter(format!("the model's input `{}` {reason}", self.name)))?;
        let tensor = if self.shape.len() == 2 && tensor.shape().len() == 1 { as_matrix(tensor) } else { tensor };
        self.check(tensor.shape())?;
        Ok(tensor)
    }

    /// Joins the columns of a frame to a matrix.
    fn matrix(&self, mut columns: Vec<(String, Tensor)>) -> Result<Tensor> {
        if columns.len() == 1 {
            return self.convert(columns.swap_remove(0).1);
        }
        let mut cast_columns = Vec::with_capacity(columns.len());
        for (name, column) in columns {
            let column = cast(column, self.element_type)
                .map_err(|reason| Error::invalid_parameter(format!("the column `{name}` {reason}")))?;
            if column.shape().len() != 1 {
                return Err(Error::invalid_parameter(format!(
                    "the column `{name}` has arrays in its cells, and the model takes all columns as one matrix: pass \
                     only one column, or columns of single values"
                )));
            }
            cast_columns.push(column);
        }
        let matrix = Tensor::from_columns(cast_columns)
            .ok_or_else(|| Error::invalid_parameter("the frame has no columns, or columns of different lengths"))?;
        self.check(matrix.shape())?;
        Ok(matrix)
    }

    fn check(&self, shape: &[usize]) -> Result<()> {
        let fits = |(expected, size): (&i64, &usize)| {
            u64::try_from(*expected).map_or(true, |expected| expected == *size as u64)
        };
        if self.shape.is_empty() || self.shape.len() == shape.len() && self.shape.iter().zip(shape).all(fits) {
            return Ok(());
        }
        let expected = self.shape.iter().map(|size| if *size < 0 { "any".to_owned() } else { size.to_string() });
        Err(Error::invalid_parameter(format!(
            "the model's input `{}` has the shape {shape:?}: expected [{}]",
            self.name,
            expected.collect::<Vec<_>>().join(", ")
        )))
    }
}

/// Returns a column as a matrix with one column.
fn as_matrix(column: Tensor) -> Tensor {
    macro_rules! each {
        ($($variant:ident),*) => {
            match column {
                $(Tensor::$variant(array) => Tensor::$variant(array.insert_axis(Axis(1))),)*
            }
        };
    }
    each!(
        Bool, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float16, Float32, Float64, String, Binary,
        Datetime
    )
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, arr2};

    use super::*;

    fn spec(name: &str, shape: &[i64]) -> InputSpec {
        InputSpec { name: name.to_owned(), element_type: TensorElementType::Float32, shape: shape.to_vec() }
    }

    fn column(name: &str, values: &[f64]) -> (String, Tensor) {
        (name.to_owned(), Tensor::Float64(arr1(values).into_dyn()))
    }

    fn bound(specs: &[InputSpec], inputs: Inputs) -> Result<Vec<Tensor>> {
        bind_inputs(specs, inputs).map(|bound| bound.into_iter().map(|(_, tensor)| tensor).collect())
    }

    #[test]
    fn the_columns_of_a_frame_are_joined_for_a_model_with_one_input() {
        let frame = || Inputs::Frame(vec![column("a", &[1.0, 2.0]), column("b", &[3.0, 4.0])]);
        let matrix = Tensor::Float32(arr2(&[[1.0_f32, 3.0], [2.0, 4.0]]).into_dyn());
        assert_eq!(bound(&[spec("x", &[-1, 2])], frame()).unwrap(), [matrix]);
        let error = bound(&[spec("x", &[-1, 3])], frame()).unwrap_err();
        assert_eq!(error.message(), "the model's input `x` has the shape [2, 2]: expected [any, 3]");
    }

    #[test]
    fn a_column_is_bound_by_name_in_the_rank_of_its_input() {
        let specs = [spec("b", &[-1, 1]), spec("a", &[-1])];
        let frame = Inputs::Frame(vec![column("a", &[1.0]), column("b", &[2.0]), column("other", &[3.0])]);
        let (b, a) = (arr2(&[[2.0_f32]]).into_dyn(), arr1(&[1.0_f32]).into_dyn());
        assert_eq!(bound(&specs, frame).unwrap(), [Tensor::Float32(b), Tensor::Float32(a)]);
        let error = bound(&specs, Inputs::Named(vec![column("a", &[1.0])])).unwrap_err();
        assert_eq!(error.message(), "the model's input `b` is missing: found `a`, expected `b`, `a`");
    }

    #[test]
    fn an_unnamed_array_for_several_inputs_is_rejected() {
        let array = || Inputs::Single(Tensor::Int64(arr1(&[1_i64, 2]).into_dyn()));
        let floats = Tensor::Float32(arr1(&[1.0_f32, 2.0]).into_dyn());
        assert_eq!(bound(&[spec("x", &[-1])], array()).unwrap(), [floats]);
        let error = bound(&[spec("x", &[-1]), spec("y", &[-1])], array()).unwrap_err();
        assert!(error.message().ends_with("pass each by name: `x`, `y`"), "{error}");
    }

    #[test]
    fn a_column_of_the_wrong_type_is_named() {
        let texts = Tensor::String(arr1(&["1".to_owned()]).into_dyn());
        let frame = Inputs::Frame(vec![column("a", &[1.0]), ("b".to_owned(), texts)]);
        let error = bound(&[spec("x", &[-1, 2])], frame).unwrap_err();
        assert_eq!(error.message(), "the column `b` has the type str: the model expects f32");
    }
}
