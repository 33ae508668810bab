//! Shapley values from orders of the features that are drawn by a seed: each feature, in its turn, takes the value of
//! the row that is explained, and gains what the prediction changes by.
//!
//! Every order is walked in both directions, which cancels much of the error: of a model whose features work together
//! at most in pairs, one order gives exact values. Source: Mitchell et al., "Sampling Permutations for Shapley Value
//! Estimation", 2022.

use fastrand::Rng;

use crate::method::Term;

/// The orders of the features: some for every row of the background, and the same for every row that is explained, so
/// that what is said of a row does not depend on the other ones.
#[derive(Debug)]
pub struct Permutations {
    features: usize,
    each: usize,
    /// One for each row of the background. The orders themselves could fill the memory.
    seeds: Vec<u64>,
}

impl Permutations {
    /// `each` orders of the features for every row of the background.
    pub fn new(features: usize, background: usize, each: usize, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        Self { features, each, seeds: (0..background).map(|_| random.u64(..)).collect() }
    }

    /// How many orders there are for each row of the background.
    pub fn each(&self) -> usize {
        self.each
    }

    /// How many predictions so many features take beside those of the two rows themselves.
    pub(crate) fn predictions(&self, features: usize) -> usize {
        features.saturating_sub(1).saturating_mul(2).saturating_mul(self.each)
    }

    /// The coalitions on the way of every order, forward and backward. `varying` is sorted.
    pub(crate) fn steps<'a>(&self, varying: &'a [usize], background: usize) -> Steps<'a> {
        #[expect(clippy::cast_precision_loss, reason = "nobody waits for that many orders")]
        let weight = 0.5 / self.each as f64;
        Steps {
            random: Rng::with_seed(self.seeds[background]),
            features: self.features,
            varying,
            left: self.each,
            order: Vec::new(),
            is_backward: true,
            size: 1,
            weight,
        }
    }
}

/// A walk along orders of features: each is drawn, walked, turned around, and walked again.
#[derive(Debug)]
pub(crate) struct Steps<'a> {
    random: Rng,
    features: usize,
    varying: &'a [usize],
    /// Orders that are not drawn yet.
    left: usize,
    order: Vec<usize>,
    is_backward: bool,
    /// How many of the order's features are in the next coalition.
    size: usize,
    weight: f64,
}

impl Steps<'_> {
    /// The next coalition, whose last feature gains by it while the one that comes next loses; says whether there is
    /// one.
    pub(crate) fn next(&mut self, term: &mut Term) -> bool {
        if self.size > self.order.len() && !self.turn() {
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

    /// Turns around, or to a new order.
    fn turn(&mut self) -> bool {
        if self.is_backward {
            let Some(left) = self.left.checked_sub(1) else { return false };
            self.left = left;
            // All features are shuffled: the order of two does not depend on which others play.
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

    fn terms(mut steps: Steps<'_>) -> Vec<Term> {
        let mut terms = Vec::new();
        loop {
            let mut term = Term::default();
            if !steps.next(&mut term) {
                return terms;
            }
            terms.push(term);
        }
    }

    #[test]
    fn an_order_is_walked_in_both_directions() {
        let terms = terms(Permutations::new(9, 1, 1, 0).steps(&[3, 7], 0));
        let [first, second] = *terms[2].members else { unreachable!() };
        assert_eq!(first.min(second) * 10 + first.max(second), 37);
        let members: Vec<_> = terms.iter().map(|term| term.members.clone()).collect();
        assert_eq!(members, [vec![], vec![first], vec![first, second], vec![], vec![second], vec![second, first]]);
        let gains: Vec<_> = terms.into_iter().map(|term| term.gains).collect();
        assert_eq!(gains[..3], [vec![(first, -0.5)], vec![(first, 0.5), (second, -0.5)], vec![(second, 0.5)]]);
    }

    #[test]
    fn the_seed_decides_the_orders() {
        let features: Vec<usize> = (0..12).collect();
        let draw = |seed, background| {
            let terms = terms(Permutations::new(12, 3, 4, seed).steps(&features, background));
            assert_eq!(terms.len(), 4 * 2 * 13);
            terms.into_iter().map(|term| term.members).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
    }
}
