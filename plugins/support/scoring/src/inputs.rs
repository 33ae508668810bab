//! The inputs of a model.

use crate::tensor::Tensor;

/// The inputs of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// The columns of a dataframe, in the order of the signature, or of the request if the model has no signature. The
    /// outermost dimension of each column is the rows; most columns have no other.
    Frame(Vec<(String, Tensor)>),
    /// Tensors by name.
    Named(Vec<(String, Tensor)>),
    /// One tensor, for a model with a single input.
    Single(Tensor),
}
