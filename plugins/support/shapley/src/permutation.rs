//! Estimates Shapley values from random orders of the features. In each order, the features take the values of the
//! explained row one after another. The change of the prediction is the contribution of the feature that changed.
//!
//! Every order is used forward and backward, which cancels much of the estimate's error. If no more than two features
//! interact, one order gives exact values. Source: Mitchell et al., "Sampling Permutations for Shapley Value
//! Estimation", 2022.

use fastrand::Rng;

use crate::term::Term;

/// Random orders of the features for each background row. All explained rows use the same orders, so that the values
/// for a row do not depend on the other explained rows.
#[derive(Debug)]
pub struct Permutations {
    features: usize,
    per_background_row: usize,
    /// The seed of the random orders, for each background row. The orders themselves are not stored, because they could
    /// need too much memory.
    seeds: Vec<u64>,
}

impl Permutations {
    /// Creates `per_background_row` random orders of the features for each of `background` background rows.
    pub fn new(features: usize, background: usize, per_background_row: usize, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        Self { features, per_background_row, seeds: (0..background).map(|_| random.u64(..)).collect() }
    }

    /// Returns the number of random orders for each background row.
    pub fn per_background_row(&self) -> usize {
        self.per_background_row
    }

    /// Returns the number of predictions for all orders of this many features. Does not count the predictions of the
    /// explained row and the background row themselves.
    pub(crate) fn predictions(&self, features: usize) -> usize {
        features.saturating_sub(1).saturating_mul(2).saturating_mul(self.per_background_row)
    }

    /// Returns the coalitions along every random order, forward and backward. `varying` are the features that differ
    /// between the two rows, in ascending order.
    pub(crate) fn terms<'a>(&self, varying: &'a [usize], background: usize) -> PermutationTerms<'a> {
        #[expect(clippy::cast_precision_loss, reason = "the number of orders is far below 2^52")]
        let weight = 0.5 / self.per_background_row as f64;
        PermutationTerms {
            random: Rng::with_seed(self.seeds[background]),
            features: self.features,
            varying,
            remaining: self.per_background_row,
            order: Vec::new(),
            is_backward: true,
            size: 1,
            weight,
        }
    }
}

/// An iterator over the coalitions along random orders. A coalition is a set of features with the values of the
/// explained row. Each order is used forward and then backward.
#[derive(Debug)]
pub(crate) struct PermutationTerms<'a> {
    random: Rng,
    features: usize,
    varying: &'a [usize],
    /// The number of random orders that have not been drawn yet.
    remaining: usize,
    order: Vec<usize>,
    is_backward: bool,
    /// The number of features in the next coalition.
    size: usize,
    weight: f64,
}

impl PermutationTerms<'_> {
    /// Writes the next coalition to `term`. Its prediction is added to the value of the feature that joined last, and
    /// subtracted from the value of the feature that joins next. Returns false if all coalitions have been returned.
    pub(crate) fn next(&mut self, term: &mut Term) -> bool {
        if self.size > self.order.len() && !self.next_order() {
            return false;
        }
        term.members.clear();
        term.members.extend_from_slice(&self.order[..self.size]);
        term.gains.clear();
        term.gains.extend(term.members.last().map(|last| (*last, self.weight)));
        term.gains.extend(self.order.get(self.size).map(|next| (*next, -self.weight)));
        self.size += 1;
        true
    }

    /// Reverses the current order, or draws a new one. Returns false if all orders have been used.
    fn next_order(&mut self) -> bool {
        if self.is_backward {
            let Some(remaining) = self.remaining.checked_sub(1) else { return false };
            self.remaining = remaining;
            // All features are shuffled, so that the order of two features does not depend on the other varying
            // features.
            self.order.clear();
            self.order.extend(0..self.features);
            self.random.shuffle(&mut self.order);
            self.order.retain(|feature| self.varying.binary_search(feature).is_ok());
        } else {
            self.order.reverse();
        }
        self.is_backward = !self.is_backward;
        self.size = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(mut terms_of_order: PermutationTerms<'_>) -> Vec<Term> {
        let mut terms = Vec::new();
        loop {
            let mut term = Term::default();
            if !terms_of_order.next(&mut term) {
                return terms;
            }
            terms.push(term);
        }
    }

    #[test]
    fn an_order_is_used_in_both_directions() {
        let terms = collect(Permutations::new(9, 1, 1, 0).terms(&[3, 7], 0));
        let [first, second] = *terms[2].members else { unreachable!() };
        assert_eq!(first.min(second) * 10 + first.max(second), 37);
        let members: Vec<_> = terms.iter().map(|term| term.members.clone()).collect();
        assert_eq!(members, [vec![], vec![first], vec![first, second], vec![], vec![second], vec![second, first]]);
        let gains: Vec<_> = terms.into_iter().map(|term| term.gains).collect();
        assert_eq!(gains[..3], [vec![(first, -0.5)], vec![(first, 0.5), (second, -0.5)], vec![(second, 0.5)]]);
    }

    #[test]
    fn the_seed_determines_the_orders() {
        let features: Vec<usize> = (0..12).collect();
        let draw = |seed, background| {
            let terms = collect(Permutations::new(12, 3, 4, seed).terms(&features, background));
            assert_eq!(terms.len(), 4 * 2 * 13);
            terms.into_iter().map(|term| term.members).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
    }
}
