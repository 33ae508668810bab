//! How inputs become what a model takes: which tensor goes where, and in which shape. It knows no runtime.
//!
//! Source: `_OnnxModelWrapper.predict` of MLflow, which passes a frame's columns as one matrix where the model has one
//! input, and by name where it has several. There, columns stay of rank 1, so that pipelines with several inputs always
//! fail; here they become what the model takes.

use mlflow_deploy_plugin_api::{Error, Result};
use ndarray::{ArrayD, ArrayViewD, Axis, concatenate};
use ort::value::TensorElementType;

use crate::cast::cast;
use mlflow_deploy_scoring::{Inputs, Tensor};

/// One input of a model.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) element: TensorElementType,
    /// Dimensions, outermost first; a negative one may be anything. Empty where nothing is known, or for a scalar.
    pub(crate) shape: Vec<i64>,
}

/// Gives each input of the model its tensor.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where one is missing, or has another shape or type than the model wants.
pub(crate) fn bind_inputs(ports: &[Port], inputs: Inputs) -> Result<Vec<(&str, Tensor)>> {
    match (ports, inputs) {
        ([port], Inputs::Single(tensor)) => Ok(vec![(&port.name, port.take(tensor)?)]),
        (_, Inputs::Single(_)) => Err(Error::invalid_parameter(format!(
            "one array was given, and the model has {} inputs: give each by its name: {}",
            ports.len(),
            names(ports)
        ))),
        ([port], Inputs::Frame(columns)) => Ok(vec![(&port.name, port.matrix(columns)?)]),
        (_, Inputs::Frame(named) | Inputs::Named(named)) => by_name(ports, named),
    }
}

/// Inputs that the model does not have are left out, as columns are that no signature asks for.
fn by_name(ports: &[Port], mut given: Vec<(String, Tensor)>) -> Result<Vec<(&str, Tensor)>> {
    let all: Vec<String> = given.iter().map(|(name, _)| format!("`{name}`")).collect();
    let mut fed = Vec::with_capacity(ports.len());
    for port in ports {
        let Some(place) = given.iter().position(|(name, _)| *name == port.name) else {
            return Err(Error::invalid_parameter(format!(
                "the model's input `{}` is missing: given {}, expected {}",
                port.name,
                if all.is_empty() { "nothing".to_owned() } else { all.join(", ") },
                names(ports)
            )));
        };
        fed.push((port.name.as_str(), port.take(given.swap_remove(place).1)?));
    }
    Ok(fed)
}

fn names(ports: &[Port]) -> String {
    ports.iter().map(|port| format!("`{}`", port.name)).collect::<Vec<_>>().join(", ")
}

impl Port {
    /// A tensor as this input: of its type, and a column as a matrix where the model wants one.
    fn take(&self, tensor: Tensor) -> Result<Tensor> {
        let tensor = cast(tensor, self.element)
            .map_err(|why| Error::invalid_parameter(format!("what was given for the input `{}` {why}", self.name)))?;
        let tensor = if self.shape.len() == 2 && tensor.shape().len() == 1 { as_column(tensor) } else { tensor };
        self.check(tensor.shape())?;
        Ok(tensor)
    }

    /// A frame's columns, hstack each other.
    fn matrix(&self, mut columns: Vec<(String, Tensor)>) -> Result<Tensor> {
        if columns.len() == 1 {
            return self.take(columns.swap_remove(0).1);
        }
        let mut cells = Vec::with_capacity(columns.len());
        for (name, column) in columns {
            let column = cast(column, self.element)
                .map_err(|why| Error::invalid_parameter(format!("the column `{name}` {why}")))?;
            if column.shape().len() != 1 {
                return Err(Error::invalid_parameter(format!(
                    "the column `{name}` has arrays in its cells, and the model takes all columns as one matrix: give \
                     only one column, or single values"
                )));
            }
            cells.push(as_column(column));
        }
        let matrix = hstack(cells)
            .ok_or_else(|| Error::invalid_parameter("the frame has no columns, or columns of different lengths"))?;
        self.check(matrix.shape())?;
        Ok(matrix)
    }

    fn check(&self, shape: &[usize]) -> Result<()> {
        let fits =
            |(wanted, given): (&i64, &usize)| u64::try_from(*wanted).map_or(true, |wanted| wanted == *given as u64);
        if self.shape.is_empty() || self.shape.len() == shape.len() && self.shape.iter().zip(shape).all(fits) {
            return Ok(());
        }
        let wanted = self.shape.iter().map(|size| if *size < 0 { "any".to_owned() } else { size.to_string() });
        Err(Error::invalid_parameter(format!(
            "what was given for the model's input `{}` has the shape {shape:?}: expected [{}]",
            self.name,
            wanted.collect::<Vec<_>>().join(", ")
        )))
    }
}

