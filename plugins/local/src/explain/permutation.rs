//! Shapley values from orders of the features that are drawn by a seed: each feature, in its turn, takes the value of the
//! row that is explained, and gains what the prediction changes by.
//!
//! Every order is walked in both directions, which cancels much of the error: of a model whose features work together at
//! most in pairs, one order gives exact values. Source: Mitchell et al., "Sampling Permutations for Shapley Value
//! Estimation", 2022.

use fastrand::Rng;

use super::method::Term;

/// The orders of the features: some for every row of the background, and the same for every row that is explained, so
/// that what is said of a row does not depend on the other ones.
#[derive(Debug)]
pub(crate) struct Permutations {
    features: usize,
    each: usize,
    /// One for each row of the background. The orders themselves could fill the memory.
    seeds: Vec<u64>,
}

impl Permutations {
    /// `each` orders of the features for every row of the background.
    pub(crate) fn new(features: usize, background: usize, each: usize, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        Self { features, each, seeds: (0..background).map(|_| random.u64(..)).collect() }
    }

    /// How many orders there are for each row of the background.
    pub(crate) fn each(&self) -> usize {
        self.each
    }

    /// The coalitions on the way of every order, forward and backward.
    pub(crate) fn terms(&self, varying: &[usize], background: usize) -> impl Iterator<Item = Term> + Send {
        #[expect(clippy::cast_precision_loss, reason = "nobody waits for that many orders")]
        let weight = 0.5 / self.each as f64;
        let both = self.orders(background).flat_map(|mut order| {
            order.retain(|feature| varying.binary_search(feature).is_ok());
            let backward = order.iter().rev().copied().collect();
            [order, backward]
        });
        both.flat_map(move |order| (0..=order.len()).map(move |size| step(&order, size, weight)))
    }

    fn orders(&self, background: usize) -> impl Iterator<Item = Vec<usize>> + Send {
        let mut random = Rng::with_seed(self.seeds[background]);
        let features = self.features;
        (0..self.each).map(move |_| {
            let mut order: Vec<usize> = (0..features).collect();
            random.shuffle(&mut order);
            order
        })
    }
}

/// The coalition of the first features of an order: the last of them gains by it, and the next one loses.
fn step(order: &[usize], size: usize, weight: f64) -> Term {
    let last = size.checked_sub(1).map(|last| (order[last], weight));
    let next = order.get(size).map(|next| (*next, -weight));
    Term { members: order[..size].to_vec(), gains: last.into_iter().chain(next).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_walked_in_both_directions() {
        let permutations = Permutations::new(9, 1, 1, 0);
        let order = permutations.orders(0).next().unwrap();
        let (first, second) =
            if order.iter().position(|feature| *feature == 3) < order.iter().position(|feature| *feature == 7) {
                (3, 7)
            } else {
                (7, 3)
            };
        let members: Vec<_> = permutations.terms(&[3, 7], 0).map(|term| term.members).collect();
        assert_eq!(members, [vec![], vec![first], vec![first, second], vec![], vec![second], vec![second, first]]);
        let gains: Vec<_> = permutations.terms(&[3, 7], 0).map(|term| term.gains).collect();
        assert_eq!(gains[..3], [vec![(first, -0.5)], vec![(first, 0.5), (second, -0.5)], vec![(second, 0.5)]]);
    }

    #[test]
    fn the_seed_decides_the_orders() {
        let draw = |seed, background| Permutations::new(12, 3, 4, seed).orders(background).collect::<Vec<_>>();
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
    }
}
