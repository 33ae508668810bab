//! The ways to compute Shapley values, as a sum of weighted predictions.

use crate::permutation::{Permutations, Steps};
use crate::shapley::Coalitions;

/// How values are computed.
#[derive(Debug)]
pub enum Method {
    /// Over every coalition of features: right, and 2ⁿ predictions for n features.
    Exact,
    /// Over some orders of the features: an estimate that gets better with more orders.
    Permutation(Permutations),
}

/// One prediction that values are made of; one is filled again and again.
#[derive(Debug, Default)]
pub(crate) struct Term {
    /// The features that have their values in the row that is explained; those of the others are the background's.
    pub(crate) members: Vec<usize>,
    /// To whose values the prediction is added, and times what.
    pub(crate) gains: Vec<(usize, f64)>,
}

/// The way through all predictions that the values of one row against one background row are made of.
pub(crate) enum Walk<'a> {
    Exact(Coalitions<'a>),
    Permutation(Steps<'a>),
}

impl Method {
    /// Its name in the config and in the answer.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Permutation(_) => "permutation",
        }
    }

    /// How many orders of the features are tried for each row of the background; none where all coalitions are.
    pub fn permutations(&self) -> Option<usize> {
        match self {
            Self::Exact => None,
            Self::Permutation(permutations) => Some(permutations.each()),
        }
    }

    /// The predictions that one row against one background row takes. `varying` are the features in which the two
    /// differ; the values of all others are 0. Where there are so few that all coalitions are no more work than the
    /// orders, they are tried instead.
    pub(crate) fn walk<'a>(&'a self, varying: &'a [usize], background: usize) -> Walk<'a> {
        match self {
            Self::Permutation(permutations)
                if permutations.predictions(varying.len()) < Coalitions::predictions(varying.len()) =>
            {
                Walk::Permutation(permutations.steps(varying, background))
            }
            Self::Exact | Self::Permutation(_) => Walk::Exact(Coalitions::new(varying)),
        }
    }
}

impl Walk<'_> {
    /// The next prediction; says whether there is one.
    pub(crate) fn next(&mut self, term: &mut Term) -> bool {
        match self {
            Self::Exact(coalitions) => coalitions.next(term),
            Self::Permutation(steps) => steps.next(term),
        }
    }
}