/// Does the same to the array of any type.
macro_rules! each {
    ($tensor:expr, $array:ident => $result:expr; $($variant:ident),*) => {
        match $tensor {
            $(Tensor::$variant($array) => Tensor::$variant($result),)*
        }
    };
}

fn as_column(tensor: Tensor) -> Tensor {
    each!(tensor, array => array.insert_axis(Axis(1)); Bool, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64,
        Float16, Float32, Float64, String, Binary, Datetime)
}

/// Columns of one type as one matrix.
fn hstack(columns: Vec<Tensor>) -> Option<Tensor> {
    fn join<T: Clone>(columns: &[ArrayD<T>]) -> Option<ArrayD<T>> {
        let views: Vec<ArrayViewD<'_, T>> = columns.iter().map(|column| column.view()).collect();
        concatenate(Axis(1), &views).ok().map(|array| array.as_standard_layout().into_owned())
    }
    macro_rules! join {
        ($($variant:ident),*) => {
            match columns.first()? {
                $(Tensor::$variant(_) => {
                    let columns: Option<Vec<_>> = columns
                        .into_iter()
                        .map(|column| match column {
                            Tensor::$variant(array) => Some(array),
                            _ => None,
                        })
                        .collect();
                    join(&columns?).map(Tensor::$variant)
                })*
            }
        };
    }
    join!(
        Bool, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float16, Float32, Float64, String, Binary,
        Datetime
    )
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, arr2};

    use super::*;

    fn port(name: &str, shape: &[i64]) -> Port {
        Port { name: name.to_owned(), element: TensorElementType::Float32, shape: shape.to_vec() }
    }

    fn column(name: &str, values: &[f64]) -> (String, Tensor) {
        (name.to_owned(), Tensor::Float64(arr1(values).into_dyn()))
    }

    /// What the model is fed, or what is said.
    fn fed(ports: &[Port], inputs: Inputs) -> Result<Vec<Tensor>> {
        bind_inputs(ports, inputs).map(|fed| fed.into_iter().map(|(_, tensor)| tensor).collect())
    }

    #[test]
    fn the_columns_of_a_frame_are_one_matrix_for_one_input() {
        let frame = || Inputs::Frame(vec![column("a", &[1.0, 2.0]), column("b", &[3.0, 4.0])]);
        let matrix = Tensor::Float32(arr2(&[[1.0_f32, 3.0], [2.0, 4.0]]).into_dyn());
        assert_eq!(fed(&[port("x", &[-1, 2])], frame()).unwrap(), [matrix]);
        let error = fed(&[port("x", &[-1, 3])], frame()).unwrap_err();
        assert_eq!(error.message(), "what was given for the model's input `x` has the shape [2, 2]: expected [any, 3]");
    }

    #[test]
    fn a_column_goes_to_its_input_in_the_rank_that_it_wants() {
        let ports = [port("b", &[-1, 1]), port("a", &[-1])];
        let frame = Inputs::Frame(vec![column("a", &[1.0]), column("b", &[2.0]), column("other", &[3.0])]);
        let (b, a) = (arr2(&[[2.0_f32]]).into_dyn(), arr1(&[1.0_f32]).into_dyn());
        assert_eq!(fed(&ports, frame).unwrap(), [Tensor::Float32(b), Tensor::Float32(a)]);
        let error = fed(&ports, Inputs::Named(vec![column("a", &[1.0])])).unwrap_err();
        assert_eq!(error.message(), "the model's input `b` is missing: given `a`, expected `b`, `a`");
    }

    #[test]
    fn one_array_is_for_one_input() {
        let array = || Inputs::Single(Tensor::Int64(arr1(&[1_i64, 2]).into_dyn()));
        let floats = Tensor::Float32(arr1(&[1.0_f32, 2.0]).into_dyn());
        assert_eq!(fed(&[port("x", &[-1])], array()).unwrap(), [floats]);
        let error = fed(&[port("x", &[-1]), port("y", &[-1])], array()).unwrap_err();
        assert!(error.message().ends_with("give each by its name: `x`, `y`"), "{error}");
    }

    #[test]
    fn a_column_that_is_wrong_is_named() {
        let texts = Tensor::String(arr1(&["1".to_owned()]).into_dyn());
        let frame = Inputs::Frame(vec![column("a", &[1.0]), ("b".to_owned(), texts)]);
        let error = fed(&[port("x", &[-1, 2])], frame).unwrap_err();
        assert_eq!(error.message(), "the column `b` is of type str, and the model wants f32");
    }
}
