//! Assigns the tensors of a request to the inputs of a model, and converts each tensor to the type and rank of its
//! input.
//!
//! Source: `_OnnxModelWrapper.predict` of MLflow. It passes the columns of a data frame as one matrix to a model with
//! one input, and by name to a model with several inputs. MLflow keeps columns at rank 1, so that pipelines with
//! several inputs always fail. Here, a column takes the rank of its input.

use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, Result};
use mlflow_deploy_scoring::{Inputs, Tensor, shorten};
use ndarray::Axis;
use ort::value::TensorElementType;

use crate::cast::cast;

/// The name, type and shape of one input of a model.
#[derive(Clone, Debug)]
pub(crate) struct InputSpec {
    pub(crate) name: String,
    pub(crate) element_type: TensorElementType,
    /// The dimensions of the input, outermost first. A negative dimension means any size. Empty if the input is a
    /// scalar or its shape is unknown.
    pub(crate) shape: Vec<i64>,
}

/// The inputs of a model, in the order in which the model declares them.
#[derive(Debug)]
pub(crate) struct InputSpecs {
    pub(crate) required: Vec<InputSpec>,
    /// The inputs with a default value: initializers that are also inputs of the graph.
    pub(crate) optional: Vec<InputSpec>,
}

/// The treatment of given inputs that the model does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an input is ignored or it is not")]
pub enum UnknownInputs {
    /// Such inputs are ignored and logged, as MLflow ignores columns that are not in a model's signature.
    Ignore,
    /// Such inputs are an error, because nothing else defines the inputs of a model without a signature.
    Reject,
}

impl InputSpecs {
    /// Returns the name and the tensor of each required input of the model, and of each optional input that is given.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a required input is missing, if an input has another shape or type than the model
    /// expects, or if the model does not have an input and `unknown` rejects it.
    pub(crate) fn bind(&self, inputs: Inputs, unknown: UnknownInputs) -> Result<Vec<(&str, Tensor)>> {
        match (self.required.as_slice(), inputs) {
            ([spec], Inputs::Single(tensor)) => Ok(vec![(&spec.name, spec.convert(tensor)?)]),
            (_, Inputs::Single(_)) => Err(Error::invalid_parameter(format!(
                "expected {} named inputs, found one unnamed array: pass each by name: {}",
                self.required.len(),
                self.names()
            ))),
            ([spec], Inputs::Frame(columns)) if !columns.iter().any(|(name, _)| self.is_optional(name)) => {
                Ok(vec![(&spec.name, spec.matrix(columns)?)])
            }
            (_, Inputs::Frame(named) | Inputs::Named(named)) => self.by_name(named, unknown),
        }
    }

    /// Selects for each input of the model the given tensor with the same name.
    fn by_name(&self, mut named: Vec<(String, Tensor)>, unknown: UnknownInputs) -> Result<Vec<(&str, Tensor)>> {
        let all: Vec<String> = named.iter().map(|(name, _)| format!("`{name}`")).collect();
        let mut bound = Vec::with_capacity(named.len());
        for (spec, is_required) in self.all() {
            match named.iter().position(|(name, _)| *name == spec.name) {
                Some(index) => bound.push((spec.name.as_str(), spec.convert(named.swap_remove(index).1)?)),
                None if is_required => {
                    return Err(Error::invalid_parameter(format!(
                        "the model's input `{}` is missing: found {}, expected {}",
                        spec.name,
                        if all.is_empty() { "no inputs".to_owned() } else { all.join(", ") },
                        self.names()
                    )));
                }
                None => {}
            }
        }
        for (name, _) in named {
            let name = shorten(&name);
            if unknown == UnknownInputs::Reject {
                let message = format!("the model has no input `{name}`: expected {}", self.names());
                return Err(Error::invalid_parameter(message));
            }
            call::log(Level::Info, format!("ignoring the input `{name}`, which the model does not have"));
        }
        Ok(bound)
    }

    fn is_optional(&self, name: &str) -> bool {
        self.optional.iter().any(|spec| spec.name == name)
    }

    /// Returns each input of the model, with true if the input is required.
    fn all(&self) -> impl Iterator<Item = (&InputSpec, bool)> {
        let required = self.required.iter().map(|spec| (spec, true));
        required.chain(self.optional.iter().map(|spec| (spec, false)))
    }

    /// Lists the names of the model's inputs for a message. The list is limited, because every weight is an optional
    /// input in models of old ONNX versions.
    fn names(&self) -> String {
        const MAX_NAMES: usize = 16;
        let mut all = self
            .all()
            .map(|(spec, is_required)| format!("`{}`{}", spec.name, if is_required { "" } else { " (optional)" }));
        let mut names: Vec<_> = all.by_ref().take(MAX_NAMES).collect();
        match all.count() {
            0 => {}
            more => names.push(format!("{more} more")),
        }
        names.join(", ")
    }
}

impl InputSpec {
    /// Converts a tensor to the element type of the input. Also converts a column to a matrix if the input has rank 2.
    fn convert(&self, tensor: Tensor) -> Result<Tensor> {
        let tensor = cast(tensor, self.element_type)
            .map_err(|reason| Error::invalid_parameter(format!("the model's input `{}` {reason}", self.name)))?;
        let tensor = if self.shape.len() == 2 && tensor.shape().len() == 1 { as_matrix(tensor) } else { tensor };
        self.check(tensor.shape())?;
        Ok(tensor)
    }

    /// Joins the columns of a data frame into one matrix with the element type of the input.
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

/// Converts a column, which has rank 1, to a matrix with one column.
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
        let specs = InputSpecs { required: specs.to_vec(), optional: vec![] };
        let bound = specs.bind(inputs, UnknownInputs::Ignore)?;
        Ok(bound.into_iter().map(|(_, tensor)| tensor).collect())
    }

    fn named(values: &[(&str, f64)]) -> Inputs {
        Inputs::Named(values.iter().map(|(name, value)| column(name, &[*value])).collect())
    }

    #[test]
    fn an_unknown_input_is_rejected_or_ignored() {
        let specs = InputSpecs { required: vec![spec("height", &[-1])], optional: vec![spec("scale", &[1])] };
        let inputs = || named(&[("hieght", 3.0), ("height", 2.0)]);
        let error = specs.bind(inputs(), UnknownInputs::Reject).unwrap_err();
        assert_eq!(error.message(), "the model has no input `hieght`: expected `height`, `scale` (optional)");
        let bound = specs.bind(inputs(), UnknownInputs::Ignore).unwrap();
        assert_eq!(bound, [("height", Tensor::Float32(arr1(&[2.0_f32]).into_dyn()))]);
    }

    #[test]
    fn an_optional_input_is_bound_if_it_is_given() {
        let specs = InputSpecs { required: vec![spec("height", &[-1])], optional: vec![spec("scale", &[1])] };
        let names = |inputs| {
            let bound = specs.bind(inputs, UnknownInputs::Reject).unwrap();
            bound.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(named(&[("height", 2.0)])), ["height"]);
        assert_eq!(names(named(&[("scale", 7.0), ("height", 2.0)])), ["height", "scale"]);
        let Inputs::Named(columns) = named(&[("scale", 7.0), ("height", 2.0)]) else { unreachable!() };
        assert_eq!(names(Inputs::Frame(columns)), ["height", "scale"]);
        let error = specs.bind(named(&[("scale", 7.0)]), UnknownInputs::Reject).unwrap_err();
        assert!(error.message().starts_with("the model's input `height` is missing: found `scale`"), "{error}");
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
