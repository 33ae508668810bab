//! The ways to compute Shapley values, as a sum of weighted predictions.

use super::permutation::Permutations;
use super::shapley;

/// How values are computed.
#[derive(Debug)]
pub(crate) enum Method {
    /// Over every coalition of features: right, and 2ⁿ predictions for n features.
    Exact,
    /// Over some orders of the features: an estimate that gets better with more orders.
    Permutation(Permutations),
}

/// One prediction that values are made of.
#[derive(Debug)]
pub(crate) struct Term {
    /// The features that have their values in the row that is explained; those of the others are the background's.
    pub(crate) members: Vec<usize>,
    /// To whose values the prediction is added, and times what.
    pub(crate) gains: Vec<(usize, f64)>,
}

impl Method {
    /// Its name in the config and in the answer.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Permutation(_) => "permutation",
        }
    }

    /// How many orders of the features are tried for each row of the background; none where all coalitions are.
    pub(crate) fn permutations(&self) -> Option<usize> {
        match self {
            Self::Exact => None,
            Self::Permutation(permutations) => Some(permutations.each()),
        }
    }

    /// The predictions that the values of one row against one background row are made of. `varying` are the features in
    /// which the two differ; the values of all others are 0.
    pub(crate) fn terms<'a>(
        &'a self,
        varying: &'a [usize],
        background: usize,
    ) -> Box<dyn Iterator<Item = Term> + Send + 'a> {
        match self {
            Self::Exact => Box::new(shapley::terms(varying)),
            Self::Permutation(permutations) => Box::new(permutations.terms(varying, background)),
        }
    }
}
