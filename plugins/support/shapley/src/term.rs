//! One prediction that Shapley values are computed from.

/// One weighted prediction. A term is reused for many predictions.
#[derive(Debug, Default)]
pub(crate) struct Term {
    /// The features with the value of the explained row. All others have the value of the background row.
    pub(crate) members: Vec<usize>,
    /// The features whose values the prediction is added to, each with its weight.
    pub(crate) gains: Vec<(usize, f64)>,
}
