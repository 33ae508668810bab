//! A weighted prediction from which Shapley values are computed.

/// A weighted prediction from which Shapley values are computed. The same value is reused for many predictions, to save
/// allocations.
#[derive(Debug, Default)]
pub(crate) struct Term {
    /// The features that are taken from the explained row. All other features are taken from the background row.
    pub(crate) members: Vec<usize>,
    /// The features to whose Shapley values the prediction is added, each with the weight of the prediction.
    pub(crate) gains: Vec<(usize, f64)>,
}
