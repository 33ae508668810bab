//! The methods to compute Shapley values as a sum of weighted predictions.

use crate::coalitions::Coalitions;
use crate::permutation::{PermutationTerms, Permutations};
use crate::term::Term;

/// A method to compute Shapley values.
#[derive(Debug)]
pub enum Method {
    /// Exact values over every coalition of features: 2ⁿ predictions for n features.
    Exact,
    /// An estimate over some orders of the features. More orders improve it.
    Permutation(Permutations),
}

/// The predictions for one explained row and one background row. The values are computed from them.
pub(crate) enum Terms<'a> {
    Exact(Coalitions<'a>),
    Permutation(PermutationTerms<'a>),
}

impl Method {
    /// Returns `exact` or `permutation`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Permutation(_) => "permutation",
        }
    }

    /// Returns the number of orders for each background row; `None` for exact values.
    pub fn permutations(&self) -> Option<usize> {
        match self {
            Self::Exact => None,
            Self::Permutation(permutations) => Some(permutations.per_background_row()),
        }
    }

    /// Returns the predictions for one explained row and one background row. `varying` are the features in which the
    /// two rows differ; all others have the value 0. Uses all coalitions if they need no more predictions than the
    /// orders.
    pub(crate) fn terms<'a>(&'a self, varying: &'a [usize], background: usize) -> Terms<'a> {
        match self {
            Self::Permutation(permutations)
                if permutations.predictions(varying.len()) < Coalitions::predictions(varying.len()) =>
            {
                Terms::Permutation(permutations.terms(varying, background))
            }
            Self::Exact | Self::Permutation(_) => Terms::Exact(Coalitions::new(varying)),
        }
    }
}

impl Terms<'_> {
    /// Writes the next prediction to `term`. Returns false at the end.
    pub(crate) fn next(&mut self, term: &mut Term) -> bool {
        match self {
            Self::Exact(coalitions) => coalitions.next(term),
            Self::Permutation(terms) => terms.next(term),
        }
    }
}
