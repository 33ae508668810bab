//! The two methods that compute Shapley values as sums of weighted predictions: exact and by random permutations.

use crate::coalitions::Coalitions;
use crate::permutation::{PermutationTerms, Permutations};
use crate::term::Term;

/// The method by which Shapley values are computed.
#[derive(Debug)]
pub enum Method {
    /// Computes exact values from all coalitions of the features. For n features, this needs 2ⁿ predictions.
    Exact,
    /// Estimates the values from random orders of the features. The estimate is more precise with more orders.
    Permutation(Permutations),
}

/// An iterator over the weighted predictions for one explained row and one background row.
pub(crate) enum Terms<'a> {
    Exact(Coalitions<'a>),
    Permutation(PermutationTerms<'a>),
}

impl Method {
    /// Returns the name of the method: `exact` or `permutation`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Permutation(_) => "permutation",
        }
    }

    /// Returns the number of random orders for each background row, or `None` if the method is exact.
    pub fn permutations(&self) -> Option<usize> {
        match self {
            Self::Exact => None,
            Self::Permutation(permutations) => Some(permutations.per_background_row()),
        }
    }

    /// Returns the weighted predictions to make for one explained row and the background row with the index
    /// `background`. `varying` are the features in which the two rows differ. All other features have the Shapley value
    /// 0. Uses all coalitions if they need no more predictions than the random orders.
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
    /// Writes the next weighted prediction to `term`. Returns false if there are no more.
    pub(crate) fn next(&mut self, term: &mut Term) -> bool {
        match self {
            Self::Exact(coalitions) => coalitions.next(term),
            Self::Permutation(terms) => terms.next(term),
        }
    }
}
