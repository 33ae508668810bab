//! The inputs of one prediction, converted to tensors.

use crate::tensor::Tensor;

/// The inputs of one prediction, converted to tensors.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// The columns of a dataframe, each with its name. They are in the order of the signature, or in the order of the
    /// request if the model has no signature. The outermost dimension of each column is the rows. Most columns have no
    /// other dimension.
    Frame(Vec<(String, Tensor)>),
    /// Tensors, each with its name.
    Named(Vec<(String, Tensor)>),
    /// One tensor without a name, for a model that takes a single input.
    Single(Tensor),
}
